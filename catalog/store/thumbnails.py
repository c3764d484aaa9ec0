"""Small copies of pictures, where the owner wants them kept: rows of the table ``thumbnail``."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from catalog.store import ItemId
from catalog.store.row_checksums import is_sound

KEPT: Final = {"thumbnails": "kept"}
"""What a file whose pictures have small copies says of itself, in ``meta``."""


def are_kept(tx: sqlite3.Connection) -> bool:
    """Whether small copies of pictures are kept in this catalogue."""
    row = tx.execute("SELECT 1 FROM meta WHERE key = 'thumbnails'").fetchone()
    return row is not None


def keep(tx: sqlite3.Connection, copies: Mapping[bytes, bytes]) -> None:
    """Store small copies of pictures that have none, or whose copy is damaged.

    Args:
        tx: a writing transaction.
        copies: JPEGs, by the content hashes of pictures that have a descriptor here.
    """
    tx.executemany(
        f"DELETE FROM thumbnail WHERE NOT ({is_sound('thumbnail')}) "  # noqa: S608
        "AND item = (SELECT id FROM item WHERE content = ?)",
        [(content,) for content in copies],
    )
    tx.executemany(
        "INSERT OR IGNORE INTO thumbnail (item, jpeg) SELECT id, ? FROM item WHERE content = ?",
        [(jpeg, content) for content, jpeg in copies.items()],
    )


def of(tx: sqlite3.Connection, item: ItemId) -> bytes | None:
    """The small copy of a picture, an item or not: a JPEG; None if there is none that is sound.

    One that is damaged keeps nobody from anything: `verify` tells of it.
    """
    row = tx.execute(
        f"SELECT jpeg FROM thumbnail WHERE item = ? AND {is_sound('thumbnail')}",  # noqa: S608
        (item,),
    ).fetchone()
    return None if row is None else bytes(row[0])
