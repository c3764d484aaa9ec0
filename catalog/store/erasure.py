"""What is deleted for good, and what of it was noted where: the rows behind `forget`."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterable

from catalog.descriptors import InvalidLabel
from catalog.store import ItemId, Slot
from catalog.store.names import label_key

_TABLES = ("change", "source", "kept", "occasion", "made_up", "thumbnail", "descriptor")


def last_in(tx: sqlite3.Connection, slot: Slot) -> list[ItemId]:
    """The items of a class, and those that were in it last and are in none now, by id."""
    rows = tx.execute(
        "SELECT id FROM item WHERE label = :slot OR label IS NULL AND :slot = (SELECT before FROM "
        "change WHERE change.item = item.id ORDER BY event DESC LIMIT 1) ORDER BY id",
        {"slot": slot},
    )
    return [item for (item,) in rows]


def slots_of(tx: sqlite3.Connection, items: Iterable[ItemId]) -> set[Slot]:
    """The slots of the classes that items are in."""
    rows = (tx.execute("SELECT label FROM item WHERE id = ?", (i,)).fetchone() for i in items)
    return {row[0] for row in rows if row and row[0] is not None}


def was_removed_inexactly(tx: sqlite3.Connection, item: ItemId) -> bool:
    """Whether what a picture added to the metric stayed there when it was taken out."""
    row = tx.execute(
        "SELECT 1 FROM change JOIN event ON event.id = change.event "
        "WHERE change.item = ? AND kind = 'remove-compacted'",
        (item,),
    ).fetchone()
    return row is not None


def was_in_a_class(tx: sqlite3.Connection, item: ItemId) -> bool:
    """Whether a picture was ever an item."""
    return tx.execute("SELECT 1 FROM change WHERE item = ?", (item,)).fetchone() is not None


def slots_changed(tx: sqlite3.Connection, event: int) -> set[Slot]:
    """The slots of the classes that an event took items from, or gave items to."""
    rows = tx.execute("SELECT before, after FROM change WHERE event = ?", (event,))
    return {slot for row in rows for slot in row if slot is not None}


def names(tx: sqlite3.Connection) -> list[tuple[int, str]]:
    """Slot and name of every class that has a name, whether it has items or not."""
    return tx.execute("SELECT slot, name FROM label WHERE name != ''").fetchall()


def unsay(tx: sqlite3.Connection, keys: Collection[str]) -> None:
    """Forget that a source ever spoke of classes, by their keys."""
    said = [text for (text,) in tx.execute("SELECT DISTINCT said FROM source WHERE said NOTNULL")]
    for text in said:
        with contextlib.suppress(InvalidLabel):  # it is damaged
            if label_key(text) in keys:
                tx.execute("UPDATE source SET said = NULL WHERE said = ?", (text,))


def erase(tx: sqlite3.Connection, items: Iterable[ItemId]) -> None:
    """Delete pictures with all that the file has of them."""
    rows = [(item,) for item in items]
    for table in _TABLES:
        tx.executemany(f"DELETE FROM {table} WHERE item = ?", rows)  # noqa: S608
    tx.executemany("DELETE FROM item WHERE id = ?", rows)
