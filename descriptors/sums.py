"""The exact sums everything learnt is computed from.

Per class the number of descriptors and their sum, and over all of them one Gram matrix, all in
integers. Integer addition is associative and has an inverse, so the sums do not depend on the order
in which classes arrived, and subtracting what was added leaves no trace of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.errors import InvalidInput

# A product of two components is below 2^28, and float64 holds integers exactly up to 2^53, so a
# float64 matrix product over up to 2^25 rows is exact. Blocks are far smaller, to bound memory.
_BLOCK_ROWS = 8192


class Sums:
    """Counts, sums and the Gram matrix of integer descriptors, by class.

    Attributes:
        width: D, the length of a descriptor.
        counts: class id -> number of descriptors; only classes that have any.
        totals: class id -> int64 (D,), the sum of its descriptors.
        gram: int64 (D, D), the sum of x x^T over every descriptor.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.counts: dict[int, int] = {}
        self.totals: dict[int, NDArray[np.int64]] = {}
        self.gram: NDArray[np.int64] = np.zeros((width, width), dtype=np.int64)

    def __len__(self) -> int:
        """The number of descriptors summed."""
        return sum(self.counts.values())

    def add(self, classes: NDArray[np.integer], rows: NDArray[np.int16]) -> None:
        """Add descriptors.

        Args:
            classes: integer (N,), the class of each row.
            rows: int16 (N, D).

        Raises:
            InvalidInput: the shapes or the dtype are not those above.
        """
        self._update(classes, rows, sign=1)

    def subtract(self, classes: NDArray[np.integer], rows: NDArray[np.int16]) -> None:
        """Take back descriptors that were added; arguments as for :meth:`add`."""
        self._update(classes, rows, sign=-1)

    def without(self, classes: NDArray[np.integer], rows: NDArray[np.int16]) -> Sums:
        """Other sums, from which these descriptors are taken back; arguments as for :meth:`add`."""
        left = Sums(self.width)
        left.counts, left.totals = dict(self.counts), dict(self.totals)
        left.gram = self.gram.copy()
        left.subtract(classes, rows)
        return left

    def gone(self) -> list[tuple[int, str]]:
        """Classes that were removed, but whose descriptors are still in the sums.

        They have negative ids, and no name; each goes by one that no class can have. They come in
        an order that does not depend on history.
        """
        named = [
            (label, "\0" + hashlib.sha256(_packed(self.totals[label])).hexdigest())
            for label in self.counts
            if label < 0
        ]
        return sorted(named, key=lambda pair: pair[1])

    def state(self, fingerprint: str, names: Mapping[int, str]) -> str:
        """A hash of everything learning depends on, the same for every order of arrival.

        Args:
            fingerprint: of the embedder (and prior) the descriptors belong to.
            names: class id -> normalised name, for every class with descriptors.

        Returns:
            64 hexadecimal digits.
        """
        digest = hashlib.sha256(f"{fingerprint}\n{self.width}\n".encode())
        for label in sorted(self.counts, key=names.__getitem__):
            digest.update(f"{names[label]}\n{self.counts[label]}\n".encode())
            digest.update(_packed(self.totals[label]))
        digest.update(np.ascontiguousarray(self.gram, dtype="<i8").data)
        return digest.hexdigest()

    def _update(self, classes: NDArray[np.integer], rows: NDArray[np.int16], sign: int) -> None:
        if rows.dtype != np.int16 or rows.ndim != 2 or rows.shape[1] != self.width:
            raise InvalidInput(f"descriptors must be int16 (N, {self.width})")
        if classes.shape != (len(rows),) or not np.issubdtype(classes.dtype, np.integer):
            raise InvalidInput("there must be one class for each descriptor")
        for label in np.unique(classes):
            members = rows[classes == label]
            self._update_class(int(label), sign * len(members), sign * members.sum(0, np.int64))
        for block in _blocks(rows):
            self.gram += sign * (block.T @ block).astype(np.int64)

    def _update_class(self, label: int, count: int, total: NDArray[np.int64]) -> None:
        count += self.counts.get(label, 0)
        total = total + self.totals.get(label, 0)
        if count < 0:
            raise InvalidInput("more descriptors were subtracted than had been added")
        if count:
            self.counts[label], self.totals[label] = count, total
        else:
            self.counts.pop(label, None)
            self.totals.pop(label, None)


def _packed(numbers: NDArray[np.int64]) -> bytes:
    return numbers.astype("<i8", copy=False).tobytes()


def _blocks(rows: NDArray[np.int16]) -> Iterable[NDArray[np.float64]]:
    for start in range(0, len(rows), _BLOCK_ROWS):
        yield rows[start : start + _BLOCK_ROWS].astype(np.float64)
