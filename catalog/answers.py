"""Answers to a picture: its nearest items, and which class it is, cross-checked.

They are functions of a snapshot, and of stored descriptors where the metric has moved since the
index was built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput
from catalog.judging.cross_check import (
    PRECISION,
    Evidence,
    Judgement,
    Verdict,
    candidate_count,
    judge,
)
from catalog.judging.ranking import tie_ranks
from catalog.judging.witnesses import Witnesses, head_scores
from catalog.learning.candidates import (
    SPARE,
    Fetch,
    Found,
    Queries,
    candidates,
    of_enough_classes,
    promising,
    ranked_anew,
)
from catalog.learning.snapshot import JudgingSnapshot, Snapshot

_SEEN = 5  # classes that the voters are of at least, so that what they say does not hang on `top`
# How many times k items are looked at to rank by item and class together, and at least ten times
# so many: enough that the ranking is the one of all items in all but a few cases.
_CANDIDATES = 20
# So many descriptors are looked up together at most, which bounds the memory that it takes.
_AT_ONCE = 256

FEW_PICTURES = 10
"""Of a class of fewer pictures more would make answers surer; ``benchmarks/MADE_UP.md`` has what
one, two, five and more pictures a class come to."""

COPY_COSINE = 1 - 1e-5
"""A cosine from which on an item is the very picture that was asked about."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item near a query; neighbours are ranked by the sum of both scores.

    Attributes:
        item: its id.
        label: its class.
        score: cosine of the whitened descriptors, in [-1, 1].
        class_score: cosine of the query with the centroid of the item's class.
        sources: where its picture was found, as recorded then, sorted; empty for bytes and arrays.
        content: the SHA-256 that its picture goes by, 64 hexadecimal digits: what lies at its
            sources now may be another picture.
    """

    item: int
    label: str
    score: float
    class_score: float
    sources: tuple[str, ...]
    content: str


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
            measured on its own pictures; None where they are too few, or where photos made up of
            a picture are all the evidence, and this one is less like it than half of them.
        evidence: what that rests on: pictures of the class that were ``held out``, or photos that
            were ``made up`` of one where it has no other; None without a probability.
        precision: the share of answers called ``match`` that are right, as asked for; None where
            nothing could be measured.
        coverage: the share of such pictures that will be called ``match``; None likewise.
        candidates: the likeliest classes by head and centroid together, as many as it takes to be
            that sure that the right one is among them, at most as many as were asked for.
        head: classes by the softmax head, best first; empty without one.
        centroid: classes by the cosine of their centroid with the query, best first.
        neighbours: classes by the score of their nearest item, best first.
        agree: whether all of them name the same class first.
        surer: the classes in doubt, if it is neither a match nor unknown, that more photos would
            tell apart better: those that have few.
    """

    label: str | None
    verdict: Verdict = "unknown"
    probability: float | None = None
    evidence: Evidence | None = None
    precision: float | None = None
    coverage: float | None = None
    candidates: tuple[Candidate, ...] = ()
    head: tuple[Candidate, ...] = ()
    centroid: tuple[Candidate, ...] = ()
    neighbours: tuple[Candidate, ...] = ()
    agree: bool = False
    surer: tuple[str, ...] = ()


class Ranked(NamedTuple):
    """The best items for a query, best first.

    Attributes:
        places: int64 (K,), theirs in the snapshot's moment.
        scores: float64 (K,), their cosines with the query.
        class_scores: float64 (K,), the cosines of their classes' centroids with the query.
    """

    places: NDArray[np.int64]
    scores: NDArray[np.float64]
    class_scores: NDArray[np.float64]


Sources: TypeAlias = Callable[[Sequence[int]], Sequence[tuple[str, ...]]]
"""Item ids to where their pictures were found."""


def nearest(
    snapshot: Snapshot,
    descriptors: NDArray[np.float32],
    k: int,
    fetch: Fetch,
    sources: Sources,
) -> list[list[Neighbour]]:
    """The k nearest items of each descriptor float32 (Q, D), best first, as :func:`rank` says.

    Raises:
        InvalidInput: k < 1.
    """
    if k < 1:
        raise InvalidInput(f"the number of neighbours must be at least 1, not {k}")
    moment = snapshot.moment
    answers = []
    for near in rank(snapshot, descriptors, k, fetch):
        items = moment.items[near.places].tolist()
        found = zip(
            items,
            moment.slots[near.places].tolist(),
            near.scores.tolist(),
            near.class_scores.tolist(),
            sources(items),
            moment.contents[near.places].astype(">u8"),
            strict=True,
        )
        answers.append(
            [
                Neighbour(
                    item, moment.names[slot], score, class_score, places, content.tobytes().hex()
                )
                for item, slot, score, class_score, places, content in found
            ]
        )
    return answers


def rank(
    snapshot: Snapshot, descriptors: NDArray[np.float32], k: int, fetch: Fetch
) -> list[Ranked]:
    """The k best items of each descriptor float32 (Q, D).

    Items are ranked by their own cosine with the query plus that of their class, which keeps the
    order within a class. An item that is the picture itself comes first in any case.
    """
    queries = Queries(descriptors)
    of_classes = snapshot.centroids.scores(queries.under(snapshot.metric))
    found = candidates(snapshot, queries, max(k, 10) * _CANDIDATES + SPARE)
    if not snapshot.is_exact:
        found = [
            near.of(promising(near, row, k)) for near, row in zip(found, of_classes, strict=True)
        ]
        found = ranked_anew(snapshot, queries, found, fetch)
    ranked = []
    for row, near in zip(of_classes, found, strict=True):
        own = row[near.classes].astype(np.float64)
        best = np.lexsort((tie_ranks(near.scores + own), near.scores < COPY_COSINE))[:k]
        ranked.append(Ranked(near.places[best], near.scores[best], own[best]))
    return ranked


def predict(
    snapshot: JudgingSnapshot,
    descriptors: NDArray[np.float32],
    top: int,
    fetch: Fetch,
    precision: float = PRECISION,
) -> list[Prediction]:
    """Which class each descriptor float32 (Q, D) belongs to; at most ``top`` candidates each.

    Raises:
        InvalidInput: top < 1, or the precision is not between 0 and 1.
    """
    if top < 1:
        raise InvalidInput(f"the number of candidates must be at least 1, not {top}")
    if not snapshot.moment.order:
        return [Prediction(None)] * len(descriptors)
    return [
        answer
        for start in range(0, len(descriptors), _AT_ONCE)
        for answer in _predict(
            snapshot, descriptors[start : start + _AT_ONCE], top, fetch, precision
        )
    ]


def _predict(
    snapshot: JudgingSnapshot,
    descriptors: NDArray[np.float32],
    top: int,
    fetch: Fetch,
    precision: float,
) -> list[Prediction]:
    """The same of not too many, where there are classes."""
    moment = snapshot.moment
    has_items = _has_items(snapshot)
    pictures = np.bincount(moment.class_places, minlength=len(moment.order))
    whole = np.array([slot not in moment.compacted for slot in moment.order])
    few = whole & (pictures < FEW_PICTURES)
    witnesses = testify(snapshot, descriptors, top, fetch)
    judgement = judge(witnesses, snapshot.calibration, precision)
    labels = [moment.names[slot] for slot in moment.order]
    places = _places(witnesses, has_items, top)
    return [
        replace(
            _prediction(witnesses, judgement, at, labels, places, top=top),
            surer=tuple(
                labels[place] for place in _doubted(witnesses, judgement, at) if few[place]
            ),
        )
        for at in range(len(descriptors))
    ]


def testify(
    snapshot: JudgingSnapshot, descriptors: NDArray[np.float32], top: int, fetch: Fetch
) -> Witnesses:
    """What each witness says of descriptors float32 (Q, D) about the classes.

    The nearest items are looked for until each query has seen ``top`` classes and another; the
    rest get the score of the last item. Where all descriptors of a class were dropped, its
    centroid stands in for its items.
    """
    queries = Queries(descriptors)
    centroid = snapshot.centroids.scores(queries.under(snapshot.metric))
    has_items = _has_items(snapshot)
    # One more than is told, or a class that was not seen would tie with the last that was.
    wanted = min(max(top, _SEEN) + 1, int(has_items.sum()))
    voters = of_enough_classes(snapshot, queries, wanted, fetch)
    head, learnt, order = None, snapshot.head, snapshot.moment.order
    if learnt is not None:
        head = head_scores(learnt.head, queries.under(learnt.metric), order, centroid)
    scale = learnt.logit_scale if learnt else None
    made_up = snapshot.calibration.stands_in(order) if snapshot.calibration else None
    neighbours = np.where(has_items, _vote(voters, len(order)), centroid)
    return Witnesses(centroid, head, neighbours, scale, made_up)


def _has_items(snapshot: Snapshot) -> NDArray[np.bool_]:
    """Which classes have items that can be found: bool (C,)."""
    return np.array([slot not in snapshot.moment.bare for slot in snapshot.moment.order])


def _vote(voters: Sequence[Found], count: int) -> NDArray[np.float32]:
    """The score of each class's nearest item among the voters: float32 (Q, C)."""
    scores = np.full((len(voters), count), -1, np.float32)
    for row, found in zip(scores, voters, strict=True):
        if len(found.scores):
            row[:] = found.scores[-1]
            row[found.classes[::-1]] = found.scores[::-1]  # the last that is set is the best
    return scores


class _Places(NamedTuple):
    """The places of the best classes for each query, best first.

    Attributes:
        fused: int64 (Q, T), by head and centroid together.
        head: likewise, by the head.
        centroid: likewise, by the centroid.
        neighbours: likewise, by the nearest item, of those that have items.
    """

    fused: NDArray[np.int64]
    head: NDArray[np.int64]
    centroid: NDArray[np.int64]
    neighbours: NDArray[np.int64]


def _places(witnesses: Witnesses, has_items: NDArray[np.bool_], top: int) -> _Places:
    """The best classes by each witness; of equal scores, give or take rounding, the first."""

    def best(scores: NDArray[np.floating]) -> NDArray[np.int64]:
        return np.argsort(tie_ranks(scores), axis=1, kind="stable")[:, :top]

    bearing = np.flatnonzero(has_items)
    return _Places(
        best(witnesses.fused),
        best(witnesses.head_or_centroid),
        best(witnesses.centroid),
        bearing[best(witnesses.neighbours[:, bearing])],
    )


def _prediction(
    witnesses: Witnesses,
    judgement: Judgement,
    at: int,
    labels: Sequence[str],
    places: _Places,
    *,
    top: int,
) -> Prediction:
    shares = judgement.shares[at]
    wanted = judgement.precision or PRECISION
    head = None if judgement.head_shares is None else judgement.head_shares[at]
    count = min(top, candidate_count(shares, wanted))
    return Prediction(
        label=labels[judgement.chosen[at]],
        verdict=judgement.verdicts[at],
        probability=judgement.probability_of(at),
        evidence=judgement.evidence[at],
        precision=judgement.precision,
        coverage=judgement.coverage,
        # A softmax enlarges rounding, so what is told of classes does not rank them.
        candidates=_told(places.fused[at, :count], labels, shares),
        head=() if head is None else _told(places.head[at], labels, head),
        centroid=_told(places.centroid[at], labels, witnesses.centroid[at]),
        neighbours=_told(places.neighbours[at], labels, witnesses.neighbours[at]),
        agree=len({int(named[at]) for named in witnesses.named}) == 1,
    )


def _doubted(witnesses: Witnesses, judgement: Judgement, at: int) -> tuple[int, ...]:
    """The places of the classes that an answer hesitates between; none if it does not."""
    if judgement.verdicts[at] in {"match", "unknown"}:
        return ()
    chosen = int(judgement.chosen[at])
    others = [int(named[at]) for named in witnesses.named if named[at] != chosen]
    if not others and witnesses.fused.shape[1] > 1:
        scores = witnesses.fused[at].copy()
        scores[chosen] = -np.inf
        others = [int(scores.argmax())]
    return chosen, *others[:1]


def _told(
    places: NDArray[np.int64], labels: Sequence[str], values: NDArray[np.floating]
) -> tuple[Candidate, ...]:
    """Classes by their places, with what is told of them."""
    return tuple(Candidate(labels[at], float(values[at])) for at in places.tolist())
