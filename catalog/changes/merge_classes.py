"""One class made of several."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.changes.command import Command
from catalog.changes.move import Moved, reassign
from catalog.descriptors import Advice, Conflict, InvalidInput
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.store import inventory
from catalog.store.classes import listed_names, require_label
from catalog.store.compaction import compacted_classes
from catalog.store.names import Name


def merge_classes(
    catalog: Opened, labels: Iterable[str], into: str, *, training: TrainingProgress | None = None
) -> Moved:
    """Make one class of several. Can be undone.

    Args:
        labels: the classes; that which is merged into may be among them.
        into: the class that stays.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound: there is no such class.
        InvalidInput: no other class was given.
        Conflict: descriptors of one that would go were dropped.
    """
    names = [Name.parse(label) for label in listed_names(labels)]
    target_name = Name.parse(into)
    with Command(catalog, training=training) as command, catalog._store.writing() as tx:
        target = require_label(tx, target_name)
        others = {found.slot: found for found in (require_label(tx, name) for name in names)}
        others.pop(target.slot, None)
        if not others:
            raise InvalidInput(f"no other class was given to merge into {target.name!r}")
        for slot in compacted_classes(tx) & others.keys():
            raise Conflict(
                f"descriptors of class {others[slot].name!r} were dropped, so it cannot be merged",
                Advice("rename class"),
            )
        moving = [(item, slot) for slot in others for item in inventory.items_in(tx, slot)]
        return reassign(
            command,
            tx,
            "merge-classes",
            target,
            moving,
            name=target.spelling(target_name),
            note={"labels": [other.name for other in others.values()]},
        )
