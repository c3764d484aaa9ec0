"""New classes proposed from photos that no class was found for.

Photos that were answered "unknown" and kept are brought together, the two most alike clusters
first, as long as their means are alike enough. Means, not pairs of photos: a mean is less noisy
than what it is the mean of, so clusters of one thing find each other, and no chain of photos joins
two things. Of 700 photos of 20 groceries that a catalogue does not have, among 200 of anything,
that puts 65 in 100 of a class into one cluster, with purity .84 and a tenth of the 200 taken in;
the mean over pairs puts 53 there, with .88 and four tenths; single linkage 57, with .81.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, unit_rows
from catalog.index import typical_stranger_cosine
from catalog.judging.ranking import tie_ranks

MOST_PHOTOS = 5000
"""How many photos are compared with each other at most; their cosines take 4 bytes a pair."""

STRANGER_QUANTILE = 0.95
"""Clusters are one thing if they are more alike than this share of the items of a catalogue are to
the item of another class that is most like them."""

UNTRIED_THRESHOLD = 0.6
"""The threshold of a catalogue without two classes, which has no strangers to measure it by."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Photos that look like one thing.

    Attributes:
        members: their positions, the most central first.
        cosine: the mean over all pairs of them.
    """

    members: tuple[int, ...]
    cosine: float


@dataclass(frozen=True, slots=True)
class Clustering:
    """The classes proposed, the largest first, and how many photos are like no other."""

    clusters: tuple[Cluster, ...]
    alone: int


def proposal_threshold(rows: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """From what cosine on clusters of photos are one thing, by what a catalogue shows.

    Args:
        rows: float32 (N, D), the whitened descriptors of its items.
        classes: int64 (N,), the class of each.
    """
    if len(np.unique(classes)) < 2:
        return UNTRIED_THRESHOLD
    return typical_stranger_cosine(rows, classes, STRANGER_QUANTILE)


def propose_classes(rows: NDArray[np.float32], threshold: float) -> Clustering:
    """Bring photos of one thing together.

    Args:
        rows: float32 (M, D), their whitened descriptors, finite and of unit length.
        threshold: from what cosine of their means on two clusters are one; see
            :func:`proposal_threshold`.

    Raises:
        InvalidInput: the rows are not as described, or more than :data:`MOST_PHOTOS`.
    """
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InvalidInput(f"photos must be finite and of shape (M, D), not {rows.shape}")
    if len(rows) > MOST_PHOTOS:
        raise InvalidInput(
            f"{len(rows)} photos are too many to compare with each other; give at most "
            f"{MOST_PHOTOS}, the latest, say"
        )
    if len(rows) < 2:
        return Clustering((), len(rows))
    clusters = _Agglomeration(rows)
    clusters.merge(threshold)
    members = clusters.members.values()
    found = [_cluster(rows, sorted(photos)) for photos in members if len(photos) > 1]
    found.sort(key=lambda p: (-len(p.members), -p.cosine, min(p.members)))
    return Clustering(tuple(found), sum(len(photos) == 1 for photos in members))


def _cluster(rows: NDArray[np.float32], members: list[int]) -> Cluster:
    inside = rows[members].astype(np.float64)
    total = inside.sum(axis=0)
    count = len(members)
    pairs = (total @ total - np.square(inside).sum()) / (count * (count - 1))
    order = np.argsort(tie_ranks(inside @ total / count), kind="stable")
    return Cluster(tuple(members[at] for at in order.tolist()), float(pairs))


class _Agglomeration:
    """Greedy agglomeration by the cosine of means, with the most alike other of each at hand.

    A cluster goes by its first photo; the sum of its rows stands for their mean. ``_alike`` holds
    the cosines, -inf with itself and with what was merged into another.
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.members = {at: [at] for at in range(len(rows))}
        self._sums = rows.astype(np.float32)
        self._units = self._sums.copy()
        self._alike = rows @ rows.T
        np.fill_diagonal(self._alike, -np.inf)
        self._nearest = self._alike.argmax(axis=1)
        self._best = self._alike.max(axis=1)

    def merge(self, threshold: float) -> None:
        """Merge the two most alike clusters while their cosine is above a threshold."""
        while self._best[one := int(self._best.argmax())] > threshold:
            one, other = sorted((one, int(self._nearest[one])))
            self.members[one] += self.members.pop(other)
            self._sums[one] += self._sums[other]
            self._units[one] = unit_rows(self._sums[[one]])[0]
            self._alike[other] = self._alike[:, other] = -np.inf
            self._best[other] = -np.inf
            self._compare(one, other)

    def _compare(self, one: int, other: int) -> None:
        """Bring up to date what is alike, after ``other`` went into ``one``."""
        alike = np.where(self._best > -np.inf, self._units @ self._units[one], -np.inf)
        alike[one] = -np.inf
        self._alike[one] = self._alike[:, one] = alike
        lost = (self._nearest == one) | (self._nearest == other)
        lost[one] = True
        # Where `one` came closer than the nearest, the pair is found from the side of `one`.
        for at in np.flatnonzero(lost & (self._best > -np.inf)):
            self._nearest[at] = self._alike[at].argmax()
            self._best[at] = self._alike[at].max()
