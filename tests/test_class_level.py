"""Folders of one name: nobody's sides are taken for one class unasked."""

from __future__ import annotations

from pathlib import Path

import photos
import pytest
from terminal import answered
from tiny_network import NAME, command, environment, run

from catalog import Catalog


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two things, photographed from two sides each."""
    for thing, sides in enumerate((("mug", "front"), ("mug", "back"), ("cup", "front"))):
        photos.draw(tmp_path.joinpath("tree", *sides), thing, 2)
    return tmp_path / "tree"


@pytest.fixture
def shop(tmp_path: Path, tiny_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty catalogue."""
    monkeypatch.setenv("CATALOG_CACHE", str(tiny_cache))
    Catalog.init(tmp_path / "shop.catalog", backbone=NAME, views="fast").close()
    return tmp_path / "shop.catalog"


def labels(shop: Path) -> list[str]:
    """The classes of a catalogue."""
    with Catalog.open(shop) as opened:
        return [row.label for row in opened.labels()]


def test_without_a_terminal_it_is_refused(shop: Path, tree: Path, tiny_cache: Path) -> None:
    """Nothing is stored, and both ways out are named; each of them works."""
    ask = ("import", tree, "--catalog", shop)
    done = run(*ask, cache=tiny_cache)
    assert (done.returncode, done.stdout) == (2, "")
    assert "several folders are called 'front'" in done.stderr
    assert "--class-level 1" in done.stderr
    assert "a manifest" in done.stderr
    assert labels(shop) == []
    assert run(*ask, "--class-level", "1", cache=tiny_cache).returncode == 0
    assert labels(shop) == ["cup", "mug"]
    judged = ("evaluate", tree, "--catalog", shop)
    assert run(*judged, cache=tiny_cache).returncode == 2
    assert run(*judged, "--class-level", "1", cache=tiny_cache).returncode == 0
    done = run(*ask, "--class-level", "two", cache=tiny_cache)
    assert (done.returncode, "not 'two'" in done.stderr) == (2, True)


@pytest.mark.parametrize("said", [("--class-level", "last"), ("--group-by", "folder")])
def test_who_says_that_it_is_one_class_is_not_asked(
    shop: Path, tree: Path, tiny_cache: Path, said: tuple[str, str]
) -> None:
    """Visits on two days, each with a folder, are such a tree."""
    assert run("import", tree, "--catalog", shop, *said, cache=tiny_cache).returncode == 0
    assert labels(shop) == ["back", "front"]


@pytest.mark.parametrize(
    ("answer", "classes", "code"), [("n\n", [], 1), ("y\n", ["back", "front"], 0)]
)
def test_on_a_terminal_it_is_asked(
    shop: Path, tree: Path, tiny_cache: Path, *, answer: str, classes: list[str], code: int
) -> None:
    """Before anything is stored, with the folders; yes makes one class of each name."""
    env = environment(tiny_cache, TERM="xterm", COLUMNS="300")
    seen, ended = answered(answer, command("import", tree, "--catalog", shop), env)
    assert f"2 folders called 'front': {tree / 'cup' / 'front'}, {tree / 'mug' / 'front'}" in seen
    assert "Is each of these names one class?" in seen
    assert (ended, labels(shop)) == (code, classes)
