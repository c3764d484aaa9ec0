"""HEICs and AVIFs for tests, encoded without loss, and put together box by box.

``pillow_heif`` encodes HEVC, OpenCV AV1. What neither writes (grids, crops, turns of one's choice)
is muxed here, around their bit streams.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray

Property = tuple[bytes, bytes]
_MODES = {2: "L", 3: "RGB", 4: "RGBA"}


def heic(image: NDArray[np.generic], *, bits: int = 8, mode: str = "", **options: object) -> bytes:
    """Encode grey, RGB or RGBA as a HEIC, without loss.

    ``bits`` is 8, 10 or 12; samples of more than 8 are given as they are to be stored.
    """
    mode = mode or _MODES[2 if image.ndim == 2 else image.shape[2]]
    stored = image
    if bits > 8:
        mode += ";16"
        stored = (image.astype("<u2") << 16 - bits).astype("<u2")
    height, width = image.shape[:2]
    before = pillow_heif.options.SAVE_HDR_TO_12_BIT
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        file = pillow_heif.from_bytes(mode=mode, size=(width, height), data=stored.tobytes())
        written = io.BytesIO()
        chosen = {"quality": -1, "chroma": "444", "matrix_coefficients": 0} | options
        file.save(written, **chosen)
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = before
    return written.getvalue()


def avif(image: NDArray[np.generic], *, bits: int = 8, quality: int = 100) -> bytes:
    """Encode grey, RGB or RGBA as an AVIF, at a quality of 100 without loss."""
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    stored = image if image.ndim == 2 else cv2.cvtColor(image, swap[image.shape[2]])
    options = [cv2.IMWRITE_AVIF_QUALITY, quality, cv2.IMWRITE_AVIF_DEPTH, bits,
               cv2.IMWRITE_AVIF_SPEED, 9]  # fmt: skip
    return bytes(cv2.imencode(".avif", stored, options)[1])


def box(kind: bytes, *contents: bytes) -> bytes:
    """Frame content as a box."""
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + kind + content


def boxes(data: bytes, start: int = 0, end: int | None = None) -> list[tuple[bytes, int, int]]:
    """List kind, start of the content and end of boxes, as far as they make sense."""
    found = []
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        if length < 8 or start + length > end:
            break
        found.append((kind, start + 8, start + length))
        start += length
    return found


def inside(data: bytes, *path: bytes) -> bytes:
    """The content of the first box at the end of a path of kinds."""
    for kind in path:
        start, end = next((s, e) for found, s, e in boxes(data) if found == kind)
        data = data[start + (4 if kind == b"meta" else 0) : end]
    return data


@dataclass(frozen=True)
class Coded:
    """A coded picture: kind of its item, properties that its decoder needs, size, bit stream."""

    kind: bytes
    properties: tuple[Property, ...]
    size: tuple[int, int]
    stream: bytes


def coded(file: bytes) -> Coded:
    """Take the first picture out of a file that :func:`heic` or :func:`avif` wrote."""
    properties = inside(file, b"meta", b"iprp", b"ipco")
    found = [(kind, properties[s:e]) for kind, s, e in boxes(properties)]
    needed: dict[bytes, bytes] = {}
    for kind, content in found:
        if kind in {b"hvcC", b"av1C", b"colr", b"pixi"}:
            needed.setdefault(kind, content)
    size = struct.unpack_from(">4xII", next(content for kind, content in found if kind == b"ispe"))
    places = inside(file, b"meta", b"iloc")
    with_base = 4 if places[5] >> 4 else 0
    method = 2 if places[0] else 0
    (start,) = struct.unpack_from(">I", places, 8 + 2 + method + 2) if with_base else (0,)
    offset, length = struct.unpack_from(">II", places, 8 + 2 + method + 2 + with_base + 2)
    stream = file[start + offset : start + offset + length]
    kind = b"hvc1" if b"hvcC" in needed else b"av01"
    return Coded(kind, tuple(needed.items()), size, stream)


def sized(width: int, height: int) -> Property:
    """The property that states a size."""
    return b"ispe", struct.pack(">4xII", width, height)


def turned(quarters: int) -> Property:
    """The property that turns to the left."""
    return b"irot", bytes([quarters])


def mirrored(axis: int) -> Property:
    """The property that mirrors: 0 exchanges top and bottom, 1 left and right."""
    return b"imir", bytes([axis])


def cropped(width: int, height: int, right: tuple[int, int], down: tuple[int, int]) -> Property:
    """The property that crops around a centre, which is moved by two fractions."""
    return b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, *right, *down)


@dataclass(frozen=True)
class _Item:
    """An item of a file: its kind, properties and bytes."""

    kind: bytes
    properties: tuple[Property, ...]
    data: bytes


def muxed(
    tiles: Sequence[Coded],
    *,
    grid: tuple[int, int] | None = None,
    size: tuple[int, int] | None = None,
    changes: Sequence[Property] = (),
    exif: bytes | None = None,
    brand: bytes | None = None,
    behind: bytes = b"",
) -> bytes:
    """Write a file of a coded picture, or of a grid (columns, rows) of tiles.

    Tiles of the same bytes share them. ``changes`` are properties of the primary picture,
    ``behind`` further boxes.
    """
    first = tiles[0]
    items = []
    if grid:
        width, height = size or (grid[0] * first.size[0], grid[1] * first.size[1])
        layout = struct.pack(">BBBBII", 0, 1, grid[1] - 1, grid[0] - 1, width, height)
        items.append(_Item(b"grid", (sized(width, height), *changes), layout))
    for tile in tiles:
        own = (sized(*tile.size),) if grid else (sized(*(size or tile.size)), *changes)
        items.append(_Item(tile.kind, (*tile.properties, *own), tile.stream))
    if exif is not None:
        items.append(_Item(b"Exif", (), bytes(4) + exif))
    references = b""
    if grid:
        ends = range(2, 2 + len(tiles))
        references = box(b"dimg", struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *ends))
    brand = brand or {b"hvc1": b"heic", b"av01": b"avif"}[first.kind]
    head = box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")
    starts: dict[bytes, int] = {}
    # What begins with zeros, a grid, goes last, where the attack looks for it.
    position = len(head) + len(_meta(items, starts, references)) + 8
    for item in sorted(items, key=lambda item: item.kind == b"grid"):
        if item.data not in starts:
            starts[item.data] = position
            position += len(item.data)
    return head + _meta(items, starts, references) + box(b"mdat", *starts) + behind


def _meta(items: Sequence[_Item], starts: Mapping[bytes, int], references: bytes) -> bytes:
    places = struct.pack(">IBBH", 0, 0x44, 0, len(items))
    kinds = []
    for number, item in enumerate(items, 1):
        start = starts.get(item.data, 0)
        places += struct.pack(">HHHII", number, 0, 1, start, len(item.data))
        kinds.append(box(b"infe", struct.pack(">4BHH4sx", 2, 0, 0, 0, number, 0, item.kind)))
    return box(
        b"meta", bytes(4),
        box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", struct.pack(">IH", 0, 1)),
        box(b"iloc", places),
        box(b"iinf", struct.pack(">IH", 0, len(items)), *kinds),
        _properties(items),
        *([box(b"iref", bytes(4), references)] if references else []),
    )  # fmt: skip


def _properties(items: Sequence[_Item]) -> bytes:
    known: list[Property] = []
    belonging = struct.pack(">II", 0, len(items))
    for number, item in enumerate(items, 1):
        belonging += struct.pack(">HB", number, len(item.properties))
        for one in item.properties:
            if one not in known:
                known.append(one)
            essential = one[0] in {b"hvcC", b"av1C", b"irot", b"imir", b"clap"}
            belonging += bytes([known.index(one) + 1 | 0x80 * essential])
    return box(b"iprp", box(b"ipco", *(box(*one) for one in known)), box(b"ipma", belonging))
