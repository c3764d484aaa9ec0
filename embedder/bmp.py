"""BMP: the header check, and the pixels of those that say by bit masks where their colours are.

The BITMAPINFOHEADER family of Microsoft has one header in six lengths. Wherever compression is 3 or
6, the three masks of 32 bits follow its first 40 bytes, be it as a part of a longer header or not.

OpenCV 4.12 to 5.0 looks for the masks elsewhere, reads them from headers of 40 bytes alone at 16
bits, and leaves 5 bits at 248 of 255; so what has 16 bits or masks is read here, with NumPy.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.errors import PictureError
from catalog.embedder.header import Header, Limits, check_size, unpack

_CORE = 12
HEADERS = frozenset(struct.pack("<I", n) for n in (_CORE, 40, 52, 56, 64, 108, 124))
"""Lengths of headers, as they stand in a file at byte 14."""

_OS2 = 64  # its compressions 3 and 4 are others
_PLAIN, _MASKED = 0, frozenset({3, 6})
_RUNS = {1: 8, 2: 4}
_DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
_MASKS_AT = 54
_USUAL_16 = (0x7C00, 0x03E0, 0x001F)
_BAND = 2**22  # pixels that are worked on at a time


def walk(data: bytes, limits: Limits) -> Header:
    """Check size and structure of a BMP.

    Raises:
        PictureError: ``unsupported``, ``too_large``, ``truncated`` or ``corrupt``.
    """
    offset, width, height, bits, compression, size = _fields(data)
    height = abs(height)  # negative: rows run from top to bottom
    (header,) = struct.unpack_from("<I", data, 14)
    masked = compression in _MASKED and bits in {16, 32} and header != _OS2
    plain = compression == _PLAIN and bits in _DEPTHS
    if not (plain or masked or _RUNS.get(compression) == bits):
        raise PictureError("unsupported", f"a BMP of {bits} bits and compression {compression}")
    check_size("bmp", width, height, limits)
    if compression not in _RUNS:
        size = _row(width, bits) * height
    if offset + size > len(data):
        raise PictureError("truncated", f"a BMP of {offset + size:,} bytes has {len(data):,}")
    if masked:
        _masks(data, bits, compression)
    return Header("bmp", width, height)


def is_masked(data: bytes) -> bool:
    """Whether a BMP that was walked has pixels of 16 bits, or masks."""
    *_, bits, compression, _ = _fields(data)
    return bits == 16 or compression in _MASKED


def masked_pixels(data: bytes) -> NDArray[np.uint8]:
    """Read the pixels of a BMP for which :func:`is_masked`.

    A level of a mask is rounded to 8 bits, ``round(255 * v / most)``, halves up.

    Returns:
        uint8 (H, W, 3): RGB, upright.
    """
    offset, width, height, bits, compression, _ = _fields(data)
    length = _row(width, bits)
    rows = np.frombuffer(data, np.uint8, length * abs(height), offset).reshape(-1, length)
    stored = rows.view("<u2" if bits == 16 else "<u4")[:, :width]
    if height > 0:
        stored = stored[::-1]
    pixels = np.empty((*stored.shape, 3), np.uint8)
    step = max(1, _BAND // width)
    for channel, mask in enumerate(_masks(data, bits, compression)):
        shift = (mask & -mask).bit_length() - 1
        most = np.uint64(mask >> shift)
        for top in range(0, abs(height), step):
            levels = ((stored[top : top + step] & mask) >> shift).astype(np.uint64)
            pixels[top : top + step, :, channel] = (levels * 255 + most // 2) // most
    return pixels


def _fields(data: bytes) -> tuple[int, int, int, int, int, int]:
    """Where the rows begin, width, height, bits of a pixel, compression, and size of the rows."""
    offset, header = unpack("<II", data, 10)
    if header == _CORE:
        width, height, _, bits = unpack("<HHHH", data, 18)
        return offset, width, height, bits, _PLAIN, 0
    width, height, _, bits, compression, size = unpack("<iiHHII", data, 18)
    return offset, width, height, bits, compression, size


def _row(width: int, bits: int) -> int:
    """Bytes of a row, which is filled up to whole groups of four."""
    return (width * bits + 31) // 32 * 4


def _masks(data: bytes, bits: int, compression: int) -> tuple[int, int, int]:
    """Where red, green and blue are in a pixel."""
    if compression not in _MASKED:
        return _USUAL_16
    red, green, blue = unpack("<III", data, _MASKS_AT)
    for mask in (red, green, blue):
        lowest = mask & -mask
        if not mask or mask >> bits or (mask + lowest) & mask:
            raise PictureError("corrupt", "a BMP whose masks name no bits of its pixels")
    if red & green or green & blue or blue & red:
        raise PictureError("corrupt", "a BMP whose masks overlap")
    return red, green, blue
