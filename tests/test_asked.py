"""What is asked, counted by day and class: written aside, and never at the cost of an answer."""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import photos
import pytest
from cups_and_jugs import THINGS, fill, reopen, slots
from doubles import FakeEmbedder
from golden import make

from catalog import Catalog, Entry, Picture, Prediction, Verdict
from catalog.learning import asked as gatherer
from catalog.learning.asked import Told
from catalog.store import Slot, asked, journal
from catalog.store.asked import Count
from catalog.store.store import Store

InProcess = Callable[..., tuple[int, str, str]]

TODAY = datetime.now(UTC).date()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue of three classes with three items each."""
    fill(tmp_path / "shop.catalog").close()
    return tmp_path / "shop.catalog"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question writes what was counted."""
    monkeypatch.setattr(gatherer, "WAITING_SECONDS", 0.0)


def settle(catalog: Catalog) -> None:
    """Wait for the thread that writes what was counted."""
    assert catalog._asked._writer is not None
    catalog._asked._writer.join()


def rows(path: Path) -> list[tuple[str, int, str, int]]:
    """What the file has counted."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT day, label, verdict, pictures FROM asked").fetchall()


def total(path: Path) -> int:
    """How many pictures the file has counted."""
    return sum(row[3] for row in rows(path))


def add(catalog: Catalog, *counts: Count) -> None:
    """Write counts into a catalogue."""
    with catalog._store.writing() as tx:
        asked.add(tx, counts)


def ago(days: int) -> str:
    """The day that was so many days ago."""
    return (TODAY - timedelta(days)).isoformat()


@contextmanager
def patient(path: Path) -> Iterator[Catalog]:
    """A catalogue whose transactions wait for others until the test has failed."""
    with Catalog(Store(path, busy_seconds=3600), FakeEmbedder()) as catalog:
        yield catalog


class TestCounting:
    """Each prediction is one more for the day, the class that it names and its verdict."""

    def test_counted(self, path: Path) -> None:
        """Predictions of pictures and descriptors are counted; refused pictures are not."""
        with reopen(path) as catalog:
            before = catalog.info().generation
            said = [
                catalog.predict(photos.photo(1, 9)),
                catalog.predict(catalog.embed(photos.photo(1, 10))),
                *catalog.predict_many([photos.photo(0, 9), b"no picture", photos.photo(1, 11)]),
            ]
            assert rows(path) == []  # nothing is written between the questions
            slot_of = slots(catalog)
        today = datetime.now(UTC).date()
        counted = {(row[1], row[2]): row[3] for row in rows(path)}
        wanted: dict[tuple[int, str], int] = {}
        for one in said:
            if isinstance(one, Prediction):
                assert one.label is not None
                key = slot_of[one.label], one.verdict
                wanted[key] = wanted.get(key, 0) + 1
        assert counted == wanted
        assert sum(counted.values()) == 4
        assert {row[0] for row in rows(path)} <= {TODAY.isoformat(), today.isoformat()}
        with reopen(path) as catalog:
            assert catalog.info().generation == before
            catalog.predict(photos.photo(1, 9))
        assert total(path) == 5
        with reopen(path) as catalog:
            assert catalog.verify().problems == ()  # the checksums of rows that were added to, too

    def test_the_state_is_the_same(self, path: Path) -> None:
        """Counting is no event, so nothing that was learnt is learnt anew for it."""
        with reopen(path) as catalog, catalog._store.reading() as tx:
            before = journal.version(tx)
        with reopen(path) as catalog:
            catalog.predict(photos.photo(1, 9))
        with reopen(path) as catalog, catalog._store.reading() as tx:
            assert journal.version(tx) == before
        assert total(path) == 1

    @pytest.mark.parametrize(
        "use",
        [
            lambda catalog: catalog.nearest(photos.photo(0, 9)),
            lambda catalog: catalog.predict(photos.photo(0, 9), counts=False),
            lambda catalog: catalog.predict_many([photos.photo(0, 9)], counts=False),
            lambda catalog: catalog.predict_many([b"no picture"]),
            lambda catalog: catalog.evaluate([Entry("cup", Picture(photos.photo(0, 9)))]),
            lambda catalog: catalog.audit(),
        ],
        ids=["nearest", "counts=False", "many, counts=False", "refused", "evaluate", "audit"],
    )
    def test_not_counted(
        self, path: Path, use: Callable[[Catalog], object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nothing is to be counted, the file is not written, and stays as it is."""
        monkeypatch.setattr(Store, "writing", pytest.fail)
        before = path.read_bytes(), path.stat().st_mtime_ns
        with reopen(path) as catalog:
            use(catalog)
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before

    def test_an_empty_catalogue(self, tmp_path: Path) -> None:
        """Where there is no class that could be named, nothing is counted."""
        with Catalog.init(tmp_path / "empty.catalog", embedder=FakeEmbedder()) as catalog:
            assert catalog.predict(photos.photo(0, 9)).label is None
        assert rows(tmp_path / "empty.catalog") == []

    def test_feedback_is_no_question(self, path: Path) -> None:
        """What is said by someone who knows is not counted as asked."""
        with reopen(path) as catalog:
            catalog.feedback(photos.photo(0, 9), "cup")
        assert rows(path) == []

    def test_the_command(self, in_process: InProcess, shop: Path, tmp_path: Path) -> None:
        """A command counts what it predicts, unless it is told not to."""
        (file,) = photos.draw(tmp_path / "cups", 0, 1)
        before = shop.read_bytes()
        assert in_process("predict", file, "--no-counts", "--catalog", shop)[0] == 0
        assert shop.read_bytes() == before
        assert in_process("predict", file, "--catalog", shop)[0] == 0
        assert total(shop) == 1

    def test_old_days_go(self, path: Path) -> None:
        """Counts are kept for two years."""
        with reopen(path) as catalog:
            old = [Count(ago(days), Slot(1), "match", 2) for days in (100, 700, 735, 3000)]
            add(catalog, *old)
            catalog.predict(photos.photo(0, 9))
        assert {row[0] for row in rows(path) if row[2] == "match"} == {ago(100), ago(700)}


class TestWriting:
    """Counts are gathered in memory, and written in one transaction now and then."""

    def test_now_and_then(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that goes on writes when a question comes after a count has waited for long."""
        time = 1000.0
        monkeypatch.setattr(gatherer.time, "monotonic", lambda: time)
        with reopen(path) as catalog:
            for time in (1000.0, 1030.0, 1059.0):  # noqa: B007
                catalog.predict(photos.photo(0, 9))
            assert total(path) == 0
            time = 1061.0
            catalog.predict(photos.photo(0, 9))
            settle(catalog)
            assert total(path) == 4
            time = 1090.0
            catalog.predict(photos.photo(0, 9))
            assert total(path) == 4
        assert total(path) == 5

    @pytest.mark.usefixtures("at_once")
    def test_many_threads(self, path: Path) -> None:
        """Of what many threads ask at once nothing is lost, and nothing is counted twice."""
        asked_for = [photos.photo(thing % 3, 9 + thing) for thing in range(40)]
        with reopen(path) as catalog, ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(catalog.predict, asked_for))) == 40
            settle(catalog)
            assert total(path) > 0
        assert total(path) == 40
        with reopen(path) as catalog:
            assert catalog.verify().problems == ()

    def test_two_processes(self, path: Path) -> None:
        """Two processes add to the same counts."""
        with get_context("spawn").Pool(2) as pool:
            pool.starmap(ask_and_close, [(path, 3)] * 4, chunksize=1)
        assert total(path) == 12
        with reopen(path) as catalog:
            assert catalog.verify().problems == ()

    def test_a_fork_counts_nothing(self, path: Path) -> None:
        """A process that is forked does not write what its parent has counted, nor wait for it."""
        done = subprocess.run(
            [sys.executable, "-c", _FORKING, str(Path(__file__).parent), str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert total(path) == 1

    def test_another_history(self, path: Path, tmp_path: Path) -> None:
        """What was counted in a state that was restored away is not counted for other classes."""
        with reopen(path) as catalog:
            catalog.backup(tmp_path / "before.catalog")
            catalog.add_class("pot", photos.shots(7, 3))
            assert catalog.predict(photos.photo(7, 9)).label == "pot"
            Catalog.restore(tmp_path / "before.catalog", path)
            catalog.add_class("lid", photos.shots(8, 3))
            assert catalog.predict(photos.photo(1, 9)).label == "jug"
        assert [row[1] for row in rows(path)] == [2]


def ask_and_close(path: Path, times: int) -> None:
    """Ask in a process of its own, and write until it is counted, however busy the others are."""
    with reopen(path) as catalog:
        for shot in range(times):
            catalog.predict(photos.photo(0, 9 + shot))
        while catalog._asked._waiting:
            catalog._asked.write()


_FORKING = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import photos
from cups_and_jugs import reopen

catalog = reopen(Path(sys.argv[2]))
catalog.predict(photos.photo(0, 9))
catalog._asked._lock.acquire()  # as another thread may have it
child = os.fork()
if child == 0:
    signal.alarm(30)
    catalog._asked.write()
    catalog.close()
    os._exit(0)
catalog._asked._lock.release()
assert os.waitpid(child, 0)[1] == 0
catalog.close()
"""


@pytest.mark.usefixtures("at_once")
class TestWhatIsInTheWay:
    """Where counts cannot be written, an answer is the same, and the file, too."""

    @pytest.mark.parametrize("name", ["format-1", "format-3-exact", "format-6-exact"])
    def test_an_older_format(self, tmp_path: Path, name: str) -> None:
        """A file of an older format is not brought to the present one by being asked."""
        path = tmp_path / "old.catalog"
        path.write_bytes(gzip.decompress((make.HERE / f"{name}.catalog.gz").read_bytes()))
        before = path.read_bytes(), path.stat().st_mtime_ns
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Catalog.open(path, embedder=make.embedder()) as catalog:
                assert catalog.predict(make.shot(0, 9)).label is not None
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before

    @pytest.mark.parametrize("file_mode", [0o444, 0o666])
    def test_what_cannot_be_written(self, unprivileged: Path, file_mode: int) -> None:
        """A read-only file is asked, and so is one in a read-only folder."""
        path = unprivileged / "shop.catalog"
        fill(path).close()
        before = path.read_bytes()
        path.chmod(file_mode)
        unprivileged.chmod(0o555)
        try:
            with reopen(path) as catalog:
                assert catalog.predict(photos.photo(1, 9)).label == "jug"
        finally:
            unprivileged.chmod(0o755)
        assert path.read_bytes() == before

    @pytest.mark.timeout(60)
    def test_another_process_writes(self, path: Path) -> None:
        """While the file is being written an answer does not wait; what was counted is kept."""
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            with patient(path) as catalog:
                other.execute("BEGIN IMMEDIATE")
                assert catalog.predict(photos.photo(1, 9)).label == "jug"
                assert catalog.predict(photos.photo(1, 10)).label == "jug"
                other.rollback()
                assert total(path) == 0
            assert total(path) == 2
            with patient(path) as catalog:
                catalog.predict(photos.photo(1, 9))
                other.execute("BEGIN IMMEDIATE")
                catalog.predict(photos.photo(1, 9))
            other.rollback()  # it is closed while the other one still writes

    @pytest.mark.timeout(60)
    @pytest.mark.usefixtures("at_once")
    def test_no_answer_waits(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long others write, and however long is waited for them, answers come."""
        monkeypatch.setattr(gatherer.AskedCounts.write, "__defaults__", (3600.0,))
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as other,
            reopen(path) as catalog,
        ):
            other.execute("BEGIN IMMEDIATE")
            for number in range(3):
                assert catalog.predict(photos.photo(1, 9 + number)).label == "jug"
            other.rollback()
        assert total(path) == 3

    @pytest.mark.timeout(60)
    def test_it_is_closed_while_another_writes(self, path: Path) -> None:
        """One that is closed waits for a moment, so that what was counted is there."""
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            catalog = reopen(path)
            catalog.predict(photos.photo(1, 9))
            other.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(1) as pool:
                closing_it = pool.submit(catalog.close)
                with suppress(TimeoutError):
                    closing_it.result(0.5)
                other.rollback()
                closing_it.result(30)
        assert total(path) == 1

    @pytest.mark.timeout(60)
    def test_another_process_reads(self, path: Path) -> None:
        """One that reads for long is not waited for, either."""
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM item").fetchone()
            with patient(path) as catalog:
                assert catalog.predict(photos.photo(1, 9)).label == "jug"
            other.rollback()
        assert total(path) == 0

    @pytest.mark.timeout(60)
    def test_another_thread_writes(self, path: Path) -> None:
        """Nor does an answer wait for another thread that writes."""
        begun, done = threading.Event(), threading.Event()

        def write(catalog: Catalog) -> None:
            with catalog._store.writing():
                begun.set()
                done.wait()

        with patient(path) as catalog, ThreadPoolExecutor(1) as pool:
            writer = pool.submit(write, catalog)
            assert begun.wait(30)
            try:
                assert catalog.predict(photos.photo(1, 9)).label == "jug"
            finally:
                done.set()
            writer.result()
        assert total(path) == 1

    def test_others_wait_as_before(self, path: Path) -> None:
        """What is in earnest waits for others as long as ever after something was counted."""
        with patient(path) as catalog:
            catalog.predict(photos.photo(1, 9))
            with catalog._store.reading() as tx:
                assert tx.execute("PRAGMA busy_timeout").fetchone() == (3600 * 1000,)

    def test_a_damaged_row(self, path: Path) -> None:
        """A count that has become another one is left, named by `verify`, and no answer fails."""
        with reopen(path) as catalog:
            verdict = catalog.predict(photos.photo(0, 9)).verdict
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE asked SET pictures = 70")
        with reopen(path) as catalog:
            assert catalog.predict(photos.photo(0, 9)).verdict == verdict
            assert catalog.verify().problems == ("1 rows of asked do not match their checksums",)
        assert [row[3] for row in rows(path)] == [70]


class TestForgetting:
    """Of a class that is forgotten no count is left."""

    def test_a_class(self, path: Path) -> None:
        """Its counts go, those that are not written yet, too; the others stay."""
        with reopen(path) as catalog:
            catalog.predict(photos.photo(0, 9))
            assert catalog.predict(photos.photo(1, 9)).label == "jug"
        with reopen(path) as catalog:
            assert catalog.predict(photos.photo(1, 10)).label == "jug"
            slot = slots(catalog)["jug"]
            catalog.forget(labels=["jug"])
            assert [row[1] for row in rows(path)] == [1]
            assert catalog._asked._waiting
        assert [row[1] for row in rows(path)] == [1]
        assert slot != 1

    def test_undo_is_not_about_it(self, path: Path) -> None:
        """What was asked stays asked when a command is taken back."""
        with reopen(path) as catalog:
            catalog.remove_class("pan")
            catalog.predict(photos.photo(0, 9))
        with reopen(path) as catalog:
            catalog.undo()
            assert {row.label for row in catalog.labels()} == set(THINGS)
        assert total(path) == 1


class TestChecks:
    """`verify` names counts that there cannot be."""

    WORDS = "1 counts of a number, of a verdict or for a day that there cannot be"

    @pytest.mark.parametrize(
        "count",
        [
            Count("2026-02-30", Slot(1), "match", 1),
            Count("yesterday", Slot(1), "match", 1),
            Count("2026-02-03T10:00", Slot(1), "match", 1),
            Count("2026-02-03", Slot(1), "sure", 1),
            Count("2026-02-03", Slot(1), "match", -1),
            Count("2026-02-03", Slot(1), "match", 0),
        ],
        ids=lambda count: f"{count.day} {count.verdict} {count.pictures}",
    )
    def test_named(self, path: Path, count: Count) -> None:
        """A day that is no date, a verdict that there is not, and a count of nothing."""
        with reopen(path) as catalog:
            add(catalog, count)
            assert catalog.verify().problems == (self.WORDS,)

    def test_sound(self, path: Path) -> None:
        """Every verdict is one that the file may have."""
        with reopen(path) as catalog:
            add(catalog, *(Count(ago(1), Slot(1), verdict, 1) for verdict in get_args(Verdict)))
            assert catalog.verify().problems == ()

    def test_a_class_that_is_not_there(self, path: Path) -> None:
        """A count of a class that the file never had is named, and cannot be written."""
        with reopen(path) as catalog:
            with catalog._store.reading() as tx:
                version = journal.version(tx)
            catalog._asked.count(Told(version, ((Slot(99), "match"),)))
        assert rows(path) == []
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO asked VALUES ('2026-02-03', 99, 'match', 1, 0)")
        with reopen(path) as catalog:
            assert "refers to a label that is not there" in catalog.verify().problems[0]
