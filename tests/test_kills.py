"""A process killed at any moment loses nothing that was acknowledged, and is finished later."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import photos
import pytest
import soak_page
from doubles import FakeEmbedder
from interpose import NOT_HERE, Fault, failing
from malformed import black_png
from tiny_network import NAME, command, environment, run
from writing_commands import (
    BY_NAME,
    COMMANDS,
    State,
    Tell,
    Workshop,
    forkers,
    in_child,
    memory_folder,
    opened,
    state_of,
    succeed,
)

from catalog import Catalog, landing, read_manifest, staging
from descriptors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.process import BaseProcess
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from catalog import Added
    from embedder import Picture, Source


CLASSES, PICTURES = 30, 10
PAUSE_SECONDS = 0.002
LABELS = [f"thing {number:02}" for number in range(CLASSES)]


class Diary:
    """A file that gets a line for everything that happened; a line is there once written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: str) -> None:
        """Add a line, in one write that a kill cannot split."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def read(self) -> list[str]:
        """Every line so far."""
        return self._path.read_text().splitlines() if self._path.exists() else []


class SlowEmbedder(FakeEmbedder):
    """Takes a while for a picture, and writes down which it has embedded."""

    def __init__(self, diary: Diary) -> None:
        super().__init__()
        self._diary = diary

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of one picture, after a pause."""
        time.sleep(PAUSE_SECONDS)
        descriptor = super().embed(picture)
        source = getattr(picture, "source", picture)
        if isinstance(source, bytes):
            self._diary.write(f"embedded {sha256(source).hexdigest()}")
        return descriptor


def import_slowly(path: Path, tree: Path, diary_path: Path) -> None:
    """Import a tree, and write down each class once the call that lands it has come back."""
    diary = Diary(diary_path)
    land = landing.land

    def land_and_tell(*arguments: Any, **options: Any) -> Added:
        added = land(*arguments, **options)
        if added.added:
            diary.write(f"landed {added.label}")
        return added

    landing.land = land_and_tell
    with Catalog.open(path, embedder=SlowEmbedder(diary)) as catalog:
        catalog.import_(read_manifest(tree).entries)
    diary.write("finished")


def learnt_and_counted(path: Path) -> tuple[str, dict[str, int]]:
    """What a sound catalogue has learnt, and how many items each class has."""
    with Catalog.open(path, embedder=FakeEmbedder()) as catalog:
        assert catalog.verify().problems == ()
        counts = {row.label: row.items for row in catalog.labels()}
        return catalog.info().learning_state, counts


def stored(path: Path) -> set[str]:
    """The hashes of the pictures whose descriptors a catalogue file holds."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT hex(content) FROM item JOIN descriptor ON descriptor.item = item.id"
        )
        return {content.lower() for (content,) in rows}


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty classes of ten photos, no two of them the same."""
    return photos.draw_tree(tmp_path_factory.mktemp("kills") / "tree", LABELS, PICTURES)


@pytest.fixture(scope="session")
def undisturbed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The learning state after an import that nobody killed."""
    path = tmp_path_factory.mktemp("undisturbed") / "shop.catalog"
    with Catalog.init(path, embedder=FakeEmbedder()) as catalog:
        catalog.import_(read_manifest(tree).entries)
    state, counts = learnt_and_counted(path)
    assert counts == dict.fromkeys(LABELS, PICTURES)
    return state


class Ordeal:
    """One catalogue, and the import that is killed and started again until it is through."""

    def __init__(self, folder: Path, tree: Path) -> None:
        folder.mkdir()
        self.path, self._tree = folder / "shop.catalog", tree
        self.diary = Diary(folder / "diary")
        self._diary_path = folder / "diary"
        self.kills = 0
        Catalog.init(self.path, embedder=FakeEmbedder()).close()

    def start(self) -> BaseProcess:
        """Begin the import, or go on with it, in a process of its own."""
        process = get_context("spawn").Process(
            target=import_slowly, args=(self.path, self._tree, self._diary_path)
        )
        process.start()
        return process

    def kill(self, rng: random.Random) -> None:
        """Start the import, and kill it a random number of pictures and moments later."""
        before = self.diary.read()
        held = stored(self.path)
        enough = len(before) + rng.randrange(1, 2 * staging._BATCH_PICTURES)
        process = self.start()
        while process.is_alive() and len(self.diary.read()) < enough:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.join()
        self.kills += process.exitcode == -signal.SIGKILL
        self._check(before, held)

    def finish(self) -> None:
        """Run the import to its end."""
        before, held = self.diary.read(), stored(self.path)
        process = self.start()
        process.join()
        assert process.exitcode == 0
        self._check(before, held)

    def _check(self, before: Sequence[str], held: set[str]) -> None:
        lines = self.diary.read()
        again = held & {line.removeprefix("embedded ") for line in lines[len(before) :]}
        assert not again, "embedded again although the descriptor was stored"
        _, counts = learnt_and_counted(self.path)
        assert set(counts.values()) <= {PICTURES}, "a part of a class"
        landed = {line.removeprefix("landed ") for line in lines if line.startswith("landed ")}
        assert landed <= counts.keys(), "an acknowledged class is gone"


def endure(folder: Path, tree: Path, kills: int, seed: int, undisturbed: str) -> None:
    """Kill imports so many times, each until it is through, and compare with a quiet one."""
    rng = random.Random(seed)
    folder.mkdir()
    total, number = 0, 0
    while total < kills:
        ordeal = Ordeal(folder / str(number), tree)
        while total + ordeal.kills < kills and ordeal.diary.read()[-1:] != ["finished"]:
            ordeal.kill(rng)
        ordeal.finish()
        assert learnt_and_counted(ordeal.path) == (undisturbed, dict.fromkeys(LABELS, PICTURES))
        times = Counter(line for line in ordeal.diary.read() if line.startswith("embedded "))
        assert len(times) == CLASSES * PICTURES
        spare = times.total() - CLASSES * PICTURES
        assert spare <= ordeal.kills * staging._BATCH_PICTURES
        landings = Counter(line for line in ordeal.diary.read() if line.startswith("landed "))
        assert set(landings.values()) == {1}
        total += ordeal.kills
        number += 1


def test_four_kills(tree: Path, undisturbed: str, tmp_path: Path) -> None:
    """After each of four kills the file is sound, classes are whole, and none is done twice."""
    endure(tmp_path / "ordeal", tree, 4, 1, undisturbed)


@pytest.mark.soak
def test_two_hundred_kills(tree: Path, undisturbed: str, tmp_path: Path) -> None:
    """Two hundred kills leave no more behind than four do."""
    endure(tmp_path / "ordeal", tree, 200, 2, undisturbed)
    soak_page.record(
        "Imports killed from outside",
        f"Imports of {CLASSES} classes of {PICTURES} photos were killed at random moments, and "
        "started again until they were through.",
        {
            "kills": 200,
            "acknowledged classes that were lost": 0,
            "classes of which a part was found": 0,
            "photos embedded again although their descriptors were stored": 0,
        },
    )


def test_ctrl_c(tiny_cache: Path, tmp_path: Path) -> None:
    """Ctrl-C ends the command in one line with a sound catalogue, and the next run finishes it."""
    shop = tmp_path / "shop.catalog"
    big = black_png(1000)  # slow to decode, and the bytes behind its end make another file of it
    for number in range(400):
        file = tmp_path / "tree" / f"class {number // 40:02}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(big + number.to_bytes(2))
    run("init", shop, "--backbone", NAME, cache=tiny_cache)
    arguments = ("import", tmp_path / "tree", "--catalog", shop)
    # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command(*arguments), stderr=subprocess.PIPE, text=True, env=environment(tiny_cache)
    ) as process:
        while process.poll() is None and not stored_now(shop):
            time.sleep(0.01)
        signal.signal(signal.SIGINT, before)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert said.splitlines() == [said.strip()]
    assert said.startswith("stopped; what was done is kept")
    held = stored(shop)
    assert 0 < len(held) < 400
    info, whole = (run(name, "--catalog", shop, cache=tiny_cache) for name in ("verify", "labels"))
    assert (info.returncode, info.stderr) == (0, "")
    assert all(line.split()[0] == "40" for line in whole.stdout.splitlines())
    again = run(*arguments, "--json", cache=tiny_cache)
    assert (again.returncode, again.stderr) == (0, "")
    assert len(stored(shop)) == 400


def stored_now(path: Path) -> set[str]:
    """As :func:`stored`, while another process may be in the middle of a commit."""
    with contextlib.suppress(sqlite3.OperationalError):
        return stored(path)
    return set()


# --- any command, at any call of the system -------------------------------------------------------

here = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))

KILLS = (Fault.KILL_BEFORE, Fault.KILL_WITHIN, Fault.KILL_AFTER)
ONE_BY_ONE = BY_NAME["add"]
"""What a sequence of commands begins with: three classes."""


@dataclass(slots=True)
class Tally:
    """What came of many kills.

    Attributes:
        kills: how many processes were killed.
        acknowledged: how many commands had returned by then.
        wrong: what should not have been, in words.
    """

    kills: int = 0
    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list)


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    total = Tally()
    for one in tallies:
        total.kills += one.kills
        total.acknowledged += one.acknowledged
        total.wrong += one.wrong
    return total


# --- each command, at each call ------------------------------------------------------------------


class Killing:
    """Kills of one command.

    Args:
        folder: to work in, of this process alone.
        name: of the command.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._workshop, self._command = Workshop(folder), BY_NAME[name]
        self._outcomes = self._workshop.outcomes(self._command)

    def every(self, fault: Fault, tally: Tally) -> None:
        """Kill it at one call after another, until it ends before."""
        nth = 1
        while self.at(nth, fault, tally):
            nth += 1

    def some(self, fault: Fault, tally: Tally, rng: random.Random) -> None:
        """Kill it at a call at random."""
        names = self._workshop.calls(self._command)
        if fault is Fault.KILL_WITHIN:
            names = [name for name in names if name in {"write", "pwrite"}]
        self.at(rng.randint(1, len(names)), fault, tally)

    def at(self, nth: int, fault: Fault, tally: Tally) -> bool:
        """Kill it at its n-th call; returns whether there was one."""
        path = self._workshop.fresh(self._command)
        told, status = in_child(lambda tell: self._work(path, nth, fault, tell))
        wrong = self._workshop.complaints(self._command, path, told, self._outcomes)
        killed = status == signal.SIGKILL
        if status and not killed:
            wrong.append(f"ended with status {status}")
        where = f"{self._command.name}, {fault.value} call {nth}"
        tally.wrong += [f"{where}: {one}" for one in wrong]
        tally.kills += killed
        tally.acknowledged += killed and "done" in told
        return killed

    def _work(self, path: Path, nth: int, fault: Fault, tell: Tell) -> None:
        with failing(path.parent, nth, fault), self._command.begin(path) as catalog:
            self._command.act(catalog)
            tell("done")


def kill_at_calls(folder: Path, name: str, *, every: bool) -> Tally:
    """Kill a command before, within and after each of its calls, or one of them."""
    killing, tally, rng = Killing(folder / f"{os.getpid()}", name), Tally(), random.Random(name)
    for fault in KILLS:
        if every:
            killing.every(fault, tally)
        else:
            killing.some(fault, tally, rng)
    return tally


@here
def test_kills_at_calls(pool: ProcessPoolExecutor, memory: Path) -> None:
    """Every command is killed at some of its calls, and what it had acknowledged is there."""
    total = together(pool.map(partial(kill_at_calls, memory, every=False), BY_NAME))
    assert total.wrong == []
    assert total.kills > 2 * len(COMMANDS)


@here
@pytest.mark.soak
def test_kills_at_every_call(pool: ProcessPoolExecutor, memory: Path) -> None:
    """Every command is killed before, within and after each of its calls."""
    total = together(pool.map(partial(kill_at_calls, memory, every=True), BY_NAME))
    assert total.wrong == []
    assert total.kills > 5000
    soak_page.record(
        "Kills at every call",
        "Every writing command was killed before, within and after each call of the system with "
        "which it can change a file. The catalogue was opened by another process; then the "
        "command was run again.",
        {
            "commands": len(COMMANDS),
            "kills": total.kills,
            "of these after the command had returned": total.acknowledged,
            "lost acknowledgements": 0,
            "inconsistent states": 0,
            "not finished by the next run": 0,
        },
    )


# --- sequences of commands -----------------------------------------------------------------------


def _item(catalog: Catalog, rng: random.Random) -> int:
    return rng.choice(catalog.items()).id


def _label(catalog: Catalog, rng: random.Random) -> str:
    return rng.choice(catalog.labels()).label


def _shots(rng: random.Random) -> list[bytes]:
    return photos.shots(rng.randrange(12), rng.randrange(1, 4), rng.randrange(20))


Step = Callable[[Catalog, random.Random], object]

STEPS: tuple[Step, ...] = (
    lambda c, rng: c.add_class(f"thing {rng.randrange(9)}", _shots(rng)),
    lambda c, rng: c.add(_label(c, rng), _shots(rng), move=rng.random() < 0.5),
    lambda c, rng: c.feedback(_shots(rng)[0], _label(c, rng), note_only=rng.random() < 0.3),
    lambda c, rng: c.remove([_item(c, rng)]),
    lambda c, rng: c.remove_class(_label(c, rng)),
    lambda c, rng: c.undo(),
    lambda c, rng: c.train_head(rng.choice(["frozen", "exact", "none"])),
    lambda c, rng: c.rename_class(_label(c, rng), f"name {rng.randrange(99)}"),
    lambda c, rng: c.merge_classes([_label(c, rng)], _label(c, rng)),
    lambda c, rng: c.move([_item(c, rng)], _label(c, rng)),
    lambda c, rng: c.forget([_item(c, rng)]),
    lambda c, rng: c.compact([_label(c, rng)]) if rng.random() < 0.3 else c.predict(_shots(rng)[0]),
)
"""Commands of one step each, that make sense in any catalogue or are refused."""


def play(path: Path, seed: int, length: int, tell: Tell) -> None:
    """Run a sequence of commands that follows from a seed, and tell when each has returned."""
    rng = random.Random(seed)
    catalog = opened(path)
    for number in range(length):
        step, fresh = rng.choice(STEPS), rng.random() < 0.2
        try:
            step(catalog, random.Random(f"{seed} {number}"))
        except (CatalogError, IndexError):  # refused, or there is nothing left to choose from
            tell("refused")
        else:
            tell("done")
        if fresh:
            catalog.close()
            catalog = opened(path)
    catalog.close()


def states_on_the_way(path: Path, seed: int, length: int) -> list[State]:
    """The states before and after each command of a sequence that nobody kills."""
    lines = [state_of(path).to_json()]

    def work(tell: Tell) -> None:
        play(path, seed, length, lambda _: tell(state_of(path).to_json()))

    return [State.from_json(line) for line in [*lines, *succeed(work)]]


def kill_sequences(folder: Path, seed: int, kills: int, length: int = 6) -> Tally:
    """Kill one sequence of commands again and again, each time at another call."""
    workshop, rng, tally = Workshop(folder / f"{os.getpid()}"), random.Random(seed), Tally()
    states = states_on_the_way(workshop.fresh(ONE_BY_ONE), seed, length)
    calls = _calls(workshop.fresh(ONE_BY_ONE), seed, length)

    def work(path: Path, nth: int, fault: Fault, tell: Tell) -> None:
        with failing(path.parent, nth, fault):
            play(path, seed, length, tell)

    for _ in range(kills):
        path = workshop.fresh(ONE_BY_ONE)
        nth, fault = rng.randrange(1, calls + 1), rng.choice(KILLS)
        told, status = in_child(partial(work, path, nth, fault))
        found = workshop.state(path)
        done = len(told)
        if any(line.startswith("raised ") for line in told) or found not in states[done : done + 2]:
            tally.wrong.append(f"sequence {seed}, {fault.value} call {nth}, after {told}")
        tally.kills += status == signal.SIGKILL
        tally.acknowledged += told.count("done") if status == signal.SIGKILL else 0
    return tally


def _calls(path: Path, seed: int, length: int) -> int:
    """How many calls a sequence makes."""

    def work(tell: Tell) -> None:
        with failing(path.parent) as calls:
            play(path, seed, length, lambda _: None)
        tell(f"{len(calls.seen)}")

    return int(succeed(work)[-1])


@here
@pytest.mark.parametrize(
    ("sequences", "kills"), [(8, 5), pytest.param(120, 20, marks=pytest.mark.soak)]
)
def test_kills_in_sequences(
    pool: ProcessPoolExecutor, memory: Path, sequences: int, kills: int
) -> None:
    """Of a sequence that was killed, what was acknowledged is there, and at most one step more."""
    total = together(pool.map(partial(kill_sequences, memory, kills=kills), range(sequences)))
    assert total.wrong == []
    assert total.kills > 0.5 * sequences * kills
    assert total.acknowledged > total.kills
    if sequences > 100:
        soak_page.record(
            "Kills in sequences of commands",
            "Sequences of six commands chosen at random were killed at random calls. The state "
            "found then was compared with those on the way of the same sequence, undisturbed.",
            {
                "sequences": sequences,
                "kills": total.kills,
                "commands that were acknowledged before": total.acknowledged,
                "lost acknowledgements": 0,
                "inconsistent states": 0,
            },
        )


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes for the trials."""
    with forkers() as found:
        yield found


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory."""
    with memory_folder() as folder:
        yield Path(folder)
