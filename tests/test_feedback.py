"""Feedback: what a picture shows is learnt, noted in the journal, and can be undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import photos
import pytest
from doubles import FakeEmbedder
from inside import connection_of

from catalog import Catalog, Entry, Picture
from catalog.descriptors import Conflict, InvalidLabel, PictureError

InProcess = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue lies."""
    return tmp_path / "shop.catalog"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    """A catalogue of a cup and a jug, three items each."""
    with Catalog.init(path, embedder=FakeEmbedder()) as made:
        made.add_class("cup", photos.shots(0, 3))
        made.add_class("jug", photos.shots(1, 3))
        yield made


def counts(catalog: Catalog) -> dict[str, int]:
    """How many items each class has."""
    return {row.label: row.items for row in catalog.labels()}


def last(catalog: Catalog) -> tuple[str, dict[str, Any]]:
    """Kind and detail of the last event."""
    kind, detail = (
        connection_of(catalog)
        .execute("SELECT kind, detail FROM event ORDER BY id DESC LIMIT 1")
        .fetchone()
    )
    return kind, json.loads(detail)


def state(catalog: Catalog) -> tuple[Any, ...]:
    """What must not have changed where nothing was done."""
    info = catalog.info()
    return info.generation, info.learning_state, catalog.labels(), catalog.items()


class TestOutcomes:
    """What feedback comes to depends on the answer before it."""

    @pytest.mark.parametrize(
        ("thing", "label", "outcome", "predicted"),
        [
            (0, "cup", "confirmed", "cup"),
            (0, "jug", "corrected", "cup"),
            (0, "pan", "new class", "cup"),
            (1, " jug ", "confirmed", "jug"),
        ],
    )
    def test_learnt(
        self, catalog: Catalog, thing: int, label: str, outcome: str, predicted: str
    ) -> None:
        """The picture becomes an item, the journal says why, and undo takes both back."""
        before, items = state(catalog)[1:], counts(catalog)
        found = catalog.feedback(photos.photo(thing, 9), label)
        name = label.strip()
        assert (found.outcome, found.label, found.predicted) == (outcome, name, predicted)
        assert found.added
        assert found.event == catalog.info().generation
        assert counts(catalog) == {**items, name: items.get(name, 0) + 1}
        kind, detail = last(catalog)
        said = (detail["label"], detail["outcome"], detail["predicted"], detail["verdict"])
        assert (kind, *said) == ("feedback", name, outcome, predicted, found.verdict)
        assert [event.kind for event in catalog.undo()] == ["feedback"]
        assert state(catalog)[1:] == before

    def test_a_correction_is_learnt_from(self, catalog: Catalog) -> None:
        """What was answered wrongly is answered rightly afterwards."""
        odd = photos.shots(5, 2)
        wrong = catalog.predict(odd[0]).label
        label = "jug" if wrong == "cup" else "cup"
        assert catalog.feedback(odd[0], label).outcome == "corrected"
        assert catalog.nearest(odd[0], 1)[0].label == label
        assert catalog.feedback(odd[0], label).added is False

    @pytest.mark.parametrize("label", ["cup", "jug", "pan"])
    def test_note_only(self, catalog: Catalog, label: str) -> None:
        """Only the journal keeps it; no item, no class, no other answer, and undo takes it back."""
        before = state(catalog)
        found = catalog.feedback(photos.photo(0, 9), label, note_only=True)
        assert (found.added, found.event) == (False, before[0] + 1)
        assert state(catalog)[1:] == before[1:]
        kind, detail = last(catalog)
        assert (kind, detail["label"], detail["outcome"]) == ("feedback", label, found.outcome)
        assert [event.kind for event in catalog.undo()] == ["feedback"]
        assert state(catalog)[1:] == before[1:]

    def test_an_empty_catalogue(self, path: Path) -> None:
        """The first thing said makes the first class."""
        with Catalog.init(path, embedder=FakeEmbedder()) as catalog:
            found = catalog.feedback(photos.photo(0), "cup")
            assert (found.outcome, found.predicted, found.verdict) == ("new class", None, "unknown")
            assert catalog.predict(photos.photo(0, 1)).label == "cup"

    def test_a_class_that_was_removed(self, catalog: Catalog) -> None:
        """A class without items is a new one."""
        catalog.remove_class("jug")
        assert catalog.feedback(photos.photo(1, 9), "jug").outcome == "new class"
        assert counts(catalog) == {"cup": 3, "jug": 1}

    def test_an_item_of_that_class(self, catalog: Catalog) -> None:
        """A picture that is an item already is no second one, but the word is kept."""
        before = state(catalog)
        found = catalog.feedback(photos.photo(0), "cup")
        assert (found.outcome, found.added) == ("confirmed", False)
        assert state(catalog)[1:] == before[1:]
        assert last(catalog)[0] == "feedback"

    def test_places_are_kept(self, catalog: Catalog, tmp_path: Path) -> None:
        """A file that was said to be something is an item with its place."""
        (file,) = photos.draw(tmp_path / "new", 0, 1, first=9)
        catalog.feedback(file, "cup")
        assert catalog.items("cup")[-1].sources == (str(file),)

    def test_the_probability_is_that_of_the_answer(self, catalog: Catalog) -> None:
        """What feedback says of the answer before is what the answer was."""
        asked = photos.photo(1, 9)
        answer = catalog.predict(asked)
        found = catalog.feedback(asked, "jug")
        assert (found.predicted, found.verdict) == (answer.label, answer.verdict)
        assert found.probability == answer.probability


class TestRefused:
    """What cannot be learnt is a typed error, and changes nothing."""

    def test_no_picture(self, catalog: Catalog) -> None:
        """A picture that cannot be read is refused."""
        before = state(catalog)
        with pytest.raises(PictureError):
            catalog.feedback(b"no picture", "cup")
        with pytest.raises(PictureError):
            catalog.feedback("nowhere.jpg", "cup", note_only=True)
        assert state(catalog) == before

    @pytest.mark.parametrize("label", ["jug", "pan"])
    def test_an_item_of_another_class(self, catalog: Catalog, label: str) -> None:
        """A picture of another class stays there; no class is made."""
        before = state(catalog)
        with pytest.raises(Conflict):
            catalog.feedback(photos.photo(0), label)
        assert state(catalog) == before
        assert catalog.verify().sound

    def test_names(self, catalog: Catalog) -> None:
        """A name that can be none is refused before embedding."""
        before, embedder = state(catalog), catalog.embedder
        assert isinstance(embedder, FakeEmbedder)
        embedder.embedded = 0
        with pytest.raises(InvalidLabel):
            catalog.feedback(photos.photo(0, 9), " ")
        assert (state(catalog), embedder.embedded) == (before, 0)


class TestCompacted:
    """Where descriptors were dropped."""

    def test_a_new_photo(self, catalog: Catalog) -> None:
        """A class whose descriptors were dropped learns from new photos."""
        catalog.compact(["cup"])
        found = catalog.feedback(photos.photo(0, 9), "cup")
        assert (found.outcome, found.added) == ("confirmed", True)
        assert counts(catalog) == {"cup": 4, "jug": 3}
        assert [near.label for near in catalog.nearest(photos.photo(0, 9), 1)] == ["cup"]

    @pytest.mark.parametrize("label", ["cup", "jug", "pan"])
    @pytest.mark.parametrize("note_only", [False, True])
    def test_a_dropped_photo(self, catalog: Catalog, label: str, *, note_only: bool) -> None:
        """A photo whose own descriptor was dropped cannot be asked about."""
        catalog.compact(["cup"])
        before = state(catalog)
        with pytest.raises(Conflict):
            catalog.feedback(photos.photo(0), label, note_only=note_only)
        assert state(catalog) == before


def test_the_frozen_head_learns_new_classes_alone(catalog: Catalog) -> None:
    """Feedback that makes a class gives the head its column, and the journal its checksums."""
    catalog.train_head("frozen")
    catalog.feedback(photos.photo(0, 9), "cup")
    assert "head" not in last(catalog)[1]
    catalog.feedback(photos.photo(4), "pan")
    head = last(catalog)[1]["head"]
    assert (head["columns"], head["before"]) == (2, head["after"])
    assert catalog.evaluate([Entry("pan", Picture(photos.photo(4, 1)))]).head is not None


def test_the_command(in_process: InProcess, shop: Path, tmp_path: Path) -> None:
    """The command says what the call says, and refuses what it refuses."""
    (file,) = photos.draw(tmp_path / "new", 1, 1, first=30)
    code, out, _ = in_process("feedback", file, "--label", "jug", "--catalog", shop, "--json")
    found = json.loads(out)
    assert (code, found["label"], found["added"]) == (0, "jug", True)
    code, _, err = in_process("feedback", file, "--label", "cup", "--catalog", shop)
    assert code != 0
    assert "'jug'" in err
    assert in_process("undo", "--catalog", shop)[0] == 0
    code, out, _ = in_process(
        "feedback", file, "--label", "cup", "--note-only", "--catalog", shop, "--json"
    )
    assert (code, json.loads(out)["added"]) == (0, False)
