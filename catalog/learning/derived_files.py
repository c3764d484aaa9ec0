"""What was learnt, as files in the cache folder.

Each file says which state of which history it was derived from, and by which embedder, prior and
rule; a file that says anything else is as good as absent.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric, Sums
from catalog.head import Head
from catalog.index import FlatIndex, ItemIndex, derived
from catalog.judging.calibration import Calibration
from catalog.store.failpoints import reach
from catalog.store.heads import HeadTraining
from catalog.store.journal import Version

_log = logging.getLogger(__name__)

KINDS = ("sums", "metric", "items", "head", "calibration")
"""The files, by name and kind."""

_LAYOUT = 3  # of the arrays and keys below; files of another are as good as absent


class LearntSums(NamedTuple):
    """The exact sums of a state."""

    version: Version
    sums: Sums


class LearntMetric(NamedTuple):
    """The metric of a state, and its class centroids (label slots for keys)."""

    version: Version
    metric: Metric
    centroids: FlatIndex


class LearntItems(NamedTuple):
    """The items of a state, whitened by the metric of the state ``epoch``."""

    version: Version
    epoch: Version
    items: ItemIndex


class LearntHead(NamedTuple):
    """The head of a state, and the metric its descriptors are whitened with.

    ``training`` is the way; a head that the catalogue file has is not written to the cache folder.
    """

    version: Version
    head: Head
    metric: Metric
    training: HeadTraining

    @property
    def logit_scale(self) -> float | None:
        """What turns scores back into logits, where the head's own softmax is to be believed."""
        return self.head.scale if self.training == "document" else None


class LearntCalibration(NamedTuple):
    """How sure answers may be, as measured in a state of so many items, with or without a head."""

    version: Version
    items: int
    with_head: bool
    calibration: Calibration | None


class LearntFiles:
    """The files of one catalogue.

    Args:
        folder: where they lie.
        basis: what they rest on beside the descriptors: embedder, prior, rule.
    """

    def __init__(self, folder: Path, basis: str) -> None:
        self._folder = folder
        self._basis = f"layout {_LAYOUT}; {basis}"
        self.versions: dict[str, Version] = {}
        """The state that each file was last read or written with, by kind."""

    def delete(self, *kinds: str) -> None:
        """Remove the files of some kinds; without any, all, and what was left of writing them."""
        leftovers = [] if kinds else list(self._folder.glob("*.tmp"))
        for file in [*(self._folder / kind for kind in kinds or KINDS), *leftovers]:
            with contextlib.suppress(OSError):
                file.unlink()
            self.versions.pop(file.name, None)

    def load_sums(self) -> LearntSums | None:
        """The sums of whichever state was saved last."""
        found = self._read("sums")
        if found is None:
            return None
        arrays = found.arrays
        sums = Sums(len(arrays["gram"]))
        slots = arrays["slots"].tolist()
        sums.gram = arrays["gram"]
        sums.counts = dict(zip(slots, arrays["counts"].tolist(), strict=True))
        sums.totals = dict(zip(slots, arrays["totals"], strict=True))
        return LearntSums(_version(found.key), sums)

    def save_sums(self, learnt: LearntSums) -> None:
        """Write sums; OSError if the folder cannot be written."""
        sums = learnt.sums
        slots = sorted(sums.counts)
        totals = np.array([sums.totals[slot] for slot in slots], dtype=np.int64)
        arrays: dict[str, NDArray[Any]] = {
            "gram": sums.gram,
            "slots": np.array(slots, np.int64),
            "counts": np.array([sums.counts[slot] for slot in slots], np.int64),
            "totals": totals.reshape(len(slots), sums.width),
        }
        self._write("sums", learnt.version, arrays)

    def load_metric(self) -> LearntMetric | None:
        """The metric of whichever state was saved last."""
        found = self._read("metric")
        if found is None:
            return None
        arrays = found.arrays
        metric = Metric(arrays["mean"], arrays["transform"])
        centroids = FlatIndex(arrays["slots"], arrays["centroids"])
        return LearntMetric(_version(found.key), metric, centroids)

    def save_metric(self, learnt: LearntMetric) -> None:
        """Write a metric; OSError if the folder cannot be written."""
        arrays: dict[str, NDArray[Any]] = {
            "mean": learnt.metric.mean,
            "transform": learnt.metric.transform,
            "slots": learnt.centroids.keys,
            "centroids": learnt.centroids.rows,
        }
        self._write("metric", learnt.version, arrays)

    def load_items(self) -> LearntItems | None:
        """The items of whichever state was saved last."""
        found = self._read("items")
        if found is None:
            return None
        key, arrays = found.key, found.arrays
        epoch = Version(int(key["epoch_generation"]), str(key["epoch_token"]))
        metric = Metric(arrays["mean"], arrays["transform"])
        flat = FlatIndex(arrays["keys"], arrays["rows"])
        return LearntItems(_version(key), epoch, ItemIndex(metric, flat, int(key["changed"])))

    def save_items(self, learnt: LearntItems) -> None:
        """Write items; OSError if the folder cannot be written."""
        items, epoch = learnt.items, learnt.epoch
        arrays: dict[str, NDArray[Any]] = {
            "mean": items.epoch.mean,
            "transform": items.epoch.transform,
            **items.rows.to_arrays(),
        }
        self._write(
            "items",
            learnt.version,
            arrays,
            epoch_generation=epoch.generation,
            epoch_token=epoch.token,
            changed=items.changes,
        )

    def load_head(self) -> LearntHead | None:
        """The exact head of whichever state was saved last."""
        found = self._read("head")
        if found is None:
            return None
        arrays = found.arrays
        head = Head(arrays["classes"], arrays["columns"], arrays["bias"])
        metric = Metric(arrays["mean"], arrays["transform"])
        return LearntHead(_version(found.key), head, metric, "exact")

    def save_head(self, learnt: LearntHead) -> None:
        """Write an exact head; OSError if the folder cannot be written."""
        arrays: dict[str, NDArray[Any]] = {
            "classes": learnt.head.classes,
            "columns": learnt.head.columns,
            "bias": learnt.head.bias,
            "mean": learnt.metric.mean,
            "transform": learnt.metric.transform,
        }
        self._write("head", learnt.version, arrays)

    def load_calibration(self) -> LearntCalibration | None:
        """The calibration of whichever state was measured last."""
        found = self._read("calibration")
        if found is None:
            return None
        key, measured = found.key, None
        if found.arrays:
            measured = Calibration.from_arrays(found.arrays)
        return LearntCalibration(_version(key), int(key["items"]), bool(key["with_head"]), measured)

    def save_calibration(self, learnt: LearntCalibration) -> None:
        """Write a calibration; OSError if the folder cannot be written."""
        measured = learnt.calibration
        self._write(
            "calibration",
            learnt.version,
            {} if measured is None else measured.to_arrays(),
            items=learnt.items,
            with_head=int(learnt.with_head),
        )

    def _read(self, kind: str) -> derived.Derived | None:
        found = derived.read(self._folder / kind, kind)
        if found is None or found.key.get("basis") != self._basis:
            return None
        self.versions[kind] = _version(found.key)
        _log.debug("found %s of generation %d", kind, self.versions[kind].generation)
        return found

    def _write(
        self, kind: str, version: Version, arrays: Mapping[str, NDArray[Any]], **more: str | int
    ) -> None:
        key = {"basis": self._basis, **version._asdict(), **more}
        reach("saving")
        derived.write(self._folder / kind, kind, key, arrays)
        _log.debug("saved %s of generation %d", kind, version.generation)
        self.versions[kind] = version


def _version(key: derived.Key) -> Version:
    return Version(int(key["generation"]), str(key["token"]))
