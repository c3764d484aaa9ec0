"""Each item judged by the catalogue without it and without its group.

A picture is judged by the catalogue without it and without its group (the pictures of its class
that are one occasion with it), or bursts would vouch for themselves. Nothing is learnt again for
that: what a group adds to the class means and to the metric can be taken out of both in closed
form. The scatter within classes is S = sum e e' over the deviations e of pictures from their class
mean, and its inverse is the metric. Leaving out r pictures of a class of n takes E' W E out of S,
with E their deviations and W = I + 11' / (n - r). In whitened coordinates S is the identity, so

    (I - B' B)^-1 = I + F' F,   B = W^(1/2) E / sqrt(degrees),   F = (I - B B')^(-1/2) B

(Woodbury): the inner product without the group is the one with it, plus that of the r coordinates
``F x``. The shift of the common mean and of the prior's weight is left aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.whitening import PRIOR_DEGREES
from catalog.judging.ranking import ROUNDING, first_best
from catalog.learning.snapshot import Snapshot

_BATCH = 2048  # items compared with all centroids at a time
_LEFT_OUT = -2.0  # below any cosine
_TINY = 1e-30
_LARGEST_PART = 0.9999  # of a direction's scatter that one group may hold; all of it is rounding


@dataclass(frozen=True, slots=True)
class GroupedItems:
    """The items, those of a class in a row, and in it those of a group.

    Attributes:
        order: int64 (N,), the place in the moment of each.
        names: of the classes, which are numbered in the order of the centroids.
        class_of: int64 (N,).
        group_of: int64 (N,).
        classes: where each class is.
        groups: where each group is.
    """

    order: NDArray[np.int64]
    names: list[str]
    class_of: NDArray[np.int64]
    group_of: NDArray[np.int64]
    classes: list[slice]
    groups: list[slice]

    @classmethod
    def of(cls, snapshot: Snapshot, groups: NDArray[np.int64]) -> GroupedItems:
        """Sort the items of a snapshot by class and group, groups int64 (N,)."""
        slots, class_of = snapshot.moment.order, snapshot.moment.class_places
        order = np.lexsort((groups, class_of))
        class_of, sorted_groups = class_of[order], groups[order]
        group_of = np.cumsum(np.diff(sorted_groups, prepend=sorted_groups[:1]) != 0)
        return cls(
            order,
            [snapshot.moment.names[slot] for slot in slots],
            class_of,
            group_of,
            _runs(class_of, len(slots)),
            _runs(group_of, int(group_of[-1]) + 1 if len(order) else 0),
        )

    def sums(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (C,), of weights float64 (N,)."""
        return np.asarray(np.bincount(self.class_of, weights, len(self.names)), dtype=np.float64)

    def means(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (C, D), of rows float32 (N, D); 0 for a class without items."""
        means = np.zeros((len(self.names), rows.shape[1]), np.float32)
        for number, where in enumerate(self.classes):
            if where.stop > where.start:
                means[number] = rows[where].mean(axis=0, dtype=np.float64)
        return means


def _runs(numbers: NDArray[np.int64], count: int) -> list[slice]:
    """Where each of the numbers below a count is, in a rising array of them."""
    ends = np.cumsum(np.bincount(numbers, minlength=count)).tolist()
    return [slice(start, end) for start, end in pairwise([0, *ends])]


class LeaveGroupOut:
    """What the catalogue says of each item without its group; arrays (N,), in their order.

    Attributes:
        weight: the share of the item's class that is outside its group; 0 where that, or another
            class, is missing: then the scores are 0 and mean nothing.
        own_score: of its class's centroid.
        rival: the number of the best other class.
        rival_score: of its centroid.
    """

    def __init__(self, snapshot: Snapshot, raw: NDArray[np.float32], items: GroupedItems) -> None:
        self.weight = np.zeros(len(raw))
        self.own_score = np.zeros(len(raw))
        self.rival = np.zeros(len(raw), np.int64)
        self.rival_score = np.zeros(len(raw))
        if len(items.names) < 2:
            return
        self._items = items
        self._rows = snapshot.metric.project(raw)
        self._squares = _squares(self._rows)
        self._means = items.means(self._rows)
        self._part = _part(raw, items)
        judged = [group for group in items.groups if self._size(group) > group.stop - group.start]
        for _, batch in groupby(judged, lambda group: group.stop // _BATCH):
            self._judge(list(batch), snapshot.centroids.rows)

    @property
    def lead(self) -> NDArray[np.float64]:
        """How far the rival is ahead, float64 (N,); 0 where that is rounding."""
        lead = self.rival_score - self.own_score
        return np.where(np.abs(lead) > ROUNDING, lead, 0.0)

    def added(self, group: slice) -> NDArray[np.float32]:
        """F of a group: what coordinates the metric without it has in addition; float32 (k, D)."""
        rows, size = self._rows[group].astype(np.float64), self._size(group)
        steps = rows - self._means[self._items.class_of[group.start]]
        steps += (np.sqrt(size / (size - len(steps))) - 1) * steps.mean(axis=0)
        steps *= np.sqrt(self._part)
        if len(steps) > steps.shape[1]:
            steps = np.asarray(np.linalg.qr(steps, mode="r"), dtype=np.float64)
        parts, axes = np.linalg.eigh(steps @ steps.T)
        left = 1 - np.clip(parts, 0, _LARGEST_PART)
        return np.asarray(axes.T @ steps / np.sqrt(left)[:, None], dtype=np.float32)

    def nearest(
        self, asked: list[int], added: NDArray[np.float32], number: int
    ) -> list[tuple[float, int]]:
        """The nearest item of a class to items of one group: its score and place.

        Args:
            asked: items of the group, which is left out.
            added: of the group.
            number: of the class, which has other items.
        """
        where, own = self._items.classes[number], self._items.class_of[asked[0]]
        group = self._items.groups[self._items.group_of[asked[0]]]
        scores = _cosines(
            self._rows[asked] @ self._rows[where].T,
            (self._squares[asked], self._rows[asked] @ added.T),
            (self._squares[where], self._rows[where] @ added.T),
        )
        if number == own:
            scores[:, group.start - where.start : group.stop - where.start] = _LEFT_OUT
        best = first_best(scores)
        return list(zip(scores.max(axis=1).tolist(), (where.start + best).tolist(), strict=True))

    def _judge(self, groups: list[slice], centroids: NDArray[np.float32]) -> None:
        added = [self.added(group) for group in groups]
        # One product for many groups: each by itself would read all the centroids again.
        inner = np.concatenate([self._rows[group] for group in groups]) @ centroids.T
        more = np.concatenate(added) @ centroids.T
        ends = np.cumsum([group.stop - group.start for group in groups])[:-1]
        inners, mores = np.split(inner, ends), np.split(more, np.cumsum([*map(len, added)])[:-1])
        squares = _squares(centroids)
        for group, extra, inner_of, more_of in zip(groups, added, inners, mores, strict=True):
            side = self._squares[group], self._rows[group] @ extra.T
            scores = _cosines(inner_of, side, (squares, more_of.T))
            scores[:, self._items.class_of[group.start]] = _LEFT_OUT
            self.rival[group] = first_best(scores)
            self.rival_score[group] = scores.max(axis=1)
            rest = self._rest(group)
            rest_side = _squares(rest), rest @ extra.T
            self.own_score[group] = _cosines(self._rows[group] @ rest.T, side, rest_side)[:, 0]
            self.weight[group] = 1 - (group.stop - group.start) / self._size(group)

    def _size(self, group: slice) -> int:
        """Of the class that a group is in."""
        where = self._items.classes[self._items.class_of[group.start]]
        return int(where.stop - where.start)

    def _rest(self, group: slice) -> NDArray[np.float32]:
        """The mean of the group's class without the group; float32 (1, D)."""
        mean, rows = self._means[self._items.class_of[group.start]], self._rows[group]
        left = self._size(group) - len(rows)
        return np.asarray(mean - (rows - mean).sum(axis=0, keepdims=True) / left, np.float32)


def _part(raw: NDArray[np.float32], items: GroupedItems) -> float:
    """What a deviation e adds to a metric's scatter, as a factor of e e' (see descriptors.fit)."""
    deviations = raw - items.means(raw)[items.class_of]
    trace = float(np.square(deviations).sum(dtype=np.float64))
    observed = len(raw) - len(np.unique(items.class_of))
    if trace <= observed * 1e-9:  # copies of one picture a class: no metric learns from them
        return 0.0
    return float(observed * raw.shape[1] / trace / (observed + PRIOR_DEGREES))


_Side: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Of rows, their squared lengths (N,) and their added coordinates (N, k)."""


def _cosines(inner: NDArray[np.float32], queries: _Side, rows: _Side) -> NDArray[np.float64]:
    total: NDArray[np.float64] = (inner + queries[1] @ rows[1].T).astype(np.float64)
    total /= np.sqrt(np.maximum(queries[0] + _squares(queries[1]), _TINY))[:, None]
    total /= np.sqrt(np.maximum(rows[0] + _squares(rows[1]), _TINY))
    return total


def _squares(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("ij,ij->i", rows, rows), dtype=np.float32)


def share_of(part: float, whole: float) -> float | None:
    """A part by the whole; None if that is nothing."""
    return float(part) / float(whole) if whole > 0 else None
