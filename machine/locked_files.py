"""Files that this process may have locks on: handles of them are not closed while it may.

POSIX drops all locks that a process has on a file as soon as it closes any handle of that file,
whoever took them (fcntl: "all record locks are removed"). SQLite keeps to that by itself, but knows
nothing of handles that others open. So whoever lets SQLite open a file says so here, and whoever
else opens files that may be such closes them here.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

File: TypeAlias = tuple[int, int]
"""A file by its device and number, whatever it is called."""

_PART = 2**24

Where: TypeAlias = str | os.PathLike[str]


@dataclass(slots=True)
class _Used:
    """Handles of a file that may be locked, and how many may lock it."""

    handles: list[int] = field(default_factory=list)
    count: int = 0


_used: dict[File, _Used] = {}
_changing = threading.RLock()  # what is collected as garbage may come to its end within it


@contextmanager
def using(path: Where) -> Iterator[None]:
    """Say that a file may be locked while the block lasts."""
    file = register(path)
    try:
        yield
    finally:
        release(file)


def register(path: Where) -> File | None:
    """Say that a file may be locked from now on; :func:`release` says that it is no more.

    Returns:
        The file; None where there is none that may be read.

    Raises:
        OSError: it cannot be opened for another reason.
    """
    with _changing:
        try:
            file = file_at(path)
            if file not in _used:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                file = _file_of(handle)  # another may have come there since
                _used.setdefault(file, _Used()).handles.append(handle)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        _used[file].count += 1
        return file


def release(file: File | None) -> None:
    """Say that a file is not locked any more by one who registered it."""
    with _changing:
        used = None if file is None else _used.get(file)
        if file is None or used is None:  # in a process that was forked since
            return
        used.count -= 1
        if used.count == 0:
            del _used[file]
            for handle in used.handles:
                os.close(handle)


def close(handle: int) -> None:
    """Close a handle of a file; of one that may be locked, when it may no more."""
    with _changing:
        used = _used.get(_file_of(handle))
        if used is None:
            os.close(handle)
        else:
            used.handles.append(handle)


@contextmanager
def opened(path: Where, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A handle of a file while the block lasts, to be read with :func:`read`.

    Of a file that may be locked it is one that others use, too.

    Raises:
        OSError: it cannot be opened.
    """
    with _changing:
        file = file_at(path)
        used = _used.get(file)
        if used is not None:
            used.count += 1
    if used is not None:
        try:
            yield used.handles[0]
        finally:
            release(file)
        return
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        close(handle)


def read(handle: int, count: int, start: int = 0) -> bytes:
    """So many bytes of a file at most, from some place on; the handle's own place is not used."""
    parts: list[bytes] = []
    while count > 0 and (part := os.pread(handle, min(count, _PART), start)):
        parts.append(part)
        start += len(part)
        count -= len(part)
    return b"".join(parts)


def beginning(path: Where, count: int) -> bytes:
    """The first bytes of a file, whether it is locked or not.

    Args:
        path: of the file.
        count: so many at most.

    Raises:
        OSError: it cannot be read.
    """
    with opened(path) as handle:
        return read(handle, count)


def content(path: Where) -> bytes:
    """All bytes of a file, whether it is locked or not.

    Raises:
        OSError: it cannot be read.
    """
    with opened(path) as handle:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return read(handle, sys.maxsize)
        with open(handle, "rb", closefd=False) as stream:  # a pipe
            return stream.read()


def file_at(path: Where) -> File:
    """The file that lies at a path.

    Raises:
        OSError: there is none, or it cannot be looked at.
    """
    return _named(os.stat(path))  # noqa: PTH116 -- of a path in any form


def is_used(path: Where) -> bool:
    """Whether this process may have locks on a file; on one that is not there it has none."""
    try:
        return file_at(path) in _used
    except OSError:
        return False


def _file_of(handle: int) -> File:
    return _named(os.fstat(handle))


def _named(status: os.stat_result) -> File:
    return status.st_dev, status.st_ino


def _begin_anew() -> None:
    """Begin a process that was forked: it has none of its parent's locks."""
    global _changing  # noqa: PLW0603 -- it may be held by a thread that is not here
    _changing = threading.RLock()
    handles: list[Any] = [handle for used in _used.values() for handle in used.handles]
    _used.clear()
    for handle in handles:
        os.close(handle)


os.register_at_fork(
    before=lambda: _changing.acquire(),  # noqa: PLW0108 -- in a child it is another one
    after_in_parent=lambda: _changing.release(),  # noqa: PLW0108
    after_in_child=_begin_anew,
)
