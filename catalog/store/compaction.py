"""Classes whose descriptors are dropped, and what is kept of them: exact sums.

Such a class keeps its centroid and its share of the metric. Its items cannot be neighbours any
more, and none of them can be taken out, since nobody knows what they added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import SCALE, Advice, Conflict, Damaged, Sums
from catalog.store import ItemId, Slot
from catalog.store.descriptors import StoredDescriptors

_LOST = "the sums of dropped descriptors have lost a part"
_MOST = 2**32  # descriptors of a class
_BLOCK = 4096  # descriptors that are summed at a time


def compacted_classes(tx: sqlite3.Connection) -> set[Slot]:
    """The classes some of whose descriptors were dropped: label slots."""
    return {slot for (slot,) in tx.execute("SELECT label FROM compacted WHERE label IS NOT NULL")}


def classes_without_items(tx: sqlite3.Connection) -> set[Slot]:
    """The classes all of whose descriptors were dropped, so that none of theirs is a neighbour."""
    rows = tx.execute(
        "SELECT label FROM compacted WHERE label IS NOT NULL AND NOT EXISTS (SELECT 1 FROM item "
        "WHERE item.label = compacted.label AND id NOT IN (SELECT item FROM compacted_item))"
    )
    return {slot for (slot,) in rows}


def has_dropped(tx: sqlite3.Connection) -> bool:
    """Whether any descriptors were dropped, of whatever class."""
    return tx.execute("SELECT 1 FROM compacted LIMIT 1").fetchone() is not None


def items(tx: sqlite3.Connection) -> set[ItemId]:
    """The items whose descriptors were dropped."""
    return {item for (item,) in tx.execute("SELECT item FROM compacted_item")}


def is_compacted(tx: sqlite3.Connection, item: ItemId) -> bool:
    """Whether an item's descriptor was dropped."""
    found = tx.execute("SELECT 1 FROM compacted_item WHERE item = ?", (item,)).fetchone()
    return found is not None


def require_stored(tx: sqlite3.Connection, items: Iterable[ItemId]) -> None:
    """Make sure that items can be taken out exactly.

    Raises:
        Conflict: the descriptor of one was dropped.
    """
    for item in items:
        if is_compacted(tx, item):
            raise Conflict(
                f"the descriptor of item {item} was dropped, so it cannot be taken out of what was "
                "learnt",
                Advice("remove inexactly"),
            )


def drop(
    tx: sqlite3.Connection, stored: StoredDescriptors, slots: Iterable[Slot], dropped: Sums
) -> int:
    """Drop the descriptors of classes, and keep their sums; cannot be undone.

    Args:
        tx: a writing transaction.
        stored: the descriptors.
        slots: the classes.
        dropped: the sums of what is dropped already, which is added to.

    Returns:
        How many descriptors there were.
    """
    wanted = list(slots)
    found = [
        (item, slot)
        for slot in wanted
        for (item,) in tx.execute(
            "SELECT id FROM item WHERE label = ? AND id NOT IN "
            "(SELECT item FROM compacted_item) ORDER BY id",
            (slot,),
        )
    ]
    if not found:
        return 0
    items = [item for item, _ in found]
    labels = np.array([slot for _, slot in found], np.int64)
    for start in range(0, len(items), _BLOCK):  # of many classes: a sum of few rows costs as much
        block = slice(start, start + _BLOCK)
        dropped.add(labels[block], stored.of(tx, items[block]))
    tx.executemany("INSERT INTO compacted_item (item) VALUES (?)", [(item,) for item in items])
    for table in ("descriptor", "made_up"):
        tx.executemany(f"DELETE FROM {table} WHERE item = ?", [(item,) for item in items])  # noqa: S608
    for slot in set(wanted) & dropped.counts.keys():
        values = (slot, dropped.counts[slot], _bytes(dropped.totals[slot]))
        tx.execute(
            "INSERT INTO compacted (label, items, total) VALUES (?, ?, ?) ON CONFLICT (label) "
            "DO UPDATE SET items = excluded.items, total = excluded.total",
            values,
        )
    tx.execute(
        "INSERT OR REPLACE INTO compacted_gram (id, value) VALUES (1, ?)", (_bytes(dropped.gram),)
    )
    # What was kept to undo earlier trainings cannot be gone back to any more.
    tx.execute("DELETE FROM head_column WHERE head < (SELECT max(id) FROM head)")
    return len(items)


def let_go(tx: sqlite3.Connection, slot: Slot, items: Iterable[int]) -> None:
    """Leave the sums of a class in the metric, although its items are in no class any more."""
    tx.execute("UPDATE compacted SET label = NULL WHERE label = ?", (slot,))
    tx.executemany("DELETE FROM compacted_item WHERE item = ?", [(item,) for item in items])


def count_without_descriptor(tx: sqlite3.Connection) -> int:
    """How many items have lost their descriptor to `compact`."""
    (count,) = tx.execute(
        "SELECT count(*) FROM compacted_item JOIN item ON id = item WHERE label IS NOT NULL"
    ).fetchone()
    return int(count)


def sums_of_dropped(tx: sqlite3.Connection, width: int) -> Sums:
    """The sums of every dropped descriptor; classes that are gone have negative keys.

    Raises:
        Damaged: they cannot be sums of descriptors.
    """
    sums = Sums(width)
    try:
        for row, slot, items, total in tx.execute("SELECT id, label, items, total FROM compacted"):
            key = -row if slot is None else slot
            sums.counts[key], sums.totals[key] = items, _numbers(total).reshape(width)
        gram = tx.execute("SELECT value FROM compacted_gram").fetchone()
        if gram is not None:
            sums.gram = _numbers(gram[0]).reshape(width, width)
        whole = not sums.counts or _are_sums(sums)
    except (TypeError, ValueError) as error:
        raise Damaged(f"{_LOST}: {error}", Advice("restore")) from error
    if not whole:
        raise Damaged(f"{_LOST}: they cannot be sums of descriptors", Advice("restore"))
    return sums


def _are_sums(sums: Sums) -> bool:
    """Whether these can be sums of stored descriptors, as far as they show it themselves.

    Their matrix is symmetric. A number and its square are odd or even together. What a class adds
    up to is bounded by its squares (Cauchy and Schwarz), and the squares of a descriptor come to
    the square of its length.
    """
    gram, squares = sums.gram, sums.gram.diagonal()
    counts = np.array(list(sums.counts.values()), np.int64)
    totals = np.array(list(sums.totals.values()), np.int64).reshape(len(counts), sums.width)
    if counts.min() < 1 or counts.max() > _MOST or squares.min() < 0:
        return False
    if not (gram == gram.T).all() or ((totals.sum(axis=0) - squares) % 2).any():
        return False
    bounds = np.outer(counts, squares).astype(np.float64)
    lengths = float(squares.astype(np.float64).sum()) / (float(counts.sum()) * SCALE**2)
    # A descriptor is of unit length within 1e-3, and its components are rounded.
    slack = 2.5e-3 + 2 * np.sqrt(sums.width) / SCALE
    return bool((totals.astype(np.float64) ** 2 <= bounds).all() and abs(lengths - 1) < slack)


def _bytes(numbers: NDArray[np.int64]) -> bytes:
    return numbers.astype("<i8", copy=False).tobytes()


def _numbers(packed: bytes) -> NDArray[np.int64]:
    return np.frombuffer(packed, "<i8").astype(np.int64)
