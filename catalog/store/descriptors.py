"""Stored descriptors, read back from the catalogue file."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import (
    Advice,
    CatalogError,
    Damaged,
    InvalidInput,
    Superseded,
    Switched,
    from_bytes,
)
from catalog.store import AT_ONCE, ItemId, embedders
from catalog.store.embedders import EmbedderId


class StoredDescriptors:
    """The descriptors that one embedder gave the items of a catalogue.

    Args:
        embedder_id: its row in the catalogue.
        width: D, the length of a descriptor.
    """

    def __init__(self, embedder_id: EmbedderId, width: int) -> None:
        self.width = width
        self.embedder_id = embedder_id

    def of(self, tx: sqlite3.Connection, items: Sequence[int]) -> NDArray[np.int16]:
        """The descriptors of some items, one after another: int16 (N, D).

        Raises:
            Superseded: an item's was dropped, or the item forgotten.
            Switched: the embedder was dropped, or is not the active one, and one is lacking.
            Damaged: an item has lost its descriptor, or part of it.
        """
        found: dict[int, tuple[bytes, int]] = {}
        wanted = sorted(set(items))
        for start in range(0, len(wanted), AT_ONCE):
            found |= self._found(tx, wanted[start : start + AT_ONCE])
        for item in items:
            if item not in found:
                raise self._missing(tx, item)
        ordered = [found[item] for item in items]
        return self._rows(items, [row[0] for row in ordered], [row[1] for row in ordered])

    def _found(self, tx: sqlite3.Connection, items: Sequence[int]) -> dict[int, tuple[bytes, int]]:
        """Value and checksum of items, by id; ids rise. Those between are looked at if few."""
        if items[-1] - items[0] < 2 * len(items):
            which, values = "BETWEEN ? AND ?", [items[0], items[-1]]
        else:
            which, values = f"IN ({','.join('?' * len(items))})", list(items)
        question = (
            f"SELECT item, value, checksum FROM descriptor WHERE item {which} AND embedder = ?"  # noqa: S608
        )
        rows = tx.execute(question, (*values, self.embedder_id))
        return {item: (value, checksum) for item, value, checksum in rows}

    def holds(self, tx: sqlite3.Connection, content: bytes) -> bool:
        """Whether a picture of that content hash has a descriptor here, or had one dropped."""
        row = tx.execute(
            "SELECT 1 FROM item WHERE content = ? AND (id IN (SELECT item FROM compacted_item) OR "
            "EXISTS (SELECT 1 FROM descriptor WHERE item = item.id AND embedder = ?))",
            (content, self.embedder_id),
        ).fetchone()
        return row is not None

    def keep(self, tx: sqlite3.Connection, content: bytes, value: bytes) -> None:
        """Store the descriptor of a picture of no class, unless it is there already.

        Args:
            tx: a writing transaction.
            content: the picture's hash.
            value: the descriptor as stored.
        """
        tx.execute("INSERT OR IGNORE INTO item (content) VALUES (?)", (content,))
        self.add(tx, content, value)

    def add(self, tx: sqlite3.Connection, content: bytes, value: bytes) -> None:
        """The same, unless the picture was forgotten meanwhile."""
        tx.execute(
            "INSERT OR IGNORE INTO descriptor (item, embedder, value, checksum) SELECT id, ?, ?, ? "
            "FROM item WHERE content = ? AND id NOT IN (SELECT item FROM compacted_item)",
            (self.embedder_id, value, zlib.crc32(value), content),
        )

    def as_stored(self, tx: sqlite3.Connection, item: ItemId) -> tuple[bytes, bytes]:
        """The content hash of an item, and its descriptor as stored.

        Raises:
            Damaged: it has lost its descriptor, or part of it.
        """
        row = tx.execute(
            "SELECT content, value, descriptor.checksum FROM item "
            "JOIN descriptor ON descriptor.item = item.id WHERE item.id = ? AND embedder = ?",
            (item, self.embedder_id),
        ).fetchone()
        if row is None or zlib.crc32(row[1]) != row[2]:
            raise Damaged(f"the descriptor of item {item} is damaged", Advice("verify"))
        return row[0], row[1]

    def _rows(
        self, items: Sequence[int], blobs: Sequence[bytes], checksums: Sequence[int]
    ) -> NDArray[np.int16]:
        for item, blob, checksum in zip(items, blobs, checksums, strict=True):
            if zlib.crc32(blob) != checksum:
                raise Damaged(
                    f"the descriptor of item {item} is damaged; restore the file from a backup, or "
                    "add its picture anew"
                )
        try:
            return from_bytes(list(blobs), self.width)
        except InvalidInput as error:
            raise Damaged(error.fact, Advice("verify")) from error

    def _missing(self, tx: sqlite3.Connection, item: int) -> CatalogError:
        """Why an item has no descriptor."""
        row = tx.execute(
            "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM item WHERE id = :item) "
            "OR EXISTS (SELECT 1 FROM compacted_item WHERE item = :item)",
            {"item": item},
        ).fetchone()
        if row is not None:
            return Superseded(f"the descriptor of item {item} was dropped meanwhile; ask again")
        if embedders.active(tx) != self.embedder_id:
            return Switched("the embedder was dropped, or another restored, meanwhile; ask again")
        return Damaged(f"item {item} has lost its descriptor", Advice("verify"))
