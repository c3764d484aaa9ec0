"""Every command that writes, and what a catalogue may be like when one was cut short.

One entry a command: how its catalogue comes to be, what is called, and what may be found besides
the state before it and the state after it, where it takes several steps.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from interpose import failing
from numpy.typing import NDArray

from catalog import Catalog, files, read_manifest
from catalog.learnt_files import KINDS
from catalog.store import cache_folder

WIDTH = 16
NAME = "shop.catalog"
OTHERS = ("copy.catalog", "other.catalog", "part.catalog")
"""Catalogues beside it: a backup, one that is merged into it, and a part of that."""

EXPORT = "shop.json"
"""What a catalogue is exported to."""

TREE = ("ewer", "fork", "gong")
"""The classes of the tree that is imported; its folder lies beside that of the catalogue."""

Act: TypeAlias = Callable[[Catalog], object]


@dataclass(frozen=True, slots=True)
class State:
    """What must be whole in a catalogue.

    Attributes:
        items: content hash and label of each, by hash.
        labels: names of classes.
        kept: content hashes of kept photos.
        head: how it is trained, and a hash of its columns where it is stored.
        learning: the hash of what is learnt from.
        dropped: content hashes of items without a descriptor.
        events: kind of each, and whether it was undone, sorted.
        copy: the hash of what is learnt from the backup beside it, if there is one.
        exported: the hash of what was exported, if anything was.
        problems: what is wrong, in words, in the file or in what is derived from it.
    """

    items: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    head: tuple[str, str] = ("", "")
    learning: str = ""
    dropped: tuple[str, ...] = ()
    events: tuple[tuple[str, int], ...] = ()
    copy: str = ""
    exported: str = ""
    problems: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The state as a line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> State:
        """The state that a line tells of."""
        return cls(**{name: _tuples(value) for name, value in json.loads(line).items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


NOTHING = State()
"""The state of a catalogue that is not there."""


def _none(_catalog: Catalog) -> None:
    """Do nothing."""


def opened(path: Path) -> Catalog:
    """The catalogue, as another process would open it."""
    return Catalog.open(path, embedder=embedder())


def made(path: Path) -> Catalog:
    """A new catalogue."""
    return Catalog.init(path, embedder=embedder())


@lru_cache(maxsize=1)
def embedder() -> FakeEmbedder:
    """A small stand-in for the network."""
    return FakeEmbedder(WIDTH)


@dataclass(frozen=True, slots=True)
class WritingCommand:
    """A command that writes.

    Attributes:
        name: of the command, and of what is special about it.
        act: what is called; its return is what the user takes for done.
        prepare: makes of an empty catalogue the one that it is called on.
        between: what was done at states that may be found beside those before and after it.
        begin: opens the catalogue, or makes it; errors of its own are to be typed, too.
        exists: whether there is a catalogue before; otherwise what was prepared is deleted.
    """

    name: str
    act: Act
    prepare: Act = _none
    between: tuple[Act, ...] = ()
    begin: Callable[[Path], Catalog] = opened
    exists: bool = True


def filled(catalog: Catalog, *, classes: int = 3, head: str | None = None) -> None:
    """Make some classes of three photos each, and have everything learnt."""
    for thing, label in enumerate(("cup", "jug", "pan")[:classes]):
        catalog.add_class(label, photos.shots(thing, 3), head=head)
    catalog.predict(photos.photo(0, 30))


def _tree(catalog: Catalog) -> Path:
    return catalog.path.parent.parent / "tree"


def _import(catalog: Catalog, classes: int = len(TREE), **options: Any) -> None:
    entries = read_manifest(_tree(catalog)).entries
    catalog.import_([e for e in entries if e.label in TREE[:classes]], **options)


def _seen(thing: int, place: int) -> NDArray[np.uint8]:
    """Draw a thing at a place, so that photos of one thing are no near-duplicates."""
    own, around, noise = (
        np.random.default_rng(seed).integers(-reach, reach + 1, (6, 6, 3))
        for seed, reach in (((1, thing), 50), ((2, place), 55), ((3, thing, place), 8))
    )
    pixels: NDArray[np.uint8] = np.clip(128 + own + around + noise, 0, 255).astype(np.uint8)
    return pixels


def _sure(catalog: Catalog) -> None:
    for thing in range(5):
        catalog.add_class(f"thing {thing}", [_seen(thing, place) for place in range(5)])
    catalog.predict(_seen(0, 20))


def _unknown(catalog: Catalog) -> None:
    strange = [_seen(thing, thing) for thing in range(40, 44)]
    answered = catalog.predict_many(strange, keep_unknown=True)
    if not any(getattr(answer, "verdict", "") == "unknown" for answer in answered):
        raise AssertionError("none of the photos is unknown, so nothing is written")


def _frozen(catalog: Catalog) -> None:
    filled(catalog)
    catalog.train_head("frozen")


def _compacted(catalog: Catalog) -> None:
    filled(catalog)
    catalog.compact(["jug"])


def _ask(catalog: Catalog) -> None:
    catalog.predict(photos.photo(1, 30))
    catalog.nearest(photos.photo(1, 30), 3)


def _sweep(catalog: Catalog) -> None:
    """Let a transaction take over SQLite's journal, and have files written when it is closed."""
    catalog.add_class("swept", photos.shots(9, 2))
    _ask(catalog)


def _unsaved(catalog: Catalog) -> None:
    filled(catalog)
    shutil.rmtree(cache_folder(catalog.path))
    catalog._learning.forget()


def _staged(catalog: Catalog) -> None:
    filled(catalog)
    catalog.remove(_cup(catalog)[:2])


def _copy(catalog: Catalog) -> Path:
    return catalog.path.with_name(OTHERS[0])


def _backed_up(catalog: Catalog) -> None:
    filled(catalog)
    catalog.backup(_copy(catalog))
    catalog.add_class("tea", photos.shots(3, 3))


def _beside(catalog: Catalog, name: str) -> Path:
    return catalog.path.with_name(name)


def _exported(catalog: Catalog) -> None:
    filled(catalog)
    catalog.export(_beside(catalog, EXPORT))
    catalog.remove(_cup(catalog)[:1])


def _restored(path: Path) -> Catalog:
    Catalog.restore(path.with_name(OTHERS[0]), path)
    return opened(path)


def _beside_others(catalog: Catalog) -> None:
    filled(catalog, classes=1)
    for name, classes in ((OTHERS[1], ("tea", "urn")), (OTHERS[2], ("tea",))):
        with made(catalog.path.with_name(name)) as other:
            for thing, label in enumerate(classes, 3):
                other.add_class(label, photos.shots(thing, 3))


def _cup(catalog: Catalog) -> list[int]:
    return [item.id for item in catalog.items("cup")]


COMMANDS = (
    WritingCommand("init", _none, begin=made, exists=False),
    WritingCommand(
        "add_class", lambda c: c.add_class("tea", photos.shots(3, 3)), partial(filled, classes=2)
    ),
    WritingCommand(
        "add_class to a frozen head", lambda c: c.add_class("tea", photos.shots(3, 3)), _frozen
    ),
    WritingCommand(
        "add_class --head frozen",
        lambda c: c.add_class("tea", photos.shots(3, 3), head="frozen"),
        filled,
        between=(lambda c: c.train_head("frozen"),),
    ),
    WritingCommand("add", lambda c: c.add("cup", photos.shots(0, 2, first=5)), filled),
    WritingCommand(
        "add --move",
        lambda c: c.add("cup", [*photos.shots(1, 3), photos.photo(0, 7)], move=True),
        filled,
    ),
    WritingCommand(
        "import",
        _import,
        partial(filled, classes=1),
        between=(partial(_import, classes=1), partial(_import, classes=2)),
    ),
    WritingCommand("feedback", lambda c: c.feedback(photos.photo(0, 9), "cup"), filled),
    WritingCommand(
        "feedback of a new class", lambda c: c.feedback(photos.photo(4, 9), "urn"), filled
    ),
    WritingCommand(
        "feedback --note-only",
        lambda c: c.feedback(photos.photo(0, 9), "cup", note_only=True),
        filled,
    ),
    WritingCommand("predict --keep-unknown", _unknown, _sure),
    WritingCommand("train_head frozen", lambda c: c.train_head("frozen"), filled),
    WritingCommand("train_head exact", lambda c: c.train_head("exact"), _frozen),
    WritingCommand("remove", lambda c: c.remove(_cup(c)[:2]), filled),
    WritingCommand("remove_class", lambda c: c.remove_class("jug"), filled),
    WritingCommand(
        "remove_class --inexact", lambda c: c.remove_class("jug", inexact=True), _compacted
    ),
    WritingCommand("compact", lambda c: c.compact(["jug", "pan"]), filled),
    WritingCommand("undo", lambda c: c.undo(), filled),
    WritingCommand("close", _ask, _unsaved),
    WritingCommand("rename_class", lambda c: c.rename_class("jug", "pitcher"), filled),
    WritingCommand("merge_classes", lambda c: c.merge_classes(["jug"], "cup"), filled),
    WritingCommand("move", lambda c: c.move(_cup(c)[:2], "jug"), filled),
    WritingCommand("move --new", lambda c: c.move(_cup(c)[:2], "bowl", new=True), filled),
    WritingCommand("forget items", lambda c: c.forget(_cup(c)[:2]), filled),
    WritingCommand("forget a class", lambda c: c.forget(labels=["jug"]), _frozen),
    WritingCommand("forget --staged", lambda c: c.forget(staged=True), _staged),
    WritingCommand("backup", lambda c: c.backup(_copy(c)), filled),
    WritingCommand("backup --replace", lambda c: c.backup(_copy(c), replace=True), _backed_up),
    WritingCommand("restore", _none, _backed_up, begin=_restored),
    WritingCommand("restore what is gone", _none, _backed_up, begin=_restored, exists=False),
    WritingCommand(
        "merge",
        lambda c: c.merge(c.path.with_name(OTHERS[1])),
        _beside_others,
        between=(lambda c: c.merge(c.path.with_name(OTHERS[2])),),
    ),
    WritingCommand("export", lambda c: c.export(_beside(c, EXPORT)), filled),
    WritingCommand(
        "export --replace", lambda c: c.export(_beside(c, EXPORT), replace=True), _exported
    ),
)
"""Each command that writes; another one is one more entry."""

BY_NAME = {command.name: command for command in COMMANDS}


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
            # What takes time once takes it here, and not in every child.
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
        """The names of the calls of the system that a command makes, those that read or not."""
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
            wrong.append(f"done, but not so: {_difference(found, outcomes.after)}")
        elif found not in outcomes.states:
            wrong.append(f"half done: {_difference(found, outcomes.after)}")
        if finished != outcomes.after:
            wrong.append(f"not finished later: {_difference(finished, outcomes.after)}")
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


def state_of(path: Path) -> State:
    """What a catalogue is like when it is opened anew; :data:`NOTHING` if it is not there."""
    if not path.exists():
        return NOTHING
    copy = path.with_name(OTHERS[0])
    other = state_of(copy) if path.name == NAME else NOTHING
    with opened(path) as catalog:
        verified, info = catalog.verify(), catalog.info()
        rows = catalog._store._connection.execute
        columns = rows(
            "SELECT label, weights, bias FROM head_column WHERE head = (SELECT max(id) FROM head)"
        )
        return State(
            tuple(sorted((item.content, item.label) for item in catalog.items())),
            tuple(row.label for row in catalog.labels()),
            _contents(rows, "kept"),
            (info.head, hashlib.sha256(repr(sorted(columns)).encode()).hexdigest()),
            info.learning_state,
            _contents(rows, "compacted_item"),
            tuple(rows("SELECT kind, undone_by IS NOT NULL FROM event ORDER BY 1, 2")),
            other.learning,
            _hash(path.with_name(EXPORT)),
            (*verified.problems, *verified.derived, *other.problems),
        )


def _finish(command: WritingCommand, path: Path, after: State, tell: Tell) -> None:
    """Tell of the state, finish the command, tell of the state, and then of what is left behind."""
    found = state_of(path)
    tell(found.to_json())
    long_ago = time.time() - 7200
    for name in leftovers(path):
        os.utime(path.parent / name, (long_ago, long_ago))
    for name in (NAME, OTHERS[0], EXPORT):
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


def _difference(one: State, other: State) -> str:
    """The parts in which two states differ."""
    parts = [name for name, value in asdict(one).items() if value != asdict(other)[name]]
    return ", ".join([*parts, *map(str, one.problems)])


def _contents(rows: Callable[[str], Any], table: str) -> tuple[str, ...]:
    """The content hashes of the items in a table."""
    question = f"SELECT hex(content) FROM {table} JOIN item ON item.id = {table}.item ORDER BY 1"
    return tuple(content for (content,) in rows(question))


def _hash(path: Path) -> str:
    """The SHA-256 of a file; an empty text if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def leftovers(path: Path) -> set[str]:
    """Files in the folder of a catalogue that are none, nor of what belongs into a cache folder."""
    catalogues = [path.with_name(name) for name in (NAME, *OTHERS)]
    caches = [cache_folder(one) / name for one in catalogues for name in (*KINDS, "writer.json")]
    found = {one for one in path.parent.rglob("*") if one.is_file()}
    own = {*catalogues, *caches, path.with_name(EXPORT)}
    return {str(one.relative_to(path.parent)) for one in found - own}


# --- children ------------------------------------------------------------------------------------

Tell: TypeAlias = Callable[[str], object]
"""Hands a line to the parent; once it returns, no kill takes the line back."""

SECONDS = 60
"""How long a child may take."""


def in_child(work: Callable[[Tell], object]) -> tuple[list[str], int]:
    """Do something in a fork of this process: the lines that it told, and its wait status.

    An exception is a line, too: ``raised`` and what.
    """
    if threads := [
        one for one in Path("/proc/self/task").iterdir() if one.name != str(os.getpid())
    ]:
        raise RuntimeError(f"a process with {len(threads) + 1} threads is not to be forked")
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        signal.alarm(SECONDS)
        _work(work, lambda line: os.write(sender, f"{' '.join(line.split())}\n".encode()))
    os.close(sender)
    with open(receiver, encoding="utf-8") as lines:  # noqa: PTH123
        told = lines.read().splitlines()
    return told, os.waitpid(child, 0)[1]


def _work(work: Callable[[Tell], object], tell: Tell) -> NoReturn:
    """Work, and end the process, whatever is raised."""
    try:
        work(tell)
    finally:
        if error := sys.exc_info()[1]:
            place = traceback.extract_tb(error.__traceback__)[-1]
            tell(f"raised {type(error).__name__}: {error} ({place.name}:{place.lineno})")
        os._exit(0)


def succeed(work: Callable[[Tell], object]) -> list[str]:
    """Do something in a child that is to succeed: the lines that it told.

    Raises:
        RuntimeError: it did not.
    """
    told, status = in_child(work)
    if status or any(line.startswith("raised ") for line in told):
        raise RuntimeError(f"a child ended with status {status}: {told}")
    return told


def memory_folder() -> TemporaryDirectory[str]:
    """A folder in memory, where there is one, since every commit syncs."""
    memory = Path("/dev/shm")
    return TemporaryDirectory(dir=memory if memory.is_dir() else None)


ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The environment of a process that is to have no threads."""


@contextmanager
def forkers() -> Iterator[ProcessPoolExecutor]:
    """Processes that have no threads, so that they can be forked; this one may have some."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ALONE.items():
            patch.setenv(name, value)
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            yield pool
