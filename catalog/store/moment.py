"""What a catalogue holds at one moment, read in one short transaction.

Descriptors are not among it: an item's never changes, so they can be read later, some at a time, in
transactions of their own, whatever is written meanwhile. Only `compact` and `forget` drop them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Advice, Damaged
from catalog.store import Slot, classes, compaction, heads, inventory, journal
from catalog.store.heads import HeadRecord
from catalog.store.journal import Change, Version


@dataclass(frozen=True, eq=False)
class Moment:
    """A state of a catalogue: its classes and items, by arrays that nobody changes.

    Attributes:
        version: of the state.
        order: the slots of classes that have items, in the order of names.
        names: class names by slot.
        keys: what names have in common that differ only by case and the like, by slot.
        items: int64 (N,), the ids of the items that have a descriptor, in the order of content
            hashes, which no history changes.
        slots: int64 (N,), the class of each.
        contents: uint64 (N, 4), the content hash of each.
        training: how the head is trained, or why that cannot be read: neighbours need no head.
        compacted: the classes some of whose descriptors were dropped.
        bare: those of them that have no other descriptors.
    """

    version: Version
    order: tuple[Slot, ...]
    names: Mapping[int, str]
    keys: Mapping[int, str]
    items: NDArray[np.int64]
    slots: NDArray[np.int64]
    contents: NDArray[np.uint64] = field(repr=False)
    training: HeadRecord | Damaged
    compacted: frozenset[Slot]
    bare: frozenset[Slot]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def head(self) -> HeadRecord:
        """How the head is trained.

        Raises:
            Damaged: that cannot be read.
        """
        if isinstance(self.training, Damaged):
            raise self.training
        return self.training

    def of_its_own(self) -> Moment:
        """The same with nothing that is of another embedder's descriptors.

        The head is solved from these, unless there is to be none, and classes that have none of
        these are not there.
        """
        own = set(self.slots.tolist())
        return replace(
            self,
            order=tuple(slot for slot in self.order if slot in own),
            training=HeadRecord() if self.head.stored else self.training,
        )

    @cached_property
    def slots_named(self) -> Mapping[str, Slot]:
        """The slot of each class that has items, by its name."""
        return {self.names[slot]: slot for slot in self.order}

    @cached_property
    def class_places(self) -> NDArray[np.int64]:
        """The place of the class of each item in the order of names, int64 (N,)."""
        return places_of(self.slots, self.order)

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids, rising, and the place of each."""
        places = np.argsort(self.items)
        return self.items[places], places

    def places(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each item in the order of content hashes, -1 for one that is not here.

        Args:
            items: int64, of any shape.

        Returns:
            int64 of the same shape.
        """
        ids, places = self._by_id
        if not len(ids):
            return np.full(items.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(ids, items), len(ids) - 1)
        return np.where(ids[at] == items, places[at], -1)


def places_of(slots: NDArray[np.int64], order: Sequence[int]) -> NDArray[np.int64]:
    """The place of each slot int64 (N,) in an order of all of them: int64 (N,)."""
    if not len(order):
        return np.zeros(0, np.int64)
    ordered = np.array(order, np.int64)
    by_slot = np.argsort(ordered)
    return np.asarray(by_slot[np.searchsorted(ordered[by_slot], slots)], np.int64)


def read(tx: sqlite3.Connection, embedder_id: int, earlier: Moment | None = None) -> Moment:
    """What a catalogue holds in the state that a transaction sees.

    Args:
        tx: a transaction.
        embedder_id: whose descriptors are used.
        earlier: an earlier moment, so that only what has changed since has to be read.
    """
    version = journal.version(tx)
    if earlier is not None and earlier.version == version:
        return earlier
    live = classes.live(tx)
    slots = tuple(slot for slot, _ in live)
    keys: dict[int, str] = dict(live)
    names: dict[int, str] = dict(zip(slots, classes.names_of(tx, slots), strict=True))
    changes = None
    if earlier is not None:
        changes = journal.changes_between(tx, earlier.version, version)
    if earlier is None or changes is None:
        rows = _rows(tx, embedder_id)
    else:
        rows = _changed(tx, earlier, changes)
    astray = ~np.isin(rows[1], slots)
    if astray.any():
        raise Damaged(f"item {rows[0][astray][0]} has lost its class", Advice("verify"))
    return Moment(
        version,
        slots,
        MappingProxyType(names),
        MappingProxyType(keys),
        *rows,
        _training(tx),
        frozenset(compaction.compacted_classes(tx)),
        frozenset(compaction.classes_without_items(tx)),
    )


def _training(tx: sqlite3.Connection) -> HeadRecord | Damaged:
    try:
        return heads.current(tx)
    except Damaged as error:
        return error


_Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]


def _rows(tx: sqlite3.Connection, embedder_id: int) -> _Rows:
    rows = tx.execute(
        "SELECT item.id, label, content FROM item WHERE label IS NOT NULL AND EXISTS "
        "(SELECT 1 FROM descriptor WHERE descriptor.item = item.id AND embedder = ?)",
        (embedder_id,),
    ).fetchall()
    return _ordered(rows)


def _ordered(rows: Sequence[tuple[int, int, bytes]]) -> _Rows:
    """Ids, slots and content hashes in the order of the last."""
    items = np.array([row[0] for row in rows], np.int64)
    slots = np.array([row[1] for row in rows], np.int64)
    packed = b"".join(row[2] for row in rows)
    if len(packed) != 32 * len(rows):
        raise Damaged("a picture's hash has lost a part", Advice("verify"))
    contents = np.frombuffer(packed, ">u8").astype(np.uint64).reshape(len(rows), 4)
    order = np.lexsort(contents.T[::-1])
    return items[order], slots[order], contents[order]


def _changed(tx: sqlite3.Connection, earlier: Moment, changes: Sequence[Change]) -> _Rows:
    """The rows of an earlier moment with what has changed since."""
    touched = np.array([change.item for change in changes], np.int64)
    kept = ~np.isin(earlier.items, touched)
    after: dict[int, int] = {
        change.item: change.after for change in changes if change.after is not None
    }
    hashes_of = inventory.contents(tx, list(after))
    come = _ordered([(item, after[item], content) for item, content in hashes_of.items()])
    parts = zip((earlier.items, earlier.slots, earlier.contents), come, strict=True)
    items, slots, hashes = (np.concatenate([old[kept], new]) for old, new in parts)
    order = np.lexsort(hashes.T[::-1])
    return items[order], slots[order], hashes[order]
