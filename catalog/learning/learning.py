"""What is learnt from a catalogue, kept in step with it.

Everything here follows from the catalogue file: deleting the cache folder costs time, never data
and never an answer.
"""

from __future__ import annotations

import contextlib
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
    fit,
    to_floats,
)
from catalog.head import EXACT_RULE, Head, draw_classes, solve
from catalog.index import FlatIndex, ItemIndex, centroids
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
from catalog.store import Transaction, classes, heads, inventory, journal
from catalog.store.compaction import compacted_classes, sums_of_dropped
from catalog.store.descriptors import StoredDescriptors
from catalog.store.heads import HeadRecord
from catalog.store.journal import Version
from catalog.store.store import Store

_Learnt = TypeVar("_Learnt", LearntSums, LearntMetric, LearntItems, LearntHead, LearntCalibration)

# Rewriting 13 MB of sums is worth it once catching up means reading this many descriptors.
_CHECKPOINT_CHANGES = 512

MEASURED_ANEW = 200
"""Up to how many items the calibration is measured anew at every change."""

MEASURED_SHARE = 0.05
"""Above that, what share of the items may have changed before it is measured anew."""


class Learning:
    """Sums, metric, centroids, items, head and calibration, each made when it is first asked for.

    Every method takes a transaction, and answers for the state that transaction sees.

    Args:
        store: of the catalogue.
        cache: folder of the derived files.
        embedder_id: whose descriptors are used.
        fingerprint: of that embedder.
        prior: of that embedder.
    """

    def __init__(
        self, store: Store, cache: Path, embedder_id: int, fingerprint: str, prior: Prior
    ) -> None:
        self._store = store
        self._prior = prior
        self._basis = f"{fingerprint} {prior.digest} {WHITENING_RULE}"
        rules = f"{EXACT_RULE}; {DRAWN} drawn; {CALIBRATION_RULE}"
        self._files = LearntFiles(cache, f"{self._basis}; {rules}")
        self._stored = StoredDescriptors(embedder_id, prior.width)
        self._sums: LearntSums | None = None
        self._metric: LearntMetric | None = None
        self._items: LearntItems | None = None
        self._head: LearntHead | None = None
        self._calibration: LearntCalibration | None = None

    def state(self, tx: Transaction) -> str:
        """The hash of everything learning depends on: equal states give equal answers."""
        return self._state(tx, self.sums(tx))

    def check(self, tx: Transaction) -> bool:
        """Whether the sums at hand are those of the descriptors, added up afresh.

        If they are not, they are replaced, and all that was learnt from them is forgotten.
        """
        afresh = self._add_up(tx)
        if self._state(tx, self.sums(tx)) == self._state(tx, afresh):
            return True
        self.discard()
        self._sums = LearntSums(journal.version(tx), afresh)
        return False

    def discard(self) -> None:
        """Delete the derived files, and let go of all that was learnt."""
        self._files.delete()
        self._sums = self._metric = self._items = self._head = self._calibration = None

    def sums(self, tx: Transaction) -> Sums:
        """The exact sums of every item's descriptor."""
        current = journal.version(tx)
        learnt = self._sums or self._files.load_sums()
        self._sums = None  # an interrupt in the middle of catching up must not leave it half done
        if learnt is None or not self._caught_up(tx, learnt):
            learnt = LearntSums(current, self._add_up(tx))
        self._sums = LearntSums(current, learnt.sums)
        return learnt.sums

    def metric(self, tx: Transaction) -> tuple[Metric, FlatIndex]:
        """The current metric, and the class centroids under it (label slots for keys)."""
        current = journal.version(tx)
        learnt = self._metric or self._files.load_metric()
        if learnt is None or learnt.version != current:
            sums = self.sums(tx)
            order = [slot for slot, _ in classes.live(tx)]
            gone = [key for key, _ in sums.gone()]
            metric = self._fit(sums, [*order, *gone])
            learnt = LearntMetric(current, metric, centroids(sums, order, metric))
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

    def items(self, tx: Transaction, *, exact: bool = False) -> ItemIndex:
        """The index of items; search it under :meth:`metric`.

        Args:
            tx: a transaction.
            exact: begin a new epoch unless the present one is of the current metric.
        """
        current = journal.version(tx)
        learnt = self._items or self._files.load_items()
        # A file that was put back may be of the very state that an epoch began with.
        if learnt is None or learnt.version != current or (exact and learnt.epoch != current):
            learnt = self._renewed(tx, current, None if exact else learnt)
        if learnt.epoch == current:
            # One object for one metric, so that the index can tell that no ranking again is needed.
            learnt.items.epoch = self.metric(tx)[0]
        self._items = learnt
        return learnt.items

    def head(self, tx: Transaction) -> LearntHead | None:
        """The head, and the metric its descriptors are whitened with; None if there is to be none.

        An exact head has a column for every class that has items. A stored one may lack the newest.
        """
        current, record = journal.version(tx), heads.current(tx)
        if record.training == "none":
            return None
        learnt = self._head
        if learnt is None or learnt.version != current:
            learnt = self._stored_head(tx, current, record) if record.stored else self.exact(tx)
        self._head = learnt
        return learnt

    def known_head(self, tx: Transaction) -> Head | None:
        """The exact head of this very state if it was solved already, without solving it."""
        learnt = self._head or self._files.load_head()
        return learnt.head if learnt and learnt.version == journal.version(tx) else None

    def calibration(self, tx: Transaction, *, exact: bool = False) -> Calibration | None:
        """How sure answers may be; None if there are too few independent pictures.

        Args:
            tx: a transaction.
            exact: measure it for this very state. Otherwise, in a catalogue of more than
                ``MEASURED_ANEW`` items, what was measured before a small change will do.
        """
        current = journal.version(tx)
        with_head = heads.current(tx).training in {"exact", "frozen"}
        learnt = self._calibration or self._files.load_calibration()
        if learnt is None or not self._still_holds(tx, learnt, with_head=with_head, exact=exact):
            pool = self.pool(tx, with_head=with_head)
            measured = calibration.learn(pool.cross_fit())
            learnt = LearntCalibration(current, len(pool.rows), with_head, measured)
        self._calibration = learnt
        return learnt.calibration

    def pool(self, tx: Transaction, *, with_head: bool = True) -> Pool:
        """Every stored descriptor and what goes with it, to hold some out and judge them."""
        _, labels, rows = self._stored.everything(tx)
        order = [slot for slot, _ in classes.live(tx)]
        sums = self.sums(tx)
        dropped = [slot for slot in order if slot in compacted_classes(tx)]
        places = places_of(labels, order)
        return Pool(rows, places, sums, order, self._prior, with_head, dropped)

    @property
    def stored(self) -> StoredDescriptors:
        """The descriptors in the catalogue file."""
        return self._stored

    @property
    def width(self) -> int:
        """D, the length of a descriptor."""
        return self._prior.width

    def rows(self, tx: Transaction) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The label slot int64 (N,) and stored descriptor float32 (N, D) of every item."""
        _, labels, rows = self._stored.everything(tx)
        return labels, to_floats(rows)

    def draws(
        self, tx: Transaction, metric: Metric, slots: Sequence[int], seed: int = 0
    ) -> NDArray[np.float32]:
        """Whitened descriptors drawn of classes from their sums, those of a class together."""
        if not slots:
            return np.zeros((0, self.width), np.float32)
        return draw_classes(self.sums(tx), slots, metric, DRAWN, seed=seed)

    def with_draws(
        self,
        tx: Transaction,
        metric: Metric,
        labels: NDArray[np.int64],
        rows: NDArray[np.float32],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Items, followed by draws that stand in for those of the classes that were compacted.

        Args:
            tx: a transaction.
            metric: that the rows are whitened with.
            labels: int64 (N,), the slot of each item.
            rows: float32 (N, D), whitened.

        Returns:
            int64 (M,) and float32 (M, D), M >= N.
        """
        compacted = compacted_classes(tx)
        slots = [slot for slot, _ in classes.live(tx) if slot in compacted]
        if not slots:
            return labels, rows
        drawn = np.repeat(np.array(slots, np.int64), DRAWN)
        draws = self.draws(tx, metric, slots)
        return np.concatenate([labels, drawn]), np.concatenate([rows, draws])

    def descriptors(self, tx: Transaction, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Stored descriptors of items int64 (M,): float32 (M, D)."""
        return to_floats(self._stored.of(tx, items.tolist()))

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
                if not _can_be_caught_up(tx, version):
                    self._files.delete(kind)

    def _news(self, tx: Transaction, kind: str, learnt: _Learnt | None) -> _Learnt | None:
        """What was learnt, if it is not in the cache folder, and may go there."""
        if learnt is None or learnt.version == self._files.versions.get(kind):
            return None
        return learnt if _can_be_caught_up(tx, learnt.version) else None

    def _state(self, tx: Transaction, sums: Sums) -> str:
        return sums.state(self._basis, dict([*classes.live(tx), *sums.gone()]))

    def _caught_up(self, tx: Transaction, learnt: LearntSums) -> bool:
        """Bring sums to the present state; False if they are of another history."""
        if not _can_be_caught_up(tx, learnt.version):
            return False
        changes = journal.net_changes(tx, learnt.version.generation)
        with contextlib.suppress(InvalidInput, Damaged):
            gone = self._rows_in(tx, [(c.item, c.before) for c in changes])
            come = self._rows_in(tx, [(c.item, c.after) for c in changes])
            learnt.sums.subtract(*gone)
            learnt.sums.add(*come)
            return True
        return False

    def _add_up(self, tx: Transaction) -> Sums:
        sums = sums_of_dropped(tx, self._prior.width)
        for _, labels, rows in self._stored.blocks(tx):
            sums.add(labels, rows)
        return sums

    def _renewed(
        self, tx: Transaction, current: Version, learnt: LearntItems | None
    ) -> LearntItems:
        """The items of the present state: of the same epoch if that will do, else of a new one."""
        if learnt is not None and _can_be_caught_up(tx, learnt.version):
            changes = journal.net_changes(tx, learnt.version.generation)
            if not learnt.items.renewal_due(len(changes)):
                gone = [c.item for c in changes if c.after is None]
                come = [c.item for c in changes if c.before is None]
                index = learnt.items.caught_up(
                    np.array(gone, np.int64),
                    np.array(come, np.int64),
                    to_floats(self._stored.of(tx, come)),
                    len(changes),
                )
                return LearntItems(current, learnt.epoch, index)
        metric = self.metric(tx)[0]
        ids, _, rows = self._stored.everything(tx)
        flat = FlatIndex(ids, metric.whiten(to_floats(rows)))
        return LearntItems(current, current, ItemIndex(metric, flat))

    def exact(self, tx: Transaction) -> LearntHead:
        """The head solved from every descriptor, whichever way the catalogue's own is trained."""
        learnt = self._files.load_head()
        if learnt is not None and learnt.version == journal.version(tx):
            return learnt
        metric = self.metric(tx)[0]
        flat = self.items(tx, exact=True).flat
        labels = inventory.slots(tx)
        order = [slot for slot, _ in classes.live(tx)]
        of_rows = np.array([labels[item] for item in flat.keys.tolist()], np.int64)
        of_rows, rows = self.with_draws(tx, metric, of_rows, flat.rows)
        head = solve(rows, places_of(of_rows, order), order)
        return LearntHead(journal.version(tx), head, metric, "exact")

    def _stored_head(self, tx: Transaction, current: Version, record: HeadRecord) -> LearntHead:
        head, metric = heads.load(tx, record, self._prior.width)
        return LearntHead(current, head, metric, record.training)

    def _still_holds(
        self,
        tx: Transaction,
        learnt: LearntCalibration,
        *,
        with_head: bool,
        exact: bool,
    ) -> bool:
        if learnt.with_head != with_head:
            return False
        if learnt.version == journal.version(tx):
            return True
        if exact or learnt.items <= MEASURED_ANEW or not _can_be_caught_up(tx, learnt.version):
            return False
        changes = journal.net_changes(tx, learnt.version.generation)
        return len(changes) <= MEASURED_SHARE * learnt.items

    def _rows_in(
        self, tx: Transaction, pairs: list[tuple[int, int | None]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """Label slots and descriptors of those items that have a label."""
        labelled = [(item, label) for item, label in pairs if label is not None]
        labels = np.array([label for _, label in labelled], dtype=np.int64)
        return labels, self._stored.of(tx, [item for item, _ in labelled])

    def _checkpoint_due(self, tx: Transaction) -> bool:
        saved = self._files.versions.get("sums")
        if saved is None or not journal.is_ancestor(tx, saved):
            return True
        return len(journal.net_changes(tx, saved.generation)) >= _CHECKPOINT_CHANGES


def _can_be_caught_up(tx: Transaction, earlier: Version) -> bool:
    """Whether the changes since then say all that has become of that state."""
    return journal.is_ancestor(tx, earlier) and not journal.dropped_since(tx, earlier.generation)


def places_of(labels: NDArray[np.int64], order: Sequence[int]) -> NDArray[np.int64]:
    """The place of each label int64 (N,) in an order of all of them: int64 (N,)."""
    if not len(order):
        return np.zeros(0, np.int64)
    slots = np.array(order, np.int64)
    by_slot = np.argsort(slots)
    return np.asarray(by_slot[np.searchsorted(slots[by_slot], labels)], np.int64)
