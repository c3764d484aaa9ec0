"""Places where a command can be cut short, each with a name, so that tests can do so there.

A call of :func:`reach` does nothing unless a test has armed that name, in the same thread. A new
place is one more name in ``NAMES``, and one more call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final, TypeAlias

from catalog.descriptors import InvalidInput

Action: TypeAlias = Callable[[], object]
"""What a test does at a place: raise, kill the process, or look around."""

NAMES: Final = MappingProxyType(
    {
        "created": "a new catalogue is filled, and has no name yet",
        "staged": "descriptors of a batch of pictures are stored, and the pictures are in no class",
        "landing": "within the transaction that lands a class: all is written, nothing committed",
        "landed": "a class is committed, and the call has not returned",
        "next class": "between two classes of an import",
        "settling": "within the transaction that ends a sync: all is written, nothing committed",
        "settled": "a sync is committed, and the call has not returned",
        "rewriting": "descriptors are dropped or forgotten, and the file is not written anew yet",
        "rewritten": "the file is written anew, and the call has not returned",
        "saving": "something learnt is about to be written to the cache folder",
        "copied": "a backup is copied and checked, and has no name yet",
        "restoring": "a backup is copied and checked, and the catalogue is not replaced",
        "merging": "another catalogue's pictures are stored, and are in no class",
    }
)
"""Every place, and how things stand there."""

_ARMED: ContextVar[Mapping[str, Action]] = ContextVar("armed", default=MappingProxyType({}))


def reach(name: str) -> None:
    """Say that a place is reached: whatever a test has armed it with happens."""
    if action := _ARMED.get().get(name):
        action()


@contextmanager
def armed(name: str, action: Action) -> Iterator[None]:
    """Let something happen at a place whenever it is reached, for as long as the context lasts.

    Args:
        name: of the place.
        action: what to do there.

    Raises:
        InvalidInput: there is no such place.
    """
    if name not in NAMES:
        raise InvalidInput(f"there is no place {name!r}; there are {', '.join(map(repr, NAMES))}")
    token = _ARMED.set({**_ARMED.get(), name: action})
    try:
        yield
    finally:
        _ARMED.reset(token)
