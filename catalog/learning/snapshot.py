"""What answers a question: one immutable object, which any number of threads may ask at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric
from catalog.index import FlatIndex, ItemIndex
from catalog.judging.calibration import Calibration
from catalog.learning.derived_files import LearntHead
from catalog.learning.learning import places_of
from catalog.store.journal import Version
from catalog.store.moment import Moment


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What the nearest items of a picture are told from.

    Attributes:
        moment: the state of the catalogue.
        metric: the metric of that state.
        centroids: of the classes, in the order of names; its keys are label slots.
        index: of the items, to be searched under the metric.
    """

    moment: Moment
    metric: Metric
    centroids: FlatIndex
    index: ItemIndex

    @property
    def version(self) -> Version:
        """The state of the catalogue."""
        return self.moment.version

    @property
    def is_exact(self) -> bool:
        """Whether the index is of this very metric, so that what it finds needs no ranking anew."""
        return self.index.epoch is self.metric

    @cached_property
    def class_places(self) -> NDArray[np.int64]:
        """The place of the class of each item of the moment in the order of names, int64 (N,)."""
        return places_of(self.moment.slots, self.moment.order)


@dataclass(frozen=True, eq=False)
class JudgingSnapshot(Snapshot):
    """What the class of a picture is told from.

    Attributes:
        head: the softmax head, None without one.
        calibration: how sure answers may be; None if there are too few independent pictures.
    """

    head: LearntHead | None
    calibration: Calibration | None
