"""What is wrong with a catalogue: pictures in two classes, in the wrong one, or too few."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, to_floats, unit_rows
from catalog.index import typical_stranger_cosine
from catalog.judging.occasions import occasions
from catalog.judging.ranking import ROUNDING, tie_ranks
from catalog.learning import evidence
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.snapshot import Snapshot
from catalog.reports.drift import Drift, drift
from catalog.reports.leave_out import GroupedItems, LeaveGroupOut, share_of
from catalog.reports.proposals import (
    MOST_PHOTOS,
    Clustering,
    proposal_threshold,
    propose_classes,
)
from catalog.store import inventory
from catalog.text import natural

LISTED = 200
"""How many duplicates, mislabelled items and pairs of classes are listed at most."""

SAME_PICTURE = 0.2
"""Two items show the same picture if 1 - cosine is at most this part of what it is between an item
and the most alike item of another class, in the median. Of 3.4 million pairs of photos of unlike
groceries none passes by the ImageNet network and 3 pass by the starter; of copies of them, 98 and
94 in 100 as JPEG of quality 60, 97 and 96 without a tenth of height and width, none at a third of
their size."""

SURELY_THE_SAME = 0.995
"""A cosine of raw descriptors from which on two items are the same picture in any catalogue."""

EVIDENCE = 0.15
"""From what evidence on an item is listed as mislabelled: see :class:`Mislabelled`. With 2 in 100
labels of 81 groceries changed at random, 94 to 98 in 100 of them are listed by the ImageNet network
and 90 to 96 by the starter, and of what is listed at most 4 and 10 in 100 were not changed."""

FEW_GROUPS = 3
"""A class of fewer groups needs more pictures, however well it does."""

WEAK_SHARE = 0.5
"""A class of which a smaller share is right needs more pictures."""

Need: TypeAlias = Literal["few", "weak"]
"""Why a class needs more pictures: few groups, or a weak share of them right."""

_BLOCK = 512  # items compared with all others at a time
_EXAMINED = 2 * LISTED  # by their items, of those with the best evidence by centroids


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two items of different classes that look like the same picture.

    ``cosine`` is that of the raw descriptors.
    """

    item: int
    label: str
    other_item: int
    other_label: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Mislabelled:
    """An item that its own class loses to another.

    Attributes:
        item: its id.
        label: its class.
        proposed: the class that wins.
        own_centroid: the score of its class without its group.
        proposed_centroid: the score of the class that wins.
        own_nearest: the score of the nearest item of its class outside its group.
        proposed_nearest: the score of the nearest item of the class that wins.
        nearest_item: the id of that item.
        alike: how many items are in its group; they speak for their class together, if at all.
        evidence: the smaller of the two leads of the proposed class, times the share of the
            item's class that is outside its group: what is judged by a few pictures weighs less.
    """

    item: int
    label: str
    proposed: str
    own_centroid: float
    proposed_centroid: float
    own_nearest: float
    proposed_nearest: float
    nearest_item: int
    alike: int
    evidence: float


@dataclass(frozen=True, slots=True)
class Confusable:
    """Two classes that photos will be confused between.

    Attributes:
        label: the class that loses more.
        other: the class it loses to.
        share: of the pictures of both classes, how many would go to the other one.
        to_other: of the pictures of ``label``, how many would go to ``other``.
        from_other: of the pictures of ``other``, how many would go to ``label``; None if they
            cannot be judged.
    """

    label: str
    other: str
    share: float
    to_other: float
    from_other: float | None


@dataclass(frozen=True, slots=True)
class ClassAudit:
    """How well a class is known.

    Attributes:
        label: its name.
        items: how many pictures it has.
        groups: of how many occasions they are; what counts as one is in ``index.groups``.
        share_right: of its pictures, judged without their groups, how many its centroid wins;
            None if they are all of one group.
        needs: why it needs more pictures; None if it does not.
    """

    label: str
    items: int
    groups: int
    share_right: float | None
    needs: Need | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What is wrong with a catalogue.

    In every share, a picture counts by the share of its class that is outside its group, which is
    what it is judged by.

    Attributes:
        items: how many there are.
        groups: of how many occasions they are.
        judged: how many items are in a class with another group.
        share_right: of those, how many their class's centroid wins; None if there are none.
        duplicates: the most alike first, at most :data:`LISTED`.
        mislabelled: the best evidence first, at most :data:`LISTED`.
        confusable: the most confused first, at most :data:`LISTED`.
        classes: all of them, those first that need more pictures most.
    """

    items: int
    groups: int
    judged: int
    share_right: float | None
    duplicates: tuple[Duplicate, ...]
    mislabelled: tuple[Mislabelled, ...]
    confusable: tuple[Confusable, ...]
    classes: tuple[ClassAudit, ...]


@dataclass(frozen=True, slots=True)
class ProposedClass:
    """Photos that were answered ``unknown`` and kept, and that look like one thing.

    Attributes:
        pictures: how many there are.
        cosine: the mean over all pairs of them.
        places: where they were found, as recorded then, the most central first; those of bytes and
            arrays are absent.
        items: their ids, the most central first; :meth:`Catalog.move` makes the class of them.
    """

    pictures: int
    cosine: float
    places: tuple[str, ...]
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What is wrong with a catalogue, and what it lacks.

    Attributes:
        found: what is wrong with its items and classes.
        kept: how many ``unknown`` photos were kept.
        proposed: the classes that they could make, the largest first.
        alone: how many of them are like no other.
        named: of how many items the owner named the occasion; of how many occasions the others are
            is a guess.
        asked: how many pictures were asked about and counted, since the embedder changed.
        drift: whether what is asked has changed; None if too little was asked to say.
    """

    found: Audit
    kept: int
    proposed: tuple[ProposedClass, ...]
    alone: int
    named: int = 0
    asked: int = 0
    drift: Drift | None = None


def audit(catalog: Opened) -> AuditReport:
    """Look for what is wrong with this catalogue, and for classes that it lacks.

    Pictures that look the same in two classes, items that are likely mislabelled, classes that
    will be confused or need more pictures; what ``unknown`` photos that were kept have in common;
    and whether what is asked drifts away from what is known.
    """
    catalog._asked.write()  # what was asked here counts, too
    report = catalog._asking(lambda bound: _audit(catalog, bound))
    asked, drifted = drift(catalog)
    return replace(report, asked=asked, drift=drifted)


def _audit(catalog: Opened, bound: Bound) -> AuditReport:
    rows = bound.rows
    with catalog._store.reading() as tx:
        wanted = inventory.kept(tx, bound.binding.id)[-MOST_PHOTOS:]
    kept = rows.floats(np.array([item for item, _ in wanted], np.int64))

    def ask(snapshot: Snapshot) -> tuple[Audit, Clustering, int]:
        moment, classes = snapshot.moment, snapshot.moment.class_places
        stored = rows.of(moment.items)
        told = evidence.told(catalog._store, moment)
        groups = occasions(stored, classes, bound.binding.prior, told)
        raw = to_floats(stored)
        found = find_faults(snapshot, raw, groups)
        threshold = proposal_threshold(snapshot.metric.whiten(raw), classes)
        named = int((told.named >= 0).sum()) if told else 0
        return found, propose_classes(snapshot.metric.whiten(kept), threshold), named

    found, clustering, named = bound.keeper.nearest(ask)
    return AuditReport(
        found,
        len(wanted),
        tuple(
            ProposedClass(
                len(cluster.members),
                cluster.cosine,
                tuple(place for at in cluster.members if (place := wanted[at][1])),
                tuple(wanted[at][0] for at in cluster.members),
            )
            for cluster in clustering.clusters
        ),
        clustering.alone,
        named,
    )


def find_faults(
    snapshot: Snapshot, raw: NDArray[np.float32], groups: NDArray[np.int64] | None = None
) -> Audit:
    """Look for what is wrong with a catalogue.

    Args:
        snapshot: of it; may be empty.
        raw: float32 (N, D), the items' descriptors before whitening, in the order of the moment.
        groups: int64 (N,), one number for the items of a class that are one occasion, as from
            :func:`occasions`; each item is its own by default.

    Raises:
        InvalidInput: the arrays do not fit, or a group is in two classes.
    """
    if groups is None:
        groups = np.arange(len(snapshot.moment))
    _check(snapshot, raw, groups)
    items = GroupedItems.of(snapshot, groups)
    judge = LeaveGroupOut(snapshot, raw[items.order], items)
    right = judge.weight * (judge.lead <= 0)
    return Audit(
        items=len(raw),
        groups=len(items.groups),
        judged=int(np.count_nonzero(judge.weight)),
        share_right=share_of(right.sum(), judge.weight.sum()),
        duplicates=_duplicates(snapshot, raw),
        mislabelled=_mislabelled(snapshot, items, judge),
        confusable=_confusable(items, judge),
        classes=_class_audits(items, right, judge.weight),
    )


def _check(snapshot: Snapshot, raw: NDArray[np.float32], groups: NDArray[np.int64]) -> None:
    count = len(snapshot.moment)
    if raw.ndim != 2 or len(raw) != count or groups.shape != (count,):
        raise InvalidInput(f"raw {raw.shape} and groups {groups.shape} do not fit {count} items")
    if np.unique(np.stack([groups, snapshot.moment.slots]), axis=1).shape[1] != len(
        np.unique(groups)
    ):
        raise InvalidInput("the items of a group must be of one class")


def _duplicates(snapshot: Snapshot, raw: NDArray[np.float32]) -> tuple[Duplicate, ...]:
    slots = snapshot.moment.slots
    if len(np.unique(slots)) < 2:
        return ()
    rows = unit_rows(raw)
    typical = typical_stranger_cosine(rows, slots)
    threshold = min(1 - SAME_PICTURE * (1 - typical), SURELY_THE_SAME) - ROUNDING
    best = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for start in range(0, len(rows), _BLOCK):
        cosines = rows[start : start + _BLOCK] @ rows[start:].T
        other = slots[start : start + _BLOCK, None] != slots[start:]
        one, two = np.nonzero(np.triu((cosines >= threshold) & other))
        found = cosines[one, two].astype(np.float64), one + start, two + start
        cosine, one, two = (np.concatenate(both) for both in zip(best, found, strict=True))
        first = np.lexsort((two, one, tie_ranks(cosine)))[:LISTED]
        best = cosine[first], one[first], two[first]
    pairs = zip(*(part.tolist() for part in best), strict=True)
    return tuple(_duplicate(snapshot, cosine, one, two) for cosine, one, two in pairs)


def _duplicate(snapshot: Snapshot, cosine: float, one: int, two: int) -> Duplicate:
    moment = snapshot.moment
    (item, label), (other, other_label) = sorted(
        (int(moment.items[at]), moment.names[int(moment.slots[at])]) for at in (one, two)
    )
    return Duplicate(item, label, other, other_label, min(cosine, 1.0))


def _mislabelled(
    snapshot: Snapshot, items: GroupedItems, judge: LeaveGroupOut
) -> tuple[Mislabelled, ...]:
    found: list[Mislabelled] = []
    keys = [*zip(items.group_of.tolist(), judge.rival.tolist(), strict=True)]
    for (group, _), suspects in groupby(_suspects(items, judge), keys.__getitem__):
        added = judge.added(items.groups[group])
        found += _examined(list(suspects), added, snapshot, items, judge)
    found = [suspect for suspect in found if suspect.evidence > EVIDENCE]
    places = snapshot.moment.places(np.array([suspect.item for suspect in found], np.int64))
    ranks = tie_ranks(np.array([suspect.evidence for suspect in found]))
    return tuple(found[at] for at in np.lexsort((places, ranks))[:LISTED].tolist())


def _suspects(items: GroupedItems, judge: LeaveGroupOut) -> list[int]:
    """The items that centroids speak most against, by group and rival, if there are some to ask."""
    evidence = judge.weight * judge.lead
    suspects = np.flatnonzero(evidence > EVIDENCE)
    suspects = suspects[items.sums(np.ones(len(evidence)))[judge.rival[suspects]] > 0]
    worst = suspects[np.argsort(-evidence[suspects], kind="stable")][:_EXAMINED]
    order = np.lexsort((worst, judge.rival[worst], items.group_of[worst]))
    return list(worst[order].tolist())


def _examined(
    suspects: list[int],
    added: NDArray[np.float32],
    snapshot: Snapshot,
    items: GroupedItems,
    judge: LeaveGroupOut,
) -> Iterator[Mislabelled]:
    """Ask the items about suspects of one group with one rival."""
    own, rival = int(items.class_of[suspects[0]]), int(judge.rival[suspects[0]])
    group = items.groups[items.group_of[suspects[0]]]
    by_own = judge.nearest(suspects, added, own)
    by_rival = judge.nearest(suspects, added, rival)
    for at, (own_nearest, _), (nearest, place) in zip(suspects, by_own, by_rival, strict=True):
        lead = min(judge.lead[at], nearest - own_nearest)
        yield Mislabelled(
            item=int(snapshot.moment.items[items.order[at]]),
            label=items.names[own],
            proposed=items.names[rival],
            own_centroid=float(judge.own_score[at]),
            proposed_centroid=float(judge.rival_score[at]),
            own_nearest=own_nearest,
            proposed_nearest=nearest,
            nearest_item=int(snapshot.moment.items[items.order[place]]),
            alike=group.stop - group.start,
            evidence=float(judge.weight[at] * lead),
        )


def _confusable(items: GroupedItems, judge: LeaveGroupOut) -> tuple[Confusable, ...]:
    judged = items.sums(judge.weight)
    gone: dict[tuple[int, int], float] = defaultdict(float)
    for at in np.flatnonzero(judge.lead > 0).tolist():
        gone[int(items.class_of[at]), int(judge.rival[at])] += float(judge.weight[at])
    pairs = []
    for one, two in {(min(pair), max(pair)) for pair in gone}:
        there, back = gone.get((one, two), 0.0), gone.get((two, one), 0.0)
        sides = [
            (share_of(there, judged[one]), items.names[one]),
            (share_of(back, judged[two]), items.names[two]),
        ]
        sides.sort(key=lambda side: (1.0 if side[0] is None else -side[0], natural(side[1])))
        (to_other, label), (from_other, other) = sides
        share = (there + back) / float(judged[one] + judged[two])
        pairs.append(Confusable(label, other, share, to_other or 0.0, from_other))
    return tuple(
        sorted(pairs, key=lambda p: (-p.share, natural(p.label), natural(p.other)))[:LISTED]
    )


def _class_audits(
    items: GroupedItems, right: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[ClassAudit, ...]:
    wins, judged = items.sums(right), items.sums(weight)
    audits = []
    for number in np.unique(items.class_of).tolist():
        inside = items.group_of[items.classes[number]]
        groups, share = len(np.unique(inside)), share_of(wins[number], judged[number])
        weak = share is not None and share < WEAK_SHARE
        needs: Need | None = "few" if groups < FEW_GROUPS else "weak" if weak else None
        audits.append(ClassAudit(items.names[number], len(inside), groups, share, needs))
    return tuple(sorted(audits, key=_urgency))


def _urgency(found: ClassAudit) -> tuple[bool, float, int, tuple[str, str]]:
    share = -1.0 if found.share_right is None else found.share_right
    return found.needs is None, share, found.groups, natural(found.label)
