"""The command `reindex`: what it prints, refuses and ends with, from bringing in to dropping."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import photos
import pytest
from command_shop import LABELS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def do(in_process: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on a catalogue of cups, jugs and pans; nobody is there to ask."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return lambda *arguments: in_process(*arguments, "--catalog", shop)


def asked(do: Run, *arguments: str | Path) -> Any:
    """What a command says in JSON."""
    code, said, noted = do(*arguments, "--json")
    assert (code, noted) == (0, "")
    return json.loads(said)


def test_from_one_preset_to_another(do: Run) -> None:
    """Brought in, gone over to, back, undone; each step says what it did and what is next."""
    assert do("reindex") == (
        0,
        "what is derived from the descriptors of 12 items is made anew\n",
        "",
    )
    code, said, noted = do("reindex", "--views", "standard")
    assert (code, noted) == (0, "")
    assert said.startswith("12 pictures embedded by ")
    assert "which has 12 items now; the catalogue answers as before" in said
    assert "catalog reindex --compare" in said
    info = do("info")[1]
    assert "views           fast\n" in info
    assert "standard, pooled; brought in, has 12 items\n" in info
    assert asked(do, "reindex", "--views", "standard")["embedded"] == 0
    assert do("jobs")[1].count("reindex") == 2
    code, said, noted = do("reindex", "--promote")
    assert (code, noted) == (0, "")
    assert "answers by tiny" in said
    assert "standard, pooled now\n" in said
    assert "fast, pooled; in use before, has 12 items\n" in do("info")[1]
    assert " -> " in do("history")[1].splitlines()[-1]
    assert "fast, pooled now\n" in do("reindex", "--back")[1]
    assert asked(do, "undo")[0]["kind"] == "switch-embedder"
    assert asked(do, "info")["views"] == "standard"
    code, said, noted = do("reindex", "--drop-old")
    assert (code, said) == (1, "")
    assert "--yes does it without asking" in noted
    assert "dropped, with 12 descriptors\n" in do("reindex", "--drop-old", "--yes")[1]
    assert asked(do, "info")["other"] is None
    assert (
        do("reindex", "--views", "standard")[1] == "that is what the catalogue answers by already\n"
    )
    assert do("verify")[0] == 0


def test_compared(do: Run, made: Path, tmp_path: Path) -> None:
    """Both are shown side by side, with pictures of what is answered in another way."""
    do("reindex", "--views", "standard")
    page = tmp_path / "flips.html"
    arguments = ("reindex", "--compare", "--queries", made / "test")
    code, said, noted = do(*arguments, "--html", page)
    assert code == 0
    assert "contact sheet" in noted
    assert "in use" in said
    assert "of 6 pictures asked about" in said
    found = asked(do, *arguments)
    assert (found["asked"], found["before"]["views"]) == (6, "fast")
    text = page.read_text()
    assert text.count("<figure") == len(found["flips"])
    assert "answered in another way" in text
    assert do("reindex", "--compare")[1].endswith("name some by --queries\n")


def test_pictures_that_are_gone(do: Run, made: Path, tmp_path: Path) -> None:
    """They are listed, with exit code 5, and the switch is refused with both ways out."""
    lone = photos.draw(tmp_path / "lone", 7, 3)
    do("add-class", "pot", *lone)
    lone[1].unlink()
    code, said, noted = do("reindex", "--views", "standard")
    assert (code, "14 pictures embedded" in said) == (5, True)
    assert f"of class 'pot', {lone[1]}: " in noted
    assert "1 item cannot be read again" in noted
    code, said, noted = do("reindex", "--promote")
    assert (code, said) == (1, "")
    assert "nothing was changed; see that they lie where they were" in noted
    assert "--without-unreadable" in noted
    failed = do("jobs", "failures", "2")[1]
    assert json.loads(failed)["place"] == str(lone[1])
    code, said, _ = do("reindex", "--promote", "--without-unreadable")
    assert (code, "1 item removed, which could not be read again" in said) == (0, True)
    labels = {row["label"]: row["items"] for row in asked(do, "labels")}
    assert labels == {**dict.fromkeys(LABELS, 4), "pot": 2}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--promote", "--back"), 2, "one at a time"),
        (("--views", "standard", "--compare"), 2, "one at a time"),
        (("--html", "page.html"), 2, "go with --compare"),
        (("--without-unreadable",), 2, "goes with --promote or --back"),
        (("--promote",), 3, "one embedder alone; `catalog reindex` brings another in"),
        (("--compare",), 3, "one embedder alone"),
        (("--drop-old", "--yes"), 3, "one embedder alone"),
        (("--views", "wide"), 2, "wide"),
        (("--backbone", "no such"), 3, "no such"),
    ],
)
def test_refusals(do: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    """What makes no sense is refused in words, and nothing is changed."""
    before = do("history")[1], do("info")[1]
    ended, said, noted = do("reindex", *arguments)
    assert (ended, said) == (code, "")
    assert words in noted
    assert (do("history")[1], do("info")[1]) == before


def test_doctor_looks_at_both_networks(do: Run) -> None:
    """The network that is not in use is looked at, too, while the catalogue has it."""
    names = {check["name"] for check in asked(do, "doctor")}
    assert "other network" not in names
    do("reindex", "--views", "standard")
    checks = {check["name"]: check["state"] for check in asked(do, "doctor")}
    assert (checks["its network"], checks["other network"]) == ("ok", "ok")
