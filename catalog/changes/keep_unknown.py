"""Photos of no known class, kept for classes to be proposed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import to_bytes, to_integers
from catalog.learning.opened import Opened
from catalog.store import inventory


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """A picture that was looked at, and is to be kept.

    Attributes:
        content: its SHA-256, 32 bytes.
        place: where it was found, or None for bytes and arrays.
        descriptor: float32 (D,).
    """

    content: bytes
    place: str | None
    descriptor: NDArray[np.float32]


def keep_unknown(catalog: Opened, pictures: Sequence[Unknown]) -> None:
    """Store descriptors of pictures that belong to no class, and that they are wanted."""
    if pictures:
        with catalog._store.writing() as tx:
            for picture in pictures:
                stored = to_bytes(to_integers(picture.descriptor))
                catalog._stored.keep(tx, picture.content, stored)
                inventory.keep(tx, picture.content, picture.place)
