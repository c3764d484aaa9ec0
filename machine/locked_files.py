"""Files that this process may have locks on: they are not opened again beside whoever locks them.

POSIX drops all locks that a process has on a file as soon as it closes any handle of that file,
whoever took them (fcntl, "the record locks are removed"). SQLite keeps to that by itself, but knows
nothing of handles that others open. So whoever lets SQLite open a file says so here, and whoever
would read such a file asks here first.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

File: TypeAlias = tuple[int, int]
"""A file by its device and number, whatever it is called."""


@dataclass(slots=True)
class _Held:
    """Handles of a file, opened before anyone locked it; and how many may do so."""

    handles: list[int] = field(default_factory=list)
    count: int = 0


_held: dict[File, _Held] = {}
_changing = threading.Lock()


@contextmanager
def holding(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say that a file is locked while the block lasts, or may be."""
    file = hold(path)
    try:
        yield
    finally:
        let_go(file)


def hold(path: str | os.PathLike[str]) -> File | None:
    """Say that a file is going to be locked; :func:`let_go` says that it is no more.

    Returns:
        The file; None where it cannot be opened, so that it cannot be locked either.
    """
    with _changing:
        try:
            file = _file_at(path)
            if file not in _held:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                file = _keep(handle)
        except OSError:
            return None
        _held[file].count += 1
        return file


def let_go(file: File | None) -> None:
    """Say that a file is not locked any more by someone who held it."""
    if file is None:
        return
    with _changing:
        held = _held[file]
        held.count -= 1
        if not held.count:
            del _held[file]
            for handle in held.handles:
                os.close(handle)


def is_held(path: str | os.PathLike[str]) -> bool:
    """Whether a file may be locked by this process; one that is not there is not."""
    try:
        return _file_at(path) in _held
    except OSError:
        return False


def require_free(path: str | os.PathLike[str]) -> None:
    """Make sure that a file may be opened here without harm.

    Raises:
        PermissionError: this process has it open as a catalogue.
    """
    if is_held(path):
        said = "it is a catalogue that is open here"
        raise PermissionError(errno.EACCES, said, os.fspath(path))


def beginning(path: str | os.PathLike[str], count: int) -> bytes:
    """The first bytes of a file, whether it is locked or not.

    Args:
        path: of the file.
        count: so many at most.

    Raises:
        OSError: it cannot be read.
    """
    with _changing:
        held = _held.get(_file_at(path))
        if held is not None:
            return os.pread(held.handles[0], count, 0)
        with Path(path).open("rb") as opened:
            return opened.read(count)


def _file_at(path: str | os.PathLike[str]) -> File:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def _keep(handle: int) -> File:
    """Keep a handle; of a file that came to this place since it was looked at, and is held, too."""
    status = os.fstat(handle)
    file = status.st_dev, status.st_ino
    _held.setdefault(file, _Held()).handles.append(handle)
    return file
