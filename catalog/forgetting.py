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
from catalog.descriptors import Conflict, InvalidLabel, NotFound
from catalog.labels import clean_label, label_key

_FORGOTTEN = "(forgotten)"
_TABLES = ("change", "source", "kept", "descriptor")
_NAMES = {"label", "labels", "before", "names", "respelt"}  # of an event's own classes


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten.

    Attributes:
        pictures: how many, items or not.
        classes: how many names of classes.
        emptied: classes that have no items left, but whose name the file still knows.
        in_metric: how many of the pictures were in a class that was removed inexactly, so that what
            they added to the metric stays; only a new catalogue is without it.
        head: ``exact`` if a head was dropped that had been trained on them, and that is how it is
            trained from now on; else None.
        event: the journal's entry, None if there was nothing.
        rewritten: whether the file was written anew. If not, other processes were using it: traces
            may be left in free space until it is, by forgetting again.
    """

    pictures: int
    classes: int
    emptied: tuple[str, ...]
    in_metric: int
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
    found = _known(tx, label)
    if found is None:
        return []
    slot = found.slot
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

    Raises:
        NotFound, Conflict: as :func:`require_known` and :func:`items_of` do.
    """
    if not (items or labels):
        return Forgotten(0, 0, (), 0, None, None)
    require_known(tx, items)
    slots = {found.slot for label in labels if (found := _known(tx, label))}
    left = _classes_of(tx, items) - slots
    record = heads.current(tx)
    learnt = any(_was_in_a_class(tx, item) for item in items)
    dropped = learnt and _has_trained_heads(tx)
    in_metric = sum(_was_removed_inexactly(tx, item) for item in items)
    keys = {label_key(label) for label in labels}
    _scrub(tx, slots, set(keys))
    for table in _TABLES:
        _delete(tx, table, "item", items)
    _delete(tx, "item", "id", items)
    detail = {"pictures": len(items), "classes": len(keys)}
    event = journal.record(tx, "forget", detail, ())
    if dropped:
        _drop_heads(tx, event, record)
    gone = emptied(tx, left)
    reset = "exact" if dropped and record.stored else None
    return Forgotten(len(items), len(keys), gone, in_metric, reset, event)


def _known(tx: sqlite3.Connection, label: str) -> Label | None:
    """The class of that name; None if it was never made, and only a note of feedback says it."""
    found = find_label(tx, label)
    if found is not None and found.name == clean_label(label):
        return found
    key = label_key(label)
    noted = (e.detail.get("label") for e in journal.history(tx) if e.kind == "feedback")
    if found is None and any(isinstance(name, str) and _key(name) == key for name in noted):
        return None
    other = f"; there is {found.name!r}" if found else ""
    raise NotFound(f"this catalogue knows no class {clean_label(label)!r}{other}")


def _exists(tx: sqlite3.Connection, item: int) -> bool:
    return tx.execute("SELECT 1 FROM item WHERE id = ?", (item,)).fetchone() is not None


def _classes_of(tx: sqlite3.Connection, items: Iterable[int]) -> set[int]:
    rows = (tx.execute("SELECT label FROM item WHERE id = ?", (i,)).fetchone() for i in items)
    return {row[0] for row in rows if row and row[0] is not None}


def _was_removed_inexactly(tx: sqlite3.Connection, item: int) -> bool:
    row = tx.execute(
        "SELECT 1 FROM change JOIN event ON event.id = change.event "
        "WHERE change.item = ? AND kind = 'remove-compacted'",
        (item,),
    ).fetchone()
    return row is not None


def _has_trained_heads(tx: sqlite3.Connection) -> bool:
    """Whether there are weights, metrics or generators that descriptors were put into."""
    row = tx.execute(
        "SELECT 1 FROM head WHERE metric IS NOT NULL UNION SELECT 1 FROM head_column "
        "UNION SELECT 1 FROM generator"
    ).fetchone()
    return row is not None


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


def _scrub(tx: sqlite3.Connection, slots: set[int], keys: set[str]) -> None:
    """Take every name that some classes ever had out of the file.

    A name that another class has, or had, stays where the journal speaks of that.
    """
    if not keys:
        return
    events = journal.history(tx)
    keys |= {label_key(name) for slot, name in _all_names(tx, events) if slot in slots}
    for event in events:
        about = _classes_in(tx, event)
        own = not about or bool(about & slots)
        fields = {"predicted", *(_NAMES if own else ())}
        clean = {
            field: _without(value, keys) if field in fields else value
            for field, value in event.detail.items()
        }
        if clean != event.detail:
            journal.amend(tx, event.id, clean)
    for slot in slots:
        tx.execute("DELETE FROM head_column WHERE label = ?", (slot,))
        retire(tx, slot)


def _classes_in(tx: sqlite3.Connection, event: journal.Event) -> set[int]:
    """The slots of the classes that an event changed; none if it does not say."""
    rows = tx.execute("SELECT before, after FROM change WHERE event = ?", (event.id,))
    slots = {slot for row in rows for slot in row if slot is not None}
    return slots | {slot for slot, _, _ in event.detail.get("names", ())}


def _all_names(
    tx: sqlite3.Connection, events: Iterable[journal.Event]
) -> Iterator[tuple[int, str]]:
    """Slot and name of every class, now and whenever it had another name."""
    yield from tx.execute("SELECT slot, name FROM label WHERE name != ''")
    for event in events:
        names = [(slot, name) for slot, name, _ in event.detail.get("names", ()) if name]
        yield from names
        if names:  # the first is of the class that has the event's label since
            yield names[0][0], event.detail["label"]
        if respelt := event.detail.get("respelt"):  # as older files say it
            yield respelt["slot"], respelt["name"]
            yield respelt["slot"], event.detail["label"]


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
