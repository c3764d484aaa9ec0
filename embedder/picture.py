"""What counts as a picture, and what it is known by."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from numbers import Real
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

Source: TypeAlias = str | os.PathLike[str] | bytes | NDArray[np.uint8]
"""A path, the bytes of a picture file, or RGB pixels: uint8 (H, W, 3).

A ``bytearray``, a file that is open for reading bytes and a PIL image are taken for what they hold.
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the upright picture, in pixels from its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("x", "y", "width", "height"):
            object.__setattr__(self, name, _whole(getattr(self, name)))
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _source(self.source))
        if self.box is not None and not isinstance(self.box, Box):
            try:
                object.__setattr__(self, "box", Box(*self.box))
            except TypeError:
                raise InvalidInput(
                    f"a box is a Box, or x, y, width and height, not {self.box!r}"
                ) from None


def as_picture(given: object) -> Picture:
    """A picture that was given in one way or another.

    Raises:
        InvalidInput: it is nothing that shows one picture.
    """
    return given if isinstance(given, Picture) else Picture(cast("Source", given))


def _source(given: Any) -> Source:
    """What is given as a picture, in one of the forms that a :data:`Source` has.

    Raises:
        InvalidInput: it is in none.
    """
    if isinstance(given, str | os.PathLike | bytes | np.ndarray):
        return cast("Source", given)
    if isinstance(given, bytearray | memoryview):
        return bytes(given)
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(given, pil.Image):
        upright = import_module("PIL.ImageOps").exif_transpose(given)
        return np.asarray(upright.convert("RGB"))
    if callable(read := getattr(given, "read", None)):
        content = read()
        if isinstance(content, bytes):
            return content
        raise InvalidInput("a file with a picture has to be open for bytes: open(path, 'rb')")
    if isinstance(given, list | tuple | set | dict):
        raise InvalidInput(
            "one picture is expected here, and not several; the calls that end in _many take a list"
        )
    raise InvalidInput(
        "a picture is a path, the bytes of a file, an open file, a PIL image, or RGB pixels as a "
        f"NumPy array of shape (H, W, 3), not {type(given).__name__}"
    )


def _whole(number: object) -> int:
    """A whole number of pixels, also where it comes as a float.

    Raises:
        InvalidInput: it is not one.
    """
    if isinstance(number, Real) and float(number).is_integer():
        return int(float(number))
    raise InvalidInput(f"a box is in whole pixels, and {number!r} is not; round it first")


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
