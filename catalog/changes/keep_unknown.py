"""Photos of no known class, kept for classes to be proposed from."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.changes.staging import Staged, staging_of
from catalog.embedder import Picture, Source
from catalog.learning.opened import Opened
from catalog.store import inventory


def keep_unknown(catalog: Opened, pictures: Iterable[Source | Picture]) -> None:
    """Store descriptors of pictures that belong to no class, and that they are wanted."""
    outcomes = staging_of(catalog).stage(pictures)
    staged = [outcome for outcome in outcomes if isinstance(outcome, Staged)]
    if staged:
        with catalog._store.writing() as tx:
            for picture in staged:
                inventory.keep(tx, picture.content, picture.place)
