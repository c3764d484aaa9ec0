"""One SQLite file that is the truth; its byte format is described in ``docs/format.md``.

The rollback journal is used, not the write-ahead log: SQLite before 3.51.3 can lose a committed
transaction when a checkpoint of that log races a writer, a catalogue stays a single file, and
readers are held up only for the moment of a commit. (The reverse, too: a commit waits for readers,
and gives up with :class:`Locked` after 15 s.) Writers take turns (:mod:`catalog.store.turns`).
``synchronous=EXTRA`` syncs the folder too, so an acknowledged write survives a power cut.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import sqlite3
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.descriptors import (
    Advice,
    CatalogError,
    Conflict,
    Damaged,
    InvalidInput,
    Locked,
    NewerFormat,
    NoSpace,
    NotFound,
)
from catalog.store.connections import Connection, Connections
from catalog.store.failpoints import reach
from catalog.store.files import beside, cache_folder, link
from catalog.store.formats import stand_in, upgrade, version_of
from catalog.store.row_checksums import guard, register
from catalog.store.schema import APPLICATION_ID, FORMAT_VERSION, PAGE_SIZE, SCRIPTS, mistyped
from catalog.store.turns import Turns, among_processes

_PLAIN: dict[int, tuple[type[CatalogError], str]] = {
    sqlite3.SQLITE_FULL: (NoSpace, "no space left on the disk of {}; make some, and try again"),
    sqlite3.SQLITE_READONLY: (
        CatalogError,
        "{} is read-only here: you may not write to it, or to its folder",
    ),
}
"""What some errors of SQLite are here, and in words."""

_log = logging.getLogger(__name__)

BUSY_SECONDS = 15.0
"""How long to wait for another process's transaction."""


def now() -> str:
    """The time as the journal writes it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """A catalogue file that is open; for any number of threads of the process that opened it.

    A transaction belongs to the thread that began it. One to read that is begun within another is
    that one; none to write is begun within another.

    Args:
        path: of the file.
        busy_seconds: how long to wait for another process's transaction.
        called: what errors call the file; a copy goes by the name of what it is a copy of.

    Raises:
        NotFound: there is no such file.
        InvalidInput: the file is not a catalogue.
        NewerFormat: a later version of this program wrote it.
        Damaged: SQLite cannot read it.
    """

    def __init__(
        self, path: Path, busy_seconds: float = BUSY_SECONDS, *, called: Path | None = None
    ) -> None:
        if not _is_file(path):
            what = "is a folder" if _is_folder(path) else "does not exist"
            raise NotFound(
                f"there is no catalogue at {called or path}, which {what}",
                Advice("make or name catalogue"),
            )
        self.path = path
        self._called = called or path
        self._holder = cache_folder(path) / "writer.json"
        self._process = os.getpid()
        self._busy_seconds = busy_seconds
        self._connections = Connections(path, busy_seconds)
        self._writing = Turns()
        try:
            with self._translated(), self._connections.taken() as connection:
                self._check_format(connection.sqlite)
        except BaseException:
            self._connections.close()
            raise

    def close(self) -> None:
        """Close the file; in a process forked from the one that opened it, nothing happens."""
        if not self.forked:
            self._connections.close()

    @property
    def forked(self) -> bool:
        """Whether this is another process than the one that opened the file."""
        return self._process != os.getpid()

    def require_own_process(self) -> None:
        """Make sure that this is the process that opened the file: SQLite does not bear a fork.

        Raises:
            InvalidInput: it was forked from that one.
        """
        if self.forked:
            raise InvalidInput(
                f"{self.path} was opened before this process was forked; open it again here, with "
                "Catalog.open"
            )

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of the catalogue, whatever others write meanwhile.

        Raises:
            Locked: a writer held the file for too long.
            Damaged: SQLite cannot read it.
            NewerFormat: a later version of this program has written it since it was opened.
        """
        self.require_own_process()
        if (within := self._connections.current) is not None:
            yield within.sqlite
            return
        with (
            self._translated(),
            self._connections.taken() as connection,
            self.explained(),
        ):
            self._begin(connection, "BEGIN")
            try:
                yield connection.sqlite
            finally:
                connection.sqlite.rollback()

    @contextlib.contextmanager
    def writing(
        self, busy_seconds: float | None = None, *, upgrading: bool = True
    ) -> Iterator[sqlite3.Connection]:
        """A transaction that takes effect whole when the block ends, or not at all if it raises.

        A file of an older format is brought to the present one by it, and a warning says so.

        Args:
            busy_seconds: how long to wait for one's turn, and in the end as long again for those
                who read; if not as long as for all.
            upgrading: whether a file of an older format may be brought to the present one.

        Raises:
            Locked: another process is writing; the message names it.
            InvalidInput: this thread is within a transaction already.
            Damaged: SQLite cannot read the file.
            CatalogError: the disk is full, the file cannot be written, or it is of an older format
                and may not be brought to the present one.
        """
        self.require_own_process()
        if self._connections.current is not None:
            raise InvalidInput("nothing can be written within a transaction that is open already")
        wait = self._busy_seconds if busy_seconds is None else busy_seconds
        with (
            self._translated(),
            self._turn(wait) as left,
            self._connections.taken() as connection,
            connection.waiting(wait),
            self.explained(),
        ):
            with connection.waiting(left):
                older = self._begin(connection, "BEGIN IMMEDIATE")
            tx = connection.sqlite
            try:
                if not upgrading:
                    self._require_present(older)
                self._sign()
                if older < FORMAT_VERSION:
                    upgrade(tx, older)
                guard(tx)
                yield tx
                upgraded = older < FORMAT_VERSION and tx.in_transaction  # it may be rolled back
                self._commit(tx)
                # From here on nothing may fail, or what was done would be called undone.
                _log.debug("committed to %s", self.path)
                if upgraded:
                    connection.version = FORMAT_VERSION
                    self._say_upgraded(older)
            except BaseException:
                tx.rollback()
                raise
            finally:
                self._unsign()

    @contextlib.contextmanager
    def _turn(self, busy_seconds: float) -> Iterator[float]:
        """Wait for the other threads and processes that write, in the order in which they came.

        Yields:
            How many of the seconds are left to wait for a process that takes no turns.

        Raises:
            Locked: it took too long until it was the turn of this thread.
        """
        end = time.monotonic() + busy_seconds
        if not self._writing.acquire(busy_seconds):
            raise self._busy()
        try:
            with among_processes(self._holder.parent, max(0.0, end - time.monotonic())):
                yield max(0.0, end - time.monotonic())
        finally:
            self._writing.release()

    def rewrite(self) -> bool:
        """Write the file anew, without what was deleted from it.

        Returns:
            Whether that could be done: not while other processes are using the file, nor where the
            disk has no room for a second one.
        """
        self.require_own_process()
        reach("rewriting")
        try:
            with (
                self._translated(),
                self._connections.taken() as connection,
                connection.waiting(self._busy_seconds),
            ):
                connection.sqlite.execute("VACUUM")
        except (Locked, NoSpace):
            return False
        reach("rewritten")
        return True

    def _commit(self, tx: sqlite3.Connection) -> None:
        try:
            tx.commit()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise Locked(
                    f"{self._called} was being read for too long by another process, so nothing "
                    "was written; try again"
                ) from error
            raise

    def _check_format(self, connection: sqlite3.Connection) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != APPLICATION_ID:
            raise InvalidInput(f"{self._called} is a database, but not a catalogue")
        self._require_known(version_of(connection))

    def _require_known(self, version: int) -> None:
        """Make sure that a format is one that this program reads.

        Raises:
            NewerFormat: a later version wrote it.
            Damaged: there never was such a format.
        """
        if version < 1:
            raise Damaged(
                f"{self._called} is damaged: it says that it has format {version}",
                Advice("restore"),
            )
        if version > FORMAT_VERSION:
            raise NewerFormat(
                f"{self._called} has format {version}; this version reads up to {FORMAT_VERSION}. "
                "Update catalog (`pip install -U catalog`)",
                found=version,
            )

    def _require_present(self, version: int) -> None:
        """Make sure that a file need not be brought to the present format to be written.

        Raises:
            CatalogError: it is of an older one.
        """
        if version < FORMAT_VERSION:
            raise CatalogError(f"{self._called} has format {version}, and is to keep it")

    def _begin(self, connection: Connection, statement: str) -> int:
        """Begin a transaction in which the file is read as one of its format.

        Another process may have brought it to another format since the last one.

        Returns:
            The version of that.
        """
        tx = connection.sqlite
        try:
            tx.execute(statement)
            while (version := version_of(tx)) != connection.version:
                tx.rollback()  # what stands in is to outlast the transaction
                connection.version = None  # in case this fails half way
                self._require_known(version)
                stand_in(tx, version)
                connection.version = version
                tx.execute(statement)
        except BaseException:
            tx.rollback()
            raise
        return version

    def _say_upgraded(self, older: int) -> None:
        """Say that a file was brought to the present format."""
        with contextlib.suppress(UserWarning):  # where warnings are made errors: it is done
            warnings.warn(
                f"{self.path} was of format {older}, and is of format {FORMAT_VERSION} now, which "
                "earlier versions of this program do not read",
                stacklevel=2,
            )

    def _sign(self) -> None:
        """Leave word of who is writing, for the message of whoever has to wait."""
        with contextlib.suppress(OSError):
            self._holder.parent.mkdir(exist_ok=True)
            command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:3]])
            word = {"pid": os.getpid(), "command": command, "since": now()}
            self._holder.write_text(json.dumps(word))

    def _unsign(self) -> None:
        """Take the word back, unless the next writer has signed already."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            if json.loads(self._holder.read_text())["pid"] == os.getpid():
                self._holder.unlink()

    def _writer(self) -> str:
        try:
            word = json.loads(self._holder.read_text())
            return f"process {word['pid']} ({word['command']}), since {word['since']}"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "another process"

    def _busy(self) -> Locked:
        holder = self._writer()
        return Locked(
            f"{self._called} is being written by {holder}; try again when it is done", holder=holder
        )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._in_words(error) from error
        except sqlite3.ProgrammingError as error:
            raise InvalidInput(f"{self._called} was closed; open it again") from error
        except UnicodeDecodeError as error:  # SQLite's message quotes damaged bytes
            raise self._damaged(error) from error
        except sqlite3.IntegrityError as error:
            raise self._broken(error) from error
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
                raise InvalidInput(f"{self._called} is not a catalogue") from error
            raise self._damaged(error) from error

    def _in_words(self, error: sqlite3.OperationalError) -> CatalogError:
        """What an operation that failed comes to."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return self._busy()
        if self._is_gone(error):
            return NotFound(
                f"the catalogue was taken away from {self._called} while it was open, or another "
                "file was put there; open it again where it is"
            )
        if code in _PLAIN:
            kind, words = _PLAIN[code]
            return kind(words.format(self._called))
        if code == 0:  # Python's own: a text in the file is not UTF-8
            return self._damaged(error)
        return CatalogError(f"{self._called}: {error}")

    def _is_gone(self, error: sqlite3.Error) -> bool:
        """Whether it comes of the file that was opened lying at its path no more."""
        code = getattr(error, "sqlite_errorcode", 0)
        moved = code == sqlite3.SQLITE_READONLY_DBMOVED
        return moved or (code & 0xFF == sqlite3.SQLITE_CANTOPEN and not _is_file(self.path))

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Call it damage if rows contradict each other, which comes out as any error."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if problem := self._problem():
                raise self._damaged(problem) from error
            raise

    def _problem(self) -> str | None:
        """What is wrong with the file's structure; None if it is sound."""
        try:
            with self._connections.taken() as connection:
                (word,) = connection.sqlite.execute("PRAGMA integrity_check(1)").fetchone()
                astray = connection.sqlite.execute("PRAGMA foreign_key_check").fetchone()
                types = next(mistyped(connection.sqlite), None)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            return str(error)
        if word != "ok":
            return str(word)
        return "a row refers to what is not there" if astray else types

    def _broken(self, error: sqlite3.IntegrityError) -> CatalogError:
        """What a rule of the tables that is broken comes to; only damage breaks one of ours."""
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            return self._damaged(error)
        return Conflict(f"{self._called}: {error}")

    def _damaged(self, error: Exception | str) -> Damaged:
        return Damaged(f"{self._called} is damaged: {error}", Advice("restore"))


def create(path: Path, embedder: dict[str, Any], meta: Mapping[str, str] | None = None) -> None:
    """Write a new, empty catalogue file.

    It is made under a temporary name and linked into place, so that a kill leaves no half of one,
    and two processes cannot both make it.

    Args:
        path: of the file to be.
        embedder: the columns of the embedder's row: fingerprint, spec, prior and probes.
        meta: what else the file says of itself.

    Raises:
        Conflict: there is something at that path.
        CatalogError: the folder cannot be written.
    """
    try:
        with beside(path) as temporary:
            _fill(temporary, embedder, meta or {})
            reach("created")
            link(temporary, path)
    except (OSError, sqlite3.Error) as error:
        raise CatalogError(f"cannot make {path}: {error}") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _fill(path: Path, embedder: dict[str, Any], meta: Mapping[str, str]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.executescript("".join(SCRIPTS))
        register(connection)
        guard(connection)
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO meta (key, value) VALUES (?, ?)",
            [("id", secrets.token_hex(16)), ("created", now()), *meta.items()],
        )
        connection.execute(
            "INSERT INTO embedder (fingerprint, spec, prior, probes) "
            "VALUES (:fingerprint, :spec, :prior, :probes)",
            embedder,
        )
        connection.commit()
    finally:
        connection.close()
