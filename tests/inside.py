"""What tests look at that a catalogue keeps to itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeVar

from catalog import Catalog
from catalog.changes.keep_unknown import Unknown, keep_unknown
from catalog.embedder import Source
from catalog.learning.learning import Learning
from catalog.manifest.pictures import hold
from catalog.store.moment import Moment
from catalog.store.store import Store

_Answer = TypeVar("_Answer")


def connection_of(opened: Catalog | Store) -> sqlite3.Connection:
    """The connection that the next transaction of this thread is on."""
    store = opened._store if isinstance(opened, Catalog) else opened
    return store._connections._idle[-1].sqlite


def computed(catalog: Catalog, ask: Callable[[Learning, Moment], _Answer]) -> _Answer:
    """What follows from the present state of a catalogue."""
    return catalog._keeper.compute(ask)


def keep(catalog: Catalog, pictures: Iterable[Source]) -> None:
    """Keep pictures as `predict(..., keep_unknown=True)` does those that are ``unknown``."""
    held = [hold(picture) for picture in pictures]
    bound = catalog._bound
    unknown = [
        Unknown(one.content, one.place, one.picture, bound.embedder.embed(one.picture))
        for one in held
    ]
    keep_unknown(catalog, bound, unknown)
