"""BMPs under attack: headers of every length, masks, palettes and run lengths."""

from __future__ import annotations

import struct
from random import Random

import malformed
from attack_bits import Mutation, damaged, odd_byte, odd_long, odd_word, put, resized, small_side

_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_DEPTHS = (1, 4, 8, 16, 24, 32)
_OFFSET, _HEADER, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS = 10, 14, 18, 22, 28, 30, 46
_MASKS = 54
_FIXED = 14


def seeds() -> dict[str, bytes]:
    """Draw a BMP of every depth, header and compression."""
    rng = Random("bmp")
    drawn = {}
    for bits in _DEPTHS:
        body = rng.randbytes((19 * bits + 31) // 32 * 4 * 13)
        for header in (40, 108, 124) if bits > 8 else (12, 40, 64):
            drawn[f"bmp {bits} {header}"] = written(19, 13, bits, body, header=header)
    body = rng.randbytes(32 * 8 * 4)
    return drawn | {
        "bmp from the top": written(19, -13, 24, rng.randbytes(60 * 13)),
        "bmp 565": written(16, 8, 16, body, compression=3, masks=(0xF800, 0x07E0, 0x001F)),
        "bmp 8888": written(
            16, 8, 32, body, compression=3, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000), header=56
        ),
        "bmp rle8": written(19, 13, 8, runs(rng, 19, 13, 8), compression=1),
        "bmp rle4": written(19, 13, 4, runs(rng, 19, 13, 4), compression=2),
        "bmp photo": malformed.encode(".bmp", malformed.noise(30, 40)),
    }


def written(
    width: int,
    height: int,
    bits: int,
    body: bytes,
    *,
    header: int = 40,
    compression: int = 0,
    masks: tuple[int, ...] = (),
) -> bytes:
    """Write a BMP with a header of a given length; a palette of random colours up to 8 bits."""
    entry = 3 if header == 12 else 4
    palette = Random(bits).randbytes(entry * 2**bits) if bits <= 8 else b""
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        sizes = (header, width, height, 1, bits, compression, len(body), 0, 0, 0, 0)
        info = struct.pack("<IiiHHIIiiII", *sizes)
        info += struct.pack(f"<{len(masks)}I", *masks)
        info = info.ljust(header, b"\0")
    offset = _FIXED + len(info) + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset)
    return head + info + palette + body


def runs(rng: Random, width: int, height: int, bits: int) -> bytes:
    """Write sound run lengths: runs, literals and ends of lines, to the end of the picture."""
    rows = b""
    for _ in range(height):
        left = width
        while left:
            length = rng.randrange(1, left + 1)
            if length > 2 and rng.random() < 0.5:
                literal = rng.randbytes(-(-length * bits // 8))
                rows += bytes([0, length]) + literal + bytes(len(literal) % 2)
            else:
                rows += bytes([length, rng.randrange(256)])
            left -= length
        rows += b"\0\0"
    return rows + b"\0\1"


def boundaries(data: bytes) -> list[int]:
    """Find where header, palette and rows begin."""
    offset, header = struct.unpack_from("<II", data.ljust(18, b"\0"), _OFFSET)
    places = [2, 14, 18, 26, 54, _FIXED + header, offset, offset + 1, len(data)]
    return sorted({place for place in places if place <= len(data)})


def header_size(data: bytes, rng: Random) -> bytes:
    """A header that claims another length than it has."""
    return put(data, _HEADER, struct.pack("<I", rng.choice((*_HEADERS, *_HEADERS, odd_long(rng)))))


def depth(data: bytes, rng: Random) -> bytes:
    """Another depth over the same rows, with or without run lengths or masks."""
    spoilt = put(data, _BITS, struct.pack("<H", rng.choice((*_DEPTHS, 0, 2, 15, odd_word(rng)))))
    return compression(spoilt, rng) if rng.random() < 0.5 else spoilt


def compression(data: bytes, rng: Random) -> bytes:
    """Another compression over the same rows."""
    return put(data, _COMPRESSION, struct.pack("<I", rng.choice((0, 1, 2, 3, 4, 5, 6, 11, 13))))


def masks(data: bytes, rng: Random) -> bytes:
    """Bit masks of nothing, of everything, overlapping, with gaps, beyond the depth."""
    values = (0, 1, 0xFF, 0xFF00, 0xF800, 0x7FFF, 0x80000001, 0xFFFFFFFF, odd_long(rng))
    chosen = struct.pack("<4I", *(rng.choice(values) for _ in range(4)))
    spoilt = put(data, _MASKS, chosen[: rng.choice((12, 16))])
    spoilt = put(spoilt, _COMPRESSION, struct.pack("<I", rng.choice((3, 3, 6))))
    return put(spoilt, _BITS, struct.pack("<H", rng.choice((16, 32, 24))))


def sides(data: bytes, rng: Random) -> bytes:
    """A size that the rows do not have; negative and extreme ones."""
    extreme = (-1, -5, 0, 2**31 - 1, -(2**31), -(2**31) + 1)
    pair = [small_side(rng) * rng.choice((1, 1, -1)) for _ in range(2)]
    if rng.random() < 0.2:
        pair[rng.randrange(2)] = rng.choice(extreme)
    return put(data, _WIDTH, struct.pack("<ii", *pair))


def palette_count(data: bytes, rng: Random) -> bytes:
    """A palette of more or fewer colours than there are."""
    count = rng.choice((0, 1, 2, 15, 16, 17, 255, 256, 257, 1024, odd_long(rng)))
    return put(data, _COLOURS, struct.pack("<I", count))


def palette_short(data: bytes, rng: Random) -> bytes:
    """A palette of a few bytes, or of the rows' own bytes."""
    offset, header = struct.unpack_from("<II", data.ljust(18, b"\0"), _OFFSET)
    start = min(_FIXED + header, len(data))
    if rng.random() < 0.5:
        return put(data, _OFFSET, struct.pack("<I", start))
    kept = data[:start] + data[start : start + rng.choice((0, 1, 4, 8))] + data[offset:]
    return put(kept, _OFFSET, struct.pack("<I", max(0, len(kept) - (len(data) - offset))))


def offset(data: bytes, rng: Random) -> bytes:
    """Rows that begin within the header, at the end or past it."""
    places = (0, 1, 14, 18, 54, 55, len(data), len(data) - 1, len(data) - 64, 2**31, odd_long(rng))
    return put(data, _OFFSET, struct.pack("<I", max(0, rng.choice(places))))


def counts(data: bytes, rng: Random) -> bytes:
    """Planes, image size and file size that lie."""
    if rng.random() < 0.3:
        return put(data, 26, struct.pack("<H", odd_word(rng)))
    return put(data, rng.choice((2, 34)), struct.pack("<I", odd_long(rng)))


def run_lengths(data: bytes, rng: Random) -> bytes:
    """Runs, literals, deltas and escapes that leave the picture, in 4 or 8 bits."""
    tokens = b""
    for _ in range(rng.choice((1, 3, 20, 200))):
        literal = rng.randrange(3, 256)
        tokens += rng.choice((
            bytes([rng.randrange(1, 256), odd_byte(rng)]), b"\0\0", b"\0\1",
            bytes([0, 2, odd_byte(rng), odd_byte(rng)]), b"\0\2\xff\xff", b"\xff\x07",
            bytes([0, literal]) + rng.randbytes(literal), bytes([0, literal]),
        ))  # fmt: skip
    bits, kind = rng.choice(((8, 1), (4, 2)))
    height = rng.choice((1, 7, 60)) * rng.choice((1, 1, 1, -1))
    body = tokens + rng.choice((b"", b"\0\1", b"\0"))
    return written(small_side(rng), height, bits, body, compression=kind)


def run_damage(data: bytes, rng: Random) -> bytes:
    """Rows or runs with bytes changed or of another length."""
    start = min(struct.unpack_from("<I", data.ljust(14, b"\0"), _OFFSET)[0], len(data))
    rows = data[start:]
    return data[:start] + (damaged(rows, rng) if rng.random() < 0.7 else resized(rows, rng))


def core_header(data: bytes, rng: Random) -> bytes:
    """The oldest header, with palettes of three bytes and sizes of 16 bits."""
    bits = rng.choice((*_DEPTHS, 2, 0))
    width, height = small_side(rng), rng.choice((1, 5, 13, 65535, 32768))
    body = data[54:] or b"\0" * 9
    if rng.random() < 0.6:
        height, body = 5, rng.randbytes((width * bits + 31) // 32 * 4 * 5)
    return written(width, height, min(bits, 32), body, header=12)


MUTATIONS: dict[str, Mutation] = {
    change.__name__: change
    for change in (
        header_size, depth, compression, masks, sides, palette_count, palette_short, offset,
        counts, run_lengths, run_damage, core_header,
    )
}  # fmt: skip
