"""Pictures added to a class that exists."""

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
from catalog.store.classes import require_label
from catalog.store.names import Name


def add(
    catalog: Opened,
    label: str,
    pictures: Iterable[Source | Picture],
    *,
    move: bool = False,
    group_by: str | None = None,
    made_up: bool = True,
    progress: Progress | None = None,
    training: TrainingProgress | None = None,
) -> Added:
    """Add pictures to a class that exists; arguments as for :meth:`add_class`.

    A ``frozen`` head stays as it is; a ``document`` one is trained on.

    Raises:
        NotFound: there is no such class.
        InvalidInput: there are no pictures, or no such way to group them.
    """
    name = Name.parse(label)
    named = occasions_by(group_by)
    staged = stage_for(catalog, name, pictures, require_label, progress)
    outcomes = ready_to_land(catalog, name, staged, named, made_up=made_up)
    with Command(catalog, training=training) as command:
        return land(command, name, outcomes, check=require_label, move=move)
