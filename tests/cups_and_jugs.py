"""A small catalogue of made-up things, for tests of what is done to it afterwards."""

from __future__ import annotations

from pathlib import Path

import photos
from doubles import FakeEmbedder

from catalog import Catalog

THINGS = ("cup", "jug", "pan")


def fill(path: Path, *, head: str | None = None) -> Catalog:
    """Make a catalogue of three classes with three items each, ids 1 to 9 in order."""
    catalog = Catalog.init(path, embedder=FakeEmbedder())
    for thing, label in enumerate(THINGS):
        catalog.add_class(label, photos.shots(thing, 3), head=head if not thing else None)
    return catalog


def reopen(path: Path) -> Catalog:
    """Open a catalogue as another process would."""
    return Catalog.open(path, embedder=FakeEmbedder())


def counts(catalog: Catalog) -> dict[str, int]:
    """How many items each class has."""
    return {row.label: row.items for row in catalog.labels()}


def slots(catalog: Catalog) -> dict[str, int]:
    """The slot of each class."""
    return {row.label: row.slot for row in catalog.labels()}
