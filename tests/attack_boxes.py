"""HEICs and AVIFs under attack: boxes, items, grids, turns and bit streams that lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import heifs
import malformed
import numpy as np
from attack_bits import (
    Mutation,
    damaged,
    exif_trap,
    odd_byte,
    odd_long,
    odd_word,
    on_parts,
    put,
    resized,
)

_HEADS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iref": 4, b"iinf": 6, b"moov": 0}
_KINDS = (b"ftyp", b"meta", b"mdat", b"idat", b"pitm", b"iloc", b"iinf", b"iprp", b"ipco", b"ipma",
          b"iref", b"ispe", b"irot", b"imir", b"clap", b"pixi", b"colr", b"hvcC", b"av1C", b"auxC",
          b"moov", b"free", b"uuid", b"grpl", b"dinf")  # fmt: skip
_ITEMS = (b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"Exif", b"mime", b"jpeg", b"tmap", b"unci")
_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"miaf", b"isom", b"crx ")


@dataclass
class Box:
    """A box: its kind, what stands before its boxes if it holds any, and these, or its content."""

    kind: bytes
    content: bytes
    boxes: list[Box] | None = None

    def written(self) -> bytes:
        """Frame it."""
        inner = b"".join(box.written() for box in self.boxes or [])
        return struct.pack(">I", (8 + len(self.content) + len(inner)) % 2**32) + (
            self.kind + self.content + inner
        )

    def every(self) -> Iterator[Box]:
        """Give it, and all that are inside."""
        yield self
        for box in self.boxes or []:
            yield from box.every()


@dataclass
class File:
    """A file in boxes, and where its data began."""

    boxes: list[Box]
    data_at: int

    def every(self) -> list[Box]:
        """List all boxes at all depths."""
        return [inner for box in self.boxes for inner in box.every()]

    def of(self, kind: bytes) -> list[Box]:
        """List the boxes of a kind."""
        return [box for box in self.every() if box.kind == kind]


def seeds(kind: str) -> dict[str, bytes]:
    """Draw pictures of one codec: whole and in tiles, with alpha, turned, cropped, with Exif."""
    encode = heifs.heic if kind == "heic" else heifs.avif
    photo = malformed.noise(40, 56)
    veil = np.linspace(0, 255, 40 * 56).reshape(40, 56, 1).astype(np.uint8)
    deep = photo.astype(np.uint16) * 4
    tiles = [heifs.coded(encode(malformed.noise(64, 64, seed))) for seed in range(4)]
    whole = heifs.coded(encode(malformed.noise(64, 72)))
    drawn = {
        "": encode(photo),
        "grey": encode(photo[..., 0].copy()),
        "alpha": encode(np.concatenate([photo, veil], axis=2)),
        "10 bits": encode(deep, bits=10),
        "12 bits": encode(deep * 4, bits=12),
        "flat": encode(malformed.quarters(64, 64)),
        "pixel": encode(photo[:16, :16].copy()),
        "grid": heifs.muxed(tiles, grid=(2, 2), size=(120, 100)),
        "grid of one": heifs.muxed(tiles[:1] * 6, grid=(3, 2)),
        "turned": heifs.muxed([whole], changes=[heifs.turned(1), heifs.mirrored(0)]),
        "exif": heifs.muxed([whole], exif=malformed.camera_exif()),
        "sequence brand": heifs.muxed([whole], brand=b"msf1", behind=heifs.box(b"moov", bytes(20))),
    }
    if kind == "heic":
        crop = heifs.cropped(40, 30, (-8, 1), (5, 1))
        drawn["cropped"] = heifs.muxed([whole], changes=[crop])
        drawn["420"] = heifs.heic(photo, chroma="420", quality=50, matrix_coefficients=6)
    else:
        drawn["420"] = heifs.avif(photo, quality=50)
    return {f"{kind} {name}".strip(): data for name, data in drawn.items()}


def parse(data: bytes) -> File:
    """Take a file apart, as far as it makes sense."""
    boxes = heifs.boxes(data)
    at = next((start for kind, start, _ in boxes if kind == b"mdat"), 0)
    return File(_taken(data, 0, len(data)), at)


def _taken(data: bytes, start: int, end: int) -> list[Box]:
    found = []
    for kind, first, last in heifs.boxes(data, start, end):
        head = _HEADS.get(kind)
        if head is None or first + head > last:
            found.append(Box(kind, data[first:last]))
        else:
            found.append(Box(kind, data[first : first + head], _taken(data, first + head, last)))
    return found


def assemble(parts: File) -> bytes:
    """Put a file together; places move with the data, where their layout is that of the seeds."""
    at = 0
    for box in parts.boxes:
        if box.kind == b"mdat":
            break
        at += len(box.written())
    for box in parts.of(b"iloc"):
        box.content = _moved(box.content, at + 8 - parts.data_at)
    parts.data_at = at + 8
    return b"".join(box.written() for box in parts.boxes)


def _moved(places: bytes, by: int) -> bytes:
    if not by or len(places) < 8 or places[0] > 1 or places[4] != 0x44:
        return places
    with_base, position = places[5] >> 4 == 4, 8
    for _ in range(int.from_bytes(places[6:8], "big")):
        position += 4 + 2 * places[0]
        at = position if with_base else position + 2
        if at + 12 > len(places) + (0 if with_base else 4):
            break
        value = int.from_bytes(places[at : at + 4], "big")
        places = put(places, at, struct.pack(">I", (value + by) % 2**32))
        position += (4 if with_base else 0) + 2 + 8
    return places


def boundaries(data: bytes) -> list[int]:
    """Find where boxes begin and end, two levels deep."""
    places = []
    for kind, start, end in heifs.boxes(data):
        places += [start - 8, start - 4, start, end]
        if kind == b"meta":
            for _, first, last in heifs.boxes(data, start + 4, end):
                places += [first - 8, first, last]
    return sorted({place for place in places if place <= len(data)})


def _content(parts: File, rng: Random, *kinds: bytes) -> Box:
    found = [box for kind in kinds for box in parts.of(kind)]
    return rng.choice(found) if found else Box(b"free", b"")


def box_kinds(parts: File, rng: Random) -> None:
    """A box under another name."""
    every = parts.every()
    if every:
        rng.choice(every).kind = rng.choice(_KINDS)


def boxes_moved(parts: File, rng: Random) -> None:
    """Boxes lost, repeated, often, or in another order."""
    lists = [parts.boxes, *(box.boxes for box in parts.every() if box.boxes)]
    boxes = rng.choice([found for found in lists if found] or [[Box(b"free", b"")]])
    kind, at = rng.randrange(3), rng.randrange(len(boxes))
    if kind == 0:
        del boxes[at]
    elif kind == 1:
        boxes[at:at] = [boxes[at]] * rng.choice((1, 1, 2, 300))
    else:
        rng.shuffle(boxes)


def boxes_resized(parts: File, rng: Random) -> None:
    """Contents shorter or longer than what they should hold."""
    box = rng.choice(parts.every() or [Box(b"free", b"")])
    box.content = resized(box.content, rng)


def boxes_nested(parts: File, rng: Random) -> None:
    """A box deep within others."""
    box = Box(b"meta", bytes(4), list(parts.boxes))
    for _ in range(rng.choice((1, 5, 300))):
        box = Box(rng.choice((b"meta", b"iprp", b"ipco")), bytes(rng.choice((0, 4))), [box])
    parts.boxes.insert(rng.randrange(len(parts.boxes) + 1), box)


def sizes(parts: File, rng: Random) -> None:
    """Sizes that the bit stream or the grid do not have."""
    values = (0, 1, 2, 16, 40, 55, 56, 57, 64, 120, 128, 257, 20_001, odd_long(rng))
    box = _content(parts, rng, b"ispe")
    box.content = struct.pack(">4xII", rng.choice(values), rng.choice(values))


def changes(parts: File, rng: Random) -> None:
    """Crops, turns and mirrors added: of nothing, beyond the picture, by fractions of zero."""
    numbers = (0, 1, 2, 3, 8, 40, 64, 2**31, 2**32 - 1, odd_long(rng))
    content = rng.choice((
        bytes([odd_byte(rng)]), b"", struct.pack(">8I", *(rng.choice(numbers) for _ in range(8))),
    ))  # fmt: skip
    for box in parts.of(b"ipco"):
        box.boxes = [*(box.boxes or []), Box(rng.choice((b"irot", b"imir", b"clap")), content)]
        count = len(box.boxes)
        for belonging in parts.of(b"ipma"):
            body = belonging.content
            if len(body) > 10 and not body[0] and count < 128:
                own = body[10] + 1
                more = body[:10] + bytes([own & 255]) + body[11 : 10 + own] + bytes([count | 128])
                belonging.content = more + body[10 + own :]


def belonging(parts: File, rng: Random) -> None:
    """Properties given to other items, beyond their list, many times over."""
    box = _content(parts, rng, b"ipma")
    box.content = damaged(box.content, rng) if rng.random() < 0.8 else resized(box.content, rng)


def references(parts: File, rng: Random) -> None:
    """Tiles, alpha and thumbnails that are others, themselves, or each other."""
    box = _content(parts, rng, b"dimg", b"auxl", b"cdsc", b"iref")
    kind = rng.randrange(3)
    if kind == 0:
        box.content = damaged(box.content, rng)
    elif kind == 1:
        box.kind = rng.choice((b"dimg", b"auxl", b"thmb", b"prem", b"base", b"cdsc"))
    else:
        ends = [rng.randrange(8) for _ in range(rng.choice((1, 2, 4, 6, 200)))]
        link = struct.pack(f">HH{len(ends)}H", rng.randrange(1, 4), len(ends), *ends)
        added = Box(rng.choice((b"dimg", b"auxl", b"prem")), link)
        for meta in parts.of(b"meta"):
            meta.boxes = [*(meta.boxes or []), Box(b"iref", bytes(4), [added])]


def places(parts: File, rng: Random) -> None:
    """Items outside the file, over each other, in other layouts, or of no bytes."""
    box = _content(parts, rng, b"iloc")
    kind = rng.randrange(4)
    if kind == 0:
        box.content = put(box.content, rng.choice((0, 4, 5, 6, 7)), bytes([odd_byte(rng)]))
    elif kind == 1:
        at = rng.randrange(8, max(9, len(box.content)))
        box.content = put(box.content, at, struct.pack(">I", odd_long(rng)))
    elif kind == 2:
        box.content = damaged(box.content, rng)
    else:
        box.content = resized(box.content, rng)


def items(parts: File, rng: Random) -> None:
    """Items of other kinds, and another primary picture."""
    if rng.random() < 0.4:
        _content(parts, rng, b"pitm").content = struct.pack(">IH", 0, rng.randrange(6))
        return
    box = _content(parts, rng, b"infe")
    box.content = put(box.content, 8, rng.choice(_ITEMS))
    if rng.random() < 0.3:
        box.content = put(box.content, 4, struct.pack(">H", odd_word(rng)))


def grids(parts: File, rng: Random) -> None:
    """Grids of other rows and columns, or of another size."""
    for box in parts.of(b"mdat"):
        at = max(0, len(box.content) - 12)
        if box.content[at : at + 1] == b"\0":
            field = rng.choice((0, 1, 2, 3, 4, 8))
            content = bytes([odd_byte(rng)]) if field < 4 else struct.pack(">I", odd_long(rng))
            box.content = put(box.content, at + field, content)
    if rng.random() < 0.5:
        _content(parts, rng, b"infe").content = struct.pack(">4BHH4sx", 2, 0, 0, 0, 1, 0, b"grid")


def configurations(parts: File, rng: Random) -> None:
    """Parameter sets and sequence headers, of other sizes, depths and chroma."""
    box = _content(parts, rng, b"hvcC", b"av1C")
    box.content = damaged(box.content, rng) if rng.random() < 0.8 else resized(box.content, rng)


def colours(parts: File, rng: Random) -> None:
    """Colour boxes of odd matrices, ranges and profiles; depths that are others."""
    box = _content(parts, rng, b"colr", b"pixi", b"auxC")
    if rng.random() < 0.5:
        box.content = damaged(box.content, rng)
    else:
        numbers = struct.pack(">3HB", *(rng.choice((0, 1, 2, 8, 9, 14, 65535)) for _ in "abc"), 128)
        box.kind, box.content = b"colr", b"nclx" + numbers


def stream_head(parts: File, rng: Random) -> None:
    """The first bytes of a bit stream: its slices' or its tiles' headers."""
    for box in parts.of(b"mdat"):
        box.content = damaged(box.content, rng, 40)


def stream_damage(parts: File, rng: Random) -> None:
    """Bit streams with bytes changed anywhere."""
    for box in parts.of(b"mdat"):
        for _ in range(rng.choice((1, 4))):
            box.content = damaged(box.content, rng)


def stream_length(parts: File, rng: Random) -> None:
    """Bit streams cut short, emptied, repeated or with noise behind."""
    for box in parts.of(b"mdat"):
        box.content = resized(box.content, rng)


def exif_block(parts: File, rng: Random) -> None:
    """An Exif block full of traps where the bit streams end."""
    for box in parts.of(b"mdat"):
        trap = struct.pack(">I", rng.choice((0, 6, odd_long(rng)))) + exif_trap(rng)
        box.content = box.content[: max(0, len(box.content) - len(trap))] + trap
    if rng.random() < 0.3:
        box = _content(parts, rng, b"infe")
        box.content = put(box.content, 8, b"Exif")


def brands(parts: File, rng: Random) -> None:
    """Brands of other formats, of none, or very many."""
    box = _content(parts, rng, b"ftyp")
    count = rng.choice((0, 1, 2, 3, 200))
    box.content = b"".join(rng.choice(_BRANDS) for _ in range(count))


def box_lengths(data: bytes, rng: Random) -> bytes:
    """Lengths that lie: zero, one (a long one follows), or beyond what holds them."""
    parts = [*heifs.boxes(data)]
    for kind, start, end in list(parts):
        if kind in _HEADS:
            parts += heifs.boxes(data, start + _HEADS[kind], end)
    if not parts:
        return data
    at = rng.choice(parts)[1] - 8
    return put(data, at, struct.pack(">I", rng.choice((0, 1, 7, 8, 9, odd_long(rng)))))


MUTATIONS: dict[str, Mutation] = {
    change.__name__: on_parts(parse, change, assemble)
    for change in (
        box_kinds, boxes_moved, boxes_resized, boxes_nested, sizes, changes, belonging, references,
        places, items, grids, configurations, colours, stream_head, stream_damage, stream_length,
        exif_block, brands,
    )
} | {"box_lengths": box_lengths}  # fmt: skip
