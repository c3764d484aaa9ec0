"""Exact nearest rows by inner product: a FAISS flat index with keys."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

# Below this many queries a second OpenMP thread costs more than it brings: waking it takes longer
# than the scan it would share.
_PARALLEL_QUERIES = 16

_MOST_LEFT = 1000
"""How many rows an index leaves out before it is made anew: so many more are asked of FAISS."""

_MOST_JOINED = 0.1
"""What share of its rows may have joined it before it is made anew; NumPy searches those."""

_FIRST_PROCESS = os.getpid()
"""The process that OpenMP's threads belong to. A process forked from it would wait for them."""


class FlatIndex:
    """Unit rows and their keys, searched exactly by inner product.

    FAISS itself takes duplicate keys, -1, NaN and rows of any length in silence; here they are
    refused. An index is not changed once it is made: :meth:`changed` returns another, which shares
    the rows in FAISS with this one for as long as few have joined or left.

    Args:
        keys: int64 (N,), distinct and not negative.
        rows: float32 (N, D), finite; FAISS searches this very memory, so nobody may change it.

    Raises:
        InvalidInput: the arrays are not as described.
    """

    def __init__(self, keys: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        _require_rows(keys, rows)
        self._base = keys
        self._base_rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._index = _searching(self._base_rows)
        self._left = np.zeros(len(keys), np.bool_)
        self._more = np.zeros(0, np.int64)
        self._more_rows = np.zeros((0, rows.shape[1]), np.float32)

    def __len__(self) -> int:
        return len(self._base) - int(self._left.sum()) + len(self._more)

    @property
    def width(self) -> int:
        """D, the length of a row."""
        return int(self._index.d)

    @property
    def keys(self) -> NDArray[np.int64]:
        """int64 (N,): of the rows, in order."""
        return np.concatenate([self._base[~self._left], self._more])

    @property
    def rows(self) -> NDArray[np.float32]:
        """float32 (N, D); not to be changed."""
        if not self._left.any() and not len(self._more):
            return self._base_rows
        return np.concatenate([self._base_rows[~self._left], self._more_rows])

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
        if k == 0 or not len(queries):
            return np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        left = int(self._left.sum())
        scores, keys = self._searched(queries, min(k + left, len(self._base)))
        if not left and not len(self._more):
            return scores, keys
        gone = np.isin(keys, self._base[self._left])
        scores = np.concatenate(
            [np.where(gone, -np.inf, scores), queries @ self._more_rows.T], axis=1, dtype=np.float32
        )
        keys = np.concatenate(
            [keys, np.broadcast_to(self._more, (len(queries), len(self._more)))], 1
        )
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        found = np.asarray(np.take_along_axis(scores, best, 1), np.float32)
        return found, np.take_along_axis(keys, best, 1)

    def scores(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inner product of each query float32 (Q, D) with every row: float32 (Q, N)."""
        return np.asarray(queries @ self.rows.T, np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Its ``keys`` and ``rows``."""
        return {"keys": self.keys, "rows": self.rows}

    def changed(
        self, removed: NDArray[np.int64], added: NDArray[np.int64], rows: NDArray[np.float32]
    ) -> FlatIndex:
        """A new index, without the rows of some keys and with others.

        Args:
            removed: int64 (R,), keys of rows of this index to leave out.
            added: int64 (M,), the keys of the new rows, which come last.
            rows: float32 (M, D), the new rows.

        Raises:
            InvalidInput: the new rows are of another length, or a key is there already.
        """
        if rows.shape[1:] != (self.width,):
            raise InvalidInput(f"rows must be of shape (M, {self.width}), not {rows.shape}")
        left = self._left | np.isin(self._base, removed)
        kept = ~np.isin(self._more, removed)
        more = np.concatenate([self._more[kept], added])
        more_rows = np.concatenate([self._more_rows[kept], rows])
        if left.sum() > _MOST_LEFT or len(more) > _MOST_JOINED * len(self._base):
            base = self._base_rows[~left]
            return FlatIndex(
                np.concatenate([self._base[~left], more]), np.concatenate([base, more_rows])
            )
        _require_rows(more, more_rows)
        if np.isin(more, self._base[~left]).any():
            raise InvalidInput("the keys of an index must be distinct and not negative")
        return self._sharing(left, more, more_rows)

    def _sharing(
        self, left: NDArray[np.bool_], more: NDArray[np.int64], more_rows: NDArray[np.float32]
    ) -> FlatIndex:
        """An index of the same rows in FAISS, of which others are left out, or searched beside."""
        new = copy.copy(self)
        vars(new).update(_left=left, _more=more, _more_rows=more_rows)
        return new

    def _searched(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k best of the rows in FAISS, those that were left out among them."""
        alone = len(queries) < _PARALLEL_QUERIES or os.getpid() != _FIRST_PROCESS
        with _threads(1 if alone else None):
            scores, positions = self._index.search(np.ascontiguousarray(queries), k)
        return scores, self._base[positions]


def _searching(rows: NDArray[np.float32]) -> Any:
    """A FAISS index over rows where they are; a copy would be as large again.

    Whoever has it keeps the rows alive.
    """
    index = faiss.IndexFlatIP(rows.shape[1])
    if len(rows):
        codes: Any = faiss.MaybeOwnedVectorUInt8
        index.codes = codes.create_view(faiss.swig_ptr(rows), rows.nbytes, codes().owner)
        index.ntotal = len(rows)
    return index


def _require_rows(keys: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
    if rows.ndim != 2 or keys.shape != (len(rows),):
        raise InvalidInput(f"{keys.shape} keys do not fit {rows.shape} rows")
    if len(keys) and (keys.min() < 0 or len(np.unique(keys)) != len(keys)):
        raise InvalidInput("the keys of an index must be distinct and not negative")
    # Either is NaN where a row is; an array of answers for every number would take long.
    if rows.size and not (np.isfinite(rows.min()) and np.isfinite(rows.max())):
        raise InvalidInput("a row of an index must be finite")


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Run FAISS with so many OpenMP threads, then as before."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count or before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
