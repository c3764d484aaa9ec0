"""Whichever call of the system fails: a command is done, or says it is not and loses nothing."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soak_page
from interpose import NOT_HERE, Fault, failing
from writing_commands import (
    BY_NAME,
    COMMANDS,
    Tell,
    Workshop,
    forkers,
    in_child,
    memory_folder,
    state_of,
    succeed,
)

from catalog import failpoints
from descriptors import CatalogError, InvalidInput

pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))

FAULTS = (Fault.EIO, Fault.ENOSPC, Fault.FULL, Fault.SHORT_WRITE, Fault.TORN_WRITE)


@dataclass(slots=True)
class Tally:
    """What came of many trials.

    Attributes:
        failed: how many calls failed on purpose.
        refused: how many commands said that they failed.
        wrong: what should not have been, in words.
    """

    failed: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another one."""
        self.failed += other.failed
        self.refused += other.refused
        self.wrong += other.wrong


class Trials:
    """Trials of one command.

    Args:
        folder: to work in, of this process alone.
        name: of the command.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._workshop = Workshop(folder)
        self._command = BY_NAME[name]
        self._outcomes = self._workshop.outcomes(self._command)

    def every(self, fault: Fault, tally: Tally) -> None:
        """Let one call after another fail, until none does any more."""
        nth = 1
        while self.at(nth, fault, tally, again=nth % 2 == 0):
            nth += 1

    def some(self, fault: Fault, tally: Tally, rng: random.Random) -> None:
        """Let a call at random fail."""
        names = self._workshop.calls(self._command, reading=fault is Fault.EIO)
        if fault is not Fault.EIO:
            names = [name for name in names if name in {"write", "pwrite"}]
        self.at(rng.randint(1, len(names)), fault, tally, again=rng.random() < 0.5)

    def at(self, nth: int, fault: Fault, tally: Tally, *, again: bool) -> bool:
        """Let the n-th call fail; returns whether there was one."""
        path = self._workshop.fresh(self._command)
        told, status = in_child(lambda tell: self._befall(path, nth, fault, tell, again=again))
        struck = next((line for line in told if line.startswith("struck ")), "")
        self._judge(path, told, status, f"{fault.value} at call {nth} ({struck}), {again=}", tally)
        tally.failed += bool(struck)
        return bool(struck)

    def limited(self, most: int, tally: Tally) -> None:
        """Let no file grow beyond so many bytes."""
        path = self._workshop.fresh(self._command)
        told, status = in_child(lambda tell: self._cramp(path, most, tell))
        self._judge(path, told, status, f"files of {most} bytes at most", tally)

    def cut(self, place: str, tally: Tally, *, kill: bool) -> None:
        """Cut the command short at a named place."""
        path = self._workshop.fresh(self._command)
        told, status = in_child(lambda tell: self._stop(path, place, tell, kill=kill))
        wrong = self._workshop.complaints(self._command, path, told, self._outcomes)
        if "there" not in told or status != (signal.SIGKILL if kill else 0):
            wrong.append(f"status {status}: {told}")
        tally.refused += any(line.startswith("refused ") for line in told)
        tally.wrong += [f"{self._command.name} at {place!r}, {kill=}: {one}" for one in wrong]

    def _stop(self, path: Path, place: str, tell: Tell, *, kill: bool) -> None:
        """Run the command until it comes to a place, and kill this process or raise an error."""

        def stop() -> None:
            tell("there")
            if kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise CatalogError("cut short")

        with failpoints.armed(place, stop):
            try:
                with self._command.begin(path) as catalog:
                    self._answer(partial(self._command.act, catalog), tell)
            except CatalogError as error:
                tell(f"refused {type(error).__name__}: {error}")

    def _judge(self, path: Path, told: Sequence[str], status: int, what: str, tally: Tally) -> None:
        wrong = self._workshop.complaints(self._command, path, told, self._outcomes)
        answers = [line for line in told if line == "done" or line.startswith("refused ")]
        if status or len(answers) != 1:
            wrong.append(f"not one answer, and status {status}: {told}")
        tally.refused += answers != ["done"]
        tally.wrong += [f"{self._command.name}, {what}: {one}" for one in wrong]

    def _befall(self, path: Path, nth: int, fault: Fault, tell: Tell, *, again: bool) -> None:
        """Run the command while a call fails, and tell what came of it.

        When it was refused, it is run again on the same object, if that is asked for. (Unless
        opening was what failed: SQLite goes on with a file that can be read only.)
        """
        with failing(path.parent, nth, fault, reading=fault is Fault.EIO) as calls:
            try:
                with self._command.begin(path) as catalog:
                    refused = self._answer(partial(self._command.act, catalog), tell)
                    if refused and again and calls.struck[:1] != [("open", str(path))]:
                        calls.active = False
                        self._repeat(path, partial(self._command.act, catalog))
            except CatalogError as error:
                tell(f"refused {type(error).__name__}: {error}")
            finally:
                for call in calls.struck[:1]:
                    tell(f"struck {call.name} {call.path.removeprefix(str(path.parent))}")

    def _repeat(self, path: Path, act: Callable[[], object]) -> None:
        """Call what was refused again, unless it has happened all the same."""
        if state_of(path) != self._outcomes.after:
            act()

    def _cramp(self, path: Path, most: int, tell: Tell) -> None:
        """Run the command while files cannot grow beyond a size, which cuts writes short."""
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        try:
            with self._command.begin(path) as catalog:
                self._answer(partial(self._command.act, catalog), tell)
        except CatalogError as error:
            tell(f"refused {type(error).__name__}: {error}")

    @staticmethod
    def _answer(act: Callable[[], object], tell: Tell) -> bool:
        """Call, and tell of the answer; returns whether it was refused."""
        try:
            act()
        except CatalogError as error:
            tell(f"refused {type(error).__name__}: {error}")
            return True
        tell("done")
        return False


def fail_calls(folder: Path, name: str, *, every: bool) -> Tally:
    """Trials of one command with every fault at each call, or with three of them at one."""
    trials, tally, rng = Trials(folder / f"{os.getpid()}", name), Tally(), random.Random(name)
    for fault in FAULTS if every else rng.sample(FAULTS, 3):
        if every:
            trials.every(fault, tally)
        else:
            trials.some(fault, tally, rng)
    return tally


def limit_sizes(folder: Path, name: str, step: int) -> Tally:
    """Trials of one command where no file can grow beyond a size, from none to enough."""
    trials, tally = Trials(folder / f"{os.getpid()}", name), Tally()
    for most in range(0, 700_000, step):
        trials.limited(most, tally)
    return tally


PLACES = {
    "created": "init",
    "staged": "add_class",
    "landing": "add",
    "landed": "feedback",
    "next class": "import",
    "rewriting": "compact",
    "rewritten": "forget items",
    "saving": "close",
    "copied": "backup",
    "restoring": "restore",
    "merging": "merge",
}
"""A command that comes to each place where one can be cut short."""


def cut_short(folder: Path, place: str) -> Tally:
    """Trials of a command that is cut short at a named place, by an error and by a kill."""
    trials, tally = Trials(folder / f"{os.getpid()}", PLACES[place]), Tally()
    trials.cut(place, tally, kill=False)
    trials.cut(place, tally, kill=True)
    return tally


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


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def test_calls_fail(pool: ProcessPoolExecutor, memory: Path) -> None:
    """Some calls of every command fail in some way: it is done, or refused and done later."""
    total = together(pool.map(partial(fail_calls, memory, every=False), BY_NAME))
    assert total.wrong == []
    assert total.failed > 2 * len(COMMANDS)
    assert total.refused > len(COMMANDS)


@pytest.mark.soak
def test_every_call_fails(pool: ProcessPoolExecutor, memory: Path) -> None:
    """Every call of every command fails once in every way."""
    total = together(pool.map(partial(fail_calls, memory, every=True), BY_NAME))
    assert total.wrong == []
    soak_page.record(
        "Calls of the system that fail",
        "Every writing command was run again and again; each time another of its calls of the "
        "system failed: with an input/output error (reads, too), for want of space once or from "
        "then on, or after half of a write. Each answer was compared with what a process found "
        "that opened the catalogue next; then the command was run once more, on the same object "
        "or by another process.",
        {
            "commands": len(COMMANDS),
            "kinds of faults": len(FAULTS),
            "calls that failed": total.failed,
            "answered with a typed error": total.refused,
            "answered with anything else": 0,
            "inconsistent states": 0,
            "not finished by the next call": 0,
        },
    )


@pytest.mark.parametrize(
    "step", [41_000, pytest.param(1_024, marks=pytest.mark.soak)], ids=["some", "every"]
)
def test_files_cannot_grow(pool: ProcessPoolExecutor, memory: Path, step: int) -> None:
    """Where the kernel cuts writes short, what does not fit is refused, and nothing is lost."""
    names = ("init", "add_class", "import", "compact", "backup")
    total = together(pool.map(partial(limit_sizes, memory, step=step), names))
    assert total.wrong == []
    assert 0 < total.refused < len(names) * 700_000 // step


def test_named_places(pool: ProcessPoolExecutor, memory: Path) -> None:
    """A command that is cut short at any named place leaves nothing half done."""
    assert PLACES.keys() == failpoints.NAMES.keys()
    total = together(pool.map(partial(cut_short, memory), PLACES))
    assert total.wrong == []
    assert total.refused == len(PLACES) - 1  # what is saved when closing may fail in silence


class TestPlaces:
    """How places are armed."""

    def test_unarmed(self) -> None:
        """A place that nobody armed is passed; so is one that was armed before."""
        failpoints.reach("landed")
        with failpoints.armed("landed", pytest.fail):
            pass
        failpoints.reach("landed")

    def test_armed(self) -> None:
        """What a place is armed with happens there alone, as often as it is reached."""
        reached: list[str] = []
        with (
            failpoints.armed("landed", lambda: reached.append("landed")),
            failpoints.armed("staged", lambda: reached.append("staged")),
        ):
            for place in ("staged", "landed", "landing", "landed"):
                failpoints.reach(place)
        assert reached == ["staged", "landed", "landed"]

    def test_unknown(self) -> None:
        """A name that is not listed is refused, so that no test waits at a place that is none."""
        with pytest.raises(InvalidInput, match="there is no place 'lannded'; there are 'created'"):
            failpoints.armed("lannded", pytest.fail).__enter__()

    def test_other_threads(self) -> None:
        """Another thread passes what this one has armed."""
        reached: list[str] = []
        with failpoints.armed("landed", lambda: reached.append("landed")):
            thread = threading.Thread(target=failpoints.reach, args=("landed",))
            thread.start()
            thread.join()
        assert reached == []


# --- power cuts ----------------------------------------------------------------------------------


class Node:
    """A file as a disk knows it, whatever its names are.

    Attributes:
        durable: its bytes when it was last synced.
        pending: what was done to it since: where, and the bytes; None for where it was cut off.
    """

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = durable
        self.pending: list[tuple[int, bytes | None]] = []

    def content(self, keep: Callable[[], bool]) -> bytes:
        """Its bytes, with those changes that are kept."""
        data = bytearray(self.durable)
        for at, written in filter(lambda _: keep(), self.pending):
            data += bytes(max(0, at - len(data)))
            data[at : len(data) if written is None else at + len(written)] = written or b""
        return bytes(data)


class Disk:
    """What is in a folder if the power is cut: what was synced, and of the rest what luck kept.

    Names are synced with their folder alone, bytes with their file alone. (Folders themselves are
    taken to stay; there are none but those of what can be learnt again.)

    Args:
        folder: as it is to begin with, all of it synced.
    """

    def __init__(self, folder: Path) -> None:
        files = [one for one in folder.rglob("*") if one.is_file()]
        self._folder = folder
        self._names = {str(one): Node(one.read_bytes()) for one in files}
        self._durable = dict(self._names)
        self._changes: list[tuple[str, str, Node]] = []

    def note(self, name: str, path: str, given: tuple[Any, ...]) -> None:
        """Take note of a call of the system that succeeded."""
        node = self._names.get(path)
        if name == "open":
            self._open(path, node, truncate=bool(given[-2] & os.O_TRUNC))
        elif name in {"link", "rename"}:
            self._name(os.fsdecode(given[0]), path, moved=name == "rename")
        elif name == "unlink" and node:
            self._change(path, "", node)
        elif name in {"fsync", "fdatasync"}:
            self._sync(path, node)
        elif name in {"write", "pwrite"} and node:
            data = ctypes.string_at(given[1], given[2])
            at = given[3] if name == "pwrite" else os.lseek(given[0], 0, os.SEEK_CUR) - len(data)
            node.pending.append((at, data))
        elif name == "ftruncate" and node:
            node.pending.append((given[1], None))

    def _open(self, path: str, node: Node | None, *, truncate: bool) -> None:
        if node is None:
            self._change("", path, Node())
        elif truncate:
            node.pending.append((0, None))

    def _name(self, old: str, new: str, *, moved: bool) -> None:
        """Give a file another name, or a folder, which is taken to be synced."""
        if old in self._names:
            self._change(old if moved else "", new, self._names[old])
        for names in (self._names, self._durable):
            for name in [one for one in names if one.startswith(f"{old}/")]:
                names[new + name.removeprefix(old)] = names.pop(name)

    def _change(self, old: str, new: str, node: Node) -> None:
        self._changes.append((old, new, node))
        _rename(self._names, old, new, node)

    def _sync(self, path: str, node: Node | None) -> None:
        if node:
            node.durable, node.pending = node.content(lambda: True), []
            return
        for change in [one for one in self._changes if str(Path(one[1] or one[0]).parent) == path]:
            _rename(self._durable, *change)
            self._changes.remove(change)

    def cut(self, folder: Path, rng: random.Random | None) -> None:
        """Write what is left into another folder; without a generator all that can be lost is."""

        def keep() -> bool:
            return rng is not None and rng.random() < 0.5

        names = dict(self._durable)
        for change in filter(lambda _: keep(), self._changes):
            _rename(names, *change)
        for one in self._folder.rglob("*"):
            if one.is_dir():
                (folder / one.relative_to(self._folder)).mkdir(parents=True, exist_ok=True)
        for path, node in names.items():
            place = folder / Path(path).relative_to(self._folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(node.content(keep))


def _rename(names: dict[str, Node], old: str, new: str, node: Node) -> None:
    names.pop(old, None)
    if new:
        names[new] = node


def cut_power(folder: Path, name: str, step: int) -> Tally:
    """Cut the power after each call of a command, or after one in so many."""
    workshop, command, tally = Workshop(folder / f"{os.getpid()}"), BY_NAME[name], Tally()
    outcomes, seed = workshop.outcomes(command), list(BY_NAME).index(name)
    path, cuts = workshop.fresh(command), workshop.folder / "cuts"
    shutil.rmtree(cuts, ignore_errors=True)
    cuts.mkdir()

    def work(tell: Tell) -> None:
        disk, done, rng = Disk(path.parent), False, random.Random(seed)

        def note(call: str, place: str, given: tuple[Any, ...]) -> None:
            disk.note(call, place, given)
            calls = next(counter)
            if calls % step == seed % step:
                cut()

        def cut() -> None:
            for luck in (None, rng, rng):
                place = cuts / f"{next(number)} {'done' if done else 'doing'}"
                place.mkdir()
                disk.cut(place, luck)

        counter, number = itertools.count(), itertools.count()
        with failing(path.parent, noted=note), command.begin(path) as catalog:
            command.act(catalog)
            done = True
            cut()

    succeed(work)
    for place in sorted(cuts.iterdir()):
        told, was = ["done"] if place.name.endswith("done") else [], place.name
        shutil.rmtree(path.parent)
        place.rename(path.parent)
        wrong = workshop.complaints(command, path, told, outcomes)
        tally.wrong += [f"{name}, power cut {was}: {one}" for one in wrong]
        tally.failed += 1
        tally.refused += not told
    return tally


def test_power_cuts(pool: ProcessPoolExecutor, memory: Path) -> None:
    """What was acknowledged is there although all is lost that was not synced, or half of it."""
    total = together(pool.map(partial(cut_power, memory, step=89), BY_NAME))
    assert total.wrong == []
    assert total.failed > 4 * len(COMMANDS)


@pytest.mark.soak
def test_power_cuts_at_every_call(pool: ProcessPoolExecutor, memory: Path) -> None:
    """The same after each call of every command."""
    total = together(pool.map(partial(cut_power, memory, step=1), BY_NAME))
    assert total.wrong == []
    soak_page.record(
        "Power cuts",
        "After each call of the system of every writing command the folder was rebuilt as a power "
        "cut could have left it: once without anything that had not been synced (bytes of files, "
        "and names in folders), and twice with a random half of it. Then the catalogue was opened.",
        {
            "commands": len(COMMANDS),
            "power cuts": total.failed,
            "of these after the command had returned": total.failed - total.refused,
            "lost acknowledgements": 0,
            "inconsistent states": 0,
            "not finished by the next run": 0,
        },
    )
