"""What head, centroids and nearest items say: each against plain, slow Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from strategies import seeds

from catalog.descriptors import Metric
from catalog.head import Head
from catalog.judging.ranking import first_best
from catalog.judging.witnesses import (
    HEAD_SHARE,
    NearestOfClass,
    Witnesses,
    head_scores,
    margins,
)

cosines = st.floats(-1, 1, width=32) | st.sampled_from([-1.0, 0.0, 0.5, 1.0])


@st.composite
def tables(draw: st.DrawFn, *, least: int = 1, queries: int | None = None) -> NDArray[np.float32]:
    """Scores float32 (Q, C) of at least one query, ties among them."""
    rows = draw(st.integers(1, 5)) if queries is None else queries
    columns = draw(st.integers(least, 6))
    return draw(arrays(np.float32, (rows, columns), elements=cosines))


@st.composite
def some_witnesses(draw: st.DrawFn, *, least: int = 1) -> Witnesses:
    """Witnesses of a few queries and classes, with a head or without."""
    centroid = draw(tables(least=least))
    same = arrays(np.float32, centroid.shape, elements=cosines)
    return Witnesses(centroid, draw(st.none() | same), draw(same), draw(st.none() | st.just(12.5)))


@st.composite
def scored(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores, and a class for each query."""
    scores = draw(tables())
    classes = arrays(np.int64, len(scores), elements=st.integers(0, scores.shape[1] - 1))
    return scores, draw(classes)


def best_of_class(
    scores: NDArray[np.float32], positions: NDArray[np.int64], classes: int
) -> NDArray[np.float32]:
    """The best of items that come three at a time."""
    seen = NearestOfClass(len(scores), classes)
    for start in range(0, len(positions), 3):
        seen.see(scores[:, start : start + 3], positions[start : start + 3])
    return seen.scores


class TestBestOfClass:
    """The nearest item of each class."""

    @given(tables(), st.integers(1, 7), st.data())
    def test_by_definition(
        self, scores: NDArray[np.float32], classes: int, data: st.DataObject
    ) -> None:
        """It is the best score of the class's items, or the worst of all where it has none."""
        positions = data.draw(
            arrays(np.int64, scores.shape[1], elements=st.integers(0, classes - 1))
        )
        found = best_of_class(scores, positions, classes)
        assert found.shape == (len(scores), classes)
        for row, best in zip(scores.tolist(), found.tolist(), strict=True):
            for label in range(classes):
                own = [s for s, at in zip(row, positions.tolist(), strict=True) if at == label]
                assert best[label] == max(own, default=min(row))

    def test_no_query(self) -> None:
        """Without a query there is a row for none."""
        found = best_of_class(np.zeros((0, 3), np.float32), np.array([0, 1, 1]), 2)
        assert found.shape == (0, 2)


class TestMargins:
    """How far a class is ahead."""

    @given(scored())
    def test_by_definition(self, case: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
        """It is the class's score less the best other one, or all of it where it is alone."""
        scores, classes = case
        before = scores.copy()
        for row, label, margin in zip(
            scores, classes.tolist(), margins(scores, classes), strict=True
        ):
            others = np.delete(row, label)
            assert margin == (row[label] - others.max() if len(others) else row[label])
        np.testing.assert_array_equal(scores, before)

    @given(tables(least=2))
    def test_of_the_first_class(self, scores: NDArray[np.float32]) -> None:
        """The class with the highest score alone is never behind, and any other never ahead."""
        best = scores.argmax(axis=1)
        assert (margins(scores, best) >= 0).all()
        for label in range(scores.shape[1]):
            others = best != label
            assert (margins(scores, np.full(len(scores), label))[others] <= 0).all()


class TestWitnesses:
    """What they come to together."""

    @given(some_witnesses())
    def test_by_definition(self, witnesses: Witnesses) -> None:
        """Fused scores, familiarity and names follow from the scores of each witness."""
        head = witnesses.head
        assert witnesses.familiarity.tolist() == [max(row) for row in witnesses.centroid.tolist()]
        assert witnesses.fused.dtype == np.float32
        if head is None:
            assert witnesses.fused is witnesses.centroid is witnesses.head_or_centroid
            assert len(witnesses.named) == 2
        else:
            expected = witnesses.centroid.astype(np.float64) + HEAD_SHARE * head
            np.testing.assert_allclose(witnesses.fused, expected, atol=1e-6)
            assert witnesses.head_or_centroid is head
            np.testing.assert_array_equal(witnesses.named[1], first_best(head))
        np.testing.assert_array_equal(witnesses.named[0], first_best(witnesses.centroid))
        np.testing.assert_array_equal(witnesses.named[-1], first_best(witnesses.neighbours))
        silent = witnesses.without_head
        assert silent.head is None
        assert (silent.centroid, silent.neighbours) == (witnesses.centroid, witnesses.neighbours)

    @given(some_witnesses(), st.data())
    def test_parts_and_stacks(self, witnesses: Witnesses, data: st.DataObject) -> None:
        """Some queries and the others, one after another, are all of them."""
        taken = data.draw(arrays(np.bool_, len(witnesses.centroid)))
        parts = [witnesses.of(taken), witnesses.of(~taken)]
        order = np.concatenate([np.flatnonzero(taken), np.flatnonzero(~taken)])
        stacked = Witnesses.stacked(parts)
        np.testing.assert_array_equal(stacked.centroid, witnesses.centroid[order])
        np.testing.assert_array_equal(stacked.neighbours, witnesses.neighbours[order])
        assert (stacked.head is None) == (witnesses.head is None)
        if stacked.head is not None and witnesses.head is not None:
            np.testing.assert_array_equal(stacked.head, witnesses.head[order])

    @given(some_witnesses())
    def test_the_scale_is_kept(self, witnesses: Witnesses) -> None:
        """What turns scores back into logits goes with the queries, in parts and in stacks."""
        assert Witnesses.stacked([witnesses, witnesses]).logit_scale == witnesses.logit_scale
        everyone = np.ones(len(witnesses.centroid), np.bool_)
        assert witnesses.of(everyone).logit_scale == witnesses.logit_scale

    @given(some_witnesses(least=2), st.data())
    def test_without_its_class(self, witnesses: Witnesses, data: st.DataObject) -> None:
        """A query's class is below all others of its row then, and no other score changes."""
        shape = witnesses.centroid.shape
        classes = data.draw(arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
        left = witnesses.without(classes)
        assert (left.head is None) == (witnesses.head is None)
        pairs = [(witnesses.centroid, left.centroid), (witnesses.neighbours, left.neighbours)]
        if witnesses.head is not None and left.head is not None:
            pairs.append((witnesses.head, left.head))
        for before, after in pairs:
            for row, masked, label in zip(before, after, classes.tolist(), strict=True):
                assert masked[label] < row.min()
                np.testing.assert_array_equal(np.delete(masked, label), np.delete(row, label))

    @given(tables(least=2), st.data())
    def test_nobody_names_what_is_not_there(
        self, centroid: NDArray[np.float32], data: st.DataObject
    ) -> None:
        """A class that is not there is named by nobody, unless all others are equally bad."""
        shape = centroid.shape
        classes = data.draw(arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
        left = Witnesses(centroid, None, centroid).without(classes)
        for row, label, named in zip(
            np.round(centroid, 6), classes.tolist(), left.named[0].tolist(), strict=True
        ):
            others = np.delete(row, label)
            assert named != label or others.max() == row.min()


class TestHeadScores:
    """A head's logits, in the units of a cosine."""

    @given(seeds, st.integers(1, 6), st.integers(0, 6), st.integers(1, 5))
    def test_by_definition(self, seed: int, classes: int, columns: int, queries: int) -> None:
        """A class has its logit over the scale, or, without a column, its centroid's cosine."""
        random = np.random.default_rng(seed)
        keys = random.permutation(10)
        order = keys[:classes].tolist()
        head = Head(
            random.permutation(10)[:columns].astype(np.int64),
            (5 * random.normal(size=(columns, 4))).astype(np.float32),
            random.normal(size=columns).astype(np.float32),
        )
        metric = Metric(
            random.normal(size=4).astype(np.float32),
            np.tril(random.normal(size=(4, 4))).astype(np.float32),
        )
        rows = random.normal(size=(queries, 4)).astype(np.float32)
        centroid = random.normal(size=(queries, classes)).astype(np.float32)
        before = centroid.copy()
        found = head_scores(head, metric.whiten(rows), order, centroid)
        logits = head.logits(metric.whiten(rows))
        for at, label in enumerate(order):
            if label in head.classes:
                column = head.classes.tolist().index(label)
                expected = logits[:, column] / head.scale
            else:
                expected = centroid[:, at]
            np.testing.assert_allclose(found[:, at], expected, rtol=1e-5, atol=1e-6)
        assert (found.shape, found.dtype) == ((queries, classes), np.float32)
        np.testing.assert_array_equal(centroid, before)

    def test_an_empty_head_stands_aside(self) -> None:
        """A head of no class leaves every class its centroid's cosine."""
        metric = Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
        centroid = np.array([[0.5, 0.25]], np.float32)
        rows = metric.whiten(np.ones((1, 2), np.float32))
        found = head_scores(Head.empty(2), rows, [3, 1], centroid)
        np.testing.assert_array_equal(found, centroid)

    def test_by_hand(self) -> None:
        """Columns of length 2: the logit 2 x 0.6 is 0.6 in the units of a cosine."""
        metric = Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
        head = Head(
            np.array([8, 4]), np.array([[2, 0], [0, 2]], np.float32), np.zeros(2, np.float32)
        )
        rows = np.array([[3, 4]], np.float32)
        found = head_scores(head, metric.whiten(rows), [4, 6, 8], np.zeros((1, 3), np.float32))
        assert found.tolist() == [pytest.approx([0.8, 0, 0.6])]
