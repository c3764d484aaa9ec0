"""Pictures and classes that are forgotten: nothing of them stays in the file, for good.

Their rows are deleted, names of classes are taken out of the journal, and heads that were trained
on them are dropped, since weights remember. Afterwards the file is to be written anew, so that no
free page keeps a trace.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from catalog import heads, journal
from catalog.classes import Label, emptied, find_label, retire
from catalog.compaction import compacted_classes, is_compacted
from catalog.labels import clean_label, label_key
from descriptors import Conflict, InvalidLabel, NotFound

_FORGOTTEN = "(forgotten)"
_TABLES = (("change", "item"), ("source", "item"), ("kept", "item"), ("descriptor", "item"))


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten.

    Attributes:
        pictures: how many, items or not.
        classes: how many names of classes.
        emptied: classes that have no items left, but whose name the file still knows.
        head: ``exact`` if a head was dropped that had been trained on them, and that is how it is
            trained from now on; else None.
        event: the journal's entry, None if there was nothing.
        rewritten: whether the file was written anew. If not, other processes were using it: traces
            may be left in free space until it is, by forgetting again.
    """

    pictures: int
    classes: int
    emptied: tuple[str, ...]
    head: str | None
    event: int | None
    rewritten: bool = True


def items_of(tx: sqlite3.Connection, label: str) -> list[int]:
    """The items of a class, and those that were in it last and are in none now, by id.

    Raises:
        NotFound: the file knows no such class.
        InvalidLabel: that cannot be a name.
        Conflict: its descriptors were dropped.
    """
    slot = _known(tx, label).slot
    if slot in compacted_classes(tx):
        raise Conflict(
            f"descriptors of class {label!r} were dropped, and their sums cannot be taken out of "
            "what was learnt; `catalog remove-class --inexact` takes it out of answers"
        )
    rows = tx.execute(
        "SELECT id FROM item WHERE label = :slot OR label IS NULL AND :slot = (SELECT before FROM "
        "change WHERE change.item = item.id ORDER BY event DESC LIMIT 1) ORDER BY id",
        {"slot": slot},
    )
    return [item for (item,) in rows]


def staged_items(tx: sqlite3.Connection) -> list[int]:
    """Every picture that has a descriptor here, but no class."""
    return [item for (item,) in tx.execute("SELECT id FROM item WHERE label IS NULL ORDER BY id")]


def item_of(tx: sqlite3.Connection, content: bytes, place: str | None) -> int:
    """The item or staged picture of a content hash.

    Raises:
        NotFound: there is none.
    """
    row = tx.execute("SELECT id FROM item WHERE content = ?", (content,)).fetchone()
    if row is None:
        raise NotFound(f"this catalogue knows nothing of {place or 'that picture'}")
    return int(row[0])


def require_known(tx: sqlite3.Connection, items: Iterable[int]) -> None:
    """Make sure that pictures can be forgotten.

    Raises:
        NotFound: one is not there.
        Conflict: its descriptor was dropped.
    """
    for item in items:
        if not (abs(item) < 2**63 and _exists(tx, item)):  # SQLite has no larger ids
            raise NotFound(f"there is no item {item}; `catalog items` lists them")
        if is_compacted(tx, item):
            raise Conflict(
                f"the descriptor of item {item} was dropped, and what it added to the sums cannot "
                "be taken out of them any more"
            )


def forget(tx: sqlite3.Connection, items: Sequence[int], labels: Sequence[str]) -> Forgotten:
    """Delete all that the file knows of some pictures and of some classes' names.

    Args:
        tx: a writing transaction.
        items: ids of items or staged pictures; those of the classes among them.
        labels: names of classes.
    """
    if not (items or labels):
        return Forgotten(0, 0, (), None, None)
    require_known(tx, items)
    slots = {_known(tx, label).slot for label in labels}
    left = _classes_of(tx, items) - slots
    record = heads.current(tx)
    learnt = any(_was_in_a_class(tx, item) for item in items)
    dropped = learnt and tx.execute("SELECT 1 FROM head_column").fetchone() is not None
    for table, column in _TABLES:
        _delete(tx, table, column, items)
    _delete(tx, "item", "id", items)
    _scrub(tx, slots)
    detail = {"pictures": len(items), "classes": len(slots)}
    event = journal.record(tx, "forget", detail, ())
    if dropped:
        _drop_heads(tx, event, record)
    gone = emptied(tx, left)
    reset = "exact" if dropped and record.stored else None
    return Forgotten(len(items), len(slots), gone, reset, event)


def _known(tx: sqlite3.Connection, label: str) -> Label:
    found = find_label(tx, label)
    if found is None or found.name != clean_label(label):
        other = f"; there is {found.name!r}" if found else ""
        raise NotFound(f"this catalogue knows no class {clean_label(label)!r}{other}")
    return found


def _exists(tx: sqlite3.Connection, item: int) -> bool:
    return tx.execute("SELECT 1 FROM item WHERE id = ?", (item,)).fetchone() is not None


def _classes_of(tx: sqlite3.Connection, items: Iterable[int]) -> set[int]:
    rows = (tx.execute("SELECT label FROM item WHERE id = ?", (i,)).fetchone() for i in items)
    return {row[0] for row in rows if row and row[0] is not None}


def _was_in_a_class(tx: sqlite3.Connection, item: int) -> bool:
    return tx.execute("SELECT 1 FROM change WHERE item = ?", (item,)).fetchone() is not None


def _delete(tx: sqlite3.Connection, table: str, column: str, items: Iterable[int]) -> None:
    statement = f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608
    tx.executemany(statement, [(item,) for item in items])


def _drop_heads(tx: sqlite3.Connection, event: int, record: heads.HeadRecord) -> None:
    for table in ("generator", "head_column", "head"):
        tx.execute(f"DELETE FROM {table}")  # noqa: S608
    if record.training == "none":
        heads.switch(tx, event, "none")


def _scrub(tx: sqlite3.Connection, slots: set[int]) -> None:
    """Take every name that some classes ever had out of the file."""
    if not slots:
        return
    events = journal.history(tx)
    keys = {label_key(name) for slot, name in _all_names(tx, events) if slot in slots}
    for slot in slots:
        tx.execute("DELETE FROM head_column WHERE label = ?", (slot,))
        retire(tx, slot)
    for event in events:
        clean = _without(dict(event.detail), keys)
        if clean != event.detail:
            journal.amend(tx, event.id, clean)


def _all_names(
    tx: sqlite3.Connection, events: Iterable[journal.Event]
) -> Iterator[tuple[int, str]]:
    """Slot and name of every class, now and whenever it had another name."""
    yield from tx.execute("SELECT slot, name FROM label WHERE name != ''")
    for event in events:
        yield from ((slot, name) for slot, name, _ in event.detail.get("names", ()))
        if respelt := event.detail.get("respelt"):  # as older files say it
            yield respelt["slot"], respelt["name"]


def _without(value: Any, keys: set[str]) -> Any:
    """A JSON value in which no text is one of the names."""
    if isinstance(value, dict):
        return {name: _without(part, keys) for name, part in value.items()}
    if isinstance(value, list):
        return [_without(part, keys) for part in value]
    if isinstance(value, str) and _key(value) in keys:
        return _FORGOTTEN
    return value


def _key(text: str) -> str:
    try:
        return label_key(text)
    except InvalidLabel:
        return ""
