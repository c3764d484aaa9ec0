"""A command killed at any call of the system: what it acknowledged is there, nothing by half."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import photos
import pytest
import soak_page
from forked import Tell, in_child, succeed
from interpose import KILLS, NOT_HERE, Fault, failing
from shop_state import State, opened, state_of
from tally import Tally, together
from workshop import Workshop
from writing_commands import BY_NAME, COMMANDS

from catalog import Catalog
from catalog.descriptors import CatalogError

pytest_plugins = ["trial_fixtures"]
pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))

ONE_BY_ONE = BY_NAME["add"]
"""What a sequence of commands begins with: three classes."""


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
        tally.struck += killed
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


def test_kills_at_calls(pool: ProcessPoolExecutor, room: Path) -> None:
    """Every command is killed at some of its calls, and what it had acknowledged is there."""
    total = together(pool.map(partial(kill_at_calls, room, every=False), BY_NAME))
    assert total.wrong == []
    assert total.struck > 2 * len(COMMANDS)


@pytest.mark.soak
def test_kills_at_every_call(pool: ProcessPoolExecutor, room: Path) -> None:
    """Every command is killed before, within and after each of its calls."""
    total = together(pool.map(partial(kill_at_calls, room, every=True), BY_NAME))
    assert total.wrong == []
    assert total.struck > 5000
    soak_page.record(
        "Kills at every call",
        "Every writing command was killed before, within and after each call of the system with "
        "which it can change a file. The catalogue was opened by another process; then the "
        "command was run again.",
        {
            "commands": len(COMMANDS),
            "kills": total.struck,
            "of these after the command had returned": total.acknowledged,
            "lost acknowledgements": 0,
            "inconsistent states": 0,
            "not finished by the next run": 0,
        },
    )


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
        tally.struck += status == signal.SIGKILL
        tally.acknowledged += told.count("done") if status == signal.SIGKILL else 0
    return tally


def _calls(path: Path, seed: int, length: int) -> int:
    """How many calls a sequence makes."""

    def work(tell: Tell) -> None:
        with failing(path.parent) as calls:
            play(path, seed, length, lambda _: None)
        tell(f"{len(calls.seen)}")

    return int(succeed(work)[-1])


@pytest.mark.parametrize(
    ("sequences", "kills"), [(8, 5), pytest.param(120, 20, marks=pytest.mark.soak)]
)
def test_kills_in_sequences(
    pool: ProcessPoolExecutor, room: Path, sequences: int, kills: int
) -> None:
    """Of a sequence that was killed, what was acknowledged is there, and at most one step more."""
    total = together(pool.map(partial(kill_sequences, room, kills=kills), range(sequences)))
    assert total.wrong == []
    assert total.struck > 0.5 * sequences * kills
    assert total.acknowledged > total.struck
    if sequences > 100:
        soak_page.record(
            "Kills in sequences of commands",
            "Sequences of six commands chosen at random were killed at random calls. The state "
            "found then was compared with those on the way of the same sequence, undisturbed.",
            {
                "sequences": sequences,
                "kills": total.struck,
                "commands that were acknowledged before": total.acknowledged,
                "lost acknowledgements": 0,
                "inconsistent states": 0,
            },
        )
