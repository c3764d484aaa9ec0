"""Writers that take turns in earnest: nothing acknowledged is lost, nothing is half there.

Each writer is a process of its own. It adds, imports, removes and undoes at random, and writes down
what was acknowledged; in the end the file must agree with all of them.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import photos
import pytest
import soak_page
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.changes import add, add_class, landing
from catalog.descriptors import CatalogError, Conflict, Locked, NotFound
from catalog.embedder import Picture
from catalog.jobs import import_
from catalog.manifest import Entry
from catalog.store.files import cache_folder
from catalog.store.store import Store

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

SHOTS = 3
THINGS = 12
ERRORS = {"LabelConflict", "NotFound", "Conflict"}
"""What a writer may be told beside that the file is locked: another one was faster."""


def opened(path: Path, busy_seconds: float = 15.0) -> Catalog:
    """Open a catalogue that waits so long for another process."""
    return Catalog(Store(path, busy_seconds), FakeEmbedder())


# --- what the processes do -----------------------------------------------------------------------


class Log:
    """The lines that a writer has written of what was acknowledged, one JSON value each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, **word: Any) -> None:
        """Add a line, in one write."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, (json.dumps(word) + "\n").encode())
        finally:
            os.close(descriptor)

    def read(self) -> list[dict[str, Any]]:
        """Every line."""
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text().splitlines()]


def write_at_random(path: Path, log_path: Path, stop: Path, seed: int, busy: float) -> None:
    """Change a catalogue at random until told to stop, and write down what came of it."""
    sys.argv[0] = "writer"
    rng, log, changes = random.Random(seed), Log(log_path), 0
    land = landing.land

    def land_and_tell(*arguments: Any, **options: Any) -> Any:
        added = land(*arguments, **options)
        if added.event:
            log.write(event=added.event, kind="add", label=added.label, changes=added.added)
        return added

    for module in (add, add_class, import_):
        module.land = land_and_tell
    catalog = reopened(path, log, busy)
    while not stop.exists():
        changes += 1
        try:
            change(catalog, rng, log)
        except Locked as error:
            log.write(locked=str(error))
        except CatalogError as error:
            log.write(refused=type(error).__name__)
        if changes % 7 == 0:
            catalog.close()
            catalog = reopened(path, log, busy)
    catalog.close()


def reopened(path: Path, log: Log, busy: float) -> Catalog:
    """Open a catalogue, although one that was stopped in the middle of a commit may hold it up."""
    while True:
        try:
            return opened(path, busy)
        except Locked as error:
            log.write(locked=str(error))


def change(catalog: Catalog, rng: random.Random, log: Log) -> None:
    """One command at random."""
    thing = rng.randrange(THINGS)
    label, pictures = f"thing {thing}", photos.shots(thing, SHOTS, rng.randrange(3) * SHOTS)
    choice = rng.randrange(6)
    if choice == 0:
        catalog.add_class(label, pictures)
    elif choice == 1:
        catalog.add(label, pictures)
    elif choice == 2:
        # Two classes in one command, each in a transaction of its own.
        wanted = rng.sample(range(THINGS), 2)
        catalog.import_([Entry(f"thing {n}", photo_of(catalog.path, n)) for n in wanted])
    elif choice == 3:
        removed = catalog.remove_class(label)
        log.write(kind="remove-class", label=label, changes=removed.items)
    elif choice == 4:
        items = [item.id for item in catalog.items()]
        wanted = rng.sample(items, min(2, len(items)))
        if wanted:
            catalog.remove(wanted)
            log.write(kind="remove", changes=len(wanted), items=wanted)
    else:
        undone = catalog.undo()
        log.write(kind="undo", undone=[event.id for event in undone])


def photo_of(path: Path, thing: int) -> Picture:
    """One photo of a thing, in a file."""
    return Picture(path.parent / "photos" / f"{thing}.jpg")


def read_until(path: Path, log_path: Path, stop: Path) -> None:
    """Ask a catalogue again and again; write down what was wrong with an answer, and how many."""
    log, rounds, generation = Log(log_path), 0, 0
    while not stop.exists():
        rounds += 1
        try:
            with opened(path, 30) as catalog:
                for _ in range(3):
                    info, counts = catalog.info(), catalog.labels()
                    found = catalog.predict(photos.photo(rounds % THINGS, 99))
                    if info.generation < generation:
                        log.write(wrong=f"generation {info.generation} after {generation}")
                    same = catalog.info().generation == info.generation
                    if counts and found.label is None and same:
                        log.write(wrong="no answer", generation=info.generation)
                    generation = info.generation
        except CatalogError as error:
            log.write(wrong=f"{type(error).__name__}: {error}")
    log.write(rounds=rounds)


def hold(path: Path, ready: Path) -> None:
    """Take the lock in the middle of adding a class, say so, and go on."""
    sys.argv[0] = "holder"
    with opened(path) as catalog:
        store, commits = catalog._store, []
        commit = store._commit

        def commit_slowly(tx: Any) -> None:
            commits.append(1)
            if len(commits) == 2:  # the descriptors are there, and now the class is to be
                ready.touch()
                time.sleep(0.3)
            commit(tx)

        store._commit = commit_slowly  # type: ignore[method-assign]
        catalog.add_class("held", photos.shots(40, SHOTS))


# --- and what must have come of it ---------------------------------------------------------------


@contextmanager
def running(*processes: BaseProcess) -> Iterator[None]:
    """Processes that are started, and gone in the end whatever happens."""
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGCONT)
                process.kill()
            process.join()


def spawned(target: Any, *arguments: Any) -> BaseProcess:
    """A process of its own, not forked."""
    return get_context("spawn").Process(target=target, args=arguments)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An empty catalogue, and photos in files beside it."""
    path = tmp_path / "shop.catalog"
    Catalog.init(path, embedder=FakeEmbedder()).close()
    (tmp_path / "photos").mkdir()
    for thing in range(THINGS):
        (tmp_path / "photos" / f"{thing}.jpg").write_bytes(photos.photo(thing, 50))
    return path


class Found(NamedTuple):
    """What writers and readers wrote down."""

    acknowledged: int
    locked: int
    named: int
    refused: int
    read: int
    events: int


def contend(shop: Path, seconds: float, *, writers: int, readers: int, stops: bool) -> Found:
    """Let processes write and read for a while, and compare what they say with the file."""
    stop = shop.with_name("stop")
    written = [Log(shop.with_name(f"written {number}")) for number in range(writers)]
    asked = [Log(shop.with_name(f"read {number}")) for number in range(readers)]
    writing = [
        spawned(write_at_random, shop, log._path, stop, number, 0.2)
        for number, log in enumerate(written)
    ]
    reading = [spawned(read_until, shop, log._path, stop) for log in asked]
    with running(*writing, *reading):
        wait_for(lambda: all(log.read() for log in written))
        rng, end = random.Random(1), time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
            if stops:  # stopped wherever it happens to be, the others go on or are told
                victim = rng.choice(writing)
                os.kill(victim.pid or 0, signal.SIGSTOP)
                time.sleep(rng.uniform(0, 0.5))
                os.kill(victim.pid or 0, signal.SIGCONT)
        stop.touch()
        for process in (*writing, *reading):
            process.join(60)
            assert process.exitcode == 0
    return agree(shop, written, asked)


def agree(shop: Path, written: list[Log], asked: list[Log]) -> Found:
    """Check that the file holds what was acknowledged, whole, in order, and nothing else."""
    wrong = [line for log in asked for line in log.read() if "wrong" in line]
    assert not wrong
    lines = [line for log in written for line in log.read()]
    locked = [line["locked"] for line in lines if "locked" in line]
    # One that has just got the lock, and has not signed yet, is no more than "another process".
    told = re.compile("is being written by (process [0-9]+ |another process)|read for too long")
    assert all(told.search(word) for word in locked), locked
    refused = [line["refused"] for line in lines if "refused" in line]
    assert set(refused) <= ERRORS
    with opened(shop) as catalog:
        found = catalog.verify()
        assert found.sound, found.problems
        events = check_events(catalog, written)
        check_state(catalog)
        generation = catalog.info().generation
        assert generation == events
    named = sum("by another process" not in word for word in locked)
    rounds = sum(log.read()[-1]["rounds"] for log in asked)
    acknowledged = sum("kind" in line for line in lines)
    return Found(acknowledged, len(locked), named, len(refused), rounds, events)


def check_events(catalog: Catalog, written: list[Log]) -> int:
    """Check that every acknowledged change is one event, whole, in the order of its writer."""
    with catalog._store.reading() as tx:
        rows = tx.execute(
            "SELECT id, kind, detail, undone_by, (SELECT count(*) FROM change WHERE event = id) "
            "FROM event ORDER BY id"
        ).fetchall()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    events = {row[0]: row for row in rows}
    kinds = [row[1] for row in rows]
    told: dict[str, int] = {}
    for log in written:
        lines = [line for line in log.read() if "kind" in line]
        own = [line["event"] for line in lines if "event" in line]
        assert own == sorted(set(own)), "generations of one writer rise"
        for line in lines:
            told[line["kind"]] = told.get(line["kind"], 0) + 1
            if "event" in line:
                _, kind, detail, _, changes = events[line["event"]]
                assert (kind, changes) == ("add", line["changes"])
                assert json.loads(detail)["label"] == line["label"]
            for undone in line.get("undone", ()):
                assert events[undone][3] is not None
    # No writer was killed, so each event was acknowledged to one of them, and to one alone.
    assert told == {kind: kinds.count(kind) for kind in set(kinds)}
    every = [line["event"] for log in written for line in log.read() if "event" in line]
    assert len(every) == len(set(every))
    return len(rows)


def check_state(catalog: Catalog) -> None:
    """Check that the classes are what the journal comes to, told again from its beginning."""
    held: dict[int, int] = {}
    with catalog._store.reading() as tx:
        for item, before, after in tx.execute(
            "SELECT item, before, after FROM change ORDER BY event"
        ):
            assert held.get(item) == before
            held[item] = after
        names = dict(tx.execute("SELECT slot, name FROM label"))
    counts: dict[str, int] = {}
    for slot in held.values():
        if slot is not None:
            counts[names[slot]] = counts.get(names[slot], 0) + 1
    assert {row.label: row.items for row in catalog.labels()} == counts


def wait_for(reached: Any, seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_two_write_and_two_read(shop: Path) -> None:
    """Two writers and two readers for a moment: all that was acknowledged is there, once."""
    found = contend(shop, 1.5, writers=2, readers=2, stops=False)
    assert found.acknowledged > 10
    assert found.read > 1


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_writers_for_minutes(shop: Path) -> None:
    """Three writers that are stopped and go on at random, and two readers, for four minutes."""
    found = contend(shop, 240, writers=3, readers=2, stops=True)
    assert found.locked
    soak_page.record(
        "Writers at once",
        "Three processes added, imported, removed and undid at random for four minutes, and were "
        "stopped and let go on at random, while two others asked. In the end the file held every "
        "change that was acknowledged, whole and once, and nothing else.",
        {
            "changes acknowledged": found.acknowledged,
            "events in the file": found.events,
            "of the changes lost, doubled or half there": 0,
            "told that the file is locked": found.locked,
            "and by whom": found.named,
            "told that another was faster": found.refused,
            "rounds of questions, each of a whole state": found.read,
        },
    )


class TestStopped:
    """A writer that is stopped while it holds the lock holds up the others no longer than asked."""

    @pytest.fixture
    def holder(self, shop: Path) -> Iterator[BaseProcess]:
        """A process that was stopped just before it ends a transaction."""
        with opened(shop) as catalog:
            catalog.add_class("cup", photos.shots(0, SHOTS))
        ready = shop.with_name("ready")
        process = spawned(hold, shop, ready)
        with running(process):
            wait_for(ready.exists)
            os.kill(process.pid or 0, signal.SIGSTOP)
            yield process

    def refused(self, shop: Path, holder: BaseProcess) -> None:
        """Check that a change is refused, that it says by whom, and that questions are answered."""
        with opened(shop, 0.1) as catalog:
            with pytest.raises(Locked, match=rf"written by process {holder.pid} \(holder"):
                catalog.remove_class("cup")
            with pytest.raises(Locked, match=rf"process {holder.pid} "):
                catalog.add_class("jug", photos.shots(1, SHOTS))
            assert [row.label for row in catalog.labels()] == ["cup"]
            assert catalog.predict(photos.photo(0, 9)).label == "cup"

    def test_it_goes_on(self, shop: Path, holder: BaseProcess) -> None:
        """When it goes on, its change lands, and the others change what they want after it."""
        self.refused(shop, holder)
        os.kill(holder.pid or 0, signal.SIGCONT)
        holder.join(60)
        assert holder.exitcode == 0
        with opened(shop, 0.1) as catalog:
            assert [row.label for row in catalog.labels()] == ["cup", "held"]
            catalog.remove_class("cup")
            assert catalog.verify().sound

    def test_it_is_killed(self, shop: Path, holder: BaseProcess) -> None:
        """When it is killed, its change was never there, and the lock is free at once."""
        self.refused(shop, holder)
        holder.kill()
        holder.join()
        with opened(shop, 0.1) as catalog:
            assert [row.label for row in catalog.labels()] == ["cup"]
            catalog.add_class("held", photos.shots(40, SHOTS))
            assert catalog.verify().sound
        assert not (cache_folder(shop) / "writer.json").exists()


def test_a_writer_waits_its_turn(shop: Path) -> None:
    """One that may wait long enough gets its turn, and is not told of any lock."""
    with opened(shop) as catalog:
        catalog.add_class("cup", photos.shots(0, SHOTS))
    ready = shop.with_name("ready")
    process = spawned(hold, shop, ready)
    with running(process):
        wait_for(ready.exists)
        with opened(shop, 30) as catalog:
            catalog.add_class("jug", photos.shots(1, SHOTS))
        process.join(60)
    with opened(shop) as catalog:
        assert [row.label for row in catalog.labels()] == ["cup", "held", "jug"]
        assert catalog.verify().sound


def test_what_another_did_is_undone_and_can_be_done_again(shop: Path) -> None:
    """Undo takes back what came last, whoever did it, and tells the one who removes in vain."""
    with opened(shop) as one, opened(shop) as other:
        one.add_class("cup", photos.shots(0, SHOTS))
        other.add_class("jug", photos.shots(1, SHOTS))
        assert [event.detail["label"] for event in one.undo()] == ["jug"]
        with pytest.raises(NotFound):
            other.remove_class("jug")
        item = one.items("cup")[0].id
        other.remove([item])
        with pytest.raises((NotFound, Conflict)):
            one.remove([item])
        assert one.labels() == other.labels()
        assert one.info().learning_state == other.info().learning_state
