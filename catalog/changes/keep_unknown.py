"""Photos of no known class, kept for classes to be proposed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.changes.embedding import store
from catalog.embedder import Picture
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.store import Transaction, inventory


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """A picture that was looked at, and is to be kept.

    Attributes:
        content: its SHA-256, 32 bytes.
        place: where it was found, or None for bytes and arrays.
        picture: what was read.
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
        store(catalog, by, fresh, {one.content: one.picture for one in unknown}, note)
