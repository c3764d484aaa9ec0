"""Copies of a catalogue that others are using, and the way back from one.

Both go through SQLite's backup interface, so a copy is of one state whatever is written meanwhile,
and a catalogue that is restored changes in one step for every process that has it open.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog import binding, files, inventory, journal
from catalog.descriptors import (
    CatalogError,
    Conflict,
    Damaged,
    InvalidInput,
    Locked,
    NewerFormat,
    NoSpace,
    NotFound,
)
from catalog.failpoints import reach
from catalog.files import cache_folder
from catalog.schema import is_marked
from catalog.store import BUSY_SECONDS, Store, read_only
from catalog.verification import problems_of_file

_TRY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a catalogue that was made or restored.

    Attributes:
        path: where it is.
        bytes: its size.
        generation: the state that it has.
        items: how many items it has.
    """

    path: str
    bytes: int
    generation: int
    items: int


def back_up(catalog: Path, path: Path, *, replace: bool) -> Backup:
    """Copy a catalogue, check the copy, and only then give it its name.

    Args:
        catalog: its file.
        path: of the copy.
        replace: an older copy of that name.

    Raises:
        Conflict: there is something at that path, it is the catalogue itself, or what is to be
            replaced is no copy of it.
        NotFound: there is no such folder.
        Damaged: the catalogue is not sound, so a copy of it would be no backup.
        InvalidInput: what is to be replaced is not a catalogue.
        Locked: the catalogue or the older copy is being used for too long.
        CatalogError: the folder cannot be written, or the disk is full.
    """
    with _translated(path):
        if _same(catalog, path):
            raise Conflict(f"{path} is the catalogue itself; give the copy another name")
        if path.is_dir():
            raise Conflict(f"{path} is a folder; name the file to make in it")
        older = replace and path.is_file()
        if path.is_file() and not replace:
            raise Conflict(f"{path} exists already; choose another name, or --replace it")
        if not older:
            files.require_free(path)
        return _transfer(catalog, path, "copied", there=older)


def restore(backup: Path, path: Path) -> Backup:
    """Bring a catalogue back to what a copy of it holds, or make it anew from the copy.

    Args:
        backup: the copy; it is only read.
        path: of the catalogue; what it holds is replaced, in one step.

    Raises:
        NotFound: there is no such copy, or no such folder.
        InvalidInput: the copy or what is to be replaced is not a catalogue.
        Damaged: the copy is not sound; nothing was replaced.
        Conflict: the two are one file, or the copy is of another catalogue.
        Locked: other processes are using the catalogue.
        CatalogError: the folder cannot be written, or the disk is full.
    """
    with _translated(path):
        if not files.exists(backup):
            raise NotFound(f"there is no backup at {backup}")
        if _same(backup, path):
            raise Conflict(f"{path} is the backup itself; name the catalogue to restore")
        there = path.exists()
        if not there:
            files.require_free(path)
        return _transfer(backup, path, "restoring", there=there)


def snapshot(catalog: Path, copy: Path) -> None:
    """Copy a catalogue's file as it is at one moment; it is only read.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not a catalogue.
        Locked: it is being written for too long.
        CatalogError: it cannot be read, or the copy cannot be written.
    """
    if not files.exists(catalog):
        raise NotFound(f"there is no catalogue at {catalog}")
    with _translated(copy):
        if not is_marked(catalog):
            raise InvalidInput(f"{catalog} is not a catalogue")
        _copy(catalog, copy, catalog)


def _transfer(source: Path, path: Path, place: str, *, there: bool) -> Backup:
    """Let a file hold what another one does, once a copy of that is known to be sound.

    Args:
        source: the catalogue or backup to copy.
        path: of the file to be.
        place: the failpoint between the check and the change.
        there: whether it is there, and to be overwritten.
    """
    with files.beside(path) as copy:
        snapshot(source, copy)
        checked = _checked(copy, path, source)
        reach(place)
        if there:
            _overwrite(path, copy)
        else:
            files.link(copy, path)
    return checked


def _overwrite(path: Path, copy: Path) -> None:
    """Let a catalogue hold what a copy holds, for all who have it open."""
    try:
        with contextlib.closing(Store(path)) as present:
            _require_same_catalogue(present, copy)
        _copy(copy, path, path)
    except sqlite3.OperationalError:
        raise
    except (InvalidInput, Damaged, sqlite3.DatabaseError) as error:
        # Where there is a cache folder it was a catalogue once.
        if isinstance(error, InvalidInput) and not cache_folder(path).is_dir():
            raise InvalidInput(
                f"{path} is not a catalogue, or has lost its beginning; if it was one, move it "
                "away, and restore again"
            ) from None
        # Too damaged to be written to; its journal must not be taken for the copy's.
        path.with_name(path.name + "-journal").unlink(missing_ok=True)
        files.put_in_place(copy, path)


def _require_same_catalogue(present: Store, copy: Path) -> None:
    with contextlib.closing(Store(copy)) as other, present.reading() as tx, other.reading() as its:
        own, theirs = inventory.identity(tx), inventory.identity(its)
    if own != theirs:
        raise Conflict(
            f"that is a backup of another catalogue than {present.path}; restore it under a name "
            "of its own"
        )


def _copy(source: Path, target: Path, named: Path) -> None:
    """Copy a database as it is at one moment, in one transaction.

    Args:
        source: the database.
        target: another one, or none yet.
        named: the one of the two that others may be using.

    Raises:
        Locked: one of the two is being used for too long.
        sqlite3.Error: the source cannot be read, or the target cannot be written.
    """
    with (
        contextlib.closing(read_only(source, _TRY_SECONDS)) as reading,
        contextlib.closing(
            sqlite3.connect(target, timeout=_TRY_SECONDS, isolation_level=None)
        ) as writing,
    ):
        writing.execute("PRAGMA synchronous = EXTRA")
        reading.backup(writing, progress=_patience(named))


def _patience(path: Path) -> Callable[[int, int, int], None]:
    """What gives up on a database that stays locked; SQLite alone would try for ever."""
    end = time.monotonic() + BUSY_SECONDS

    def check(status: int, _remaining: int, _total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and time.monotonic() > end:
            raise Locked(f"{path} is in use by another process; try again when it is done")

    return check


def _checked(copy: Path, path: Path, source: Path) -> Backup:
    """What a copy holds, once it is known to be sound."""
    try:
        with contextlib.closing(Store(copy)) as store, store.reading() as tx:
            bound = binding.read(tx)
            problems = problems_of_file(tx, bound.id, bound.specification.width)
            generation, items = journal.version(tx).generation, inventory.count(tx)
    except NewerFormat as error:
        raise NewerFormat(str(error).replace(str(copy), str(source))) from error
    except Damaged as error:
        problem, _, _ = str(error).replace(str(copy), str(source)).partition(". Restore")
        problems = (problem,)
    if problems:
        raise Damaged(f"{source} is not sound, so nothing was copied: {problems[0]}")
    return Backup(str(path), copy.stat().st_size, generation, items)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what may go wrong with a file into our errors."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise NoSpace(
                f"no space left on the disk of {path}; make some, and try again"
            ) from error
        raise CatalogError(f"cannot copy to {path}: {error}") from error


def _same(one: Path, other: Path) -> bool:
    return files.exists(one) and files.exists(other) and one.samefile(other)
