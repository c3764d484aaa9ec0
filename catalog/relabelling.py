"""Items that go to another class, and classes that get another name; all of it can be undone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catalog import inventory, journal, landing
from catalog.classes import (
    Label,
    emptied,
    find_label,
    open_label,
    refuse_existing,
    require_label,
    spell,
)
from catalog.compaction import compacted_classes, require_stored
from catalog.descriptors import Conflict, InvalidInput, LabelConflict, NotFound
from catalog.head_keeper import HeadKeeper
from catalog.journal import Change
from catalog.labels import clean_label


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of moving items.

    Attributes:
        label: the class that has them now.
        created: whether it is new.
        moved: how many came to it.
        known: how many were there already.
        emptied: classes that have no items left.
        event: the journal's entry, None if nothing changed.
    """

    label: str
    created: bool
    moved: int
    known: int
    emptied: tuple[str, ...]
    event: int | None


@dataclass(frozen=True, slots=True)
class Renamed:
    """A class's name before and now, and the journal's entry; None if nothing changed."""

    before: str
    label: str
    event: int | None


def move(
    tx: sqlite3.Connection, items: Iterable[int], name: str, *, new: bool, keeper: HeadKeeper
) -> Moved:
    """Take items to another class.

    Args:
        tx: a writing transaction.
        items: their ids.
        name: of the class.
        new: make it; otherwise it must exist.
        keeper: widens the head for a new class.

    Raises:
        NotFound: there is no such item or class.
        LabelConflict: the class exists although it is to be new, or is spelt almost alike.
        InvalidInput: there are no items.
        Conflict: the descriptor of an item was dropped.
    """
    wanted = list(dict.fromkeys(items))
    if not wanted:
        raise InvalidInput("no items were given to move")
    found = [(item, inventory.slot_of(tx, item)) for item in wanted]
    try:
        (refuse_existing if new else require_label)(tx, name)
    except NotFound as error:
        raise NotFound(f"{error}; --new makes it") from error
    except LabelConflict as error:
        held, _, _ = str(error).partition(";")
        raise LabelConflict(f"{held}; without --new, items go to a class that exists") from error
    return _take(tx, "move", open_label(tx, name), found, name=name, keeper=keeper)


def merge_classes(
    tx: sqlite3.Connection, labels: Iterable[str], into: str, *, keeper: HeadKeeper
) -> Moved:
    """Take all items of some classes to another one that exists.

    Raises:
        NotFound, LabelConflict: as :func:`catalog.classes.require_label` does.
        InvalidInput: no other class was given.
        Conflict: descriptors of one of them were dropped.
    """
    target = require_label(tx, into)
    others = {found.slot: found for found in (require_label(tx, name) for name in labels)}
    others.pop(target.slot, None)
    if not others:
        raise InvalidInput(f"no other class was given to merge into {target.name!r}")
    for slot in compacted_classes(tx) & others.keys():
        raise Conflict(
            f"descriptors of class {others[slot].name!r} were dropped, so it cannot be merged; "
            "`catalog rename-class` gives it another name"
        )
    moving = [
        row
        for slot in others
        for row in tx.execute("SELECT id, label FROM item WHERE label = ? ORDER BY id", (slot,))
    ]
    return _take(tx, "merge-classes", target, moving, name=into, keeper=keeper)


def rename_class(tx: sqlite3.Connection, label: str, name: str) -> Renamed:
    """Give a class another name.

    Raises:
        NotFound: there is no such class.
        LabelConflict: there is a class of the new name, or one that is spelt almost like the old.
        InvalidLabel: that cannot be a name.
    """
    found, spelt = require_label(tx, label), clean_label(name)
    other = find_label(tx, name)
    names = [found.row]
    if found.name == spelt:
        return Renamed(spelt, spelt, None)
    if other is not None and other.slot != found.slot:
        if other.items:
            raise LabelConflict(
                f"there is a class {other.name!r} with {other.items} items; "
                "`catalog merge-classes` makes one of the two"
            )
        names.append(other.row)  # of a class that was removed, which loses its name
    spell(tx, found.slot, spelt)
    detail = {"label": spelt, "before": found.name, "names": names}
    return Renamed(found.name, spelt, journal.record(tx, "rename-class", detail, ()))


def _take(
    tx: sqlite3.Connection,
    kind: str,
    target: Label,
    items: Sequence[tuple[int, int]],
    *,
    name: str,
    keeper: HeadKeeper,
) -> Moved:
    """Let a class have items, given with the slots of the classes that have them."""
    coming = [Change(item, slot, target.slot) for item, slot in items if slot != target.slot]
    require_stored(tx, [change.item for change in coming])
    known = len(items) - len(coming)
    if not coming:
        return Moved(target.name, created=False, moved=0, known=known, emptied=(), event=None)
    created = target.items == 0
    made = keeper if created else None
    event = landing.record(tx, kind, target, coming, {"moved": len(coming)}, name=name, keeper=made)
    gone = emptied(tx, {change.before for change in coming if change.before is not None})
    return Moved(clean_label(name), created, len(coming), known, gone, event)
