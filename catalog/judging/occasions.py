"""Which pictures of a class were taken on one occasion, and so count as one.

What the owner says goes before everything. Else pictures of one occasion are those that one camera
took within ten seconds of each other, and those that look alike: as alike as a picture and a photo
made up of it. Where that was not measured for the embedder, they are those that are more alike than
three in five pictures are to anything of another class. The result is a function of the descriptors
and of what was said of them, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Prior
from catalog.index import near_duplicate_groups, typical_stranger_cosine

STRANGER_QUANTILE = 0.6
"""Where it was not measured how alike pictures and photos of them are, items of a class are one
group if they are more alike than this share of items are to the item of another class that is most
like them."""

SECONDS = 10
"""Pictures of a class that one camera took within so many seconds of each other are one group."""

_PART = 4096  # items that are whitened at a time, more only where a class has more

OCCASION_RULE = f"told, {SECONDS} s, alike or strangers {STRANGER_QUANTILE:g}"
"""How occasions are told apart, in short."""


@dataclass(frozen=True, eq=False)
class Told:
    """What is known of when N pictures were taken.

    Attributes:
        named: int64 (N,), the occasion that the owner named, -1 where none was.
        camera: int64 (N,), which camera took it, -1 where no time is known.
        taken: int64 (N,), when, in milliseconds by that camera's clock.
    """

    named: NDArray[np.int64]
    camera: NDArray[np.int64]
    taken: NDArray[np.int64]

    def of(self, which: NDArray[np.bool_]) -> Told:
        """Some of them, bool (N,)."""
        return Told(self.named[which], self.camera[which], self.taken[which])

    def in_a_row(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Runs of pictures of one class and camera without a pause: int64 (N,), -1 for none.

        Those whose occasion was named are in none.

        Args:
            positions: int64 (N,), the class of each.
        """
        camera = np.where(self.named >= 0, -1, self.camera)
        order = np.lexsort((self.taken, camera, positions))
        pause = np.diff(self.taken[order]) > 1000 * SECONDS
        pause |= np.diff(camera[order]) != 0
        pause |= np.diff(positions[order]) != 0
        runs = np.empty(len(order), np.int64)
        runs[order] = np.concatenate([[0], np.cumsum(pause)])[: len(order)]
        return np.where(camera >= 0, runs, -1)


def occasions(
    rows: NDArray[np.int16],
    positions: NDArray[np.int64],
    prior: Prior,
    told: Told | None = None,
    *,
    strangers: bool = True,
) -> NDArray[np.int64]:
    """The occasion of each item, int64 (N,): the first item that is of it.

    How alike pictures are is told under the prior's metric, which has seen none of them; the
    catalogue's own draws even unlike pictures of a class together. Where strangers are needed to
    tell, and there is no second class, nothing is alike.

    Args:
        rows: int16 (N, D), descriptors in the order of content hashes.
        positions: int64 (N,), the class of each.
        prior: of their embedder.
        told: what is known of them.
        strangers: whether strangers may tell; without, a class does not hang on the others.
    """
    none = np.full(len(rows), -1, np.int64)
    named = told.named if told else none
    together = told.in_a_row(positions) if told else none
    threshold, white = prior.alike, None
    if threshold is None:
        threshold = np.inf
        if strangers and len(np.unique(positions)) > 1:
            white = _whitened(rows, prior)
            threshold = typical_stranger_cosine(white, positions, quantile=STRANGER_QUANTILE)
    groups = np.empty(len(rows), np.int64)
    for part in _of_whole_classes(positions):
        if white is not None:
            own = white[part]
        elif threshold < np.inf:
            own = _whitened(rows[part], prior)
        else:  # nothing is alike, whatever the rows are
            own = np.zeros((len(part), 0), np.float32)
        found = near_duplicate_groups(
            own, positions[part], threshold, named=named[part], together=together[part]
        )
        groups[part] = part[found]
    return groups


def _whitened(rows: NDArray[np.int16], prior: Prior) -> NDArray[np.float32]:
    """Descriptors int16 (N, D) under a prior's metric: float32 (N, D)."""
    white, start = np.empty(rows.shape, np.float32), 0
    for block in prior.metric.whiten_stored(rows):
        white[start : start + len(block)] = block
        start += len(block)
    return white


def _of_whole_classes(positions: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Items, some thousand at a time but for large classes, no class in two parts: rising places.

    Memory is bounded so; classes have nothing to do with each other.
    """
    order = np.argsort(positions, kind="stable")
    _, starts = np.unique(positions[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    begin = 0
    for end in ends.tolist():
        if end - begin >= _PART or end == len(order):
            yield np.sort(order[begin:end])
            begin = end
