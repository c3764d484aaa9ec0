"""What follows from the descriptors of a moment, and the cache folder it is kept in.

Everything here can be computed again from the catalogue file: deleting the cache folder costs time,
never data and never an answer.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import (
    WHITENING_RULE,
    CatalogError,
    Damaged,
    InvalidInput,
    Metric,
    Prior,
    Sums,
    Superseded,
    fit,
    to_floats,
)
from catalog.head import EXACT_RULE, Head, draw_classes, solve
from catalog.index import RENEW_ROWS, FlatIndex, ItemIndex, centroids
from catalog.judging import calibration
from catalog.judging.calibration import CALIBRATION_RULE, Calibration
from catalog.judging.cross_fit import DRAWN, Pool
from catalog.learning.derived_files import (
    LearntCalibration,
    LearntFiles,
    LearntHead,
    LearntItems,
    LearntMetric,
    LearntSums,
)
from catalog.learning.rows import Rows
from catalog.store import Transaction, heads, journal
from catalog.store.journal import Change, Version
from catalog.store.moment import Moment
from catalog.store.store import Store

_Learnt = TypeVar("_Learnt", LearntSums, LearntMetric, LearntItems, LearntHead, LearntCalibration)

_log = logging.getLogger(__name__)

# Rewriting 13 MB of sums is worth it once catching up means reading this many descriptors.
_CHECKPOINT_CHANGES = 512

_WHITENED = 4096  # rows at a time, to bound what that takes beside them

MEASURED_ANEW = 200
"""Up to how many items the calibration is measured anew at every change."""

MEASURED_SHARE = 0.05
"""Above that, what share of the items may have changed before it is measured anew."""


class Learning:
    """Sums, metric, centroids, items, head and calibration, each made when it is first asked for.

    Every method answers for a moment, from what was learnt of an earlier one where that is less
    work. None holds a transaction while it computes. For one thread at a time: the
    :class:`~catalog.learning.keeper.Keeper` sees to that.

    Args:
        store: of the catalogue.
        cache: folder of the derived files.
        rows: the stored descriptors.
        fingerprint: of their embedder.
        prior: of that embedder.
    """

    def __init__(
        self, store: Store, cache: Path, rows: Rows, fingerprint: str, prior: Prior
    ) -> None:
        self._store = store
        self._rows = rows
        self._prior = prior
        self._basis = f"{fingerprint} {prior.digest} {WHITENING_RULE}"
        rules = f"{EXACT_RULE}; {DRAWN} drawn; {CALIBRATION_RULE}"
        self._files = LearntFiles(cache, f"{self._basis}; {rules}")
        self._sums: LearntSums | None = None
        self._metric: LearntMetric | None = None
        self._items: LearntItems | None = None
        self._head: LearntHead | None = None
        self._calibration: LearntCalibration | None = None
        self._white: tuple[Version, NDArray[np.float32]] | None = None

    def state(self, moment: Moment) -> str:
        """The hash of everything learning depends on: equal states give equal answers."""
        return self._state(moment, self.sums(moment))

    def check(self, moment: Moment) -> bool:
        """Whether the sums at hand are those of the descriptors, added up afresh.

        If they are not, they are replaced, and all that was learnt from them is forgotten.
        """
        afresh = self._add_up(moment)
        if self._state(moment, self.sums(moment)) == self._state(moment, afresh):
            return True
        self.discard()
        self._sums = LearntSums(moment.version, afresh)
        return False

    def discard(self) -> None:
        """Delete the derived files, and let go of all that was learnt."""
        self._files.delete()
        self._sums = self._metric = self._items = self._head = self._calibration = None
        self._white = None

    def sums(self, moment: Moment) -> Sums:
        """The exact sums of every item's descriptor."""
        learnt = self._sums or self._files.load_sums()
        self._sums = None  # an interrupt in the middle of catching up must not leave it half done
        if learnt is None or not self._caught_up(moment, learnt):
            learnt = LearntSums(moment.version, self._add_up(moment))
            _log.info("added up %d descriptors", len(moment))
        self._sums = LearntSums(moment.version, learnt.sums)
        return learnt.sums

    def metric(self, moment: Moment) -> tuple[Metric, FlatIndex]:
        """The metric, and the class centroids under it (label slots for keys)."""
        learnt = self._metric or self._files.load_metric()
        if learnt is None or learnt.version != moment.version:
            sums = self.sums(moment)
            gone = [key for key, _ in sums.gone()]
            metric = self._fit(sums, [*moment.order, *gone])
            learnt = LearntMetric(moment.version, metric, centroids(sums, moment.order, metric))
            _log.debug("fitted the metric")
        self._metric = learnt
        return learnt.metric, learnt.centroids

    def _fit(self, sums: Sums, order: Sequence[int]) -> Metric:
        try:
            return fit(sums, order, self._prior)
        except np.linalg.LinAlgError as error:  # no descriptors have such sums
            raise Damaged(
                f"what was stored does not make a metric: {error}; `catalog verify` says what is "
                "wrong"
            ) from error

    def items(self, moment: Moment) -> ItemIndex:
        """The index of items; search it under :meth:`metric`."""
        learnt = self._items or self._files.load_items()
        # A file that was put back may be of the very state that an epoch began with.
        if learnt is None or learnt.version != moment.version:
            learnt = self._renewed(moment, learnt)
        if learnt.epoch == moment.version:
            # One object for one metric, so that the index can tell that no ranking again is needed.
            learnt = learnt._replace(items=learnt.items.under(self.metric(moment)[0]))
        self._items = learnt
        return learnt.items

    def head(self, moment: Moment) -> LearntHead | None:
        """The head, and the metric its descriptors are whitened with; None if there is to be none.

        An exact head has a column for every class that has items. A stored one may lack the newest.
        """
        if moment.head.training == "none":
            return None
        learnt = self._head
        if learnt is None or learnt.version != moment.version:
            learnt = self._stored_head(moment) if moment.head.stored else self.exact(moment)
        self._head = learnt
        return learnt

    def known_head(self, version: Version) -> Head | None:
        """The exact head of a state if it was solved already, without solving it."""
        learnt = self._head or self._files.load_head()
        return learnt.head if learnt and learnt.version == version else None

    def calibration(self, moment: Moment) -> Calibration | None:
        """How sure answers may be; None if there are too few independent pictures.

        In a catalogue of more than ``MEASURED_ANEW`` items, what was measured before a small change
        will do.
        """
        with_head = moment.head.training in {"exact", "frozen"}
        learnt = self._calibration or self._files.load_calibration()
        if learnt is None or not self._still_holds(moment, learnt, with_head=with_head):
            measured = calibration.learn(self.pool(moment, with_head=with_head).cross_fit())
            _log.debug("measured how sure answers may be")
            learnt = LearntCalibration(moment.version, len(moment), with_head, measured)
        self._calibration = learnt
        return learnt.calibration

    def pool(self, moment: Moment, *, with_head: bool) -> Pool:
        """Every stored descriptor and what goes with it, to hold some out and judge them."""
        dropped = [slot for slot in moment.order if slot in moment.compacted]
        return Pool(
            self._rows.of(moment.items),
            places_of(moment.slots, moment.order),
            self.sums(moment),
            moment.order,
            self._prior,
            with_head,
            dropped,
        )

    def whitened(self, moment: Moment, metric: Metric | None = None) -> NDArray[np.float32]:
        """The whitened descriptor of every item: float32 (N, D).

        Args:
            moment: to answer for.
            metric: to whiten with; by default that of the moment.
        """
        if metric is None and self._white is not None and self._white[0] == moment.version:
            return self._white[1]
        chosen = metric or self.metric(moment)[0]
        rows = self._rows.of(moment.items)
        white = np.empty(rows.shape, np.float32)
        # In an order that no history changes, since rounding hangs on which rows go together.
        for start in range(0, len(rows), _WHITENED):
            block = slice(start, start + _WHITENED)
            white[block] = chosen.whiten(to_floats(rows[block]))
        white.flags.writeable = False
        if metric is None and len(white) <= RENEW_ROWS:
            # Index, head and reports ask for it one after another.
            self._white = moment.version, white
        return white

    def exact(self, moment: Moment) -> LearntHead:
        """The head solved from every descriptor, whichever way the catalogue's own is trained."""
        learnt = self._files.load_head()
        if learnt is not None and learnt.version == moment.version:
            return learnt
        metric, _ = self.metric(moment)
        slots, rows = moment.slots, self.whitened(moment)
        dropped = [slot for slot in moment.order if slot in moment.compacted]
        if dropped:
            slots, rows = with_draws(slots, rows, self.sums(moment), metric, dropped)
        head = solve(rows, places_of(slots, moment.order), moment.order)
        _log.debug("solved the head")
        return LearntHead(moment.version, head, metric, "exact")

    def save(self) -> None:
        """Write what was learnt to the cache folder, where it is not what this process found there.

        Neither a folder that cannot be written nor a locked catalogue is a reason to fail: it costs
        time at the next start.
        """
        with contextlib.suppress(OSError, CatalogError):
            with self._store.reading() as tx:
                sums = self._news(tx, "sums", self._sums)
                sums = sums if self._checkpoint_due(tx) else None
                metric = self._news(tx, "metric", self._metric)
                items = self._news(tx, "items", self._items)
                head = self._news(tx, "head", self._head)
                calibration = self._news(tx, "calibration", self._calibration)
            if sums:
                self._files.save_sums(sums)
            if metric:
                self._files.save_metric(metric)
            if items:
                self._files.save_items(items)
            if head and head.training == "exact":
                self._files.save_head(head)
            if calibration:
                self._files.save_calibration(calibration)
        with contextlib.suppress(CatalogError), self._store.reading() as tx:
            # Another process may have dropped for good what has just been written, or read before.
            for kind, version in list(self._files.versions.items()):
                if not journal.leads_here(tx, version):
                    self._files.delete(kind)

    def _news(self, tx: Transaction, kind: str, learnt: _Learnt | None) -> _Learnt | None:
        """What was learnt, if it is not in the cache folder, and may go there."""
        if learnt is None or learnt.version == self._files.versions.get(kind):
            return None
        return learnt if journal.leads_here(tx, learnt.version) else None

    def _state(self, moment: Moment, sums: Sums) -> str:
        return sums.state(self._basis, {**moment.keys, **dict(sums.gone())})

    def _since(self, earlier: Version, moment: Moment) -> list[Change] | None:
        """What has changed from an earlier state to a moment; None if that cannot be told."""
        with self._store.reading() as tx:
            return journal.changes_between(tx, earlier, moment.version)

    def _caught_up(self, moment: Moment, learnt: LearntSums) -> bool:
        """Bring sums to a moment; False if they are of another history."""
        if learnt.version == moment.version:
            return True
        changes = self._since(learnt.version, moment)
        if changes is None:
            return False
        with contextlib.suppress(InvalidInput, Damaged):
            gone = self._rows_in([(c.item, c.before) for c in changes])
            come = self._rows_in([(c.item, c.after) for c in changes])
            learnt.sums.subtract(*gone)
            learnt.sums.add(*come)
            return True
        return False

    def _add_up(self, moment: Moment) -> Sums:
        sums = self._rows.dropped(moment)
        for where, block in self._rows.blocks(moment.items):
            sums.add(moment.slots[where], block)
        return sums

    def _renewed(self, moment: Moment, learnt: LearntItems | None) -> LearntItems:
        """The items of a moment: of the same epoch if that will do, else of a new one."""
        changes = None if learnt is None else self._since(learnt.version, moment)
        if (
            learnt is not None
            and changes is not None
            and not learnt.items.renewal_due(len(changes))
        ):
            gone = np.array([c.item for c in changes if c.after is None], np.int64)
            come = np.array([c.item for c in changes if c.before is None], np.int64)
            _log.debug("index: %d changes", len(changes))
            index = learnt.items.caught_up(gone, come, self._rows.floats(come), len(changes))
            return LearntItems(moment.version, learnt.epoch, index)
        metric = self.metric(moment)[0]
        _log.debug("index: a new one of %d items", len(moment))
        index = ItemIndex(metric, FlatIndex(moment.items, self.whitened(moment)))
        return LearntItems(moment.version, moment.version, index)

    def _stored_head(self, moment: Moment) -> LearntHead:
        with self._store.reading() as tx:
            if journal.version(tx) != moment.version:  # it may have been widened since
                raise Superseded("the head was changed meanwhile; ask again")
            head, metric = heads.load(tx, moment.head, self._rows.width)
        return LearntHead(moment.version, head, metric, moment.head.training)

    def _still_holds(self, moment: Moment, learnt: LearntCalibration, *, with_head: bool) -> bool:
        if learnt.with_head != with_head:
            return False
        if learnt.version == moment.version:
            return True
        if learnt.items <= MEASURED_ANEW:
            return False
        changes = self._since(learnt.version, moment)
        return changes is not None and len(changes) <= MEASURED_SHARE * learnt.items

    def _rows_in(
        self, pairs: Sequence[tuple[int, int | None]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """Label slots and descriptors of those items that have a label."""
        labelled = [(item, label) for item, label in pairs if label is not None]
        items, labels = np.array(labelled, np.int64).reshape(len(labelled), 2).T
        return labels, self._rows.of(items)

    def _checkpoint_due(self, tx: Transaction) -> bool:
        saved = self._files.versions.get("sums")
        if saved is None or not journal.is_ancestor(tx, saved):
            return True
        return len(journal.net_changes(tx, saved.generation)) >= _CHECKPOINT_CHANGES


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
    drawn = np.repeat(np.array(slots, np.int64), DRAWN)
    draws = draws_of(sums, metric, slots)
    return np.concatenate([labels, drawn]), np.concatenate([rows, draws])


def places_of(labels: NDArray[np.int64], order: Sequence[int]) -> NDArray[np.int64]:
    """The place of each label int64 (N,) in an order of all of them: int64 (N,)."""
    if not len(order):
        return np.zeros(0, np.int64)
    slots = np.array(order, np.int64)
    by_slot = np.argsort(slots)
    return np.asarray(by_slot[np.searchsorted(slots[by_slot], labels)], np.int64)
