"""Answers to a picture: its nearest items, and which class it is, cross-checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Damaged, InvalidInput
from catalog.judging.cross_check import PRECISION, Judgement, Verdict, candidate_count, judge
from catalog.judging.ranking import tie_ranks
from catalog.judging.witnesses import Witnesses, head_scores
from catalog.learning.learning import Learning, places_of
from catalog.store import ItemId, Slot, Transaction, classes, compaction, inventory

# A score is the cosine of two float32 rows: beyond the sixth digit it is rounding, and two items
# that differ only there are told apart by their content, the same in every copy of a catalogue.
# Items of equal score may stand on either side of the k-th place; a few more are looked at.
_SPARE = 16
_VOTERS = 50
_SEEN = 5  # classes that the voters are of at least, so that what they say does not hang on `top`
# How many times k items are looked at to rank by item and class together, and at least ten times
# so many: enough that the ranking is the one of all items in all but a few cases.
_CANDIDATES = 20
# A cosine from which on an item is the very picture that was asked about.
_SAME = 1 - 1e-5


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item near a query; neighbours are ranked by the sum of both scores.

    Attributes:
        item: its id.
        label: its class.
        score: cosine of the whitened descriptors, in [-1, 1].
        class_score: cosine of the query with the centroid of the item's class.
        sources: where its picture was found, sorted; empty for bytes and arrays.
    """

    item: int
    label: str
    score: float
    class_score: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A class a query may belong to, and what speaks for it.

    Attributes:
        label: the class.
        score: of the centroid and of the nearest item a cosine, in [-1, 1]; of the head and of both
            together a share of a softmax, in [0, 1].
    """

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Which class a picture is, how sure that is, and who says so.

    Attributes:
        label: the class that head and centroid together put first, whatever the verdict; None in
            an empty catalogue.
        verdict: ``match``, ``ambiguous``, ``disagree`` or ``unknown``.
        probability: that the label is right for a picture of some class of the catalogue, as
            measured on its own pictures; None where they are too few.
        precision: the share of answers called ``match`` that are right, as asked for; None where
            nothing could be measured.
        coverage: the share of such pictures that will be called ``match``; None likewise.
        candidates: the likeliest classes by head and centroid together, as many as it takes to be
            that sure that the right one is among them, at most as many as were asked for.
        head: classes by the softmax head, best first; empty without one.
        centroid: classes by the cosine of their centroid with the query, best first.
        neighbours: classes by the score of their nearest item, best first.
        agree: whether all of them name the same class first.
    """

    label: str | None
    verdict: Verdict = "unknown"
    probability: float | None = None
    precision: float | None = None
    coverage: float | None = None
    candidates: tuple[Candidate, ...] = ()
    head: tuple[Candidate, ...] = ()
    centroid: tuple[Candidate, ...] = ()
    neighbours: tuple[Candidate, ...] = ()
    agree: bool = False


class _Found(NamedTuple):
    """An item near a query: its score, id and label slot."""

    score: float
    item: ItemId
    slot: Slot


def nearest(
    tx: Transaction, learning: Learning, descriptors: NDArray[np.float32], k: int
) -> list[list[Neighbour]]:
    """The k nearest items of each descriptor float32 (Q, D), best first.

    Items are ranked by their own cosine with the query plus that of their class, which keeps the
    order within a class. An item that is the picture itself comes first in any case.

    Raises:
        InvalidInput: k < 1.
    """
    if k < 1:
        raise InvalidInput(f"the number of neighbours must be at least 1, not {k}")
    metric, centroids = learning.metric(tx)
    slots = centroids.keys.tolist()
    names = dict(zip(slots, classes.names_of(tx, slots), strict=True))
    column = {slot: at for at, slot in enumerate(slots)}
    of_classes = centroids.scores(metric.whiten(descriptors))
    answers = []
    for row, found in zip(
        of_classes, _items(tx, learning, descriptors, max(k, 10) * _CANDIDATES), strict=True
    ):
        own = {slot: float(row[at]) for slot, at in column.items()}
        ranks = tie_ranks(np.array([f.score + own[f.slot] for f in found])).tolist()
        keys = [
            (f.score < _SAME, rank, at)
            for at, (f, rank) in enumerate(zip(found, ranks, strict=True))
        ]
        best = [found[at] for _, _, at in sorted(keys)[:k]]
        answers.append(
            [
                Neighbour(
                    f.item, names[f.slot], f.score, own[f.slot], inventory.sources(tx, f.item)
                )
                for f in best
            ]
        )
    return answers


def predict(
    tx: Transaction,
    learning: Learning,
    descriptors: NDArray[np.float32],
    top: int,
    precision: float = PRECISION,
) -> list[Prediction]:
    """Which class each descriptor float32 (Q, D) belongs to; at most ``top`` candidates each.

    Raises:
        InvalidInput: top < 1, or the precision is not between 0 and 1.
    """
    if top < 1:
        raise InvalidInput(f"the number of candidates must be at least 1, not {top}")
    order = [slot for slot, _ in classes.live(tx)]
    if not order:
        return [Prediction(None)] * len(descriptors)
    if not len(descriptors):
        return []
    bare = compaction.classes_without_items(tx)
    has_items = np.array([slot not in bare for slot in order])
    witnesses = _testify(tx, learning, descriptors, order, has_items, top=top)
    judgement = judge(witnesses, learning.calibration(tx), precision)
    labels = classes.names_of(tx, order)
    return [
        _prediction(witnesses, judgement, at, labels, has_items, top=top)
        for at in range(len(descriptors))
    ]


def _testify(
    tx: Transaction,
    learning: Learning,
    descriptors: NDArray[np.float32],
    order: Sequence[int],
    has_items: NDArray[np.bool_],
    *,
    top: int,
) -> Witnesses:
    """What each witness says of descriptors float32 (Q, D) about the classes in ``order``.

    The nearest items are looked for until each query has seen ``top`` classes; the others get the
    score of the last item. Where all descriptors of a class were dropped, its centroid stands in
    for its items.
    """
    metric, centroids = learning.metric(tx)
    scores = centroids.scores(metric.whiten(descriptors))
    columns = places_of(np.array(order, np.int64), centroids.keys.tolist())
    wanted = min(max(top, _SEEN), int(has_items.sum()))
    voters = _with_enough_classes(tx, learning, descriptors, wanted)
    centroid, learnt = scores[:, columns], learning.head(tx)
    head = None
    if learnt is not None:
        head = head_scores(learnt.head, learnt.metric, descriptors, order, centroid)
    scale = learnt.logit_scale if learnt else None
    neighbours = np.where(has_items, _vote(voters, order), centroid)
    return Witnesses(centroid, head, neighbours, scale)


def _vote(voters: Sequence[Sequence[_Found]], order: Sequence[int]) -> NDArray[np.float32]:
    """The score of each class's nearest item among the voters: float32 (Q, C)."""
    place = {slot: at for at, slot in enumerate(order)}
    scores = np.full((len(voters), len(order)), -1, np.float32)
    for row, found in zip(scores, voters, strict=True):
        if found:
            row[:] = found[-1].score
        for one in reversed(found):
            row[place[one.slot]] = one.score
    return scores


def _prediction(
    witnesses: Witnesses,
    judgement: Judgement,
    at: int,
    labels: Sequence[str],
    has_items: NDArray[np.bool_],
    *,
    top: int,
) -> Prediction:
    shares, probability = judgement.shares[at], judgement.probability
    wanted = judgement.precision or PRECISION
    head = None if judgement.head_shares is None else judgement.head_shares[at]
    return Prediction(
        label=labels[judgement.chosen[at]],
        verdict=judgement.verdicts[at],
        probability=None if probability is None else float(probability[at]),
        precision=judgement.precision,
        coverage=judgement.coverage,
        candidates=_best(
            witnesses.fused[at], labels, min(top, candidate_count(shares, wanted)), shown=shares
        ),
        head=() if head is None else _best(witnesses.head_or_centroid[at], labels, top, shown=head),
        centroid=_best(witnesses.centroid[at], labels, top),
        neighbours=_best(
            witnesses.neighbours[at, has_items], list(compress(labels, has_items)), top
        ),
        agree=len({int(named[at]) for named in witnesses.named}) == 1,
    )


def _best(
    scores: NDArray[np.floating],
    labels: Sequence[str],
    top: int,
    *,
    shown: NDArray[np.float64] | None = None,
) -> tuple[Candidate, ...]:
    """The best classes; of equal scores, give or take rounding, the one that comes first.

    What is ``shown`` of them may be a softmax, which enlarges rounding, so it does not rank them.
    """
    order = np.argsort(tie_ranks(scores), kind="stable")[:top]
    values = scores if shown is None else shown
    return tuple(Candidate(labels[at], float(values[at])) for at in order.tolist())


def _items(
    tx: Transaction, learning: Learning, descriptors: NDArray[np.float32], k: int
) -> list[list[_Found]]:
    """The k nearest items of each descriptor, best first."""
    metric, _ = learning.metric(tx)
    scores, ids = learning.items(tx).search(
        descriptors, k + _SPARE, metric, lambda wanted: learning.descriptors(tx, wanted)
    )
    live = {slot for slot, _ in classes.live(tx)}
    known = _labels_and_contents(tx, np.unique(ids).tolist(), live)
    return [
        [
            _Found(score, ItemId(item), known[item][0])
            for score, item in _ranked(row_scores, row_ids, lambda item: known[item][1])[:k]
        ]
        for row_scores, row_ids in zip(scores.tolist(), ids.tolist(), strict=True)
    ]


def _with_enough_classes(
    tx: Transaction, learning: Learning, descriptors: NDArray[np.float32], classes: int
) -> list[list[_Found]]:
    """The nearest items of each descriptor, as many as it takes to see so many classes."""
    k, most = _VOTERS, len(learning.items(tx))
    found = _items(tx, learning, descriptors, k)
    while k < most and any(len({one.slot for one in row}) < classes for row in found):
        k = min(4 * k, most)
        found = _items(tx, learning, descriptors, k)
    return found


def _ranked(
    scores: Sequence[float], keys: Sequence[int], name: Callable[[int], Any]
) -> list[tuple[float, int]]:
    """Scores and keys, best first; scores that tie go by name."""
    ranks = tie_ranks(np.array(scores, np.float64)).tolist()
    order = sorted(range(len(keys)), key=lambda at: (ranks[at], name(keys[at])))
    return [(scores[at], keys[at]) for at in order]


def _labels_and_contents(
    tx: Transaction, items: Sequence[int], live: set[Slot]
) -> dict[int, tuple[Slot, bytes]]:
    """Label slot and content hash of items."""
    known = inventory.slots_and_contents(tx, items)
    found = {item: (slot, content) for item, (slot, content) in known.items() if slot in live}
    lost = [item for item in items if item not in found]
    if lost:
        raise Damaged(f"item {lost[0]} has lost its class; `catalog verify` says what is wrong")
    return found
