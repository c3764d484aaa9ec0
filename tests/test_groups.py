"""Groups of near-duplicates, and how alike strangers are, against plain slow versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from catalog.descriptors import InvalidInput, Prior, to_integers, unit_rows
from catalog.index import groups, near_duplicate_groups, typical_stranger_cosine
from catalog.judging.occasions import occasions

if TYPE_CHECKING:
    from numpy.typing import NDArray

thresholds = st.floats(-0.9, 0.99)


def drawn(seed: int, count: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Random unit rows of width 3, crowded enough to chain, and a class for each."""
    random = np.random.default_rng(seed)
    rows = unit_rows(random.normal(size=(count, 3)).astype(np.float32))
    return rows, random.integers(5, 5 + classes, count)


def degrees(*angles: float) -> NDArray[np.float32]:
    """Points on the unit circle."""
    at = np.radians(angles)
    return np.stack([np.cos(at), np.sin(at)], axis=1).astype(np.float32)


def plain_groups(
    rows: NDArray[np.float32], classes: NDArray[np.int64], threshold: float
) -> list[int]:
    """Walk along links from each item that no walk has reached yet."""
    first = [-1] * len(rows)
    for start in range(len(rows)):
        waiting = [start] if first[start] < 0 else []
        while waiting:
            at = waiting.pop()
            first[at] = start
            waiting += [
                to
                for to in range(len(rows))
                if first[to] < 0 and classes[to] == classes[at] and rows[at] @ rows[to] > threshold
            ]
    return first


class TestNearDuplicateGroups:
    """Single linkage within classes."""

    @given(strategies.seeds, st.integers(0, 40), st.integers(1, 5), thresholds, st.integers(1, 50))
    def test_as_by_walking_along_links(
        self, seed: int, count: int, classes: int, threshold: float, block: int
    ) -> None:
        """Each item gets the first that links within its class lead to, in blocks of any size."""
        rows, labels = drawn(seed, count, classes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(groups, "_BLOCK", block)
            found = near_duplicate_groups(rows, labels, threshold)
        assert found.dtype == np.int64
        assert found.tolist() == plain_groups(rows, labels, threshold)

    @given(strategies.seeds, st.integers(0, 40), st.integers(1, 5), thresholds)
    def test_classes_are_never_mixed(
        self, seed: int, count: int, classes: int, threshold: float
    ) -> None:
        """An item and the first of its group are of one class, and that first is its own first."""
        rows, labels = drawn(seed, count, classes)
        found = near_duplicate_groups(rows, labels, threshold)
        np.testing.assert_array_equal(labels[found], labels)
        np.testing.assert_array_equal(found[found], found)
        assert (found <= np.arange(count)).all()

    @given(strategies.seeds, st.integers(1, 40), st.integers(1, 5), thresholds)
    def test_the_order_does_not_matter(
        self, seed: int, count: int, classes: int, threshold: float
    ) -> None:
        """Shuffled items are in one group if and only if they were in one before."""
        rows, labels = drawn(seed, count, classes)
        order = np.random.default_rng(seed + 1).permutation(count)
        before = near_duplicate_groups(rows, labels, threshold)[order]
        after = near_duplicate_groups(rows[order], labels[order], threshold)
        np.testing.assert_array_equal(before[:, None] == before, after[:, None] == after)

    @given(strategies.seeds, st.integers(0, 40), thresholds, thresholds)
    def test_a_lower_threshold_only_joins(
        self, seed: int, count: int, one: float, other: float
    ) -> None:
        """What is together above one cosine is together above any lower one."""
        rows, labels = drawn(seed, count, 2)
        fine = near_duplicate_groups(rows, labels, max(one, other))
        coarse = near_duplicate_groups(rows, labels, min(one, other))
        np.testing.assert_array_equal(coarse[fine], coarse)

    def test_a_chain_is_one_group(self) -> None:
        """Items that have nothing in common are together if others lead from one to the other."""
        rows = degrees(0, 90, 30, 60)
        assert near_duplicate_groups(rows, np.zeros(4, np.int64), 0.8).tolist() == [0, 0, 0, 0]

    def test_a_chain_through_another_class_is_broken(self) -> None:
        """An item of another class leads nowhere."""
        rows = degrees(0, 30, 60, 90)
        found = near_duplicate_groups(rows, np.array([3, 3, 8, 3]), 0.8)
        assert found.tolist() == [0, 0, 2, 3]

    def test_a_class_of_many_blocks(self) -> None:
        """Two arcs of 1,500 points each, shuffled, are two groups, whatever leads from where."""
        angles = np.concatenate([np.linspace(0, 150, 1500), np.linspace(180, 330, 1500)])
        order = np.random.default_rng(0).permutation(len(angles))
        threshold = float(np.cos(np.radians(0.15)))
        found = near_duplicate_groups(degrees(*angles[order]), np.zeros(3000, np.int64), threshold)
        assert len(np.unique(found)) == 2
        assert (found[order < 1500] == found[order < 1500][0]).all()

    def test_a_link_is_above_the_threshold(self) -> None:
        """A cosine equal to the threshold links nothing."""
        rows = degrees(0, 0)
        assert near_duplicate_groups(rows, np.zeros(2, np.int64), 1.0).tolist() == [0, 1]
        assert near_duplicate_groups(rows, np.zeros(2, np.int64), 0.999).tolist() == [0, 0]

    def test_what_is_given_stays_as_it_is(self) -> None:
        """Rows and classes are not changed."""
        rows, labels = drawn(0, 30, 3)
        copies = rows.copy(), labels.copy()
        near_duplicate_groups(rows, labels, 0.0)
        np.testing.assert_array_equal(rows, copies[0])
        np.testing.assert_array_equal(labels, copies[1])

    @pytest.mark.parametrize("shape", [(3,), (3, 1), (0,)])
    def test_refuses_classes_that_do_not_fit(self, shape: tuple[int, ...]) -> None:
        """There must be one class for each row."""
        with pytest.raises(InvalidInput, match="fit"):
            near_duplicate_groups(degrees(0, 1), np.zeros(shape, np.int64), 0.5)


class TestTypicalStrangerCosine:
    """How alike an item and the most alike item of another class are."""

    @given(
        strategies.seeds,
        st.integers(2, 40),
        st.integers(2, 5),
        st.floats(0, 1),
        st.integers(1, 50),
    )
    def test_as_item_by_item(
        self, seed: int, count: int, classes: int, quantile: float, block: int
    ) -> None:
        """It is the quantile over the items, in blocks of any size."""
        rows, labels = drawn(seed, count, classes)
        labels[:2] = 1, 2
        nearest = [
            max(row @ other for other, theirs in zip(rows, labels, strict=True) if theirs != own)
            for row, own in zip(rows, labels, strict=True)
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(groups, "_BLOCK", block)
            found = typical_stranger_cosine(rows, labels, quantile)
        assert found == pytest.approx(np.quantile(nearest, quantile), abs=1e-6)

    def test_asks_evenly_spaced_items(self) -> None:
        """Of six items, a sample of three asks the first, third and fifth."""
        rows = degrees(0, 10, 90, 120, 200, 250)
        labels = np.array([1, 2, 1, 2, 1, 2])
        found = [
            typical_stranger_cosine(rows, labels, quantile, sample=3) for quantile in (0, 0.5, 1)
        ]
        expected = np.cos(np.radians([50, 30, 10]))
        np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_the_median_is_the_default(self) -> None:
        """Without a quantile it is what half of the items are above."""
        rows, labels = drawn(3, 31, 4)
        assert typical_stranger_cosine(rows, labels) == typical_stranger_cosine(rows, labels, 0.5)

    @pytest.mark.parametrize("count", [0, 1, 5])
    def test_refuses_a_class_alone(self, count: int) -> None:
        """Without a second class there are no strangers, and no number is made up."""
        rows, _ = drawn(0, count, 1)
        with pytest.raises(InvalidInput, match="two classes"):
            typical_stranger_cosine(rows, np.full(count, 4))

    def test_refuses_classes_that_do_not_fit(self) -> None:
        """There must be one class for each row."""
        with pytest.raises(InvalidInput, match="fit"):
            typical_stranger_cosine(degrees(0, 1), np.array([1, 2, 3]))


def test_unlike_pictures_of_a_class_that_stands_apart_are_no_burst() -> None:
    """How far other classes are away says nothing of occasions, where it is known what does."""
    random = np.random.default_rng(3)
    classes = np.repeat([0, 1], 15)
    # Any two pictures of a class have a cosine of .5, and of two classes of 0.
    rows = np.zeros((30, 64))
    rows[np.arange(30), classes] = np.sqrt(0.5)
    rows[np.arange(30), 2 + np.arange(30)] = np.sqrt(0.5)
    rows = np.concatenate([rows, rows + 0.01 * random.normal(size=rows.shape)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    positions, integers = np.tile(classes, 2), to_integers(rows)
    known = occasions(integers, positions, Prior.isotropic(64, alike=0.7))
    assert known.tolist() == [*range(30)] * 2
    guessed = occasions(integers, positions, Prior.isotropic(64))
    assert len(set(guessed.tolist())) == 2
    alone = occasions(integers[:5], positions[:5], Prior.isotropic(64, 0.4))
    assert set(alone.tolist()) == {0}
