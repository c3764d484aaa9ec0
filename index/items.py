"""The index of items: every item's whitened descriptor, nearest first.

The rows are whitened once, by the metric of an *epoch*. Each addition moves the metric a little,
and whitening everything again costs about 40 us an item. Up to :data:`RENEW_ROWS` items that is
done whenever the metric moves, so what is found is exact. Above it, changes join the epoch as they
are, until they are :data:`RENEW_SHARE` of the items; meanwhile what is found are candidates, and
whoever asks ranks the best of them again by their stored descriptors, under the current metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric

RENEW_ROWS = 10_000
"""Up to how many items an epoch is renewed at every change of the metric."""

RENEW_SHARE = 0.05
"""Above that, what share of the items may have changed before an epoch is renewed."""


class Index(Protocol):
    """What finds the rows nearest to a query; it need not give them back, nor have them here."""

    def __len__(self) -> int:
        """How many rows there are."""

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k rows with the largest inner product.

        Args:
            queries: float32 (Q, D), finite.
            k: how many; fewer come back if there are fewer rows.

        Returns:
            Scores float32 (Q, min(k, N)), falling, and the keys int64 of the same shape.
        """

    def changed(
        self, removed: NDArray[np.int64], added: NDArray[np.int64], rows: NDArray[np.float32]
    ) -> Self:
        """Another index, without the rows of some keys and with others.

        Args:
            removed: int64 (R,), keys.
            added: int64 (M,), keys.
            rows: float32 (M, D), theirs.
        """

    def to_arrays(self) -> Mapping[str, NDArray[Any]]:
        """What it is made of, to be kept in a file."""


class ItemIndex:
    """The items under the metric of an epoch.

    Args:
        epoch: the metric the rows are whitened with.
        rows: the index of them, with item ids for keys.
        changes: how many items were added, removed or moved since the epoch began.
    """

    def __init__(self, epoch: Metric, rows: Index, changes: int = 0) -> None:
        self.epoch = epoch
        self.rows = rows
        self.changes = changes

    def __len__(self) -> int:
        return len(self.rows)

    def renewal_due(self, further: int) -> bool:
        """Whether so many further changes call for a new epoch."""
        changes = self.changes + further
        return changes > 0 and (
            len(self) <= RENEW_ROWS or changes > RENEW_SHARE * max(len(self), 1)
        )

    def caught_up(
        self,
        removed: NDArray[np.int64],
        added: NDArray[np.int64],
        descriptors: NDArray[np.float32],
        changes: int,
    ) -> ItemIndex:
        """The same epoch without some items and with others.

        Args:
            removed: int64 (R,), ids to leave out.
            added: int64 (M,), ids to take in.
            descriptors: float32 (M, D), theirs, not whitened.
            changes: how many items changed; one that only went to another class moves the metric,
                too.
        """
        rows = self.rows.changed(removed, added, self.epoch.whiten(descriptors))
        return ItemIndex(self.epoch, rows, self.changes + changes)

    def search(
        self, descriptors: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the items nearest to each descriptor under the metric of the epoch.

        Args:
            descriptors: float32 (Q, D), not whitened.
            k: how many; fewer come back if there are fewer items.

        Returns:
            Scores float32 (Q, min(k, N)), falling, and item ids int64 of the same shape.
        """
        return self.rows.search(self.epoch.whiten(descriptors), k)
