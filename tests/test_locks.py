"""Locks that this process has on a catalogue stay, whatever else it does with the file.

POSIX drops all locks that a process has on a file when it closes any handle of it. A transaction
that lost its lock so would see what others commit in the middle of it, or write beside them.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog, CatalogError, find_pictures, read_manifest
from catalog.care.doctor import examine_catalogue
from catalog.embedder import read_picture
from catalog.machine import locked_files
from catalog.reports.contact_sheet import write_sheet
from catalog.store.schema import is_marked

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


LOOKERS: dict[str, Callable[[Path], Any]] = {
    "a picture": read_picture,
    "in a folder": lambda path: find_pictures([path.parent]),
    "a manifest": read_manifest,
    "a mark": is_marked,
    "what it begins with": lambda path: locked_files.beginning(path, 100),
}


@pytest.mark.parametrize("looker", LOOKERS)
def test_a_lock_that_is_taken_meanwhile_stays(
    tmp_path: Path, looker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever began to read a file before it was opened as a catalogue closes it later."""
    path = tmp_path / "shop.catalog"
    Catalog.init(path, embedder=FakeEmbedder()).close()
    reached, go_on = threading.Event(), threading.Event()
    close = locked_files.close

    def late(handle: int) -> None:
        reached.set()
        assert go_on.wait(20)
        close(handle)

    monkeypatch.setattr(locked_files, "close", late)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(LOOKERS[looker], path)
        assert reached.wait(20)
        monkeypatch.setattr(locked_files, "close", close)
        with Catalog.open(path, embedder=FakeEmbedder()) as shop, shop._store.reading() as tx:
            tx.execute("SELECT count(*) FROM item").fetchone()
            go_on.set()
            with suppress(CatalogError):
                looking.result()
            assert not another_can_commit(path)


def test_a_file_that_is_replaced(shop: Catalog, tmp_path: Path) -> None:
    """What lies at the path by now is what is registered."""
    with Catalog.init(tmp_path / "other.catalog", embedder=FakeEmbedder()) as other:
        other.add_class("jug", photos.shots(1, 2))
    (tmp_path / "other.catalog").replace(shop.path)
    with Catalog.open(shop.path, embedder=FakeEmbedder()) as present:
        with present._store.reading() as tx:
            tx.execute("SELECT count(*) FROM item").fetchone()
            assert is_marked(shop.path)
            assert not another_can_commit(shop.path)
        assert [row.label for row in present.labels()] == ["jug"]


def test_in_a_process_that_was_forked(tmp_path: Path) -> None:
    """It opens catalogues as if it had been started, whatever threads of its parent were at."""
    path = tmp_path / "shop.catalog"
    Catalog.init(path, embedder=FakeEmbedder()).close()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():  # without SQLite, which does not bear this itself
            file = locked_files.register(path)
            locked_files.beginning(path, 10)
            locked_files.release(file)

    churning = [threading.Thread(target=churn) for _ in range(4)]
    for one in churning:
        one.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(20)
                try:
                    assert not locked_files.is_used(path)
                    Catalog.open(path, embedder=FakeEmbedder()).close()
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for one in churning:
            one.join()
    assert not locked_files.is_used(path)


class TestLockedFiles:
    """Which files may be locked is known, by whatever name, until they may no more."""

    def test_its_beginning(self, shop: Catalog) -> None:
        """The same whether it is open or not."""
        expected = locked_files.beginning(shop.path, 100)
        assert expected.startswith(b"SQLite format 3")
        assert locked_files.is_used(shop.path)
        shop.close()
        assert not locked_files.is_used(shop.path)
        assert locked_files.beginning(shop.path, 100) == expected

    def test_by_another_name(self, shop: Catalog, tmp_path: Path) -> None:
        """A link to it is the same file."""
        (tmp_path / "soft").symlink_to(shop.path)
        (tmp_path / "hard").hardlink_to(shop.path)
        assert all(locked_files.is_used(tmp_path / name) for name in ("soft", "hard"))

    def test_others(self, shop: Catalog, tmp_path: Path) -> None:
        """Other files are read as usual; what is not there is not used."""
        (tmp_path / "other").write_bytes(b"other")
        assert not locked_files.is_used(tmp_path / "other")
        assert not locked_files.is_used(tmp_path / "nothing")
        assert locked_files.beginning(tmp_path / "other", 3) == b"oth"
        with pytest.raises(FileNotFoundError):
            locked_files.beginning(tmp_path / "nothing", 3)

    def test_all_is_given_back(self, shop: Catalog) -> None:
        """However often it was opened, also by who forgot to close it, nothing stays."""
        handles = len(list(Path("/dev/fd").iterdir()))
        for _ in range(3):
            opened_again(shop)
            Catalog.open(shop.path, embedder=FakeEmbedder()).labels()
        gc.collect()
        shop.close()
        assert not locked_files.is_used(shop.path)
        assert len(list(Path("/dev/fd").iterdir())) <= handles
