"""Whichever call of the system fails: a command is done, or says it is not and loses nothing."""

from __future__ import annotations

import os
import random
import resource
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import soak_page
from forked import Tell, in_child
from interpose import FAULTS, NOT_HERE, Fault, failing
from shop_state import state_of
from tally import Tally, together
from workshop import Workshop
from writing_commands import BY_NAME, COMMANDS

from catalog.descriptors import CatalogError, InvalidInput
from catalog.store import failpoints

pytest_plugins = ["trial_fixtures"]
pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))


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
        tally.struck += bool(struck)
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
            self._run(path, tell)

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
                        calls.stop()
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
        self._run(path, tell)

    def _run(self, path: Path, tell: Tell) -> None:
        """Run the command, and tell of its answer."""
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
    "settling": "sync",
    "settled": "sync",
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


def test_calls_fail(pool: ProcessPoolExecutor, room: Path) -> None:
    """Some calls of every command fail in some way: it is done, or refused and done later."""
    total = together(pool.map(partial(fail_calls, room, every=False), BY_NAME))
    assert total.wrong == []
    assert total.struck > 2 * len(COMMANDS)
    assert total.refused > len(COMMANDS)


@pytest.mark.soak
def test_every_call_fails(pool: ProcessPoolExecutor, room: Path) -> None:
    """Every call of every command fails once in every way."""
    total = together(pool.map(partial(fail_calls, room, every=True), BY_NAME))
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
            "calls that failed": total.struck,
            "answered with a typed error": total.refused,
            "answered with anything else": 0,
            "inconsistent states": 0,
            "not finished by the next call": 0,
        },
    )


@pytest.mark.parametrize(
    "step", [41_000, pytest.param(1_024, marks=pytest.mark.soak)], ids=["some", "every"]
)
def test_files_cannot_grow(pool: ProcessPoolExecutor, room: Path, step: int) -> None:
    """Where the kernel cuts writes short, what does not fit is refused, and nothing is lost."""
    names = ("init", "add_class", "import", "compact", "backup")
    total = together(pool.map(partial(limit_sizes, room, step=step), names))
    assert total.wrong == []
    assert 0 < total.refused < len(names) * 700_000 // step


def test_named_places(pool: ProcessPoolExecutor, room: Path) -> None:
    """A command that is cut short at any named place leaves nothing half done."""
    assert PLACES.keys() == failpoints.NAMES.keys()
    total = together(pool.map(partial(cut_short, room), PLACES))
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
