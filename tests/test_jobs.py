"""Jobs from outside: what is going on, how it ended, to be stopped, or taken up by another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from doubles import FakeEmbedder
from folders import write

from catalog import Cancelled, Catalog, Conflict, Locked, NotFound, read_manifest
from catalog.jobs import running, watch
from catalog.machine.processes import Process, is_running, this_process
from catalog.store import jobs as rows
from catalog.store.failpoints import armed


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of three pictures."""
    for at, label in enumerate(("cup", "jug")):
        for number in range(3):
            write(tmp_path / "photos" / label / f"{number}.png", 10 * at + number)
    return tmp_path / "photos"


@pytest.fixture
def shop(tmp_path: Path) -> Catalog:
    """An empty catalogue."""
    return Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder())


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture is noted, and not only one now and then."""
    monkeypatch.setattr(running, "_EVERY", 0.0)


class TestWhatIsTold:
    """What the catalogue knows of a job."""

    def test_one_that_is_done(self, shop: Catalog, tree: Path) -> None:
        """When it began and ended, what was asked, and what came of it."""
        (tree / "cup" / "0.png").write_bytes(b"no picture")
        done = shop.sync(tree)
        (job,) = shop.jobs()
        assert done.job is not None
        assert job == shop.job(done.job)
        assert (job.kind, job.state, job.process) == ("sync", "done", os.getpid())
        assert job.request["source"] == str(tree)
        assert job.outcome is not None
        assert (job.outcome["new"], job.outcome["refused"], job.failures) == (5, 1, 1)
        (refused,) = shop.job_failures(job.id)
        assert refused.place == str(tree / "cup" / "0.png")

    @pytest.mark.usefixtures("eager")
    def test_one_that_goes_on(self, shop: Catalog, tree: Path) -> None:
        """Another connection sees how far it is, also one that came by a link."""
        seen = []
        link = shop.path.with_name("link.catalog")
        link.symlink_to(shop.path)

        def look(done: int, total: int) -> None:
            with Catalog.open((shop.path, link)[done % 2], embedder=FakeEmbedder()) as other:
                (job,) = other.jobs()
            seen.append((job.state, job.stage, job.done, job.total))
            assert (done, total) == (len(seen), 6)

        shop.sync(tree, progress=look)
        assert seen[0] == ("running", "reading", 0, None)
        assert seen[-1] == ("running", "reading", 5, 6)

    def test_one_that_failed(self, shop: Catalog, tree: Path) -> None:
        """The error is kept."""
        shop.sync(tree)
        for file in tree.rglob("*.png"):
            file.unlink()
        with pytest.raises(Conflict):
            shop.sync(tree, delete=True)
        assert shop.jobs()[-1].state == "failed"
        assert "is a disk not mounted" in str(shop.jobs()[-1].outcome)

    def test_there_is_none(self, shop: Catalog) -> None:
        """A number that no job has is said to be none."""
        for number in (1, 2**70):
            for call in (shop.job, shop.job_failures, shop.cancel_job, shop.resume_job):
                with pytest.raises(NotFound, match="there is no job"):
                    call(number)

    def test_few_are_kept(self, shop: Catalog, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The oldest that have ended make room, with what they could not take."""
        monkeypatch.setattr(rows, "MOST", 3)
        (tree / "cup" / "0.png").write_bytes(b"no picture")
        for _ in range(6):
            shop.sync(tree)
        assert [job.id for job in shop.jobs()] == [3, 4, 5, 6]
        with shop._store.reading() as tx:
            assert rows.failures(tx, 2) == []

    def test_forgetting(self, shop: Catalog, tree: Path) -> None:
        """What is forgotten is in no job either."""
        (tree / "jug" / "0.png").write_bytes(b"no picture")
        shop.sync(tree)
        shop.forget(labels=["jug"])
        assert shop.jobs() == ()
        assert b"jug" not in shop.path.read_bytes()


def test_an_import(shop: Catalog, tmp_path: Path) -> None:
    """One of many pictures is a job, too, and one that was cut short is taken up."""
    for number in range(70):
        write(tmp_path / "photos" / ("cup" if number < 40 else "jug") / f"{number}.png", number)
    with armed("next class", _stop), pytest.raises(KeyboardInterrupt):
        shop.import_(tmp_path / "photos")
    assert (shop.job(1).kind, shop.job(1).state, len(shop)) == ("import", "cancelled", 40)
    told: list[tuple[int, int]] = []
    done = shop.resume_job(1, progress=lambda *both: told.append(both))
    assert (sum(added.added for added in done.classes), len(shop)) == (30, 70)
    assert told == [(number, 70) for number in range(1, 71)]
    assert shop.job(2).outcome == {"new": 30, "moved": 0, "unchanged": 40, "refused": 0}
    shop.import_(read_manifest(tmp_path / "photos").entries)
    with armed("next class", _stop), pytest.raises(KeyboardInterrupt):
        shop.import_(read_manifest(tmp_path / "photos").entries)
    with pytest.raises(Conflict, match="no folder or manifest has"):
        shop.resume_job(4)


def _stop() -> None:
    raise KeyboardInterrupt


class TestStopping:
    """A job is asked to stop, or its process dies."""

    @pytest.mark.usefixtures("eager")
    def test_cancelled(self, shop: Catalog, tree: Path) -> None:
        """It stops at its next step, what it has done is kept, and it can be taken up."""

        def cancel(done: int, _total: int) -> None:
            if done == 2:
                with Catalog.open(shop.path, embedder=FakeEmbedder()) as other:
                    assert other.cancel_job(1).state == "running"

        with pytest.raises(Cancelled, match="job 1 was cancelled"):
            shop.sync(tree, progress=cancel)
        assert shop.job(1).state == "cancelled"
        assert len(shop) == 0
        embedded = shop.embedder.embedded  # type: ignore[attr-defined]
        assert len(shop.resume_job(1).new) == 6
        assert shop.embedder.embedded == embedded  # type: ignore[attr-defined]
        with pytest.raises(Conflict, match="nothing to take up"):
            shop.resume_job(2)
        with pytest.raises(Conflict, match="has ended"):
            shop.cancel_job(2)

    def test_killed(self, shop: Catalog, tree: Path) -> None:
        """A process that was killed is seen to be dead, and another one takes its job up."""
        program = (
            "import os, signal, sys; sys.path[:0] = sys.argv[3:]; from doubles import FakeEmbedder;"
            "from catalog import Catalog; from catalog.store.failpoints import armed;"
            "shop = Catalog.open(sys.argv[1], embedder=FakeEmbedder());"
            "context = armed('next class', lambda: os.kill(os.getpid(), signal.SIGKILL));"
            "context.__enter__(); shop.sync(sys.argv[2])"
        )
        command = [sys.executable, "-c", program, shop.path, tree, *sys.path]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert (shop.job(1).state, shop.job(1).left) == ("died", None)
        assert len(shop) == 3
        assert len(shop.resume_job(1).new) == 3
        assert [job.state for job in shop.jobs()] == ["died", "done"]
        with pytest.raises(Conflict, match="has ended"):
            shop.cancel_job(1)

    def test_on_another_computer(self, shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """There only time tells."""
        with shop._store.writing() as tx:
            rows.begin(tx, "sync", {"source": "/x"}, Process("another", 1, 1))
        assert shop.job(1).state == "running"
        monkeypatch.setattr(running, "_ELSEWHERE", -1.0)
        assert shop.job(1).state == "died"
        assert shop.cancel_job(1).state == "died"

    def test_only_one_at_a_time(self, shop: Catalog, tree: Path) -> None:
        """Of two at the same folder the second is told of the first."""

        def another() -> None:
            with Catalog.open(shop.path, embedder=FakeEmbedder()) as other:
                other.sync(tree)

        with armed("staged", another), pytest.raises(Locked, match="at the same sync, job 1"):
            shop.sync(tree)
        assert shop.job(1).state == "failed"
        assert len(shop.sync(tree).new) == 6


class TestProcesses:
    """Processes are told apart, though their numbers are used again."""

    def test_this_one(self) -> None:
        """It is there."""
        assert is_running(this_process())

    def test_another_of_that_number(self) -> None:
        """It is another one, if it began at another time."""
        assert not is_running(this_process()._replace(started=1))

    def test_one_that_ended(self) -> None:
        """It is not there."""
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        assert not is_running(this_process()._replace(number=ended.pid, started=1))

    def test_one_elsewhere(self) -> None:
        """It cannot be told from here."""
        assert is_running(this_process()._replace(machine="another")) is None


class TestWatch:
    """A folder that fills."""

    def test_it_fills(self, shop: Catalog, tmp_path: Path) -> None:
        """What comes is added, once it is quiet; then somebody has enough."""
        folder = tmp_path / "inbox"
        folder.mkdir()
        found = shop.watch(folder)
        assert next(found).new == ()
        assert shop.job(1).state == "running"
        for number in range(3):
            write(folder / "cup" / f"{number}.png", number)
        new = []
        while len(new) < 3:
            new += [one.place for one in next(found).new]
        assert sorted(new) == [str(folder / "cup" / f"{number}.png") for number in range(3)]
        found.close()
        assert shop.job(1).state == "done"
        assert shop.job(1).outcome is not None
        assert shop.job(1).outcome["new"] == 3
        assert [row.items for row in shop.labels()] == [3]

    def test_it_is_away(self, shop: Catalog, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """That is said once, and it goes on; so it does where something cannot be taken."""
        monkeypatch.setattr(watch, "_LOOK", 0.0)
        found = shop.watch(tree, delete=True)
        assert len(next(found).new) == 6
        (tree / "cup" / "0.png").write_bytes(b"no picture")
        assert len(next(found).refused) == 1
        write(tree / "cup" / "9.png", 99)
        assert len(next(found).new) == 1
        assert len(shop.job_failures(1)) == 1
        tree.rename(tree.with_name("away"))
        assert "there is nothing at" in next(found).notes[0]
        tree.with_name("away").rename(tree)
        write(tree / "jug" / "9.png", 98)
        assert [one.place for one in next(found).new] == [str(tree / "jug" / "9.png")]
        found.close()

    def test_cancelled(self, shop: Catalog, tree: Path) -> None:
        """It can be asked to stop while nothing happens."""
        found = shop.watch(tree)
        next(found)
        shop.cancel_job(1)
        with pytest.raises(Cancelled):
            next(found)
        assert shop.job(1).state == "cancelled"
