"""The power is cut after any call of the system: what was acknowledged is there."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soak_page
from forked import Tell, succeed
from interpose import NOT_HERE, failing
from tally import Tally, together
from workshop import Workshop
from writing_commands import BY_NAME, COMMANDS

pytest_plugins = ["trial_fixtures"]
pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))


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
        tally.struck += 1
        tally.acknowledged += bool(told)
    return tally


def test_power_cuts(pool: ProcessPoolExecutor, room: Path) -> None:
    """What was acknowledged is there although all is lost that was not synced, or half of it."""
    total = together(pool.map(partial(cut_power, room, step=89), BY_NAME))
    assert total.wrong == []
    assert total.struck > 4 * len(COMMANDS)


@pytest.mark.soak
def test_power_cuts_at_every_call(pool: ProcessPoolExecutor, room: Path) -> None:
    """The same after each call of every command."""
    total = together(pool.map(partial(cut_power, room, step=1), BY_NAME))
    assert total.wrong == []
    soak_page.record(
        "Power cuts",
        "After each call of the system of every writing command the folder was rebuilt as a power "
        "cut could have left it: once without anything that had not been synced (bytes of files, "
        "and names in folders), and twice with a random half of it. Then the catalogue was opened.",
        {
            "commands": len(COMMANDS),
            "power cuts": total.struck,
            "of these after the command had returned": total.acknowledged,
            "lost acknowledgements": 0,
            "inconsistent states": 0,
            "not finished by the next run": 0,
        },
    )
