"""Advice: what an error says to do, in the words of whoever reads it."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from pathlib import Path
from typing import get_args

import pytest

from catalog import descriptors
from catalog.cli.advice import COMMAND, MCP, said
from catalog.descriptors import Advice, CatalogError, EmbedderMismatch, LabelConflict, Locked
from catalog.descriptors.advice import PYTHON, AdviceKind
from catalog.service.advice import HTTP

REPOSITORY = Path(__file__).resolve().parent.parent
OF_THE_COMMAND = re.compile(r"`catalog |(^|\W)--[a-z]")
FACES = {"cli", "care/doctor.py"}
"""Where commands and options may be named: in the command, and in what only its doctor says."""


@pytest.mark.parametrize(
    "wording", [PYTHON, COMMAND, HTTP, MCP], ids=["python", "command", "http", "mcp"]
)
def test_every_kind_is_worded(wording: dict[AdviceKind, str]) -> None:
    """Each face has a sentence for every kind, and none for what is no kind."""
    assert set(wording) == set(get_args(AdviceKind))
    assert all(wording.values())


def test_the_same_error_is_worded_twice() -> None:
    """Python is told of an argument, the command of an option; what is wrong is the same."""
    error = CatalogError("the picture is in class 'mug' already", Advice("move here", "'cup'"))
    assert str(error) == "the picture is in class 'mug' already; move=True takes it to 'cup'"
    assert said(error) == "the picture is in class 'mug' already; --move takes it to 'cup'"
    tool = "the picture is in class 'mug' already; \"move\": true takes it to 'cup'"
    assert said(error, MCP) == tool
    assert str(CatalogError("no space")) == said(CatalogError("no space")) == "no space"


def test_braces_in_a_name_are_text() -> None:
    """A class may be called as it likes."""
    assert str(Advice("move here", "'{about} {0}'")) == "move=True takes it to '{about} {0}'"


@pytest.mark.parametrize(
    "error",
    [
        CatalogError("a", Advice("verify")),
        LabelConflict("a", Advice("add pictures"), existing="Mug"),
        EmbedderMismatch("a", own="1", other="2"),
        Locked("a", holder="import"),
        descriptors.NewerFormat("a", found=9),
        descriptors.PictureError("empty", "is empty", "a.jpg"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_keep_what_they_carry(error: CatalogError) -> None:
    """An error that went to another process says the same."""
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


def _texts(tree: ast.AST) -> list[ast.Constant]:
    """The strings of a module that are no docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


def test_only_the_command_speaks_of_commands() -> None:
    """No message below the faces names a command or an option of a shell."""
    found = []
    for folder in ("catalog", "descriptors", "embedder", "head", "index"):
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            if str(file.relative_to(REPOSITORY / folder)) in FACES:
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found += [
                f"{file.relative_to(REPOSITORY)}:{node.lineno}: {node.value}"
                for node in _texts(tree)
                if OF_THE_COMMAND.search(str(node.value))
            ]
    assert found == []


def test_no_message_is_taken_apart() -> None:
    """What an error carries is asked for by name; the text of one is only shown."""
    apart = re.compile(
        r"str\(error\)\.(partition|replace|split\()|(refus|outcome)\S*\.detail\.|\.fact\."
    )
    found = [
        f"{file.relative_to(REPOSITORY)}: {line.strip()}"
        for folder in ("catalog", "cli", "descriptors", "embedder", "head", "index", "machine")
        for file in sorted((REPOSITORY / folder).rglob("*.py"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if apart.search(line) and "# " not in line
    ]
    assert found == []
