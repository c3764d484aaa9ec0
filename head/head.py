"""The expanding softmax head: one column of weights per class, and how one more is added."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

Start = Literal["zeros", "random"]
"""What the column of a new class begins with."""

_SPREAD = 0.01  # standard deviation of a random column

# Logits are computed in blocks of this fixed shape, the last one filled up with zeros. A matrix
# product of another shape may add up in another order, and then the last bit of an old class's
# logit would change when a class is added.
_BLOCK_COLUMNS = 64
_BLOCK_ROWS = 32


@dataclass(frozen=True)
class Head:
    """A softmax layer over whitened descriptors; never changed, only replaced.

    Attributes:
        classes: int64 (C,), the key of each column, distinct.
        columns: float32 (C, D), the weights of each class; the transpose of the kernel.
        bias: float32 (C,).

    Raises:
        InvalidInput: shapes or dtypes are not those above, a number is not finite, or a key occurs
            twice.
    """

    classes: NDArray[np.int64]
    columns: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.classes)
        if self.classes.dtype != np.int64 or self.classes.ndim != 1:
            raise InvalidInput("the keys of a head must be int64, one for each column")
        if self.columns.ndim != 2 or len(self.columns) != count or self.bias.shape != (count,):
            raise InvalidInput(
                f"a head of {count} classes does not fit columns {self.columns.shape} and bias "
                f"{self.bias.shape}"
            )
        if self.columns.dtype != np.float32 or self.bias.dtype != np.float32:
            raise InvalidInput("the weights of a head must be float32")
        if not (np.isfinite(self.columns).all() and np.isfinite(self.bias).all()):
            raise InvalidInput("a weight of a head must be finite")
        if len(np.unique(self.classes)) != count:
            raise InvalidInput("a class cannot have two columns")

    @classmethod
    def empty(cls, width: int) -> Head:
        """A head of no class, for descriptors of length ``width``."""
        return cls(np.zeros(0, np.int64), np.zeros((0, width), np.float32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def width(self) -> int:
        """D, the length of a descriptor."""
        return int(self.columns.shape[1])

    @property
    def kernel(self) -> NDArray[np.float32]:
        """float32 (D, C), a view."""
        return self.columns.T

    @cached_property
    def scale(self) -> float:
        """The mean length of a column: logits divided by it are in the units of a cosine."""
        lengths = np.linalg.norm(self.columns.astype(np.float64), axis=1)
        return float(lengths.mean()) if len(self) and lengths.any() else 1.0

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits of whitened descriptors.

        Those of a class are the same to the last bit after other classes were added.

        Args:
            rows: float32 (Q, D), finite.

        Returns:
            float32 (Q, C).

        Raises:
            InvalidInput: the rows have another length or are not finite.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width or not np.isfinite(rows).all():
            raise InvalidInput(f"rows must be finite and of shape (Q, {self.width})")
        padded = _filled_up(rows.astype(np.float32, copy=False), _BLOCK_ROWS)
        out = np.empty((len(padded), len(self._padded)), np.float32)
        for top in range(0, len(padded), _BLOCK_ROWS):
            block = padded[top : top + _BLOCK_ROWS]
            for left in range(0, len(self._padded), _BLOCK_COLUMNS):
                columns = self._padded[left : left + _BLOCK_COLUMNS]
                out[top : top + _BLOCK_ROWS, left : left + _BLOCK_COLUMNS] = block @ columns.T
        return out[: len(rows), : len(self)] + self.bias

    def without(self, label: int) -> Head:
        """The same head without the column of a class, if it has one."""
        kept = self.classes != label
        return Head(self.classes[kept], self.columns[kept], self.bias[kept])

    def checksum(self, count: int | None = None) -> str:
        """SHA-256 over the first ``count`` columns (all by default) with keys and biases."""
        digest = hashlib.sha256(f"{self.width}\n".encode())
        for part, dtype in ((self.classes, "<i8"), (self.columns, "<f4"), (self.bias, "<f4")):
            digest.update(np.ascontiguousarray(part[:count], dtype=dtype).data)
        return digest.hexdigest()

    @cached_property
    def _padded(self) -> NDArray[np.float32]:
        return _filled_up(self.columns, _BLOCK_COLUMNS)


def widen(head: Head, label: int, *, start: Start = "zeros", seed: int = 0) -> Head:
    """Add a class: its column comes last, and every old weight is carried over as it is.

    Args:
        head: the head of C classes.
        label: the key of the new class.
        start: what the new column and bias begin with.
        seed: of a random column.

    Returns:
        A head of C + 1 classes.

    Raises:
        InvalidInput: the class has a column already, or the key is negative.
    """
    if label < 0:
        raise InvalidInput(f"the key of a class is not negative, as {label} is")
    column = np.zeros(head.width, np.float32)
    if start == "random":
        column[:] = np.random.default_rng([seed, label]).normal(0, _SPREAD, head.width)
    return Head(
        np.append(head.classes, np.int64(label)),
        np.concatenate([head.columns, column[None]]),
        np.append(head.bias, np.float32(0)),
    )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities of logits (Q, C), row by row: float64 (Q, C)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _filled_up(rows: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    missing = -len(rows) % multiple
    return np.concatenate([rows, np.zeros((missing, rows.shape[1]), np.float32)])
