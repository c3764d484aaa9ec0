"""The centroid predictor: one whitened mean per class, nearest mean first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catalog.descriptors import Metric, Sums, class_means
from catalog.index.flat import FlatIndex


def centroids(sums: Sums, order: Sequence[int], metric: Metric) -> FlatIndex:
    """The index of class centroids.

    Args:
        sums: of the descriptors in the catalogue.
        order: every class of ``sums``; the rows follow it.
        metric: to whiten the means with.

    Returns:
        An index with the class ids for keys, rows of unit length.
    """
    return FlatIndex(np.array(order, dtype=np.int64), metric.whiten(class_means(sums, order)))
