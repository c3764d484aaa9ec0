"""Suites that are run step by step, with a bug planted or without, until one finds something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import planted_run
import pytest
import test_model
from hypothesis.errors import HypothesisException
from model_catalogue import Pool, Reference
from model_commands import Command
from model_machine import Bench, How, Tally
from planted_bugs import CUTS, FAULTS, KILLS, LARGE, MODEL, Bug, planted
from test_faults import fail_calls
from test_kills_everywhere import kill_at_calls
from test_power_cuts import cut_power
from workshop import Workshop

from catalog.index import items


class Finding(NamedTuple):
    """What came of a suite: its steps, and what the last one found wrong, if anything."""

    steps: int
    words: str | None


class _Enough(BaseException):
    """The last step was taken; Hypothesis, and whoever catches errors, lets it pass."""


class _Wrong(BaseException):
    """A step has found something; likewise."""


class Watch:
    """Counts steps.

    Args:
        most: after how many to stop.
    """

    def __init__(self, most: int) -> None:
        self.steps = 0
        self._most = most

    def step(self) -> None:
        """Take a step, unless there were enough."""
        if self.is_over:
            raise _Enough
        self.steps += 1

    @property
    def is_over(self) -> bool:
        """Whether there were enough."""
        return self.steps >= self._most

    def finding(self, run: Callable[[], object]) -> Finding:
        """What comes of a suite that takes its steps here."""
        try:
            run()
        except _Enough:
            pass
        except _Wrong as error:
            return Finding(self.steps, str(error))
        except HypothesisException:  # of how the suite was run, not of what it found
            if not self.is_over:  # to stop in the middle is a way to run it that it does not know
                raise
        except Exception as error:  # noqa: BLE001  # as a test fails whatever is raised
            return Finding(self.steps, f"{type(error).__name__}: {error}")
        return Finding(self.steps, None)


# --- any history against a model -----------------------------------------------------------------


SEEDS = (None, 1, 2, 3)
"""Of the histories in which a bug is looked for: the very ones of the ordinary run, then others."""


class _Histories(test_model.Histories):
    """The machine of the model test, whose commands are the steps."""

    def __init__(self, watch: Watch, bench: Bench) -> None:
        self._watch = watch
        super().__init__(bench)

    def do(self, command: Command, how: How) -> None:
        """Run a command, and compare."""
        self._watch.step()
        super().do(command, how)

    def teardown(self) -> None:
        """Close the catalogues; what was found ends the run, instead of being shrunk."""
        found = sys.exc_info()[1]
        super().teardown()
        if isinstance(found, Exception) and not isinstance(found, HypothesisException):
            raise _Wrong(f"{type(found).__name__}: {found}") from found


class _Processes:
    """Processes in which a bug is planted for each call.

    Args:
        pool: of processes without threads.
        bug: its name, or None.
    """

    def __init__(self, pool: ProcessPoolExecutor, bug: str | None) -> None:
        self._pool, self._bug = pool, bug

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call in one of them."""
        return self._pool.submit(_with_bug, self._bug, call, *arguments)


def _with_bug(bug: str | None, call: Callable[..., Any], *arguments: Any) -> Any:
    with planted(bug):
        return call(*arguments)


def _run_model(
    pool: ProcessPoolExecutor, folder: Path, bug: str | None, most: int, *, large: bool
) -> Finding:
    """Histories like those of the ordinary run, until one finds it, or enough steps are taken."""
    watch = Watch(most)
    for name in ("pictures", "fresh"):
        (folder / name).mkdir(parents=True)
    processes: Any = _Processes(pool, bug)
    bench = Bench(Pool.drawn(folder / "pictures"), Reference(folder / "fresh"), processes, Tally())
    with pytest.MonkeyPatch.context() as patch, planted(bug):
        patch.setattr(test_model, "Histories", lambda bench: _Histories(watch, bench))
        if large:
            patch.setattr(items, "RENEW_ROWS", 0)
            patch.setattr(items, "RENEW_SHARE", 2.0)
        for first in SEEDS:
            found = watch.finding(lambda: test_model.endure(bench, 40, 40, first))  # noqa: B023
            if found.words is not None or watch.is_over:
                return found
    return found


# --- commands that are cut short -----------------------------------------------------------------


@contextmanager
def _watched(watch: Watch) -> Iterator[None]:
    """Let each look at a catalogue after a command was cut short be a step."""
    look = Workshop.complaints

    def complaints(self: Workshop, *arguments: Any) -> list[str]:
        watch.step()
        wrong = look(self, *arguments)
        if wrong:
            raise _Wrong(wrong[0])
        return wrong

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workshop, "complaints", complaints)
        yield


def _try_commands(
    suite: str, folder: Path, bug: str | None, commands: tuple[str, ...], most: int
) -> Finding:
    """Every trial of a suite, of one command after another; in a process without threads."""
    watch = Watch(most)

    def run() -> None:
        for command in commands:
            if suite == KILLS:
                kill_at_calls(folder, command, every=True)
            elif suite == FAULTS:
                fail_calls(folder, command, every=True)
            else:
                cut_power(folder, command, 1)

    with planted(bug), _watched(watch):
        return watch.finding(run)


# --- files of tests ------------------------------------------------------------------------------


def _run_file(file: str, folder: Path, bug: str | None, most: int) -> Finding:
    """The tests of a file, in a process of its own."""
    folder.mkdir()
    command = [sys.executable, planted_run.__file__, file, str(most)]
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "examples")}
    if bug is not None:
        environment[planted_run.BUG] = bug
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    try:
        return Finding(*json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError) as error:
        raise RuntimeError(f"{file} did not run: {done.stdout}{done.stderr}") from error


def search(
    pool: ProcessPoolExecutor, folder: Path, bug: Bug, *, most: int, sound: bool = False
) -> Finding:
    """Run the suite of a bug until it finds it, or has taken so many steps.

    Args:
        pool: of processes without threads.
        folder: to work in, that is not there yet.
        bug: what is to be found.
        most: how many steps to take.
        sound: take the steps without it.
    """
    name = None if sound else bug.name
    if bug.suite in {MODEL, LARGE}:
        return _run_model(pool, folder, name, most, large=bug.suite == LARGE)
    if bug.suite in {KILLS, FAULTS, CUTS}:
        return pool.submit(_try_commands, bug.suite, folder, name, bug.commands, most).result()
    return _run_file(bug.suite, folder, name, most)
