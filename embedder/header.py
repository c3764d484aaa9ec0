"""What is known of a picture before it is decoded, how much it may weigh, and how that is checked.

What the walkers of all formats share; :mod:`catalog.embedder.formats` tells which one is asked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from catalog.descriptors.errors import PictureError
from catalog.embedder.exif import Shot

_Part = TypeVar("_Part")
Format = Literal["jpeg", "png", "webp", "gif", "bmp", "heic", "avif", "tiff"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may weigh before it is refused as ``too_large``.

    Attributes:
        max_bytes: Size of the file in bytes.
        max_side: Width or height in pixels; phone panoramas reach 16,382.
        max_pixels: Width x height; the decoder needs up to 8 bytes for each.
        max_jpeg_pixels: The same for JPEG, which is shrunk while it is decoded, so that the
            200-megapixel photos of phones (16,320 x 12,240) pass.
        max_jpeg_samples: Samples of all components of a JPEG that comes in several scans. The
            decoder holds 2 bytes for each until the last scan, at whatever scale. A photo of
            200 megapixels with halved colours has 300 million.
        max_scans: Scans of a JPEG; encoders write about ten, and each costs a pass over all pixels.
        max_scan_pixels: Scans x width x height of a JPEG. A scan of a hundred bytes can keep the
            decoder at work on every pixel.
        max_parts: Segments, chunks, blocks, boxes or strips of a file, of which the smallest has
            two bytes. The blocks of a GIF as heavy as may be are about 262,000.
    """

    max_bytes: int = 64 * 2**20
    max_side: int = 20_000
    max_pixels: int = 50_000_000
    max_jpeg_pixels: int = 200_000_000
    max_jpeg_samples: int = 480_000_000
    max_scans: int = 64
    max_scan_pixels: int = 2_000_000_000
    max_parts: int = 300_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        format: One of the eight formats.
        width: Pixels per row as the decoder gives them, before ``orientation`` is applied.
        height: Rows, likewise.
        orientation: What is left to do, as Exif numbers it: 1 (nothing) to 8.
        shot: when a camera took it, and which one; None where that is not said.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1
    shot: Shot | None = None


def check_size(kind: Format, width: int, height: int, limits: Limits) -> None:
    """Refuse a picture without area, or beyond the limits.

    Raises:
        PictureError: ``corrupt`` or ``too_large``.
    """
    allowed = limits.max_jpeg_pixels if kind == "jpeg" else limits.max_pixels
    if min(width, height) < 1:
        raise PictureError("corrupt", f"its size is {width} x {height}")
    if max(width, height) > limits.max_side or width * height > allowed:
        raise PictureError(
            "too_large",
            f"{width:,} x {height:,} pixels; a {kind.upper()} may have {allowed:,}, "
            f"and {limits.max_side:,} along a side",
        )


def at_most(parts: Iterable[_Part], limits: Limits) -> Iterator[_Part]:
    """Pass parts of a file on, one after another.

    Raises:
        PictureError: ``too_large``: there are too many.
    """
    for count, part in enumerate(parts):
        if count == limits.max_parts:
            raise PictureError("too_large", f"a file of more than {count:,} parts")
        yield part


def unpack(layout: str, data: bytes, offset: int) -> tuple[Any, ...]:
    """Unpack numbers at a place.

    Raises:
        PictureError: ``truncated``: they are not all there.
    """
    if offset + struct.calcsize(layout) > len(data):
        raise PictureError("truncated", "it ends within a header")
    return struct.unpack_from(layout, data, offset)
