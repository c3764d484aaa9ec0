"""The head of which a new column alone is trained: what stays, and what the column learns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import head_problem, seeds

from catalog.descriptors import InvalidInput
from catalog.head import Head, solve, widen_frozen

WIDTH = 12
RIDGE = 1.0
thorough = settings(max_examples=20)
counts = st.lists(st.integers(1, 12), min_size=2, max_size=5)
"""How many rows each class has; the last one is new."""


def learnt(rows: NDArray[np.float32], positions: NDArray[np.int64], classes: int) -> Head:
    """An exact head of all but the last class."""
    old = positions < classes - 1
    return solve(rows[old], positions[old], range(classes - 1))


def plain_column(
    head: Head, rows: NDArray[np.float32], positions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Logistic regression with an offset, by very many small steps in float64."""
    wide, target = rows.astype(np.float64), positions == len(head)
    old = np.log(np.exp(wide @ head.kernel.astype(np.float64) + head.bias).sum(axis=1))
    per_class = np.bincount(positions, minlength=len(head) + 1)
    weights = len(rows) / np.count_nonzero(per_class) / per_class[positions]
    curvature = np.linalg.eigvalsh((wide * weights[:, None]).T @ wide)[-1] / 4 + RIDGE
    column = np.zeros(rows.shape[1])
    for _ in range(10_000):
        probability = 1 / (1 + np.exp(old - wide @ column))
        slope = wide.T @ (weights * (probability - target)) + RIDGE * column
        column -= slope / curvature
        if np.abs(slope).max() < 1e-10:
            break
    return column


@thorough
@given(seeds, counts)
def test_old_classes_stay(seed: int, counts: list[int]) -> None:
    """Keys, columns, biases and logits of the old classes are the same to the last bit."""
    rows, positions = head_problem(seed, counts)
    head = learnt(rows, positions, len(counts))
    biased = Head(head.classes, head.columns, np.arange(len(head), dtype=np.float32))
    wider = widen_frozen(biased, 77, rows, positions)
    assert wider.classes.tolist() == [*head.classes.tolist(), 77]
    assert wider.checksum(len(head)) == biased.checksum()
    assert wider.logits(rows)[:, :-1].tobytes() == biased.logits(rows).tobytes()
    assert wider.bias[-1] == 0


@thorough
@given(seeds, counts)
def test_is_logistic_regression_with_an_offset(seed: int, counts: list[int]) -> None:
    """The new column is the one that plain gradient descent comes to with the old ones fixed."""
    rows, positions = head_problem(seed, counts)
    head = learnt(rows, positions, len(counts))
    found = widen_frozen(head, 77, rows, positions).columns[-1]
    np.testing.assert_allclose(found, plain_column(head, rows, positions), atol=2e-3)


def test_biases_count() -> None:
    """The biases of old classes are part of what the new one is set against."""
    rows, positions = head_problem(1, [6, 6, 6])
    head = learnt(rows, positions, 3)
    biased = Head(head.classes, head.columns, np.array([2, -1], np.float32))
    found = widen_frozen(biased, 77, rows, positions).columns[-1]
    np.testing.assert_allclose(found, plain_column(biased, rows, positions), atol=2e-3)
    assert np.abs(found - widen_frozen(head, 77, rows, positions).columns[-1]).max() > 0.05


def test_the_new_class_wins_its_own_rows() -> None:
    """Where classes can be told apart, the new one wins its rows and the old ones keep theirs."""
    rows, positions = head_problem(2, [10, 10, 10, 10], noise=0.15)
    wider = widen_frozen(learnt(rows, positions, 4), 77, rows, positions)
    np.testing.assert_array_equal(wider.logits(rows).argmax(axis=1), positions)


def test_one_after_another() -> None:
    """Several classes, added one at a time, tell their pictures apart."""
    rows, positions = head_problem(3, [8] * 6, noise=0.15)
    head = learnt(rows[positions < 2], positions[positions < 2], 2)
    for label in range(1, 6):
        seen = positions <= label
        head = widen_frozen(head, label, rows[seen], positions[seen])
    assert np.mean(head.logits(rows).argmax(axis=1) == positions) > 0.95


def test_without_rows_of_old_classes() -> None:
    """Rows of the new class alone are enough, and old columns stay then, too."""
    rows, positions = head_problem(4, [6, 6, 6])
    head = learnt(rows, positions, 3)
    own = positions == 2
    wider = widen_frozen(head, 77, rows[own], positions[own])
    assert wider.checksum(2) == head.checksum()
    found = wider.columns[-1]
    np.testing.assert_allclose(found, plain_column(head, rows[own], positions[own]), atol=2e-3)


def test_the_first_class() -> None:
    """A class that is alone needs no weights."""
    rows, positions = head_problem(5, [4])
    head = widen_frozen(Head.empty(WIDTH), 3, rows, positions)
    assert (head.classes.tolist(), bool(head.columns.any())) == ([3], False)


def test_more_penalty_means_less_weight() -> None:
    """The penalty shrinks the new column."""
    rows, positions = head_problem(6, [6, 6, 6])
    head = learnt(rows, positions, 3)
    lengths = [
        np.linalg.norm(widen_frozen(head, 77, rows, positions, ridge=ridge).columns[-1])
        for ridge in (0.1, 1.0, 10.0, 100.0)
    ]
    assert lengths == sorted(lengths, reverse=True)


def test_the_same_twice() -> None:
    """The same head and rows give the same bits."""
    rows, positions = head_problem(7, [6, 6, 6])
    head = learnt(rows, positions, 3)
    one = widen_frozen(head, 77, rows, positions)
    assert one.checksum() == widen_frozen(head, 77, rows.copy(), positions.copy()).checksum()


class TestRefusals:
    """What cannot be learnt from."""

    @pytest.fixture
    def head(self) -> Head:
        """A head of two classes."""
        return Head(np.array([1, 2]), np.eye(2, 3, dtype=np.float32), np.zeros(2, np.float32))

    def test_no_row_of_the_class(self, head: Head) -> None:
        """A column cannot be trained without a picture of its class."""
        rows = np.eye(3, dtype=np.float32)
        for positions in (np.array([0, 1, 1]), np.zeros(0, np.int64)):
            with pytest.raises(InvalidInput, match="without a picture"):
                widen_frozen(head, 5, rows[: len(positions)], positions)
        with pytest.raises(InvalidInput):
            widen_frozen(Head.empty(3), 5, rows[:0], np.zeros(0, np.int64))

    def test_no_class_twice(self, head: Head) -> None:
        """A class that has a column gets no second one."""
        with pytest.raises(InvalidInput, match="two columns"):
            widen_frozen(head, 2, np.eye(3, dtype=np.float32), np.array([0, 1, 2]))

    @pytest.mark.parametrize(
        ("rows", "positions"),
        [
            (np.full((3, 3), np.nan, np.float32), np.array([0, 1, 2])),
            (np.eye(3, dtype=np.float32), np.array([0, 1, 3])),
            (np.eye(3, dtype=np.float32), np.array([0, -1, 2])),
            (np.eye(3, dtype=np.float32), np.array([0, 2])),
            (np.eye(3, 4, dtype=np.float32), np.array([0, 1, 2])),
            (np.zeros(3, np.float32), np.array([0, 1, 2])),
        ],
    )
    def test_bad_rows(
        self, head: Head, rows: NDArray[np.float32], positions: NDArray[np.int64]
    ) -> None:
        """Numbers that are not finite, classes that are not there, and shapes that do not fit."""
        with pytest.raises(InvalidInput):
            widen_frozen(head, 5, rows, positions)

    def test_the_first_class_has_the_width_too(self) -> None:
        """Rows of another length than the head's are refused even if no class is there yet."""
        with pytest.raises(InvalidInput):
            widen_frozen(Head.empty(4), 5, np.eye(3, dtype=np.float32), np.zeros(3, np.int64))
