"""Moving items, renaming and merging classes: what is learnt follows, and undo goes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import photos
import pytest
from cups_and_jugs import counts, fill, reopen, slots
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.descriptors import Conflict, InvalidInput, InvalidLabel, LabelConflict, NotFound


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Cups 1 to 3, jugs 4 to 6 and pans 7 to 9."""
    with fill(tmp_path / "shop.catalog") as made:
        yield made


def made_at_once(folder: Path, things: dict[str, list[bytes]]) -> str:
    """The learning state of a catalogue that never was anything else."""
    with Catalog.init(folder / "fresh.catalog", embedder=FakeEmbedder()) as fresh:
        for label, pictures in things.items():
            fresh.add_class(label, pictures)
        return fresh.info().learning_state


class TestMove:
    """Items go to another class."""

    def test_what_is_learnt_follows(self, catalog: Catalog, tmp_path: Path) -> None:
        """After a move the catalogue is as if it had been made so, and undo brings all back."""
        before = catalog.info().learning_state
        moved = catalog.move([4, 5, 1], "cup")
        assert (moved.label, moved.created, moved.moved, moved.known) == ("cup", False, 2, 1)
        assert counts(catalog) == {"cup": 5, "jug": 1, "pan": 3}
        jugs = photos.shots(1, 3)
        things = {"cup": photos.shots(0, 3) + jugs[:2], "jug": jugs[2:], "pan": photos.shots(2, 3)}
        assert catalog.info().learning_state == made_at_once(tmp_path, things)
        catalog.undo()
        assert catalog.info().learning_state == before

    def test_a_new_class(self, catalog: Catalog) -> None:
        """A class is split in two only when that was asked for."""
        with pytest.raises(NotFound, match="no class 'mug'"):
            catalog.move([1], "mug")
        moved = catalog.move([1], "mug", new=True)
        assert moved.created
        assert counts(catalog) == {"cup": 2, "jug": 3, "mug": 1, "pan": 3}
        with pytest.raises(LabelConflict, match="there is a class 'jug'"):
            catalog.move([1], "jug", new=True)

    def test_a_class_that_loses_all_is_named(self, catalog: Catalog) -> None:
        """A class without items is gone, and the answer says so."""
        assert catalog.move([4, 5, 6], "cup").emptied == ("jug",)
        assert counts(catalog) == {"cup": 6, "pan": 3}

    @pytest.mark.parametrize("head", ["frozen", "none"])
    def test_the_head_gets_a_column(self, tmp_path: Path, head: str) -> None:
        """A stored head is widened for a class that a move makes, and undo takes that back."""
        with fill(tmp_path / "own.catalog", head=head) as catalog:
            before = catalog.predict(photos.photo(0, 9), 9).head
            catalog.move([1], "mug", new=True)
            labels = {candidate.label for candidate in catalog.predict(photos.photo(0, 9), 9).head}
            assert labels == ({"cup", "jug", "pan", "mug"} if head == "frozen" else set())
            catalog.undo()
            assert catalog.predict(photos.photo(0, 9), 9).head == before
            assert catalog.verify().sound

    def test_refusals_change_nothing(self, catalog: Catalog) -> None:
        """No items, unknown ones, and items whose descriptor was dropped."""
        with pytest.raises(InvalidInput, match="no items"):
            catalog.move([], "cup")
        with pytest.raises(NotFound, match="no item 99"):
            catalog.move([4, 99], "cup")
        catalog.compact(["pan"])
        generation = catalog.info().generation
        with pytest.raises(Conflict, match="was dropped"):
            catalog.move([4, 7], "cup")
        assert catalog.move([1, 2], "cup").event is None
        assert catalog.info().generation == generation


class TestRename:
    """A class gets another name."""

    def test_the_slot_stays(self, catalog: Catalog, tmp_path: Path) -> None:
        """Slot and items stay, answers say the new name, and what is learnt is as if born so."""
        before = slots(catalog)["jug"]
        renamed = catalog.rename_class("jug", "Krug")
        assert (renamed.before, renamed.label) == ("jug", "Krug")
        assert slots(catalog)["Krug"] == before
        assert catalog.predict(photos.photo(1, 9)).label == "Krug"
        things = {label: photos.shots(at, 3) for at, label in enumerate(("cup", "Krug", "pan"))}
        assert catalog.info().learning_state == made_at_once(tmp_path, things)

    def test_another_spelling(self, catalog: Catalog) -> None:
        """A name may be replaced by one that differs by case alone, or looks alike."""
        catalog.rename_class("jug", "JUG")
        catalog.rename_class("Jug", "JÜG")
        assert "JÜG" in counts(catalog)
        assert catalog.rename_class("jüg", "JÜG").event is None

    def test_there_and_back(self, catalog: Catalog) -> None:
        """Two classes change names by way of a third, and undo goes back step by step."""
        before = (catalog.labels(), catalog.info().learning_state)
        for label, name in (("cup", "x"), ("jug", "cup"), ("x", "jug")):
            catalog.rename_class(label, name)
        assert catalog.predict(photos.photo(0, 9)).label == "jug"
        for _ in range(3):
            catalog.undo()
        assert (catalog.labels(), catalog.info().learning_state) == before

    def test_the_name_of_a_removed_class(self, catalog: Catalog) -> None:
        """The name of a class that was removed is free, and undo gives it back to that class."""
        before = slots(catalog)
        catalog.remove_class("cup")
        catalog.rename_class("jug", "cup")
        assert slots(catalog) == {"cup": before["jug"], "pan": before["pan"]}
        catalog.undo()
        catalog.undo()
        assert slots(catalog) == before

    def test_the_old_name_is_taken_meanwhile(self, catalog: Catalog) -> None:
        """Undo gives a class its old name back, though another one bore it for a while."""
        before = slots(catalog)
        catalog.rename_class("cup", "mug")
        catalog.add_class("cup", photos.shots(5, 2))
        assert slots(catalog)["cup"] not in before.values()
        catalog.undo()
        catalog.undo()
        assert slots(catalog) == before
        assert catalog.verify().sound

    def test_refusals(self, catalog: Catalog) -> None:
        """A name that another class has, one that cannot be, and a class that is not there."""
        with pytest.raises(LabelConflict, match="merge_classes"):
            catalog.rename_class("cup", "Jug")
        with pytest.raises(InvalidLabel, match="empty"):
            catalog.rename_class("cup", "  ")
        with pytest.raises(NotFound, match="did you mean 'cup'"):
            catalog.rename_class("cupp", "mug")

    def test_dropped_descriptors_are_no_matter(self, catalog: Catalog) -> None:
        """A compacted class can be renamed; only a merge would need its descriptors."""
        catalog.compact(["pan"])
        catalog.rename_class("pan", "pot")
        assert counts(catalog) == {"cup": 3, "jug": 3, "pot": 3}
        with pytest.raises(Conflict, match="'pot' were dropped"):
            catalog.merge_classes(["pot"], "cup")
        assert catalog.merge_classes(["cup"], "pot").moved == 3


class TestMergeClasses:
    """Several classes become one."""

    def test_all_items_go_over(self, catalog: Catalog, tmp_path: Path) -> None:
        """The catalogue is as if there had always been one class, and undo brings all back."""
        before = (catalog.labels(), catalog.info().learning_state)
        merged = catalog.merge_classes(["jug", "cup", "cup"], "cup")
        assert (merged.label, merged.moved, merged.emptied) == ("cup", 3, ("jug",))
        things = {"cup": photos.shots(0, 3) + photos.shots(1, 3), "pan": photos.shots(2, 3)}
        assert catalog.info().learning_state == made_at_once(tmp_path, things)
        catalog.undo()
        assert (catalog.labels(), catalog.info().learning_state) == before

    def test_refusals(self, catalog: Catalog) -> None:
        """Nothing to merge, a class that is not there, and a name instead of a list."""
        with pytest.raises(InvalidInput, match="no other class"):
            catalog.merge_classes(["cup"], "cup")
        with pytest.raises(NotFound, match="no class 'urn'"):
            catalog.merge_classes(["cup", "urn"], "pan")
        with pytest.raises(InvalidInput, match="as a list"):
            catalog.merge_classes("cup", "pan")
        assert counts(catalog) == {"cup": 3, "jug": 3, "pan": 3}


def test_everything_is_in_the_history(catalog: Catalog) -> None:
    """The journal tells what was done, and what was taken back."""
    catalog.move([1], "jug")
    catalog.rename_class("jug", "Krug")
    catalog.undo()
    kinds = [(event.kind, event.undone_by) for event in catalog.history()]
    assert kinds == [("add", None)] * 3 + [("move", None), ("rename-class", 6), ("undo", None)]
    assert [event.kind for event in catalog.history(last=2)] == ["rename-class", "undo"]
    with pytest.raises(InvalidInput, match="at least 1"):
        catalog.history(last=0)


def test_another_process_sees_it(catalog: Catalog) -> None:
    """A catalogue that is open elsewhere answers with the new names at once."""
    with reopen(catalog.path) as second:
        assert second.predict(photos.photo(1, 9)).label == "jug"
        catalog.rename_class("jug", "Krug")
        catalog.merge_classes(["pan"], "cup")
        assert second.predict(photos.photo(1, 9)).label == "Krug"
        assert {near.label for near in second.nearest(photos.photo(2, 9), 9)} == {"cup", "Krug"}
