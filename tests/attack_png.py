"""PNGs under attack: headers, zlib streams, filters, palettes and animation, with sound CRCs."""

from __future__ import annotations

import struct
import zlib
from random import Random

import malformed
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
    put,
    resized,
    small_side,
)
from malformed import PNG_MAGIC, png_of_chunks

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type."""

_PASSES = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2),
           (0, 1, 1, 2))  # fmt: skip
_NAMES = (b"acTL", b"fcTL", b"fdAT", b"IDAT", b"PLTE", b"tRNS", b"IHDR", b"IEND", b"tEXt", b"QQQQ")


def seeds() -> dict[str, bytes]:
    """Draw a PNG of every colour type and depth, plain and interlaced, and animated ones."""
    drawn = {}
    for kind, depths in _DEPTHS.items():
        for depth in depths:
            drawn[f"png {kind} {depth}"] = _random(kind, depth, 19, 13, interlaced=False)
            drawn[f"png {kind} {depth} interlaced"] = _random(kind, depth, 13, 19, interlaced=True)
    animated = malformed.valid_pictures()["png animated"]
    photo = malformed.encode(".png", malformed.noise(40, 60))
    return drawn | {"png animated": animated, "png photo": photo}


def _random(kind: int, depth: int, width: int, height: int, *, interlaced: bool) -> bytes:
    """Write a PNG of random samples under random filters: whatever they are, it is valid."""
    rng = Random(f"{kind} {depth} {interlaced}")
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    raw = rows(rng, width, height, depth * SAMPLES[kind], interlaced=interlaced)
    chunks = [(b"IHDR", header)]
    if kind == 3:
        chunks.append((b"PLTE", rng.randbytes(3 * 2**depth)))
    if kind not in {4, 6}:
        length = {0: 2, 2: 6, 3: 2**depth}[kind]
        chunks.append((b"tRNS", bytes(length) if kind == 0 else rng.randbytes(length)))
    return png_of_chunks([*chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")])


def rows(rng: Random, width: int, height: int, bits: int, *, interlaced: bool) -> bytes:
    """Draw filter bytes and samples of all rows, of all seven passes if interlaced."""
    parts = []
    for left, across, top, down in _PASSES if interlaced else ((0, 1, 0, 1),):
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and lines > 0:
            length = (columns * bits + 7) // 8
            parts += [bytes([rng.randrange(5)]) + rng.randbytes(length) for _ in range(lines)]
    return b"".join(parts)


def parse(data: bytes) -> Chunks:
    """Take a PNG apart, as far as it makes sense."""
    chunks, position = [], len(PNG_MAGIC)
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        chunks.append(
            (data[position + 4 : position + 8], data[position + 8 : position + 8 + length])
        )
        position += 12 + length
    return chunks


def boundaries(data: bytes) -> list[int]:
    """Find where the parts of chunks begin and end."""
    places, position = [len(PNG_MAGIC)], len(PNG_MAGIC)
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        places += [position + 4, position + 8, position + 8 + length, position + 12 + length]
        position += 12 + length
    return [place for place in places if place <= len(data)]


def _stream(chunks: Chunks) -> bytes:
    return b"".join(content for name, content in chunks if name == b"IDAT")


def _replace_stream(chunks: Chunks, stream: bytes) -> None:
    at = next((i for i, (name, _) in enumerate(chunks) if name == b"IDAT"), len(chunks))
    chunks[:] = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    chunks.insert(min(at, len(chunks)), (b"IDAT", stream))


def _inflated(chunks: Chunks) -> bytes:
    try:
        return zlib.decompressobj().decompress(_stream(chunks), 2**20)
    except zlib.error:
        return bytes(500)


def _header(chunks: Chunks, at: int, content: bytes) -> None:
    if chunks:
        chunks[0] = (chunks[0][0], put(chunks[0][1], at, content))


def header_fields(chunks: Chunks, rng: Random) -> None:
    """Depths, colour types, methods and interlacing that contradict the data or each other."""
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(8, 13)
        value = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 16, odd_byte(rng)))
        _header(chunks, at, bytes([value]))


def sixteen_bits(chunks: Chunks, rng: Random) -> None:
    """Sixteen bits a sample over what data there is."""
    _header(chunks, 8, bytes([16, rng.choice((0, 2, 3, 4, 6))]))


def size(chunks: Chunks, rng: Random) -> None:
    """A size that the data does not have."""
    _header(chunks, 0, struct.pack(">II", small_side(rng), small_side(rng)))


def interlaced_tiny(chunks: Chunks, rng: Random) -> None:
    """Interlaced pictures of a few pixels, in which whole passes are empty."""
    width, height = rng.randrange(1, 10), rng.randrange(1, 10)
    kind = rng.choice((0, 2, 3, 4, 6))
    depth = rng.choice(_DEPTHS[kind])
    _header(chunks, 0, struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 1))
    raw = rows(rng, width, height, depth * SAMPLES[kind], interlaced=True)
    _replace_stream(chunks, zlib.compress(raw[: rng.choice((None, None, len(raw) // 2))]))


def zlib_head(chunks: Chunks, rng: Random) -> None:
    """Windows too small or too large, a preset dictionary, another method; with a sound check."""
    stream = _stream(chunks)
    first = rng.choice((0x08, 0x18, 0x48, 0x78, 0x88, 0xF8, 0x79, 0x70))
    second = rng.choice((0, 0x20, 0xC0, 0xE0))
    second += (31 - (first * 256 + second) % 31) % 31
    dictionary = rng.randbytes(4) if rng.random() < 0.5 else b""
    _replace_stream(chunks, bytes([first, second]) + dictionary + stream[2:])


def zlib_early_end(chunks: Chunks, rng: Random) -> None:
    """A whole stream of too few rows."""
    raw = _inflated(chunks)
    _replace_stream(chunks, zlib.compress(raw[: rng.randrange(len(raw) + 1)]))


def zlib_too_much(chunks: Chunks, rng: Random) -> None:
    """A stream of more rows than there are, by a byte or by far."""
    tail = rng.choice((b"\0", rng.randbytes(50), bytes(20_000), bytes(1_000_000)))
    _replace_stream(chunks, zlib.compress(_inflated(chunks) + tail))


def zlib_checksum(chunks: Chunks, rng: Random) -> None:
    """A stream with a wrong or no checksum, or cut short of its last block."""
    stream = _stream(chunks)
    cut = stream[: max(0, len(stream) - rng.choice((1, 2, 4, 5, 9)))]
    _replace_stream(chunks, cut + rng.choice((b"", b"\0\0\0\0", b"\xff\xff\xff\xff")))


def zlib_damage(chunks: Chunks, rng: Random) -> None:
    """A damaged stream, in its Huffman tables or further on."""
    _replace_stream(chunks, damaged(_stream(chunks), rng, rng.choice((8, 40, None))))


def zlib_stored(chunks: Chunks, rng: Random) -> None:
    """Stored blocks whose lengths lie, many empty ones, and blocks of no known kind."""
    raw = _inflated(chunks)[:60_000]
    length = rng.choice((len(raw), len(raw), 0, 65535, len(raw) + 1))
    check = rng.choice((length ^ 0xFFFF, length ^ 0xFFFF, 0))
    block = bytes([1]) + struct.pack("<HH", length, check) + raw
    empty = b"\0\0\0\xff\xff" * rng.choice((0, 3, 2000))
    body = rng.choice((empty + block, bytes([7]) + raw, bytes([5, 0, 0]) + raw))
    _replace_stream(chunks, b"\x78\x01" + body + struct.pack(">I", zlib.adler32(raw)))


def zlib_two_streams(chunks: Chunks, rng: Random) -> None:
    """Rows split over two streams, or one stream and rubbish behind it."""
    raw = _inflated(chunks)
    cut = rng.randrange(len(raw) + 1)
    rest = rng.choice((zlib.compress(raw[cut:]), rng.randbytes(40)))
    _replace_stream(chunks, zlib.compress(raw[:cut]) + rest)


def filters(chunks: Chunks, rng: Random) -> None:
    """Filter bytes beyond the five there are."""
    raw = bytearray(_inflated(chunks))
    for _ in range(rng.randrange(1, 9)):
        if raw:
            step = rng.choice((1, 3, 4, 9, 14, 58))
            raw[rng.randrange(len(raw)) // step * step] = rng.choice((5, 6, 127, 128, 255))
    _replace_stream(chunks, zlib.compress(bytes(raw)))


def samples(chunks: Chunks, rng: Random) -> None:
    """Other samples, so that palette indices go out of range."""
    raw = _inflated(chunks)
    _replace_stream(chunks, zlib.compress(rng.choice((b"\x04", b"\x00")) + rng.randbytes(len(raw))))


def palette(chunks: Chunks, rng: Random) -> None:
    """Palettes missing, short, too long, of broken triples, or where there should be none."""
    kept = [chunk for chunk in chunks if chunk[0] != b"PLTE"]
    length = rng.choice((0, 1, 2, 3, 4, 6, 9, 255, 765, 768, 769, 771, 3000))
    if rng.random() < 0.8:
        kept.insert(rng.randrange(1, 3) if len(kept) > 2 else 0, (b"PLTE", rng.randbytes(length)))
    chunks[:] = kept


def transparency(chunks: Chunks, rng: Random) -> None:
    """A tRNS chunk of any length for any colour type, in any place."""
    kept = [chunk for chunk in chunks if chunk[0] != b"tRNS"]
    length = rng.choice((0, 1, 2, 3, 5, 6, 7, 16, 255, 256, 257, 1000))
    kept.insert(rng.randrange(len(kept) + 1), (b"tRNS", rng.randbytes(length)))
    if kept and rng.random() < 0.5:
        _header(kept, 9, bytes([rng.choice((0, 2, 3, 4, 6))]))
    chunks[:] = kept


def idat_split(chunks: Chunks, rng: Random) -> None:
    """The stream in pieces of a byte or a few, with empty ones or others in between."""
    stream, step = _stream(chunks)[:4000], rng.choice((1, 1, 2, 7, 100))
    between = rng.choice(([], [(b"IDAT", b"")] * 3, [(b"tEXt", b"a\0b")]))
    at = next((i for i, (name, _) in enumerate(chunks) if name == b"IDAT"), 0)
    pieces: Chunks = []
    for start in range(0, len(stream), step):
        pieces += [(b"IDAT", stream[start : start + step]), *between]
    rest = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    chunks[:] = rest[:at] + pieces + rest[at:]


def idat_empty(chunks: Chunks, rng: Random) -> None:
    """Many empty IDAT chunks before or after the stream, or no other."""
    empty = [(b"IDAT", b"")] * rng.choice((1, 10, 1000))
    at = next((i for i, (name, _) in enumerate(chunks) if name == b"IDAT"), 0)
    chunks[at:at] = empty
    if rng.random() < 0.3:
        chunks[:] = [chunk for chunk in chunks if chunk != (b"IDAT", _stream(chunks))]


def animation(chunks: Chunks, rng: Random) -> None:
    """Frame counts, boxes, sequence numbers and frame data that lie."""
    control = struct.pack(">II", rng.choice((0, 1, 2, odd_long(rng))), rng.choice((0, 1)))
    sides = [rng.choice((0, 1, 13, 19, odd_long(rng))) for _ in range(4)]
    frame = struct.pack(">5I", odd_long(rng), *sides) + struct.pack(
        ">HHBB", odd_byte(rng), odd_byte(rng), rng.randrange(4), rng.randrange(3)
    )
    data = struct.pack(">I", odd_long(rng)) + rng.choice((b"", _stream(chunks), rng.randbytes(30)))
    added = [(b"acTL", control), (b"fcTL", frame), (b"fdAT", data), (b"fdAT", data[:3])]
    for name, content in rng.sample(added, rng.randrange(1, 5)):
        spoilt = resized(content, rng) if rng.random() < 0.3 else content
        chunks.insert(rng.randrange(len(chunks) + 1), (name, spoilt))


def extras(chunks: Chunks, rng: Random) -> None:
    """Gammas of zero, profiles that inflate without end, Exif traps, senseless metadata."""
    bomb = zlib.compress(bytes(1_000_000))
    name, content = rng.choice((
        (b"gAMA", struct.pack(">I", odd_long(rng))), (b"cHRM", bytes(32)), (b"sBIT", b"\0\xff"),
        (b"iCCP", b"p\0\0" + bomb), (b"zTXt", b"t\0\0" + bomb), (b"iTXt", b"t\0\1\0\0\0" + bomb),
        (b"eXIf", exif_trap(rng)), (b"hIST", bytes(9)), (b"bKGD", rng.randbytes(7)),
        (b"pHYs", rng.randbytes(9)), (b"tIME", rng.randbytes(7)), (b"sPLT", rng.randbytes(40)),
        (b"CgBI", bytes(4)),
    ))  # fmt: skip
    chunks.insert(rng.randrange(len(chunks) + 1), (name, content))


def chunks_moved(chunks: Chunks, rng: Random) -> None:
    """Chunks lost, repeated, swapped or renamed."""
    move_chunks(chunks, rng, _NAMES)


def length_lies(data: bytes, rng: Random) -> bytes:
    """A chunk that claims another length, up to the largest number there is."""
    starts = [place - 4 for place in boundaries(data) if data[place : place + 4] in _NAMES]
    if not starts:
        return data
    lie = rng.choice((0, 1, 12, 14, len(data), 2**31 - 1, 2**31, 2**32 - 1, odd_long(rng)))
    return put(data, rng.choice(starts), struct.pack(">I", lie))


def checksum_lies(data: bytes, rng: Random) -> bytes:
    """A chunk with a wrong CRC."""
    chunks = boundaries(data)[3::4]
    return put(data, rng.choice(chunks), rng.randbytes(4)) if chunks else data


MUTATIONS: dict[str, Mutation] = {
    change.__name__: on_parts(parse, change, png_of_chunks)
    for change in (
        header_fields, sixteen_bits, size, interlaced_tiny, zlib_head, zlib_early_end,
        zlib_too_much, zlib_checksum, zlib_damage, zlib_stored, zlib_two_streams, filters, samples,
        palette, transparency, idat_split, idat_empty, animation, extras, chunks_moved,
        chunks_resized,
    )
} | {change.__name__: change for change in (length_lies, checksum_lies)}  # fmt: skip
