"""WebPs under attack: both bit streams, alpha, the canvas and nested frames, with sound sizes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

import cv2
import malformed
import numpy as np
from attack_bits import (
    Chunks,
    Mutation,
    chunks_resized,
    damaged,
    exif_trap,
    move_chunks,
    odd_byte,
    odd_long,
    on_parts,
    packed,
    put,
)
from malformed import riff

_STREAMS = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")
_NAMES = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ", b"QQQQ")


def seeds() -> dict[str, bytes]:
    """Draw a WebP of every kind: lossy, lossless, with alpha, with Exif, animated."""
    photo, tiny = malformed.noise(37, 53, 3), malformed.noise(3, 5, 4)
    quality = cv2.IMWRITE_WEBP_QUALITY
    veil = np.linspace(0, 255, 37 * 53).reshape(37, 53, 1).astype(np.uint8)
    veiled = np.concatenate([photo, veil], axis=2)
    flat = malformed.quarters(16, 24)
    lossless = malformed.encode(".webp", photo, quality, 101)
    return {
        "webp lossy": malformed.encode(".webp", photo, quality, 80),
        "webp lossy poor": malformed.encode(".webp", photo, quality, 1),
        "webp lossy tiny": malformed.encode(".webp", tiny, quality, 80),
        "webp lossless": lossless,
        "webp lossless palette": malformed.encode(".webp", flat, quality, 101),
        "webp lossless tiny": malformed.encode(".webp", tiny, quality, 101),
        "webp lossless alpha": malformed.encode(".webp", veiled, quality, 101),
        "webp lossy alpha": malformed.encode(".webp", veiled, quality, 70),
        "webp exif": malformed.webp_with_exif(lossless, 53, 37, malformed.exif(6)),
        "webp animated": malformed.animated_webp([veiled, veiled[::-1].copy()]),
        "webp animated lossy": _animated_lossy(veiled),
    }


def _animated_lossy(frame: malformed.Pixels) -> bytes:
    still = malformed.encode(".webp", frame, cv2.IMWRITE_WEBP_QUALITY, 60)
    parts = [chunk for chunk in parse(still) if chunk[0] in {b"ALPH", b"VP8 "}]
    height, width = frame.shape[:2]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = bytes(6) + sides + b"\x64\0\0\0" + b"".join(_framed(*part) for part in parts)
    canvas = malformed.webp_canvas(width, height, 0x12)
    return riff(canvas, (b"ANIM", bytes(6)), (b"ANMF", body), (b"ANMF", body))


def _framed(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def parse(data: bytes, start: int = 12) -> Chunks:
    """Take a WebP, or the inside of a frame, apart, as far as it makes sense."""
    chunks, position = [], start
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        chunks.append((data[position : position + 4], data[position + 8 : position + 8 + length]))
        position += 8 + length + length % 2
    return chunks


def boundaries(data: bytes) -> list[int]:
    """Find where the parts of chunks begin and end."""
    places, position = [4, 8, 12], 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        places += [position + 4, position + 8, position + 8 + length]
        position += 8 + length + length % 2
    return [place for place in places if place <= len(data)]


def _inside(chunks: Chunks, rng: Random, change: Callable[[Chunks], None]) -> None:
    """Change the chunks, or those inside one of their frames."""
    frames = [at for at, (name, _) in enumerate(chunks) if name == b"ANMF"]
    if not frames:
        change(chunks)
        return
    at = rng.choice(frames)
    content = chunks[at][1]
    inner = parse(content, 16)
    change(inner)
    chunks[at] = (b"ANMF", content[:16] + b"".join(_framed(*chunk) for chunk in inner))


def _alter(chunks: Chunks, rng: Random, name: bytes, change: Callable[[bytes], bytes]) -> None:
    """Change the content of a chunk of this name, at the top or inside a frame."""

    def within(inner: Chunks) -> None:
        for at, (found, content) in enumerate(inner):
            if found == name:
                inner[at] = (name, change(content))

    _inside(chunks, rng, within)


def vp8_head(chunks: Chunks, rng: Random) -> None:
    """Frame tags: versions, invisible or dependent frames, the size of the first partition."""

    def change(content: bytes) -> bytes:
        tag = int.from_bytes(content[:3], "little")
        first = rng.choice((tag >> 5, 0, 1, len(content), len(content) - 10, 2**19 - 1))
        lied = (first & 0x7FFFF) << 5 | rng.choice((tag & 31, rng.randrange(32)))
        return lied.to_bytes(3, "little") + content[3:]

    _alter(chunks, rng, b"VP8 ", change)


def vp8_sides(chunks: Chunks, rng: Random) -> None:
    """A size, or scaling bits, that the data does not have."""
    sides = struct.pack("<HH", *(rng.choice((0, 1, 16, 17, 60, 0x4001, 0xC035)) for _ in "wh"))
    _alter(chunks, rng, b"VP8 ", lambda content: put(content, 6, sides))


def vp8_control(chunks: Chunks, rng: Random) -> None:
    """The first partition's head: segments, loop filter, count of partitions, quantisers."""
    _alter(chunks, rng, b"VP8 ", lambda content: content[:10] + damaged(content[10:], rng, 20))


def vp8_partitions(chunks: Chunks, rng: Random) -> None:
    """Partition sizes behind the first partition, and data cut short within them."""

    def change(content: bytes) -> bytes:
        first = 10 + (int.from_bytes(content[:3], "little") >> 5)
        if rng.random() < 0.5:
            return put(content, first, rng.randbytes(rng.choice((3, 9, 21))))
        return content[: rng.randrange(len(content) + 1)]

    _alter(chunks, rng, b"VP8 ", change)


def vp8l_head(chunks: Chunks, rng: Random) -> None:
    """Signature, size, alpha hint and version of a lossless stream."""

    def change(content: bytes) -> bytes:
        sides = [rng.choice((0, 1, 15, 36, 52, 63)) for _ in "wh"]
        signature = rng.choice((0x2F, 0x2F, 0x2F, 0x2E, 0))
        version = rng.choice((0, 0, 0, 1, 7))
        head = [(signature, 8), *((side, 14) for side in sides), (rng.randrange(2), 1)]
        return packed([*head, (version, 3)]) + content[5:]

    _alter(chunks, rng, b"VP8L", change)


def vp8l_bits(chunks: Chunks, rng: Random) -> None:
    """Transforms, colour caches and prefix codes, by bits near the head of the stream."""
    _alter(chunks, rng, b"VP8L", lambda content: content[:5] + damaged(content[5:], rng, 40))


def vp8l_invented(chunks: Chunks, rng: Random) -> None:
    """A stream written anew: random transforms, caches and prefix codes in valid syntax."""

    def change(content: bytes) -> bytes:
        bits = packed([*_transforms(rng), *_entropy(rng, top=True)])
        return content[:5] + bits + rng.randbytes(rng.choice((0, 20, 400)))

    _alter(chunks, rng, b"VP8L", change)


def _transforms(rng: Random) -> list[tuple[int, int]]:
    codes: list[tuple[int, int]] = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4, 5))):
        kind = rng.randrange(4)
        codes += [(1, 1), (kind, 2)]
        if kind < 2:
            codes += [(rng.randrange(8), 3), *_entropy(rng)]
        elif kind == 3:
            codes += [(rng.choice((0, 1, 3, 15, 16, 255)), 8), *_entropy(rng)]
    return [*codes, (0, 1)]


def _entropy(rng: Random, *, top: bool = False) -> list[tuple[int, int]]:
    """Write a colour cache, the flag of meta prefix codes and five prefix codes."""
    codes = [(1, 1), (rng.randrange(16), 4)] if rng.random() < 0.4 else [(0, 1)]
    if top:
        codes.append((int(rng.random() < 0.2), 1))
    for _ in range(5):
        codes += _prefix_code(rng)
    return codes


def _prefix_code(rng: Random) -> list[tuple[int, int]]:
    if rng.random() < 0.7:  # simple: one or two symbols
        two, wide = rng.randrange(2), rng.randrange(2)
        codes = [(1, 1), (two, 1), (wide, 1), (rng.randrange(256), 8 if wide else 1)]
        return [*codes, (rng.randrange(256), 8)] if two else codes
    count = rng.randrange(16)
    codes = [(0, 1), (count, 4), *((rng.choice((0, 1, 2, 3, 7)), 3) for _ in range(count + 4))]
    if rng.random() < 0.5:
        return [*codes, (0, 1)]
    bits = rng.randrange(8)
    return [*codes, (1, 1), (bits, 3), (rng.randrange(2 ** (2 + 2 * bits)), 2 + 2 * bits)]


def stream_damage(chunks: Chunks, rng: Random) -> None:
    """Any stream with bytes changed, at the head or further on."""
    at = [i for i, (name, _) in enumerate(chunks) if name in _STREAMS]
    if at:
        chosen = rng.choice(at)
        name, content = chunks[chosen]
        chunks[chosen] = (name, damaged(content, rng, rng.choice((30, None))))


def alpha_head(chunks: Chunks, rng: Random) -> None:
    """Alpha filters, pre-processing and compression that the data does not have."""
    _alter(chunks, rng, b"ALPH", lambda content: bytes([odd_byte(rng)]) + content[1:])


def alpha_invented(chunks: Chunks, rng: Random) -> None:
    """Alpha from an invented lossless stream, raw samples, or none, put beside any picture."""
    raw = rng.randbytes(rng.choice((0, 1, 100, 37 * 53, 4000)))
    stream = packed([*_transforms(rng), *_entropy(rng, top=True)]) + rng.randbytes(60)
    filtered = rng.randrange(4) << 2
    body = rng.choice((bytes([filtered]) + raw, bytes([filtered | 1]) + stream, b""))

    def change(inner: Chunks) -> None:
        kept = [chunk for chunk in inner if chunk[0] != b"ALPH"]
        at = next((i for i, (name, _) in enumerate(kept) if name == b"VP8 "), len(kept))
        kept.insert(at if rng.random() < 0.9 else rng.randrange(len(kept) + 1), (b"ALPH", body))
        inner[:] = kept

    _inside(chunks, rng, change)


def flags(chunks: Chunks, rng: Random) -> None:
    """Feature flags for what is not there, or none for what is."""
    if chunks and chunks[0][0] == b"VP8X":
        flag = rng.choice((0, 2, 0x10, 0x12, 0x3E, odd_byte(rng)))
        chunks[0] = (b"VP8X", bytes([flag]) + chunks[0][1][1:])
    else:
        chunks.insert(0, malformed.webp_canvas(53, 37, odd_byte(rng)))


def canvas(chunks: Chunks, rng: Random) -> None:
    """A canvas that is not the picture's size."""
    kept = [chunk for chunk in chunks if chunk[0] != b"VP8X"]
    sides = [rng.choice((1, 36, 52, 53, 54, 300)) for _ in "wh"]
    animated = any(name == b"ANMF" for name, _ in chunks)
    flag = 0x12 if animated else 0x10
    chunks[:] = [malformed.webp_canvas(sides[0], sides[1], flag), *kept]


def frames(chunks: Chunks, rng: Random) -> None:
    """Frames outside the canvas, of another size than their picture, or cut within their head."""
    at = [i for i, (name, _) in enumerate(chunks) if name == b"ANMF"]
    if at:
        chosen = rng.choice(at)
        content = chunks[chosen][1]
        field = rng.choice((0, 3, 6, 9))
        value = rng.choice((0, 1, 36, 52, 53, 255, 2**24 - 1)).to_bytes(3, "little")
        altered = put(content, field, value) if rng.random() < 0.8 else content[:14]
        chunks[chosen] = (b"ANMF", altered)


def frames_many(chunks: Chunks, rng: Random) -> None:
    """Hundreds of frames, or none."""
    found = [chunk for chunk in chunks if chunk[0] == b"ANMF"]
    if found and rng.random() < 0.7:
        chunks.extend([rng.choice(found)] * rng.choice((1, 20, 200)))
    else:
        chunks[:] = [chunk for chunk in chunks if chunk[0] != b"ANMF"]


def frames_nested(chunks: Chunks, rng: Random) -> None:
    """Frames inside frames, canvases inside frames, and inner lengths that lie."""

    def change(inner: Chunks) -> None:
        name, content = rng.choice(inner) if inner else (b"VP8L", b"")
        nested = (b"ANMF", bytes(16) + _framed(name, content))
        added = rng.choice((nested, malformed.webp_canvas(9, 9, 0x12), (name, content[:7])))
        inner.insert(rng.randrange(len(inner) + 1), added)

    _inside(chunks, rng, change)


def metadata(chunks: Chunks, rng: Random) -> None:
    """Exif traps, profiles and unknown chunks in odd places."""
    body = rng.choice((exif_trap(rng), b"Exif\0\0" + exif_trap(rng), rng.randbytes(50), b""))
    name = rng.choice((b"EXIF", b"EXIF", b"XMP ", b"ICCP", b"QQQQ"))
    chunks.insert(rng.randrange(len(chunks) + 1), (name, body))


def chunks_moved(chunks: Chunks, rng: Random) -> None:
    """Chunks lost, repeated, swapped or renamed."""
    move_chunks(chunks, rng, _NAMES)


def length_lies(data: bytes, rng: Random) -> bytes:
    """A chunk, or the whole file, that claims another length."""
    starts = [place - 4 for place in boundaries(data) if data[place - 8 : place - 4] in _NAMES]
    whole = max(20, len(data))
    lie = rng.choice((0, 1, 2, 9, whole - 8, whole - 20, 2**31, 2**32 - 1, odd_long(rng)))
    return put(data, rng.choice([4, *starts]), struct.pack("<I", lie))


MUTATIONS: dict[str, Mutation] = {
    change.__name__: on_parts(parse, change, lambda chunks: riff(*chunks))
    for change in (
        vp8_head, vp8_sides, vp8_control, vp8_partitions, vp8l_head, vp8l_bits, vp8l_invented,
        stream_damage, alpha_head, alpha_invented, flags, canvas, frames, frames_many,
        frames_nested, metadata, chunks_moved, chunks_resized,
    )
} | {"length_lies": length_lies}  # fmt: skip
