"""Where commands are cut short: fresh catalogues, what may be found, and what should not be so."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import photos
from forked import Tell, in_child, succeed
from interpose import failing
from shop_state import COPY, EXPORT, NAME, State, difference, leftovers, made, opened, state_of
from writing_commands import TREE, Act, WritingCommand, ask

from catalog import Catalog
from catalog.learning.kinds import KINDS
from catalog.store import files
from catalog.store.files import cache_folder


class Outcomes(NamedTuple):
    """The states that may be found when a command was cut short, and the one after it."""

    states: frozenset[State]
    after: State


class Workshop:
    """A folder with the tree, and a template of each command's catalogue, made when asked for.

    What is asked of a catalogue is asked in a child, so that this process stays one that can be
    forked: it has searched nothing, and has no threads.

    Args:
        folder: to work in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "tree").exists():
            photos.draw_tree(folder / "tree", TREE, 2, first=60)
            # What is slow the first time is done here, and not in every child.
            with failing(folder), made(folder / NAME) as catalog:
                catalog.embedder.embed(photos.photo(0))
            state_of(folder / NAME)

    def fresh(self, command: WritingCommand, name: str = "run") -> Path:
        """The path of a catalogue as it is before a command, in a folder of its own."""
        template, place = self.folder / f"before {command.name}", self.folder / name
        if not template.exists():
            template.mkdir()
            succeed(lambda _: _prepare(command, template / NAME))
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(template, place)
        return place / NAME

    def outcomes(self, command: WritingCommand) -> Outcomes:
        """What may be found when a command was cut short."""
        found = {self.state(self.fresh(command))}
        for act in command.between:
            found.add(self._state_after(command, opened, act))
        after = self._state_after(command, command.begin, command.act)
        return Outcomes(frozenset({*found, after}), after)

    def calls(self, command: WritingCommand, *, reading: bool = False) -> list[str]:
        """The names of the calls of the system that a command makes, or also of those that read."""
        path = self.fresh(command)

        def work(tell: Tell) -> None:
            with failing(path.parent, reading=reading) as calls:
                _run(path, command.begin, command.act)
            tell(" ".join(call.name for call in calls.seen))

        return succeed(work)[0].split()

    def state(self, path: Path) -> State:
        """What a catalogue is like to another process."""
        (line,) = succeed(lambda tell: tell(state_of(path).to_json()))
        return State.from_json(line)

    def complaints(
        self, command: WritingCommand, path: Path, told: Sequence[str], outcomes: Outcomes
    ) -> list[str]:
        """What should not be so after a command was cut short, in words.

        The catalogue is opened anew, the command is run again if it has not happened, and what
        was left behind is swept.

        Args:
            command: that was run.
            path: of the catalogue.
            told: by the child that ran it: ``done`` once it had returned.
            outcomes: what may be found, and what is to be found in the end.
        """
        wrong = [line for line in told if line.startswith("raised ")]
        seen, status = in_child(lambda tell: _finish(command, path, outcomes.after, tell))
        states = [State.from_json(line) for line in seen if line.startswith("{")]
        wrong += [f"then {line}" for line in seen if not line.startswith("{")]
        if status or len(states) != 2:
            return [*wrong, f"looking at it ended with status {status}"]
        found, finished = states
        if "done" in told and found != outcomes.after:
            wrong.append(f"done, but not so: {difference(found, outcomes.after)}")
        elif found not in outcomes.states:
            wrong.append(f"half done: {difference(found, outcomes.after)}")
        if finished != outcomes.after:
            wrong.append(f"not finished later: {difference(finished, outcomes.after)}")
        return wrong

    def _state_after(
        self, command: WritingCommand, begin: Callable[[Path], Catalog], act: Act
    ) -> State:
        path = self.fresh(command)
        succeed(lambda _: _run(path, begin, act))
        return self.state(path)


def _prepare(command: WritingCommand, path: Path) -> None:
    with made(path) as catalog:
        command.prepare(catalog)
    if not command.exists:
        path.unlink()
        shutil.rmtree(cache_folder(path), ignore_errors=True)


def _run(path: Path, begin: Callable[[Path], Catalog], act: Act) -> None:
    with begin(path) as catalog:
        act(catalog)


def _finish(command: WritingCommand, path: Path, after: State, tell: Tell) -> None:
    """Tell of the state, finish the command, tell of the state, and then of what is left behind."""
    found = state_of(path)
    tell(found.to_json())
    long_ago = time.time() - 7200
    for name in leftovers(path):
        os.utime(path.parent / name, (long_ago, long_ago))
    for name in (NAME, COPY, EXPORT):
        with files.beside(path.with_name(name)):  # as the next command does that makes one
            pass
    if found != after:
        _run(path, command.begin, command.act)
    tell(state_of(path).to_json())
    if leftovers(path):
        for kind in KINDS:
            (cache_folder(path) / kind).unlink(missing_ok=True)
        _run(path, opened, _sweep)
    for name in leftovers(path):
        tell(f"{name} was left behind")


def _sweep(catalog: Catalog) -> None:
    """Let a transaction take over SQLite's journal, and have files written when it is closed."""
    catalog.add_class("swept", photos.shots(9, 2))
    ask(catalog)
