"""The exact index: NumPy's answers, and a refusal where FAISS would take anything."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, Prior, Sums, class_means, fit, unit_rows
from catalog.index import FlatIndex, centroids, flat

WIDTH = 8


def rows_of(seed: int, count: int, width: int = WIDTH) -> NDArray[np.float32]:
    """Draw random unit rows."""
    normal = np.random.default_rng(seed).normal(size=(count, width))
    return unit_rows(normal.astype(np.float32))


def keys_of(seed: int, count: int) -> NDArray[np.int64]:
    """Draw distinct keys in no order, large ones among them."""
    drawn = np.random.default_rng(seed).choice(10 * count + 1, count, replace=False)
    return drawn.astype(np.int64) * 2**40


@pytest.fixture
def threads() -> Iterator[int]:
    """A number of OpenMP threads that is neither 1 nor what the machine has."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    yield 3
    faiss.omp_set_num_threads(before)


@given(strategies.seeds, st.integers(1, 60), st.integers(1, 40), st.integers(1, 70))
def test_answers_as_numpy_does(seed: int, count: int, queries: int, k: int) -> None:
    """Keys and scores are those of a brute-force search, however many queries there are."""
    keys, rows, asked = keys_of(seed, count), rows_of(seed, count), rows_of(seed + 1, queries)
    scores, found = FlatIndex(keys, rows).search(asked, k)
    exact = asked.astype(np.float64) @ rows.T.astype(np.float64)
    best = np.sort(exact, axis=1)[:, ::-1][:, :k]
    assert scores.shape == found.shape == (queries, min(k, count))
    assert scores.dtype == np.float32
    assert found.dtype == np.int64
    np.testing.assert_allclose(scores, best, atol=1e-6)
    position = {key: at for at, key in enumerate(keys.tolist())}
    columns = np.vectorize(position.__getitem__)(found)
    np.testing.assert_allclose(np.take_along_axis(exact, columns, axis=1), best, atol=1e-6)
    assert all(len(set(row)) == len(row) for row in found.tolist())


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[list[int], int]]:
    """What becomes of an index, time after time: which rows leave it, and how many join."""
    step = st.tuples(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 10))
    return draw(st.lists(step, min_size=1, max_size=4))


@given(
    seed=strategies.seeds,
    count=st.integers(0, 20),
    history=histories(),
    k=st.integers(1, 50),
    anew=st.booleans(),
)
def test_changed_is_as_if_made_anew(
    seed: int, count: int, history: list[tuple[list[int], int]], k: int, *, anew: bool
) -> None:
    """An index that rows left and joined is the one of what is left; those of before are spared."""
    total = count + sum(joining for _, joining in history)
    keys, rows, asked = keys_of(seed, total), rows_of(seed, total), rows_of(seed + 1, 3)
    present = np.arange(count)
    index, used = FlatIndex(keys[:count], rows[:count]), count
    with pytest.MonkeyPatch.context() as patch:
        if not anew:  # rows in FAISS are shared, however few are left of them
            patch.setattr(flat, "_MOST_JOINED", 1e9)
        for leaving, joining in history:
            gone = np.array([at for at in set(leaving) if at < used], np.int64)
            before = index.search(asked, k)
            new = np.arange(used, used + joining)
            changed = index.changed(keys[gone], keys[new], rows[new])
            for one, other in zip(before, index.search(asked, k), strict=True):
                np.testing.assert_array_equal(one, other)
            index, used = changed, used + joining
            present = np.concatenate([np.setdiff1d(present, gone, assume_unique=True), new])
            fresh = FlatIndex(keys[present], rows[present])
            assert len(index) == len(fresh)
            np.testing.assert_array_equal(index.keys, fresh.keys)
            np.testing.assert_array_equal(index.rows, fresh.rows)
            np.testing.assert_allclose(
                index.search(asked, k)[0], fresh.search(asked, k)[0], atol=1e-6
            )
            found, expected = (np.sort(one.search(asked, 99)[1]) for one in (index, fresh))
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("queries", [0, 1, 40])
def test_an_empty_index_finds_nothing(queries: int) -> None:
    """With no rows there are no answers, and one empty row for each query."""
    index = FlatIndex(np.zeros(0, np.int64), np.zeros((0, WIDTH), np.float32))
    scores, keys = index.search(rows_of(0, queries), 5)
    assert scores.shape == keys.shape == (queries, 0)
    assert len(index) == 0
    assert index.rows.shape == (0, WIDTH)


def test_no_queries_have_no_answers() -> None:
    """An empty batch of queries is no mistake."""
    scores, keys = FlatIndex(keys_of(0, 9), rows_of(0, 9)).search(rows_of(0, 0), 5)
    assert scores.shape == keys.shape == (0, 5)


@pytest.mark.parametrize("queries", [1, 15, 16, 64])
def test_leaves_the_threads_as_they_were(threads: int, queries: int) -> None:
    """Other users of OpenMP in the process find as many threads after a search as before."""
    FlatIndex(keys_of(0, 30), rows_of(0, 30)).search(rows_of(1, queries), 3)
    assert faiss.omp_get_max_threads() == threads


def test_leaves_the_threads_as_they_were_after_a_failure(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that fails inside FAISS gives the threads back as well."""
    index = FlatIndex(keys_of(0, 3), rows_of(0, 3))

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(index._index, "search", fail)
    with pytest.raises(RuntimeError):
        index.search(rows_of(1, 1), 1)
    assert faiss.omp_get_max_threads() == threads


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ([4, 5, 4], "distinct"),
        ([0, -1, 2], "negative"),
        ([0, 1], "fit"),
        ([0, 1, 2, 3], "fit"),
        ([[0], [1], [2]], "fit"),
    ],
)
def test_refuses_bad_keys(keys: list[int], complaint: str) -> None:
    """Keys that repeat, are negative, or are not one for each row are refused."""
    with pytest.raises(InvalidInput, match=complaint):
        FlatIndex(np.array(keys, np.int64), rows_of(0, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_numbers_that_are_none(value: float) -> None:
    """A row or query with a component that is not finite is refused."""
    rows = rows_of(0, 3)
    index = FlatIndex(np.arange(3), rows.copy())
    rows[1, 2] = value
    with pytest.raises(InvalidInput, match="finite"):
        FlatIndex(np.arange(3), rows)
    with pytest.raises(InvalidInput, match="finite"):
        index.search(rows, 1)


@pytest.mark.parametrize("shape", [(2, WIDTH - 1), (2, WIDTH + 1), (WIDTH,), (1, 1, WIDTH)])
def test_refuses_queries_of_another_shape(shape: tuple[int, ...]) -> None:
    """A query of another length, or one that is not in a table, is refused in words."""
    with pytest.raises(InvalidInput, match=f"{WIDTH}"):
        FlatIndex(np.arange(3), rows_of(0, 3)).search(np.ones(shape, np.float32), 1)


def test_refuses_rows_of_another_shape() -> None:
    """Rows must be a table, and those that join an index as wide as those in it."""
    with pytest.raises(InvalidInput):
        FlatIndex(np.arange(WIDTH), rows_of(0, 1)[0])
    index = FlatIndex(np.arange(3), rows_of(0, 3))
    with pytest.raises(InvalidInput):
        index.changed(np.zeros(0, np.int64), np.array([7]), rows_of(1, 1, WIDTH + 1))


def test_refuses_a_key_that_is_there_already() -> None:
    """A row may join only under a key that the index does not have."""
    index = FlatIndex(np.arange(3), rows_of(0, 3))
    with pytest.raises(InvalidInput, match="distinct"):
        index.changed(np.zeros(0, np.int64), np.array([2]), rows_of(1, 1))


@pytest.mark.parametrize("k", [0, -3])
def test_refuses_to_find_less_than_one(k: int) -> None:
    """Asking for no neighbours is a mistake, in an empty index too."""
    for count in (0, 3):
        with pytest.raises(InvalidInput, match="at least 1"):
            FlatIndex(keys_of(0, count), rows_of(0, count)).search(rows_of(1, 1), k)


@given(strategies.seeds, st.integers(0, 6), strategies.priors(WIDTH))
def test_centroids_are_whitened_means(seed: int, classes: int, prior: Prior) -> None:
    """The centroid index has one unit row a class, its whitened mean, under the class's id."""
    rows = np.rint(rows_of(seed, 3 * classes) * 16384).astype(np.int16)
    sums = Sums(WIDTH)
    sums.add(np.arange(3 * classes) % max(classes, 1) + 10, rows)
    order = sorted(sums.counts, reverse=True)
    metric = fit(sums, order, prior)
    found = centroids(sums, order, metric)
    assert found.keys.tolist() == order
    np.testing.assert_array_equal(found.rows, metric.whiten(class_means(sums, order)))
