"""What every format is attacked with: odd numbers, bits, and damage that knows no structure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias, TypeVar

Mutation: TypeAlias = Callable[[bytes, Random], bytes]
"""Bytes of a picture and a source of chance in, spoilt bytes out; never raises."""

Chunks: TypeAlias = list[tuple[bytes, bytes]]
"""Name and content of each chunk of a PNG or a WebP."""

Parts = TypeVar("Parts")

_BYTES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 63, 64, 127, 128, 129, 191, 254, 255)
_WORDS = (0, 1, 2, 255, 256, 257, 4095, 8191, 16383, 16384, 32767, 32768, 65279, 65534, 65535)
_LONGS = (0, 1, 2, 255, 65535, 65536, 2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)


def odd_byte(rng: Random) -> int:
    """Take a byte, mostly one at which something changes."""
    return rng.choice(_BYTES) if rng.random() < 0.7 else rng.randrange(256)


def odd_word(rng: Random) -> int:
    """Take 16 bits, mostly near a power of two."""
    return rng.choice(_WORDS) if rng.random() < 0.7 else rng.randrange(2**16)


def odd_long(rng: Random) -> int:
    """Take 32 bits, mostly near a power of two."""
    return rng.choice(_LONGS) if rng.random() < 0.7 else rng.randrange(2**32)


def small_side(rng: Random) -> int:
    """Take a side in pixels that costs little to decode, now and then a long one."""
    if rng.random() < 0.97:
        return rng.choice((1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 65, 129))
    return rng.choice((255, 256, 257, 1023, 1025))


def put(data: bytes, at: int, content: bytes) -> bytes:
    """Overwrite bytes at a place, as far as there are any."""
    return data[:at] + content[: max(0, len(data) - at)] + data[at + len(content) :]


def packed(codes: list[tuple[int, int]], *, first_low: bool = True) -> bytes:
    """Pack (value, width in bits) codes into bytes, from the low bits up or the high bits down."""
    if first_low:
        total = shift = 0
        for value, width in codes:
            total |= (value & ((1 << width) - 1)) << shift
            shift += width
        return total.to_bytes(-(-shift // 8), "little")
    bits = "".join(f"{value & ((1 << width) - 1):0{width}b}" for value, width in codes if width)
    bits += "1" * (-len(bits) % 8)
    return int(bits or "0", 2).to_bytes(len(bits) // 8, "big")


def damaged(content: bytes, rng: Random, within: int | None = None) -> bytes:
    """Change a few bytes, or single bits, in the first ``within`` bytes."""
    spoilt = bytearray(content)
    reach = min(len(spoilt), within or len(spoilt))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8)) if reach else 0):
        at = rng.randrange(reach)
        spoilt[at] = odd_byte(rng) if rng.random() < 0.5 else spoilt[at] ^ 1 << rng.randrange(8)
    return bytes(spoilt)


def resized(content: bytes, rng: Random) -> bytes:
    """Cut content short, empty it, repeat it or add random bytes."""
    kind = rng.randrange(4)
    if kind == 0:
        return content[: rng.randrange(len(content) + 1)]
    if kind == 1:
        return b""
    if kind == 2:
        return content * rng.randrange(2, 4)
    return content + rng.randbytes(rng.choice((1, 2, 3, 60, 300)))


def on_parts(
    parse: Callable[[bytes], Parts],
    change: Callable[[Parts, Random], None],
    assemble: Callable[[Parts], bytes],
) -> Mutation:
    """Make a mutation of a change to the parts of a picture."""

    def mutation(data: bytes, rng: Random) -> bytes:
        parts = parse(data)
        change(parts, rng)
        return assemble(parts)

    return mutation


def move_chunks(chunks: Chunks, rng: Random, names: Sequence[bytes]) -> None:
    """Lose, repeat, swap or rename a chunk."""
    if not chunks:
        return
    first, second, kind = rng.randrange(len(chunks)), rng.randrange(len(chunks)), rng.randrange(4)
    if kind == 0:
        del chunks[first]
    elif kind == 1:
        chunks.insert(second, chunks[first])
    elif kind == 2:
        chunks[first], chunks[second] = chunks[second], chunks[first]
    else:
        chunks[first] = (rng.choice(names), chunks[first][1])


def chunks_resized(chunks: Chunks, rng: Random) -> None:
    """Chunks shorter or longer than what they should hold."""
    if chunks:
        at = rng.randrange(len(chunks))
        chunks[at] = (chunks[at][0], resized(chunks[at][1], rng))


def exif_trap(rng: Random) -> bytes:
    """Write a TIFF structure with loops, offsets past the end and counts that lie."""
    order = rng.choice("<>")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        order + "I", rng.choice((8, 8, 8, 0, 4, 7, 2**31 - 1, 2**31, 2**32 - 1, odd_long(rng)))
    )
    entries = rng.randrange(6)
    body = struct.pack(order + "H", rng.choice((entries, entries, 0, 1, 65535)))
    for _ in range(entries):
        tag = rng.choice((0x0112, 0x0112, 0x8769, 0x8825, 0xA005, 0x0201, rng.randrange(2**16)))
        kind = rng.choice((3, 3, 4, 2, 7, 0, 13, 255))
        value = rng.choice((8, 6, 10, 0x00060000, odd_long(rng)))
        body += struct.pack(order + "HHII", tag, kind, odd_long(rng), value)
    following = rng.choice((0, 8, 8, 10, odd_long(rng)))
    return head + body + struct.pack(order + "I", following) + rng.randbytes(rng.choice((0, 0, 20)))


def bytes_changed(data: bytes, rng: Random) -> bytes:
    """Change single bytes and bits anywhere."""
    return damaged(data, rng)


def bytes_lost(data: bytes, rng: Random) -> bytes:
    """Lose a run of bytes."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randrange(1, 40) :]


def bytes_repeated(data: bytes, rng: Random) -> bytes:
    """Repeat a run of bytes, sometimes many times."""
    at = rng.randrange(len(data) + 1)
    run = data[at : at + rng.randrange(1, 40)]
    return data[:at] + run * rng.choice((1, 1, 2, 50)) + data[at:]


def bytes_added(data: bytes, rng: Random) -> bytes:
    """Put random bytes in between."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randrange(1, 40)) + data[at:]


def run_of_one_value(data: bytes, rng: Random) -> bytes:
    """Overwrite a run with zeros, FFs or another value."""
    at = rng.randrange(len(data) + 1)
    return put(data, at, bytes([odd_byte(rng)]) * rng.choice((4, 16, 64, 512)))


def number_overwritten(data: bytes, rng: Random) -> bytes:
    """Overwrite two or four bytes with an odd number, in either byte order."""
    at = rng.randrange(len(data) + 1)
    order = rng.choice("<>")
    if rng.random() < 0.5:
        return put(data, at, struct.pack(order + "H", odd_word(rng)))
    return put(data, at, struct.pack(order + "I", odd_long(rng)))


def cut_anywhere(data: bytes, rng: Random) -> bytes:
    """Lose the tail."""
    return data[: rng.randrange(len(data) + 1)]


ANYWHERE: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        bytes_changed, bytes_lost, bytes_repeated, bytes_added, run_of_one_value,
        number_overwritten, cut_anywhere,
    )
}  # fmt: skip
"""Damage that needs no knowledge of the format."""
