"""Files that appear whole or not at all: made under a temporary name, then given their own.

What a user asks for as a file goes through :func:`write`, which never replaces a catalogue or a
picture, and other things only if it made them itself or is told to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from glob import escape
from pathlib import Path
from typing import IO

from catalog.descriptors import Advice, CatalogError, Conflict, NoSpace, NotFound
from catalog.embedder.formats import is_picture
from catalog.machine import locked_files
from catalog.store.schema import is_marked

_STALE_SECONDS = 3600
_MARKED_BYTES = 2**14
_JOURNALS = ("-journal", "-wal", "-shm")


def write(
    path: Path,
    fill: Callable[[IO[bytes]], object],
    *,
    mark: bytes | None = None,
    replace: bool = False,
) -> None:
    """Write a file for the user, whole or not at all.

    Args:
        path: of the file. A pipe or a device takes what has a mark as it comes.
        fill: writes the content into an open file.
        mark: what tells files of this kind that this program made; such a one may be replaced.
        replace: what is there already, if it is neither a catalogue nor a picture.

    Raises:
        Conflict, NotFound: as :func:`require_writable` does.
        NoSpace: the disk is full; what was there is as it was.
        CatalogError: the file cannot be written.
    """
    require_writable(path, mark=mark, replace=replace)
    with explained(path):
        if mark is not None and _is_stream(path):
            with path.open("wb") as stream:
                fill(stream)
            return
        file = Path(os.path.realpath(path))  # a link stays, and what it leads to is replaced
        with beside(file) as temporary:
            with temporary.open("xb") as opened:
                fill(opened)
                sync(opened)
            if exists(file):
                put_in_place(temporary, file)
            else:
                link(temporary, file)


def require_writable(path: Path, *, mark: bytes | None = None, replace: bool = False) -> None:
    """Make sure that :func:`write` may write to a path, with the same arguments.

    Raises:
        Conflict: a catalogue, a picture, a folder or a device is there, or something that is not
            to be replaced.
        NotFound: there is no such folder.
        CatalogError: that cannot be looked into.
    """
    with explained(path):
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {path.parent}; make it first")
        if mark is not None and _is_stream(path):
            return
        if _belongs_to_catalogue(path):
            raise Conflict(f"{path} is a catalogue, or belongs to one; choose another name")
        if not path.exists():
            return
        if path.is_dir():
            raise Conflict(f"{path} is a folder; name a file to make in it")
        if not path.is_file():
            raise Conflict(f"{path} is no file; choose another name")
        beginning, end = _ends(path)
        if mark is not None and (mark in beginning or mark in end):
            return
        if is_picture(beginning[:18]):
            raise Conflict(f"{path} is a picture; choose another name")
        if not replace:
            raise Conflict(f"{path} exists already", Advice("replace"))


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The first and the last few thousand bytes of a file, where marks are."""
    with locked_files.opened(path) as handle:
        size = os.fstat(handle).st_size
        end = locked_files.read(handle, _MARKED_BYTES, max(0, size - _MARKED_BYTES))
        return locked_files.read(handle, _MARKED_BYTES), end


def _is_stream(path: Path) -> bool:
    """Whether a path leads to a pipe, a device or an open file, which has nothing to lose."""
    if Path("/dev") in path.absolute().parents:
        return exists(path)
    return exists(path) and stat.S_ISFIFO(path.stat().st_mode)


def _belongs_to_catalogue(path: Path) -> bool:
    """Whether a path is that of a catalogue, of one that lost its mark, or of a journal of one."""
    names = [path.name, *(path.name.removesuffix(end) for end in _JOURNALS)]
    for file in (path.with_name(name) for name in dict.fromkeys(names) if name):
        if file.is_file() and (is_marked(file) or cache_folder(file).is_dir()):
            return True
    return False


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what may go wrong with a file into errors of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(
                f"no space left on the disk of {path}; make some, and try again"
            ) from error
        raise CatalogError(f"cannot write {path}: {error.strerror or error}") from error


def cache_folder(path: Path) -> Path:
    """The folder of what is derived from a catalogue file, by whatever link that is named."""
    file = path.resolve()
    return file.with_name(file.name + ".cache")


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


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a finished file its name, in place of what has it.

    Raises:
        OSError: the folder cannot be written.
    """
    temporary.replace(path)
    sync_folder(path)


def sync(file: IO[bytes]) -> None:
    """Have what was written to a file on the disk, so that it survives a power cut."""
    file.flush()
    os.fsync(file.fileno())


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
