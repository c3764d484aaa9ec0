"""The item index: exact under the current metric, whichever metric its rows are whitened with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import strategies
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from inside import computed
from numpy.typing import NDArray

from catalog import Catalog
from catalog.descriptors import Metric, Prior, Sums, fit, to_floats, to_integers
from catalog.index import FlatIndex, ItemIndex, items
from catalog.learning.learning import Learning

WIDTH = 8
CLASSES = 5


class Gallery:
    """Random items of a few classes, and the metric learnt from any of them."""

    def __init__(self, seed: int, count: int) -> None:
        random = np.random.default_rng(seed)
        rows = random.normal(size=(CLASSES, WIDTH))[np.arange(count) % CLASSES]
        rows = rows + random.normal(size=(count, WIDTH)) * np.geomspace(0.1, 1.0, WIDTH)
        self.ids = np.sort(random.choice(10 * count, count, replace=False))
        self.integers = to_integers(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        self.rows = to_floats(self.integers)
        self.queries = self.rows[:7] + random.normal(0, 0.05, (7, WIDTH)).astype(np.float32)

    def metric(self, those: NDArray[np.bool_] | slice) -> Metric:
        """Learn from some of the items."""
        sums = Sums(WIDTH)
        sums.add((np.arange(len(self.ids)) % CLASSES)[those], self.integers[those])
        return fit(sums, sorted(sums.counts), Prior.isotropic(WIDTH))

    def build(self, those: NDArray[np.bool_] | slice) -> ItemIndex:
        """Begin an epoch with some of the items."""
        metric = self.metric(those)
        return ItemIndex(metric, FlatIndex(self.ids[those], metric.whiten(self.rows[those])))


@given(strategies.seeds, st.integers(1, 80), st.integers(1, 100))
def test_answers_as_numpy_does(seed: int, count: int, k: int) -> None:
    """Under the metric of its epoch the index gives NumPy's answers."""
    gallery = Gallery(seed, max(count, 7))
    index = gallery.build(slice(None))
    scores, ids = index.search(gallery.queries, k)
    whitened = index.epoch.whiten(gallery.queries).astype(np.float64)
    exact = whitened @ index.epoch.whiten(gallery.rows).T.astype(np.float64)
    np.testing.assert_allclose(scores, np.sort(exact)[:, ::-1][:, :k], atol=1e-6)
    found = np.take_along_axis(exact, np.searchsorted(gallery.ids, ids), axis=1)
    np.testing.assert_allclose(scores, found, atol=1e-6)


@settings(max_examples=40)
@given(strategies.seeds, st.integers(1, 10), st.integers(0, 30), st.integers(0, 30))
def test_an_older_epoch_is_one_made_at_once(seed: int, k: int, gone: int, come: int) -> None:
    """What was caught up with finds what an index of the same metric and items would."""
    gallery = Gallery(seed, 500)
    before = np.arange(500) < 500 - come
    after = np.arange(500) >= gone
    aged = gallery.build(before).caught_up(
        gallery.ids[~after], gallery.ids[~before], gallery.rows[~before], gone + come
    )
    fresh = ItemIndex(
        aged.epoch, FlatIndex(gallery.ids[after], aged.epoch.whiten(gallery.rows[after]))
    )
    assert len(aged) == len(fresh) == 500 - gone
    scores, ids = aged.search(gallery.queries, k)
    expected, expected_ids = fresh.search(gallery.queries, k)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    differing = ids != expected_ids
    ties = np.abs(np.diff(expected, axis=1, append=-2, prepend=2)).reshape(len(ids), -1) < 1e-6
    assert not (differing & ~(ties[:, 1:] | ties[:, :-1])).any()


def test_an_empty_index_finds_nothing() -> None:
    """Without items there are no answers."""
    metric = fit(Sums(WIDTH), [], Prior.isotropic(WIDTH))
    index = ItemIndex(metric, FlatIndex(np.zeros(0, np.int64), np.zeros((0, WIDTH), np.float32)))
    scores, ids = index.search(np.eye(2, WIDTH, dtype=np.float32), 3)
    assert scores.shape == ids.shape == (2, 0)
    assert not index.renewal_due(0)


def test_catching_up_leaves_the_old_index_as_it_was() -> None:
    """Who still searches the index of before finds what was there before."""
    gallery = Gallery(0, 50)
    old = gallery.build(slice(0, 40))
    answers = old.search(gallery.queries, 5)
    new = old.caught_up(gallery.ids[:3], gallery.ids[40:], gallery.rows[40:], 13)
    assert new.epoch is old.epoch
    assert sorted(new.rows.to_arrays()["keys"].tolist()) == gallery.ids[3:].tolist()
    assert (old.changes, new.changes) == (0, 13)
    assert new.caught_up(gallery.ids[3:5], gallery.ids[:1], gallery.rows[:1], 3).changes == 16
    for one, other in zip(answers, old.search(gallery.queries, 5), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("count", "changed", "further", "due"),
    [
        (100, 0, 0, False),
        (100, 0, 1, True),
        (100, 1, 0, True),
        (0, 0, 1, True),
        (101, 0, 0, False),
        (101, 0, 1, False),
        (101, 3, 2, False),
        (101, 3, 3, True),
        (101, 0, 6, True),
    ],
)
def test_when_an_epoch_is_renewed(
    monkeypatch: pytest.MonkeyPatch, count: int, changed: int, further: int, *, due: bool
) -> None:
    """Few items are whitened anew at any change, many once a twentieth of them has changed."""
    monkeypatch.setattr(items, "RENEW_ROWS", 100)
    gallery = Gallery(0, max(count, 7))
    index = gallery.build(slice(0, count))
    assert ItemIndex(index.epoch, index.rows, changed).renewal_due(further) is due


# --- through a catalogue -------------------------------------------------------------------------


def picture(number: int) -> NDArray[np.uint8]:
    """Draw one of many small pictures."""
    return np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)


def fill(catalog: Catalog, numbers: range) -> None:
    """Put pictures into a few classes, one class after another."""
    known = {row.label for row in catalog.labels()}
    for label in range(CLASSES):
        some = [picture(number) for number in numbers if number % CLASSES == label]
        call = catalog.add if f"class {label}" in known else catalog.add_class
        call(f"class {label}", some)


def answers(catalog: Catalog) -> list[list[tuple[str, float]]]:
    """Ask for the nearest items of a few pictures: their content and score."""
    contents = {item.id: item.content for item in catalog.items()}
    queries = [picture(number) for number in range(1000, 1008)]
    return [
        [(contents[near.item], near.score) for near in found]
        for found in catalog.nearest_many(queries, 12)
        if isinstance(found, list)
    ]


def assert_same(one: list[list[tuple[str, float]]], other: list[list[tuple[str, float]]]) -> None:
    """Compare items and scores, to 1e-6."""
    assert [[content for content, _ in row] for row in one] == [
        [content for content, _ in row] for row in other
    ]
    np.testing.assert_allclose(
        [[score for _, score in row] for row in one],
        [[score for _, score in row] for row in other],
        atol=1e-6,
    )


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catalogues of any size are large: an epoch lasts."""
    monkeypatch.setattr(items, "RENEW_ROWS", 0)
    monkeypatch.setattr(items, "RENEW_SHARE", 0.5)


def test_an_aged_catalogue_answers_as_a_new_one(tmp_path: Path, large: None) -> None:
    """A catalogue whose epoch is behind gives the answers of one made of its end state at once."""
    path = tmp_path / "aged.catalog"
    with Catalog.init(path, embedder=FakeEmbedder(16)) as aged:
        fill(aged, range(100))
        answers(aged)
        fill(aged, range(100, 120))
        aged.remove(item.id for item in aged.items()[:10])
        expected_items = {(item.label, item.content) for item in aged.items()}
        first = answers(aged)
        epoch, index = computed(aged, Learning.items)
        assert epoch != computed(aged, lambda _, moment: moment.version)
        assert (len(index), index.changes) == (110, 30)
    with Catalog.open(path, embedder=FakeEmbedder(16)) as again:
        assert_same(answers(again), first)
        again.undo()
        again.remove(item.id for item in again.items()[:10])
        assert_same(answers(again), first)
    with Catalog.init(tmp_path / "new.catalog", embedder=FakeEmbedder(16)) as new:
        fill(new, range(120))
        for item in new.items():
            if (item.label, item.content) not in expected_items:
                new.remove([item.id])
        assert {(item.label, item.content) for item in new.items()} == expected_items
        assert_same(answers(new), first)
    shutil.rmtree(tmp_path / "aged.catalog.cache")
    with Catalog.open(path, embedder=FakeEmbedder(16)) as anew:
        assert_same(answers(anew), first)


def test_an_index_that_is_current_is_used_as_it_is(tmp_path: Path) -> None:
    """Asking the same state twice searches one index; it is not copied for each question."""
    with Catalog.init(tmp_path / "a.catalog", embedder=FakeEmbedder(16)) as catalog:
        fill(catalog, range(20))
        first = catalog._keeper.nearest(lambda snapshot: snapshot)
        assert catalog._keeper.nearest(lambda snapshot: snapshot) is first


def test_moves_count_as_changes(
    tmp_path: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items that go to another class change the metric, and so in the end begin a new epoch."""
    monkeypatch.setattr(items, "RENEW_SHARE", 0.1)
    with Catalog.init(tmp_path / "a.catalog", embedder=FakeEmbedder(16)) as catalog:
        fill(catalog, range(50))
        answers(catalog)
        before = computed(catalog, Learning.items)
        for number in range(1, 41, 5):
            catalog.add("class 0", [picture(number)], move=True)
            answers(catalog)
        after = computed(catalog, Learning.items)
        assert after.epoch != before.epoch
