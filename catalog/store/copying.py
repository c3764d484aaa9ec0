"""A catalogue's file copied while others use it, by SQLite's backup interface."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from catalog.descriptors import (
    CatalogError,
    Conflict,
    Damaged,
    InvalidInput,
    Locked,
    NoSpace,
    NotFound,
)
from catalog.machine import locked_files
from catalog.store import files, inventory
from catalog.store.connections import read_only
from catalog.store.files import cache_folder
from catalog.store.schema import is_marked
from catalog.store.store import BUSY_SECONDS, Store

_TRY_SECONDS = 0.1


def snapshot(catalog: Path, copy: Path) -> None:
    """Copy a catalogue's file as it is at one moment.

    It is only read; but what a process that was killed has left in the middle of writing is rolled
    back first, as whoever opens it next would do.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not a catalogue.
        Locked: it is being written for too long.
        CatalogError: it cannot be read, or the copy cannot be written.
    """
    if not files.exists(catalog):
        raise NotFound(f"there is no catalogue at {catalog}")
    with explained(copy):
        if not is_marked(catalog):
            raise InvalidInput(f"{catalog} is not a catalogue")
        if files.exists(catalog.with_name(catalog.name + "-journal")):
            with contextlib.closing(Store(catalog)) as left, left.reading():
                pass
        _copy(catalog, copy, catalog)


def overwrite(path: Path, copy: Path) -> None:
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
        read_only(source, _TRY_SECONDS) as reading,
        locked_files.using(target),
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


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what may go wrong with a file into our errors."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise NoSpace(
                f"no space left on the disk of {path}; make some, and try again"
            ) from error
        raise CatalogError(f"cannot copy to {path}: {error}") from error
