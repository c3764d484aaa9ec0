"""Staged pictures become items of a class, in one short transaction a class."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog import journal
from catalog.classes import Label, emptied, open_label, spell
from catalog.compaction import is_compacted
from catalog.descriptors import Conflict
from catalog.failpoints import reach
from catalog.head_keeper import HeadKeeper
from catalog.journal import Change
from catalog.labels import clean_label
from catalog.staging import Refusal, Staged
from catalog.store import Store


@dataclass(slots=True)
class Added:
    """What came of adding pictures to one class.

    Attributes:
        label: the class, spelt as the catalogue has it.
        created: whether the class is new.
        added: how many pictures became items.
        known: how many were items of this class already.
        moved: how many were items of another class, and are of this one now.
        refused: the pictures that were not taken, with reasons.
        emptied: classes that have no items left, since all of theirs moved.
        event: the journal's entry, None if nothing changed.
    """

    label: str
    created: bool = False
    added: int = 0
    known: int = 0
    moved: int = 0
    refused: list[Refusal] = field(default_factory=list)
    emptied: tuple[str, ...] = ()
    event: int | None = None


def land(
    store: Store,
    name: str,
    outcomes: Sequence[Staged | Refusal],
    *,
    check: Callable[[sqlite3.Connection, str], object],
    move: bool = False,
    command: int | None = None,
    keeper: HeadKeeper | None = None,
    kind: str = "add",
    note: Mapping[str, Any] | None = None,
) -> Added:
    """Make staged pictures items of a class.

    Args:
        store: of the catalogue.
        name: of the class; it is made if need be.
        outcomes: of the pictures, as :meth:`Staging.stage` yields them.
        check: what must hold of the class, and raises if not: :func:`classes.require_label`,
            :func:`classes.refuse_existing` or :func:`classes.refuse_variant`.
        move: take pictures away from other classes, instead of refusing them.
        command: the first event of the same command, if this is a later step of one.
        keeper: switches the head with the first class, and widens it for a new one, in the same
            transaction.
        kind: of the event.
        note: JSON values that the event says beside what was added.

    Returns:
        What came of it. A class of which every picture was refused is not made.

    Raises:
        NotFound, LabelConflict: as ``check`` does.
    """
    result = Added(clean_label(name), refused=[o for o in outcomes if isinstance(o, Refusal)])
    staged = [outcome for outcome in outcomes if isinstance(outcome, Staged)]
    if not staged:
        return result
    if keeper is not None:
        keeper.prepare(store)
    with store.writing() as tx:
        check(tx, name)
        label = open_label(tx, name)
        changes, places = _sort_out(tx, label, staged, result, move=move)
        result.created = result.added + result.moved > 0 and label.items == 0
        if changes or places or (note and not result.refused):
            detail = {"added": result.added, "moved": result.moved, **(note or {})}
            if keeper is not None and changes:
                command = keeper.switch(tx, command)
            made = keeper if result.created else None
            event = record(
                tx, kind, label, changes, detail, name=name, keeper=made, command=command
            )
            result.event = event
            tx.executemany(
                "INSERT INTO source VALUES (?, ?, ?)",
                [(item, place, event) for item, place in places],
            )
            result.emptied = emptied(tx, {c.before for c in changes if c.before is not None})
        else:
            tx.rollback()  # so that no empty class is left behind
        reach("landing")
    reach("landed")
    return result


def record(
    tx: sqlite3.Connection,
    kind: str,
    label: Label,
    changes: Sequence[Change],
    detail: Mapping[str, Any],
    *,
    name: str,
    keeper: HeadKeeper | None,
    command: int | None = None,
) -> int:
    """Let a class take up items, as one event.

    Args:
        tx: a writing transaction.
        kind: of the event.
        label: the class.
        changes: of the items.
        detail: JSON values that the event says beside the class's name.
        name: of the class as it is spelt now. One that was removed comes back so, in its old slot.
        keeper: widens the head if the class is new; None if it is not.
        command: the first event of the same command, if this is a later step of one.

    Returns:
        The event's id.

    Raises:
        Conflict: an item was changed by someone else meanwhile.
    """
    told: dict[str, Any] = {"label": clean_label(name), **detail}
    if label.name != told["label"]:
        told["names"] = [label.row]
        spell(tx, label.slot, name)
    if keeper is not None:
        keeper.look(tx)
    event = journal.record(tx, kind, told, changes, command)
    if keeper is not None:
        journal.amend(tx, event, {**told, "head": keeper.widen(tx, label.slot, event)})
    return event


def _sort_out(
    tx: sqlite3.Connection, label: Label, staged: Sequence[Staged], result: Added, *, move: bool
) -> tuple[list[Change], list[tuple[int, str]]]:
    changes: dict[int, Change] = {}
    places: dict[tuple[int, str], None] = {}
    for one in staged:
        item, slot, name = item_of(tx, one)
        if item in changes or slot == label.slot:
            result.known += 1
        elif slot is None:
            result.added += 1
            changes[item] = Change(item, None, label.slot)
        elif is_compacted(tx, item):
            detail = f"its descriptor in class {name!r} was dropped, so it has to stay there"
            result.refused.append(Refusal(one.place, "conflict", detail))
            continue
        elif move:
            result.moved += 1
            changes[item] = Change(item, slot, label.slot)
        else:
            detail = f"the picture is in class {name!r} already; --move takes it to {label.name!r}"
            result.refused.append(Refusal(one.place, "conflict", detail))
            continue
        known = sources(tx, item) if slot is not None else ()
        places.update({(item, place): None for place in one.places if place not in known})
    return list(changes.values()), list(places)


def item_of(tx: sqlite3.Connection, staged: Staged) -> tuple[int, int | None, str | None]:
    """The item of a staged picture, and slot and name of its class, if it has one.

    Raises:
        Conflict: it was forgotten since.
    """
    row: tuple[int, int | None, str | None] | None = tx.execute(
        "SELECT item.id, item.label, label.name FROM item "
        "LEFT JOIN label ON label.slot = item.label WHERE item.content = ?",
        (staged.content,),
    ).fetchone()
    if row is None:
        raise Conflict("a picture was forgotten meanwhile, or the catalogue restored; run it again")
    return row


def free_items(
    tx: sqlite3.Connection, outcomes: Sequence[Staged | Refusal]
) -> tuple[list[int], tuple[Refusal, ...]]:
    """The staged items that are in no class, each once; what else there was is refused."""
    items: dict[int, None] = {}
    refused = [one for one in outcomes if isinstance(one, Refusal)]
    for one in outcomes:
        if isinstance(one, Staged):
            item, _, name = item_of(tx, one)
            if name is None:
                items[item] = None
            else:
                detail = f"the picture is in class {name!r} already"
                refused.append(Refusal(one.place, "conflict", detail))
    return list(items), tuple(refused)


def sources(tx: sqlite3.Connection, item: int) -> tuple[str, ...]:
    """Where an item's picture was found since it was last taken in, sorted.

    What was noted before an earlier removal is kept for the sake of undo, but is not shown.
    """
    rows = tx.execute(
        "SELECT DISTINCT place FROM source WHERE item = :item AND event >= ("
        "SELECT coalesce(max(event.id), 0) FROM change JOIN event ON event.id = change.event "
        "WHERE change.item = :item AND change.before IS NULL "
        "AND event.kind != 'undo' AND event.undone_by IS NULL) ORDER BY place",
        {"item": item},
    )
    return tuple(place for (place,) in rows)
