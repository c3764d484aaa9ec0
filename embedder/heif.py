"""HEIC and AVIF: the header check of both, and what of a file the decoder sees.

Both are HEIF: boxes, of which ``meta`` lists items, among them the primary picture, the tiles that
it may be a grid of, its alpha channel and an Exif block. HEIC is HEIF with pictures in HEVC, AVIF
with pictures in AV1; which one a file is, its primary picture says, not its brand.

- **Read**: a primary picture that is coded as a whole or is a grid of tiles. Where the file holds
  several pictures or a sequence, the primary picture is the one.
- **Size and orientation** come from the properties of the primary picture. A crop (``clap``),
  a turn (``irot``) and a mirror (``imir``) of a HEIC are made by the decoder, so its header has the
  size after them, and nothing is left to do. The decoder of AVIF makes none: turn and mirror become
  an orientation, and a crop is refused by name. Orientation in Exif is ignored, as the standard
  says: it tells how the camera was held, and ``irot`` what is to be done about it.
- **Not read**, by name: pictures overlaid or otherwise derived, other codecs, a sequence without a
  primary picture.

Layouts: ISO/IEC 14496-12 (boxes), 23008-12 (HEIF), the AV1 Image File Format.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from catalog.descriptors.errors import PictureError
from catalog.embedder import exif
from catalog.embedder.header import DEFAULT_LIMITS, Format, Header, Limits, at_most, check_size

_BOX: Final = b"ftyp"
_STILLS: Final = frozenset({
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif",
    b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"avif", b"avis", b"MA1A", b"MA1B",
})  # fmt: skip
_FOREIGN: Final = frozenset({b"crx ", b"avci", b"avcs", b"jpeg", b"j2ki"})
_CODECS: Final[dict[bytes, Format]] = {b"hvc1": "heic", b"av01": "avif"}
_KEPT: Final = frozenset({b"ftyp", b"meta", b"mdat"})
_PROPERTIES: Final = frozenset({b"ispe", b"clap", b"irot", b"imir", b"auxC"})
_ALPHA: Final = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")

# Where the corners of a picture go, given as upper left, upper right, lower left, lower right.
_LEFT_TURN: Final = (1, 3, 0, 2)
_MIRRORS: Final = {0: (2, 3, 0, 1), 1: (1, 0, 3, 2)}
_ORIENTATIONS: Final = {
    (0, 1, 2, 3): 1, (1, 0, 3, 2): 2, (3, 2, 1, 0): 3, (2, 3, 0, 1): 4,
    (0, 2, 1, 3): 5, (2, 0, 3, 1): 6, (3, 1, 2, 0): 7, (1, 3, 0, 2): 8,
}  # fmt: skip

_Span = tuple[int, int]
"""Where something begins and ends in the file."""


@dataclass
class _Items:
    """What a ``meta`` box says of the items of a file."""

    primary: int | None = None
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[_Span]] = field(default_factory=dict)
    within: list[tuple[int, int, int]] = field(default_factory=list)  # the ``idat`` box
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    belonging: dict[int, list[int]] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)

    def of(self, item: int, kind: bytes) -> list[bytes]:
        """The properties of one kind of an item."""
        return [content for found, content in self.all_of(item) if found == kind]

    def all_of(self, item: int) -> list[tuple[bytes, bytes]]:
        """The properties of an item, in the order in which they take effect."""
        chosen = self.belonging.get(item, [])
        return [self.properties[at - 1] for at in chosen if 0 < at <= len(self.properties)]

    def led_to(self, kind: bytes, item: int) -> list[int]:
        """The items that an item refers to."""
        return [to for found, start, ends in self.references for to in ends
                if (found, start) == (kind, item)]  # fmt: skip


def is_beginning(data: bytes) -> bool:
    """Whether fewer bytes than tell it may begin a file of boxes."""
    return len(data) < 12 and data[:3] == bytes(3)[: len(data)] and _BOX.startswith(data[4:8])


def is_still(data: bytes) -> bool:
    """Whether a file begins as a HEIC or an AVIF does."""
    return data[4:8] == _BOX and data[8:12] in _STILLS


def is_foreign(data: bytes) -> bool:
    """Whether a file of boxes is a picture of a kind that is not read, and no film."""
    return data[4:8] == _BOX and data[8:12] in _STILLS | _FOREIGN


def walk(data: bytes, limits: Limits) -> Header:
    """Check size and structure of a HEIC or an AVIF, and read what a camera wrote into it.

    Raises:
        PictureError: ``unsupported``, ``too_large``, ``truncated`` or ``corrupt``.
    """
    items = _items(data, limits)
    if items.primary is None:
        raise PictureError("unsupported", "a sequence of pictures without a still one")
    if any(end > len(data) for spans in items.extents.values() for _, end in spans):
        raise PictureError("truncated", "its pictures run past its end")
    total = sum(end - start for spans in items.extents.values() for start, end in spans)
    if total > limits.max_bytes:  # items may share bytes, and are decoded one by one
        raise PictureError("too_large", f"a HEIF of items of {total:,} bytes together")
    kind = _codec(data, items, items.primary)
    for name, content in items.properties:
        if name == b"ispe":
            width, height = _numbers(">4xII", content)
            check_size(kind, width, height, limits)
    width, height = _size(items, items.primary)
    for helper in _alphas(items, items.primary):
        _codec(data, items, helper)
    orientation = 1
    if kind == "heic":
        width, height = _turned(items, items.primary, width, height)
        check_size(kind, width, height, limits)
    else:
        orientation = _orientation(items, items.primary)
    return Header(kind, width, height, orientation, exif.shot(_exif(data, items)))


def essence(data: bytes) -> bytes:
    """Leave a file its items alone: sequences and other boxes become empty space.

    The brand says "one picture" then, since decoders choose a sequence where it says otherwise.
    """
    kept = bytearray(data)
    brand = _brand(data)
    for kind, at, start, end in _boxes(data, 0, len(data), within_file=True):
        if kind == _BOX:
            words = min(end, len(data)) // 4 - start // 4
            kept[start : start + 4 * words] = (brand + bytes(4) + brand + b"mif1" * words)[
                : 4 * words
            ]
        elif kind not in _KEPT:
            kept[at + 4 : at + 8] = b"free"
    return bytes(kept)


def _brand(data: bytes) -> bytes:
    items = _items(data, DEFAULT_LIMITS)
    return _codec(data, items, items.primary or 0).encode()


def _numbers(layout: str, content: bytes, at: int = 0) -> tuple[int, ...]:
    if at + struct.calcsize(layout) > len(content):
        raise PictureError("corrupt", "a box that is shorter than what it holds")
    return struct.unpack_from(layout, content, at)


def _boxes(
    data: bytes, position: int, end: int, *, within_file: bool = False
) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield kind, start, start of the content, and end of the boxes in a span.

    In the file itself the last may run past the end, and what is no box is ignored.
    """
    while position + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1 and position + 16 <= end:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        if length == 0 and within_file:
            length = end - position
        if length < start - position or (position + length > end and not within_file):
            if within_file:
                return
            raise PictureError("corrupt", "a box reaches beyond what it is part of")
        yield kind, position, start, position + length
        position += length


def _items(data: bytes, limits: Limits) -> _Items:
    meta: _Span | None = None
    for kind, _, start, end in at_most(_boxes(data, 0, len(data), within_file=True), limits):
        if kind == b"meta" and meta is None:
            meta = (start + 4, end)
    if meta is None or meta[1] > len(data):
        raise PictureError("truncated", "it ends before its list of pictures does")
    items = _Items()
    found = {kind: (start, end) for kind, _, start, end in at_most(_boxes(data, *meta), limits)}
    if b"pitm" in found:
        content = data[slice(*found[b"pitm"])]
        (items.primary,) = _numbers(">4xI" if content[:1] != b"\0" else ">4xH", content)
    for kind, read in _READERS.items():
        if kind in found:
            read(data[slice(*found[kind])], items, limits)
    for item, start, length in items.within:
        first, end = found.get(b"idat", (0, 0))
        if first + start + length > end:
            raise PictureError("corrupt", "an item outside the data it is part of")
        items.extents[item].append((first + start, first + start + length))
    return items


def _read_kinds(content: bytes, items: _Items, limits: Limits) -> None:
    head = 6 if content[:1] == b"\0" else 8
    for kind, _, start, end in at_most(_boxes(content, head, len(content)), limits):
        if kind == b"infe" and content[start : start + 1] in {b"\2", b"\3"}:
            layout = ">4xH2x4s" if content[start] == 2 else ">4xI2x4s"
            if start + struct.calcsize(layout) > end:
                raise PictureError("corrupt", "a box that is shorter than what it holds")
            item, name = struct.unpack_from(layout, content, start)
            items.kinds[item] = name


def _read_extents(content: bytes, items: _Items, limits: Limits) -> None:
    version, sizes, more = _numbers(">B3xBB", content)
    widths = (sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0)
    if version > 2 or not {*widths} <= {0, 4, 8}:
        raise PictureError("corrupt", "a list of places of no known layout")
    name = "I" if version == 2 else "H"
    (count,) = _numbers(">" + name, content, 6)
    position = 6 + struct.calcsize(">" + name)

    def number(width: int) -> int:
        nonlocal position
        position += width
        return _numbers(">Q" if width == 8 else ">I", content, position - width)[0] if width else 0

    for _ in at_most(range(count), limits):
        (item,) = _numbers(">" + name, content, position)
        position += struct.calcsize(">" + name)
        method = 0
        if version:
            method = _numbers(">H", content, position)[0] & 15
            position += 2
        position += 2  # which file
        base = number(widths[2])
        (extents,) = _numbers(">H", content, position)
        position += 2
        spans = items.extents.setdefault(item, [])
        for _ in at_most(range(extents), limits):
            number(widths[3])
            start, length = base + number(widths[0]), number(widths[1])
            if method == 0:
                spans.append((start, start + length))
            elif method == 1:
                items.within.append((item, start, length))


def _read_properties(content: bytes, items: _Items, limits: Limits) -> None:
    for kind, _, start, end in at_most(_boxes(content, 0, len(content)), limits):
        if kind == b"ipco":
            for name, _, first, last in at_most(_boxes(content, start, end), limits):
                items.properties.append((name, content[first:last] if name in _PROPERTIES else b""))
        elif kind == b"ipma":
            _read_belonging(content[start:end], items, limits)


def _read_belonging(content: bytes, items: _Items, limits: Limits) -> None:
    version, flags, count = _numbers(">B2xBI", content)
    position = 8
    name, index = (">I" if version else ">H"), (">H" if flags & 1 else ">B")
    for _ in at_most(range(count), limits):
        (item,) = _numbers(name, content, position)
        position += struct.calcsize(name)
        (own,) = _numbers(">B", content, position)
        position += 1
        chosen = items.belonging.setdefault(item, [])
        for _ in range(own):
            (value,) = _numbers(index, content, position)
            position += struct.calcsize(index)
            chosen.append(value & (0x7FFF if flags & 1 else 0x7F))


def _read_references(content: bytes, items: _Items, limits: Limits) -> None:
    name = "H" if content[:1] == b"\0" else "I"
    for kind, _, start, _end in at_most(_boxes(content, 4, len(content)), limits):
        item, count = _numbers(f">{name}H", content, start)
        ends = _numbers(f">{count}{name}", content, start + struct.calcsize(f">{name}H"))
        items.references.append((kind, item, list(ends)))


_READERS: Final[dict[bytes, Callable[[bytes, _Items, Limits], None]]] = {
    b"iinf": _read_kinds,
    b"iloc": _read_extents,
    b"iprp": _read_properties,
    b"iref": _read_references,
}


def _codec(data: bytes, items: _Items, item: int) -> Format:
    """What an item is coded in, or the tiles of its grid."""
    kind = items.kinds.get(item)
    if kind is None:
        raise PictureError("corrupt", "a HEIF whose picture is not in its list")
    if kind == b"grid":
        return _grid(data, items, item)
    if kind not in _CODECS:
        raise PictureError("unsupported", f"a HEIF picture of kind {kind.decode('latin-1')!r}")
    if not items.extents.get(item):
        raise PictureError("unsupported", "a HEIF picture that is in another file or item")
    return _CODECS[kind]


def _grid(data: bytes, items: _Items, item: int) -> Format:
    """Check that tiles of one codec and size cover a grid, and no more."""
    content = _content(data, items, item)
    (flags,) = _numbers(">xB", content)
    rows, columns, width, height = _numbers(">2xBBII" if flags & 1 else ">2xBBHH", content)
    tiles = items.led_to(b"dimg", item)
    kinds = {items.kinds.get(tile, b"") for tile in tiles}
    sizes = {_size(items, tile) for tile in tiles}
    if len(tiles) != (rows + 1) * (columns + 1) or len(sizes) != 1:
        raise PictureError("corrupt", "a HEIF grid without the tiles it has")
    if len(kinds) != 1 or not kinds <= {*_CODECS}:
        raise PictureError("unsupported", "a HEIF grid of tiles that are no pictures of one codec")
    ((across, down),) = sizes
    covered = columns * across < width <= (columns + 1) * across
    if not (covered and rows * down < height <= (rows + 1) * down):
        raise PictureError("corrupt", "a HEIF grid that its tiles do not cover")
    if (width, height) != _size(items, item):
        raise PictureError("corrupt", "a HEIF grid of another size than is said of it")
    return _codec(data, items, tiles[0])


def _content(data: bytes, items: _Items, item: int) -> bytes:
    return b"".join(data[start:end] for start, end in items.extents.get(item, []))


def _size(items: _Items, item: int) -> tuple[int, int]:
    for content in items.of(item, b"ispe"):
        width, height = _numbers(">4xII", content)
        return width, height
    raise PictureError("corrupt", "a HEIF picture without a size")


def _alphas(items: _Items, item: int) -> list[int]:
    """The items that are the alpha channel of an item."""
    helpers = [start for kind, start, ends in items.references if kind == b"auxl" and item in ends]
    return [
        helper
        for helper in helpers
        if any(content[4:].startswith(_ALPHA) for content in items.of(helper, b"auxC"))
    ]


def _turned(items: _Items, item: int, width: int, height: int) -> tuple[int, int]:
    """The size of a picture once it is cropped and turned."""
    for kind, content in items.all_of(item):
        if kind == b"irot" and _numbers(">B", content)[0] & 1:
            width, height = height, width
        elif kind == b"clap":
            across, over, down, under = _numbers(">4I", content)
            if not over or not under:
                raise PictureError("corrupt", "a HEIF with a crop of no size")
            width, height = min(width, across // over), min(height, down // under)
    return width, height


def _orientation(items: _Items, item: int) -> int:
    corners = (0, 1, 2, 3)
    for kind, content in items.all_of(item):
        if kind == b"clap":
            raise PictureError("unsupported", "an AVIF with a crop; convert it to JPEG")
        if kind in {b"irot", b"imir"}:
            (value,) = _numbers(">B", content)
            steps = [_LEFT_TURN] * (value & 3) if kind == b"irot" else [_MIRRORS[value & 1]]
            for step in steps:
                upper, right, lower, last = (corners[at] for at in step)
                corners = (upper, right, lower, last)
    return _ORIENTATIONS[corners]


def _exif(data: bytes, items: _Items) -> bytes:
    """The first Exif block; empty where there is none."""
    for item, kind in items.kinds.items():
        content = _content(data, items, item) if kind == b"Exif" else b""
        if len(content) >= 4:
            (offset,) = struct.unpack_from(">I", content)
            return content[4 + offset :]
    return b""
