"""Bad input at the command: a line that says what was wrong, and an exit code of what kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import photos
import pytest
from tiny_network import NAME, run


@pytest.fixture(scope="module")
def shop(tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of one class; copy it to change it."""
    path = tmp_path_factory.mktemp("shop") / "shop.catalog"
    assert run("init", path, "--backbone", NAME, cache=tiny_cache).returncode == 0
    pictures = photos.draw(path.parent / "cup", 0, 2)
    added = run("add-class", "cup", *pictures, "--catalog", path, cache=tiny_cache)
    assert (added.returncode, added.stderr) == (0, "")
    return path


class TestCommand:
    """The command says what was wrong in a line, and its exit code says what kind it was."""

    def test_refusals(self, shop: Path, tiny_cache: Path, tmp_path: Path) -> None:
        """Each refused file is listed with its reason; the good ones are in; the exit code is 5."""
        own = Path(shutil.copy(shop, tmp_path))
        paths = photos.among_good(tmp_path / "new", "bad.jpg", b"text")
        gone = tmp_path / "gone.jpg"
        done = run("add-class", "new", *paths, gone, "--catalog", own, cache=tiny_cache)
        assert (done.returncode, done.stdout) == (5, "new class 'new': 2 pictures added\n")
        lines = done.stderr.splitlines()
        assert [line.split(": ")[:2] for line in lines] == [
            ["refused", str(paths[1])],
            ["refused", str(gone)],
        ]
        assert [line.rpartition(" ")[2] for line in lines] == ["(unsupported)", "(unreadable)"]
        asked = run("nearest", paths[0], paths[1], "-k", 1, "--catalog", own, cache=tiny_cache)
        assert asked.returncode == 5
        assert f"refused: {paths[1]}" in asked.stderr
        assert str(paths[0]) in asked.stdout

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (("add-class", "cup", "PHOTO"), 1, "there is a class 'cup' with 2 items"),
            (("add-class", "CUP", "PHOTO"), 1, "there is a class 'cup' with 2 items"),
            (("add-class", "", "PHOTO"), 2, "needs a name"),
            (("add-class", "new", "EMPTY"), 2, "there are no pictures in"),
            (("add", "pot", "PHOTO"), 3, "there is no class 'pot'"),
            (("add-class", "new", "CUP/000.jpg"), 5, "in class 'cup' already"),
            (("nearest", "PHOTO", "-k", "0"), 2, "at least 1, not 0"),
            (("predict", "PHOTO", "--box", "1,2,3"), 2, "a box is x,y,width,height"),
            (("predict", "PHOTO", "--box", "60,0,9,9"), 5, "reaches outside"),
        ],
    )
    def test_exit_codes(
        self,
        shop: Path,
        tiny_cache: Path,
        tmp_path: Path,
        *,
        arguments: tuple[str, ...],
        code: int,
        words: str,
    ) -> None:
        """Whatever is wrong is said in one line on stderr, and nothing is on stdout."""
        (tmp_path / "PHOTO").write_bytes(photos.photo(5))
        (tmp_path / "EMPTY").mkdir()
        (tmp_path / "CUP").symlink_to(shop.parent / "cup")
        done = run(*arguments, cache=tiny_cache, cwd=tmp_path, CATALOG_PATH=str(shop))
        assert (done.returncode, done.stdout) == (code, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
