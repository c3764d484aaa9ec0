"""The walk-throughs tell what the program does: each command in them is run, and says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import REPOSITORY
from walkthrough import TOLERANCE, Walk, differences, fits, steps

from catalog.embedder.model_cache import Model

FOLDER = REPOSITORY / "docs" / "walkthroughs"
ANYWHERE = ("eleventh-class", "incremental-learning")
WITH_PHOTOS = "rock-paper-scissors"

DRAWN_TOLERANCE = 0.15
"""Of figures about 44 drawn photos: OpenCV 4 draws letters on them in other fonts than 5."""


def check(name: str, folder: Path, cache: Path, tolerance: float) -> None:
    """Run a document in a folder, and show every step that printed something else."""
    text = (FOLDER / f"{name}.md").read_text()
    found = differences(text, Walk(folder, cache), tolerance)
    assert not found, "\n\n".join(found)


@pytest.mark.soak
@pytest.mark.parametrize("name", ANYWHERE)
def test_drawn_pictures(name: str, tmp_path: Path, model_cache: Path) -> None:
    """A walk-through that draws its pictures does what it says, on the starter network."""
    folder = tmp_path / "walk"
    folder.mkdir()
    check(name, folder, model_cache, DRAWN_TOLERANCE)


@pytest.mark.real
@pytest.mark.soak
def test_rock_paper_scissors(
    tmp_path: Path, shared: Path, imagenet: Model, model_cache: Path
) -> None:
    """The tutorial of hands goes as told, on real photos and the ImageNet network."""
    folder = tmp_path / "walk"
    folder.mkdir()
    (folder / WITH_PHOTOS).symlink_to(shared / "pictures" / WITH_PHOTOS)
    check(WITH_PHOTOS, folder, model_cache, TOLERANCE)


def test_every_walkthrough_is_run() -> None:
    """There is no walk-through without a test."""
    assert {path.stem for path in FOLDER.glob("*.md")} == {*ANYWHERE, WITH_PHOTOS}


DOCUMENT = """
```console
$ export WHO=you
$ echo hello $WHO; \\
    echo 12 of 0.512
hello you
12 of 0.5
$ false
[exit code 1]
```

```python
print("from Python")
```

```text
from ...
```
"""


def test_document_that_fits(tmp_path: Path) -> None:
    """Commands, exports, continued lines, exit codes and Python are run and compared."""
    assert len(list(steps(DOCUMENT))) == 4
    assert differences(DOCUMENT, Walk(tmp_path, tmp_path)) == []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("0.5\n", "0.6\n"),
        ("12 of 0.5\n", "13 of 0.5\n"),
        ("hello you", "hello"),
        ("hello you\n", ""),
        ("[exit code 1]\n", ""),
        ("from ...", "to ..."),
    ],
)
def test_document_that_does_not_fit(was: str, now: str, tmp_path: Path) -> None:
    """A document that says something else than comes of it is found out, and where."""
    (found,) = differences(DOCUMENT.replace(was, now), Walk(tmp_path, tmp_path))
    assert "printed:" in found


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        (["a", "...", "c"], ["a", "b", "b", "c"]),
        (["a", "...", "c"], ["a", "c"]),
        (["top-1  0.990"], ["top-1 1.000"]),
        (["99.2% of"], ["97.9% of"]),
        (["at ...x.catalog: 3 items"], ["at /tmp/x.catalog: 3 items"]),
    ],
)
def test_lines_that_fit(expected: list[str], printed: list[str]) -> None:
    """Dots stand for lines or text, and decimal figures may be a little off."""
    assert fits(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        (["a", "...", "c"], ["a", "b"]),
        (["a"], ["a", "b"]),
        (["a"], []),
        ([], ["a"]),
        (["top-1  0.990"], ["top-1 0.969"]),
        (["99.2% of"], ["97.1% of"]),
        (["99.2% of"], ["0.992 of"]),
        (["-0.25"], ["0.25"]),
        (["at ...x.catalog: 3 items"], ["at /tmp/x.catalog: 4 items"]),
    ],
)
def test_lines_that_do_not_fit(expected: list[str], printed: list[str]) -> None:
    """Other text, other whole numbers, lines too many or too few are differences."""
    assert not fits(expected, printed)
