"""Commands of upkeep in the model tests, as in :mod:`model_commands`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from model_catalogue import Pool, content_of
from model_commands import Command, Course, counts_of, ids, items, live, present
from model_state import Found, Head, Model

from catalog import Catalog
from catalog.descriptors import Conflict, InvalidInput, LabelConflict, NotFound


@dataclass(frozen=True)
class Move:
    """Items go to another class."""

    numbers: tuple[int, ...]
    label: str
    new: bool = False

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        numbers = present(model, self.numbers)
        return replace(self, numbers=numbers, new=self.label not in model.labels)

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        contents = items(model, self.numbers)
        (model.refuse_existing if self.new else model.require)(self.label)
        after, (created, moved) = model.taken(contents, self.label)
        gone = after.emptied(model.classes[c] for c in contents if after.classes != model.classes)
        course.to(after)
        known = len(contents) - moved
        return model.spelling(self.label), created, moved, known, gone, moved > 0

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.move(ids(catalog, self.numbers), self.label, new=self.new)
        event = done.event is not None
        return done.label, done.created, done.moved, done.known, done.emptied, event


@dataclass(frozen=True)
class MergeClasses:
    """Classes become one."""

    labels: tuple[str, ...]
    into: str

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        labels = tuple(live(model, label) for label in self.labels)
        return replace(self, labels=labels, into=live(model, self.into))

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        target = model.require(self.into)
        others = {model.require(label) for label in self.labels} - {target}
        if not others:
            raise InvalidInput("no other")
        if any(model.compacted(slot) for slot in others):
            raise Conflict("dropped")
        moving = [content for content, slot in model.classes.items() if slot in others]
        after, (_, moved) = model.taken(moving, self.into)
        course.to(after)
        return model.name(target), moved, after.emptied(others)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.merge_classes(self.labels, self.into)
        return done.label, done.moved, done.emptied


@dataclass(frozen=True)
class Rename:
    """A class gets another name."""

    label: str
    name: str

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        return replace(self, label=live(model, self.label))

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        slot, other = model.require(self.label), model.find(self.name)
        before = model.name(slot)
        if before == self.name:
            return before, self.name, False
        if other is not None and other != slot and model.members(other):
            raise LabelConflict(self.name)
        course.to(_renamed(model, slot, self.name, other))
        return before, self.name, True

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.rename_class(self.label, self.name)
        return done.before, done.label, done.event is not None


def _renamed(model: Model, slot: int, name: str, other: int | None) -> Model:
    names, back = model._spelt(slot, name)
    if other is not None and other != slot:  # a class that was removed loses its name
        back = (*back, (other, model.name(other)))
    return model.event(names=names, back=back)


# --- what goes for good ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Forget:
    """Items, pictures, classes or all that is staged are forgotten."""

    items: tuple[int, ...] = ()
    pictures: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    staged: bool = False

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        return replace(
            self,
            items=present(model, self.items),
            labels=tuple(live(model, label) for label in self.labels),
        )

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        named = [content_of(number) or "" for number in self.pictures]
        if not model.stored >= set(named):
            raise NotFound("no such picture")
        slots = list(dict.fromkeys(self._require(model, label) for label in self.labels))
        for slot in slots:
            named += model.members(slot)
            named += [c for c in self._staged(model) if model.last.get(c) == slot]
        named += self._staged(model) if self.staged else []
        if not (self.items or named or self.labels or self.staged):
            raise InvalidInput("nothing")
        for number in self.items:
            model.require_stored(items(model, [number]))
        contents = frozenset([*items(model, self.items), *named])
        model.require_stored(contents)
        if contents or slots:
            course.to(_forgotten(model, contents, slots))
        left = {model.classes[c] for c in contents if c in model.classes}.difference(slots)
        reset = _drops_heads(model, contents) and model.head.training == "frozen"
        gone = course.model.emptied(left)
        return len(contents), len(slots), gone, "exact" if reset else None

    def _staged(self, model: Model) -> list[str]:
        return [content for content in model.stored if content not in model.classes]

    def _require(self, model: Model, label: str) -> int:
        slot = model.require_known(label)
        if model.compacted(slot):
            raise Conflict(label)
        return slot

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.forget(
            ids(catalog, self.items),
            labels=self.labels,
            pictures=pool.sources(self.pictures),
            staged=self.staged,
        )
        return done.pictures, done.classes, done.emptied, done.head


def _drops_heads(model: Model, contents: frozenset[str]) -> bool:
    trained = any(head.training == "frozen" for head in model.heads)
    return trained and not model.touched.isdisjoint(contents)


def _forgotten(model: Model, contents: frozenset[str], slots: Sequence[int]) -> Model:
    heads = tuple(
        Head(head.training, tuple(c for c in head.columns if c not in slots))
        for head in model.heads
    )
    if _drops_heads(model, contents):
        heads = (Head("none"),) if model.head.training == "none" else ()
    after = model.event(
        classes={c: slot for c, slot in model.classes.items() if c not in contents},
        heads=heads,
        names=tuple(None if n + 1 in slots else name for n, name in enumerate(model.names)),
        final=True,
    )
    return replace(
        after,
        stored=model.stored - contents,
        kept=model.kept - contents,
        touched=model.touched - contents,
        bare=model.bare - contents,
        evidence=model.evidence - contents,
        last={c: slot for c, slot in model.last.items() if c not in contents},
    )


@dataclass(frozen=True)
class Compact:
    """Descriptors of classes are dropped."""

    labels: tuple[str, ...] | None

    def fitting(self, model: Model) -> Command:
        """A similar command that has more to do."""
        labels = tuple(live(model, label) for label in self.labels or ())
        return replace(self, labels=labels or self.labels)

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        model = course.model
        given = model.labels if self.labels is None else self.labels
        names = list(dict.fromkeys(map(model.spelling, given)))
        if self.labels == ():
            raise InvalidInput("none")
        slots = {model.require(name) for name in names}
        items = {c for c, slot in model.classes.items() if slot in slots} - model.dropped
        if items:
            # What older heads had for columns is deleted, too.
            heads = (*(Head(head.training) for head in model.heads[:-1]), *model.heads[-1:])
            after = model.event(heads=heads, final=True)
            course.to(
                replace(
                    after,
                    dropped=model.dropped | items,
                    evidence=model.evidence - items,
                )
            )
        return tuple(names), len(items), bool(items)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        done = catalog.compact(self.labels)
        return done.labels, done.items, done.event is not None


# --- whole catalogues ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Merge:
    """Another catalogue is taken over."""

    path: Path
    other: Model = field(repr=False)
    move: bool = False

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        other, joined = self.other, False
        told, refused = [], []
        for label in other.labels:
            slot = other.require(label)
            if other.compacted(slot):
                refused.append(label)
                continue
            found = [Found(c, tuple(sorted(other.places[c]))) for c in other.members(slot)]
            course.to(course.model.staged(one.content for one in found))
            after, counts = course.model.landed(
                label, found, move=self.move, joined=joined, made_up=other.evidence
            )
            course.to(after)
            joined = joined or counts.changed
            told.append(counts)
        course.to(course.model.staged(other.shown))
        kept = other.shown - course.model.classes.keys()
        course.to(replace(course.model, kept=course.model.kept | kept))
        return told, sorted(refused)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        merged = catalog.merge(self.path, move=self.move)
        return [counts_of(added) for added in merged.classes], sorted(merged.refused_classes)


@dataclass(frozen=True)
class Backup:
    """The catalogue is copied."""

    path: Path

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        return course.model.generation, len(course.model.classes)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        made = catalog.backup(self.path, replace=True)
        return made.generation, made.items


@dataclass(frozen=True)
class Restore:
    """The catalogue goes back to a copy; one of another catalogue is refused."""

    path: Path
    copy: Model = field(repr=False)
    own: bool = True

    def fitting(self, model: Model) -> Command:
        """As it is."""
        return self

    def foretell(self, course: Course) -> Any:
        """As the model has it."""
        if not self.own:
            raise Conflict("another catalogue")
        course.to(self.copy)
        return self.copy.generation, len(self.copy.classes)

    def run(self, catalog: Catalog, pool: Pool) -> Any:
        """On the catalogue."""
        made = Catalog.restore(self.path, catalog.path)
        return made.generation, made.items
