"""What a folder or manifest says now, against what the catalogue has of it.

A file of the size and time that it had when it was read is the picture that it was, and is not read
again. What the catalogue was told by hand stays: a picture that was moved to another class, or
removed, stays so for as long as its source says of it what it said then.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

from catalog.descriptors import InvalidLabel
from catalog.manifest import Entry, Listing
from catalog.manifest.pictures import Refusal, place_of, status_of
from catalog.store import ItemId, Slot, Transaction, inventory, journal
from catalog.store.inventory import Place, Sighting
from catalog.store.names import Name
from catalog.text import natural, written


class Shown(NamedTuple):
    """A picture of the source, where it lies, and the class it is shown under."""

    entry: Entry
    name: Name
    place: Place

    @property
    def path(self) -> str:
        """Where it lies, as the catalogue words it."""
        return self.place.path


@dataclass(frozen=True, slots=True)
class Coming:
    """A picture that comes to a class.

    Attributes:
        place: where it lies.
        label: the class.
        before: the class that it was in; None where it was in none.
    """

    place: str
    label: str
    before: str | None


@dataclass(frozen=True, slots=True)
class ByHand:
    """A picture that the catalogue has otherwise than its source, since someone said so.

    Attributes:
        place: where it lies.
        said: the class that its source has it in.
        label: the class that it is in; None where it was removed.
    """

    place: str
    said: str
    label: str | None


@dataclass(frozen=True, slots=True)
class Gone:
    """An item that the source has no picture of any more.

    Attributes:
        item: its id.
        label: its class.
        places: where it was found, and is no more.
        replaced: whether another picture lies there now.
    """

    item: ItemId
    label: str
    places: tuple[str, ...]
    replaced: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue knows of the places of pictures, at one moment.

    Attributes:
        last: what was last found at each place.
        own: of each item what was last said of it and a place, if it is there, by place.
        labels: the slot of each item's class, as far as a place of it is known.
        names: of classes that have items, by slot.
        renamed: names of classes that are called otherwise by now, by key.
        live: keys of the classes that have items.
        of_source: events that were told by this source.
        removed: pictures that are in no class since they were gone from a source.
        unread: pictures that are in none since they could not be read for another embedder, which
            may have no descriptor of them.
        generation: of the catalogue at that moment.
        keys: of classes that a source said, as far as they were looked up.
    """

    last: dict[str, Sighting]
    own: dict[ItemId, dict[str, Sighting]]
    labels: dict[ItemId, Slot | None]
    names: dict[Slot, Name]
    renamed: dict[str, str]
    live: set[str]
    of_source: set[int]
    removed: set[ItemId]
    unread: set[ItemId]
    generation: int
    keys: dict[str, str] = field(default_factory=dict)

    def key_of(self, said: str | None) -> str | None:
        """The key of the class that a source said, as it is called by now; None if it did not."""
        if said is None:
            return None
        if said not in self.keys:
            try:
                self.keys[said] = self.called_now(Name.parse(said)).key
            except InvalidLabel:  # it is damaged
                self.keys[said] = ""
        return self.keys[said]

    def called_now(self, name: Name) -> Name:
        """What a class that was renamed, or merged into another, is called by now."""
        seen = set()
        while name.key not in self.live and name.key in self.renamed and name.key not in seen:
            seen.add(name.key)
            name = Name.parse(self.renamed[name.key])
        return name


def known(tx: Transaction, source: str) -> Known:
    """What the catalogue knows, with a view to a source."""
    last: dict[str, Sighting] = {}
    own: defaultdict[ItemId, dict[str, Sighting]] = defaultdict(dict)
    labels: dict[ItemId, Slot | None] = {}
    for one in inventory.sightings(tx):
        last[one.place.path] = one
        labels[one.item] = one.label
        if one.of_now and not one.gone:
            own[one.item][one.place.path] = one
    names = {row.slot: Name.parse(row.label) for row in inventory.label_counts(tx)}
    return Known(
        last,
        dict(own),
        labels,
        names,
        journal.new_names(tx),
        {name.key for name in names.values()},
        inventory.of_source(tx, source),
        inventory.taken_out_by(tx, "sync"),
        inventory.taken_out_by(tx, "switch-embedder"),
        journal.version(tx).generation,
    )


def shown(listing: Listing, names: Mapping[str, Name], facts: Known) -> list[Shown]:
    """The pictures of a listing, in the natural order of their classes.

    Args:
        listing: of the source.
        names: of the classes that can be made, by the label that entries have.
        facts: what is known.
    """
    stats: dict[str, tuple[int | None, int | None]] = {}
    found: list[Shown] = []
    now = {label: facts.called_now(name) for label, name in names.items()}
    for entry in listing.entries:
        if entry.label not in now:
            continue
        path = os.fspath(entry.picture.source)  # type: ignore[arg-type]
        if path not in stats:
            status = status_of(path)
            stats[path] = (status.st_size, status.st_mtime_ns) if status else (None, None)
        place = place_of(entry.picture) or written(path)
        found.append(Shown(entry, now[entry.label], Place(place, *stats[path])))
    order = {name.key: (natural(name.text), name.key) for name in now.values()}
    return sorted(found, key=lambda one: order[one.name.key])


def item_by_time(one: Shown, facts: Known) -> ItemId | None:
    """The item of a picture whose file has the size and time that it had when it was read."""
    last = facts.last.get(one.path)
    if last is None or last.gone or None in one.place or last.place != one.place:
        return None
    return None if last.item in facts.unread else last.item


Identity: TypeAlias = ItemId | bytes
"""What tells a picture from others: its item, or its content hash where it has none yet."""


@dataclass(slots=True)
class Comparison:
    """What is to be done for the catalogue to be as its source is.

    Attributes:
        coming: pictures that come to the class that the source has them in.
        noted: items of which it is not known yet that they lie where they do, or in which class the
            source has them.
        retimed: items of which all that is known, but the time and size that their files have.
        unchanged: how many pictures are as they were.
        changed: places where another picture lies than before.
        moved: places that items lie at now, which were known elsewhere.
        by_hand: pictures that are to stay as someone said.
        refused: pictures that cannot be as the source says.
        dropped: places that items are gone from, which lie elsewhere, too.
        gone: items that the source has no more.
        vacated: places of these at which nothing lies now.
        slots: of the classes that these, and those that are coming, are in, if any.
        names: of classes, by slot.
        generation: of the catalogue that was compared.
        of_source: how many items are known to be of the source.
    """

    coming: list[tuple[Identity, Shown]] = field(default_factory=list)
    noted: list[tuple[ItemId, Shown]] = field(default_factory=list)
    retimed: list[tuple[ItemId, Place]] = field(default_factory=list)
    unchanged: int = 0
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    by_hand: list[ByHand] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    dropped: list[tuple[ItemId, str]] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    vacated: defaultdict[ItemId, list[str]] = field(default_factory=lambda: defaultdict(list))
    of_source: int = 0
    slots: dict[Identity, Slot | None] = field(default_factory=dict)
    names: Mapping[Slot, Name] = field(default_factory=dict)
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or manifest as it was found.

    Attributes:
        pictures: which lie in it, and which they are, in the natural order of classes.
        folder: the path of itself, if it is one, with a slash behind it; None for a manifest.
        unsure: places of which it is not known what lies there: files that cannot be read.
        unread: folders of which it is not known, either, in the same way.
    """

    pictures: Sequence[tuple[Shown, Identity]]
    folder: str | None
    unsure: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()

    def has(self, sighting: Sighting, facts: Known) -> bool:
        """Whether a place that is known is one of this source."""
        if self.folder is None:
            return sighting.event in facts.of_source
        return sighting.place.path.startswith(self.folder)

    def leaves_open(self, place: str) -> bool:
        """Whether it is not known what lies at a place."""
        return place in self.unsure or place.startswith(self.unread)


def compare(facts: Known, source: Source, fixed: Iterable[ItemId]) -> Comparison:
    """What is to be done.

    Args:
        facts: what the catalogue knows.
        source: what there is.
        fixed: items that have to stay in their class.
    """
    comparing = _Comparing(facts, source, fixed)
    for one, which in source.pictures:
        comparing.judge(one, which)
    comparing.find_gone()
    return comparing.comparison


class _Comparing:
    """A comparison while it is made."""

    def __init__(self, facts: Known, source: Source, fixed: Iterable[ItemId]) -> None:
        self.comparison = Comparison(generation=facts.generation, names=facts.names)
        self._facts = facts
        self._source = source
        self._held: defaultdict[Identity, dict[str, Shown]] = defaultdict(dict)
        for one, which in source.pictures:
            self._held[which][one.path] = one
        self._chosen: dict[Identity, str] = {}  # the key of the class that each new one is to be in
        self._fixed = set(fixed)

    def judge(self, one: Shown, which: Identity) -> None:
        """Find out what is to become of a picture of the source."""
        found, facts = self.comparison, self._facts
        item = None if isinstance(which, bytes) else which
        slot = facts.labels.get(item) if item is not None else None
        present = facts.names.get(slot) if slot is not None else None
        last = facts.last.get(one.path)
        row = last if last is not None and last.item == which and not last.gone else None
        as_before, all_noted = self._says(one, row, item)
        is_there = present is not None and present.key == one.name.key
        by_hand = as_before and item not in facts.removed and item not in facts.unread
        if item is not None and (is_there or by_hand):
            if row is not None and as_before and facts.key_of(row.said) is not None:
                if not all_noted:
                    found.retimed.append((item, one.place))
            elif not (as_before and all_noted):
                found.noted.append((item, one))
            if row is None:
                found.moved.append(one.path)
            if not is_there:
                now = present.text if present is not None else None
                found.by_hand.append(ByHand(one.path, one.name.text, now))
            elif row is not None:
                found.unchanged += 1
        elif not self._bring(one, which, present):
            return
        if last is not None and row is None and not last.gone:
            found.changed.append(one.path)

    def _says(self, one: Shown, row: Sighting | None, item: ItemId | None) -> tuple[bool, bool]:
        """Whether the source has a picture in the class that it had it in, and if all is noted.

        Args:
            one: the picture, as the source shows it.
            row: what was last said of it where it lies, if anything was; else what was said of it
                elsewhere counts.
            item: that it is, if it is one.
        """
        facts = self._facts
        if row is None:
            own = facts.own.get(item, {}) if item is not None else {}
            # What was said of it where another picture was found since is out of date.
            there = [other for path, other in own.items() if facts.last[path].item == item]
            latest = max(own.values(), key=lambda other: other.event, default=None)
            counts = there or ([latest] if latest else [])
            return one.name.key in {facts.key_of(other.said) for other in counts}, False
        said = facts.key_of(row.said)
        return said in {None, one.name.key}, said is not None and row.place == one.place

    def _bring(self, one: Shown, which: Identity, present: Name | None) -> bool:
        """Let a picture come to its class, unless it has to stay in another one.

        Returns:
            Whether it may come.
        """
        found, others = self.comparison, self._held[which].values()
        chosen = present and present.key
        if not any(other.name.key == chosen for other in others):
            chosen = self._chosen.setdefault(which, one.name.key)
        if chosen != one.name.key:
            other = next(other for other in others if other.name.key == chosen)
            found.refused.append(_twice(one, other.name.text, other.path))
            return False
        if present is not None and (isinstance(which, bytes) or not self._may_move(which)):
            found.refused.append(_twice(one, present.text, None))
            return False
        found.coming.append((which, one))
        found.slots[which] = None if isinstance(which, bytes) else self._facts.labels.get(which)
        return True

    def _may_move(self, item: ItemId) -> bool:
        """Whether an item may go to another class since the source says so.

        One that was found elsewhere, too, may not: that it is in its class was said there.
        """
        own = self._facts.own.get(item, {})
        return (
            bool(own)
            and item not in self._fixed
            and all(
                path in self._held[item] or self._source.has(sighting, self._facts)
                for path, sighting in own.items()
                if self._facts.last[path].item == item
            )
        )

    def find_gone(self) -> None:
        """Find the items, and the places of items, that the source has no more."""
        facts, found = self._facts, self.comparison
        taken = {path for places in self._held.values() for path in places}
        for item, own in sorted(facts.own.items()):
            slot = facts.labels[item]
            of_source = {path for path, one in own.items() if self._source.has(one, facts)}
            if slot is None or not of_source:
                continue
            found.of_source += 1
            here = self._held.get(item, {})
            if of_source <= here.keys():
                continue
            left = {path for path in of_source if path in here or self._source.leaves_open(path)}
            lost = sorted(of_source - left)
            still = [path for path in lost if path not in taken and facts.last[path].item == item]
            elsewhere = [path for path in own if path not in of_source and path not in taken]
            if here or left or any(facts.last[path].item == item for path in elsewhere):
                found.dropped += [(item, path) for path in still]
            elif lost:
                name = facts.names[slot].text
                found.gone.append(Gone(item, name, tuple(lost), len(still) < len(lost)))
                found.vacated[item] += still
                found.slots[item] = slot


def _twice(one: Shown, label: str, other: str | None) -> Refusal:
    where = f", as {other}" if other else ""
    return Refusal(one.path, "conflict", f"the picture is in class {label!r} already{where}")


def below(folder: Path) -> str:
    """What the places of pictures that lie in a folder begin with."""
    return written(str(folder)).rstrip("/") + "/"
