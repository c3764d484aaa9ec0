"""A catalogue of a folder of photos, and the embedders that it goes from and to."""

from __future__ import annotations

from pathlib import Path

import photos
from cups_and_jugs import THINGS
from doubles import FakeEmbedder
from inside import computed

from catalog import Catalog
from catalog.learning.learning import Learning

OLD, NEW = FakeEmbedder(), FakeEmbedder(width=48, seed=1)


def drawn(folder: Path) -> Path:
    """A folder of three classes with four photos each."""
    for thing, label in enumerate(THINGS):
        photos.draw(folder / label, thing, 4)
    return folder


def made(path: Path, folder: Path) -> Catalog:
    """A catalogue of a folder, by the older embedder."""
    catalog = Catalog.init(path, embedder=OLD)
    catalog.import_(folder)
    return catalog


def opened(path: Path) -> Catalog:
    """Open a catalogue as another process would that has both."""
    return Catalog.open(path, embedder=(OLD, NEW))


def state(catalog: Catalog) -> str:
    """The hash of what is learnt."""
    return computed(catalog, Learning.state)


def at_once(path: Path, catalog: Catalog, embedder: FakeEmbedder = NEW) -> str:
    """The learning state of a catalogue that is made at once of the items of another."""
    with Catalog.init(path, embedder=embedder) as fresh:
        for row in catalog.labels():
            fresh.add_class(row.label, [item.sources[0] for item in catalog.items(row.label)])
        return state(fresh)
