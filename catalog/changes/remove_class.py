"""A class taken out with all its items."""

from __future__ import annotations

from catalog.changes.remove import Removed
from catalog.descriptors import Advice, Conflict
from catalog.learning.opened import Opened
from catalog.store import compaction, inventory, journal
from catalog.store.classes import require_label
from catalog.store.journal import Change
from catalog.store.names import Name


def remove_class(catalog: Opened, label: str, *, inexact: bool = False) -> Removed:
    """Take a class out with all its items. Can be undone, unless it is ``inexact``.

    Args:
        label: its name.
        inexact: take out a class whose descriptors were dropped. It is gone from all answers,
            but its share of the metric stays.

    Raises:
        NotFound: there is no such class.
        Conflict: its descriptors were dropped.
    """
    with catalog._store.writing() as tx:
        found = require_label(tx, Name.parse(label))
        is_compacted = found.slot in compaction.compacted_classes(tx)
        if is_compacted and not inexact:
            raise Conflict(
                f"descriptors of class {found.name!r} were dropped, so it cannot be removed "
                "exactly",
                Advice("remove inexactly"),
            )
        items = inventory.items_in(tx, found.slot)
        changes = [Change(item, found.slot, None) for item in items]
        kind = "remove-compacted" if is_compacted else "remove-class"
        event = journal.record(tx, kind, {"label": found.name, "items": len(items)}, changes)
        if is_compacted:
            compaction.let_go(tx, found.slot, items)
        return Removed(len(items), (found.name,), event)
