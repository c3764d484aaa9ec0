"""A descriptor as integers, so that sums of descriptors are exact.

A unit vector has components in [-1, 1]. Multiplied by 2^14 and rounded they fit an int16, cost two
bytes each, and can be added, and subtracted again, in any order without rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.errors import InvalidInput

SCALE = 16384
"""What a component of a unit vector is multiplied by before rounding."""

FORMAT = f"int16 little-endian, unit vector x {SCALE}, rounded half to even"
"""The stored form in words; part of an embedder's fingerprint."""


def to_integers(descriptors: NDArray[np.floating]) -> NDArray[np.int16]:
    """Round unit descriptors to their stored integer form.

    Args:
        descriptors: float (D,) or (N, D), rows of unit length (within 1e-3).

    Returns:
        int16, the same shape.

    Raises:
        InvalidInput: a component is not finite, or a row is not of unit length.
    """
    rows = np.asarray(descriptors, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=-1)
    # A NaN makes its norm NaN, and every comparison with NaN is false.
    if not np.all(np.abs(norms - 1) < 1e-3):
        raise InvalidInput("a descriptor must be finite and of unit length")
    return np.rint(rows * SCALE).astype(np.int16)


def to_floats(integers: NDArray[np.int16]) -> NDArray[np.float32]:
    """Turn stored integers back into float32 descriptors, of unit length to within 1e-3."""
    return integers.astype(np.float32) / np.float32(SCALE)


def to_bytes(integers: NDArray[np.int16]) -> bytes:
    """Serialise one descriptor, little-endian, two bytes a component."""
    return integers.astype("<i2", copy=False).tobytes()


def from_bytes(blobs: list[bytes], width: int) -> NDArray[np.int16]:
    """Stack serialised descriptors into int16 (N, width).

    Raises:
        InvalidInput: a blob does not have ``2 * width`` bytes.
    """
    if any(len(blob) != 2 * width for blob in blobs):
        raise InvalidInput(f"a stored descriptor does not have {2 * width} bytes")
    return (
        np.frombuffer(b"".join(blobs), dtype="<i2").astype(np.int16, copy=False).reshape(-1, width)
    )
