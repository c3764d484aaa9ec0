"""The metric: what it learns from the sums, and what it starts from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog.descriptors import (
    SCALE,
    InvalidInput,
    Metric,
    Prior,
    Sums,
    class_means,
    fit,
    to_integers,
    unit_rows,
)
from catalog.descriptors.whitening import (
    ISOTROPIC_SHARE,
    PRIOR_DEGREES,
    PRIOR_PICTURES,
    inverse_of_lower,
)

WIDTH = 6
some_priors = strategies.priors(WIDTH)


def summed(classes: NDArray[np.int64], rows: NDArray[np.int16]) -> Sums:
    """Add descriptors up."""
    sums = Sums(rows.shape[1])
    sums.add(classes, rows)
    return sums


def scatter_of(metric: Metric) -> NDArray[np.float64]:
    """Recover the scatter that a metric makes even."""
    inverse = np.linalg.inv(metric.transform.astype(np.float64))
    return inverse @ inverse.T


def pictures(seed: int, count: int, classes: int, width: int = WIDTH) -> NDArray[np.int16]:
    """Draw descriptors of classes in turn, scattered far more along some directions."""
    random = np.random.default_rng(seed)
    spread = random.normal(size=(width, width)) * np.geomspace(1.0, 0.05, width)[:, None]
    centres = random.normal(size=(classes, width))
    rows = centres[np.arange(count) % classes] + 0.3 * random.normal(size=(count, width)) @ spread
    return to_integers(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@given(strategies.labelled_rows(WIDTH), some_priors)
def test_agrees_with_the_definition(
    batch: tuple[NDArray[np.int64], NDArray[np.int16]], prior: Prior
) -> None:
    """The metric is what the formula gives when it is worked out picture by picture in NumPy."""
    classes, integers = batch
    rows = integers / SCALE
    order = np.unique(classes).tolist()
    within = np.zeros((WIDTH, WIDTH))
    for label in order:
        away = rows[classes == label] - rows[classes == label].mean(axis=0)
        within += away.T @ away
    degrees = len(rows) - len(order)
    scatter = prior.scatter()
    if np.trace(within) > 1e-9 * degrees:
        estimate = within * WIDTH / np.trace(within)
        scatter = (degrees * estimate + PRIOR_DEGREES * scatter) / (degrees + PRIOR_DEGREES)
    mean = (rows.sum(axis=0) + PRIOR_PICTURES * prior.mean) / (len(rows) + PRIOR_PICTURES)

    metric = fit(summed(classes, integers), order, prior)
    expected = np.linalg.inv(np.linalg.cholesky(scatter))
    np.testing.assert_allclose(metric.transform, expected, atol=2e-6)
    np.testing.assert_allclose(metric.mean, mean, atol=1e-6)
    assert metric.mean.dtype == metric.transform.dtype == np.float32
    assert np.array_equal(metric.transform, np.tril(metric.transform))


@given(some_priors, strategies.seeds)
def test_scores_are_cosines_under_the_inverse_scatter(prior: Prior, seed: int) -> None:
    """The inner product of whitened rows is the cosine of the rows under the inverse scatter."""
    rows = pictures(seed, 12, 3)
    metric = fit(summed(np.arange(12) % 3, rows), [0, 1, 2], prior)
    floats = rows[:5].astype(np.float32) / np.float32(SCALE)
    away = floats.astype(np.float64) - metric.mean
    product = away @ np.linalg.solve(scatter_of(metric), away.T)
    lengths = np.sqrt(np.diag(product))
    whitened = metric.whiten(floats)
    assert whitened.dtype == np.float32
    np.testing.assert_allclose(
        whitened @ whitened.T, product / np.outer(lengths, lengths), atol=1e-4
    )
    np.testing.assert_allclose(np.linalg.norm(whitened, axis=1), 1, atol=1e-6)


@given(some_priors, strategies.seeds, st.permutations(range(4)))
def test_order_of_classes_is_rounding_alone(prior: Prior, seed: int, order: list[int]) -> None:
    """Classes in another order give the same metric to within float32."""
    sums = summed(np.arange(20) % 4, pictures(seed, 20, 4))
    one, other = fit(sums, [0, 1, 2, 3], prior), fit(sums, order, prior)
    np.testing.assert_allclose(one.transform, other.transform, atol=1e-6)
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-6)


@given(some_priors, strategies.seeds, st.permutations(range(20)), st.permutations(range(4)))
def test_history_leaves_no_bit_of_trace(
    prior: Prior, seed: int, arrival: list[int], ids: list[int]
) -> None:
    """Whatever the order of arrival and the ids, classes in the same order give the same bits."""
    rows, classes = pictures(seed, 20, 4), np.arange(20) % 4
    one = fit(summed(classes, rows), [0, 1, 2, 3], prior)
    other = fit(summed(np.array(ids)[classes[arrival]], rows[arrival]), ids, prior)
    assert np.array_equal(one.transform, other.transform)
    assert np.array_equal(one.mean, other.mean)


@given(some_priors)
def test_an_empty_catalogue_has_the_prior(prior: Prior) -> None:
    """Without a picture the mean and the scatter are the prior's."""
    metric = fit(Sums(WIDTH), [], prior)
    np.testing.assert_array_equal(metric.mean, prior.mean)
    np.testing.assert_allclose(scatter_of(metric), prior.scatter(), atol=1e-4)


@given(some_priors, st.integers(1, 7), strategies.seeds)
def test_one_picture_a_class_teaches_no_scatter(prior: Prior, classes: int, seed: int) -> None:
    """While each class has one picture, the transform is the prior's to the bit."""
    sums = summed(np.arange(classes), pictures(seed, classes, classes))
    metric = fit(sums, range(classes), prior)
    assert np.array_equal(metric.transform, fit(Sums(WIDTH), [], prior).transform)


@given(some_priors, strategies.unit_rows(WIDTH, most=1), st.integers(2, 9))
def test_copies_of_one_picture_teach_no_scatter(
    prior: Prior, row: NDArray[np.float64], copies: int
) -> None:
    """A class of pictures with one and the same descriptor leaves the prior's transform."""
    rows = np.repeat(to_integers(row), copies, axis=0)
    metric = fit(summed(np.zeros(copies, np.int64), rows), [0], prior)
    assert np.array_equal(metric.transform, fit(Sums(WIDTH), [], prior).transform)


@given(some_priors, strategies.seeds, st.integers(1, 4))
def test_each_picture_moves_the_metric_by_its_share(prior: Prior, seed: int, classes: int) -> None:
    """From none to many pictures, none moves the scatter more than its part in it can explain."""
    rows, labels = pictures(seed, 40, classes), np.arange(40) % classes
    sums = Sums(WIDTH)
    scatter, spread, weight = prior.scatter(), 0.0, 0.0
    for number in range(len(rows)):
        sums.add(labels[[number]], rows[[number]])
        moved = scatter_of(fit(sums, sorted(sums.counts), prior))
        degrees = len(sums) - len(sums.counts)
        wider, heavier = spread_of(sums), degrees / (degrees + PRIOR_DEGREES)
        # Two scatters of trace D are at most 2 D apart in the nuclear norm.
        share = (wider - spread) / wider if degrees else 0.0
        most = 2 * WIDTH * (heavier * share + heavier - weight)
        assert np.linalg.norm(moved - scatter, "nuc") <= most + 1e-4
        scatter, spread, weight = moved, wider, heavier


def spread_of(sums: Sums) -> float:
    """Work out the trace of the scatter within classes, not divided by anything."""
    squares = (total @ total / sums.counts[label] for label, total in sums.totals.items())
    return float(np.trace(sums.gram) - sum(squares)) / SCALE**2


@settings(max_examples=10)
@given(some_priors, strategies.seeds)
def test_many_pictures_make_the_scatter_even(prior: Prior, seed: int) -> None:
    """With many pictures the whitened scatter within classes is the same in all directions."""
    classes, count = 20, 60_000
    rows, labels = pictures(seed, count, classes), np.arange(count) % classes
    metric = fit(summed(labels, rows), range(classes), prior)
    floats = rows.astype(np.float64) / SCALE

    def unevenness(vectors: NDArray[np.floating]) -> float:
        means = np.stack([vectors[labels == label].mean(axis=0) for label in range(classes)])
        away = vectors - means[labels]
        spectrum = np.linalg.eigvalsh(away.T @ away)
        return float(spectrum[-1] / spectrum[0])

    assert unevenness(floats) > 10
    assert unevenness(metric.project(floats)) < 2


@given(some_priors)
def test_the_scatter_of_a_prior_can_be_inverted(prior: Prior) -> None:
    """A prior's scatter is symmetric, has trace D, and no direction without its even share."""
    scatter = prior.scatter()
    assert np.trace(scatter) == pytest.approx(WIDTH)
    np.testing.assert_allclose(scatter, scatter.T, atol=1e-12)
    assert np.linalg.eigvalsh(scatter)[0] > ISOTROPIC_SHARE - 1e-6


def test_the_scatter_of_a_prior_has_its_shape() -> None:
    """Along its directions a prior's scatter has their variances, and the residual elsewhere."""
    prior = Prior(
        np.zeros(3, np.float32), np.eye(1, 3, dtype=np.float32), np.float32([7.0]), residual=1.0
    )
    shaped = np.diag([7.0, 1.0, 1.0]) / 3
    expected = (1 - ISOTROPIC_SHARE) * shaped + ISOTROPIC_SHARE * np.eye(3)
    np.testing.assert_allclose(prior.scatter(), expected)


def test_the_isotropic_prior_changes_nothing() -> None:
    """A catalogue that nothing is known of compares descriptors as they are."""
    prior = Prior.isotropic(WIDTH)
    assert prior.width == WIDTH
    np.testing.assert_allclose(prior.scatter(), np.eye(WIDTH), atol=1e-12)
    metric = fit(Sums(WIDTH), [], prior)
    rows = unit_rows(np.random.default_rng(0).normal(size=(5, WIDTH)).astype(np.float32))
    np.testing.assert_allclose(metric.whiten(rows), rows, atol=1e-6)


@given(strategies.priors(WIDTH).filter(lambda prior: len(prior.variances) > 0), st.data())
def test_the_digest_sees_every_number(prior: Prior, data: st.DataObject) -> None:
    """The smallest change of any number of a prior changes its digest."""
    name = data.draw(st.sampled_from(["mean", "directions", "variances"]))
    changed = getattr(prior, name).copy()
    at = tuple(data.draw(st.integers(0, side - 1)) for side in changed.shape)
    changed[at] = np.nextafter(changed[at], np.float32(100))
    twin = replace(prior, mean=prior.mean.copy())
    assert twin.digest == prior.digest
    assert replace(prior, **{name: changed}).digest != prior.digest
    assert replace(prior, residual=np.nextafter(prior.residual, 2.0)).digest != prior.digest


def test_a_descriptor_equal_to_the_mean_scores_nothing() -> None:
    """The mean itself is whitened to zeros, not to NaN."""
    metric = fit(Sums(WIDTH), [], Prior.isotropic(WIDTH))
    assert not metric.whiten(metric.mean[None]).any()


@given(strategies.labelled_rows(WIDTH))
def test_class_means_are_means(batch: tuple[NDArray[np.int64], NDArray[np.int16]]) -> None:
    """Each row is the mean of its class's descriptors, in the order that was asked for."""
    classes, rows = batch
    order = np.unique(classes)[::-1].tolist()
    means = class_means(summed(classes, rows), order)
    assert means.shape == (len(order), WIDTH)
    for mean, label in zip(means, order, strict=True):
        np.testing.assert_allclose(mean, rows[classes == label].mean(axis=0) / SCALE, atol=1e-12)


@pytest.mark.parametrize(
    ("order", "width"),
    [([1], WIDTH), ([1, 2, 3], WIDTH), ([1, 2], WIDTH + 1)],
    ids=["a class left out", "a class too many", "a prior of another width"],
)
def test_refuses_what_does_not_fit(order: list[int], width: int) -> None:
    """Sums, order and prior must be of the same classes and width."""
    sums = summed(np.array([1, 2]), pictures(0, 2, 2))
    with pytest.raises(InvalidInput):
        fit(sums, order, Prior.isotropic(width))


@given(st.integers(0, 2**32), st.sampled_from([1, 7, 128, 129, 300]), st.floats(0, 3))
@settings(max_examples=15)
def test_the_inverse_by_halves(seed: int, size: int, decades: float) -> None:
    """It is the inverse, whatever the size, and as near to it as a general one comes."""
    rows = np.random.default_rng(seed).normal(size=(2 * size, size))
    rows *= np.logspace(0, -decades, size)
    lower = np.linalg.cholesky(rows.T @ rows / size + 1e-8 * np.eye(size))
    inverse = inverse_of_lower(lower)
    np.testing.assert_allclose(inverse, np.linalg.inv(lower), rtol=1e-9, atol=1e-9 * 10**decades)
    assert (np.triu(inverse, 1) == 0).all()
    np.testing.assert_allclose(lower @ inverse, np.eye(size), atol=1e-9)
