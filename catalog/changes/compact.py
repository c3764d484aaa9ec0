"""Descriptors of classes dropped, and their exact sums kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.descriptors import InvalidInput
from catalog.learning.opened import Opened
from catalog.learning.training import keep_generator
from catalog.store import compaction, embedders, heads, inventory, journal
from catalog.store.classes import require_label
from catalog.store.names import Name


@dataclass(frozen=True, slots=True)
class Compacted:
    """What came of dropping descriptors: the classes, how many items, and the journal's entry.

    ``event`` is None if there was nothing left to drop.
    """

    labels: tuple[str, ...]
    items: int
    event: int | None


def compact(catalog: Opened, labels: Iterable[str] | None = None) -> Compacted:
    """Drop the descriptors of classes, and keep their exact sums. Cannot be undone.

    The classes keep their centroids and what the head knows of them; their items cannot be
    neighbours any more, nor be taken out. A ``document`` head that replays with ``gan`` first
    trains its generator on them.

    Args:
        labels: the classes; all by default.

    Raises:
        NotFound: there is no such class.
        InvalidInput: the list of classes is none, or empty.
        Conflict: there are descriptors of another embedder beside these.
    """
    given = None if labels is None else [] if isinstance(labels, str) else list(labels)
    if given == []:
        raise InvalidInput("classes to compact come as a list with at least one name")
    wanted = [Name.parse(label) for label in given or ()]
    with catalog._store.reading() as tx:
        embedders.require_one(tx)
        record = heads.current(tx)
        for name in wanted:
            require_label(tx, name)
    if record.training == "document" and record.options.get("replay") == "gan":
        keep_generator(catalog._store, catalog._keeper)
    with catalog._store.writing() as tx:
        embedders.require_one(tx)
        slots = {row.label: row.slot for row in inventory.label_counts(tx)}
        # Each once, also if it was named twice.
        names = tuple(dict.fromkeys(require_label(tx, name).name for name in wanted)) or tuple(
            slots
        )
        dropped = compaction.sums_of_dropped(tx, catalog._stored.width)
        items = compaction.drop(tx, catalog._stored, [slots[name] for name in names], dropped)
        event = None
        if items:
            event = journal.record(tx, "compact", {"labels": names, "items": items}, ())
    catalog._discard()  # whitened descriptors, too, are to be gone
    catalog._store.rewrite()
    return Compacted(names, items, event)
