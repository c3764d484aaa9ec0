"""What was done is marked, so that whoever asked for it can tell whether it was done."""

from __future__ import annotations

import threading
from pathlib import Path

import photos
import pytest
from cups_and_jugs import fill
from doubles import FakeEmbedder

from catalog import Catalog, Entry, Picture


def test_every_event_of_a_command_has_the_mark(tmp_path: Path) -> None:
    """Of each command that writes, in this process and in another; and of no other."""
    path = tmp_path / "shop.catalog"
    with fill(path) as shop:
        shop.rename_class("cup", "mug")
        with shop.marking("one"):
            shop.import_(Entry(f"new {n}", Picture(photos.photo(20 + n))) for n in range(3))
            shop.undo()
        with shop.marking("two"), shop.marking("three"):
            shop.add_class("pot", [photos.photo(30)])
        shop.remove_class("pot")
        with Catalog.open(path, embedder=FakeEmbedder()) as other:
            kinds = [event.kind for event in other.marked("one")]
            assert kinds == ["add", "add", "add", "undo"]
            assert [event.detail["label"] for event in other.marked("three")] == ["pot"]
            assert other.marked("two") == other.marked("four") == []
            marked = [event.id for event in other.history() if "mark" in event.detail]
            assert marked == [one.id for m in ("one", "three") for one in other.marked(m)]
            assert other.verify().sound


def test_only_this_thread(tmp_path: Path) -> None:
    """What another thread does meanwhile has no mark, nor has what comes after an error."""
    with fill(tmp_path / "shop.catalog") as shop:
        with shop.marking("mine"):
            other = threading.Thread(target=shop.rename_class, args=("cup", "mug"))
            other.start()
            other.join()
        with pytest.raises(KeyError), shop.marking("mine"):
            raise KeyError
        shop.rename_class("mug", "cup")
        assert shop.marked("mine") == []


def test_what_is_forgotten_leaves_the_marks(tmp_path: Path) -> None:
    """Names are taken out of events that were marked before, which keep their own marks."""
    with fill(tmp_path / "shop.catalog") as shop:
        before = [event.detail.get("mark") for event in shop.history()]
        with shop.marking("one"):
            shop.add_class("pot", photos.shots(30, 2))
        with shop.marking("two"):
            shop.forget(labels=["cup", "pot"])
        after = [event.detail.get("mark") for event in shop.history()]
        assert after == [*before, "one", "two"]


def test_marks_that_are_no_words(tmp_path: Path) -> None:
    """A mark may be any text."""
    with fill(tmp_path / "shop.catalog") as shop:
        for mark in ('"; --', "%", "é\n"):
            with shop.marking(mark):
                shop.rename_class("cup", "mug")
                shop.undo()
            assert [event.kind for event in shop.marked(mark)] == ["rename-class", "undo"]
