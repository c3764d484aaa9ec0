"""The kinds of things that follow from the store: sums, metric, items, head and calibration."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Damaged, InvalidInput, Metric, Sums
from catalog.head import Head, solve_blocks
from catalog.index import FlatIndex, ItemIndex, centroids
from catalog.judging import calibration
from catalog.judging.calibration import Calibrations
from catalog.judging.cross_fit import DRAWN
from catalog.learning.derived import Arrays, Derived, Kept
from catalog.learning.draws import draws_of
from catalog.store import Transaction, journal
from catalog.store.heads import HeadTraining
from catalog.store.journal import Version
from catalog.store.moment import Moment, places_of

if TYPE_CHECKING:
    from catalog.learning.learning import Learning

# Rewriting 13 MB of sums is worth it once catching up means reading this many descriptors.
_CHECKPOINT_CHANGES = 512

# What goes with a calibration in its file.
_ITEMS, _EVIDENCE, _OF_HEAD = "measured items", "measured evidence", "measured with head"

MEASURED_ANEW = 200
"""Up to how many items the calibration is measured anew at every change."""

MEASURED_SHARE = 0.05
"""Above that, what share of the items may have changed before it is measured anew."""


class Fitted(NamedTuple):
    """The metric of a state, and its class centroids (label slots for keys)."""

    metric: Metric
    centroids: FlatIndex


class Items(NamedTuple):
    """The index of a state's items, whitened by the metric of the state ``epoch``."""

    epoch: Version
    items: ItemIndex


class LearntHead(NamedTuple):
    """A head, the metric its descriptors are whitened with, and the way it is trained."""

    head: Head
    metric: Metric
    training: HeadTraining

    @property
    def logit_scale(self) -> float | None:
        """What turns scores back into logits, where the head's own softmax is to be believed."""
        return self.head.scale if self.training == "document" else None


class Measured(NamedTuple):
    """How sure answers may be.

    Attributes:
        items: on how many it was measured.
        evidence: how much was known of them beside their descriptors.
        with_head: whether there was a head.
        calibration: what was found.
    """

    items: int
    evidence: int
    with_head: bool
    calibration: Calibrations | None


def _add_up(learning: Learning, moment: Moment) -> Sums:
    sums = learning.rows.dropped(moment)
    for where, block in learning.rows.blocks(moment.items):
        sums.add(moment.slots[where], block)
    return sums


def _sums_caught_up(learning: Learning, moment: Moment, kept: Kept[Sums]) -> Kept[Sums] | None:
    changes = learning.since(kept.version, moment)
    if changes is None:
        return None
    try:
        gone = learning.rows.labelled([(change.item, change.before) for change in changes])
        come = learning.rows.labelled([(change.item, change.after) for change in changes])
        sums = kept.thing.without(*gone)
        sums.add(*come)
    except (InvalidInput, Damaged):  # they are of other descriptors than they say
        return None
    return Kept(moment.version, sums)


def _sums_to_arrays(sums: Sums) -> Arrays:
    slots = sorted(sums.counts)
    totals = np.array([sums.totals[slot] for slot in slots], dtype=np.int64)
    return {
        "gram": sums.gram,
        "slots": np.array(slots, np.int64),
        "counts": np.array([sums.counts[slot] for slot in slots], np.int64),
        "totals": totals.reshape(len(slots), sums.width),
    }


def _sums_from_arrays(arrays: Arrays) -> Sums:
    sums = Sums(len(arrays["gram"]))
    slots = arrays["slots"].tolist()
    sums.gram = arrays["gram"]
    sums.counts = dict(zip(slots, arrays["counts"].tolist(), strict=True))
    sums.totals = dict(zip(slots, arrays["totals"], strict=True))
    return sums


def _checkpoint_due(tx: Transaction, saved: Version) -> bool:
    return len(journal.net_changes(tx, saved.generation)) >= _CHECKPOINT_CHANGES


def _fit(learning: Learning, moment: Moment) -> Fitted:
    sums = learning.sums(moment)
    metric = learning.fit(sums, [*moment.order, *(key for key, _ in sums.gone())])
    return Fitted(metric, centroids(sums, moment.order, metric))


def _fitted_as_before(
    learning: Learning, moment: Moment, kept: Kept[Fitted]
) -> Kept[Fitted] | None:
    same = _nothing_changed(learning, moment, kept.version, kept.thing.centroids.keys)
    return Kept(moment.version, kept.thing) if same else None


def _nothing_changed(
    learning: Learning, moment: Moment, since: Version, order: NDArray[np.int64]
) -> bool:
    """Whether no item changed since a state, nor the order of classes: names may have."""
    return tuple(order.tolist()) == moment.order and learning.since(since, moment) == []


def _fitted_to_arrays(fitted: Fitted) -> Arrays:
    return {
        **_metric_to_arrays(fitted.metric),
        "slots": fitted.centroids.keys,
        "centroids": fitted.centroids.rows,
    }


def _fitted_from_arrays(arrays: Arrays) -> Fitted:
    return Fitted(_metric_from(arrays), FlatIndex(arrays["slots"], arrays["centroids"]))


def _new_epoch(learning: Learning, moment: Moment) -> Items:
    metric, _ = learning.metric(moment)
    rows = FlatIndex(moment.items, learning.whitened(moment))
    return Items(moment.version, ItemIndex(metric, rows))


def _items_caught_up(learning: Learning, moment: Moment, kept: Kept[Items]) -> Kept[Items] | None:
    epoch, index = kept.thing
    changes = learning.since(kept.version, moment)
    if changes is None or index.renewal_due(len(changes)):
        return None
    gone = np.array([change.item for change in changes if change.after is None], np.int64)
    come = np.array([change.item for change in changes if change.before is None], np.int64)
    index = index.caught_up(gone, come, learning.rows.floats(come), len(changes))
    return Kept(moment.version, Items(epoch, index))


def _items_to_arrays(items: Items) -> Arrays:
    return {
        **_metric_to_arrays(items.items.epoch),
        **items.items.rows.to_arrays(),
        "changes": np.array(items.items.changes),
        "epoch_generation": np.array(items.epoch.generation),
        "epoch_token": np.array(items.epoch.token),
    }


def _items_from_arrays(arrays: Arrays) -> Items:
    epoch = Version(int(arrays["epoch_generation"]), str(arrays["epoch_token"]))
    rows = FlatIndex(arrays["keys"], arrays["rows"])
    return Items(epoch, ItemIndex(_metric_from(arrays), rows, int(arrays["changes"])))


def _solved(learning: Learning, moment: Moment) -> LearntHead:
    metric, _ = learning.metric(moment)
    dropped = [slot for slot in moment.order if slot in moment.compacted]
    blocks, slots = learning.white_blocks(moment), moment.slots
    if dropped:  # otherwise the sums need not be had
        white, draws = blocks, draws_of(learning.sums(moment), metric, dropped)
        blocks = lambda: chain(white(), [draws])  # noqa: E731 - what was given, and more
        slots = np.concatenate([slots, np.repeat(np.array(dropped, np.int64), DRAWN)])
    positions = places_of(slots, moment.order)
    head = solve_blocks(blocks, positions, moment.order, width=len(metric.mean))
    return LearntHead(head, metric, "exact")


def _solved_as_before(
    learning: Learning, moment: Moment, kept: Kept[LearntHead]
) -> Kept[LearntHead] | None:
    same = _nothing_changed(learning, moment, kept.version, kept.thing.head.classes)
    return Kept(moment.version, kept.thing) if same else None


def _head_to_arrays(learnt: LearntHead) -> Arrays:
    return {
        "classes": learnt.head.classes,
        "columns": learnt.head.columns,
        "bias": learnt.head.bias,
        **_metric_to_arrays(learnt.metric),
    }


def _head_from_arrays(arrays: Arrays) -> LearntHead:
    head = Head(arrays["classes"], arrays["columns"], arrays["bias"])
    return LearntHead(head, _metric_from(arrays), "exact")


def _can_be_held_out(moment: Moment) -> bool:
    """Whether there is a head that can be learnt anew without some pictures."""
    return moment.head.training in {"exact", "frozen"}


def _measure(learning: Learning, moment: Moment) -> Measured:
    with_head = _can_be_held_out(moment)
    evidence = learning.evidence()
    held_out = learning.pool(moment, with_head=with_head).cross_fit()
    return Measured(len(moment), evidence, with_head, calibration.learn(held_out))


def _still_holds(learning: Learning, moment: Moment, kept: Kept[Measured]) -> Kept[Measured] | None:
    if kept.thing.items <= MEASURED_ANEW or kept.thing.with_head != _can_be_held_out(moment):
        return None
    changes = learning.since(kept.version, moment)
    if changes is None:
        return None
    more = learning.evidence_changed(kept.thing.evidence, kept.version)
    few = max(len(changes), more) <= MEASURED_SHARE * kept.thing.items
    return kept if few else None


def _measured_to_arrays(measured: Measured) -> Arrays:
    found = {} if measured.calibration is None else measured.calibration.to_arrays()
    return {
        **found,
        _ITEMS: np.array(measured.items),
        _EVIDENCE: np.array(measured.evidence),
        _OF_HEAD: np.array(measured.with_head),
    }


def _measured_from_arrays(arrays: Arrays) -> Measured:
    beside = {_ITEMS, _EVIDENCE, _OF_HEAD}
    found = {name: array for name, array in arrays.items() if name not in beside}
    calibrated = Calibrations.from_arrays(found) if found else None
    return Measured(int(arrays[_ITEMS]), int(arrays[_EVIDENCE]), bool(arrays[_OF_HEAD]), calibrated)


def _metric_to_arrays(metric: Metric) -> dict[str, NDArray[Any]]:
    return {"mean": metric.mean, "transform": metric.transform}


def _metric_from(arrays: Arrays) -> Metric:
    return Metric(arrays["mean"], arrays["transform"])


SUMS: Final = Derived(
    "sums", _add_up, _sums_to_arrays, _sums_from_arrays, _sums_caught_up, _checkpoint_due
)
"""The exact sums of every item's descriptor."""

METRIC: Final = Derived("metric", _fit, _fitted_to_arrays, _fitted_from_arrays, _fitted_as_before)
"""The metric, and the class centroids under it."""

ITEMS: Final = Derived("items", _new_epoch, _items_to_arrays, _items_from_arrays, _items_caught_up)
"""The index of items: of the same epoch while that will do, else of a new one."""

HEAD: Final = Derived("head", _solved, _head_to_arrays, _head_from_arrays, _solved_as_before)
"""The exact head, whichever way the catalogue's own is trained."""

CALIBRATION: Final = Derived(
    "calibration", _measure, _measured_to_arrays, _measured_from_arrays, _still_holds
)
"""How sure answers may be; what was measured before a small change will do."""

AnyKind: TypeAlias = "Derived[Learning, Any]"

TABLE: Final[tuple[AnyKind, ...]] = (SUMS, METRIC, ITEMS, HEAD, CALIBRATION)
"""All of them, in the order in which they rest on each other."""

KINDS: Final = tuple(derived.kind for derived in TABLE)
"""Their names, which are those of their files."""
