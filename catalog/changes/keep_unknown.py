"""Photos of no known class, kept for classes to be proposed from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.changes.embedding import store
from catalog.descriptors import PictureError
from catalog.embedder import Picture
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.manifest.pictures import hold
from catalog.store import Transaction, inventory, thumbnails


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """A picture that was looked at, and is to be kept.

    Attributes:
        content: its SHA-256, 32 bytes.
        place: where it was found, or None for bytes and arrays.
        picture: as it was given.
        descriptor: float32 (D,).
    """

    content: bytes
    place: str | None
    picture: Picture
    descriptor: NDArray[np.float32]


def keep_unknown(catalog: Opened, by: Bound, unknown: Sequence[Unknown]) -> None:
    """Store descriptors of pictures that belong to no class, and that they are wanted.

    Args:
        catalog: to keep them in.
        by: whose descriptors they are.
        unknown: the pictures.
    """

    def note(tx: Transaction) -> None:
        for one in unknown:
            inventory.keep(tx, one.content, one.place)

    if unknown:
        fresh = {one.content: one.descriptor for one in unknown}
        store(catalog, by, fresh, _read_again(catalog, unknown), note)


def _read_again(catalog: Opened, unknown: Sequence[Unknown]) -> dict[bytes, Picture]:
    """The pictures by content hash, where they are needed once more; not those that have changed.

    They are by another embedder, and for the small copies that are kept.
    """
    found: dict[bytes, Picture] = {}
    with catalog._store.reading() as tx:
        if len(catalog._every_bound()) == 1 and not thumbnails.are_kept(tx):
            return found
    for one in unknown:
        with suppress(PictureError):
            held = hold(one.picture)
            if held.content == one.content:
                found[one.content] = held.picture
    return found
