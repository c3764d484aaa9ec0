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
from catalog.failpoints import reach
from catalog.store import APPLICATION_ID, BUSY_SECONDS, Store
from catalog.verification import problems_of_file
from descriptors import CatalogError, Conflict, Damaged, InvalidInput, Locked, NotFound


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
        replace: what is there already, if it is a catalogue.

    Raises:
        Conflict: there is something at that path, or it is the catalogue itself.
        NotFound: there is no such folder.
        Damaged: the catalogue is not sound, so a copy of it would be no backup.
        InvalidInput: what is to be replaced is not a catalogue.
        CatalogError: the folder cannot be written, or the disk is full.
    """
    if _same(catalog, path):
        raise Conflict(f"{path} is the catalogue itself; give the copy another name")
    if replace and path.exists():
        Store(path).close()  # a slip of the finger must not cost another file
    elif path.is_file():
        raise Conflict(f"{path} exists already; choose another name, or --replace it")
    else:
        files.require_free(path)
    with _writing(path), files.beside(path) as copy:
        _copy(catalog, copy)
        made = _checked(copy, path, catalog)
        reach("copied")
        (files.replace if replace else files.link)(copy, path)
    return made


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
    if not backup.is_file():
        raise NotFound(f"there is no backup at {backup}")
    if _same(backup, path):
        raise Conflict(f"{path} is the backup itself; name the catalogue to restore")
    if not path.exists():
        files.require_free(path)
    _require_catalogue(backup)
    with _writing(path), files.beside(path) as copy:
        _copy(backup, copy)
        checked = _checked(copy, path, backup)
        reach("restoring")
        if path.exists():
            _overwrite(path, copy)
        else:
            files.link(copy, path)
    return checked


def _require_catalogue(path: Path) -> None:
    try:
        with contextlib.closing(_read_only(path)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error as error:
        raise InvalidInput(f"{path} is not a catalogue, or cannot be read: {error}") from error
    if application != APPLICATION_ID:
        raise InvalidInput(f"{path} is a database, but not a catalogue")


def _overwrite(path: Path, copy: Path) -> None:
    """Let a catalogue hold what a copy holds, for all who have it open."""
    try:
        with contextlib.closing(Store(path)) as present:
            _require_same_catalogue(present, copy)
        _copy(copy, path)
    except (Damaged, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        # Too damaged to be written to; its journal must not be taken for the copy's.
        path.with_name(path.name + "-journal").unlink(missing_ok=True)
        files.replace(copy, path)


def _require_same_catalogue(present: Store, copy: Path) -> None:
    with contextlib.closing(Store(copy)) as other, present.reading() as tx, other.reading() as its:
        own, theirs = inventory.identity(tx), inventory.identity(its)
    if own != theirs:
        raise Conflict(
            f"that is a backup of another catalogue than {present.path}; restore it under a name "
            "of its own"
        )


def _copy(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, in one transaction.

    Raises:
        Locked: one of the two is being used for too long.
        sqlite3.Error: the source cannot be read, or the target cannot be written.
    """
    with (
        contextlib.closing(_read_only(source)) as reading,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        for connection in (reading, writing):
            connection.execute("PRAGMA busy_timeout = 100")
        writing.execute("PRAGMA synchronous = EXTRA")
        reading.backup(writing, progress=_patience(target))


def _read_only(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri() + "?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


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
    except Damaged as error:
        problems = (str(error).replace(str(copy), str(source)),)
    if problems:
        raise Damaged(f"{source} is not sound, so nothing was copied: {problems[0]}")
    return Backup(str(path), copy.stat().st_size, generation, items)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what may go wrong with a file into our errors."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CatalogError(f"cannot write {path}: {error}") from error


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
