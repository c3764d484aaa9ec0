"""A small catalogue of made-up things, for tests of what is done to it afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import photos
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.store.files import cache_folder

THINGS = ("cup", "jug", "pan")


def fill(path: Path, *, head: str | None = None, each: int = 3) -> Catalog:
    """Make a catalogue of three classes with as many items each, ids from 1 on in order."""
    catalog = Catalog.init(path, embedder=FakeEmbedder())
    for thing, label in enumerate(THINGS):
        catalog.add_class(label, photos.shots(thing, each), head=head if not thing else None)
    return catalog


def bare(path: Path) -> Path:
    """Make one with five items each, and nothing derived beside it."""
    fill(path, each=5).close()
    shutil.rmtree(cache_folder(path), ignore_errors=True)
    return path


def reopen(path: Path) -> Catalog:
    """Open a catalogue as another process would."""
    return Catalog.open(path, embedder=FakeEmbedder())


def counts(catalog: Catalog) -> dict[str, int]:
    """How many items each class has."""
    return {row.label: row.items for row in catalog.labels()}


def slots(catalog: Catalog) -> dict[str, int]:
    """The slot of each class."""
    return {row.label: row.slot for row in catalog.labels()}
