"""How a bug is planted: some words in the source of one function are replaced by others.

The function goes on under all its names, with other code, until the block ends. Nothing is written
to a file, and a bug whose words are no longer in the source is an error, not one that is caught.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import CodeType
from typing import Any

import pytest


@contextmanager
def edited(place: str, old: str, new: str) -> Iterator[None]:
    """A function with other words in it, for as long as the context lasts.

    Args:
        place: module and function, with a colon between them.
        old: words that are in its source once.
        new: what is there instead.

    Raises:
        LookupError: the words are not in the source, or more than once.
    """
    module, _, path = place.partition(":")
    function = _found(vars(import_module(module)), path)
    lines, first = inspect.getsourcelines(function)
    source = textwrap.dedent("".join(lines))
    if source.count(old) != 1:
        raise LookupError(f"{place} does not have these words once: {old!r}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, "__code__", _code(function, path, source.replace(old, new), first))
        yield


def _found(names: dict[str, Any], path: str) -> Any:
    """A function, method or property, without what it is wrapped in."""
    first, *others = path.split(".")
    found = names[first]
    for name in others:
        found = vars(found)[name]
    return inspect.unwrap(found.fget if isinstance(found, property) else found)


def _code(function: Any, path: str, source: str, first: int) -> CodeType:
    """The code that the function would have with another source."""
    names = dict(function.__globals__)
    exec(compile("\n" * (first - 1) + source, inspect.getfile(function), "exec"), names)
    code: CodeType = _found(names, path.rpartition(".")[2]).__code__
    return code
