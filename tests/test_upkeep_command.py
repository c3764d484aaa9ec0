"""The commands of upkeep: what they print, what they ask, and what the Python calls make of it."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import photos
import pytest
from command_shop import LABELS
from tiny_network import run

from catalog import Catalog

Run = Callable[..., tuple[int, str, str]]

BACKUPS = "backups that were made before still have it\n"


@pytest.fixture
def do(in_process: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on a catalogue of cups, jugs and pans, ids 1 to 12; nobody is there to ask."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return lambda *arguments: in_process(*arguments, "--catalog", shop)


@pytest.fixture
def listed(do: Run) -> Callable[[], dict[str, int]]:
    """How many items each class has."""

    def call() -> dict[str, int]:
        rows = json.loads(do("labels", "--json")[1])
        return {row["label"]: row["items"] for row in rows}

    return call


def test_classes_are_put_in_order(do: Run, listed: Callable[[], dict[str, int]]) -> None:
    """Items move, classes are renamed and merged, each in a line, and undo takes it back."""
    assert do("move", "cup", "5", "1") == (
        0,
        "class 'cup': 1 item moved to it, 1 there already\n",
        "",
    )
    assert do("move", "mug", "1", "--new") == (0, "new class 'mug': 1 item moved to it\n", "")
    assert do("rename-class", "jug", "Krug") == (0, "class 'jug' is 'Krug' now\n", "")
    assert do("rename-class", "Krug", "Krug")[1] == "class 'Krug' has that name already\n"
    code, said, noted = do("merge-classes", "mug", "Krug", "--into", "pan")
    assert (code, said) == (0, "class 'pan': 4 items moved to it\n")
    assert noted == (
        "class 'Krug' has no items left, and is gone\nclass 'mug' has no items left, and is gone\n"
    )
    assert listed() == {"cup": 4, "pan": 8}
    for _ in range(4):
        assert do("undo")[0] == 0
    assert listed() == dict.fromkeys(LABELS, 4)


def test_history(do: Run) -> None:
    """The journal is a line for each entry; what was undone is marked."""
    do("rename-class", "jug", "Krug")
    do("remove", "1", "2")
    do("undo")
    lines = [line.split() for line in do("history", "--last", "3")[1].splitlines()]
    assert [line[2:] for line in lines] == [
        ["rename-class", "jug", "->", "Krug"],
        ["remove", "2", "items", "undone"],
        ["undo"],
    ]
    assert [row["id"] for row in json.loads(do("history", "--json")[1])] == list(range(1, 7))
    assert do("history", "--last", "0")[0] == 2


def test_forgetting_asks(do: Run, listed: Callable[[], dict[str, int]], made: Path) -> None:
    """What is forgotten for good is named and asked about first, unless told otherwise."""
    code, said, asked = do("forget", "1", "--label", "jug")
    assert (code, said) == (1, "")
    assert "Forget item 1, class 'jug' with 4 items for good?" in asked
    assert "nothing was forgotten; --yes does it without asking" in asked
    assert listed() == dict.fromkeys(LABELS, 4)
    assert do("forget", "1", "--label", "jug", "--yes") == (
        0,
        "5 pictures and 1 class forgotten\n",
        BACKUPS,
    )
    picture = made / "tree" / "pan" / "000.jpg"
    assert do("forget", "--picture", picture, "--yes") == (0, "1 picture forgotten\n", BACKUPS)
    assert listed() == {"cup": 3, "pan": 3}
    code, _, error = do("forget")
    assert (code, error) == (2, "error: nothing was named to forget\n")
    code, _, error = do("undo")
    assert code == 1
    assert "for good" in error


def test_a_head_that_remembers(do: Run) -> None:
    """It is said that a head was dropped, and a class's name that stays is named."""
    do("train-head", "--head", "frozen")
    code, _, noted = do("forget", "1", "2", "3", "4", "--yes")
    assert code == 0
    assert noted == BACKUPS + (
        "class 'cup' has no items left; `catalog forget --label` forgets its name, too\n"
        "the head had been trained on what was forgotten, so it was dropped; it is exact now, and "
        "`catalog train-head` trains another\n"
    )


def test_backup_and_restore(
    do: Run, listed: Callable[[], dict[str, int]], tmp_path: Path, shop: Path
) -> None:
    """A backup is made and checked; restoring asks, since it gives up what came after."""
    copy = tmp_path / "monday.catalog"
    code, said, _ = do("backup", copy)
    assert (code, said.split(": ")[0]) == (0, str(copy))
    assert said.endswith("MB, checked\n")
    assert do("backup", copy)[2].endswith("exists already; choose another name, or --replace it\n")
    assert json.loads(do("backup", copy, "--replace", "--json")[1])["items"] == 12
    do("remove-class", "jug", "--yes")
    code, _, asked = do("restore", copy)
    assert code == 1
    assert f"Give up all that was done to {shop} since {copy} was made?" in asked
    assert "jug" not in listed()
    assert do("restore", copy, "--yes") == (
        0,
        f"{shop}: 12 items of generation 3 restored\n",
        "",
    )
    assert listed() == dict.fromkeys(LABELS, 4)


def test_merge(do: Run, shop: Path, tmp_path: Path, listed: Callable[[], dict[str, int]]) -> None:
    """Another catalogue's items are taken over; conflicts are listed, and the rest goes on."""
    other = Path(shutil.copy(shop, tmp_path / "other.catalog"))
    with Catalog.open(other) as its:
        its.add_class("urn", photos.shots(8, 2))
        its.move([1], "urn")
    code, said, noted = do("merge", other)
    assert code == 5
    assert said == "2 pictures added, 1 new class, 11 known already, 1 refused\n"
    assert noted.startswith("refused: ")
    assert "already in class 'cup'" in noted or "in class 'cup' already" in noted
    assert listed() == {"cup": 4, "jug": 4, "pan": 4, "urn": 2}
    assert do("merge", other, "--move")[1].endswith(
        "13 known already, 1 moved from other classes\n"
    )


def test_a_fresh_machine_restores(made: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """A catalogue is made of a backup where there is none yet, without a question."""
    done = run(
        "restore", made / "shop.catalog", "--catalog", tmp_path / "new.catalog", cache=tiny_cache
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert run("verify", "--catalog", tmp_path / "new.catalog", cache=tiny_cache).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("move", "urn", "1"), 3),
        (("move", "cup", "99"), 3),
        (("move", "cup", "1", "--new"), 1),
        (("rename-class", "cup", "JUG"), 1),
        (("rename-class", "urn", "x"), 3),
        (("merge-classes", "cup", "--into", "cup"), 2),
        (("forget", "99", "--yes"), 3),
        (("merge", "nowhere.catalog"), 3),
        (("backup", "no/such/folder/x"), 3),
        (("restore", "nowhere.catalog", "--yes"), 3),
    ],
)
def test_bad_input(do: Run, arguments: Any, code: int) -> None:
    """Each mistake is one plain line and its exit code."""
    done = do(*arguments)
    assert done[:2] == (code, "")
    assert done[2].startswith("error: ")
    assert done[2].count("\n") == 1
