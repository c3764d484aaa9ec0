"""Questions about a catalogue that need no descriptor: its classes, items and age."""

from __future__ import annotations

import sqlite3

from catalog import journal, landing
from catalog.classes import require_label
from catalog.descriptors import NotFound
from catalog.results import Item, LabelCount
from catalog.store import now


def label_counts(tx: sqlite3.Connection) -> list[LabelCount]:
    """Every class that has items, in the order of names."""
    rows = tx.execute(
        "SELECT slot, name, count(*) FROM item JOIN label ON label.slot = item.label "
        "GROUP BY slot ORDER BY key"
    )
    return [LabelCount(*row) for row in rows]


def items(tx: sqlite3.Connection, label: str | None) -> list[Item]:
    """The items of one class, or of all, in the order of ids.

    Raises:
        NotFound, LabelConflict: as :func:`catalog.classes.require_label` does.
    """
    slot = None if label is None else require_label(tx, label).slot
    rows = tx.execute(
        "SELECT item.id, label.name, item.content FROM item "
        "JOIN label ON label.slot = item.label "
        "WHERE ? IS NULL OR label.slot = ? ORDER BY item.id",
        (slot, slot),
    ).fetchall()
    return [Item(row[0], row[1], row[2].hex(), landing.sources(tx, row[0])) for row in rows]


def slot_of(tx: sqlite3.Connection, item: int) -> int:
    """The slot of an item's class.

    Raises:
        NotFound: there is no such item.
    """
    row = None
    if abs(item) < 2**63:  # SQLite has no larger ids
        row = tx.execute("SELECT label FROM item WHERE id = ?", (item,)).fetchone()
    if row is None or row[0] is None:
        raise NotFound(f"there is no item {item}; `catalog items` lists them")
    return int(row[0])


def holds(tx: sqlite3.Connection, content: bytes) -> bool:
    """Whether a picture with that content hash is an item."""
    row = tx.execute(
        "SELECT 1 FROM item WHERE content = ? AND label IS NOT NULL", (content,)
    ).fetchone()
    return row is not None


def keep(tx: sqlite3.Connection, content: bytes, place: str | None, *, anew: bool = True) -> None:
    """Note that a staged picture is wanted, though it belongs to no class.

    Args:
        tx: a writing transaction.
        content: its hash.
        place: where it was found.
        anew: also if that was noted before.
    """
    what = "REPLACE" if anew else "IGNORE"
    tx.execute(
        f"INSERT OR {what} INTO kept SELECT id, ?, ? FROM item "  # noqa: S608
        "WHERE content = ? AND label IS NULL",
        (now(), place, content),
    )


def kept(tx: sqlite3.Connection) -> list[tuple[int, str | None]]:
    """The staged pictures that are wanted: id and place, in the order in which they came.

    Not by the clock, which may have been put back meanwhile. One that was an item for a while may
    have lost its descriptor to `compact`.
    """
    return tx.execute(
        "SELECT kept.item, place FROM kept JOIN item ON item.id = kept.item WHERE label IS NULL "
        "AND EXISTS (SELECT 1 FROM descriptor WHERE descriptor.item = kept.item) "
        "ORDER BY kept.item"
    ).fetchall()


def staged(tx: sqlite3.Connection) -> int:
    """How many pictures have a descriptor here, but no class."""
    (count,) = tx.execute("SELECT count(*) FROM item WHERE label IS NULL").fetchone()
    return int(count)


def count(tx: sqlite3.Connection) -> int:
    """How many items there are."""
    (items,) = tx.execute("SELECT count(*) FROM item WHERE label IS NOT NULL").fetchone()
    return int(items)


def identity(tx: sqlite3.Connection) -> str:
    """What the catalogue and its backups alone have in common."""
    return journal.meta(tx, "id")


def created(tx: sqlite3.Connection) -> str:
    """When the catalogue was made: UTC, ISO 8601."""
    return journal.meta(tx, "created")


def format_version(tx: sqlite3.Connection) -> int:
    """The version of the file's format."""
    return int(tx.execute("PRAGMA user_version").fetchone()[0])
