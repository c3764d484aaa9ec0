"""What each witness says of a query about each class: head, centroid and nearest item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from catalog.head import Head
from catalog.judging.ranking import first_best

HEAD_SHARE = 0.4
"""What the head's logits, in the units of a cosine, weigh against the centroids' cosines."""


@dataclass(frozen=True)
class Witnesses:
    """Scores of Q queries and C classes, in one order of classes that is not that of history.

    Attributes:
        centroid: float32 (Q, C), cosines with the class means.
        head: float32 (Q, C), logits divided by the mean length of the head's columns; None without
            a head.
        neighbours: float32 (Q, C), the score of each class's nearest item.
        logit_scale: what turns the head's scores back into logits, where its own softmax is to be
            believed; None where its temperature is measured.
        made_up: bool (C,), which classes have no pictures to hold out, so that photos made up of
            one stand in; None where none does.
    """

    centroid: NDArray[np.float32]
    head: NDArray[np.float32] | None
    neighbours: NDArray[np.float32]
    logit_scale: float | None = None
    made_up: NDArray[np.bool_] | None = None

    @classmethod
    def stacked(cls, parts: Sequence[Witnesses]) -> Witnesses:
        """The queries of several, one after another."""
        heads = [part.head for part in parts if part.head is not None]
        return cls(
            np.concatenate([part.centroid for part in parts]),
            np.concatenate(heads) if heads else None,
            np.concatenate([part.neighbours for part in parts]),
            parts[0].logit_scale,
            parts[0].made_up,
        )

    def of(self, queries: NDArray[np.bool_]) -> Witnesses:
        """Those of some queries, bool (Q,)."""
        head = None if self.head is None else self.head[queries]
        return replace(
            self, centroid=self.centroid[queries], head=head, neighbours=self.neighbours[queries]
        )

    @property
    def stands_in(self) -> NDArray[np.bool_]:
        """Which classes photos that were made up stand in for: bool (C,)."""
        none = np.zeros(self.centroid.shape[1], np.bool_)
        return none if self.made_up is None else self.made_up

    @property
    def without_head(self) -> Witnesses:
        """Centroids and nearest items alone."""
        return replace(self, head=None, logit_scale=None)

    @property
    def familiarity(self) -> NDArray[np.float32]:
        """The cosine of each query with its nearest centroid, float32 (Q,)."""
        return np.asarray(self.centroid.max(axis=1), np.float32)

    @property
    def head_or_centroid(self) -> NDArray[np.float32]:
        """The head's scores, or the centroids' where there is no head."""
        return self.centroid if self.head is None else self.head

    @cached_property
    def fused(self) -> NDArray[np.float32]:
        """Head and centroid together, float32 (Q, C): the class with the most is the answer."""
        if self.head is None:
            return self.centroid
        return np.asarray(self.centroid + HEAD_SHARE * self.head, np.float32)

    @cached_property
    def named(self) -> tuple[NDArray[np.int64], ...]:
        """The class that each witness puts first, int64 (Q,): centroid, head if any, neighbours."""
        heads = () if self.head is None else (self.head,)
        return tuple(first_best(scores) for scores in (self.centroid, *heads, self.neighbours))

    def without(self, classes: NDArray[np.int64]) -> Witnesses:
        """The same, had each query's class int64 (Q,) not been there."""
        rows = np.arange(len(classes))

        def masked(scores: NDArray[np.float32]) -> NDArray[np.float32]:
            left = scores.copy()
            left[rows, classes] = scores.min(axis=1) - 1
            return left

        head = None if self.head is None else masked(self.head)
        return replace(
            self, centroid=masked(self.centroid), head=head, neighbours=masked(self.neighbours)
        )


def head_scores(
    head: Head,
    rows: NDArray[np.float32],
    order: Sequence[int],
    centroid: NDArray[np.float32],
) -> NDArray[np.float32]:
    """A head's logits in the units of a cosine: float32 (Q, C).

    Args:
        head: its keys are class ids.
        rows: float32 (Q, D), the queries, whitened by the metric that is the head's.
        order: the class ids to score, one for each column.
        centroid: float32 (Q, C), the cosines with their centroids, which stand in for classes that
            the head has no column for yet.
    """
    logits = head.logits(rows) / np.float32(head.scale)
    column = {label: at for at, label in enumerate(head.classes.tolist())}
    has = np.array([label in column for label in order])
    scores = centroid.copy()
    scores[:, has] = logits[:, [column[label] for label in order if label in column]]
    return scores


def margins(scores: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """How far a class int64 (Q,) is ahead of the best other one: float32 (Q,)."""
    rows = np.arange(len(classes))
    own = scores[rows, classes]
    if scores.shape[1] < 2:
        return own
    others = scores.copy()
    others[rows, classes] = -np.inf
    return np.asarray(own - others.max(axis=1), np.float32)


class NearestOfClass:
    """The best score of each class's items, which come some at a time.

    Args:
        queries: Q.
        classes: C.
    """

    def __init__(self, queries: int, classes: int) -> None:
        self._best = np.full((queries, classes), -np.inf, np.float32)
        self._lowest = np.full((queries, 1), np.inf, np.float32)

    def see(self, scores: NDArray[np.float32], positions: NDArray[np.int64]) -> None:
        """Take in the scores float32 (Q, B) of some items, and their classes int64 (B,)."""
        order = np.argsort(positions, kind="stable")
        present, starts = np.unique(positions[order], return_index=True)
        best = np.maximum.reduceat(scores[:, order], starts, axis=1)
        self._best[:, present] = np.maximum(self._best[:, present], best)
        self._lowest = np.minimum(self._lowest, scores.min(axis=1, keepdims=True))

    @property
    def scores(self) -> NDArray[np.float32]:
        """float32 (Q, C); a class that has no item gets the lowest score there is."""
        return np.where(np.isneginf(self._best), self._lowest, self._best)
