"""The machine of the model tests: runs a command, follows it in a model, and compares the two."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import model_commands as act
import numpy as np
import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from interpose import FAULTS, KILLS, Fault
from model_catalogue import (
    QUERIES,
    Answers,
    Pool,
    Reference,
    embedder,
    init_catalog,
    open_catalog,
    stored_rows,
)
from model_commands import Command, Forecast, attempt
from model_numpy import Formulas, Group
from model_state import Model
from model_trouble import Trouble, foreseen, run_in_trouble, run_to_death, seen

from catalog import Catalog

RHYTHM = 10
"""After how many steps everything is compared, and not labels and items alone."""


@dataclass
class Tally:
    """What was done.

    Attributes:
        commands: how often each was run.
        refused: how many were refused, as foretold.
        kills: how many were killed.
        struck: how many had a call that failed.
        compared: how often everything was compared.
        fresh: how often also with a catalogue made at once.
        scores: how many scores were compared with those of NumPy.
    """

    commands: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    kills: int = 0
    struck: int = 0
    compared: int = 0
    fresh: int = 0
    scores: int = 0


@dataclass(frozen=True)
class Bench:
    """What every history needs: pictures, answers to compare with, processes, and a tally."""

    pool: Pool
    reference: Reference
    processes: ProcessPoolExecutor
    tally: Tally


@dataclass
class Subject:
    """A catalogue, its model, and the objects that have it open.

    Attributes:
        path: of its file.
        model: what it holds.
        opened: two objects; the second is opened when it is needed.
        backups: what each of its backups holds.
        copies: plain copies of its file, and what they hold.
    """

    path: Path
    model: Model = field(default_factory=Model)
    opened: list[Catalog] = field(default_factory=list)
    backups: dict[Path, Model] = field(default_factory=dict)
    copies: list[tuple[bytes, Model]] = field(default_factory=list)

    def object(self, which: int) -> Catalog:
        """One of the objects that have the catalogue open."""
        while len(self.opened) <= which:
            self.opened.append(open_catalog(self.path))
        return self.opened[which]

    def close(self) -> None:
        """Close all of them."""
        for one in self.opened:
            one.close()
        self.opened.clear()


where = st.sampled_from(("a", "a", "a", "A", "A", "b"))
"""The first catalogue by its first or second object, or the second catalogue."""


@dataclass(frozen=True)
class How:
    """How a command is run.

    Attributes:
        on: on which catalogue, by which object.
        fitting: whether it is made to fit what the catalogue holds, and so less often refused.
        trouble: what befalls it.
    """

    on: str = "a"
    fitting: bool = False
    trouble: Trouble | None = None

    @classmethod
    def drawn(cls, on: str, fault: Fault | None, nth: int, *, fitting: bool) -> How:
        """One of the ways."""
        return cls(on, fitting, Trouble(fault, nth) if fault else None)


how = st.builds(
    How.drawn,
    where,
    st.sampled_from((None,) * 72 + KILLS + FAULTS),
    st.integers(1, 70),
    fitting=st.sampled_from((False, True, True, True)),
)


class Machine(RuleBasedStateMachine):
    """Two catalogues and their models.

    Args:
        bench: what it needs.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.folder = tempfile.TemporaryDirectory(dir=bench.pool.folder.parent)
        self.subjects = [Subject(Path(self.folder.name, f"{name}.catalog")) for name in "ab"]
        for subject in self.subjects:
            subject.opened.append(init_catalog(subject.path))
        self.steps = 0

    def teardown(self) -> None:
        """Close the catalogues, and leave no file behind."""
        for subject in self.subjects:
            subject.close()
        self.folder.cleanup()

    # --- commands --------------------------------------------------------------------------------

    def do(self, command: Command, how: How) -> None:
        """Run a command, and compare what came of it with what was foretold."""
        on, trouble = how.on, how.trouble
        subject = self.subjects[on == "b"]
        if how.fitting:
            command = command.fitting(subject.model)
        note(f"# {command}")
        forecast = Forecast.of(command, subject.model, self.bench.pool)
        self.bench.tally.commands[type(command).__name__] += 1
        self.bench.tally.refused += isinstance(forecast.answer, str)
        if trouble is None:
            answer = attempt(command, subject.object(on == "A"), self.bench.pool)
            self.settle(subject, command, forecast, answer)
        elif trouble.deadly:
            self.die(subject, command, forecast, trouble)
        else:
            self.suffer(subject, command, forecast, trouble, on)
        self.check(subject)

    def settle(self, subject: Subject, command: Command, forecast: Forecast, answer: Any) -> None:
        """The command was done in peace."""
        if isinstance(command, act.Ask) and answer == "known":
            return
        assert answer == forecast.answer, f"{answer} instead of {forecast.answer}"
        subject.model = forecast.states[-1]

    def die(self, subject: Subject, command: Command, forecast: Forecast, trouble: Trouble) -> None:
        """The command is killed in a process of its own."""
        processes, pool = self.bench.processes, self.bench.pool
        ending = run_to_death(processes, subject.path, command, pool, trouble)
        self.bench.tally.kills += ending.killed
        if ending.answer is None:
            self.follow(subject, forecast)
        elif not isinstance(command, act.Ask):
            said = f"{ending.answer} instead of {forecast.answer}"
            assert ending.answer == repr(forecast.answer), said
            subject.model = forecast.states[-1]
        elif ending.answer == repr("unknown"):
            subject.model = forecast.states[-1]

    def suffer(
        self,
        subject: Subject,
        command: Command,
        forecast: Forecast,
        trouble: Trouble,
        on: str,
    ) -> None:
        """A call of the command fails: it is done nevertheless, or refused."""
        catalog = subject.object(on == "A")
        answer, struck = run_in_trouble(command, catalog, self.bench.pool, trouble)
        self.bench.tally.struck += struck
        if struck and isinstance(answer, str):
            self.follow(subject, forecast)
        else:
            self.settle(subject, command, forecast, answer)

    def follow(self, subject: Subject, forecast: Forecast) -> None:
        """The model becomes what is found, which is one of the states on the way."""
        assert subject.object(0).labels() is not None  # which rolls back what was cut short
        found = seen(subject.path)
        states = [state for state in forecast.states if foreseen(state) == found]
        assert states, f"none of the states on the way: {found}"
        subject.model = states[-1]

    # --- comparisons -----------------------------------------------------------------------------

    def check(self, subject: Subject) -> None:
        """Labels and items are the model's, and so is all that can be read from the file."""
        self.steps += 1
        model = subject.model
        catalog = subject.object(self.steps % 2 and len(subject.opened) > 1)
        found = {item.content: (item.label, item.sources) for item in catalog.items()}
        expected = {
            content: (label, tuple(sorted(model.places[content])))
            for content, label in model.state.items()
        }
        same(found, expected)
        counts = Counter(model.state.values())
        names = [(name, counts[name]) for name in model.labels]
        found_names = [(row.label, row.items) for row in catalog.labels()]
        same(dict(enumerate(found_names)), dict(enumerate(names)))
        same(seen(subject.path), foreseen(model))
        if self.steps % RHYTHM == 0:
            self.compare(subject.object(0), model)

    def compare(self, catalog: Catalog, model: Model) -> None:
        """The catalogue is sound, and says what follows from what it holds."""
        self.bench.tally.compared += 1
        verification = catalog.verify()
        assert verification.problems == verification.derived == ()
        assert verification.items == len(model.classes)
        info = catalog.info()
        assert (info.generation, info.head) == (model.generation, model.head.training)
        assert (info.items, info.staged) == (
            len(model.classes),
            len(model.stored - model.classes.keys()),
        )
        assert [event.id for event in catalog.history()] == list(range(1, model.generation + 1))
        assert catalog.audit().kept == len(model.shown)
        self.compare_export(catalog, model)
        self.compare_with_numpy(catalog, model)
        if not model.gone:
            self.compare_with_fresh(catalog, model)

    def compare_export(self, catalog: Catalog, model: Model) -> None:
        """The label file names each class by its slot, and a slot that was given up stays free."""
        path = catalog.path.with_name("labels.json")
        assert catalog.export(path, replace=True).items == len(model.classes)
        named = {str(slot - 1): model.name(slot) for slot in model.classes.values()}
        same(json.loads(path.read_text())["labels"], named or {"0": "noise"})

    def compare_with_fresh(self, catalog: Catalog, model: Model) -> None:
        """A catalogue that never held anything else has learnt the same, and says the same."""
        expected = self.bench.reference.answers(model.state)
        self.bench.tally.fresh += 1
        if model.dropped:
            assert catalog.info().learning_state == expected.learning_state
        else:
            with_head = model.head.training == "exact"
            Answers.of(catalog).check(expected, with_head=with_head)

    def compare_with_numpy(self, catalog: Catalog, model: Model) -> None:
        """Scores are those that the formulas give."""
        if not model.classes:
            assert catalog.predict(QUERIES[0]).label is None
            assert catalog.nearest(QUERIES[0]) == []
            return
        formulas = _formulas(model)
        contents = {item.id: item.content for item in catalog.items()}
        for query in QUERIES:
            descriptor = embedder().embed(query)
            said = catalog.predict(query, 50)
            classes, near = formulas.classes(descriptor), formulas.neighbours(descriptor)
            self.scores({c.label: c.score for c in said.centroid}, classes)
            self.falling([c.score for c in said.centroid])
            best: dict[str, float] = {}
            for content, (score, _) in near.items():
                label = model.state[content]
                best[label] = max(score, best.get(label, -1))
            self.scores({c.label: c.score for c in said.neighbours}, best)
            found = catalog.nearest(query, 50)
            self.scores(
                {contents[n.item]: n.score for n in found}, {c: n[0] for c, n in near.items()}
            )
            self.scores(
                {contents[n.item]: n.class_score for n in found}, {c: n[1] for c, n in near.items()}
            )
            self.falling([n.score + n.class_score for n in found if n.score < 1 - 1e-5])
            # Twins of one class tie, whatever the last bits of their sums are.
            self.ties(dict.fromkeys((contents[n.item] for n in found), 0.0), model)

    def scores(self, said: dict[str, float], expected: dict[str, float]) -> None:
        """The same names have the same scores, to 1e-5."""
        self.bench.tally.scores += len(said)
        assert said.keys() == expected.keys()
        assert said == pytest.approx(expected, abs=1e-5, rel=0)

    def falling(self, scores: list[float]) -> None:
        """No score is higher than the one before, but for their rounding."""
        assert all(np.diff(scores) < 2e-6)

    def ties(self, found: Mapping[str, float], model: Model) -> None:
        """Items of one class and one descriptor come in the order of their hashes."""
        rows = stored_rows()
        groups: dict[tuple[str, bytes, float], list[str]] = {}
        for content, score in found.items():
            key = (model.state[content], rows[content].tobytes(), score)
            groups.setdefault(key, []).append(content)
        assert all(group == sorted(group) for group in groups.values())


def same(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Compare two dictionaries, and say in what they differ."""
    keys = [*expected, *(key for key in found if key not in expected)]
    odd = {
        key: (found.get(key), expected.get(key))
        for key in keys
        if found.get(key) != expected.get(key)
    }
    assert not odd, f"found, and expected: {odd}"


def _formulas(model: Model) -> Formulas:
    rows = stored_rows()
    members = {
        label: [c for c, own in model.state.items() if own == label] for label in model.labels
    }
    named = [Group(label, np.array([rows[c] for c in own])) for label, own in members.items()]
    gone = [Group(None, np.array([rows[c] for c in sorted(own)])) for own in model.gone]
    near = {c: (rows[c], label) for c, label in model.state.items() if c not in model.dropped}
    return Formulas([*named, *gone], near)
