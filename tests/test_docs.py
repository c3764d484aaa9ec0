"""The documents say what the program does."""

from __future__ import annotations

import re
import tomllib
from functools import partial
from pathlib import Path

import photos
import pytest
from conftest import REPOSITORY
from doubles import FakeEmbedder
from typer.main import get_command

from catalog import Catalog
from catalog.cli.main import app

DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def commands() -> dict[str, set[str]]:
    """Every command in words, and its long options."""
    found = {}

    def walk(words: str, command: object) -> None:
        children = getattr(command, "commands", None)
        if children:
            for name, child in children.items():
                walk(f"{words} {name}", child)
            return
        names = [name for parameter in command.params for name in parameter.opts]
        found[words] = {name for name in names if name.startswith("--")}

    walk("catalog", get_command(app))
    return found


COMMANDS = commands()


@pytest.mark.parametrize("command", COMMANDS)
def test_reference_has_every_option(command: str) -> None:
    """The command reference has a section for each command, with just the options it has."""
    reference = (REPOSITORY / "docs" / "cli.md").read_text()
    section = re.search(rf"^#+ `{command}`$(.*?)(?=^#|\Z)", reference, re.M | re.S)
    assert section, f"`make docs` was not run since {command} came"
    entries = "".join(re.findall(r"^\* `[^`]*`", section[1], re.M))
    assert set(re.findall(r"--[\w-]+", entries)) == COMMANDS[command] | {"--help"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_named_in_documents_exist(document: Path) -> None:
    """Whatever a document calls a command of `catalog` is one."""
    command = r"(?:\$ |`|bin/)catalog ((?:model |jobs (?=[a-z]))?[a-z][a-z-]*)"
    named = re.findall(command, document.read_text())
    known = {command.removeprefix("catalog ") for command in COMMANDS} | {"model", "jobs", "keys"}
    assert set(named) <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A link to a file in the project leads to one."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_python_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python example of the README runs as it stands."""
    monkeypatch.chdir(tmp_path)
    photos.draw_tree(tmp_path / "photos", ["mug", "lamp"], 3)
    tree = photos.draw_tree(tmp_path / "other", ["Blue Train"], 3)
    for name, file in zip(
        ("train/1.jpg", "train/2.jpg", "photo.jpg"), sorted(tree.rglob("*.*")), strict=True
    ):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    embedder = FakeEmbedder()
    Catalog.init("shop.catalog", embedder=embedder).close()
    monkeypatch.setattr(Catalog, "open", partial(Catalog.open, embedder=embedder))
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)
    exec(compile(code, "README.md", "exec"), {})
    with Catalog.open("shop.catalog") as shop:
        assert [row.label for row in shop.labels()] == ["Blue Train"]


def test_changelog_has_this_version() -> None:
    """The version that is built is described in the changelog."""
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (REPOSITORY / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_named_in_documents_exist(document: Path) -> None:
    """A module that a document points to is there, and a name that it says is in it, is."""
    if document.name == "CHANGELOG.md":  # which tells of what was
        return
    text = document.read_text()
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)`", text):
        assert (REPOSITORY / name).is_file(), name
    for name, file in re.findall(r"`(\w+)`\s+(?:in|\()\s*`((?:[a-z_]+/)+\w+\.py)`", text):
        assert re.search(rf"(def|class) {name}\b", (REPOSITORY / file).read_text()), (name, file)
