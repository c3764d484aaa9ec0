"""Commands of the model tests: each is run on a catalogue, and foretold from a model.

What is foretold is the answer (or the kind of error), and every state of the file on the way: a
command that is cut short must leave one of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

from model_catalogue import KEYS, NUMBERS, Pool, content_of
from model_state import Counts, Found, Head, Model, contents_of

from catalog import Added, Catalog, Entry
from catalog.descriptors import CatalogError, Conflict, NotFound, PictureError

NO_ITEM = 10**6


class Course:
    """The states that a command goes through.

    Attributes:
        states: each of them, from the one before on; every transaction leads to the next.
        pool: the pictures.
    """

    def __init__(self, model: Model, pool: Pool) -> None:
        self.states = [model]
        self.pool = pool

    @property
    def model(self) -> Model:
        """The state at this point."""
        return self.states[-1]

    def to(self, model: Model) -> None:
        """Go on to another state."""
        self.states.append(model)

    def stage(self, numbers: Sequence[int]) -> list[Found]:
        """Store the descriptors of pictures; those that are none are left out."""
        self.to(self.model.staged(contents_of(numbers)))
        places = ((content_of(number), self.pool.place(number)) for number in numbers)
        return [Found(content, (place,) if place else ()) for content, place in places if content]


class Command(Protocol):
    """Something that is done to a catalogue."""

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do, and less to refuse."""

    def foretell(self, course: Course) -> Any:
        """Go through the states that it leads to, and return its answer, or raise its error."""

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """Do it, and return what is to be foretold."""


@dataclass(frozen=True)
class Forecast:
    """What is foretold of a command: its answer or kind of error, and all states on the way."""

    answer: Any
    states: tuple[Model, ...]

    @classmethod
    def of(cls, command: Command, model: Model, pool: Pool) -> Forecast:
        """Foretell a command."""
        course = Course(model, pool)
        try:
            answer = command.foretell(course)
        except CatalogError as error:
            answer = type(error).__name__
        return cls(answer, tuple(course.states))


def attempt(command: Command, catalog: Catalog, pool: Pool) -> Any:
    """Run a command: its answer, or the name of its error."""
    try:
        return command.run(catalog, pool)
    except CatalogError as error:
        return type(error).__name__


def present(model: Model, numbers: Sequence[int]) -> tuple[int, ...]:
    """Numbers of items, in place of others; as they are where there are no items."""
    own = [number for number in NUMBERS if content_of(number) in model.classes]
    return tuple(own[number % len(own)] for number in numbers) if own else tuple(numbers)


def live(model: Model, label: str) -> str:
    """A class that there is, in place of a name that may have none."""
    own = model.labels
    return own[list(KEYS).index(label) % len(own)] if own else label


def ids(catalog: Catalog, numbers: Sequence[int]) -> list[int]:
    """Ids of the items of some pictures; an id that no item has for each that is none."""
    known = {item.content: item.id for item in catalog.items()}
    return [known.get(content_of(number) or "", NO_ITEM) for number in numbers]


def items(model: Model, numbers: Sequence[int]) -> list[str]:
    """The contents of some items, each once.

    Raises:
        NotFound: one is no item.
    """
    contents = list(dict.fromkeys(content_of(number) or "" for number in numbers))
    if not model.classes.keys() >= set(contents):
        raise NotFound("no such item")
    return contents


def counts_of(added: Added) -> Counts:
    """What a catalogue says of pictures that were added."""
    return Counts(
        added.label,
        added.created,
        added.added,
        added.known,
        added.moved,
        added.made_up,
        len(added.refused),
        added.emptied,
        added.event is not None,
    )


def _landed(
    model: Model,
    label: str,
    numbers: Sequence[int],
    found: Sequence[Found],
    *,
    move: bool,
    head: str | None = None,
    joined: bool = False,
) -> tuple[Model, Counts]:
    """Pictures go to a class; with the first that does the head is trained in another way."""
    refused = len(numbers) - len(found)
    made_up = model.wanting(label, (one.content for one in found))
    after, counts = model.landed(
        label, found, refused=refused, move=move, joined=joined, made_up=made_up
    )
    if head in {None, model.head.training} or not counts.added + counts.moved:
        return after, counts
    heads = (*model.heads, _trained(model, str(head)))
    switched = model.event(heads=heads, joined=joined)
    return switched.landed(label, found, refused=refused, move=move, joined=True, made_up=made_up)


def _trained(model: Model, head: str) -> Head:
    if head != "frozen":
        return Head(head)
    own = tuple(model.require(label) for label in model.labels)
    return Head(head, model.head.columns if model.head.training == "frozen" else own)


# --- pictures come -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Add:
    """Pictures are added to a class, or to a new one."""

    label: str
    numbers: tuple[int, ...]
    move: bool = False
    new: bool = False
    head: str | None = None

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        return replace(self, new=self.label not in model.labels)

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        (course.model.refuse_existing if self.new else course.model.require)(self.label)
        found = course.stage(self.numbers)
        head = self.head if self.new else None
        after, counts = _landed(
            course.model, self.label, self.numbers, found, move=self.move, head=head
        )
        course.to(after)
        return counts

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        pictures = pool.sources(self.numbers)
        if self.new:
            added = catalog.add_class(self.label, pictures, move=self.move, head=self.head)
        else:
            added = catalog.add(self.label, pictures, move=self.move)
        return counts_of(added)


@dataclass(frozen=True)
class Import:
    """Pictures of several classes are imported."""

    entries: tuple[tuple[str, int], ...]
    move: bool = False
    head: str | None = None

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        joined = False
        wanted = self._wanted()
        course.to(course.model.staged(contents_of(n for own in wanted.values() for n in own)))
        told = []
        for label, numbers in wanted.items():
            found = Course(course.model, course.pool).stage(numbers)
            after, counts = _landed(
                course.model,
                label,
                numbers,
                found,
                move=self.move,
                head=self.head,
                joined=joined,
            )
            course.to(after)
            joined = joined or counts.changed
            told.append(counts)
        return told

    def _wanted(self) -> dict[str, list[int]]:
        wanted: dict[str, list[int]] = {}
        spelt: dict[str, str] = {}
        for label, group in groupby(sorted(self.entries, key=lambda e: e[0]), lambda e: e[0]):
            own = wanted.setdefault(spelt.setdefault(KEYS[label], label), [])
            own += [number for _, number in group]
        return wanted

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        entries = [Entry(label, pool.source(number)) for label, number in self.entries]
        imported = catalog.import_(entries, move=self.move, head=self.head)
        assert not imported.refused_classes
        return [counts_of(added) for added in imported.classes]


@dataclass(frozen=True)
class Tell:
    """It is said what a picture shows."""

    number: int
    label: str
    note_only: bool = False

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        found = course.stage([self.number])
        if not found:
            raise PictureError("unsupported", "none")
        model = course.model
        model.require_stored([found[0].content])
        slot = model.find(self.label)
        new = slot is None or not model.members(slot)
        if self.note_only:
            course.to(model.event())
            return new, False
        made_up = model.wanting(self.label, (found[0].content,))
        after, counts = model.landed(self.label, found, note=True, made_up=made_up)
        if counts.refused:
            raise Conflict(self.label)
        course.to(after)
        return new, counts.added > 0

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        said = catalog.feedback(pool.source(self.number), self.label, note_only=self.note_only)
        assert (said.outcome == "confirmed") == (said.predicted == said.label)
        return said.outcome == "new class", said.added


@dataclass(frozen=True)
class Ask:
    """A picture is asked about, and kept if it is unknown; only the catalogue can say whether."""

    number: int

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it, where the picture is unknown."""
        content = content_of(self.number)
        if content is None:
            raise PictureError("unsupported", "none")
        course.stage([self.number])
        model = course.model
        fresh = () if content in model.classes else (content,)
        course.to(replace(model, kept=model.kept.union(fresh)))
        return "unknown"

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        verdict = catalog.predict(pool.source(self.number), keep_unknown=True).verdict
        return "unknown" if verdict == "unknown" else "known"


# --- items and classes go ------------------------------------------------------------------------


@dataclass(frozen=True)
class Remove:
    """Items are removed."""

    numbers: tuple[int, ...]

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        return replace(self, numbers=present(model, self.numbers))

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        contents = items(model, self.numbers)
        model.require_stored(contents)
        gone = {model.classes[content] for content in contents}
        left = {c: slot for c, slot in model.classes.items() if c not in contents}
        course.to(model.event(classes=left))
        return len(contents), course.model.emptied(gone)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.remove(ids(catalog, self.numbers))
        return done.items, done.classes


@dataclass(frozen=True)
class RemoveClass:
    """A class is removed."""

    label: str
    inexact: bool = False

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        return replace(self, label=live(model, self.label))

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        slot = model.require(self.label)
        members = frozenset(model.members(slot))
        left = {c: own for c, own in model.classes.items() if c not in members}
        dropped = model.dropped & members
        if dropped and not self.inexact:
            raise Conflict(self.label)
        after = model.event(classes=left, final=bool(dropped))
        if dropped:
            after = replace(
                after,
                dropped=model.dropped - dropped,
                bare=model.bare | dropped,
                gone=(*model.gone, dropped),
            )
        course.to(after)
        return len(members), (model.name(slot),)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.remove_class(self.label, inexact=self.inexact)
        return done.items, done.classes


@dataclass(frozen=True)
class Undo:
    """The last command is undone."""

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        course.to(course.model.undone())
        return 1

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        return len({event.command for event in catalog.undo()})


@dataclass(frozen=True)
class TrainHead:
    """The head is trained in another way."""

    head: str

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        head = _trained(model, self.head)
        course.to(model.event(heads=(*model.heads, head)))
        return self.head, len(head.columns)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.train_head(self.head)
        return done.training, done.columns
