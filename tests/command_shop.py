"""A catalogue made by the command, to ask it about; the fixtures are in conftest for all tests."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import photos
import pytest
from tiny_network import NAME, run

from catalog.cli.main import main
from catalog.embedder.model_cache import Model

LABELS = ("cup", "jug", "pan")
SHOTS = 4


@pytest.fixture(scope="module")
def made(tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tree of three classes, and a catalogue of it; copy it to change it."""
    folder = tmp_path_factory.mktemp("made")
    photos.draw_tree(folder / "tree", LABELS, SHOTS)
    photos.draw_tree(folder / "test", LABELS, 2, first=20)
    path = folder / "shop.catalog"
    begun = run("init", path, "--backbone", NAME, "--views", "fast", cache=tiny_cache)
    assert begun.returncode == 0, begun.stderr
    filled = run("import", folder / "tree", "--catalog", path, cache=tiny_cache)
    assert (filled.returncode, filled.stderr) == (0, "")
    assert filled.stdout == "12 pictures added, 3 new classes, 0 known already\n"
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    """A catalogue to change."""
    return Path(shutil.copy(made / "shop.catalog", tmp_path))


@pytest.fixture
def in_process(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tiny_model: Model
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command within this process: its exit code, stdout and stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        monkeypatch.setattr(sys, "argv", ["catalog", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capfd.readouterr()

    return call
