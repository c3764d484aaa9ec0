"""A new class made of some pictures."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.changes.command import Command
from catalog.changes.landing import Added, land
from catalog.changes.made_up import ready_to_land
from catalog.changes.staging import occasions_by, stage_for
from catalog.embedder import Picture, Source
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.manifest.pictures import Progress
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
    group_by: str | None = None,
    made_up: bool = True,
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
        group_by: ``folder``: pictures that lie in one folder are of one occasion, and vouch for
            each other no more than one of them would; by default that is told by when a camera
            took them, and by how alike they are.
        made_up: make up photos of a picture where its class has no other to hold out, as evidence
            of how sure answers may be.
        progress: told of each picture.
        training: told of each batch of a ``document`` training.

    Returns:
        What came of it. If every picture was refused, the class was not made.

    Raises:
        LabelConflict: the class exists.
        InvalidLabel: that cannot be a name.
        InvalidInput: there are no pictures, or no such way to train a head or to
            group them.
    """
    way = training_named(head) if head else None
    name = Name.parse(label)
    named = occasions_by(group_by)
    staged = stage_for(catalog, name, pictures, refuse_existing, progress)
    outcomes = ready_to_land(catalog, name, staged, named, made_up=made_up)
    with Command(catalog, way, training) as command:
        return land(command, name, outcomes, check=refuse_existing, move=move)
