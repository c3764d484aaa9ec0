"""The items that are near descriptors, as the index of a snapshot finds them.

Where the metric has moved since the index was made, they are ranked anew by their stored
descriptors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric
from catalog.judging.ranking import tie_ranks
from catalog.learning.snapshot import Snapshot

# A score is the cosine of two float32 rows: beyond the sixth digit it is rounding, and two items
# that differ only there are told apart by their content, the same in every copy of a catalogue.
# Items of equal score may stand on either side of the k-th place; a few more are looked at.
SPARE = 16
_VOTERS = 50
# Where the metric has moved since the index was made, how many times k of them are ranked anew.
_RERANKED = 4
# And how many times as many items are looked at for each class's nearest one, and of how many of a
# class it is taken where many have to be looked at.
_DRIFT = 2
_OF_CLASS = 40

Fetch: TypeAlias = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Item ids int64 (M,) to their stored descriptors float32 (M, D)."""


class Found(NamedTuple):
    """The items near a query, best first.

    Attributes:
        scores: float64 (K,), their cosines with the query.
        places: int64 (K,), theirs in the snapshot's moment.
        classes: int64 (K,), the places of their classes in the order of names.
    """

    scores: NDArray[np.float64]
    places: NDArray[np.int64]
    classes: NDArray[np.int64]

    def of(self, which: NDArray[np.int64]) -> Found:
        """Some of them."""
        return Found(self.scores[which], self.places[which], self.classes[which])

    @property
    def ordered(self) -> Found:
        """The same, best first; scores that tie go by content hash."""
        return self.of(np.lexsort((self.places, tie_ranks(self.scores))))


class Queries:
    """Descriptors that are asked about; whitened once under each metric, which is half the work.

    Args:
        descriptors: float32 (Q, D).
    """

    def __init__(self, descriptors: NDArray[np.float32]) -> None:
        self._descriptors = descriptors
        self._under: list[tuple[Metric, NDArray[np.float32]]] = []

    def of(self, which: NDArray[np.int64]) -> Queries:
        """Some of them."""
        some = Queries(self._descriptors[which])
        some._under = [(metric, rows[which]) for metric, rows in self._under]
        return some

    def under(self, metric: Metric) -> NDArray[np.float32]:
        """Them as whitened rows float32 (Q, D)."""
        for known, rows in self._under:
            if known is metric:
                return rows
        self._under.append((metric, metric.whiten(self._descriptors)))
        return self._under[-1][1]


def candidates(snapshot: Snapshot, queries: Queries, k: int) -> list[Found]:
    """The k items that the index finds nearest to each query; of equal ones, by content."""
    index = snapshot.index
    scores, ids = index.rows.search(queries.under(index.epoch), k)
    places = snapshot.moment.places(ids)
    return [
        Found(row, at, snapshot.moment.class_places[at]).ordered
        for row, at in zip(scores.astype(np.float64), places, strict=True)
    ]


def promising(found: Found, of_classes: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Which candidates are likely to be among the k best, and surely those that look the same."""
    by_sum = np.argsort(-(found.scores + of_classes[found.classes]), kind="stable")
    return np.union1d(by_sum[: _RERANKED * max(k, 10)], np.arange(min(SPARE, len(by_sum))))


def ranked_anew(
    snapshot: Snapshot, queries: Queries, found: Sequence[Found], fetch: Fetch
) -> list[Found]:
    """The same items with their scores under the present metric, from stored descriptors."""
    wanted = np.unique(np.concatenate([near.places for near in found]))
    rows = snapshot.metric.whiten(fetch(snapshot.moment.items[wanted]))
    return [
        near._replace(
            scores=(rows[np.searchsorted(wanted, near.places)] @ query).astype(np.float64)
        ).ordered
        for query, near in zip(queries.under(snapshot.metric), found, strict=True)
    ]


def _items(snapshot: Snapshot, queries: Queries, k: int, fetch: Fetch) -> list[Found]:
    """The k nearest items of each query, best first."""
    if snapshot.is_exact:
        found = candidates(snapshot, queries, k + SPARE)
    else:
        found = candidates(snapshot, queries, _DRIFT * (k + SPARE))
        found = ranked_anew(snapshot, queries, found, fetch)
    return [near.of(np.arange(min(k, len(near.scores)))) for near in found]


def of_enough_classes(
    snapshot: Snapshot, queries: Queries, classes: int, fetch: Fetch
) -> list[Found]:
    """The nearest items of each query, as many as it takes to see so many classes.

    Of those for which that takes many, only what may be the nearest of its class.
    """
    k, most = _VOTERS, len(snapshot.index)
    found = _items(snapshot, queries, k, fetch)
    while k < most:
        lacking = np.array([len(np.unique(one.classes)) < classes for one in found], np.bool_)
        if not lacking.any():
            break
        k = min(4 * k, most)
        which = np.flatnonzero(lacking)
        wider = _best_of_classes(snapshot, queries.of(which), k, fetch)
        for at, one in zip(which.tolist(), wider, strict=True):
            found[at] = one
    return found


def _best_of_classes(snapshot: Snapshot, queries: Queries, k: int, fetch: Fetch) -> list[Found]:
    """Of the k nearest items of each query those that may be the nearest of their class.

    The last of the k is among them.
    """
    count = k + SPARE if snapshot.is_exact else _DRIFT * (k + SPARE)
    found = [near.of(_firsts(near.classes)) for near in candidates(snapshot, queries, count)]
    return found if snapshot.is_exact else ranked_anew(snapshot, queries, found, fetch)


def _firsts(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the first items of each class, int64 (K,), and of the last item of all."""
    order = np.argsort(classes, kind="stable")
    _, starts, counts = np.unique(classes[order], return_index=True, return_counts=True)
    within = np.arange(len(classes)) - np.repeat(starts, counts)
    return np.union1d(order[within < _OF_CLASS], np.arange(len(classes))[-1:])
