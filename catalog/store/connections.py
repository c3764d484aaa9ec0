"""Connections to a catalogue file: any number of threads, each with one of its own for a while."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from catalog.descriptors import CatalogError, InvalidInput, Locked
from catalog.machine import locked_files
from catalog.machine.locked_files import File
from catalog.store.row_checksums import register

_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}


class Connection:
    """A connection to a catalogue file, in the hands of one thread at a time.

    Attributes:
        sqlite: the connection itself.
        version: of the format that it is prepared for; None while it is not.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self.sqlite, file = _registered(path, busy_seconds)
        self.version: int | None = None
        self._busy_seconds = busy_seconds
        self._release = weakref.finalize(self, locked_files.release, file)
        self._release.atexit = False

    def close(self) -> None:
        """Close it, in the hands of whoever has it."""
        self.sqlite.close()
        self._release()

    @contextlib.contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Wait so long for another process's transaction, and not as long as otherwise."""
        before, self._busy_seconds = self._busy_seconds, seconds
        self.sqlite.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")
        try:
            yield
        finally:
            self._busy_seconds = before
            self.sqlite.execute(f"PRAGMA busy_timeout = {round(1000 * before)}")


class Connections:
    """The connections of one process to one file: as many as there are transactions at once.

    Args:
        path: of the file.
        busy_seconds: how long to wait for another process's transaction.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self._own = threading.local()

    @property
    def current(self) -> Connection | None:
        """The connection that this thread has a transaction on."""
        found: Connection | None = getattr(self._own, "connection", None)
        return found

    @contextlib.contextmanager
    def taken(self) -> Iterator[Connection]:
        """A connection for this thread alone, the one that it has already if there is one.

        Raises:
            InvalidInput: they were closed.
            sqlite3.Error: the file cannot be opened.
        """
        if self.current is not None:
            yield self.current
            return
        connection = self._take()
        self._own.connection = connection
        try:
            yield connection
        finally:
            self._own.connection = None
            self._give_back(connection)

    def close(self) -> None:
        """Close them, those in use as soon as they are not."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise InvalidInput(f"{self._path} was closed; open it again")
            if self._idle:
                return self._idle.pop()
        return Connection(self._path, self._busy_seconds)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


@contextlib.contextmanager
def read_only(path: Path, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection to a database that never writes to it, nor brings it to another format."""
    uri = path.resolve().as_uri() + "?mode=ro"
    with (
        locked_files.using(path),
        contextlib.closing(
            sqlite3.connect(uri, timeout=busy_seconds, uri=True, isolation_level=None)
        ) as connection,
    ):
        yield connection


def _registered(path: Path, busy_seconds: float) -> tuple[sqlite3.Connection, File | None]:
    """A connection to the file that lies at a path, and that file, which is known to be used."""
    while True:
        try:
            file = locked_files.register(path)
        except OSError as error:
            raise sqlite3.OperationalError(f"unable to open database file: {error}") from error
        try:
            connection = _connect(path, busy_seconds)
        except BaseException:
            locked_files.release(file)
            raise
        with contextlib.suppress(OSError):
            if file is None or locked_files.file_at(path) == file:
                return connection, file
        connection.close()  # another file has come to its place meanwhile
        locked_files.release(file)


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    # One thread at a time has it, which SQLite allows and the sqlite3 module would forbid. A file
    # that is not there is not made.
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=rw",
        timeout=busy_seconds,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        register(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA secure_delete = ON")  # what is dropped is overwritten
        # Spilling pages to the file in the middle of a transaction would shut readers out until its
        # end, and wait for them once a page.
        connection.execute("PRAGMA cache_spill = OFF")
        if in_wal_mode(path):
            _leave_wal(connection, path)
    except BaseException as error:
        connection.close()
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _UNWRITABLE and in_wal_mode(path):
            raise CatalogError(
                f"{path} is in WAL mode, into which another tool has put it, and so can be read "
                "only where files may be written beside it: open it, or a copy, where you may write"
            ) from error
        raise
    return connection


def in_wal_mode(path: Path) -> bool:
    """Whether another tool has put a file into WAL mode, as its header says."""
    try:
        return locked_files.beginning(path, 20)[18:] == b"\2\2"
    except OSError:  # which SQLite says in its own way
        return False


def _leave_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Bring back the rollback journal, after another tool has put the file into WAL mode."""
    if connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
        raise Locked(f"{path} is open in another tool, in WAL mode; close it there, and try again")
