"""What a camera wrote into a picture file: how it was held, when it was, and which one it is.

An Exif block is a TIFF file without a picture: a directory of 12-byte entries, one of which leads
to a second directory (CIPA DC-008). What makes no sense in it is taken as not said.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

PREFIX = b"Exif\0\0"
"""What stands before the block in a JPEG file."""

_SHORT, _LONG, _TEXT = 3, 4, 2
_ORIENTATION, _MAKE, _MODEL, _INNER = 0x0112, 0x010F, 0x0110, 0x8769
_TAKEN, _FRACTION, _SERIAL = 0x9003, 0x9291, 0xA431
_MOST_ENTRIES = 500  # of a directory; cameras write some dozens
_LONGEST_TEXT = 200


class Shot(NamedTuple):
    """When a camera took a picture.

    Attributes:
        camera: its make, model and number, as far as it says; empty if it says nothing.
        taken: milliseconds since 1970 by its own clock, whatever its time zone.
    """

    camera: str
    taken: int


class _Entry(NamedTuple):
    kind: int
    length: int
    at: int  # of the value, or of where that is if it has more than 4 bytes


def orientation(exif: bytes) -> int:
    """How the camera was held: 1 (upright) to 8; 1 where that is not said."""
    return stated_orientation(exif) or 1


def stated_orientation(exif: bytes) -> int | None:
    """How the camera was held: 1 (upright) to 8; None where that is not said."""
    block, order = _opened(exif)
    entry = _directory(block, order, _first(block, order)).get(_ORIENTATION)
    if entry is None or entry.kind != _SHORT:
        return None
    (value,) = struct.unpack_from(order + "H", block, entry.at)
    return int(value) if 1 <= value <= 8 else None


def shot(exif: bytes) -> Shot | None:
    """When the picture was taken and with what; None where the time is not said."""
    block, order = _opened(exif)
    outer = _directory(block, order, _first(block, order))
    lead = outer.get(_INNER)
    if lead is None or lead.kind != _LONG:
        return None
    inner = _directory(block, order, struct.unpack_from(order + "I", block, lead.at)[0])
    texts = [_text(block, order, outer.get(tag)) for tag in (_MAKE, _MODEL)]
    texts.append(_text(block, order, inner.get(_SERIAL)))
    taken = _time(_text(block, order, inner.get(_TAKEN)), _text(block, order, inner.get(_FRACTION)))
    return None if taken is None else Shot(" ".join(filter(None, texts)), taken)


def _opened(exif: bytes) -> tuple[bytes, str]:
    """The block itself, and its byte order; nothing if it is none."""
    block = exif.removeprefix(PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4], "")
    return (block, order) if order and len(block) >= 8 else (b"", "<")


def _first(block: bytes, order: str) -> int:
    """Where the first directory is."""
    return int(struct.unpack_from(order + "I", block, 4)[0]) if block else 0


def _directory(block: bytes, order: str, start: int) -> dict[int, _Entry]:
    """The entries of a directory that lie within the block, the first of each tag."""
    return dict(reversed(list(_entries(block, order, start))))


def _entries(block: bytes, order: str, start: int) -> Iterator[tuple[int, _Entry]]:
    if start + 2 > len(block):
        return
    (count,) = struct.unpack_from(order + "H", block, start)
    last = min(start + 2 + 12 * min(count, _MOST_ENTRIES), len(block)) - 12
    for position in range(start + 2, last + 1, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", block, position)
        yield tag, _Entry(kind, number, position + 8)


def _text(block: bytes, order: str, entry: _Entry | None) -> str:
    """A text, without what surrounds it; empty where it is none."""
    if entry is None or entry.kind != _TEXT or entry.length > _LONGEST_TEXT:
        return ""
    at = entry.at
    if entry.length > 4:
        (at,) = struct.unpack_from(order + "I", block, at)
    raw = block[at : at + entry.length].split(b"\0")[0]
    return " ".join(raw.decode("ascii", "replace").split())


def _time(text: str, fraction: str) -> int | None:
    """Milliseconds since 1970 of ``YYYY:MM:DD HH:MM:SS`` and the digits behind the second."""
    try:
        moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    digits = fraction if fraction.isascii() and fraction.isdigit() else "0"
    return round(moment.timestamp()) * 1000 + int(f"{digits:0<3}"[:3])
