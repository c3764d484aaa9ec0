"""What a catalogue must say, worked out from the formulas alone: NumPy in float64, no index.

Nothing of the product is imported: the formulas are those of ``docs`` and of the docstrings of
:mod:`catalog.descriptors.whitening`, for an embedder of which nothing is known beforehand (its
prior has the same variance in every direction, about the origin).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCALE = 16384
"""What a component of a unit vector is multiplied by before rounding."""

_PRIOR_DEGREES = 500.0
_PRIOR_PICTURES = 20.0

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """The descriptors that count as one class.

    Attributes:
        name: of the class; None for one that was removed and goes on in the metric alone.
        rows: int64 (N, D), stored descriptors, those that were dropped among them.
    """

    name: str | None
    rows: Rows


class Formulas:
    """A catalogue's centroid scores and neighbours.

    Args:
        groups: classes, and what is left of removed ones.
        items: stored descriptor int64 (D,) and class of each item that is not dropped, by content.
    """

    def __init__(self, groups: Sequence[Group], items: Mapping[str, tuple[Rows, str]]) -> None:
        self._mean, self._factor = _learn([group.rows for group in groups])
        self._centroids = {
            group.name: self._whitened(group.rows.sum(0) / (len(group.rows) * SCALE))
            for group in groups
            if group.name is not None
        }
        self._items = {c: (self._whitened(row / SCALE), name) for c, (row, name) in items.items()}

    def classes(self, query: NDArray[np.floating]) -> dict[str, float]:
        """The cosine of each class's centroid with a descriptor float (D,)."""
        asked = self._whitened(query.astype(np.float64))
        return {name: float(row @ asked) for name, row in self._centroids.items()}

    def neighbours(self, query: NDArray[np.floating]) -> dict[str, tuple[float, float]]:
        """The cosine of each item with a descriptor float (D,), and that of its class."""
        asked, own = self._whitened(query.astype(np.float64)), self.classes(query)
        return {c: (float(row @ asked), own[name]) for c, (row, name) in self._items.items()}

    def _whitened(self, descriptor: NDArray[np.float64]) -> NDArray[np.float64]:
        row = np.linalg.solve(self._factor, descriptor - self._mean)
        length = np.linalg.norm(row)
        return np.asarray(row / length if length > 0 else row)


def _learn(groups: Sequence[Rows]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean float64 (D,) that is subtracted, and the Cholesky factor of the scatter (D, D).

    With N descriptors in C classes, the scatter of the descriptors about the means of their classes
    is brought to the trace of the prior, D, and blended with it:
    S = ((N - C) S_w + k P) / (N - C + k), where P is the identity.
    """
    rows = np.concatenate(groups) / SCALE
    width = rows.shape[1]
    degrees = len(rows) - len(groups)
    scatter = np.eye(width)
    centred = np.concatenate([own / SCALE - (own / SCALE).mean(0) for own in groups])
    within = centred.T @ centred
    # Copies of one picture per class show no scatter; what there is then is rounding.
    if degrees > 0 and np.trace(within) > degrees * 1e-9:
        within *= degrees * width / np.trace(within)
        scatter = (within + _PRIOR_DEGREES * scatter) / (degrees + _PRIOR_DEGREES)
    mean = rows.sum(0) / (len(rows) + _PRIOR_PICTURES)
    return mean, np.linalg.cholesky(scatter)
