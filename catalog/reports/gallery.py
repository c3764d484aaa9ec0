"""What pictures are compared with, taken out of a catalogue at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric
from catalog.index import FlatIndex
from catalog.judging.calibration import Calibration
from catalog.learning.derived_files import LearntHead
from catalog.learning.learning import Learning
from catalog.store.moment import Moment


class Gallery(NamedTuple):
    """What pictures are compared with: items, centroids and head.

    Attributes:
        metric: the current one.
        centroids: its keys are label slots, in the order of names.
        items: int64 (N,), item ids, in an order that does not depend on history: it decides which
            of two equal scores comes first.
        rows: float32 (N, D), their whitened descriptors.
        labels: int64 (N,), the slot of each item.
        names: slot -> class name.
        head: the head; None without one.
        calibration: what was measured on held-out items; None if they are too few.
    """

    metric: Metric
    centroids: FlatIndex
    items: NDArray[np.int64]
    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: Mapping[int, str]
    head: LearntHead | None = None
    calibration: Calibration | None = None


def gallery_of(learning: Learning, moment: Moment, *, calibrated: bool = True) -> Gallery:
    """The gallery of a moment; without calibration it is sooner there."""
    head = learning.head(moment)  # first, since a stored one is read before the store moves on
    metric, centroids = learning.metric(moment)
    return Gallery(
        metric,
        centroids,
        moment.items,
        learning.whitened(moment),
        moment.slots,
        moment.names,
        head,
        learning.calibration(moment, exact=True) if calibrated else None,
    )
