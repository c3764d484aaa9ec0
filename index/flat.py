"""Exact nearest rows by inner product: a FAISS flat index with keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

# Below this many queries a second OpenMP thread costs more than it brings: waking it takes longer
# than the scan it would share.
_PARALLEL_QUERIES = 16

_FIRST_PROCESS = os.getpid()
"""The process that OpenMP's threads belong to. A process forked from it would wait for them."""


class FlatIndex:
    """Unit rows and their keys, searched exactly by inner product.

    FAISS itself takes duplicate keys, -1, NaN and rows of any length in silence; here they are
    refused. An index is not changed once it is made: :meth:`extended` returns another.

    Args:
        keys: int64 (N,), distinct and not negative.
        rows: float32 (N, D), finite.

    Raises:
        InvalidInput: the arrays are not as described.
    """

    def __init__(self, keys: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        if rows.ndim != 2 or keys.shape != (len(rows),):
            raise InvalidInput(f"{keys.shape} keys do not fit {rows.shape} rows")
        if len(keys) and (keys.min() < 0 or len(np.unique(keys)) != len(keys)):
            raise InvalidInput("the keys of an index must be distinct and not negative")
        if not np.isfinite(rows).all():
            raise InvalidInput("a row of an index must be finite")
        self.keys = keys
        self._index = faiss.IndexFlatIP(rows.shape[1])
        self._index.add(np.ascontiguousarray(rows, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def width(self) -> int:
        """D, the length of a row."""
        return int(self._index.d)

    @property
    def rows(self) -> NDArray[np.float32]:
        """float32 (N, D): a view of the memory that FAISS searches, for as long as this lives."""
        flat = faiss.rev_swig_ptr(self._index.get_xb(), len(self) * self.width)
        rows: NDArray[np.float32] = flat.reshape(len(self), self.width)
        return rows

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k rows with the largest inner product.

        Args:
            queries: float32 (Q, D), finite.
            k: how many; fewer come back if there are fewer rows.

        Returns:
            Scores float32 (Q, min(k, N)), falling, and the keys int64 of the same shape.

        Raises:
            InvalidInput: the queries have another length or are not finite, or k < 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.width or not np.isfinite(queries).all():
            raise InvalidInput(f"queries must be finite and of shape (Q, {self.width})")
        if k < 1:
            raise InvalidInput(f"k must be at least 1, not {k}")
        k = min(k, len(self))
        if k == 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        alone = len(queries) < _PARALLEL_QUERIES or os.getpid() != _FIRST_PROCESS
        with _threads(1 if alone else None):
            scores, positions = self._index.search(np.ascontiguousarray(queries), k)
        return scores, self.keys[positions]

    def scores(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inner product of each query float32 (Q, D) with every row: float32 (Q, N)."""
        return np.asarray(queries @ self.rows.T, np.float32)

    def extended(
        self, keep: NDArray[np.bool_], keys: NDArray[np.int64], rows: NDArray[np.float32]
    ) -> FlatIndex:
        """A new index of the rows of this one that are kept, followed by others.

        Args:
            keep: bool (N,), which rows of this index to take over.
            keys: int64 (M,), the keys of the new rows.
            rows: float32 (M, D), the new rows.
        """
        if rows.shape[1:] != (self.width,):
            raise InvalidInput(f"rows must be of shape (M, {self.width}), not {rows.shape}")
        return FlatIndex(
            np.concatenate([self.keys[keep], keys]), np.concatenate([self.rows[keep], rows])
        )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Run FAISS with so many OpenMP threads, then as before."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count or before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
