"""Draws that stand in for dropped descriptors: where they lie, and how far they scatter."""

from __future__ import annotations

import sys
from subprocess import run
from typing import get_args

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog.descriptors import (
    InvalidInput,
    Metric,
    Prior,
    Sums,
    class_means,
    fit,
    to_floats,
    to_integers,
)
from catalog.head.replay import Replay, draw_gaussian, spreads

WIDTH = 24


def pictures(seed: int, counts: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Draw descriptors of classes, scattered more along some directions and in some classes."""
    random = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(counts)), counts)
    shape = random.normal(size=(WIDTH, WIDTH)) * np.geomspace(1.0, 0.1, WIDTH)[:, None]
    wide = random.uniform(0.3, 1.0, len(counts))[classes]
    rows = 0.5 * random.normal(size=(len(counts), WIDTH))[classes]
    rows += wide[:, None] * (random.normal(size=(len(classes), WIDTH)) @ shape)
    return classes, to_integers(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def learnt(seed: int, counts: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int16], Sums]:
    """Descriptors, and their sums."""
    classes, rows = pictures(seed, counts)
    sums = Sums(WIDTH)
    sums.add(classes, rows)
    return classes, rows, sums


def metric_of(sums: Sums) -> Metric:
    """The metric fitted to sums."""
    return fit(sums, sorted(sums.counts), Prior.isotropic(WIDTH), degrees=20)


@given(strategies.seeds, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_spreads_are_those_of_the_descriptors(seed: int, counts: list[int]) -> None:
    """The spread from sums alone is what a look at every descriptor gives, by its definition."""
    classes, rows, sums = learnt(seed, counts)
    metric, floats = metric_of(sums), to_floats(rows).astype(np.float64)
    means = np.stack([floats[classes == label].mean(axis=0) for label in range(len(counts))])
    away = floats - means[classes]
    plain = (away**2).sum(axis=1)
    whitened = ((away @ metric.transform.T) ** 2).sum(axis=1)
    stretch = whitened.sum() / plain.sum() if max(counts) > 1 else 1
    expected = [plain[classes == label].mean() * stretch for label in range(len(counts))]
    found = spreads(sums, range(len(counts)), metric)
    # A stored descriptor is of unit length to within half an integer step of each component.
    np.testing.assert_allclose(found**2 * WIDTH, expected, atol=2e-3 * max(stretch, 1))


def test_draws_are_as_far_from_their_mean_as_descriptors_are() -> None:
    """Over many pictures, draws have the cosines to their class mean that descriptors have."""
    counts = [60, 80, 100, 120]
    classes, rows, sums = learnt(3, counts)
    metric, order = metric_of(sums), range(len(counts))
    whitened = metric.whiten(to_floats(rows))
    means = metric.project(class_means(sums, order))
    drawn = draw_gaussian(means, spreads(sums, order, metric), 500)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    for label in order:
        real = float((whitened[classes == label] @ unit[label]).mean())
        assert real < 0.9
        assert (drawn[500 * label : 500 * (label + 1)] @ unit[label]).mean() == pytest.approx(
            real, abs=0.04
        )


def test_one_picture_is_repeated() -> None:
    """Nothing is known of how a class of one picture scatters: its draws are that picture."""
    _, rows, sums = learnt(0, [1, 30])
    metric = metric_of(sums)
    means = metric.project(class_means(sums, [0]))
    drawn = draw_gaussian(means, spreads(sums, [0], metric), 3)
    expected = metric.whiten(to_floats(rows[:1]))
    np.testing.assert_allclose(drawn, np.repeat(expected, 3, axis=0), atol=0.02)


@given(st.integers(0, 4), st.integers(0, 5), strategies.seeds)
def test_draws_have_unit_length_and_follow_the_seed(count: int, per_class: int, seed: int) -> None:
    """There are as many as asked for, of unit length, the same for the same seed alone."""
    means = np.random.default_rng(1).normal(size=(count, WIDTH))
    deviations = np.full(count, 0.3)
    drawn = draw_gaussian(means, deviations, per_class, seed=seed)
    assert drawn.shape == (count * per_class, WIDTH)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(drawn, draw_gaussian(means, deviations, per_class, seed=seed))
    if len(drawn):
        assert not np.array_equal(drawn, draw_gaussian(means, deviations, per_class, seed=seed + 1))


@pytest.mark.parametrize(
    ("means", "deviations", "per_class"),
    [
        (np.zeros((2, 3)), np.zeros(3), 1),
        (np.zeros(3), np.zeros(3), 1),
        (np.full((1, 3), np.nan), np.zeros(1), 1),
        (np.zeros((1, 3)), np.array([np.inf]), 1),
        (np.zeros((1, 3)), np.array([-0.1]), 1),
        (np.zeros((1, 3)), np.zeros(1), -1),
    ],
)
def test_bad_draws_are_refused(
    means: NDArray[np.float64], deviations: NDArray[np.float64], per_class: int
) -> None:
    """Shapes that do not fit, numbers that are not finite and negative ones are refused."""
    with pytest.raises(InvalidInput):
        draw_gaussian(means, deviations, per_class)


def test_spreads_of_what_is_not_there_are_refused() -> None:
    """A class without descriptors and a metric of another width are refused."""
    _, _, sums = learnt(0, [3, 3])
    with pytest.raises(InvalidInput, match="does not fit"):
        spreads(sums, [0, 7], metric_of(sums))
    other = Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
    with pytest.raises(InvalidInput, match="does not fit"):
        spreads(sums, [0], other)


def test_drawing_needs_no_tensorflow() -> None:
    """All kinds of replay are named, and none is imported with TensorFlow."""
    assert get_args(Replay) == ("stored", "gaussian", "gan", "none")
    code = (
        "import sys, catalog.head.replay, catalog.head.document, catalog.head.gan;"
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
