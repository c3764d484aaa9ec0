"""Any commands in any order, whatever befalls them: a catalogue, plain dictionaries, and NumPy."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic

import model_commands as act
import model_upkeep as up
import pytest
import soak_page
from forked import forkers
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from interpose import NOT_HERE
from model_catalogue import LABELS, NUMBERS, VARIANTS, Pool, Reference
from model_commands import Command
from model_machine import Bench, How, Machine, Tally, how, where
from model_trouble import foreseen, seen

from catalog.index import items
from catalog.store.files import cache_folder

pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))

COPIES = 3

labels = st.sampled_from(2 * LABELS + VARIANTS)
numbers = st.sampled_from(NUMBERS)
some = st.lists(numbers, min_size=1, max_size=5).map(tuple)
some_items = st.lists(st.sampled_from(NUMBERS[1:]), min_size=1, max_size=3).map(tuple)
some_labels = st.lists(labels, min_size=1, max_size=2).map(tuple)
seldom = st.sampled_from((False, False, True))
heads = st.sampled_from(("exact", "frozen", "none"))
seldom_heads = st.sampled_from((None, None, None, None, "exact", "frozen", "none"))


class Histories(Machine):
    """Rules: any command on any catalogue, and what may happen to its files."""

    @rule(
        command=st.builds(act.Add, labels, some, st.booleans(), st.booleans(), seldom_heads),
        how=how,
    )
    def add(self, command: act.Add, how: How) -> None:
        """Pictures are added to a class that exists, or to one that does not."""
        self.do(command, how)

    @rule(
        command=st.builds(
            act.Import,
            st.lists(st.tuples(labels, numbers), max_size=8).map(tuple),
            st.booleans(),
            seldom_heads,
        ),
        how=how,
    )
    def import_(self, command: act.Import, how: How) -> None:
        """Pictures of several classes are imported."""
        self.do(command, how)

    @rule(
        command=st.builds(act.Tell, numbers, labels, seldom) | st.builds(act.Ask, numbers),
        how=how,
    )
    def tell_or_ask(self, command: Command, how: How) -> None:
        """It is said what a picture shows, or asked."""
        self.do(command, how)

    @rule(
        command=st.builds(act.Remove, some_items)
        | st.builds(act.RemoveClass, labels, st.booleans()),
        how=how,
    )
    def remove(self, command: Command, how: How) -> None:
        """Items or a class are removed."""
        self.do(command, how)

    @rule(
        command=st.builds(up.Move, some_items, labels, st.booleans())
        | st.builds(up.MergeClasses, some_labels, labels),
        how=how,
    )
    def move(self, command: Command, how: How) -> None:
        """Items go to another class."""
        self.do(command, how)

    @rule(
        command=st.builds(up.Rename, labels, labels) | st.builds(act.TrainHead, heads),
        how=how,
    )
    def rename_or_train(self, command: Command, how: How) -> None:
        """A class gets another name, or the head is trained."""
        self.do(command, how)

    @rule(
        command=st.builds(up.Forget, items=some_items)
        | st.builds(up.Forget, pictures=some_items)
        | st.builds(up.Forget, labels=some_labels)
        | st.builds(up.Forget, staged=st.booleans())
        | st.builds(up.Forget, some_items, some_items, some_labels, st.booleans()),
        how=how,
        wanted=seldom,
    )
    def forget(self, command: Command, how: How, *, wanted: bool) -> None:
        """Something is forgotten; not every time, so that there is a past to undo."""
        model = self.subjects[how.on == "b"].model
        # A name that no class has may be in a note of feedback, which the model does not follow.
        if wanted and all(model.find(label) is not None for label in command.labels):
            self.do(command, how)

    @rule(
        command=st.builds(up.Compact, st.one_of(some_labels, st.sampled_from([None, ()]))),
        how=how,
        wanted=seldom,
    )
    def compact(self, command: Command, how: How, *, wanted: bool) -> None:
        """Descriptors are dropped; not every time, since nothing comes back from that."""
        if wanted:
            self.do(command, how)

    @rule(times=st.sampled_from((1, 1, 1, 1, 2, 3, 30)), how=how)
    def undo(self, times: int, how: How) -> None:
        """The last commands are undone, as far as that goes."""
        subject = self.subjects[how.on == "b"]
        for _ in range(min(times, len(subject.model.past) + 1)):
            self.do(act.Undo(), how)

    @rule(how=how, move=st.booleans())
    def merge(self, how: How, *, move: bool) -> None:
        """The other catalogue is taken over."""
        other = self.subjects[how.on != "b"]
        self.do(up.Merge(other.path, other.model, move), how)

    # --- copies ----------------------------------------------------------------------------------

    @rule(number=st.integers(0, COPIES - 1), how=how)
    def backup(self, number: int, how: How) -> None:
        """The catalogue is copied; the copy is whole, whatever happens, or the one before."""
        subject = self.subjects[how.on == "b"]
        path = subject.path.with_name(f"{subject.path.stem}{number}.backup")
        before = subject.backups.get(path)
        self.do(up.Backup(path), how)
        if path.exists():
            found = seen(path)
            (subject.backups[path],) = [
                one for one in (subject.model, before) if one and foreseen(one) == found
            ][:1]
        else:
            assert before is None
            assert how.trouble is not None

    @precondition(lambda self: any(subject.backups for subject in self.subjects))
    @rule(data=st.data(), how=how)
    def restore(self, data: st.DataObject, how: How) -> None:
        """The catalogue goes back to a backup; that of another is refused."""
        found = [(path, s) for s in self.subjects for path in s.backups]
        path, source = data.draw(st.sampled_from(found))
        own = source is self.subjects[how.on == "b"]
        self.do(up.Restore(path, source.backups[path], own), how)

    @rule(on=where)
    def keep_a_copy(self, on: str) -> None:
        """The file alone is copied."""
        subject = self.subjects[on == "b"]
        subject.copies = [*subject.copies[-2:], (subject.path.read_bytes(), subject.model)]

    @precondition(lambda self: any(subject.copies for subject in self.subjects))
    @rule(data=st.data(), on=where)
    def put_a_copy_back(self, data: st.DataObject, on: str) -> None:
        """An older copy of the file is put back beside the cache folder of a later time."""
        subject = self.subjects[on == "b"]
        if subject.copies:
            content, model = data.draw(st.sampled_from(subject.copies))
            subject.close()
            subject.path.write_bytes(content)
            subject.model = model
            self.check(subject)

    # --- objects and caches ----------------------------------------------------------------------

    @rule(on=where)
    def reopen(self, on: str) -> None:
        """All objects are closed, and opened when they are needed."""
        self.subjects[on == "b"].close()

    @rule(on=where, closed=st.booleans())
    def lose_the_cache(self, on: str, *, closed: bool) -> None:
        """What is derived is deleted."""
        subject = self.subjects[on == "b"]
        if closed:
            subject.close()
        shutil.rmtree(cache_folder(subject.path), ignore_errors=True)

    @rule(on=where)
    def find_another_cache(self, on: str) -> None:
        """The cache folder of the other catalogue is found where this one's was."""
        subject, other = self.subjects[on == "b"], self.subjects[on != "b"]
        subject.close()
        other.close()
        shutil.rmtree(cache_folder(subject.path), ignore_errors=True)
        if cache_folder(other.path).exists():
            shutil.copytree(cache_folder(other.path), cache_folder(subject.path))
        self.check(subject)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A bench in memory, if there is such a place: every commit is synced."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder, forkers() as processes:
        for name in ("pictures", "fresh"):
            Path(folder, name).mkdir()
        pool = Pool.drawn(Path(folder, "pictures"))
        yield Bench(pool, Reference(Path(folder, "fresh")), processes, Tally())


def endure(bench: Bench, examples: int, steps: int, first: int | None = None) -> None:
    """Run histories, each of so many steps.

    Args:
        bench: what they need.
        examples: how many.
        steps: of each.
        first: the seed, for another run of the same; None for the same one always.
    """
    machine = partial(Histories, bench)
    run_state_machine_as_test(
        machine if first is None else seed(first)(machine),
        settings=settings(
            derandomize=first is None,
            database=None,
            max_examples=examples,
            phases=(Phase.generate, Phase.shrink),
            print_blob=True,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Item indexes as of small catalogues, or of large ones, whose epochs outlive many changes."""
    if request.param == "large":
        monkeypatch.setattr(items, "RENEW_ROWS", 0)
        monkeypatch.setattr(items, "RENEW_SHARE", 2.0)
    return str(request.param)


@pytest.mark.timeout(900)  # a failure takes its time to shrink
def test_any_history(bench: Bench, size: str) -> None:
    """Whatever is done to catalogues, and befalls them, they hold and say what the model does."""
    endure(bench, 20, 40)
    assert bench.tally.kills > 0
    assert bench.tally.struck > 0


@pytest.mark.soak
def test_a_hundred_thousand_commands(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long histories, another time others, hold and say no less what the model does."""
    bench = replace(bench, tally=Tally())
    began, start = monotonic(), secrets.randbits(32)
    for number in count():
        monkeypatch.setattr(items, "RENEW_ROWS", 10_000 if number % 2 else 0)
        monkeypatch.setattr(items, "RENEW_SHARE", 0.05 if number % 2 else 2.0)
        try:
            endure(bench, 25, 200, start + number)
        except BaseException as error:
            error.add_note(f"seed {start + number}, which `endure` takes, too")
            raise
        if bench.tally.commands.total() >= 100_000:
            break
    tally = bench.tally
    soak_page.record(
        "Any history against a model",
        "Any commands in any order on two catalogues, each open twice, with kills, failing calls "
        "of the system, lost and foreign caches, and older copies put back; after each command the "
        "file is compared with plain dictionaries, and after every tenth the answers with NumPy "
        "and with a catalogue made at once.",
        {
            "commands": tally.commands.total(),
            **{f"... {name}": times for name, times in sorted(tally.commands.items())},
            "refused, as foretold": tally.refused,
            "killed, and survived": tally.kills,
            "with a call that failed": tally.struck,
            "states compared in full": tally.compared,
            "... with a catalogue made at once": tally.fresh,
            "scores compared with NumPy": tally.scores,
            "disagreements": 0,
            "seconds": monotonic() - began,
        },
    )
