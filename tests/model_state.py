"""A catalogue as plain dictionaries: what each command makes of it, and what undo gives back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from model_catalogue import KEYS, content_of

from catalog.descriptors import Conflict, LabelConflict, NotFound


class Head(NamedTuple):
    """How the head is trained, and the slots that a stored one has columns for."""

    training: str
    columns: tuple[int, ...] = ()


@dataclass(frozen=True)
class Step:
    """What a command found: undoing it brings that back.

    Attributes:
        classes: the slot of each item.
        places: where each was found.
        heads: how the head was trained.
        evidence: the items that photos were made up of.
        names: slots and the names to give back to them, in that order.
    """

    classes: Mapping[str, int]
    places: Mapping[str, frozenset[str]]
    heads: tuple[Head, ...]
    evidence: frozenset[str]
    names: tuple[tuple[int, str], ...] = ()


class Counts(NamedTuple):
    """What is said of pictures that were added to a class."""

    label: str
    created: bool
    added: int
    known: int
    moved: int
    made_up: int
    refused: int
    emptied: tuple[str, ...]
    changed: bool


class Found(NamedTuple):
    """A picture whose descriptor is stored, and where it lies."""

    content: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """All that a catalogue file holds that can be seen in some way.

    Attributes:
        names: of the slots from 1 on; None where a slot has lost its name.
        classes: content -> slot, of each item.
        places: content -> where it was found, of each item.
        stored: contents that the file knows, items or not.
        kept: contents of photos that were kept; shown while they are in no class, and have a
            descriptor.
        heads: how the head is trained, the latest last; none for the default.
        evidence: contents of pictures that photos were made up of.
        touched: contents that were ever in a class.
        last: content -> the slot that it left last.
        dropped: contents of items whose descriptors were dropped.
        bare: contents in no class whose descriptors were dropped and not stored again.
        gone: what was dropped of each class that was removed inexactly.
        past: what each command found that was not undone; None where there is no way back.
        generation: how many events there were.
    """

    names: tuple[str | None, ...] = ()
    classes: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    heads: tuple[Head, ...] = ()
    evidence: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()
    last: Mapping[str, int] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()
    gone: tuple[frozenset[str], ...] = ()
    past: tuple[Step | None, ...] = ()
    generation: int = 0

    @property
    def state(self) -> dict[str, str]:
        """The name of each item's class, by content."""
        return {content: self.name(slot) for content, slot in self.classes.items()}

    @property
    def labels(self) -> list[str]:
        """The classes, in the order of their names."""
        return sorted(map(self.name, set(self.classes.values())), key=KEYS.__getitem__)

    @property
    def head(self) -> Head:
        """How the head is trained now."""
        return self.heads[-1] if self.heads else Head("exact")

    @property
    def shown(self) -> frozenset[str]:
        """The photos that were kept, are in no class, and have a descriptor."""
        return self.kept - self.classes.keys() - self.bare

    def name(self, slot: int) -> str:
        """The name of a class."""
        return self.names[slot - 1] or "?"

    def members(self, slot: int) -> list[str]:
        """The contents of a class."""
        return [content for content, own in self.classes.items() if own == slot]

    def find(self, name: str) -> int | None:
        """The slot of a name, give or take its spelling, whether it has items or not."""
        keys = [KEYS[own] if own is not None else None for own in self.names]
        return keys.index(KEYS[name]) + 1 if KEYS[name] in keys else None

    def require(self, name: str) -> int:
        """The slot of a class, however its name is spelt."""
        slot = self.find(name)
        if slot is None or not self.members(slot):
            raise NotFound(name)
        return slot

    def spelling(self, name: str) -> str:
        """How a class is spelt: as it is if it exists, else as it was given."""
        slot = self.find(name)
        return self.name(slot) if slot is not None and self.members(slot) else name

    def require_known(self, name: str) -> int:
        """The slot that has that name, with items or without."""
        slot = self.find(name)
        if slot is None:
            raise NotFound(name)
        return slot

    def refuse_existing(self, name: str) -> None:
        """Refuse the name of a class."""
        slot = self.find(name)
        if slot is not None and self.members(slot):
            raise LabelConflict(name)

    def require_stored(self, contents: Iterable[str]) -> None:
        """Refuse items whose descriptors were dropped."""
        if self.dropped.intersection(contents):
            raise Conflict("dropped")

    def compacted(self, slot: int) -> bool:
        """Whether descriptors of a class were dropped."""
        return not self.dropped.isdisjoint(self.members(slot))

    def emptied(self, slots: Iterable[int]) -> tuple[str, ...]:
        """Which of some classes have no items."""
        return tuple(sorted(self.name(slot) for slot in set(slots) if not self.members(slot)))

    def wanting(self, name: str, coming: Iterable[str]) -> frozenset[str]:
        """The picture of which photos are made up when some come to a class; none where not.

        It is one that is alone in the class then, as far as its own pictures and those go that are
        in no class. No two of these pictures look like photos of one occasion.
        """
        slot, coming = self.find(name), set(coming)
        there = {c for c in coming if c not in self.classes}
        there.update(self.members(slot) if slot else ())
        alone = len(there) == 1 and there == {min(coming, default=None)}
        return frozenset(there - self.evidence - self.dropped if alone else ())

    # --- changes ---------------------------------------------------------------------------------

    def staged(self, contents: Iterable[str]) -> Model:
        """Descriptors of pictures are stored."""
        some = frozenset(contents)
        return replace(self, stored=self.stored | some, bare=self.bare - some)

    def event(
        self,
        *,
        classes: Mapping[str, int] | None = None,
        places: Mapping[str, frozenset[str]] | None = None,
        heads: tuple[Head, ...] | None = None,
        evidence: frozenset[str] = frozenset(),
        names: tuple[str | None, ...] | None = None,
        back: tuple[tuple[int, str], ...] = (),
        joined: bool = False,
        final: bool = False,
    ) -> Model:
        """Something was done and written down.

        Args:
            classes: the slot of each item from now on.
            places: where they were found.
            heads: how the head is trained.
            evidence: pictures that photos were made up of.
            names: of all slots.
            back: slots and the names that undoing gives back to them.
            joined: it belongs to the command before.
            final: it cannot be undone, nor what was before.
        """
        classes = self.classes if classes is None else classes
        step = self.past[-1] if joined else None
        step = step or Step(self.classes, self.places, self.heads, self.evidence)
        step = replace(step, names=(*back, *step.names))
        changed = replace(
            self._moved(classes),
            places={c: own for c, own in (places or self.places).items() if c in classes},
            heads=self.heads if heads is None else heads,
            evidence=self.evidence | evidence,
            names=self.names if names is None else names,
            past=(*(self.past[:-1] if joined else self.past), step),
            generation=self.generation + 1,
        )
        return replace(changed, past=(None,)) if final else changed

    def undone(self) -> Model:
        """The last command is taken back."""
        if not self.past:
            raise NotFound("nothing to undo")
        step = self.past[-1]
        if step is None:
            raise Conflict("dropped for good")
        names = self.names
        for slot, name in step.names:
            names = given(names, slot, name)
        return replace(
            self._moved(step.classes),
            places=step.places,
            heads=step.heads,
            evidence=step.evidence,
            names=names,
            past=self.past[:-1],
            generation=self.generation + 1,
        )

    def landed(
        self,
        name: str,
        found: Sequence[Found],
        *,
        refused: int = 0,
        move: bool = False,
        joined: bool = False,
        note: bool = False,
        made_up: frozenset[str] = frozenset(),
    ) -> tuple[Model, Counts]:
        """Staged pictures become items of a class; as many others were refused before."""
        if found:
            name = self.spelling(name)
        slot = self.find(name) or len(self.names) + 1
        created, classes, places = not self.members(slot), dict(self.classes), dict(self.places)
        added = known = moved = 0
        left: set[int] = set()
        evidence: set[str] = set()
        for content, its_places in found:
            own = self.classes.get(content)
            if classes.get(content) == slot:
                known += 1
            elif own is None:
                added += 1
                places[content] = frozenset()
            elif content in self.dropped or not move:
                refused += 1
                continue
            else:
                moved += 1
                left.add(own)
            classes[content] = slot
            places[content] = places.get(content, frozenset()) | set(its_places)
            evidence |= {content} & made_up - self.evidence - self.dropped
        created = created and added + moved > 0
        counts = (created, added, known, moved, len(evidence), refused)
        written = found and (evidence or (classes, places) != (self.classes, self.places))
        if not written and not (note and not refused):
            return self, Counts(name, *counts, (), changed=False)
        names, back = self._spelt(slot, name)
        heads = self._widened(slot) if created else None
        after = self.event(
            classes=classes,
            places=places,
            heads=heads,
            evidence=frozenset(evidence),
            names=names,
            back=back,
            joined=joined,
        )
        return after, Counts(name, *counts, after.emptied(left), changed=True)

    def taken(self, contents: Sequence[str], name: str) -> tuple[Model, tuple[bool, int]]:
        """Items go to a class: the state after, and whether it is new, and how many went."""
        name = self.spelling(name)
        slot = self.find(name) or len(self.names) + 1
        coming = [content for content in contents if self.classes[content] != slot]
        self.require_stored(coming)
        if not coming:
            return self, (False, 0)
        created = not self.members(slot)
        names, back = self._spelt(slot, name)
        after = self.event(
            classes={**self.classes, **dict.fromkeys(coming, slot)},
            heads=self._widened(slot) if created else None,
            names=names,
            back=back,
        )
        return after, (created, len(coming))

    def _moved(self, classes: Mapping[str, int]) -> Model:
        """Items are of other classes, or of none."""
        before = self.classes
        changed = {c for c in {*before, *classes} if before.get(c) != classes.get(c)}
        left = {content: before[content] for content in changed - classes.keys()}
        return replace(
            self,
            classes=dict(classes),
            touched=self.touched | changed,
            last={**self.last, **left},
        )

    def _spelt(
        self, slot: int, name: str
    ) -> tuple[tuple[str | None, ...], tuple[tuple[int, str], ...]]:
        """Names with one of them spelt anew, and what undoing that gives back."""
        if slot > len(self.names):
            return (*self.names, name), ()
        if self.name(slot) == name:
            return self.names, ()
        return given(self.names, slot, name), ((slot, self.name(slot)),)

    def _widened(self, slot: int) -> tuple[Head, ...]:
        training, columns = self.head
        if training != "frozen":
            return self.heads
        return (*self.heads[:-1], Head(training, (*(c for c in columns if c != slot), slot)))


def given(names: Sequence[str | None], slot: int, name: str) -> tuple[str | None, ...]:
    """Names with one given to a slot; another slot that has it loses it."""
    key = KEYS[name]
    others = [None if own is not None and KEYS[own] == key else own for own in names]
    return (*others[: slot - 1], name, *others[slot:])


def contents_of(numbers: Iterable[int]) -> list[str]:
    """The contents of pictures of the pool, without what is none."""
    return [content for number in numbers if (content := content_of(number))]
