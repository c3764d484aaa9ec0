"""What answers a question: one immutable object, which any number of threads may ask at once."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.descriptors import Metric
from catalog.index import FlatIndex, ItemIndex
from catalog.judging.calibration import Calibrations
from catalog.learning.kinds import LearntHead
from catalog.store.journal import Version
from catalog.store.moment import Moment


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What the nearest items of a picture are told from.

    Attributes:
        moment: the state of the catalogue.
        metric: the metric of that state.
        centroids: of the classes, in the order of names; its keys are label slots.
        index: of the items.
        is_exact: whether the index is of this very metric, so that what it finds needs no ranking
            anew.
    """

    moment: Moment
    metric: Metric
    centroids: FlatIndex
    index: ItemIndex
    is_exact: bool

    @property
    def version(self) -> Version:
        """The state of the catalogue."""
        return self.moment.version


@dataclass(frozen=True, eq=False)
class JudgingSnapshot(Snapshot):
    """What the class of a picture is told from.

    Attributes:
        head: the softmax head, None without one.
        calibration: how sure answers may be; None if there are too few independent pictures.
    """

    head: LearntHead | None
    calibration: Calibrations | None
