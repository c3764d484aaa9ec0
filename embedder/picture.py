"""What counts as a picture, and what it is known by."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

Source: TypeAlias = str | os.PathLike[str] | bytes | NDArray[np.uint8]
"""A path, the bytes of a picture file, or RGB pixels: uint8 (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the upright picture, in pixels from its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.x < 0 or self.y < 0 or self.width < 1 or self.height < 1:
            raise InvalidInput(f"a box needs x, y >= 0 and width, height >= 1, not {self}")

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read ``x,y,width,height``.

        Raises:
            InvalidInput: the text is not four whole numbers that make a box.
        """
        try:
            x, y, width, height = (int(part) for part in text.split(","))
        except ValueError:
            raise InvalidInput(f"a box is x,y,width,height in pixels, not {text!r}") from None
        return cls(x, y, width, height)

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A source, whole or only what is inside a box of it."""

    source: Source
    box: Box | None = None


def content_hash(data: bytes | NDArray[np.uint8], box: Box | None = None) -> bytes:
    """The identity of a picture: SHA-256 of its file's bytes, or of its shape and pixels.

    A box makes another picture of it: what is hashed then is the whole's hash and the box.

    Returns:
        32 bytes.
    """
    if isinstance(data, bytes):
        digest = hashlib.sha256(data)
    else:
        digest = hashlib.sha256(f"rgb {data.shape}\n".encode())
        digest.update(np.ascontiguousarray(data).data)
    if box is not None:
        digest = hashlib.sha256(digest.digest() + f"\nbox {box}".encode())
    return digest.digest()
