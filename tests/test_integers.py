"""The integer form of a descriptor: what it keeps, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from catalog.descriptors import SCALE, InvalidInput, from_bytes, to_bytes, to_floats, to_integers

WIDTH = 12


@given(strategies.unit_rows(WIDTH))
def test_rounds_to_the_nearest_step(rows: NDArray[np.float64]) -> None:
    """Every component is kept to within half a step."""
    integers = to_integers(rows)
    assert integers.dtype == np.int16
    assert integers.shape == rows.shape
    assert np.abs(integers / SCALE - rows).max() <= 0.5 / SCALE


@given(strategies.unit_rows(WIDTH))
def test_floats_and_integers_say_the_same(rows: NDArray[np.float64]) -> None:
    """A stored descriptor made float again is rounded to itself."""
    integers = to_integers(rows)
    floats = to_floats(integers)
    assert floats.dtype == np.float32
    assert np.array_equal(to_integers(floats), integers)


@given(arrays.arrays(np.int16, st.tuples(st.integers(0, 5), st.just(WIDTH))))
def test_bytes_give_the_integers_back(rows: NDArray[np.int16]) -> None:
    """Every int16 survives being written and read, whatever its value."""
    back = from_bytes([to_bytes(row) for row in rows], WIDTH)
    assert back.dtype == np.int16
    assert np.array_equal(back, rows)


def test_a_single_descriptor_keeps_its_shape() -> None:
    """One descriptor comes back as one row, not as a table of one."""
    assert to_integers(np.eye(WIDTH)[3]).shape == (WIDTH,)


def test_half_a_step_goes_to_the_even_side() -> None:
    """A component halfway between two steps is rounded to the even one."""
    row = np.array([0.5 / SCALE, 1.5 / SCALE, 1.0])
    assert to_integers(row).tolist() == [0, 2, SCALE]


def test_bytes_are_little_endian_on_every_machine() -> None:
    """The stored form has the low byte first, whatever order the array is in."""
    row = np.array([1, -2, 256], np.int16)
    expected = bytes([1, 0, 254, 255, 0, 1])
    assert to_bytes(row) == to_bytes(row.astype(">i2")) == expected


@given(
    strategies.unit_rows(WIDTH),
    st.data(),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_refuses_what_is_not_finite(
    rows: NDArray[np.float64], data: st.DataObject, value: float
) -> None:
    """One component that is no number refuses the batch, wherever it stands."""
    at = data.draw(st.tuples(st.integers(0, len(rows) - 1), st.integers(0, WIDTH - 1)))
    rows[at] = value
    with pytest.raises(InvalidInput, match="finite"):
        to_integers(rows)


@given(
    strategies.unit_rows(WIDTH),
    st.data(),
    st.floats(0, 0.9985) | st.floats(1.0015, 4.0),
)
def test_refuses_another_length(
    rows: NDArray[np.float64], data: st.DataObject, length: float
) -> None:
    """One row that is not of unit length refuses the batch."""
    rows[data.draw(st.integers(0, len(rows) - 1))] *= length
    with pytest.raises(InvalidInput, match="unit length"):
        to_integers(rows)


@given(st.lists(st.binary(max_size=4 * WIDTH), min_size=1, max_size=4), st.integers(0, 3))
def test_refuses_bytes_of_another_width(blobs: list[bytes], at: int) -> None:
    """A blob that does not hold as many components as it should is refused, not reshaped."""
    blobs.insert(at, b"\0" * (2 * WIDTH - 1))
    with pytest.raises(InvalidInput, match=f"{2 * WIDTH} bytes"):
        from_bytes(blobs, WIDTH)


def test_two_wrong_blobs_do_not_make_up_for_each_other() -> None:
    """Blobs too short and too long by the same amount are refused, though their sum would fit."""
    with pytest.raises(InvalidInput):
        from_bytes([b"\0" * (2 * WIDTH - 2), b"\0" * (2 * WIDTH + 2)], WIDTH)
