"""Answers as functions of a snapshot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from snapshots import HandRows, snapshot_of

from catalog import answers
from catalog.descriptors import Metric, to_floats, to_integers, unit_rows
from catalog.index import FlatIndex
from catalog.learning.snapshot import JudgingSnapshot

WIDTH = 8


def shop_of(
    counts: list[int], random: np.random.Generator, *, moved: float
) -> tuple[JudgingSnapshot, NDArray[np.float32], NDArray[np.int64]]:
    """Classes of so many pictures; the metric has moved so much since the index was made.

    Returns:
        The snapshot, the descriptors float32 (N, WIDTH), and the class int64 (N,) of each.
    """
    labels = np.repeat(np.arange(len(counts)), counts)
    means = random.normal(size=(len(counts), WIDTH))
    spread = random.normal(size=(len(labels), WIDTH))
    made = np.asarray(unit_rows((means[labels] + 0.4 * spread).astype(np.float32)), np.float32)
    rows = to_floats(to_integers(made))
    before = Metric(np.zeros(WIDTH, np.float32), np.eye(WIDTH, dtype=np.float32))
    skew = np.eye(WIDTH) + moved * random.normal(size=(WIDTH, WIDTH)) / WIDTH
    now = Metric(np.zeros(WIDTH, np.float32), np.tril(skew).astype(np.float32))
    snapshot = snapshot_of(
        before,
        FlatIndex(np.arange(len(counts)), before.whiten(rows[np.cumsum(counts) - 1])),
        items=np.arange(len(rows)),
        rows=before.whiten(rows),
        labels=labels,
        names={at: f"class {at}" for at in range(len(counts))},
    )
    if moved:
        snapshot = replace(snapshot, metric=now, is_exact=False)
    return snapshot, rows, labels


def test_a_class_that_was_not_seen_is_behind_those_that_were() -> None:
    """With the last of the classes that are told, the search has gone on to another.

    Of seven classes the nearest items are 46 of one, then one of each of four; the first class by
    name is farther than all of them.
    """
    degrees = [80.0, *([1.0] * 46), 10.0, 20.0, 30.0, 40.0, 70.0]
    labels = np.array([0, *([1] * 46), 2, 3, 4, 5, 6])
    angles = np.radians(degrees)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    plain = Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
    _, first = np.unique(labels, return_index=True)
    snapshot = snapshot_of(
        plain,
        FlatIndex(np.arange(7), rows[first]),
        items=np.arange(len(rows)),
        rows=rows,
        labels=labels,
        names={at: f"class {at}" for at in range(7)},
    )
    fetch = HandRows(np.arange(len(rows)), rows).floats
    (found,) = answers.predict(snapshot, np.array([[1, 0]], np.float32), 5, fetch)
    told = [candidate.label for candidate in found.neighbours]
    assert told == ["class 1", "class 2", "class 3", "class 4", "class 5"]


@given(
    st.lists(st.integers(1, 120), min_size=2, max_size=9),
    st.sampled_from([0.0, 0.02]),
    st.integers(0, 2**32 - 1),
)
def test_the_nearest_of_each_class(counts: list[int], moved: float, seed: int) -> None:
    """However large the classes are, the nearest item of each that is told is the nearest."""
    random = np.random.default_rng(seed)
    snapshot, rows, labels = shop_of(counts, random, moved=moved)
    asked = np.asarray(unit_rows(random.normal(size=(7, WIDTH)).astype(np.float32)), np.float32)
    fetch = HandRows(np.arange(len(rows)), rows).floats
    scores = snapshot.metric.whiten(asked) @ snapshot.metric.whiten(rows).T
    for row, found in zip(
        scores, answers.predict(snapshot, asked, len(counts), fetch), strict=True
    ):
        best = {f"class {at}": float(row[labels == at].max()) for at in range(len(counts))}
        assert {one.label: one.score for one in found.neighbours} == pytest.approx(best, abs=1e-5)


def test_many_at_once_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many are looked up some at a time, which changes nothing in the answers."""
    random = np.random.default_rng(3)
    snapshot, rows, _ = shop_of([90, 40, 3, 1], random, moved=0.02)
    fetch = HandRows(np.arange(len(rows)), rows).floats
    asked = np.asarray(unit_rows(random.normal(size=(50, WIDTH)).astype(np.float32)), np.float32)
    together = answers.predict(snapshot, asked, 4, fetch)
    monkeypatch.setattr(answers, "_AT_ONCE", 7)
    for one, other in zip(together, answers.predict(snapshot, asked, 4, fetch), strict=True):
        assert [near.label for near in one.neighbours] == [near.label for near in other.neighbours]
        assert [near.score for near in one.neighbours] == pytest.approx(
            [near.score for near in other.neighbours], abs=1e-6
        )


def test_few_rows_are_ranked_anew() -> None:
    """To see a class that is far away takes no more rows than may be the nearest of theirs."""
    random = np.random.default_rng(5)
    snapshot, rows, _ = shop_of([3000, 3000, 1], random, moved=0.02)
    hand, fetched = HandRows(np.arange(len(rows)), rows), list[int]()

    def fetch(items: NDArray[np.int64]) -> NDArray[np.float32]:
        fetched.append(len(items))
        return hand.floats(items)

    answers.predict(snapshot, rows[:1], 3, fetch)
    assert sum(fetched) < 600
