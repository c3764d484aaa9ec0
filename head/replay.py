"""What stands in for pictures that are not at hand when a head is trained again.

A head trained on a new class alone forgets the others. So the others are replayed: from their
stored descriptors, or, where these were dropped, from descriptors drawn like them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import SCALE, InvalidInput, Metric, Sums, class_means, unit_rows

Replay = Literal["stored", "gaussian", "gan", "none"]
"""Where the descriptors of the other classes come from: those stored, draws about the class mean,
draws of a trained generator, or nowhere."""


def spreads(sums: Sums, order: Sequence[int], metric: Metric) -> NDArray[np.float64]:
    """How far the whitened descriptors of each class lie from their mean, from sums alone.

    A descriptor x is of unit length, so the mean square distance of a class's n descriptors from
    their own mean s / n needs no picture:

        d^2 = (sum x.x - s.s / n) / n = 1 - |s / n|^2.

    Before rows are brought to unit length, the metric multiplies a square distance within a class,
    on the mean over all classes, by

        k = trace(L S_w L') / trace(S_w),    S_w = (G - sum_c s_c s_c' / n_c) / (N - C),

    where L is its transform: 1 for a metric fitted to S_w alone, another number where a prior had
    its share. Whitened scatter is taken to be the same in all D directions, so d sqrt(k / D) is its
    standard deviation along each. A class of one picture has none: draws of it repeat that picture.

    Args:
        sums: of the descriptors that are learnt from.
        order: the classes asked for, each with descriptors in ``sums``.
        metric: fitted to ``sums``.

    Returns:
        float64 (len(order),), the standard deviation along each direction.

    Raises:
        InvalidInput: a class has no descriptors, or the metric has another width.
    """
    if metric.transform.shape != (sums.width, sums.width) or not set(order) <= set(sums.counts):
        raise InvalidInput("the metric or the order of classes does not fit the sums")
    lengths = np.linalg.norm(class_means(sums, order), axis=1)
    squares = np.maximum(1 - lengths * lengths, 0)
    return np.asarray(np.sqrt(squares * (_stretch(sums, metric) / sums.width)))


def draw_classes(
    sums: Sums, classes: Sequence[int], metric: Metric, per_class: int, *, seed: int = 0
) -> NDArray[np.float32]:
    """Draw whitened descriptors of classes from their sums, those of a class together.

    Args:
        sums: of the descriptors that are learnt from.
        classes: each with descriptors in ``sums``.
        metric: fitted to ``sums``.
        per_class: how many to draw of each class, not negative.
        seed: the same seed gives the same draws.

    Returns:
        float32 (len(classes) * per_class, D), unit rows.

    Raises:
        InvalidInput: as :func:`spreads` and :func:`draw_gaussian` do.
    """
    means = metric.project(class_means(sums, classes))
    return draw_gaussian(means, spreads(sums, classes, metric), per_class, seed=seed)


def draw_gaussian(
    means: NDArray[np.floating],
    deviations: NDArray[np.floating],
    per_class: int,
    *,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Draw descriptors of classes: mean plus even Gaussian noise, brought to unit length.

    Args:
        means: float (C, D), ``metric.project`` of the class means: whitened, not of unit length.
        deviations: float (C,), as :func:`spreads` gives them, not negative.
        per_class: how many to draw of each class, not negative.
        seed: the same seed gives the same draws.

    Returns:
        float32 (C * per_class, D), unit rows, those of a class together, classes in order.

    Raises:
        InvalidInput: shapes do not fit, or a number is not finite or below zero.
    """
    if means.ndim != 2 or deviations.shape != (len(means),):
        raise InvalidInput("there must be one deviation for each row of means (C, D)")
    if not (np.isfinite(means).all() and np.isfinite(deviations).all()):
        raise InvalidInput("means and deviations must be finite")
    if per_class < 0 or (deviations < 0).any():
        raise InvalidInput("counts and deviations must not be negative")
    random = np.random.default_rng(seed)
    count, width = means.shape
    drawn = random.standard_normal((count, per_class, width), dtype=np.float32)
    drawn *= deviations.astype(np.float32)[:, None, None]
    drawn += means.astype(np.float32)[:, None]
    return unit_rows(drawn.reshape(-1, width))


def _stretch(sums: Sums, metric: Metric) -> float:
    """By how much the metric multiplies square distances within classes; 1 where there are none."""
    counts = np.array([sums.counts[label] for label in sums.counts], dtype=np.float64)
    totals = np.array([sums.totals[label] for label in sums.counts], dtype=np.float64) / SCALE
    scaled = totals / np.sqrt(counts)[:, None]
    within = sums.gram / float(SCALE * SCALE) - scaled.T @ scaled
    trace = float(np.trace(within))
    if trace <= 1e-9 * counts.sum():
        return 1.0
    transform = metric.transform.astype(np.float64)
    return float(np.sum((transform @ within) * transform)) / trace
