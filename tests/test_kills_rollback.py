"""A process killed while it rolls back what another was killed in, and so on, until one is not."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count, product
from pathlib import Path

import pytest
import soak_page
from forked import Tell, in_child, succeed
from interpose import KILLS, NOT_HERE, Call, Fault, failing
from shop_state import NAME, opened
from tally import Tally, together
from workshop import Workshop
from writing_commands import BY_NAME

pytest_plugins = ["trial_fixtures"]
pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))

SOME = ("add", "remove_class", "compact", "restore", "forget items", "merge")
"""Commands that are tried in every run of the tests."""

CHAIN = 6
"""How many processes at most are killed one after another."""


class Rollbacks:
    """Rollbacks of one command that was killed in the middle of a transaction.

    Args:
        folder: to work in, of this process alone.
        name: of the command.
        tally: of what comes of it.
    """

    def __init__(self, folder: Path, name: str, tally: Tally) -> None:
        self._workshop, self._command, self._tally = Workshop(folder), BY_NAME[name], tally
        self._outcomes = self._workshop.outcomes(self._command)
        self._left = folder / "left"
        self._told: Sequence[str] = ()

    def hot_calls(self) -> list[int]:
        """The calls of the command, from 1, after which a kill leaves a journal to roll back."""
        path = self._workshop.fresh(self._command)

        def work(tell: Tell) -> None:
            with failing(path.parent) as calls:
                with self._command.begin(path) as catalog:
                    self._command.act(catalog)
                calls.stop()
            tell(" ".join(map(str, _hot(calls.seen, path))))

        return [int(number) for number in succeed(work)[0].split()]

    def leave(self, nth: int) -> None:
        """Kill the command after a call, and keep what that leaves."""
        path = self._workshop.fresh(self._command)
        self._told, status = in_child(lambda tell: self._work(path, nth, tell))
        if status != signal.SIGKILL or not _journal(path).exists():
            self._tally.wrong.append(f"{self._command.name} leaves no journal after call {nth}")
        shutil.rmtree(self._left, ignore_errors=True)
        shutil.copytree(path.parent, self._left)
        self._tally.acknowledged += "done" in self._told

    def calls(self) -> int:
        """How many calls a rollback makes that nobody kills."""
        path = self._again()

        def work(tell: Tell) -> None:
            with failing(path.parent) as calls:
                _open(path)
            tell(str(len(calls.seen)))

        return int(succeed(work)[0])

    def chain(self, kills: Sequence[tuple[int, Fault]]) -> int:
        """Kill one process after another that opens the catalogue, until one is not killed.

        Args:
            kills: the call that each is killed at, and how.

        Returns:
            How many were killed.
        """
        path, wrong, killed = self._again(), [], 0
        for nth, fault in kills:
            lines, status = in_child(partial(_roll_back, path, nth, fault))
            wrong += lines
            if status != signal.SIGKILL:
                break
            killed += 1
        wrong += self._workshop.complaints(self._command, path, self._told, self._outcomes)
        what = ", ".join(f"{fault.value} call {nth}" for nth, fault in kills)
        self._tally.wrong += [f"{self._command.name}, rollback, {what}: {one}" for one in wrong]
        self._tally.struck += killed
        return killed

    def every(self) -> None:
        """Kill the rollback at each of its calls, in every way."""
        for fault in KILLS:
            for nth in count(1):
                if not self.chain([(nth, fault)]):
                    break

    def every_pair(self) -> None:
        """Kill the rollback after each of its calls, and the one after it after each of its."""
        calls = range(1, self.calls() + 1)
        for first, second in product(calls, calls):
            self.chain([(first, Fault.KILL_AFTER), (second, Fault.KILL_AFTER)])

    def some(self, rng: random.Random, times: int) -> None:
        """Kill rollbacks at calls at random, one after another."""
        calls = self.calls()
        for _ in range(times):
            self.chain([(rng.randint(1, calls), rng.choice(KILLS)) for _ in range(CHAIN)])

    def _work(self, path: Path, nth: int, tell: Tell) -> None:
        with failing(path.parent, nth, Fault.KILL_AFTER), self._command.begin(path) as catalog:
            self._command.act(catalog)
            tell("done")

    def _again(self) -> Path:
        """The path of the catalogue as the killed command has left it."""
        place = self._left.with_name("run")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._left, place)
        return place / NAME


def _hot(calls: Sequence[Call], path: Path) -> Iterator[int]:
    """The calls that change the file itself while its journal is there."""
    there = False
    for number, call in enumerate(calls, 1):
        if call.path == str(_journal(path)):
            there = call.name != "unlink"
        elif there and call.path == str(path):
            yield number


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _open(path: Path) -> None:
    """Open a catalogue and read from it, which rolls back what was cut short."""
    with opened(path) as catalog:
        catalog.labels()


def _roll_back(path: Path, nth: int, fault: Fault, _tell: Tell) -> None:
    with failing(path.parent, nth, fault):
        _open(path)


def kill_rollbacks(folder: Path, name: str, *, every: bool) -> Tally:
    """Kill rollbacks of one command: of one kill at random, or all of the first and the last."""
    tally, rng = Tally(), random.Random(name)
    rollbacks = Rollbacks(folder / f"{os.getpid()}", name, tally)
    hot = rollbacks.hot_calls()
    if not every:
        rollbacks.leave(rng.choice(hot))
        rollbacks.some(rng, 3)
        return tally
    for nth in sorted({*hot[:1], *hot[-1:]}):
        rollbacks.leave(nth)
        rollbacks.every()
        rollbacks.some(rng, 10)
    if hot:
        rollbacks.every_pair()
    return tally


def test_killed_rollbacks(pool: ProcessPoolExecutor, room: Path) -> None:
    """However often a rollback is killed, the next one brings back a whole state."""
    total = together(pool.map(partial(kill_rollbacks, room, every=False), SOME))
    assert total.wrong == []
    assert total.struck > 2 * len(SOME)
    assert total.acknowledged == 0


@pytest.mark.soak
def test_rollbacks_killed_at_every_call(pool: ProcessPoolExecutor, room: Path) -> None:
    """The same at every call of rollbacks of every command, and at every two of two rollbacks."""
    tallies = list(pool.map(partial(kill_rollbacks, room, every=True), BY_NAME))
    total = together(tallies)
    assert total.wrong == []
    assert total.struck > 2000
    soak_page.record(
        "Kills during rollbacks",
        "Every writing command that changes the file in place was killed after the first and after "
        "the last such change, which leaves a rollback journal. The process that opened the "
        "catalogue next, and so rolled back, was killed before, within and after each call with "
        "which it changed a file; the one after it at each of its calls again, and up to "
        f"{CHAIN} in turn at random ones. Then the command was run again.",
        {
            "commands that leave a journal": sum(bool(tally.struck) for tally in tallies),
            "rollbacks killed": total.struck,
            "inconsistent states": 0,
            "not finished by the next run": 0,
        },
    )
