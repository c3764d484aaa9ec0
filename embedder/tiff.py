"""TIFF: the header check of its first page, and what of a file the decoder sees.

A TIFF is a directory of fields, and rows in strips or tiles anywhere in the file. Read are pages of
grey (1, 2, 4, 8 or 16 bits, from black or from white), of a palette (1 to 8 bits), of RGB (8 or 16)
and of CMYK or YCbCr (8), with alpha beside grey at 8 bits and beside RGB at both; stored as they
are, or packed by LZW, Deflate, PackBits, JPEG (8 bits) or a fax code (1 bit); BigTIFF, too. What
else there is is refused by name: floats and 32 bits, 16 bits in planes, Lab, the JPEG of TIFF 6.0
(compression 6), raw photos of cameras, which are TIFFs inside.

The decoder gets a directory written anew, of the fields that say how the pixels are stored and no
other: without orientation, so that it is applied once, and without a next page.

Layouts: TIFF 6.0 and its supplements, the BigTIFF specification.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

from catalog.descriptors.errors import PictureError
from catalog.embedder import exif
from catalog.embedder.header import DEFAULT_LIMITS, Header, Limits, check_size, unpack

MAGICS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STARTS, _SAMPLES, _ROWS, _LENGTHS, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_STARTS, _TILE_LENGTHS = 322, 323, 324, 325
_PREDICTOR, _PALETTE, _EXTRA, _SAMPLE_FORMAT = 317, 320, 338, 339
_RAW: Final = frozenset({33421, 33422, 50706})  # colour filters; DNG
_ORIENTATION: Final = 274
_KEPT: Final = frozenset({
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, 266, _STARTS, _SAMPLES, _ROWS, _LENGTHS,
    _PLANES, 292, 293, _PREDICTOR, _PALETTE, _TILE_WIDTH, _TILE_HEIGHT, _TILE_STARTS,
    _TILE_LENGTHS, _EXTRA, _SAMPLE_FORMAT, 347, 529, 530, 531, 532,
})  # fmt: skip
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _LOOKED_UP, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_DEPTHS: Final = {
    _WHITE_IS_ZERO: {1, 2, 4, 8, 16},
    _BLACK_IS_ZERO: {1, 2, 4, 8, 16},
    _RGB: {8, 16},
    _LOOKED_UP: {1, 2, 4, 8},
    _CMYK: {8},
    _YCBCR: {8},
}
_CHANNELS: Final = {
    _WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _LOOKED_UP: 1, _CMYK: 4, _YCBCR: 3,
}  # fmt: skip
_PLAIN, _FAX, _JPEG = 1, frozenset({2, 3, 4}), 7
_COMPRESSIONS: Final = {_PLAIN, *_FAX, 5, _JPEG, 8, 32773, 32946}
_THUMBNAIL: Final = 1
_CHUNKY: Final = 1
_UNSIGNED: Final = frozenset({1, 4})  # 4: not said what

Alpha = Literal["none", "ignored", "premultiplied", "straight"]
_ALPHAS: Final[dict[int, Alpha]] = {0: "ignored", 1: "premultiplied", 2: "straight"}


@dataclass(frozen=True)
class _Field:
    """A field of a directory: its number, what it holds, and where."""

    tag: int
    kind: int
    count: int
    at: int  # of the values
    entry: int  # of the field itself

    @property
    def bytes(self) -> int:
        return _SIZES.get(self.kind, 0) * self.count


@dataclass(frozen=True)
class Page:
    """How the first page of a TIFF is stored.

    Attributes:
        width: pixels per row.
        height: rows.
        bits: of a sample.
        from_white: whether zero is white.
        alpha: what the sample behind the colours is.
    """

    width: int
    height: int
    bits: int
    from_white: bool
    alpha: Alpha


class _Directory:
    """The first directory of a file."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.limits = limits
        self.order = "<" if data[:1] == b"I" else ">"
        self.big = data[:4] in {b"II+\0", b"MM\0+"}
        self.head, self.count, self.entry, self.offset = (
            (8, "Q", 20, "Q") if self.big else (4, "H", 12, "I")
        )
        (start,) = self._number(self.offset, self.head)
        if start < 8:
            raise PictureError("corrupt", "a TIFF without a directory")
        (count,) = self._number(self.count, start)
        if count > limits.max_parts:
            raise PictureError("too_large", f"a file of more than {limits.max_parts:,} parts")
        first = start + struct.calcsize("=" + self.count)
        end = (
            first + self.entry * count + struct.calcsize("=" + self.offset)
        )  # the next one's place
        if end > len(data):
            raise PictureError("truncated", "a TIFF that ends within its directory")
        self.fields: dict[int, _Field] = {}
        for at in range(first, first + self.entry * count, self.entry):
            found = self._field(at)
            self.fields.setdefault(found.tag, found)

    def _number(self, layout: str, at: int) -> tuple[int, ...]:
        return unpack(self.order + layout, self.data, at)

    def _field(self, entry: int) -> _Field:
        tag, kind, count = self._number("HH" + self.offset, entry)
        at = entry + (12 if self.big else 8)
        if _SIZES.get(kind, 0) * count > (8 if self.big else 4):
            (at,) = self._number(self.offset, at)
        return _Field(tag, kind, count, at, entry)

    def values(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The whole numbers of a field.

        Raises:
            PictureError: they are none, too many, or run past the end.
        """
        found = self.fields.get(tag)
        if found is None:
            return default
        if found.kind not in _NUMBERS or not found.count:
            raise PictureError("corrupt", f"a TIFF whose field {tag} holds no numbers")
        if found.count > self.limits.max_parts:
            raise PictureError("too_large", f"a file of more than {self.limits.max_parts:,} parts")
        return self._number(f"{found.count}{_NUMBERS[found.kind]}", found.at)

    def value(self, tag: int, default: int) -> int:
        """The first number of a field."""
        return self.values(tag, (default,))[0]


def walk(data: bytes, limits: Limits) -> Header:
    """Check size and structure of the first page of a TIFF.

    Raises:
        PictureError: ``unsupported``, ``too_large``, ``truncated`` or ``corrupt``.
    """
    directory = _Directory(data, limits)
    if directory.fields.keys() & _RAW or data[8:10] == b"CR":
        raise PictureError("unsupported", "a raw photo of a camera; convert it to JPEG")
    if directory.value(_SUBFILE, 0) & _THUMBNAIL:
        raise PictureError("unsupported", "a TIFF that begins with a thumbnail, as raw photos do")
    width, height = directory.value(_WIDTH, 0), directory.value(_HEIGHT, 0)
    check_size("tiff", width, height, limits)
    _page(directory)
    _check_places(directory, width, height)
    orientation = directory.value(_ORIENTATION, 1)
    shot = None if directory.big else exif.shot(data)
    return Header("tiff", width, height, orientation if 1 <= orientation <= 8 else 1, shot)


def page(data: bytes) -> Page:
    """How the first page of a TIFF that was walked is stored."""
    return _page(_Directory(data, DEFAULT_LIMITS))


def essence(data: bytes) -> bytes:
    """Leave a TIFF its first page, by a directory of what says how that is stored.

    Alpha is declared straight whatever it is, so that no decoder divides by it.
    """
    directory = _Directory(data, DEFAULT_LIMITS)
    order, padding = directory.order, len(data) % 2
    entries = []
    for tag, found in sorted(directory.fields.items()):
        if tag not in _KEPT:
            continue
        entry = data[found.entry : found.entry + directory.entry]
        if tag == _EXTRA and _page(directory).alpha == "premultiplied":
            head = struct.pack(order + "HH" + directory.offset, _EXTRA, 3, 1)
            entry = (head + struct.pack(order + "H", 2)).ljust(directory.entry, b"\0")
        entries.append(entry)
    written = struct.pack(order + directory.count, len(entries)) + b"".join(entries)
    written += bytes(struct.calcsize("=" + directory.offset))
    lead = struct.pack(order + directory.offset, len(data) + padding)
    head = data[: directory.head] + lead
    return head + data[len(head) :] + bytes(padding) + written


def _page(directory: _Directory) -> Page:
    photometric = directory.value(_PHOTOMETRIC, _BLACK_IS_ZERO)
    compression = directory.value(_COMPRESSION, _PLAIN)
    samples = directory.value(_SAMPLES, 1)
    if not {*directory.values(_SAMPLE_FORMAT, (1,))} <= _UNSIGNED:
        raise PictureError("unsupported", "a TIFF of floats or of numbers with a sign")
    depths = {*directory.values(_BITS, (1,))}
    bits = max(depths)
    if photometric not in _DEPTHS:
        raise PictureError("unsupported", f"a TIFF of photometric interpretation {photometric}")
    if len(depths) != 1 or bits not in _DEPTHS[photometric]:
        raise PictureError("unsupported", f"a TIFF of {bits} bits and its kind of colours")
    alpha = _alpha(directory, photometric, samples, bits)
    if compression not in _COMPRESSIONS:
        raise PictureError("unsupported", f"a TIFF of compression {compression}")
    if (compression in _FAX and bits > 1) or (compression == _JPEG and bits != 8):
        raise PictureError("unsupported", f"a TIFF of {bits} bits and compression {compression}")
    if directory.value(_PLANES, _CHUNKY) != _CHUNKY and bits > 8 and samples > 1:
        raise PictureError("unsupported", "a TIFF of 16 bits whose colours lie in planes")
    width, height = directory.value(_WIDTH, 0), directory.value(_HEIGHT, 0)
    return Page(width, height, bits, photometric == _WHITE_IS_ZERO, alpha)


def _alpha(directory: _Directory, photometric: int, samples: int, bits: int) -> Alpha:
    more = samples - _CHANNELS[photometric]
    if not more:
        return "none"
    with_alpha = photometric == _RGB or (photometric == _BLACK_IS_ZERO and bits == 8)
    if more != 1 or not with_alpha:
        raise PictureError("unsupported", f"a TIFF of {samples} samples and its kind of colours")
    return _ALPHAS.get(directory.value(_EXTRA, 0), "ignored")


def _tile(directory: _Directory, width: int, height: int) -> tuple[int, int]:
    """Width and height of a tile; tiles reach beyond the picture's edges, but not for ever."""
    across, down = directory.value(_TILE_WIDTH, 0), directory.value(_TILE_HEIGHT, 0)
    check_size("tiff", across, down, directory.limits)
    pixels = -(-width // across) * across * -(-height // down) * down
    if pixels > 2 * directory.limits.max_pixels:
        raise PictureError("too_large", f"a TIFF in tiles of {across:,} x {down:,}")
    return across, down


def _check_places(directory: _Directory, width: int, height: int) -> None:
    """Check that all strips or tiles are there."""
    planes = 1
    if directory.value(_PLANES, _CHUNKY) != _CHUNKY:
        planes = directory.value(_SAMPLES, 1)
    # One of them is enough for libtiff.
    tiled = not directory.fields.keys().isdisjoint((_TILE_WIDTH, _TILE_HEIGHT, _TILE_STARTS))
    if tiled:
        across, down = _tile(directory, width, height)
        tags = (_TILE_STARTS, _TILE_LENGTHS)
    else:
        across, down = width, min(directory.value(_ROWS, height), height)
        if not down:
            raise PictureError("corrupt", "a TIFF whose strips have no rows")
        tags = (_STARTS, _LENGTHS)
    needed = -(-width // across) * -(-height // down)
    starts, lengths = (directory.values(tag) for tag in tags)
    if len(starts) != len(lengths) or len(starts) < needed * planes:
        raise PictureError("corrupt", "a TIFF without all the strips or tiles it has")
    if any(a + b > len(directory.data) for a, b in zip(starts, lengths, strict=True)):
        raise PictureError("truncated", "a TIFF whose pixels run past its end")
    if directory.value(_COMPRESSION, _PLAIN) == _PLAIN:
        samples = directory.value(_SAMPLES, 1) // planes
        row = -(-across * samples * directory.value(_BITS, 1) // 8)
        rows = [min(down, height - top) for top in range(0, height, down)] * planes
        if tiled:
            rows = [down] * needed * planes
        if any(length < row * count for length, count in zip(lengths, rows, strict=False)):
            raise PictureError("corrupt", "a TIFF whose strips or tiles are shorter than its rows")
    kept = [found for tag, found in directory.fields.items() if tag in _KEPT]
    if any(found.at + found.bytes > len(directory.data) for found in kept):
        raise PictureError("truncated", "a TIFF whose fields run past its end")
