"""Stored descriptors of photos that were made up of pictures: rows of the table ``made_up``."""

from __future__ import annotations

import sqlite3
import zlib

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Advice, Damaged, from_bytes, to_bytes
from catalog.store import ItemId
from catalog.store.descriptors import StoredDescriptors


def keep(
    tx: sqlite3.Connection,
    stored: StoredDescriptors,
    content: bytes,
    rows: NDArray[np.int16],
    event: int,
) -> None:
    """Store the descriptors of photos made up of a picture, unless there are some already.

    Args:
        tx: a writing transaction.
        stored: the descriptors that they go with.
        content: the picture's hash.
        rows: int16 (K, D), as stored.
        event: that they come with, and go with when it is undone.
    """
    value = to_bytes(rows)
    tx.execute(
        "INSERT OR IGNORE INTO made_up (item, embedder, event, value, checksum) "
        "SELECT id, ?, ?, ?, ? FROM item WHERE content = ? "
        "AND id NOT IN (SELECT item FROM compacted_item)",
        (stored.embedder_id, event, value, zlib.crc32(value), content),
    )


def keep_beside(
    tx: sqlite3.Connection,
    stored: StoredDescriptors,
    item: ItemId,
    rows: NDArray[np.int16],
    event: int,
) -> None:
    """Store the same photos' descriptors of another embedder, unless they were taken back since.

    Args:
        tx: a writing transaction.
        stored: the descriptors that they go with.
        item: the picture.
        rows: int16 (K, D), as stored.
        event: that the others came with.
    """
    value = to_bytes(rows)
    tx.execute(
        "INSERT OR IGNORE INTO made_up (item, embedder, event, value, checksum) "
        "SELECT ?, ?, ?, ?, ? WHERE EXISTS "
        "(SELECT 1 FROM made_up WHERE item = ? AND event = ?)",
        (item, stored.embedder_id, event, value, zlib.crc32(value), item, event),
    )


def of(tx: sqlite3.Connection, stored: StoredDescriptors, item: ItemId) -> NDArray[np.int16] | None:
    """The descriptors of photos made up of an item: int16 (K, D); None if there are none.

    Raises:
        Damaged: they are not as they were written.
    """
    row = tx.execute(
        "SELECT value, checksum FROM made_up WHERE item = ? AND embedder = ?",
        (item, stored.embedder_id),
    ).fetchone()
    if row is None:
        return None
    value, checksum = row
    size = 2 * stored.width
    if zlib.crc32(value) != checksum or not value or len(value) % size:
        fact = f"the descriptors of photos made up of item {item} are damaged"
        raise Damaged(fact, Advice("verify"))
    return from_bytes(
        [value[start : start + size] for start in range(0, len(value), size)], stored.width
    )


def there(tx: sqlite3.Connection, stored: StoredDescriptors, item: ItemId) -> bool:
    """Whether an item has some."""
    values = (item, stored.embedder_id)
    row = tx.execute("SELECT 1 FROM made_up WHERE item = ? AND embedder = ?", values).fetchone()
    return row is not None


def holders(tx: sqlite3.Connection, stored: StoredDescriptors) -> NDArray[np.int64]:
    """The items that have some, int64 (M,), rising."""
    rows = tx.execute(
        "SELECT item FROM made_up WHERE embedder = ? ORDER BY item", (stored.embedder_id,)
    )
    return np.array([item for (item,) in rows], np.int64)


def count(tx: sqlite3.Connection) -> int:
    """How many pictures have some."""
    (rows,) = tx.execute("SELECT count(DISTINCT item) FROM made_up").fetchone()
    return int(rows)
