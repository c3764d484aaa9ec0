"""Hypothesis strategies shared by the tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from catalog.descriptors import SCALE, Prior

seeds = st.integers(0, 2**32 - 1)
"""Seeds of NumPy generators, where the shape of the data matters and not its every value."""


def integer_rows(
    width: int, *, most: int = 8, least: int = 0, bound: int = SCALE
) -> st.SearchStrategy[NDArray[np.int16]]:
    """Stored descriptors int16 (N, width), with components up to the extremes of the range."""
    components = st.integers(-bound, bound) | st.sampled_from([-bound, bound])
    shapes = st.integers(least, most).map(lambda rows: (rows, width))
    return shapes.flatmap(lambda shape: arrays.arrays(np.int16, shape, elements=components))


def labelled_rows(
    width: int, *, classes: int = 3, most: int = 8
) -> st.SearchStrategy[tuple[NDArray[np.int64], NDArray[np.int16]]]:
    """Stored descriptors int16 (N, width), and the class of each, int64 (N,)."""
    return integer_rows(width, most=most).flatmap(
        lambda rows: st.tuples(
            arrays.arrays(np.int64, len(rows), elements=st.integers(1, classes)), st.just(rows)
        )
    )


def unit_rows(width: int, *, most: int = 8) -> st.SearchStrategy[NDArray[np.float64]]:
    """Descriptors float64 (N, width) of unit length, sparse and lopsided ones among them."""
    return integer_rows(width, most=most, least=1).map(_to_unit)


def priors(width: int) -> st.SearchStrategy[Prior]:
    """Priors of any rank, the isotropic one among them."""
    return st.builds(_prior, st.just(width), st.integers(0, width), seeds)


def label_text() -> st.SearchStrategy[str]:
    """Any text at all, rich in what makes names hard to compare."""
    awkward = st.sampled_from(
        "aAeEiI\u0131İßẞ\u017fsKkÅåÉé가각\u1100 ﬁ\uff46\u0301\u0308\u200f\u3000\t☕²Ǆǆςσ"
    )
    return st.text(st.characters() | awkward, max_size=24)


def array_dtypes() -> st.SearchStrategy[np.dtype[np.generic]]:
    """Dtypes of numbers, truth values and short byte strings, in either byte order."""
    return st.one_of(
        arrays.boolean_dtypes(),
        arrays.integer_dtypes(endianness="?"),
        arrays.unsigned_integer_dtypes(endianness="?"),
        arrays.floating_dtypes(endianness="?"),
        arrays.complex_number_dtypes(endianness="?"),
        arrays.byte_string_dtypes(max_len=4),
        arrays.unicode_string_dtypes(endianness="?", max_len=4),
    )


def any_arrays() -> st.SearchStrategy[NDArray[np.generic]]:
    """Arrays of any such dtype and any shape: without axes, without elements, or with both."""
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    return st.tuples(array_dtypes(), shapes).flatmap(lambda both: arrays.arrays(*both))


def head_problem(
    seed: int, counts: list[int], noise: float = 0.3, *, width: int = 12
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit rows about a centre of each class, mixed up, and the class of each."""
    random = np.random.default_rng(seed)
    positions = random.permutation(np.repeat(np.arange(len(counts)), counts))
    rows = random.normal(size=(len(counts), width))[positions]
    rows += noise * random.normal(size=(len(positions), width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), positions


def _to_unit(rows: NDArray[np.int16]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    wide[~wide.any(axis=1), 0] = 1.0
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def _prior(width: int, rank: int, seed: int) -> Prior:
    random = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(random.normal(size=(width, width)))
    return Prior(
        (0.1 * random.normal(size=width)).astype(np.float32),
        np.ascontiguousarray(basis[:, :rank].T, dtype=np.float32),
        random.uniform(0.5, 20.0, rank).astype(np.float32),
        float(random.uniform(0.1, 1.0)),
    )
