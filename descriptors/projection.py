"""Rows of several layers brought to a descriptor, by a matrix that was learnt without labels.

Its rows are ordered: the first D of them are the projection to D numbers.
``embedder/measuring.py`` learns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.errors import InvalidInput, PictureError

STEPS: Final = 4096
"""A row, less the mean, is rounded to whole numbers of this part; it is at most twice as long."""

LONGEST: Final = 2000
"""The longest row of a projection: ``2 * STEPS * LONGEST`` is less than 2**24, up to which float32
has every whole number, so a sum of products is exact in whatever order it is taken."""

_AT_ONCE: Final = 32
"""Rows that are multiplied together. OpenBLAS deals larger products out among threads of its own,
which then go on asking for more work, at the expense of whoever has some, for milliseconds."""


@dataclass(frozen=True)
class Projection:
    """A projection of rows of F numbers to as many as K.

    Attributes:
        mean: float32 (F,), what is subtracted first.
        rows: int8 (K, F), each at most :data:`LONGEST` long.
        scales: float32 (K,), what the products are multiplied by.
        alike: for some numbers D, how alike descriptors of so many numbers are when one is of a
            picture and the other of a photo of it: the cosine that half of the photos reach.
    """

    mean: NDArray[np.float32]
    rows: NDArray[np.int8]
    scales: NDArray[np.float32]
    alike: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make sure that the parts fit, and that sums will be exact.

        Raises:
            InvalidInput: they do not, or a row is too long.
        """
        shapes = (self.mean.shape, self.scales.shape)
        if self.rows.ndim != 2 or shapes != (self.rows.shape[1:], self.rows.shape[:1]):
            raise InvalidInput(f"{shapes} do not fit a projection of shape {self.rows.shape}")
        if np.square(self.rows, dtype=np.int64).sum(axis=1).max(initial=0) > LONGEST**2:
            raise InvalidInput(f"a row of the projection is longer than {LONGEST}")

    @classmethod
    def rounded(cls, mean: NDArray[np.float64], rows: NDArray[np.float64]) -> Projection:
        """A projection whose rows float64 (K, F) are rounded to eight bits each."""
        largest = np.abs(rows).max(axis=1)
        lengths = np.linalg.norm(rows, axis=1)
        # A little below the longest, since rounding may lengthen a row.
        steps = np.minimum(127 / largest, 0.99 * LONGEST / lengths)
        whole = np.rint(rows * steps[:, None]).astype(np.int8)
        return cls(mean.astype(np.float32), whole, (1 / steps).astype(np.float32))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what decides a descriptor, 64 hexadecimal digits."""
        digest = hashlib.sha256(f"{self.rows.shape}\n".encode())
        for part in (self.mean.astype("<f4"), self.rows, self.scales.astype("<f4")):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def to(self, width: int) -> Projector:
        """The projection to so many numbers.

        Raises:
            InvalidInput: it has fewer rows.
        """
        if not 1 <= width <= len(self.rows):
            raise InvalidInput(f"this projection gives up to {len(self.rows)} numbers, not {width}")
        blocks = np.zeros((-(-width // _AT_ONCE), _AT_ONCE, len(self.mean)), np.float32)
        blocks.reshape(-1, len(self.mean))[:width] = self.rows[:width]
        return Projector(self.mean, blocks, self.scales[:width])


@dataclass(frozen=True)
class Projector:
    """The leading rows of a projection, ready to be used; safe to use from many threads.

    Attributes:
        mean: float32 (F,).
        blocks: float32 (N, R, F), whole numbers: the D rows, R at a time, then rows of zeros.
        scales: float32 (D,).
    """

    mean: NDArray[np.float32]
    blocks: NDArray[np.float32]
    scales: NDArray[np.float32]

    def __call__(self, row: NDArray[np.floating]) -> NDArray[np.float32]:
        """Project a row (F,) of unit length to a descriptor float32 (D,) of unit length.

        The same row gives the same bits on every machine and from any number of threads.

        Raises:
            PictureError: nothing is left of it.
        """
        steps = np.rint((row - self.mean) * np.float32(STEPS)).astype(np.float32)
        products = np.ravel(self.blocks @ steps)[: len(self.scales)]
        numbers = products.astype(np.float64) * self.scales
        length = np.linalg.norm(numbers)
        if not np.isfinite(length) or length == 0:
            raise PictureError("unsupported", "the network sees nothing in this picture")
        return np.asarray(numbers / length, np.float32)
