"""TIFFs under attack: directories, strips, tiles, compressions and samples that lie."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import malformed
import numpy as np
import tiffs
from attack_bits import (
    Mutation,
    damaged,
    exif_trap,
    odd_byte,
    odd_long,
    odd_word,
    on_parts,
    packed,
    put,
    resized,
    small_side,
)
from PIL import Image
from tiffs import CMYK, GREY, PALETTE, RGB, WHITE, tiff

_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322,
         323, 324, 325, 330, 338, 339, 347, 512, 513, 529, 530, 532, 700, 33421, 34665, 34675,
         50706)  # fmt: skip
_STARTS, _LENGTHS = (273, 324), (279, 325)


def seeds() -> dict[str, bytes]:
    """Draw a TIFF of every depth, kind of colours, compression and layout."""
    rng = np.random.default_rng(0)
    photo = malformed.noise(21, 30)
    deep = rng.integers(0, 65536, (13, 19, 3)).astype(np.uint16)
    veiled = np.concatenate([photo, rng.integers(0, 256, (21, 30, 1), np.uint8)], axis=2)
    drawn = {
        f"grey {bits}": tiff(rng.integers(0, 2**bits, (13, 19)).astype(np.uint8), GREY, bits=bits)
        for bits in (1, 2, 4, 8)
    } | {
        f"palette {bits}": tiff(
            rng.integers(0, 2**bits, (13, 19)).astype(np.uint8), PALETTE, bits=bits,
            palette=[257 * (37 * at % 256) for at in range(3 * 2**bits)],
        )
        for bits in (1, 4, 8)
    }  # fmt: skip
    drawn |= {
        "white": tiff(photo[..., 0], WHITE),
        "16": tiff(deep, RGB, rows=4),
        "16 white": tiff(deep[..., 0], WHITE, order=">"),
        "16 alpha": tiff(np.dstack([deep, deep[..., :1]]), RGB, extra=2),
        "16 deflate": tiff(deep, RGB, compression=8, predictor=2, rows=5, order=">"),
        "rgb": tiff(photo, rows=8),
        "big": tiff(photo, rows=8, big=True),
        "planes": tiff(photo, rows=8, planes=True, order=">"),
        "alpha": tiff(veiled, extra=2),
        "premultiplied": tiff(veiled, extra=1, compression=8),
        "grey alpha": tiff(veiled[..., 2:], GREY, extra=2),
        "cmyk": tiff(veiled, CMYK),
        "turned": tiff(photo, orientation=6),
        "tiles": tiffs.written(
            {256: (4, [30]), 257: (4, [21]), 258: (3, [8] * 3), 259: (3, [1]), 262: (3, [2]),
             277: (3, [3]), 322: (4, [16]), 323: (4, [16])},
            [bytes([level]) * 768 for level in (10, 90, 160, 250)], tiled=True,
        ),
    }  # fmt: skip
    for name in ("tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate"):
        drawn[name] = _by_pillow(Image.fromarray(photo), name)
    for name in ("group3", "group4", "tiff_ccitt"):
        drawn[name] = _by_pillow(Image.fromarray(photo).convert("1"), name)
    return {f"tiff {name}": data for name, data in drawn.items()}


def _by_pillow(image: Image.Image, compression: str) -> bytes:
    written = io.BytesIO()
    image.save(written, "TIFF", compression=compression)
    return written.getvalue()


@dataclass
class Entry:
    """A field of a directory: its number, kind, count, and four or eight bytes of value."""

    tag: int
    kind: int
    count: int
    value: bytes


@dataclass
class Directory:
    """A TIFF with its first directory taken out; the bytes around it stay where they are."""

    data: bytes
    order: str
    big: bool
    entries: list[Entry] = field(default_factory=list)
    following: int = 0

    @property
    def number(self) -> str:
        """Layout of a place."""
        return "Q" if self.big else "I"

    def written(self) -> bytes:
        """Write the directory behind everything else."""
        order, number = self.order, self.number
        body = struct.pack(order + ("Q" if self.big else "H"), len(self.entries) & 0xFFFF)
        for entry in self.entries:
            body += struct.pack(order + "HH", entry.tag & 0xFFFF, entry.kind & 0xFFFF)
            body += struct.pack(order + number, entry.count & 0xFFFFFFFF)
            room = 8 if self.big else 4
            body += entry.value[:room].ljust(room, b"\0")
        body += struct.pack(order + number, self.following & 0xFFFFFFFF)
        lead = struct.pack(order + number, len(self.data))
        return put(self.data, 8 if self.big else 4, lead) + body

    def of(self, tags: tuple[int, ...]) -> list[Entry]:
        """List the fields with some of these numbers."""
        return [entry for entry in self.entries if entry.tag in tags]

    def strips(self) -> list[tuple[int, int]]:
        """Find where strips or tiles begin and end."""
        starts, lengths = ([n for e in self.of(tags) for n in self._numbers(e)]
                           for tags in (_STARTS, _LENGTHS))  # fmt: skip
        return list(zip(starts, lengths, strict=False))

    def _numbers(self, entry: Entry) -> list[int]:
        size = {3: "H", 4: "I"}.get(entry.kind)
        if size is None or entry.count > 10_000:
            return []
        length = struct.calcsize(size) * entry.count
        raw = entry.value
        if length > len(raw):
            (at,) = struct.unpack(self.order + self.number, raw)
            raw = self.data[at : at + length]
        count = min(entry.count, len(raw) // struct.calcsize(size))
        return list(struct.unpack_from(f"{self.order}{count}{size}", raw))


def parse(data: bytes) -> Directory:
    """Take the first directory out, as far as it makes sense."""
    order = ">" if data[:1] == b"M" else "<"
    big = data[2:4] in {b"+\0", b"\0+"}
    parts = Directory(data, order, big)
    layout, room, size = ("Q", 8, 20) if big else ("H", 4, 12)
    padded = data + bytes(32)
    (start,) = struct.unpack_from(order + parts.number, padded, 8 if big else 4)
    if start + 8 > len(data):
        return parts
    (count,) = struct.unpack_from(order + layout, padded, start)
    first = start + struct.calcsize("=" + layout)
    for at in range(first, first + size * min(count, 100), size):
        if at + size > len(data):
            break
        tag, kind, number = struct.unpack_from(order + "HH" + parts.number, data, at)
        parts.entries.append(Entry(tag, kind, number, data[at + size - room : at + size]))
    return parts


def boundaries(data: bytes) -> list[int]:
    """Find where the header, strips and the directory begin and end."""
    parts = parse(data)
    places = [2, 4, 8, 16]
    for start, length in parts.strips():
        places += [start, start + length]
    return sorted({place for place in places if place <= len(data)})


def _set(parts: Directory, tag: int, value: int, kind: int = 3) -> None:
    raw = struct.pack(parts.order + ("H" if kind == 3 else "I"), value % 2 ** (16 * (kind - 2)))
    parts.entries = [entry for entry in parts.entries if entry.tag != tag]
    parts.entries.append(Entry(tag, kind, 1, raw))
    parts.entries.sort(key=lambda entry: entry.tag)


def field_values(parts: Directory, rng: Random) -> None:
    """A field of another value."""
    if parts.entries:
        entry = rng.choice(parts.entries)
        layout = "I" if entry.kind == 4 else "H"
        value = rng.choice((0, 1, 2, 3, 4, 5, 8, 16, 32, odd_word(rng)))
        entry.value = struct.pack(parts.order + layout, value)


def field_kinds(parts: Directory, rng: Random) -> None:
    """Fields that hold texts, floats or nothing known where numbers belong."""
    if parts.entries:
        rng.choice(parts.entries).kind = rng.choice((0, 1, 2, 3, 4, 5, 7, 11, 12, 13, 16, 255))


def field_counts(parts: Directory, rng: Random) -> None:
    """Fields of no values, of a few, or of billions."""
    if parts.entries:
        rng.choice(parts.entries).count = rng.choice((0, 1, 2, 3, 4, 255, 65536, odd_long(rng)))


def field_places(parts: Directory, rng: Random) -> None:
    """Values that are elsewhere: in the header, in the directory, past the end."""
    if parts.entries:
        at = rng.choice((0, 4, 8, len(parts.data), len(parts.data) + 20, odd_long(rng)))
        rng.choice(parts.entries).value = struct.pack(parts.order + parts.number, at)


def fields_moved(parts: Directory, rng: Random) -> None:
    """Fields lost, repeated, renumbered or in another order."""
    if not parts.entries:
        return
    kind, at = rng.randrange(4), rng.randrange(len(parts.entries))
    if kind == 0:
        del parts.entries[at]
    elif kind == 1:
        parts.entries[at:at] = [parts.entries[at]] * rng.choice((1, 2, 300))
    elif kind == 2:
        parts.entries[at].tag = rng.choice(_TAGS)
    else:
        rng.shuffle(parts.entries)


def fields_added(parts: Directory, rng: Random) -> None:
    """Fields of other layouts: tiles beside strips, tables without JPEG, private ones."""
    tag, kind = rng.choice(_TAGS), rng.choice((1, 2, 3, 4, 5, 7))
    value = struct.pack(parts.order + parts.number, rng.choice((1, 8, 16, odd_long(rng))))
    parts.entries.append(Entry(tag, kind, rng.choice((1, 1, 4, 64, odd_long(rng))), value))
    parts.entries.sort(key=lambda entry: entry.tag)


def sides(parts: Directory, rng: Random) -> None:
    """A size that the strips do not have."""
    value = rng.choice((small_side(rng), 0, 19_999, 20_001, 2**31, odd_long(rng)))
    _set(parts, rng.choice((256, 257)), value, 4)


def strip_rows(parts: Directory, rng: Random) -> None:
    """Strips of more or fewer rows than they hold, or tiles of odd sides."""
    tag = rng.choice((278, 278, 322, 323))
    _set(parts, tag, rng.choice((0, 1, 2, 7, 15, 16, 17, 1024, odd_long(rng))), 4)


def strip_places(parts: Directory, rng: Random) -> None:
    """Strips over each other, in the header, past the end, or of odd lengths."""
    for entry in parts.of(rng.choice((_STARTS, _LENGTHS))):
        value = rng.choice((0, 4, 8, 1, 100, len(parts.data) - 1, odd_long(rng)))
        raw = struct.pack(parts.order + "I", value)
        if entry.count * (2 if entry.kind == 3 else 4) <= len(entry.value):
            entry.value = raw
        else:
            (at,) = struct.unpack(parts.order + parts.number, entry.value)
            parts.data = put(parts.data, at + 4 * rng.randrange(min(entry.count, 10)), raw)


def compressions(parts: Directory, rng: Random) -> None:
    """Another compression over the same strips."""
    known = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 32809, 34676, 34712, 34925, 50000, 50001)
    _set(parts, 259, rng.choice((*known, odd_word(rng))))


def colours(parts: Directory, rng: Random) -> None:
    """Another kind of colours, or another number of samples, over the same strips."""
    tag = rng.choice((262, 262, 277, 284, 338))
    _set(parts, tag, rng.choice((0, 1, 2, 3, 4, 5, 6, 8, 9, 32803, 32844, odd_word(rng))))


def depths(parts: Directory, rng: Random) -> None:
    """Samples of other depths, formats, predictors and orders of bits."""
    tag = rng.choice((258, 258, 339, 317, 266))
    _set(parts, tag, rng.choice((0, 1, 2, 3, 4, 8, 12, 16, 24, 32, 64, odd_word(rng))))


def orientations(parts: Directory, rng: Random) -> None:
    """Orientations of every number, and of none."""
    _set(parts, 274, rng.choice((*range(10), odd_word(rng))))


def loops(parts: Directory, rng: Random) -> None:
    """Directories that follow themselves, and Exif that leads in circles or into a trap."""
    parts.following = rng.choice((0, 8, len(parts.data), len(parts.data) + 2, odd_long(rng)))
    if rng.random() < 0.5:
        parts.data += exif_trap(rng)
    tag = rng.choice((34665, 330, 34853, 40965))
    _set(parts, tag, rng.choice((8, len(parts.data), odd_long(rng))), 4)


def _on_strip(parts: Directory, rng: Random, change: Callable[[bytes], bytes]) -> None:
    strips = [strip for strip in parts.strips() if strip[0] + strip[1] <= len(parts.data)]
    if strips:
        start, length = rng.choice(strips)
        changed = change(parts.data[start : start + length])
        parts.data = put(parts.data, start, changed[:length].ljust(length, b"\0"))


def strip_damage(parts: Directory, rng: Random) -> None:
    """Strips with bytes changed."""
    _on_strip(parts, rng, lambda strip: damaged(strip, rng))


def strip_length(parts: Directory, rng: Random) -> None:
    """Strips that end early, in zeros or in what was there."""
    _on_strip(parts, rng, lambda strip: resized(strip, rng))


def codes_invented(parts: Directory, rng: Random) -> None:
    """LZW, PackBits and fax codes of chance."""
    codes = [(256, 9)] * (rng.random() < 0.7)
    codes += [
        (rng.choice((257, 258, 300, 255, rng.getrandbits(12))), rng.choice((9, 12)))
        for _ in range(rng.choice((5, 50, 600)))
    ]
    stream = packed(codes, first_low=False) if rng.random() < 0.7 else rng.randbytes(300)
    _on_strip(parts, rng, lambda _: stream)
    if rng.random() < 0.5:
        _set(parts, 259, rng.choice((2, 3, 4, 5, 8, 32773)))


def head(data: bytes, rng: Random) -> bytes:
    """Another byte order, version or place of the directory."""
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"IIRO")) + data[4:]
    if kind == 1:
        return put(data, 4, struct.pack("<I", rng.choice((0, 1, 7, 8, len(data), odd_long(rng)))))
    return put(data, rng.randrange(16), bytes([odd_byte(rng)]))


MUTATIONS: dict[str, Mutation] = {
    change.__name__: on_parts(parse, change, Directory.written)
    for change in (
        field_values, field_kinds, field_counts, field_places, fields_moved, fields_added, sides,
        strip_rows, strip_places, compressions, colours, depths, orientations, loops, strip_damage,
        strip_length, codes_invented,
    )
} | {"head": head}  # fmt: skip
