"""Histories: what a catalogue says depends on what it holds, and not on how it came to that."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from catalog import Candidate, Catalog, Entry, Item, LabelCount, Neighbour, Picture, Prediction
from catalog.labels import label_key
from descriptors import LabelConflict, NotFound
from embedder import content_hash
from index import items

WIDTH = 16
LABELS = ("Äpfel", "apple", "Banana", "cherry")
BROKEN = b"no picture"

State: TypeAlias = Mapping[str, str]
"""What a catalogue holds: the class of each picture, by content hash."""


def picture(number: int) -> NDArray[np.uint8]:
    """Draw one of many pictures; each odd one is an enlargement of the even one before it.

    Twins have different contents and the same descriptor, so that there are ties to break.
    """
    drawn = np.random.default_rng(number // 2).integers(0, 256, (6, 6, 3), np.uint8)
    return drawn.repeat(2, 0).repeat(2, 1) if number % 2 else drawn


POOL: tuple[NDArray[np.uint8] | bytes, ...] = (BROKEN, *map(picture, range(16)))
CONTENTS = (None, *(content_hash(picture(number)).hex() for number in range(16)))
BY_CONTENT = {content: one for content, one in zip(CONTENTS, POOL, strict=True) if content}
QUERIES = tuple(map(picture, (2, 100, 102, 104)))


def open_catalog(path: Path) -> Catalog:
    """Open a catalogue of the test embedder."""
    return Catalog.open(path, embedder=FakeEmbedder(WIDTH))


def init_catalog(path: Path) -> Catalog:
    """Make a catalogue of the test embedder."""
    return Catalog.init(path, embedder=FakeEmbedder(WIDTH))


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder, in memory if there is such a place: every commit is synced."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)


@dataclass(frozen=True)
class Answers:
    """All that a catalogue can be asked: its state's hash, and the scores of every query."""

    learning_state: str
    predictions: Sequence[Prediction]
    nearest: Sequence[Sequence[tuple[str, str, float]]]

    @classmethod
    def of(cls, catalog: Catalog) -> Answers:
        """Ask a catalogue everything."""
        contents = {item.id: item.content for item in catalog.items()}

        def told(near: Neighbour) -> tuple[str, str, float]:
            return contents[near.item], near.label, near.score + near.class_score

        predictions = [catalog.predict(query, 50) for query in QUERIES]
        nearest = [list(map(told, catalog.nearest(query, 50))) for query in QUERIES]
        return cls(catalog.info().learning_state, predictions, nearest)

    def check(self, other: Answers) -> None:
        """Compare with another catalogue's answers: the same names, scores to 1e-6."""
        assert self.learning_state == other.learning_state
        for one, two in zip(self.predictions, other.predictions, strict=True):
            _check_first(one)
            assert (one.label, one.verdict) == (two.label, two.verdict)
            _check_ranking(_pairs(one.candidates), _pairs(two.candidates))
            _check_ranking(_pairs(one.head), _pairs(two.head))
            _check_ranking(_pairs(one.centroid), _pairs(two.centroid))
            _check_ranking(_pairs(one.neighbours), _pairs(two.neighbours))
        for row, its_row in zip(self.nearest, other.nearest, strict=True):
            _check_ranking([(c, s) for c, _, s in row], [(c, s) for c, _, s in its_row])
            assert {c: label for c, label, _ in row} == {c: label for c, label, _ in its_row}


def _check_first(said: Prediction) -> None:
    rankings = (said.head, said.centroid, said.neighbours)
    first = {ranking[0].label for ranking in rankings if ranking}
    assert (said.label is None) == (not first)
    assert said.agree == (len(first) == 1)
    if said.agree:
        assert first == {said.label}


def _pairs(candidates: Sequence[Candidate]) -> list[tuple[str, float]]:
    return [(candidate.label, candidate.score) for candidate in candidates]


def _check_ranking(one: Sequence[tuple[str, float]], other: Sequence[tuple[str, float]]) -> None:
    assert dict(one) == pytest.approx(dict(other), abs=1e-6)
    assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=1e-6)
    scores = dict(other)
    for (name, _), (its_name, score) in zip(one, other, strict=True):
        # Names may change places only where the scores are equal to within their rounding.
        assert name == its_name or scores[name] == pytest.approx(score, abs=2e-6)


class Reference:
    """Catalogues made of an end state at once, classes in the order of their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[frozenset[tuple[str, str]], Answers] = {}

    def answers(self, state: State) -> Answers:
        """What a catalogue says that never held anything else."""
        key = frozenset(state.items())
        if key not in self._known:
            path = self._folder / f"{len(self._known)}.catalog"
            entries = sorted((label, content) for content, label in state.items())
            with init_catalog(path) as catalog:
                catalog.import_(
                    Entry(label, Picture(BY_CONTENT[content])) for label, content in entries
                )
                self._known[key] = Answers.of(catalog)
        return self._known[key]


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


@dataclass
class Model:
    """A catalogue as a plain dictionary, with what each command found before it.

    Attributes:
        state: the class of each picture.
        past: before each command that can be undone, the state, and what the catalogue listed.
    """

    state: State = field(default_factory=dict)
    past: list[tuple[State, list[LabelCount], list[Item]]] = field(default_factory=list)

    def copy(self) -> Model:
        """A copy that later commands leave alone."""
        return Model(self.state, list(self.past))

    def after_adding(
        self, label: str, numbers: Sequence[int], *, move: bool, state: State | None = None
    ) -> tuple[State, tuple[int, int, int, int]]:
        """The state after adding pictures, and how many were added, known, moved and refused."""
        new = dict(self.state if state is None else state)
        added = known = moved = refused = 0
        for number in numbers:
            content = CONTENTS[number]
            if content is None:
                refused += 1
            elif content not in new:
                added, new[content] = added + 1, label
            elif new[content] == label:
                known += 1
            elif move:
                moved, new[content] = moved + 1, label
            else:
                refused += 1
        return new, (added, known, moved, refused)

    @property
    def labels(self) -> list[str]:
        """The classes, in the order of their names."""
        return sorted(set(self.state.values()), key=label_key)


labels = st.sampled_from(LABELS)
numbers = st.integers(0, len(POOL) - 1)
some_pictures = st.lists(numbers, min_size=1, max_size=5)


class History(RuleBasedStateMachine):
    """Any commands in any order, on a catalogue and on its model."""

    def __init__(self, reference: Reference, foreign: Path) -> None:
        super().__init__()
        self.reference = reference
        self.foreign = foreign
        self.folder = scratch()
        self.path = Path(self.folder.name, "a.catalog")
        self.cache = self.path.with_name("a.catalog.cache")
        self.model = Model()
        self.copies: list[tuple[bytes, Model]] = []
        self.catalog = init_catalog(self.path)

    def teardown(self) -> None:
        """Close the catalogue, and leave no file behind."""
        self.catalog.close()
        self.folder.cleanup()

    def changed(self, state: State) -> None:
        """Take over the state after a command that can be undone; call it before the command."""
        self.model.past.append((self.model.state, self.catalog.labels(), self.catalog.items()))
        self.model.state = state

    @rule(label=labels, numbers=some_pictures, move=st.booleans(), new=st.booleans())
    def add(self, label: str, numbers: list[int], *, move: bool, new: bool) -> None:
        """Add pictures to a class that exists, or to one that does not."""
        call = self.catalog.add_class if new else self.catalog.add
        pictures = [POOL[number] for number in numbers]
        if new == (label in self.model.labels):
            with pytest.raises(LabelConflict if new else NotFound):
                call(label, pictures, move=move)
            return
        state, counts = self.model.after_adding(label, numbers, move=move)
        if state != self.model.state:
            self.changed(state)
        result = call(label, pictures, move=move)
        assert (result.added, result.known, result.moved, len(result.refused)) == counts
        assert result.created == (new and result.added + result.moved > 0)

    @rule(entries=st.lists(st.tuples(labels, numbers), max_size=8), move=st.booleans())
    def import_many(self, entries: list[tuple[str, int]], *, move: bool) -> None:
        """Import pictures of several classes."""
        state = self.model.state
        expected = []
        for label, group in groupby(sorted(entries, key=lambda entry: entry[0]), lambda e: e[0]):
            own = [number for _, number in group]
            state, counts = self.model.after_adding(label, own, move=move, state=state)
            expected.append((label, *counts))
        # A picture of two classes may move there and back: that is undone like any other command.
        if any(added or moved for _, added, _, moved, _ in expected):
            self.changed(state)
        result = self.catalog.import_(
            [Entry(label, Picture(POOL[number])) for label, number in entries], move=move
        )
        assert expected == [
            (one.label, one.added, one.known, one.moved, len(one.refused)) for one in result.classes
        ]

    @precondition(lambda self: self.model.state)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove a few items."""
        some = data.draw(st.lists(st.sampled_from(self.catalog.items()), min_size=1, max_size=4))
        gone = {item.content for item in some}
        self.changed({c: label for c, label in self.model.state.items() if c not in gone})
        result = self.catalog.remove([item.id for item in some])
        assert result.items == len(gone)
        assert set(result.classes) == {item.label for item in some} - set(self.model.labels)

    @rule(data=st.data())
    def remove_what_is_not_there(self, data: st.DataObject) -> None:
        """Removing items of which one does not exist removes none."""
        ids = [item.id for item in self.catalog.items()]
        with pytest.raises(NotFound):
            self.catalog.remove([*ids, data.draw(st.sampled_from([0, -1, 10**6]))])

    @rule(label=labels)
    def remove_class(self, label: str) -> None:
        """Remove a class."""
        if label not in self.model.labels:
            with pytest.raises(NotFound):
                self.catalog.remove_class(label)
            return
        left = {c: other for c, other in self.model.state.items() if other != label}
        count = len(self.model.state) - len(left)
        self.changed(left)
        assert self.catalog.remove_class(label) == (count, (label,))

    @rule()
    def undo(self) -> None:
        """Undo gives back exactly what was listed before, or says that there is nothing to undo."""
        if not self.model.past:
            with pytest.raises(NotFound, match="nothing to undo"):
                self.catalog.undo()
            return
        self.catalog.undo()
        self.model.state, *listed = self.model.past.pop()
        assert [self.catalog.labels(), self.catalog.items()] == listed

    @rule()
    def undo_everything(self) -> None:
        """Undoing again and again ends at an empty catalogue."""
        while self.model.past:
            self.undo()
        assert self.catalog.items() == []
        self.compare()

    @rule()
    def reopen(self) -> None:
        """Close the catalogue and open it again."""
        self.catalog.close()
        self.catalog = open_catalog(self.path)

    @rule(closed=st.booleans())
    def lose_the_cache(self, *, closed: bool) -> None:
        """Delete what is derived, from an open catalogue or a closed one."""
        if closed:
            self.catalog.close()
        shutil.rmtree(self.cache, ignore_errors=True)
        if closed:
            self.catalog = open_catalog(self.path)

    @rule()
    def find_another_cache(self) -> None:
        """Find the cache folder of another catalogue where this one's was."""
        self.catalog.close()
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.copytree(self.foreign, self.cache)
        self.catalog = open_catalog(self.path)

    @rule()
    def keep_a_copy(self) -> None:
        """Copy the catalogue file alone."""
        self.copies.append((self.path.read_bytes(), self.model.copy()))

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def put_a_copy_back(self, data: st.DataObject) -> None:
        """Put an older copy of the file back beside the cache folder of a later time."""
        content, model = data.draw(st.sampled_from(self.copies))
        self.catalog.close()
        self.path.write_bytes(content)
        self.model = model.copy()
        self.catalog = open_catalog(self.path)

    @rule()
    def compare(self) -> None:
        """The catalogue is sound, and says what one that never held anything else says."""
        verification = self.catalog.verify()
        assert verification.problems == verification.derived == ()
        assert verification.items == len(self.model.state)
        Answers.of(self.catalog).check(self.reference.answers(self.model.state))

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        """Labels and items are the model's."""
        assert {item.content: item.label for item in self.catalog.items()} == self.model.state
        assert [row.label for row in self.catalog.labels()] == self.model.labels
        for row in self.catalog.labels():
            assert row.items == list(self.model.state.values()).count(row.label)


@pytest.mark.parametrize("lasting", [False, True], ids=["small", "large"])
def test_any_history_comes_to_what_is_left(
    reference: Reference, foreign: Path, monkeypatch: pytest.MonkeyPatch, *, lasting: bool
) -> None:
    """Whatever was added, moved, removed, undone or lost, answers are a fresh catalogue's."""
    if lasting:  # as in a large catalogue, where an epoch of the item index outlives many changes
        monkeypatch.setattr(items, "RENEW_ROWS", 0)
        monkeypatch.setattr(items, "RENEW_SHARE", 2.0)
    run_state_machine_as_test(
        partial(History, reference, foreign),
        settings=settings(deadline=None, max_examples=80, stateful_step_count=25),
    )


# --- single cases --------------------------------------------------------------------------------


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalogue."""
    with init_catalog(tmp_path / "a.catalog") as made:
        yield made


@settings(deadline=None, max_examples=25)
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
    assert not catalog.add_class("CAFE", [picture(0)]).created
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
        with catalog._store.reading() as tx:
            catalog._learning.sums(tx).gram[:] = np.eye(WIDTH, dtype=np.int64)
        assert Answers.of(catalog).learning_state != expected.learning_state
    with open_catalog(path) as catalog:
        assert catalog.verify().derived
        Answers.of(catalog).check(expected)
        assert not catalog.verify().derived
    with open_catalog(path) as catalog:
        Answers.of(catalog).check(expected)
