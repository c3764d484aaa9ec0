"""Staged pictures become items of a class, in one short transaction a class."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog import journal
from catalog.journal import Change
from catalog.labels import clean_label, label_key
from catalog.staging import Refusal, Staged
from catalog.store import Store
from descriptors import LabelConflict, NotFound


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
        event: the journal's entry, None if nothing changed.
    """

    label: str
    created: bool = False
    added: int = 0
    known: int = 0
    moved: int = 0
    refused: list[Refusal] = field(default_factory=list)
    event: int | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A class as the store knows it: ``items`` is 0 for one that was removed."""

    slot: int
    name: str
    key: str
    items: int


def find_label(tx: sqlite3.Connection, name: str) -> Label | None:
    """The class of that name, give or take case and accents, whether it has items or not.

    Raises:
        InvalidLabel: that cannot be a name.
    """
    row = tx.execute(
        "SELECT slot, name, key, (SELECT count(*) FROM item WHERE label = slot) "
        "FROM label WHERE key = ?",
        (label_key(name),),
    ).fetchone()
    return Label(*row) if row else None


def require_label(tx: sqlite3.Connection, name: str) -> Label:
    """The class of exactly that name.

    Raises:
        NotFound: there is none.
        LabelConflict: there is one that is spelt almost alike.
        InvalidLabel: that cannot be a name.
    """
    label = find_label(tx, name)
    if label is None or not label.items:
        raise NotFound(f"there is no class {clean_label(name)!r}; `catalog labels` lists them")
    _refuse_variant(label, name)
    return label


def refuse_existing(tx: sqlite3.Connection, name: str) -> None:
    """Make sure that a class could be made.

    Raises:
        LabelConflict: it exists, or one does that is spelt almost alike.
        InvalidLabel: that cannot be a name.
    """
    label = find_label(tx, name)
    if label is not None and label.items:
        _refuse_variant(label, name)
        raise LabelConflict(
            f"there is a class {label.name!r} with {label.items} items; "
            "`catalog add` adds pictures to it"
        )


def refuse_variant(tx: sqlite3.Connection, name: str) -> None:
    """Make sure that pictures could go under that name, to a new class or one that exists.

    Raises:
        LabelConflict: a class exists that is spelt almost alike.
        InvalidLabel: that cannot be a name.
    """
    label = find_label(tx, name)
    if label is not None and label.items:
        _refuse_variant(label, name)


def land(
    store: Store,
    name: str,
    outcomes: Sequence[Staged | Refusal],
    *,
    move: bool = False,
    new: bool = False,
    command: int | None = None,
) -> Added:
    """Make staged pictures items of a class.

    Args:
        store: of the catalogue.
        name: of the class; it is made if need be.
        outcomes: of the pictures, as :meth:`Staging.stage` yields them.
        move: take pictures away from other classes, instead of refusing them.
        new: the class must not exist yet.
        command: the first event of the same command, if this is a later step of one.

    Returns:
        What came of it. A class of which every picture was refused is not made.

    Raises:
        LabelConflict: a class exists that is spelt almost alike, or exists at all, with ``new``.
    """
    result = Added(clean_label(name), refused=[o for o in outcomes if isinstance(o, Refusal)])
    staged = [outcome for outcome in outcomes if isinstance(outcome, Staged)]
    if not staged:
        return result
    with store.writing() as tx:
        (refuse_existing if new else refuse_variant)(tx, name)
        label = _open_label(tx, name)
        changes, sources = _sort_out(tx, label, staged, result, move=move)
        result.created = result.added + result.moved > 0 and label.items == 0
        if changes or sources:
            detail: dict[str, Any] = {
                "label": result.label,
                "added": result.added,
                "moved": result.moved,
            }
            if label.name != result.label:
                # A class that was removed comes back as it is spelt now, in its old slot.
                tx.execute("UPDATE label SET name = ? WHERE slot = ?", (result.label, label.slot))
                detail["respelt"] = {"slot": label.slot, "name": label.name}
            result.event = journal.record(tx, "add", detail, changes, command)
            event = result.event
            tx.executemany(
                "INSERT INTO source VALUES (?, ?, ?)",
                [(item, place, event) for item, place in sources],
            )
    return result


def _open_label(tx: sqlite3.Connection, name: str) -> Label:
    label = find_label(tx, name)
    if label is None:
        tx.execute(
            "INSERT INTO label (name, key) VALUES (?, ?)", (clean_label(name), label_key(name))
        )
        label = find_label(tx, name)
    if label is None:
        raise NotFound(f"the class {name!r} could not be made")
    return label


def _sort_out(
    tx: sqlite3.Connection, label: Label, staged: Sequence[Staged], result: Added, *, move: bool
) -> tuple[list[Change], list[tuple[int, str]]]:
    changes: dict[int, Change] = {}
    sources: dict[tuple[int, str], None] = {}
    for one in staged:
        item, slot, name = tx.execute(
            "SELECT item.id, item.label, label.name FROM item "
            "LEFT JOIN label ON label.slot = item.label WHERE item.content = ?",
            (one.content,),
        ).fetchone()
        if item in changes or slot == label.slot:
            result.known += 1
        elif slot is None:
            result.added += 1
            changes[item] = Change(item, None, label.slot)
        elif move:
            result.moved += 1
            changes[item] = Change(item, slot, label.slot)
        else:
            detail = f"the picture is in class {name!r} already; --move takes it to {label.name!r}"
            result.refused.append(Refusal(one.place, "conflict", detail))
            continue
        if one.place is not None and not _has_source(tx, item, one.place):
            sources[item, one.place] = None
    return list(changes.values()), list(sources)


def _has_source(tx: sqlite3.Connection, item: int, place: str) -> bool:
    row = tx.execute("SELECT 1 FROM source WHERE item = ? AND place = ?", (item, place)).fetchone()
    return row is not None


def _refuse_variant(label: Label, name: str) -> None:
    if label.name != clean_label(name):
        raise LabelConflict(
            f"there is a class {label.name!r}; {clean_label(name)!r} differs from it only by "
            "case, accents or spacing. Use its spelling, or another name"
        )
