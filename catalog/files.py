"""Files that appear whole or not at all: made under a temporary name, then given their own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from glob import escape
from pathlib import Path

from descriptors import CatalogError, Conflict, NotFound

_STALE_SECONDS = 3600


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of a file to be; what is left there at the end is deleted."""
    sweep(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + "-journal")):
            _discard(leftover)


def sweep(path: Path) -> None:
    """Delete what processes that were killed left beside a file, an hour ago or longer.

    One that was killed when the finished file had its own name already has left another name of it.
    """
    for leftover in path.parent.glob(f".{escape(path.name)}.*.tmp*"):
        with contextlib.suppress(OSError):
            # A clock that was put right may make them seem to come from the future.
            old = abs(time.time() - leftover.stat().st_mtime) > _STALE_SECONDS
            if old or (path.exists() and leftover.samefile(path)):
                _discard(leftover)


def _discard(leftover: Path) -> None:
    with contextlib.suppress(OSError):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def link(temporary: Path, path: Path) -> None:
    """Give a finished file its name, unless something has it.

    Raises:
        Conflict: something has it.
        OSError: the folder cannot be written.
    """
    try:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            path.open("xb").close()
            try:
                temporary.replace(path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise Conflict(_taken(path)) from None
    sync_folder(path)


def replace(temporary: Path, path: Path) -> None:
    """Give a finished file its name, in place of what has it.

    Raises:
        OSError: the folder cannot be written.
    """
    temporary.replace(path)
    sync_folder(path)


def sync_folder(path: Path) -> None:
    """Sync the folder of a file, so that its name, too, survives a power cut."""
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def exists(path: Path) -> bool:
    """Whether there is something at a path that could be one of a file."""
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def require_free(path: Path) -> None:
    """Make sure that a catalogue could be made at a path.

    Raises:
        Conflict: there is something already, or the journal of a catalogue that is gone, which
            would be taken for that of the new one.
        NotFound: the folder is not there.
        CatalogError: that cannot be looked into.
    """
    try:
        taken = path.exists()
        journals = [path.with_name(path.name + end) for end in ("-journal", "-wal")]
        stale = next((one for one in journals if one.exists()), None)
    except OSError as error:
        raise CatalogError(f"cannot make {path}: {error.strerror}") from error
    if taken:
        raise Conflict(_taken(path))
    if stale is not None:
        raise Conflict(
            f"{stale} is left of a catalogue that is gone, and would be taken for that of a new "
            "one; delete it first"
        )
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}; make it first")


def _taken(path: Path) -> str:
    return f"{path} exists already; choose another name, or delete it first"
