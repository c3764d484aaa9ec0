"""A figure of each kind to look at, and its colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from catalog.judging.reliability import reliability, risk_coverage
from catalog.reports.figures import (
    confusion_figure,
    coverage_figure,
    reliability_figure,
    training_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SVG = "{http://www.w3.org/2000/svg}"
"""What the names of elements begin with."""


def answers() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Two hundred probabilities, and who of them was right."""
    random = np.random.default_rng(5)
    probability = random.beta(2, 0.5, 200)
    return probability, random.random(200) < probability


def coverages() -> Figure:
    """Two witnesses and a promise."""
    probability, right = answers()
    curves = {
        "head": risk_coverage(probability, right),
        "$odd_": risk_coverage(-probability, right),
    }
    return coverage_figure(curves, promised=0.9)


def calibration() -> Figure:
    """Bins of all sizes."""
    return reliability_figure(reliability(*answers()))


def confusions() -> Figure:
    """Three classes, one of them never seen."""
    return confusion_figure(np.array([[7, 0, 2], [1, 9, 0], [0, 0, 0]]), ["paper", "rock", "none"])


def many_confusions() -> Figure:
    """More classes than numbers fit."""
    return confusion_figure(np.eye(21, dtype=np.int64) * 4, [f"class {at}" for at in range(21)])


def training() -> Figure:
    """Two epochs of five batches."""
    falling = [2, 1.5, 1, 0.8, 0.7, 0.6, 0.5, 0.5, 0.4, 0.4]
    rising = [1 - loss / 3 for loss in falling]
    return training_figure(
        falling, rising, validation_loss=[0.8, 0.5], validation_accuracy=[0.7, 0.8]
    )


FIGURES = [coverages, calibration, confusions, many_confusions, training]


def rgb(colour: str) -> tuple[float, ...]:
    """A colour ``#rrggbb`` in [0, 1]."""
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
