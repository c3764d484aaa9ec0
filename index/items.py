"""The item predictor: every item's whitened descriptor, nearest first.

The rows are whitened once, by the metric of an *epoch*. Each addition moves the metric a little,
and whitening everything again costs about 40 us an item. Up to :data:`RENEW_ROWS` items that is
done whenever the metric moves, so answers are exact. Above it, changes join the epoch as they are,
until they are :data:`RENEW_SHARE` of the items; meanwhile the best candidates under the epoch's
metric are ranked again, exactly, under the current one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric
from catalog.index.flat import FlatIndex

RENEW_ROWS = 10_000
"""Up to how many items an epoch is renewed at every change of the metric."""

RENEW_SHARE = 0.05
"""Above that, what share of the items may have changed before an epoch is renewed."""

CANDIDATES = 20
"""How many times k are taken as candidates, and at least ten times this many."""

Fetch = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Item ids int64 (M,), distinct and rising, to their stored descriptors float32 (M, D)."""


class ItemIndex:
    """Nearest items under the current metric.

    Args:
        epoch: the metric the rows are whitened with.
        flat: the whitened rows, with item ids for keys.
        changed: how many items were added, removed or moved since the epoch began.
    """

    def __init__(self, epoch: Metric, flat: FlatIndex, changed: int = 0) -> None:
        self.epoch = epoch
        self.flat = flat
        self.changed = changed

    @classmethod
    def build(cls, metric: Metric, ids: NDArray[np.int64], rows: NDArray[np.float32]) -> ItemIndex:
        """Begin an epoch: whiten descriptors float32 (N, D) of the items int64 (N,)."""
        return cls(metric, FlatIndex(ids, metric.whiten(rows)))

    def __len__(self) -> int:
        return len(self.flat)

    def renewal_due(self, further: int) -> bool:
        """Whether so many further changes call for a new epoch."""
        changed = self.changed + further
        return changed > 0 and (
            len(self) <= RENEW_ROWS or changed > RENEW_SHARE * max(len(self), 1)
        )

    def caught_up(
        self,
        removed: NDArray[np.int64],
        added: NDArray[np.int64],
        rows: NDArray[np.float32],
        changes: int,
    ) -> ItemIndex:
        """The same epoch without some items and with others.

        Args:
            removed: int64 (R,), ids to leave out.
            added: int64 (M,), ids to take in.
            rows: float32 (M, D), their descriptors, not whitened.
            changes: how many items changed; one that only went to another class moves the metric,
                too.
        """
        flat = self.flat.extended(~np.isin(self.flat.keys, removed), added, self.epoch.whiten(rows))
        return ItemIndex(self.epoch, flat, self.changed + changes)

    def search(
        self, descriptors: NDArray[np.float32], k: int, metric: Metric, fetch: Fetch
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the items nearest to each descriptor under the current metric.

        Args:
            descriptors: float32 (Q, D), not whitened.
            k: how many; fewer come back if there are fewer items.
            metric: the current one.
            fetch: gives stored descriptors, to rank candidates again with.

        Returns:
            Scores float32 (Q, min(k, N)), falling, and item ids int64 of the same shape.
        """
        if metric is self.epoch:
            return self.flat.search(metric.whiten(descriptors), k)
        wide = max(k, 10) * CANDIDATES
        _, candidates = self.flat.search(self.epoch.whiten(descriptors), wide)
        ids = np.unique(candidates)
        rows = metric.whiten(fetch(ids))
        scores = np.empty(candidates.shape, np.float32)
        for query, found, row in zip(metric.whiten(descriptors), candidates, scores, strict=True):
            row[:] = rows[np.searchsorted(ids, found)] @ query
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, 1), np.take_along_axis(candidates, best, 1)
