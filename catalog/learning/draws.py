"""Draws that stand in for descriptors that were dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric, Sums
from catalog.head import draw_classes
from catalog.judging.cross_fit import DRAWN


def draws_of(
    sums: Sums, metric: Metric, slots: Sequence[int], seed: int = 0
) -> NDArray[np.float32]:
    """Whitened descriptors drawn of classes from their sums, those of a class together."""
    if not slots:
        return np.zeros((0, sums.width), np.float32)
    return draw_classes(sums, slots, metric, DRAWN, seed=seed)


def with_draws(
    labels: NDArray[np.int64],
    rows: NDArray[np.float32],
    sums: Sums,
    metric: Metric,
    slots: Sequence[int],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Items, followed by draws that stand in for those of classes whose descriptors were dropped.

    Args:
        labels: int64 (N,), the slot of each item.
        rows: float32 (N, D), whitened.
        sums: of every descriptor, those that were dropped among them.
        metric: that the rows are whitened with.
        slots: of the classes.

    Returns:
        int64 (M,) and float32 (M, D), M >= N.
    """
    if not slots:
        return labels, rows
    drawn = np.repeat(np.array(slots, np.int64), DRAWN)
    draws = draws_of(sums, metric, slots)
    return np.concatenate([labels, drawn]), np.concatenate([rows, draws])
