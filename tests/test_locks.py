"""Locks that this process has on a catalogue stay, whatever else it does with the file.

POSIX drops all locks that a process has on a file when it closes any handle of it. A transaction
that lost its lock so would see what others commit in the middle of it, or write beside them.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog, CatalogError, find_pictures, read_manifest
from catalog.care.doctor import examine_catalogue
from catalog.machine import locked_files
from catalog.reports.contact_sheet import write_sheet

_COMMIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE meta SET value = value")
connection.execute("COMMIT")
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue that is open."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        made.add_class("cup", photos.shots(0, 3))
        yield made


def another_can_commit(path: Path) -> bool:
    """Whether another process can commit to a catalogue at once."""
    ran = subprocess.run(
        [sys.executable, "-c", _COMMIT, str(path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0 or "locked" in ran.stderr
    return ran.returncode == 0


def opened_again(shop: Catalog) -> object:
    """Open the catalogue a second time, and close it."""
    with Catalog.open(shop.path, embedder=FakeEmbedder()) as again:
        return again.labels()


def asked_by_another_thread(shop: Catalog) -> object:
    """Make a new connection, as a thread does that finds none idle."""
    connection = shop._store._connections._take()
    shop._store._connections._give_back(connection)
    return connection


def gone_and_back(shop: Catalog) -> object:
    """Close a connection, as a thread does that comes back late."""
    connection = shop._store._connections._take()
    connection.close()
    return connection


DEEDS: dict[str, Callable[[Catalog], Any]] = {
    "a new connection": asked_by_another_thread,
    "a connection that is closed": gone_and_back,
    "opened again": opened_again,
    "verified": lambda shop: shop.verify(),
    "examined": lambda shop: examine_catalogue(shop.path),
    "asked about as a picture": lambda shop: shop.nearest(shop.path),
    "listed as a picture": lambda shop: find_pictures([shop.path.parent]),
    "read as a folder": lambda shop: read_manifest(shop.path.parent),
    "read as a manifest": lambda shop: read_manifest(shop.path),
    "backed up": lambda shop: shop.backup(shop.path.with_name("copy.catalog")),
    "backed up onto itself": lambda shop: shop.backup(shop.path),
    "restored from itself": lambda shop: Catalog.restore(shop.path, shop.path),
    "merged with itself": lambda shop: shop.merge(shop.path),
    "written over by a page": lambda shop: write_sheet("page", shop.path, replace=True),
    "exported onto": lambda shop: shop.export(shop.path),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_lock_stays(shop: Catalog, deed: str) -> None:
    """While a transaction reads, nobody else commits, whatever this process does beside it."""
    with shop._store.reading() as tx:
        tx.execute("SELECT count(*) FROM item").fetchone()
        assert not another_can_commit(shop.path)
        own = shop._store._connections._own
        held, own.connection = own.connection, None  # as another thread would do it
        with suppress(CatalogError):
            DEEDS[deed](shop)
        own.connection = held
        assert not another_can_commit(shop.path)
    assert another_can_commit(shop.path)
    assert shop.verify().sound


class TestLockedFiles:
    """A file that is held is read without being opened again."""

    def test_its_beginning(self, shop: Catalog) -> None:
        """The same as anyone would read."""
        expected = shop.path.read_bytes()[:100]  # by nobody who has a lock now
        assert locked_files.is_held(shop.path)
        assert locked_files.beginning(shop.path, 100) == expected
        shop.close()
        assert not locked_files.is_held(shop.path)
        assert locked_files.beginning(shop.path, 100) == expected

    def test_by_another_name(self, shop: Catalog, tmp_path: Path) -> None:
        """A link to it is the same file."""
        (tmp_path / "soft").symlink_to(shop.path)
        (tmp_path / "hard").hardlink_to(shop.path)
        for name in ("soft", "hard"):
            assert locked_files.is_held(tmp_path / name)
            with pytest.raises(PermissionError, match="catalogue"):
                locked_files.require_free(tmp_path / name)

    def test_others(self, shop: Catalog, tmp_path: Path) -> None:
        """Other files are read as usual; what is not there is not held."""
        (tmp_path / "other").write_bytes(b"other")
        assert not locked_files.is_held(tmp_path / "other")
        assert not locked_files.is_held(tmp_path / "nothing")
        assert locked_files.beginning(tmp_path / "other", 3) == b"oth"
        with pytest.raises(FileNotFoundError):
            locked_files.beginning(tmp_path / "nothing", 3)

    def test_all_is_given_back(self, shop: Catalog) -> None:
        """However often it was opened, nothing stays open when all is closed."""
        for _ in range(3):
            opened_again(shop)
        shop.close()
        assert not locked_files.is_held(shop.path)
        with closing(sqlite3.connect(shop.path)) as connection:
            assert connection.execute("SELECT count(*) FROM item").fetchone() == (3,)
