"""What is learnt from a catalogue, kept in step with it.

Everything here follows from the catalogue file: deleting the cache folder costs time, never data
and never an answer.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog import journal
from catalog.journal import Version
from catalog.learnt_files import LearntFiles, LearntItems, LearntMetric, LearntSums
from catalog.store import Store
from catalog.stored import StoredDescriptors
from descriptors import (
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
from index import FlatIndex, ItemIndex, centroids

# Rewriting 13 MB of sums is worth it once catching up means reading this many descriptors.
_CHECKPOINT_CHANGES = 512


class Learning:
    """Sums, metric, centroids and item index of a catalogue, each made when it is first asked for.

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
        self._files = LearntFiles(cache, self._basis)
        self._stored = StoredDescriptors(embedder_id, prior.width)
        self._sums: LearntSums | None = None
        self._metric: LearntMetric | None = None
        self._items: LearntItems | None = None

    def state(self, tx: sqlite3.Connection) -> str:
        """The hash of everything learning depends on: equal states give equal answers."""
        return self.sums(tx).state(self._basis, dict(_live_labels(tx)))

    def check(self, tx: sqlite3.Connection) -> bool:
        """Whether the sums at hand are those of the descriptors, added up afresh.

        If they are not, they are replaced, and all that was learnt from them is forgotten.
        """
        names = dict(_live_labels(tx))
        afresh = self._add_up(tx)
        if self.sums(tx).state(self._basis, names) == afresh.state(self._basis, names):
            return True
        self._files.delete()
        self._sums = LearntSums(journal.version(tx), afresh)
        self._metric = self._items = None
        return False

    def sums(self, tx: sqlite3.Connection) -> Sums:
        """The exact sums of every item's descriptor."""
        current = journal.version(tx)
        learnt = self._sums or self._files.load_sums()
        self._sums = None  # an interrupt in the middle of catching up must not leave it half done
        if learnt is None or not self._caught_up(tx, learnt):
            learnt = LearntSums(current, self._add_up(tx))
        self._sums = LearntSums(current, learnt.sums)
        return learnt.sums

    def metric(self, tx: sqlite3.Connection) -> tuple[Metric, FlatIndex]:
        """The current metric, and the class centroids under it (label slots for keys)."""
        current = journal.version(tx)
        learnt = self._metric or self._files.load_metric()
        if learnt is None or learnt.version != current:
            sums = self.sums(tx)
            order = [slot for slot, _ in _live_labels(tx)]
            metric = fit(sums, order, self._prior)
            learnt = LearntMetric(current, metric, centroids(sums, order, metric))
        self._metric = learnt
        return learnt.metric, learnt.centroids

    def items(self, tx: sqlite3.Connection, *, exact: bool = False) -> ItemIndex:
        """The index of items; search it under :meth:`metric`.

        Args:
            tx: a transaction.
            exact: begin a new epoch unless the present one is of the current metric.
        """
        current = journal.version(tx)
        learnt = self._items or self._files.load_items()
        if learnt is None or (learnt.epoch if exact else learnt.version) != current:
            learnt = self._renewed(tx, current, None if exact else learnt)
        if learnt.epoch == current:
            # One object for one metric, so that the index can tell that no ranking again is needed.
            learnt.items.epoch = self.metric(tx)[0]
        self._items = learnt
        return learnt.items

    def descriptors(self, tx: sqlite3.Connection, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Stored descriptors of items int64 (M,): float32 (M, D)."""
        return to_floats(self._stored.of(tx, items.tolist()))

    def save(self) -> None:
        """Write what was learnt to the cache folder, where it is not what this process found there.

        Neither a folder that cannot be written nor a locked catalogue is a reason to fail: it costs
        time at the next start.
        """
        saved = self._files.versions.get
        with contextlib.suppress(OSError, CatalogError):
            if self._sums and self._checkpoint_due(self._sums.version):
                self._files.save_sums(self._sums)
            if self._metric and self._metric.version != saved("metric"):
                self._files.save_metric(self._metric)
            if self._items and self._items.version != saved("items"):
                self._files.save_items(self._items)

    def _caught_up(self, tx: sqlite3.Connection, learnt: LearntSums) -> bool:
        """Bring sums to the present state; False if they are of another history."""
        if not journal.is_ancestor(tx, learnt.version):
            return False
        changes = journal.net_changes(tx, learnt.version.generation)
        with contextlib.suppress(InvalidInput, Damaged):
            gone = self._rows_in(tx, [(c.item, c.before) for c in changes])
            come = self._rows_in(tx, [(c.item, c.after) for c in changes])
            learnt.sums.subtract(*gone)
            learnt.sums.add(*come)
            return True
        return False

    def _add_up(self, tx: sqlite3.Connection) -> Sums:
        sums = Sums(self._prior.width)
        for _, labels, rows in self._stored.blocks(tx):
            sums.add(labels, rows)
        return sums

    def _renewed(
        self, tx: sqlite3.Connection, current: Version, learnt: LearntItems | None
    ) -> LearntItems:
        """The items of the present state: of the same epoch if that will do, else of a new one."""
        if learnt is not None and journal.is_ancestor(tx, learnt.version):
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
        ids, rows = [np.zeros(0, np.int64)], [np.zeros((0, self._prior.width), np.float32)]
        for block_ids, _, block in self._stored.blocks(tx):
            ids.append(block_ids)
            rows.append(metric.whiten(to_floats(block)))
        flat = FlatIndex(np.concatenate(ids), np.concatenate(rows))
        return LearntItems(current, current, ItemIndex(metric, flat))

    def _rows_in(
        self, tx: sqlite3.Connection, pairs: list[tuple[int, int | None]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """Label slots and descriptors of those items that have a label."""
        labelled = [(item, label) for item, label in pairs if label is not None]
        labels = np.array([label for _, label in labelled], dtype=np.int64)
        return labels, self._stored.of(tx, [item for item, _ in labelled])

    def _checkpoint_due(self, version: Version) -> bool:
        saved = self._files.versions.get("sums")
        if saved is None or saved == version:
            return saved is None
        with self._store.reading() as tx:
            if not journal.is_ancestor(tx, saved):
                return True
            return len(journal.net_changes(tx, saved.generation)) >= _CHECKPOINT_CHANGES


def _live_labels(tx: sqlite3.Connection) -> list[tuple[int, str]]:
    """Slot and key of every class that has items, in the order of keys."""
    return tx.execute(
        "SELECT slot, key FROM label "
        "WHERE EXISTS (SELECT 1 FROM item WHERE item.label = label.slot) ORDER BY key"
    ).fetchall()
