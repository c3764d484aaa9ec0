"""Threads and processes that write one catalogue take turns; none is kept out by another."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.descriptors import Locked
from catalog.store.files import cache_folder
from catalog.store.store import Store
from catalog.store.turns import Turns, among_processes

PATIENT = 30.0

# Ctrl-C comes to the main thread, which is not the one that runs tests everywhere.
INTERRUPTED = """
import os, signal, threading, time
from catalog.store.turns import Turns

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
turns = Turns()
assert turns.acquire(1)

def interrupt():
    while not turns._waiting:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    turns.acquire(30)
    raise SystemExit("it was not interrupted")
except KeyboardInterrupt:
    turns.release()
assert turns.acquire(0)
"""


def wait_for(turns: Turns, waiting: int) -> None:
    """Wait until so many threads are in the line."""
    for _ in range(30_000):
        if len(turns._waiting) == waiting:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{len(turns._waiting)} wait, not {waiting}")


def test_first_come_first_served() -> None:
    """The order is that of coming, however many wait."""
    turns, served = Turns(), list[int]()

    def come(number: int) -> None:
        assert turns.acquire(PATIENT)
        served.append(number)
        turns.release()

    assert turns.acquire(PATIENT)
    with ThreadPoolExecutor(16) as pool:
        for number in range(16):
            pool.submit(come, number)
            wait_for(turns, number + 1)
        turns.release()
    assert served == list(range(16))


def test_whoever_comes_again_is_last() -> None:
    """A thread that lets go and comes again at once does not pass by one that waits."""
    turns, let_in = Turns(), threading.Event()

    def come() -> None:
        assert turns.acquire(PATIENT)
        let_in.set()
        turns.release()

    assert turns.acquire(PATIENT)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(come)
        wait_for(turns, 1)
        turns.release()
        assert turns.acquire(PATIENT)
        assert let_in.is_set()
        turns.release()


def test_one_that_gives_up_is_passed_over() -> None:
    """Its turn goes to the next, and none is lost, however many give up."""
    turns, inside, most = Turns(), 0, 0

    def come(number: int) -> bool:
        nonlocal inside, most
        if not turns.acquire(0.0001 * (number % 7)):
            return False
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.0002)
        inside -= 1
        turns.release()
        return True

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(come, range(2000)))
    assert most == 1
    assert any(came)
    assert turns.acquire(0)  # nobody holds it
    turns.release()


def test_one_that_is_interrupted_leaves_the_line() -> None:
    """Ctrl-C while a thread waits for its turn keeps nobody out afterwards."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], timeout=60, check=False)
    assert done.returncode == 0


# --- among processes -----------------------------------------------------------------------------
# A lock on a file belongs to whoever opened it, so two catalogues that are open in one process are
# to each other as two processes.


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalogue, and nobody who writes to it."""
    path = tmp_path / "shop.catalog"
    Catalog.init(path, embedder=FakeEmbedder()).close()
    return path


def is_locked(path: Path) -> bool:
    """Whether someone has a lock on a file."""
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def forked() -> Iterator[None]:
    """A process that has what this one has open, and sleeps."""
    child = os.fork()
    if child == 0:
        threading.Event().wait(600)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_process_that_comes_again_is_behind_one_that_waits(shop: Path) -> None:
    """One that begins its next transaction as soon as one has ended lets in who waits."""
    served = list[str]()

    def write(store: Store, name: str) -> None:
        with store.writing():
            served.append(name)

    with (
        closing(Store(shop, PATIENT)) as one,
        closing(Store(shop, PATIENT)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        with one.writing():
            waiting = pool.submit(write, other, "other")
            for _ in range(1000):  # a writer that takes no turns would not be seen to wait
                if is_locked(cache_folder(shop) / "next.lock"):
                    break
                threading.Event().wait(0.001)
            served.append("one")
        write(one, "one again")
        waiting.result(PATIENT)
    assert served == ["one", "other", "one again"]


def test_one_at_a_time(tmp_path: Path) -> None:
    """Of many that come again and again each has its turn alone, and all come to theirs."""
    inside, most, turns = 0, 0, list[int]()

    def come(number: int) -> None:
        nonlocal inside, most
        for _ in range(20):
            with among_processes(tmp_path / "cache", PATIENT):
                inside += 1
                most = max(most, inside)
                turns.append(number)
                threading.Event().wait(0.0002)
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come, range(4)))
    assert most == 1
    assert sorted(turns) == sorted(20 * [0, 1, 2, 3])


@pytest.mark.parametrize("name", ["next.lock", "writing.lock"])
def test_who_only_waits_keeps_nobody_out(shop: Path, name: str) -> None:
    """One that was stopped in the line, and has not begun to write, is passed over in the end."""
    cache_folder(shop).mkdir(exist_ok=True)
    with (cache_folder(shop) / name).open("w") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        with closing(Store(shop, busy_seconds=0.05)) as store, store.writing() as tx:
            assert tx.in_transaction


def test_one_deadline(shop: Path) -> None:
    """Waiting in the line and waiting for the file together take no longer than was asked for."""
    with closing(Store(shop, PATIENT)) as one, one.writing():
        waited = list[float]()
        with closing(Store(shop, busy_seconds=0.2)) as other:
            begin = other._begin

            def begun(connection: object, statement: str) -> int:
                (milliseconds,) = connection.sqlite.execute("PRAGMA busy_timeout").fetchone()  # type: ignore[attr-defined]
                waited.append(milliseconds)
                return begin(connection, statement)  # type: ignore[arg-type]

            other._begin = begun  # type: ignore[method-assign, assignment]
            with pytest.raises(Locked), other.writing():
                pass
        assert waited == [0]


def test_a_forked_process_does_not_keep_a_turn(tmp_path: Path) -> None:
    """A process that was forked in the middle of a turn holds nobody up when it has ended."""
    with ExitStack() as children:
        with among_processes(tmp_path, PATIENT):
            children.enter_context(forked())
        assert not is_locked(tmp_path / "next.lock")
        assert not is_locked(tmp_path / "writing.lock")


@pytest.mark.parametrize("obstacle", ["file", "folders"])
def test_where_files_cannot_be_locked(shop: Path, obstacle: str) -> None:
    """A cache that cannot be had, or holds something else, takes no turn, and keeps nobody out."""
    folder = cache_folder(shop)
    if obstacle == "file":
        folder.write_text("no folder")
    else:
        for name in ("next.lock", "writing.lock"):
            (folder / name).mkdir(parents=True)
    with closing(Store(shop, PATIENT)) as store, store.writing() as tx:
        assert tx.in_transaction
