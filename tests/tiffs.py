"""TIFFs for tests, field by field."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

GREY, WHITE, RGB, PALETTE, CMYK = 1, 0, 2, 3, 5
_LAYOUT = {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
DEFLATE = 8


def written(
    fields: Mapping[int, tuple[int, Sequence[int]]],
    strips: Sequence[bytes],
    *,
    order: str = "<",
    big: bool = False,
    tiled: bool = False,
    following: int = 0,
) -> bytes:
    """Write a TIFF from its fields (kind and values by number) and its strips or tiles."""
    number, count, room, head = ("Q", "Q", 8, 16) if big else ("I", "H", 4, 8)
    starts, data = [], b""
    for strip in strips:
        starts.append(head + len(data))
        data += strip
    data += bytes(len(data) % 2)
    places = {324 if tiled else 273: starts, 325 if tiled else 279: [len(s) for s in strips]}
    every = dict(fields) | {tag: (4, values) for tag, values in places.items()}
    at = head + len(data)
    body = struct.pack(order + count, len(every))
    base = at + len(body) + (12 + 2 * (room - 4)) * len(every) + struct.calcsize("=" + number)
    if big:
        base = at + 8 + 20 * len(every) + 8
    more = b""
    for tag, (kind, values) in sorted(every.items()):
        raw = b"".join(struct.pack(order + _LAYOUT[kind], value) for value in values)
        if len(raw) > room:
            place = struct.pack(order + number, base + len(more))
            more += raw + bytes(len(raw) % 2)
            raw = place
        body += struct.pack(order + "HH" + number, tag, kind, len(values)) + raw.ljust(room, b"\0")
    body += struct.pack(order + number, following)
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    lead = struct.pack(order + "HHQ", 8, 0, at) if big else struct.pack(order + "I", at)
    return magic + lead + data + body + more


def tiff(
    samples: NDArray[np.generic],
    photometric: int = RGB,
    *,
    bits: int | None = None,
    rows: int | None = None,
    planes: bool = False,
    extra: int | None = None,
    palette: Sequence[int] | None = None,
    orientation: int | None = None,
    compression: int = 1,
    predictor: int = 1,
    order: str = "<",
    big: bool = False,
    more: Mapping[int, tuple[int, Sequence[int]]] = {},
) -> bytes:
    """Write samples (H, W) or (H, W, C) as a TIFF, in strips of so many rows.

    ``bits`` below 8 packs samples into bytes; ``compression`` is 1 or 8.
    """
    bits = bits or 8 * samples.dtype.itemsize
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    rows = rows or height
    whole = samples.reshape(height, width, count)
    layers = [whole[..., at : at + 1] for at in range(count)] if planes else [whole]
    strips = [
        _packed(layer[top : top + rows], bits, order, predictor)
        for layer in layers
        for top in range(0, height, rows)
    ]
    if compression == DEFLATE:
        strips = [zlib.compress(strip) for strip in strips]
    fields: dict[int, tuple[int, Sequence[int]]] = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * count), 259: (3, [compression]),
        262: (3, [photometric]), 277: (3, [count]), 278: (4, [rows]), 284: (3, [1 + planes]),
    }  # fmt: skip
    optional = {274: orientation, 338: extra, 317: predictor if predictor > 1 else None}
    fields |= {tag: (3, [value]) for tag, value in optional.items() if value is not None}
    if palette is not None:
        fields[320] = (3, palette)
    return written(fields | dict(more), strips, order=order, big=big)


def _packed(samples: NDArray[np.generic], bits: int, order: str, predictor: int) -> bytes:
    if bits < 8:
        digits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
        return np.packbits(digits.reshape(len(samples), -1), axis=1).tobytes()
    if predictor == 2:
        steps = np.diff(samples, axis=1, prepend=np.zeros_like(samples[:, :1]))
        samples = steps.astype(samples.dtype)
    return samples.astype(samples.dtype.newbyteorder(order)).tobytes()
