"""Items taken to another class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.changes.command import Command
from catalog.descriptors import Advice, InvalidInput, LabelConflict, NotFound
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.store import ItemId, Slot, Transaction, embedders, inventory
from catalog.store.classes import Label, emptied, open_label, refuse_existing, require_label
from catalog.store.compaction import require_stored
from catalog.store.inventory import Place
from catalog.store.journal import Change
from catalog.store.names import Name


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


def move(
    catalog: Opened,
    items: Iterable[int],
    label: str,
    *,
    new: bool = False,
    training: TrainingProgress | None = None,
) -> Moved:
    """Take items, or photos that were kept as unknown, to a class. Can be undone.

    Args:
        items: their ids; the audit has those of kept photos.
        label: the class.
        new: make it; otherwise it must exist.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound: there is no such item, or no such class.
        LabelConflict: the class exists although it is to be new.
        InvalidInput: there are no items.
        Conflict: the descriptor of an item was dropped.
    """
    wanted = inventory.item_ids(items)
    if not wanted:
        raise InvalidInput("no items were given to move")
    name = Name.parse(label)
    with Command(catalog, training=training) as command, catalog._store.writing() as tx:
        kept = inventory.kept_among(tx, wanted, embedders.active(tx))
        found = [(item, None if item in kept else inventory.slot_of(tx, item)) for item in wanted]
        try:
            (refuse_existing if new else require_label)(tx, name)
        except NotFound as error:
            raise NotFound(error.fact, Advice("make class")) from error
        except LabelConflict as error:
            raise LabelConflict(
                f"there is a class {error.existing!r}",
                Advice("name existing class"),
                existing=error.existing,
            ) from error
        target = open_label(tx, name)
        moved = reassign(command, tx, "move", target, found, name=target.spelling(name))
        if moved.event is None:
            tx.rollback()  # so that no empty class is left behind
        else:
            places = [(item, Place(place)) for item, place in kept.items() if place is not None]
            inventory.note_sources(tx, places, moved.event)
    return moved


def reassign(
    command: Command,
    tx: Transaction,
    kind: str,
    target: Label,
    items: Sequence[tuple[ItemId, Slot | None]],
    *,
    name: Name,
    note: Mapping[str, Any] | None = None,
) -> Moved:
    """Let a class have items, given with the slots of the classes that have them.

    Args:
        command: that this is part of.
        tx: a writing transaction.
        kind: of the event.
        target: the class.
        items: with the slots, None for photos that were kept.
        name: of the class as it is spelt now.
        note: JSON values that the event says beside how many came.

    Raises:
        Conflict: the descriptor of one was dropped.
    """
    coming = [Change(item, slot, target.slot) for item, slot in items if slot != target.slot]
    require_stored(tx, [change.item for change in coming])
    known = len(items) - len(coming)
    if not coming:
        return Moved(target.name, created=False, moved=0, known=known, emptied=(), event=None)
    event = command.record(
        tx, kind, target, coming, {"moved": len(coming), **(note or {})}, name=name
    )
    gone = emptied(tx, {change.before for change in coming if change.before is not None})
    return Moved(name.text, not target.items, len(coming), known, gone, event)
