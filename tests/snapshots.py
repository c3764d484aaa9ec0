"""Snapshots made by hand, and the stored descriptors that go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from catalog.descriptors import to_floats, to_integers
from catalog.index import FlatIndex, ItemIndex
from catalog.learning.snapshot import JudgingSnapshot
from catalog.store.heads import HeadRecord
from catalog.store.journal import Version
from catalog.store.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from catalog.descriptors import Metric
    from catalog.learning.rows import Block


def snapshot_of(
    metric: Metric,
    centroids: FlatIndex,
    *,
    items: NDArray[np.int64],
    rows: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: Mapping[int, str],
) -> JudgingSnapshot:
    """A snapshot without head and calibration.

    Args:
        metric: of the snapshot.
        centroids: its keys are label slots, in the order of names.
        items: int64 (N,), ids, in the order of content hashes.
        rows: float32 (N, D), their whitened descriptors.
        labels: int64 (N,), the slot of each.
        names: slot -> class name.
    """
    order = tuple(centroids.keys.tolist())
    moment = Moment(
        Version(1, "a"),
        order,
        names,
        names,
        items,
        labels,
        np.zeros((len(items), 4), np.uint64),
        HeadRecord("none"),
        frozenset(),
        frozenset(order) - frozenset(labels.tolist()),
    )
    index = ItemIndex(metric, FlatIndex(items, rows))
    return JudgingSnapshot(
        moment, metric, centroids, index, is_exact=True, head=None, calibration=None
    )


class HandRows:
    """Descriptors that are at hand, asked for as those of a catalogue.

    Args:
        items: int64 (N,), ids.
        rows: float32 (N, D), unit vectors, not whitened.
    """

    def __init__(self, items: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        self._rows = dict(zip(items.tolist(), to_integers(rows), strict=True))
        self._width = rows.shape[1]

    def of(self, items: NDArray[np.int64]) -> NDArray[np.int16]:
        """int16 (M, D)."""
        found = [self._rows[item] for item in items.tolist()]
        return np.array(found, np.int16).reshape(len(found), self._width)

    def floats(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 (M, D)."""
        return to_floats(self.of(items))

    def blocks(self, items: NDArray[np.int64]) -> Iterator[Block]:
        """Three at a time, the last first."""
        for end in range(len(items), 0, -3):
            places = np.arange(max(end - 3, 0), end)
            yield places, self.of(items[places])
