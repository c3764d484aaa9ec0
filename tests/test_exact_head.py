"""The head trained on everything at once: against plain, slow gradient descent in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import head_problem, seeds

from catalog.descriptors import InvalidInput
from catalog.head import Head, solve
from catalog.head.exact import (
    OPERATIONS,
    STEPS,
    allowed_steps,
    balanced_weights,
    preconditioner,
)

WIDTH = 12
RIDGE = 1.0
thorough = settings(max_examples=20)
counts = st.lists(st.integers(1, 12), min_size=1, max_size=5)
"""How many rows each class has."""


def weights_of(positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """N / (C n) of each row, with C the classes that have rows."""
    counts = np.bincount(positions)
    return len(positions) / np.count_nonzero(counts) / counts[positions]


def losses(
    kernel: NDArray[np.float64], rows: NDArray[np.float32], positions: NDArray[np.int64]
) -> float:
    """The objective, by its definition."""
    logits = rows.astype(np.float64) @ kernel
    own = logits[np.arange(len(rows)), positions]
    total = np.log(np.exp(logits).sum(axis=1)) - own
    return float(weights_of(positions) @ total + RIDGE / 2 * (kernel**2).sum())


def plain_optimum(
    rows: NDArray[np.float32], positions: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """The weights (D, C) that plain gradient descent comes to in very many small steps."""
    wide, weights = rows.astype(np.float64), weights_of(positions)
    truth = np.eye(classes)[positions]
    curvature = np.linalg.eigvalsh((wide * weights[:, None]).T @ wide)[-1] / 2 + RIDGE
    kernel = np.zeros((rows.shape[1], classes))
    for _ in range(10_000):
        powers = np.exp(wide @ kernel)
        excess = powers / powers.sum(axis=1, keepdims=True) - truth
        slope = wide.T @ (weights[:, None] * excess) + RIDGE * kernel
        kernel -= slope / curvature
        if np.abs(slope).max() < 1e-9:
            break
    return kernel


class TestOptimum:
    """Where the steps lead."""

    @thorough
    @given(seeds, st.lists(st.integers(1, 12), min_size=2, max_size=5))
    def test_is_reached(self, seed: int, counts: list[int]) -> None:
        """Many steps come to where plain gradient descent comes to: same loss, same weights."""
        rows, positions = head_problem(seed, counts)
        expected = plain_optimum(rows, positions, len(counts))
        found = solve(rows, positions, range(len(counts)), steps=200).kernel
        best = losses(expected, rows, positions)
        assert losses(found.astype(np.float64), rows, positions) <= best * (1 + 1e-6)
        np.testing.assert_allclose(found, expected, atol=2e-3)

    @pytest.mark.parametrize("classes", [2, 3, 5])
    def test_is_reached_where_classes_overlap(self, classes: int) -> None:
        """Labels given at random, which no weights can tell apart, are no trouble either."""
        random = np.random.default_rng(classes)
        rows, _ = head_problem(7, [60])
        positions = np.concatenate([np.arange(classes), random.integers(0, classes, 60 - classes)])
        best = losses(plain_optimum(rows, positions, classes), rows, positions)
        found = solve(rows, positions, range(classes), steps=400).kernel.astype(np.float64)
        assert losses(found, rows, positions) <= best * (1 + 1e-4)

    @thorough
    @given(seeds, st.lists(st.integers(2, 12), min_size=2, max_size=5))
    def test_the_allowed_steps_are_nearly_there(self, seed: int, counts: list[int]) -> None:
        """The steps a small problem gets leave the loss within one in a hundred of the least."""
        rows, positions = head_problem(seed, counts, noise=0.2)
        found = solve(rows, positions, range(len(counts))).kernel.astype(np.float64)
        best = losses(plain_optimum(rows, positions, len(counts)), rows, positions)
        assert best * (1 - 1e-6) <= losses(found, rows, positions) <= best * 1.01

    def test_the_first_step_is_the_closed_form(self) -> None:
        """One step is least squares on the classes under the bound on the curvature."""
        rows, positions = head_problem(1, [4, 7, 5])
        wide, weights = rows.astype(np.float64), weights_of(positions)
        curvature = (wide * weights[:, None]).T @ wide / 4 + RIDGE * np.eye(WIDTH)
        slope = wide.T @ (weights[:, None] * (np.eye(3)[positions] - 1 / 3))
        found = solve(rows, positions, range(3), steps=1)
        np.testing.assert_allclose(found.kernel, np.linalg.solve(curvature, slope), atol=1e-4)

    def test_tells_classes_apart(self) -> None:
        """Rows that can be told apart are told apart."""
        rows, positions = head_problem(2, [8, 8, 8], noise=0.1)
        named = solve(rows, positions, range(3)).logits(rows).argmax(axis=1)
        np.testing.assert_array_equal(named, positions)

    def test_more_penalty_means_less_weight(self) -> None:
        """The penalty shrinks the weights."""
        rows, positions = head_problem(3, [8, 8, 8])
        lengths = [
            np.linalg.norm(solve(rows, positions, range(3), ridge=ridge).columns)
            for ridge in (0.1, 1.0, 10.0, 100.0)
        ]
        assert lengths == sorted(lengths, reverse=True)


class TestOrder:
    """In which order classes and rows stand."""

    @thorough
    @given(seeds, counts, st.randoms(use_true_random=False))
    def test_of_classes_does_not_matter(
        self, seed: int, counts: list[int], shuffler: st.randoms
    ) -> None:
        """Classes in another order get the same columns, up to rounding, under their keys."""
        rows, positions = head_problem(seed, counts)
        order = list(range(len(counts)))
        shuffler.shuffle(order)
        place = np.argsort(order)
        keys = [10 * label for label in order]
        one = solve(rows, positions, [10 * label for label in range(len(counts))])
        other = solve(rows, place[positions], keys)
        assert other.classes.tolist() == keys
        np.testing.assert_allclose(other.columns, one.columns[order], atol=1e-3)

    @thorough
    @given(seeds, counts)
    def test_of_rows_is_rounding(self, seed: int, counts: list[int]) -> None:
        """Rows in another order change the weights by rounding alone."""
        rows, positions = head_problem(seed, counts)
        shuffled = np.random.default_rng([seed, 1]).permutation(len(rows))
        one = solve(rows, positions, range(len(counts)))
        other = solve(rows[shuffled], positions[shuffled], range(len(counts)))
        np.testing.assert_allclose(other.columns, one.columns, atol=1e-3)

    @thorough
    @given(seeds, counts)
    def test_the_same_twice(self, seed: int, counts: list[int]) -> None:
        """The same descriptors give the same head, to the last bit; keys are names alone."""
        rows, positions = head_problem(seed, counts)
        one = solve(rows, positions, range(len(counts)))
        again = solve(rows.copy(), positions.copy(), range(len(counts)))
        named = solve(rows, positions, [1000 - at for at in range(len(counts))])
        assert one.checksum() == again.checksum()
        assert one.columns.tobytes() == named.columns.tobytes()


class TestBalance:
    """Each class counts alike."""

    @thorough
    @given(seeds, st.lists(st.integers(1, 8), min_size=2, max_size=4))
    def test_all_pictures_twice(self, seed: int, counts: list[int]) -> None:
        """All rows ten times with ten times the penalty is the same problem."""
        rows, positions = head_problem(seed, counts)
        one = solve(rows, positions, range(len(counts)), steps=60)
        ten = solve(
            np.tile(rows, (10, 1)), np.tile(positions, 10), range(len(counts)), ridge=10, steps=60
        )
        np.testing.assert_allclose(ten.columns, one.columns, atol=5e-3)

    def test_a_class_of_many_copies(self) -> None:
        """One class ten times over, for the same total weight, changes next to nothing."""
        rows, positions = head_problem(4, [6, 6, 6], noise=0.2)
        own = positions == 1
        more = np.concatenate([rows, *[rows[own]] * 9])
        places = np.concatenate([positions, *[positions[own]] * 9])
        one = solve(rows, positions, range(3), steps=100)
        ten = solve(more, places, range(3), ridge=len(more) / len(rows), steps=100)
        np.testing.assert_allclose(ten.columns, one.columns, atol=2e-3)
        queries, truth = head_problem(4, [30, 30, 30], noise=0.3)
        drift = np.mean(one.logits(queries).argmax(axis=1) == truth) - np.mean(
            solve(more, places, range(3)).logits(queries).argmax(axis=1) == truth
        )
        assert abs(drift) < 0.05

    @given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
    def test_weights(self, counts: list[int]) -> None:
        """Rows of each class that has any weigh the same together, and all weigh N."""
        positions = np.repeat(np.arange(len(counts)), counts)
        weights = balanced_weights(positions, len(counts))
        present = [label for label, count in enumerate(counts) if count]
        for label in present:
            assert weights[positions == label].sum() == pytest.approx(
                len(positions) / len(present), rel=1e-5
            )


class TestEdges:
    """Next to nothing to learn from."""

    def test_a_class_without_rows(self) -> None:
        """It gets a column in its place that no row prefers."""
        rows, positions = head_problem(5, [4, 4])
        head = solve(rows, 2 * positions, [5, 6, 7])
        assert head.classes.tolist() == [5, 6, 7]
        assert set(head.logits(rows).argmax(axis=1).tolist()) == {0, 2}

    def test_one_class(self) -> None:
        """A class that is alone needs no weights."""
        rows, positions = head_problem(5, [4])
        head = solve(rows, positions, [9])
        assert head.classes.tolist() == [9]
        assert head.columns.tolist() == [[0] * WIDTH]

    def test_one_row_each(self) -> None:
        """A picture of each class is enough to tell them apart."""
        rows, positions = head_problem(6, [1, 1])
        head = solve(rows, positions, [1, 2])
        np.testing.assert_allclose(head.columns[0], -head.columns[1], atol=1e-6)
        np.testing.assert_array_equal(head.logits(rows).argmax(axis=1), positions)

    @pytest.mark.parametrize("classes", [0, 1, 3])
    def test_no_row(self, classes: int) -> None:
        """From nothing nothing is learnt, but the classes have their columns."""
        head = solve(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), range(classes))
        assert (len(head), head.width, bool(head.columns.any())) == (classes, 4, False)

    def test_copies_of_one_picture(self) -> None:
        """The same picture in two classes speaks for neither."""
        row = np.eye(1, WIDTH, dtype=np.float32)
        head = solve(np.repeat(row, 4, axis=0), np.array([0, 0, 1, 1]), [1, 2])
        np.testing.assert_allclose(head.columns, 0, atol=1e-6)

    def test_bias_is_zero(self) -> None:
        """An exact head has no bias, and its weights lie in one piece."""
        head = solve(*head_problem(8, [3, 4, 5]), range(3))
        assert isinstance(head, Head)
        assert head.columns.flags.c_contiguous
        assert not head.bias.any()


@given(st.integers(0, 10**7), st.integers(0, 10**5), st.integers(1, 2000))
def test_allowed_steps(rows: int, classes: int, width: int) -> None:
    """Any problem gets the closed form, small ones all steps, and larger ones never more."""
    steps = allowed_steps(rows, classes, width)
    assert 1 <= steps <= STEPS
    assert steps >= allowed_steps(rows + 1, classes, width)
    assert steps >= allowed_steps(rows, classes + 1, width)
    assert steps == 1 or (steps - 1) * 4 * rows * classes * width <= OPERATIONS
    assert allowed_steps(200, 20, 1280) == STEPS


@pytest.mark.parametrize(
    ("rows", "positions", "why"),
    [
        (np.full((2, 3), np.nan, np.float32), np.array([0, 1]), "finite"),
        (np.full((2, 3), np.inf, np.float32), np.array([0, 1]), "finite"),
        (np.zeros((2, 3), np.float32), np.array([0, 2]), "beyond"),
        (np.zeros((2, 3), np.float32), np.array([-1, 0]), "beyond"),
        (np.zeros((2, 3), np.float32), np.array([0]), "do not fit"),
        (np.zeros((2, 3), np.float32), np.array([[0], [1]]), "do not fit"),
        (np.zeros(3, np.float32), np.array([0, 1, 0]), "do not fit"),
    ],
)
def test_what_is_refused(rows: NDArray[np.float32], positions: NDArray[np.int64], why: str) -> None:
    """Numbers that are not finite, classes that are not there, and shapes that do not fit."""
    with pytest.raises(InvalidInput, match=why):
        solve(rows, positions, [4, 5])


def test_no_class_twice() -> None:
    """A class cannot be learnt in two places."""
    with pytest.raises(InvalidInput, match="two columns"):
        solve(np.eye(2, dtype=np.float32), np.array([0, 1]), [4, 4])


@given(seeds, st.integers(1, 60), st.sampled_from([0.1, 1.0, 10.0]))
@settings(max_examples=25)
def test_few_rows_have_the_inverse_of_many(seed: int, count: int, ridge: float) -> None:
    """What a small matrix gives for few rows is the inverse of the whole curvature."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, 40)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = random.uniform(0.2, 5, count).astype(np.float32)
    curvature = 0.25 * (rows * weights[:, None]).T.astype(np.float64) @ rows + ridge * np.eye(40)
    found = preconditioner(rows, weights, ridge)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found @ curvature, np.eye(40), atol=2e-4)
