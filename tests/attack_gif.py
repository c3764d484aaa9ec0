"""GIFs under attack: LZW streams, frame boxes, palettes and extensions, in sound blocks."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from random import Random

import cv2
import malformed
from attack_bits import (
    Mutation,
    damaged,
    odd_byte,
    odd_word,
    on_parts,
    packed,
    put,
    resized,
    small_side,
)


@dataclass
class Block:
    """A frame (head, local palette, code size, data) or an extension (head, data)."""

    head: bytes
    data: bytes
    size: bytes = b""

    def written(self) -> bytes:
        """Frame it, its data in sub-blocks of 255 bytes."""
        return self.head + self.size + sub_blocks(self.data)


@dataclass
class Gif:
    """A GIF in parts."""

    head: bytes
    palette: bytes
    blocks: list[Block] = field(default_factory=list)

    def frames(self) -> list[Block]:
        """List the frames, without the extensions."""
        return [block for block in self.blocks if block.head[:1] == b"\x2c"]


def sub_blocks(data: bytes, step: int = 255) -> bytes:
    """Cut data into sub-blocks and end them."""
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"


def seeds() -> dict[str, bytes]:
    """Draw GIFs: of one frame and of several, transparent, interlaced, with a local palette."""
    still = malformed.still_gif(24, 16)
    boxes = [((0, 0, 6, 4), [0, 1, 2, 3] * 6), ((1, 1, 2, 2), [3, 2, 1, 0])]
    parts = parse(still)
    frame = parts.frames()[0]
    frame.head = put(frame.head, 9, b"\x40")
    interlaced = assemble(parts)
    frame.head = put(frame.head, 9, b"\x81") + bytes(range(12))
    return {
        "gif": still,
        "gif photo": malformed.encode(".gif", cv2.resize(malformed.noise(30, 40), (40, 30))),
        "gif animated": malformed.gif(boxes, screen=(6, 4)),
        "gif transparent": malformed.gif(boxes, screen=(7, 5), transparent=2, background=1),
        "gif interlaced": interlaced,
        "gif local palette": assemble(parts),
        "gif pixel": malformed.gif([((0, 0, 1, 1), [3])], screen=(1, 1)),
    }


def parse(data: bytes) -> Gif:
    """Take a GIF apart, as far as it makes sense."""
    length = _palette_length(data[10:11])
    parts = Gif(data[:13], data[13 : 13 + length])
    position = 13 + length
    while position < len(data) and data[position] in {0x21, 0x2C}:
        head = data[position : position + 2]
        if head[:1] == b"\x2c":
            local = _palette_length(data[position + 9 : position + 10])
            head = data[position : position + 10 + local]
        position += len(head)
        size = data[position : position + 1] if head[:1] == b"\x2c" else b""
        content, position = _joined(data, position + len(size))
        parts.blocks.append(Block(head, content, size))
    return parts


def _palette_length(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _joined(data: bytes, position: int) -> tuple[bytes, int]:
    content = b""
    while position < len(data) and (length := data[position]):
        content += data[position + 1 : position + 1 + length]
        position += 1 + length
    return content, position + 1


def assemble(parts: Gif) -> bytes:
    """Put a GIF together, trailer included."""
    blocks = b"".join(block.written() for block in parts.blocks)
    return parts.head + parts.palette + blocks + b"\x3b"


def boundaries(data: bytes) -> list[int]:
    """Find where blocks begin and end."""
    parts = parse(data)
    places = [6, 13, 13 + len(parts.palette)]
    for block in parts.blocks:
        start = places[-1]
        places += [start + len(block.head), start + len(block.head + block.size)]
        places.append(start + len(block.written()))
    return [place for place in places if place <= len(data)]


def _frame(parts: Gif, rng: Random) -> Block:
    frames = parts.frames()
    return rng.choice(frames) if frames else Block(bytes(10), b"", b"\x02")


def code_size(parts: Gif, rng: Random) -> None:
    """LZW code sizes from 0 to beyond what there is."""
    _frame(parts, rng).size = bytes([rng.choice((*range(13), 255))])


def codes_invented(parts: Gif, rng: Random) -> None:
    """LZW codes of chance: beyond the table, before the first clear, after the end."""
    frame = _frame(parts, rng)
    start = rng.choice((2, 2, 3, 4, 8, 11))
    frame.size = bytes([start])
    codes = [(1 << start, start + 1)] if rng.random() < 0.7 else []
    for _ in range(rng.choice((1, 5, 50, 600))):
        width = start + 1 if rng.random() < 0.9 else rng.randrange(1, 13)
        codes.append((rng.choice(((1 << start) + 2, (1 << start) - 1, rng.getrandbits(12))), width))
    frame.data = packed(codes)


def codes_without_clear(parts: Gif, rng: Random) -> None:
    """A table that is never cleared: codes grow to 12 bits and past the last entry."""
    frame = _frame(parts, rng)
    codes, following, width = [(4, 3)], 5, 3
    for _ in range(rng.choice((40, 1000, 5000))):
        codes.append((rng.randrange(4), width))
        following += 1
        width = max(width, min(12, following.bit_length()))
    frame.size, frame.data = b"\x02", packed(codes)


def codes_expanding(parts: Gif, rng: Random) -> None:
    """Codes that each name the entry to come, so that a few bytes make long runs."""
    frame = _frame(parts, rng)
    codes, following, width = [(4, 3), (rng.randrange(4), 3)], 6, 3
    for _ in range(rng.choice((10, 300, 4000))):
        codes.append((following, width))
        following += 1
        width = max(width, min(12, following.bit_length()))
    frame.size, frame.data = b"\x02", packed(codes)


def codes_damage(parts: Gif, rng: Random) -> None:
    """LZW data with bytes changed."""
    frame = _frame(parts, rng)
    frame.data = damaged(frame.data, rng)


def codes_length(parts: Gif, rng: Random) -> None:
    """LZW data too short, too long, or none."""
    frame = _frame(parts, rng)
    frame.data = resized(frame.data, rng)


def frame_box(parts: Gif, rng: Random) -> None:
    """Frames outside the screen, without area, or larger than their data."""
    frame = _frame(parts, rng)
    values = (0, 1, 2, 6, 24, 48, odd_word(rng))
    box = struct.pack("<4H", *(rng.choice(values) for _ in range(4)))
    at = rng.randrange(4)
    frame.head = put(frame.head, 1 + 2 * at, box[: 2 * rng.randrange(1, 5 - at)])


def frame_flags(parts: Gif, rng: Random) -> None:
    """Interlacing, and local palettes that are there or not."""
    frame = _frame(parts, rng)
    frame.head = put(frame.head, 9, bytes([rng.choice((0, 0x40, 0x80, 0x87, 0xC1, odd_byte(rng)))]))
    if rng.random() < 0.3:
        frame.head = frame.head[:10] + rng.randbytes(rng.choice((3, 6, 12, 768)))


def screen(parts: Gif, rng: Random) -> None:
    """Another screen than the frames fit."""
    parts.head = put(parts.head, 6, struct.pack("<HH", small_side(rng), small_side(rng)))


def screen_flags(parts: Gif, rng: Random) -> None:
    """Global palettes that are there or not, backgrounds beyond them, odd versions."""
    kind = rng.randrange(4)
    if kind == 0:
        parts.head = put(parts.head, 10, bytes([odd_byte(rng)]))
    elif kind == 1:
        parts.palette = parts.palette[: rng.randrange(len(parts.palette) + 1)]
    elif kind == 2:
        parts.head = put(parts.head, 11, bytes([odd_byte(rng)]))
    else:
        parts.head = b"GIF87a" + parts.head[6:12] + bytes([odd_byte(rng)])


def screen_without_palette(parts: Gif, rng: Random) -> None:
    """No palette at all, neither global nor local."""
    parts.head = put(parts.head, 10, bytes([rng.choice((0, 0x70))]))
    parts.palette = b""


def controls(parts: Gif, rng: Random) -> None:
    """Graphic controls: transparent indices beyond the palette, odd lengths, odd disposals."""
    body = bytes([odd_byte(rng), 0, 0, odd_byte(rng)])
    block = Block(b"\x21\xf9", resized(body, rng) if rng.random() < 0.3 else body)
    parts.blocks.insert(rng.randrange(len(parts.blocks) + 1), block)


def extensions(parts: Gif, rng: Random) -> None:
    """Comments, loops, plain text and unknown extensions, long or many."""
    kind = rng.choice((0xFE, 0xFF, 0x01, 0x00, 0xF9, 0x99))
    body = rng.choice((b"", b"NETSCAPE2.0", rng.randbytes(12), rng.randbytes(700)))
    at = rng.randrange(len(parts.blocks) + 1)
    parts.blocks[at:at] = [Block(bytes([0x21, kind]), body)] * rng.choice((1, 1, 3, 500))


def frames_many(parts: Gif, rng: Random) -> None:
    """Frames repeated by the hundred, or none."""
    if rng.random() < 0.8:
        parts.blocks.extend([_frame(parts, rng)] * rng.choice((1, 5, 300)))
    else:
        parts.blocks = [block for block in parts.blocks if block.head[:1] != b"\x2c"]


def blocks_moved(parts: Gif, rng: Random) -> None:
    """Blocks lost, repeated or in another order."""
    if parts.blocks and rng.random() < 0.5:
        del parts.blocks[rng.randrange(len(parts.blocks))]
    elif parts.blocks:
        parts.blocks.append(rng.choice(parts.blocks))
        rng.shuffle(parts.blocks)


def sub_block_lengths(data: bytes, rng: Random) -> bytes:
    """Sub-blocks of a byte each, empty ones before the end, or lengths that lie."""
    parts = parse(data)
    frames = parts.frames()
    if not frames:
        return data
    frame = rng.choice(frames)
    plain = sub_blocks(frame.data)
    lie = put(plain, 0, bytes([odd_byte(rng)]))
    spoilt = rng.choice((sub_blocks(frame.data, 1), b"\0" + plain, lie, plain[:-1]))
    head = frame.head + frame.size
    return assemble(parts).replace(head + plain, head + spoilt, 1)


def strangers(data: bytes, rng: Random) -> bytes:
    """Blocks of no known kind, zeros or trailers between blocks."""
    at = rng.choice(boundaries(data) or [0])
    stranger = rng.choice((b"\0", b"\0" * 9, b"\x3b", b"\x99", b"\x21", b"\x2c"))
    return data[:at] + stranger + data[at:]


MUTATIONS: dict[str, Mutation] = {
    change.__name__: on_parts(parse, change, assemble)
    for change in (
        code_size, codes_invented, codes_without_clear, codes_expanding, codes_damage,
        codes_length, frame_box, frame_flags, screen, screen_flags, screen_without_palette,
        controls, extensions, frames_many, blocks_moved,
    )
} | {change.__name__: change for change in (sub_block_lengths, strangers)}  # fmt: skip
