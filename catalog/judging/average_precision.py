"""Average precision of rankings of all items, which are never all at hand at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.judging.ranking import ROUNDING

ScoredBlock: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]
"""The class of each item of a block, int64 (B,), and the scores of queries with it, (Q, B)."""

ScoredBlocks: TypeAlias = Callable[[NDArray[np.int64]], Iterator[ScoredBlock]]
"""Some of the queries, int64 (Q,), to their scores with all items, a block of items at a time."""

_MOST_OWN = 1 << 24  # scores with items of the right class that are held at a time
_MOST_QUERIES = 1 << 10


def average_precision(
    truth: NDArray[np.int64], sizes: NDArray[np.int64], scored: ScoredBlocks
) -> NDArray[np.float64]:
    """The mean, over the items of the right class, of the precision at their places.

    Items are placed by their scores, the highest first; those whose scores differ by rounding alone
    share the mean of their places, so that no order in which they come has a say.

    Args:
        truth: int64 (Q,), the right class of each query.
        sizes: int64 (C,), how many items each class has.
        scored: called twice for every query.

    Returns:
        float64 (Q,), in [0, 1]; 0 where the class has no item.
    """
    found = np.zeros(len(truth))
    part = np.cumsum(sizes[truth] + _MOST_OWN // _MOST_QUERIES) // _MOST_OWN
    for at in np.unique(part):
        queries = np.flatnonzero(part == at)
        own = _own_scores(truth[queries], scored(queries))
        ahead = [np.zeros(len(row)) for row in own]
        for _, scores in scored(queries):
            for query, others in enumerate(np.sort(scores, axis=1)):
                ahead[query] += _ahead(own[query], others)
        for query, row, all_ahead in zip(queries.tolist(), own, ahead, strict=True):
            if len(row):
                # An item is not ahead of itself, and yet half of it was counted.
                found[query] = np.mean((_ahead(row, row) + 0.5) / (all_ahead + 0.5))
    return found


def _own_scores(
    truth: NDArray[np.int64], blocks: Iterator[ScoredBlock]
) -> list[NDArray[np.float64]]:
    """The scores of each query with the items of its class, rising."""
    parts: list[list[NDArray[np.float64]]] = [[] for _ in truth]
    for classes, scores in blocks:
        for at in np.unique(classes):
            of_class = scores[:, classes == at]
            for query in np.flatnonzero(truth == at).tolist():
                parts[query].append(of_class[query])
    return [_joined(own) for own in parts]


def _joined(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0)


def _ahead(own: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of some scores are higher than each of others, and half of those that tie."""
    above = len(others) - np.searchsorted(others, own + ROUNDING, side="right")
    reached = len(others) - np.searchsorted(others, own - ROUNDING, side="left")
    return np.asarray((above + reached) / 2, np.float64)
