"""Histories: what a catalogue says depends on what it holds, and not on how it came to that.

Any history at all is told in :mod:`test_model`; these are single cases.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from inside import computed
from model_catalogue import (
    LABELS,
    WIDTH,
    Answers,
    Reference,
    init_catalog,
    open_catalog,
    picture,
)
from numpy.typing import NDArray
from shop_state import made
from writing_commands import BY_NAME

from catalog import Catalog, Entry, Picture
from catalog.embedder import content_hash
from catalog.index import items
from catalog.learning.learning import Learning


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder, in memory if there is such a place: every commit is synced."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """Answers of fresh catalogues, each made once."""
    with scratch() as folder:
        yield Reference(Path(folder))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of another catalogue of the same embedder."""
    path = tmp_path_factory.mktemp("foreign") / "other.catalog"
    with init_catalog(path) as catalog:
        for label in LABELS[::-1]:
            catalog.add_class(label, [picture(len(label) + shift) for shift in (0, 20, 40)])
        Answers.of(catalog)
    return path.with_name("other.catalog.cache")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalogue."""
    with init_catalog(tmp_path / "a.catalog") as made:
        yield made


@settings(max_examples=25)
@given(st.permutations(range(16)), st.integers(1, 16))
def test_one_at_a_time_is_all_at_once(reference: Reference, order: list[int], size: int) -> None:
    """Classes that arrive one at a time, in any order and in parts, give the state of an import."""
    with scratch() as folder, init_catalog(Path(folder, "a.catalog")) as catalog:
        for start in range(0, 16, size):
            part = order[start : start + size]
            for at, label in enumerate(LABELS):
                pictures = [picture(number) for number in part if number % 4 == at]
                there = any(row.label == label for row in catalog.labels())
                if pictures:
                    (catalog.add if there else catalog.add_class)(label, pictures)
        state = {content_hash(picture(n)).hex(): LABELS[n % 4] for n in range(16)}
        Answers.of(catalog).check(reference.answers(state))


def test_a_removed_class_was_never_there(catalog: Catalog) -> None:
    """Removing a class gives the state and the answers of never having had it."""
    catalog.add_class("apple", [picture(0), picture(3)])
    without = Answers.of(catalog)
    catalog.add_class("cherry", [picture(5), picture(1)])
    assert Answers.of(catalog).learning_state != without.learning_state
    catalog.remove_class("cherry")
    Answers.of(catalog).check(without)
    assert [row.label for row in catalog.labels()] == ["apple"]


def test_an_import_is_undone_as_one(catalog: Catalog) -> None:
    """One undo takes back all classes of an import, and gives back what it moved."""
    catalog.add_class("apple", [picture(0), picture(3)])
    before = catalog.labels(), catalog.items(), catalog.info().learning_state
    entries = [Entry(label, Picture(picture(20 + at))) for at, label in enumerate(LABELS)]
    result = catalog.import_([*entries, Entry("cherry", Picture(picture(0)))], move=True)
    assert sum(added.moved for added in result.classes) == 1
    assert len(catalog.labels()) == len(LABELS)
    assert len({event.command for event in catalog.undo()}) == 1
    assert (catalog.labels(), catalog.items(), catalog.info().learning_state) == before


def test_undo_gives_a_class_its_spelling_back(catalog: Catalog) -> None:
    """A class that was removed and made again in another spelling is undone to the first one."""
    catalog.add_class("Café", [picture(0)])
    before = catalog.labels(), catalog.items()
    catalog.remove_class("Café")
    catalog.add_class("CAFE", [picture(0), picture(2)])
    assert [row.label for row in catalog.labels()] == ["CAFE"]
    catalog.undo()
    catalog.undo()
    assert (catalog.labels(), catalog.items()) == before


def test_a_class_that_was_not_made_leaves_no_spelling(catalog: Catalog) -> None:
    """A removed class comes back by undo as it was spelt, though one was refused meanwhile."""
    catalog.add_class("apple", [picture(0)])
    catalog.add_class("Café", [picture(2)])
    catalog.remove_class("Café")
    assert not catalog.add_class("CAFÉ", [picture(0)]).created
    catalog.undo()
    assert [row.label for row in catalog.labels()] == ["apple", "Café"]


def test_undo_takes_back_a_second_place(catalog: Catalog, tmp_path: Path) -> None:
    """A picture found in a second place has two sources, and after undo the first one alone."""
    places = [str(tmp_path / name) for name in ("one.png", "two.png")]
    for place in places:
        assert cv2.imwrite(place, picture(0))
    catalog.add_class("apple", places[:1])
    before = catalog.items()
    assert before[0].sources == (places[0],)
    assert catalog.add("apple", places).known == 2
    assert catalog.items()[0].sources == tuple(places)
    catalog.undo()
    assert catalog.items() == before


def test_nothing_is_embedded_twice(catalog: Catalog) -> None:
    """What was undone or removed is not embedded again when it comes back."""
    catalog.add_class("apple", [picture(0), picture(2)])
    catalog.undo()
    embedder = catalog.embedder
    assert isinstance(embedder, FakeEmbedder)
    before = embedder.embedded
    catalog.add_class("cherry", [picture(0), picture(2), picture(0)])
    catalog.remove_class("cherry")
    catalog.import_([Entry("apple", Picture(picture(number))) for number in (0, 2)])
    assert embedder.embedded == before
    catalog.add("apple", [picture(4)])
    assert embedder.embedded == before + 1


def test_ties_fall_the_same_way_in_any_order(tmp_path: Path) -> None:
    """Items and classes of equal score come in one order, whichever was added first."""
    orders = []
    for order in ([0, 1], [1, 0]):
        with init_catalog(tmp_path / f"{order}.catalog") as catalog:
            for number in order:
                catalog.add_class(LABELS[number], [picture(number)])
            contents = {item.id: item.content for item in catalog.items()}
            near = [contents[found.item] for found in catalog.nearest(picture(2))]
            said = catalog.predict(picture(2))
            orders.append((near, [c.label for c in said.centroid], said.neighbours[0].label))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("higher", [0, 1])
def test_rounding_breaks_no_tie(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, higher: int
) -> None:
    """Scores apart by their last bit alone are a tie, on whichever side of a digit they lie."""
    catalog.add_class("apple", [picture(0), picture(1)])
    ids = [item.id for item in catalog.items()]
    middle = np.float32(0.1234565)  # at which the sixth digit turns
    scores = [np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(1))]

    def search(*_: object) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        return np.array([scores[::-1]]), np.array([[ids[higher], ids[1 - higher]]])

    monkeypatch.setattr(items.ItemIndex, "search", search)
    contents = {item.id: item.content for item in catalog.items()}
    found = [contents[near.item] for near in catalog.nearest(picture(2))]
    assert found == sorted(found)


@pytest.mark.parametrize("other", ["none", "foreign", "later", "diverged", "damaged"])
def test_no_cache_folder_changes_an_answer(tmp_path: Path, foreign: Path, other: str) -> None:
    """Answers do not depend on the cache folder, be it absent, foreign, too new or damaged."""
    path, cache = tmp_path / "a.catalog", tmp_path / "a.catalog.cache"
    with init_catalog(path) as catalog:
        catalog.add_class("apple", [picture(0), picture(3)])
        catalog.add_class("cherry", [picture(5), picture(9)])
        expected = Answers.of(catalog)
    copy = path.read_bytes()
    if other in {"later", "diverged"}:
        with open_catalog(path) as catalog:
            catalog.add_class("Banana", [picture(7)])
            catalog.remove(item.id for item in catalog.items() if item.label == "apple")
            Answers.of(catalog)
        path.write_bytes(copy)
    if other == "diverged":  # as many events as the cache has seen, but others
        with open_catalog(path) as catalog:
            catalog.add_class("Banana", [picture(11)])
            catalog.undo()
        assert catalog.path == path
    if other in {"none", "foreign"}:
        shutil.rmtree(cache)
    if other == "foreign":
        shutil.copytree(foreign, cache)
    if other == "damaged":
        for file in cache.iterdir():
            file.write_bytes(file.read_bytes()[:-1])
    for _ in range(2):
        with open_catalog(path) as catalog:
            Answers.of(catalog).check(expected)
            assert catalog.verify().sound


def test_the_cache_is_of_use_again_after_a_copy_was_put_back(tmp_path: Path) -> None:
    """What another history left in the cache folder is replaced, even at the same generation."""
    path = tmp_path / "a.catalog"
    with init_catalog(path) as catalog:
        catalog.add_class("apple", [picture(0)])
    copy = path.read_bytes()
    kept = []
    for number in (2, 4):
        path.write_bytes(copy)
        with open_catalog(path) as catalog:
            catalog.add_class("cherry", [picture(number)])
            Answers.of(catalog)
        kept.append((tmp_path / "a.catalog.cache" / "sums").read_bytes())
    assert kept[0] != kept[1]


def test_verify_mends_sums_that_are_wrong(tmp_path: Path) -> None:
    """Intact sums of other descriptors are found, and answers are right again from then on."""
    path = tmp_path / "a.catalog"
    with init_catalog(path) as catalog:
        catalog.add_class("apple", [picture(0), picture(3)])
        catalog.add_class("cherry", [picture(5), picture(9)])
        expected = Answers.of(catalog)
    shutil.rmtree(tmp_path / "a.catalog.cache")
    with open_catalog(path) as catalog:
        computed(catalog, Learning.sums).gram[:] = np.eye(WIDTH, dtype=np.int64)
        assert Answers.of(catalog).learning_state != expected.learning_state
    with open_catalog(path) as catalog:
        assert catalog.verify().derived
        Answers.of(catalog).check(expected)
        assert not catalog.verify().derived
    with open_catalog(path) as catalog:
        Answers.of(catalog).check(expected)


def test_few_items_are_measured_anew(tmp_path: Path) -> None:
    """How sure an answer is does not hang on what was measured before the last change."""
    asked = photos.photo(1, 30)
    with made(tmp_path / "shop.catalog") as catalog:
        BY_NAME["predict --keep-unknown"].prepare(catalog)
        assert catalog.predict(asked).probability is not None
        catalog.remove([catalog.items("thing 0")[0].id])
        found = catalog.predict(asked)
        catalog._keeper.discard()
        assert found == catalog.predict(asked)
