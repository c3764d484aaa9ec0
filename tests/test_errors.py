"""The tree of errors: as it is drawn, in one place, and the same wherever an error goes."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context

import pytest
from house import ENTRY, EXPORTS, MODULES

from catalog.descriptors import CatalogError, PictureError, errors


def drawn_tree() -> dict[str, tuple[str | None, int, int]]:
    """Read the drawing in the docstring: each error's parent, exit code and HTTP status."""
    line_form = re.compile(r"^ {4}((?:[|` ] {3}|[|`]-- )*)(\w+) +exit (\d+) +(\d+)", re.MULTILINE)
    found: dict[str, tuple[str | None, int, int]] = {}
    path: list[str] = []
    for indent, name, code, status in line_form.findall(errors.__doc__ or ""):
        depth = len(indent) // 4
        path[depth:] = [name]
        assert name not in found, f"{name} is drawn twice"
        found[name] = (path[depth - 1] if depth else None, int(code), int(status))
    return found


def real_tree(
    error: type[CatalogError], parent: str | None = None
) -> Iterator[tuple[str, tuple[str | None, int, int]]]:
    """Each error that there is, with its parent, exit code and HTTP status."""
    yield error.__name__, (parent, error.exit_code, error.http_status)
    for child in error.__subclasses__():
        yield from real_tree(child, error.__name__)


def test_the_tree_of_errors_is_as_drawn() -> None:
    """The drawing shows every error under its parent, with its real exit code and HTTP status."""
    for module in set(MODULES) - {ENTRY}:
        import_module(module)
    assert drawn_tree() == dict(real_tree(CatalogError))


def test_errors_are_defined_in_one_place() -> None:
    """A public exception is one of the tree, and the tree is in one module."""
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = {ast.unparse(base) for base in node.bases}
                raised = bases & {"Exception", "BaseException", *drawn_tree()} or {
                    base for base in bases if base.endswith("Error")
                }
                assert not raised or module.name == "catalog.descriptors.errors", node.name


def test_every_error_is_exported() -> None:
    """Whatever the project raises can be caught by name from the package all may import."""
    assert set(drawn_tree()) <= set(EXPORTS["catalog.descriptors"])


def everything_raised() -> Iterator[CatalogError]:
    """One of each error of the tree, as it is raised."""
    pending: list[type[CatalogError]] = [CatalogError]
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        if error is PictureError:
            yield PictureError("truncated", "it ends within its header", "a.jpg")
            yield PictureError("empty", "there are no bytes")
        else:
            yield error("there is no such thing")


def passed_on(error: CatalogError) -> None:
    """Fail, as a process of a pool does."""
    raise error


@pytest.mark.parametrize("error", list(everything_raised()), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_errors_can_be_copied(
    error: CatalogError, again: Callable[[CatalogError], CatalogError]
) -> None:
    """An error that is copied or pickled is of the same kind, and says the same."""
    error.add_note("while it was imported")
    other = again(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)


def test_errors_come_out_of_a_process() -> None:
    """An error raised in a process of a pool is raised for who waits for it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for error in everything_raised():
            with pytest.raises(type(error), match=re.escape(str(error))):
                pool.submit(passed_on, error).result()
