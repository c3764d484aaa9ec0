"""Faults of a catalogue: against learning afresh, and by hand."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import strategies
from audit_shop import WIDTH, learnt, name, shop, shots, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.descriptors import InvalidInput, Prior
from catalog.descriptors.whitening import PRIOR_DEGREES
from catalog.reports import audit as auditing
from catalog.reports import leave_out
from catalog.reports.audit import (
    EVIDENCE,
    FEW_GROUPS,
    LISTED,
    Audit,
    ClassAudit,
    Duplicate,
    find_faults,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from catalog.learning.snapshot import Snapshot

anywhere = settings(max_examples=40)


def audit_of(raw: NDArray[np.float32], labels: list[int], groups: list[int] | None = None) -> Audit:
    """Audit a catalogue of such descriptors."""
    return find_faults(
        learnt(raw, labels), raw, None if groups is None else np.array(groups, np.int64)
    )


def same(one: tuple[Duplicate, ...], other: tuple[Duplicate, ...]) -> None:
    """Such pairs are the same, but for rounding."""
    assert [replace(pair, cosine=0) for pair in one] == [replace(pair, cosine=0) for pair in other]
    assert [pair.cosine for pair in one] == pytest.approx([pair.cosine for pair in other])


def of_class(found: Audit, slot: int) -> ClassAudit:
    """What is said of a class."""
    return next(c for c in found.classes if c.label == name(slot))


def scores_without(
    snapshot: Snapshot, raw: NDArray[np.float32], group: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of a group's items by class and by item, by a metric whose scatter is added up afresh.

    The scatter of the catalogue's metric, in whitened coordinates and multiplied by its degrees of
    freedom, is the identity times those; the group's class is taken out of it whole, and put back
    without the group.
    """
    labels = snapshot.moment.slots
    rows = snapshot.metric.project(raw).astype(np.float64)
    own = np.flatnonzero(labels == labels[group[0]])
    rest = np.setdiff1d(own, group)
    classes = snapshot.centroids.keys
    within = sum(
        float(np.square(raw[labels == c] - raw[labels == c].mean(0)).sum()) for c in classes
    )
    observed = len(raw) - len(classes)
    degrees = observed + PRIOR_DEGREES
    scale = observed * raw.shape[1] / within
    total = degrees * np.eye(raw.shape[1]) + scale * (scatter(rows[rest]) - scatter(rows[own]))
    inverse = np.linalg.inv(total)
    means = np.stack(
        [rows[rest if c == labels[group[0]] else labels == c].mean(0) for c in classes]
    )
    return cosines(rows[group], means, inverse), cosines(rows[group], rows, inverse)


def scatter(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scatter of rows about their mean."""
    deviations = rows - rows.mean(0)
    return np.asarray(deviations.T @ deviations)


def cosines(
    queries: NDArray[np.float64], rows: NDArray[np.float64], inverse: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cosines under an inner product."""
    lengths = [np.sqrt(np.einsum("ij,jk,ik->i", some, inverse, some)) for some in (queries, rows)]
    return np.asarray(queries @ inverse @ rows.T / np.outer(*lengths))


class TestJudgedWithoutTheGroup:
    """The scores that everything else rests on."""

    @anywhere
    @given(strategies.seeds, st.integers(1, 40), strategies.priors(WIDTH))
    def test_as_with_the_scatter_added_up_afresh(self, seed: int, size: int, prior: Prior) -> None:
        """Leaving a group out in closed form, even one wider than a descriptor, is exact."""
        raw, labels = shop(seed, classes=4, each=45)
        snapshot = learnt(raw, labels, prior)
        group = np.random.default_rng(seed).permutation(45)[:size] + 45
        groups = np.arange(len(raw))
        groups[group] = group.min()
        items = leave_out.GroupedItems.of(snapshot, groups)
        judge = leave_out.LeaveGroupOut(snapshot, raw[items.order], items)
        by_class, by_item = scores_without(snapshot, raw, np.sort(group))
        at = np.flatnonzero(np.isin(items.order, group))
        np.testing.assert_array_equal(items.order[at], np.sort(group))
        np.testing.assert_allclose(judge.own_score[at], by_class[:, 1], atol=1e-4)
        by_class[:, 1] = -np.inf
        np.testing.assert_allclose(judge.rival_score[at], by_class.max(1), atol=1e-4)
        np.testing.assert_allclose(judge.weight[at], 1 - size / 45)
        added = judge.added(items.groups[items.group_of[at[0]]])
        for number in range(4):
            nearest = judge.nearest(at.tolist(), added, number)
            others = np.setdiff1d(np.flatnonzero(snapshot.moment.slots == number), group)
            np.testing.assert_allclose(
                [score for score, _ in nearest], by_item[:, others].max(1), atol=1e-4
            )
            assert {int(items.order[place]) for _, place in nearest} <= set(others.tolist())

    def test_close_to_learning_again_without_it(self) -> None:
        """What is left aside, the mean of everything and the prior's weight, hardly matters."""
        raw, labels = shop(1, classes=6, each=12)
        snapshot = learnt(raw, labels)
        items = leave_out.GroupedItems.of(snapshot, np.arange(len(raw)))
        judge = leave_out.LeaveGroupOut(snapshot, raw, items)
        for at in range(0, len(raw), 5):
            kept = np.flatnonzero(np.arange(len(raw)) != at)
            again = learnt(raw[kept], [labels[k] for k in kept])
            scores = again.metric.whiten(raw[[at]])[0] @ again.centroids.rows.T
            assert judge.own_score[at] == pytest.approx(scores[labels[at]], abs=0.02)
            scores[labels[at]] = -1
            assert judge.rival_score[at] == pytest.approx(scores.max(), abs=0.02)

    def test_groups_judge_more_severely(self) -> None:
        """Bursts that vouch for themselves make a catalogue look better than it is."""
        things = [thing for thing in range(6) for _ in range(4)]
        bursts = np.repeat(shots(0, things, spread=2.0), 3, axis=0)
        raw = stored(bursts + 0.02 * np.random.default_rng(1).normal(size=bursts.shape))
        labels = np.repeat(things, 3).tolist()
        plain = audit_of(raw, labels)
        grouped = audit_of(raw, labels, np.repeat(np.arange(24), 3).tolist())
        assert plain.share_right is not None
        assert grouped.share_right is not None
        assert plain.share_right > 0.95
        assert grouped.share_right < 0.8
        assert (plain.groups, grouped.groups) == (72, 24)


class TestMislabelled:
    """Items that their class loses to another."""

    def test_finds_what_was_put_into_the_wrong_class(self) -> None:
        """Changed labels are listed with the class they are of, and nothing else is."""
        raw, labels = shop()
        wrong = {3: 5, 41: 0, 77: 2}
        found = audit_of(raw, [wrong.get(at, label) for at, label in enumerate(labels)])
        listed = {m.item: (m.label, m.proposed) for m in found.mislabelled}
        assert listed == {1000 + at: (name(to), name(labels[at])) for at, to in wrong.items()}

    def test_says_what_speaks_for_it(self) -> None:
        """The scores are those of both classes, and the evidence is the smaller lead, weighted."""
        raw, labels = shop()
        (found,) = audit_of(raw, [5, *labels[1:]]).mislabelled
        leads = (
            found.proposed_centroid - found.own_centroid,
            found.proposed_nearest - found.own_nearest,
        )
        assert found.evidence == pytest.approx(min(leads) * (1 - 1 / 11))
        assert found.evidence > EVIDENCE
        assert labels[found.nearest_item - 1000] == 0
        assert found.nearest_item != found.item
        assert found.alike == 1

    def test_the_best_evidence_comes_first(self) -> None:
        """The list is in the order of evidence."""
        raw, labels = shop()
        changed = [(label + 3) % 8 if at % 11 == 0 else label for at, label in enumerate(labels)]
        evidence = [m.evidence for m in audit_of(raw, changed).mislabelled]
        assert len(evidence) == 8
        assert evidence == sorted(evidence, reverse=True)

    def test_a_burst_does_not_vouch_for_itself(self) -> None:
        """Near-duplicates in the wrong class are all found, if they are known to be one group."""
        raw, labels = shop()
        burst = shots(7, [2]) + 0.01 * np.random.default_rng(0).normal(size=(4, WIDTH))
        raw = np.concatenate([raw, stored(burst)])
        labels = [*labels, 6, 6, 6, 6]
        groups = [*range(80), 80, 80, 80, 80]
        listed = audit_of(raw, labels, groups).mislabelled
        assert {(m.item, m.proposed, m.alike) for m in listed} == {
            (at, name(2), 4) for at in range(1080, 1084)
        }
        assert audit_of(raw, labels).mislabelled == ()

    def test_most_of_a_class_is_not_outvoted_by_the_rest(self) -> None:
        """A group that is nearly all of its class weighs too little to be listed."""
        raw, labels = shop()
        raw = np.concatenate([raw, shots(7, [9] * 9 + [4])])
        labels = [*labels, *[9] * 10]
        found = audit_of(raw, labels, [*range(80), *[80] * 9, 89])
        assert [m.item for m in found.mislabelled] == [1089]


class TestDuplicates:
    """One picture in two classes."""

    def test_finds_a_picture_in_two_classes(self) -> None:
        """A copy, almost, under another class is listed; one under the same class is not."""
        raw, labels = shop(classes=5, each=6)
        raw = np.concatenate([raw, stored(raw[[4, 14, 20]] + 0.004)])
        found = audit_of(raw, [*labels, 3, 1, 3]).duplicates
        assert {(d.item, d.label, d.other_item, d.other_label) for d in found} == {
            (1004, name(0), 1030, name(3)),
            (1014, name(2), 1031, name(1)),
        }
        for pair in found:
            one, other = raw[[pair.item - 1000, pair.other_item - 1000]]
            assert pair.cosine == pytest.approx(float(one @ other), abs=1e-4)

    def test_the_most_alike_come_first(self) -> None:
        """The list is in the order of likeness, and a copy has cosine 1."""
        raw, labels = shop(classes=5, each=6)
        raw = np.concatenate([raw, stored(raw[:5] + np.linspace(0.008, 0, 5)[:, None])])
        found = [d.cosine for d in audit_of(raw, [*labels, 1, 1, 1, 1, 1]).duplicates]
        assert len(found) >= 5
        assert found == sorted(found, reverse=True)
        assert found[0] == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("block", [4, 64])
    def test_the_list_is_capped(self, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a thing that is all in two classes, so many pairs are listed and no more."""
        monkeypatch.setattr(auditing, "_BLOCK", block)
        raw = np.repeat(shots(0, [0, 1, 2]), [30, 1, 1], axis=0)
        found = audit_of(raw, [0] * 15 + [1] * 15 + [2, 3])
        assert len(found.duplicates) == LISTED
        assert {(d.label, d.other_label) for d in found.duplicates} == {(name(0), name(1))}

    @pytest.mark.parametrize("block", [1, 3, 64])
    def test_blocks_lose_none(self, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many items are compared at a time, the pairs are the same."""
        raw, labels = shop(classes=5, each=6)
        raw = np.concatenate([raw, raw[::3]])
        labels = [*labels, *[(label + 1) % 5 for label in labels[::3]]]
        expected = audit_of(raw, labels).duplicates
        monkeypatch.setattr(auditing, "_BLOCK", block)
        same(audit_of(raw, labels).duplicates, expected)
        assert len(expected) == 10


class TestClasses:
    """Classes that are confused, and those that need more pictures."""

    def test_two_classes_of_one_thing_are_confused_most(self) -> None:
        """The pair comes first, and its shares are those of the pictures that go over."""
        raw, labels = shop()
        split = [8 if label == 3 and at % 2 else label for at, label in enumerate(labels)]
        found = audit_of(raw, split)
        pair = found.confusable[0]
        assert {pair.label, pair.other} == {name(3), name(8)}
        assert pair.from_other is not None
        assert pair.to_other >= pair.from_other > 0
        assert pair.share == pytest.approx((pair.to_other + pair.from_other) / 2)
        shares = [p.share for p in found.confusable]
        assert shares == sorted(shares, reverse=True)

    def test_a_class_that_cannot_be_judged_gives_no_share(self) -> None:
        """Pictures go over to a class of one, but what its own would do is not known."""
        raw, labels = shop(classes=4)
        raw = np.concatenate([raw, raw[:1]])
        pair = audit_of(raw, [*labels, 9]).confusable[0]
        assert (pair.label, pair.other, pair.from_other) == (name(0), name(9), None)
        assert 0 < pair.to_other <= 1
        assert pair.share == pair.to_other

    def test_a_class_of_one_occasion_has_no_share(self) -> None:
        """One picture, or one burst, says nothing of the next photo: no figure is made up."""
        raw, labels = shop(classes=4)
        raw = np.concatenate([raw, shots(5, [8, 9, 9, 9])])
        found = audit_of(raw, [*labels, 8, 9, 9, 9], [*range(40), 40, 41, 41, 41])
        assert of_class(found, 8) == ClassAudit(name(8), 1, 1, None, "few")
        assert of_class(found, 9) == ClassAudit(name(9), 3, 1, None, "few")
        assert found.judged == 40

    def test_few_occasions_and_weak_classes_need_more_pictures(self) -> None:
        """A good class of enough groups needs nothing; those that do come first."""
        raw, labels = shop(classes=4)
        raw = np.concatenate([raw, shots(5, [8, 8]), shots(6, [20, 21, 22, 23, 24], 0.1)])
        found = audit_of(raw, [*labels, 8, 8, *[9] * 5])
        needs = {c.label: c.needs for c in found.classes}
        assert needs == {
            **{name(slot): None for slot in range(4)},
            name(8): "few",
            name(9): "weak",
        }
        assert [c.needs is None for c in found.classes] == [False] * 2 + [True] * 4
        assert of_class(found, 8).groups < FEW_GROUPS

    def test_what_needs_nothing_comes_after_what_does(self) -> None:
        """A class of two pictures is listed before a larger one that does less well."""
        raw, labels = shop(classes=4)
        raw = np.concatenate([raw, shots(5, [8, 8])])
        labels[:2] = 1, 1
        found = audit_of(raw, [*labels, 8, 8])
        assert found.classes[0].label == name(8)
        assert found.classes[0].share_right == 1
        assert found.classes[1].label == name(1)
        assert found.classes[1].share_right is not None
        assert 0.5 < found.classes[1].share_right < 1

    def test_of_equal_scores_the_own_class_wins(self) -> None:
        """Two classes of the same pictures are not wrong about them."""
        raw = np.repeat(shots(0, [0]), 4, axis=0)
        found = audit_of(raw, [1, 2, 1, 2])
        assert found.share_right == 1
        assert found.confusable == ()

    def test_shares_are_of_what_can_be_judged(self) -> None:
        """The catalogue's share is that of the classes, each by how much it can be judged."""
        raw, labels = shop(3, classes=6, each=7)
        raw = np.concatenate([raw, shots(4, [1, 2, 3, 4], 1.5)])
        found = audit_of(raw, [*labels, 5, 5, 4, 4])
        weights = [
            (c.items - 1) * c.share_right for c in found.classes if c.share_right is not None
        ]
        total = sum(c.items - 1 for c in found.classes)
        assert found.share_right == pytest.approx(sum(weights) / total)
        assert found.share_right < 1


class TestAnyCatalogue:
    """What holds for every catalogue, the smallest too."""

    @anywhere
    @given(strategies.seeds, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=30))
    def test_figures_are_consistent(self, seed: int, drawn: list[tuple[int, int]]) -> None:
        """Counts add up, shares are shares, lists are in order, and all of it goes into JSON."""
        labels = [label for label, _ in drawn]
        raw = shots(seed, [label % 3 for label in labels], spread=1.0)
        groups = [4 * label + part for label, part in drawn]
        found = audit_of(raw, labels, groups)
        assert found.items == len(drawn) == sum(c.items for c in found.classes)
        assert found.groups == len(set(groups)) == sum(c.groups for c in found.classes)
        assert {c.label for c in found.classes} == {name(label) for label in labels}
        shares = [found.share_right, *(c.share_right for c in found.classes)]
        shares += [share for p in found.confusable for share in (p.share, p.to_other, p.from_other)]
        assert all(share is None or 0 <= share <= 1 for share in shares)
        judged = sum(c.items for c in found.classes if c.share_right is not None)
        assert found.judged == judged
        assert (found.share_right is None) == (judged == 0)
        assert all(m.label != m.proposed and m.evidence > EVIDENCE for m in found.mislabelled)
        assert all(d.item < d.other_item and d.label != d.other_label for d in found.duplicates)
        assert json.loads(json.dumps(asdict(found)))["items"] == len(drawn)

    @anywhere
    @given(strategies.seeds)
    def test_the_order_of_items_does_not_matter(self, seed: int) -> None:
        """Shuffled, a catalogue has the same faults."""
        raw, labels = shop(seed % 5, classes=5, each=8)
        labels[3], labels[17] = 2, 4
        raw[30] = raw[12]
        groups = np.arange(40)
        groups[[5, 6]] = 5
        order = np.random.default_rng(seed).permutation(40)
        one = find_faults(learnt(raw, labels), raw, groups)
        shuffled = learnt(raw, labels, order=order)
        other = find_faults(shuffled, raw[order], groups[order])
        same(one.duplicates, other.duplicates)
        assert one.classes == pytest.approx(other.classes)
        assert {(m.item, m.proposed) for m in one.mislabelled} == {
            (m.item, m.proposed) for m in other.mislabelled
        }
        assert [(p.label, p.other) for p in one.confusable] == [
            (p.label, p.other) for p in other.confusable
        ]

    def test_an_empty_catalogue_has_no_faults(self) -> None:
        """Nothing is said of nothing."""
        raw = np.zeros((0, WIDTH), np.float32)
        assert find_faults(learnt(raw, []), raw) == Audit(0, 0, 0, None, (), (), (), ())

    def test_a_class_alone_cannot_be_judged(self) -> None:
        """With nothing to take them for, pictures are neither right nor wrong."""
        found = audit_of(shots(0, [0] * 5), [4] * 5)
        assert found == Audit(5, 5, 0, None, (), (), (), (ClassAudit(name(4), 5, 5, None, None),))

    def test_classes_of_one_item_cannot_be_judged(self) -> None:
        """Each is known from one picture, and needs more."""
        found = audit_of(shots(0, list(range(9))), list(range(9)))
        assert (found.judged, found.share_right, found.mislabelled) == (0, None, ())
        assert [c.needs for c in found.classes] == ["few"] * 9

    def test_copies_of_one_picture_a_class(self) -> None:
        """Classes without any scatter are judged as they are, and are right."""
        found = audit_of(np.repeat(shots(0, [0, 1, 2]), 4, axis=0), [0] * 4 + [1] * 4 + [2] * 4)
        assert (found.judged, found.share_right) == (12, 1)

    def test_a_class_without_items_can_win(self) -> None:
        """A class of which only the centroid is left is confused with others, not audited."""
        raw, labels = shop(classes=5)
        kept = np.flatnonzero(np.array(labels) != 4)
        part = learnt(raw, labels, order=kept)
        raw[0] = raw[45]
        found = find_faults(part, raw[kept])
        assert [(p.label, p.other, p.from_other) for p in found.confusable] == [
            (name(0), name(4), None)
        ]
        assert name(4) not in {c.label for c in found.classes}
        assert found.mislabelled == ()

    @pytest.mark.parametrize(("rows", "groups"), [(9, 10), (10, 9), (0, 10)])
    def test_refuses_arrays_that_do_not_fit(self, rows: int, groups: int) -> None:
        """There must be one descriptor and one group for each item."""
        raw = shots(0, [0, 1] * 5)
        with pytest.raises(InvalidInput, match="fit"):
            find_faults(learnt(raw, [0, 1] * 5), raw[:rows], np.arange(groups))

    def test_refuses_a_group_in_two_classes(self) -> None:
        """Items of different classes are no group."""
        raw = shots(0, [0, 1])
        with pytest.raises(InvalidInput, match="of one class"):
            audit_of(raw, [0, 1], [3, 3])
