"""Exact sums: the same whatever the order, and without a trace of what was taken back."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import TypeAlias

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog.descriptors import SCALE, InvalidInput, Sums

WIDTH = 4
NAMES = {1: "apple", 2: "banana", 3: "cherry"}
Labelled: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int16]]

labelled = strategies.labelled_rows(WIDTH)


def summed(*batches: Labelled, width: int = WIDTH) -> Sums:
    """Add batches up, one after another."""
    sums = Sums(width)
    for classes, rows in batches:
        sums.add(classes, rows)
    return sums


def state(sums: Sums) -> str:
    """Hash sums under the names of the classes."""
    return sums.state("embedder", NAMES)


def same(one: Sums, other: Sums) -> bool:
    """Compare every number of two sums, and their hashes."""
    return (
        one.counts == other.counts
        and one.totals.keys() == other.totals.keys()
        and all(np.array_equal(one.totals[key], other.totals[key]) for key in one.totals)
        and np.array_equal(one.gram, other.gram)
        and state(one) == state(other)
    )


@given(labelled)
def test_agrees_with_python_integers(batch: Labelled) -> None:
    """Counts, totals and Gram matrix are what Python's integers give, to the last digit."""
    classes, rows = batch
    sums = summed(batch)
    lists: list[list[int]] = rows.tolist()
    for label in NAMES:
        own = [row for row, of in zip(lists, classes.tolist(), strict=True) if of == label]
        assert sums.counts.get(label, 0) == len(own)
        if own:
            assert sums.totals[label].tolist() == [sum(column) for column in zip(*own, strict=True)]
    gram = [[sum(row[i] * row[j] for row in lists) for j in range(WIDTH)] for i in range(WIDTH)]
    assert sums.gram.tolist() == gram
    assert len(sums) == len(rows)


@given(labelled, st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_batches_leave_no_trace(batch: Labelled, random: Random, size: int) -> None:
    """The same rows give the same sums in any order, and in batches of any size."""
    classes, rows = batch
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = Sums(WIDTH)
    for start in range(0, len(order), size):
        some = order[start : start + size]
        shuffled.add(classes[some], rows[some])
    assert same(shuffled, summed(batch))


@given(labelled, labelled)
def test_what_is_taken_back_was_never_there(kept: Labelled, gone: Labelled) -> None:
    """Adding rows and subtracting them again gives the sums of the others, and their hash."""
    sums = summed(kept, gone)
    sums.subtract(*gone)
    assert same(sums, summed(kept))


@pytest.mark.parametrize("sign", [1, -1])
def test_exact_where_every_component_is_extreme(sign: int) -> None:
    """More rows of the largest components than one block holds are summed without rounding."""
    count, width = 20_001, 3
    rows = np.full((count, width), sign * SCALE, np.int16)
    rows[-1] = [sign * SCALE, sign * (SCALE - 1), 1]
    sums = summed((np.ones(count, np.int64), rows), width=width)
    full = (count - 1) * SCALE
    assert sums.totals[1].tolist() == [
        sign * (full + SCALE),
        sign * (full + SCALE - 1),
        sign * full + 1,
    ]
    assert sums.gram[0, 0] == count * SCALE**2
    assert sums.gram[1, 1] == (count - 1) * SCALE**2 + (SCALE - 1) ** 2
    assert sums.gram[2, 2] == (count - 1) * SCALE**2 + 1
    assert sums.gram[0, 2] == sums.gram[2, 0] == (count - 1) * SCALE**2 + sign * SCALE


@given(labelled, st.permutations(list(NAMES)))
def test_state_does_not_depend_on_class_ids(batch: Labelled, ids: list[int]) -> None:
    """Renumbering the classes leaves the hash as it was, as long as each keeps its name."""
    classes, rows = batch
    renumbered = dict(zip(NAMES, ids, strict=True))
    other = summed((np.array([renumbered[c] for c in classes.tolist()], np.int64), rows))
    names = {renumbered[label]: name for label, name in NAMES.items()}
    assert other.state("embedder", names) == state(summed(batch))


@given(strategies.labelled_rows(WIDTH, most=4), st.data())
def test_state_depends_on_every_component(batch: Labelled, data: st.DataObject) -> None:
    """One step in one component of any sum changes the hash."""
    sums = summed(batch)
    before = state(sums)
    arrays = [sums.gram, *sums.totals.values()]
    array = arrays[data.draw(st.integers(0, len(arrays) - 1))]
    at = tuple(data.draw(st.integers(0, side - 1)) for side in array.shape)
    array[at] += data.draw(st.sampled_from([-1, 1]))
    assert state(sums) != before


def test_state_depends_on_counts_names_width_and_embedder() -> None:
    """A count, a name, the width or the embedder makes another hash of the same sums."""
    sums = summed((np.array([1, 2]), np.eye(2, WIDTH, dtype=np.int16)))
    counted = deepcopy(sums)
    counted.counts[2] += 1
    hashes = {
        state(sums),
        state(counted),
        sums.state("embedder", {**NAMES, 2: "blackcurrant"}),
        sums.state("embedder", {1: NAMES[2], 2: NAMES[1]}),
        sums.state("another embedder", NAMES),
        Sums(WIDTH).state("embedder", {}),
        Sums(WIDTH + 1).state("embedder", {}),
    }
    assert len(hashes) == 7


def test_the_class_of_a_row_is_part_of_the_state() -> None:
    """The same rows under other classes are another state, though the Gram matrix is the same."""
    rows = np.eye(2, WIDTH, dtype=np.int16)
    assert state(summed((np.array([1, 2]), rows))) != state(summed((np.array([2, 1]), rows)))


@pytest.mark.parametrize(
    ("classes", "rows"),
    [
        (np.ones(2, np.int64), np.zeros((2, WIDTH), np.int32)),
        (np.ones(2, np.int64), np.zeros((2, WIDTH), np.float32)),
        (np.ones(2, np.int64), np.zeros((2, WIDTH + 1), np.int16)),
        (np.ones(2, np.int64), np.zeros(WIDTH, np.int16)),
        (np.ones(3, np.int64), np.zeros((2, WIDTH), np.int16)),
        (np.ones((2, 1), np.int64), np.zeros((2, WIDTH), np.int16)),
        (np.full(2, 1.5), np.zeros((2, WIDTH), np.int16)),
    ],
    ids=["int32", "float", "wide", "flat", "too many classes", "nested classes", "float classes"],
)
def test_refuses_other_shapes_and_dtypes(
    classes: NDArray[np.int64], rows: NDArray[np.int16]
) -> None:
    """What is not int16 (N, D) with a whole number for each row is refused, and adds nothing."""
    sums = Sums(WIDTH)
    with pytest.raises(InvalidInput):
        sums.add(classes, rows)
    assert same(sums, Sums(WIDTH))


def test_refuses_to_take_back_what_was_not_added() -> None:
    """Subtracting more rows of a class than it has is refused."""
    sums = summed((np.array([1]), np.ones((1, WIDTH), np.int16)))
    with pytest.raises(InvalidInput, match="more descriptors"):
        sums.subtract(np.array([1, 1]), np.ones((2, WIDTH), np.int16))
