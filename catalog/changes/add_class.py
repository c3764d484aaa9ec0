"""A new class made of some pictures."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.changes.command import Command
from catalog.changes.landing import Added, land
from catalog.changes.staging import stage_for
from catalog.embedder import Picture, Source
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.pictures import Progress
from catalog.store.classes import refuse_existing
from catalog.store.heads import training_named
from catalog.store.names import Name


def add_class(
    catalog: Opened,
    label: str,
    pictures: Iterable[Source | Picture],
    *,
    move: bool = False,
    head: str | None = None,
    progress: Progress | None = None,
    training: TrainingProgress | None = None,
) -> Added:
    """Make a new class of some pictures.

    Args:
        label: its name.
        pictures: paths, bytes, arrays, or any of these with a box.
        move: take pictures away from other classes, instead of refusing them.
        head: train the head in this way from now on: ``exact``, ``frozen``, ``document`` or
            ``none``; by default as before, ``exact`` in a new catalogue.
        progress: told of each picture.
        training: told of each batch of a ``document`` training.

    Returns:
        What came of it. If every picture was refused, the class was not made.

    Raises:
        LabelConflict: the class exists, or one that is spelt almost alike.
        InvalidLabel: that cannot be a name.
        InvalidInput: there are no pictures, or no such way to train a head.
    """
    way = training_named(head) if head else None
    name = Name.parse(label)
    outcomes = stage_for(catalog, name, pictures, refuse_existing, progress)
    with Command(catalog, way, training) as command:
        return land(command, name, outcomes, check=refuse_existing, move=move)
