"""What is learnt from a catalogue, kept in step with it, and kept on disk between processes.

Everything here follows from the catalogue file: deleting the cache folder costs time, never data
and never an answer.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import index
from catalog import journal
from catalog.journal import Change, Version
from catalog.store import Store
from descriptors import (
    WHITENING_RULE,
    InvalidInput,
    Metric,
    Prior,
    Sums,
    fit,
    from_bytes,
    to_floats,
)
from index import FlatIndex, ItemIndex, derived

KINDS = ("sums", "metric", "items")
"""The derived files of a catalogue, by name and kind."""

# Rewriting 13 MB of sums is worth it once catching up means reading this many descriptors.
_CHECKPOINT_CHANGES = 512
_BLOCK_ROWS = 8192


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
        self._cache = cache
        self._embedder_id = embedder_id
        self._prior = prior
        self._basis = f"{fingerprint} {prior.digest} {WHITENING_RULE}"
        self._sums: tuple[Version, Sums] | None = None
        self._metric: tuple[Version, Metric, FlatIndex] | None = None
        self._items: tuple[Version, Version, ItemIndex] | None = None
        self._saved: dict[str, Version] = {}

    def state(self, tx: sqlite3.Connection) -> str:
        """The hash of everything learning depends on: equal states give equal answers."""
        return self.sums(tx).state(self._basis, dict(_live_labels(tx)))

    def sums(self, tx: sqlite3.Connection) -> Sums:
        """The exact sums of every item's descriptor."""
        current = journal.version(tx)
        if self._sums is None:
            self._sums = self._load_sums()
        if self._sums is None or not self._catch_up(tx, *self._sums):
            self._sums = (current, self._add_up(tx))
        self._sums = (current, self._sums[1])
        return self._sums[1]

    def metric(self, tx: sqlite3.Connection) -> tuple[Metric, FlatIndex]:
        """The current metric, and the class centroids under it (label slots for keys)."""
        current = journal.version(tx)
        if self._metric is None:
            self._metric = self._load_metric(current)
        if self._metric is None or self._metric[0] != current:
            sums = self.sums(tx)
            order = [slot for slot, _ in _live_labels(tx)]
            metric = fit(sums, order, self._prior)
            self._metric = (current, metric, index.centroids(sums, order, metric))
        return self._metric[1:]

    def items(self, tx: sqlite3.Connection, *, exact: bool = False) -> ItemIndex:
        """The index of items; search it under :meth:`metric`.

        Args:
            tx: a transaction.
            exact: begin a new epoch unless the present one is of the current metric.
        """
        current = journal.version(tx)
        if self._items is None:
            self._items = self._load_items()
        if self._items is None or self._items[exact - 1] != current:
            self._items = self._renewed(tx, current, exact=exact)
        epoch, _, items = self._items
        if epoch == current:
            # One object for one metric, so that the index can tell that no ranking again is needed.
            items.epoch = self.metric(tx)[0]
        return items

    def agrees(self, tx: sqlite3.Connection) -> bool:
        """Whether the sums at hand are those of the descriptors, added up afresh."""
        names = dict(_live_labels(tx))
        afresh = self._add_up(tx).state(self._basis, names)
        return self.sums(tx).state(self._basis, names) == afresh

    def descriptors(self, tx: sqlite3.Connection, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Stored descriptors of items int64 (M,), distinct and rising: float32 (M, D)."""
        return to_floats(self._rows(tx, items.tolist()))

    def save(self) -> None:
        """Write what was learnt to the cache folder, where it is newer than what lies there.

        A folder that cannot be written is no reason to fail: it costs time at the next start.
        """
        with contextlib.suppress(OSError):
            self._save_sums()
            self._save_metric()
            self._save_items()

    def _catch_up(self, tx: sqlite3.Connection, version: Version, sums: Sums) -> bool:
        """Bring sums to the present state; False if they are of another history."""
        if not journal.is_ancestor(tx, version):
            return False
        changes = journal.net_changes(tx, version.generation)
        with contextlib.suppress(InvalidInput):
            sums.subtract(*self._sides(tx, [(c.item, c.before) for c in changes]))
            sums.add(*self._sides(tx, [(c.item, c.after) for c in changes]))
            return True
        return False

    def _add_up(self, tx: sqlite3.Connection) -> Sums:
        sums = Sums(self._prior.width)
        for _, labels, rows in self._all(tx):
            sums.add(labels, rows)
        return sums

    def _renewed(
        self, tx: sqlite3.Connection, current: Version, *, exact: bool
    ) -> tuple[Version, Version, ItemIndex]:
        if not exact and self._items is not None and journal.is_ancestor(tx, self._items[1]):
            epoch, version, items = self._items
            changes = journal.net_changes(tx, version.generation)
            if not items.renewal_due(len(changes)):
                return epoch, current, self._with_changes(tx, items, changes)
        metric = self.metric(tx)[0]
        ids: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        rows = [np.zeros((0, self._prior.width), np.float32)]
        for block_ids, _, block in self._all(tx):
            ids.append(block_ids)
            rows.append(metric.whiten(to_floats(block)))
        flat = FlatIndex(np.concatenate(ids), np.concatenate(rows))
        return current, current, ItemIndex(metric, flat)

    def _with_changes(
        self, tx: sqlite3.Connection, items: ItemIndex, changes: list[Change]
    ) -> ItemIndex:
        gone = [c.item for c in changes if c.before is not None and c.after is None]
        come = [c.item for c in changes if c.before is None and c.after is not None]
        rows = self.descriptors(tx, np.array(come, np.int64))
        return items.caught_up(np.array(gone, np.int64), np.array(come, np.int64), rows)

    def _sides(
        self, tx: sqlite3.Connection, pairs: list[tuple[int, int | None]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        known = [(item, label) for item, label in pairs if label is not None]
        labels = np.array([label for _, label in known], dtype=np.int64)
        return labels, self._rows(tx, [item for item, _ in known])

    def _rows(self, tx: sqlite3.Connection, items: list[int]) -> NDArray[np.int16]:
        blobs = [
            tx.execute(
                "SELECT value FROM descriptor WHERE item = ? AND embedder = ?",
                (item, self._embedder_id),
            ).fetchone()[0]
            for item in items
        ]
        return from_bytes(blobs, self._prior.width)

    def _all(
        self, tx: sqlite3.Connection
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]]:
        """Every item's id, label and descriptor, in blocks."""
        cursor = tx.execute(
            "SELECT item.id, item.label, descriptor.value FROM descriptor "
            "JOIN item ON item.id = descriptor.item "
            "WHERE item.label IS NOT NULL AND descriptor.embedder = ? ORDER BY descriptor.id",
            (self._embedder_id,),
        )
        while block := cursor.fetchmany(_BLOCK_ROWS):
            ids, labels, blobs = zip(*block, strict=True)
            yield (
                np.array(ids, np.int64),
                np.array(labels, np.int64),
                from_bytes(list(blobs), self._prior.width),
            )

    def _key(self, version: Version, **more: str | int) -> Mapping[str, str | int]:
        return {"basis": self._basis, **version._asdict(), **more}

    def _read(self, kind: str) -> tuple[Version, derived.Derived] | None:
        found = derived.read(self._cache / kind, kind)
        if found is None or found.key["basis"] != self._basis:
            return None
        version = Version(int(found.key["generation"]), str(found.key["token"]))
        self._saved[kind] = version
        return version, found

    def _load_sums(self) -> tuple[Version, Sums] | None:
        found = self._read("sums")
        if found is None:
            return None
        version, arrays = found[0], found[1].arrays
        sums = Sums(self._prior.width)
        slots = arrays["slots"].tolist()
        sums.gram = arrays["gram"]
        sums.counts = dict(zip(slots, arrays["counts"].tolist(), strict=True))
        sums.totals = dict(zip(slots, arrays["totals"], strict=True))
        return version, sums

    def _save_sums(self) -> None:
        if self._sums is None:
            return
        version, sums = self._sums
        saved = self._saved.get("sums")
        if saved and version.generation == saved.generation:
            return
        if saved and not self._checkpoint_due(saved):
            return
        slots = sorted(sums.counts)
        totals = np.array([sums.totals[slot] for slot in slots], dtype=np.int64)
        arrays: dict[str, NDArray[Any]] = {
            "gram": sums.gram,
            "slots": np.array(slots, np.int64),
            "counts": np.array([sums.counts[slot] for slot in slots], np.int64),
            "totals": totals.reshape(len(slots), sums.width),
        }
        derived.write(self._cache / "sums", "sums", self._key(version), arrays)
        self._saved["sums"] = version

    def _checkpoint_due(self, saved: Version) -> bool:
        with self._store.reading() as tx:
            if not journal.is_ancestor(tx, saved):
                return True
            return len(journal.net_changes(tx, saved.generation)) >= _CHECKPOINT_CHANGES

    def _load_metric(self, current: Version) -> tuple[Version, Metric, FlatIndex] | None:
        found = self._read("metric")
        if found is None or found[0] != current:
            return None
        arrays = found[1].arrays
        metric = Metric(arrays["mean"], arrays["transform"])
        return current, metric, FlatIndex(arrays["slots"], arrays["centroids"])

    def _save_metric(self) -> None:
        if self._metric is None or self._metric[0] == self._saved.get("metric"):
            return
        version, metric, centroids = self._metric
        arrays: dict[str, NDArray[Any]] = {
            "mean": metric.mean,
            "transform": metric.transform,
            "slots": centroids.keys,
            "centroids": centroids.rows,
        }
        derived.write(self._cache / "metric", "metric", self._key(version), arrays)
        self._saved["metric"] = version

    def _load_items(self) -> tuple[Version, Version, ItemIndex] | None:
        found = self._read("items")
        if found is None:
            return None
        version, (key, arrays) = found[0], (found[1].key, found[1].arrays)
        epoch = Version(int(key["epoch_generation"]), str(key["epoch_token"]))
        metric = Metric(arrays["mean"], arrays["transform"])
        flat = FlatIndex(arrays["ids"], arrays["rows"])
        return epoch, version, ItemIndex(metric, flat, int(key["changed"]))

    def _save_items(self) -> None:
        if self._items is None or self._items[1] == self._saved.get("items"):
            return
        epoch, version, items = self._items
        key = self._key(
            version,
            epoch_generation=epoch.generation,
            epoch_token=epoch.token,
            changed=items.changed,
        )
        arrays: dict[str, NDArray[Any]] = {
            "mean": items.epoch.mean,
            "transform": items.epoch.transform,
            "ids": items.flat.keys,
            "rows": items.flat.rows,
        }
        derived.write(self._cache / "items", "items", key, arrays)
        self._saved["items"] = version


def _live_labels(tx: sqlite3.Connection) -> list[tuple[int, str]]:
    """Slot and key of every class that has items, in the order of keys."""
    return tx.execute(
        "SELECT slot, key FROM label "
        "WHERE EXISTS (SELECT 1 FROM item WHERE item.label = label.slot) ORDER BY key"
    ).fetchall()
