"""Items taken out, as if they had never been there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.learning.opened import Opened
from catalog.store import compaction, inventory, journal
from catalog.store.classes import emptied
from catalog.store.journal import Change


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed.

    Attributes:
        items: how many items.
        classes: those that have none left.
        event: the journal's entry, None if nothing changed.
    """

    items: int
    classes: tuple[str, ...]
    event: int | None = None


def remove(catalog: Opened, items: Iterable[int]) -> Removed:
    """Take items out; what is learnt is as if they had never been there. Can be undone.

    Raises:
        NotFound: there is no such item; nothing is removed.
    """
    wanted = inventory.item_ids(items)
    with catalog._store.writing() as tx:
        before = [(item, inventory.slot_of(tx, item)) for item in wanted]
        compaction.require_stored(tx, wanted)
        changes = [Change(item, slot, None) for item, slot in before]
        event = None
        if changes:
            event = journal.record(tx, "remove", {"items": len(changes)}, changes)
        gone = emptied(tx, {slot for _, slot in before})
        return Removed(len(changes), gone, event)
