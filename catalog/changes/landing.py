"""Staged pictures become items of a class, in one short transaction a class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.changes.command import Command
from catalog.changes.staging import Staged
from catalog.descriptors import Advice, Conflict
from catalog.manifest import BadRow, PassedOver
from catalog.manifest.pictures import Refusal
from catalog.store import ItemId, Slot, Transaction, inventory, made_up, occasions
from catalog.store.classes import Label, alike, emptied, open_label
from catalog.store.compaction import is_compacted
from catalog.store.descriptors import StoredDescriptors
from catalog.store.failpoints import reach
from catalog.store.inventory import Place
from catalog.store.journal import Change
from catalog.store.names import Name
from catalog.store.occasions import Occasion


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding pictures to one class.

    Attributes:
        label: the class, spelt as the catalogue has it.
        created: whether the class is new.
        added: how many pictures became items.
        known: how many were items of this class already.
        moved: how many were items of another class, and are of this one now.
        made_up: of how many of them photos were made up, as evidence of how sure answers are.
        refused: the pictures that were not taken, with reasons.
        emptied: classes that have no items left, since all of theirs moved.
        replaced: items that were found where pictures now lie that were added: they keep what was
            learnt of them, and have that place no more.
        alike: other classes whose names look like this one's, where the class is new: they may be
            meant as one.
        event: the journal's entry, None if nothing changed.
    """

    label: str
    created: bool = False
    added: int = 0
    known: int = 0
    moved: int = 0
    made_up: int = 0
    refused: tuple[Refusal, ...] = ()
    emptied: tuple[str, ...] = ()
    replaced: tuple[int, ...] = ()
    alike: tuple[str, ...] = ()
    event: int | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import.

    Attributes:
        classes: each class that something was done for, in natural order.
        refused_classes: classes that could not be made, with the reason.
        respelt: names as they were given, of pictures that went to a class of another spelling.
        passed_over: what was not taken for a picture of a class, by kind.
        unread: folders that could not be read.
        bad_rows: rows of a manifest that could not be used.
    """

    classes: tuple[Added, ...] = ()
    refused_classes: Mapping[str, str] = field(default_factory=dict)
    respelt: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[PassedOver, ...] = ()
    unread: tuple[Path, ...] = ()
    bad_rows: tuple[BadRow, ...] = ()

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """Every picture that was not taken."""
        return tuple(refusal for added in self.classes for refusal in added.refused)

    @property
    def failures(self) -> tuple[Refusal, ...]:
        """All that could not be taken."""
        return failures(self.refused, self.refused_classes, self.unread, self.bad_rows)


def failures(
    refused: Iterable[Refusal],
    classes: Mapping[str, str],
    unread: Iterable[Path],
    bad_rows: Iterable[BadRow],
) -> tuple[Refusal, ...]:
    """All that could not be taken: pictures, classes, what could not be read, and rows."""
    return (
        *refused,
        *(Refusal(f"class {label!r}", "class", why) for label, why in classes.items()),
        *(Refusal(str(path), "unreadable", "it cannot be read") for path in unread),
        *(Refusal(row.place, "row", row.detail) for row in bad_rows),
    )


class _Sorted(NamedTuple):
    """What is to become of staged pictures.

    Attributes:
        changes: of items.
        places: where items were found, as far as that is new.
        occasions: what is known of when they were taken, likewise.
        made_up: content hashes with the descriptors of photos made up of them by the fingerprint of
            their embedder, likewise.
        known: how many pictures are items of the class already.
        refused: the pictures that are not to be taken, with reasons.
    """

    changes: list[Change]
    places: list[tuple[ItemId, Place]]
    occasions: list[tuple[ItemId, Occasion]]
    made_up: list[tuple[bytes, Mapping[str, NDArray[np.int16]]]]
    known: int
    refused: tuple[Refusal, ...]

    @property
    def is_something(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.changes or self.places or self.occasions or self.made_up)


def land(
    command: Command,
    name: Name,
    outcomes: Sequence[Staged | Refusal],
    *,
    check: Callable[[Transaction, Name], object] | None = None,
    move: bool = False,
    kind: str = "add",
    note: Mapping[str, Any] | None = None,
    before: Mapping[bytes, Slot | None] | None = None,
    source: str | None = None,
) -> Added:
    """Make staged pictures items of a class.

    Args:
        command: that this is part of.
        name: of the class, in any spelling; it is made if need be.
        outcomes: of the pictures, as :meth:`Staging.stage` yields them.
        check: what must hold of the class, and raises if not: :func:`classes.require_label` or
            :func:`classes.refuse_existing`.
        move: take pictures away from other classes, instead of refusing them.
        kind: of the event.
        note: JSON values that the event says beside what was added.
        before: the slots of the classes that pictures were in, by content hash, when it was settled
            what is to become of them: those that are in another one by now are refused.
        source: the folder or manifest that says so, which may say another class one day.

    Returns:
        What came of it. A class of which every picture was refused is not made.

    Raises:
        NotFound, LabelConflict: as ``check`` does.
    """
    refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Refusal))
    staged = [outcome for outcome in outcomes if isinstance(outcome, Staged)]
    if not staged:
        return Added(name.text, refused=refused)
    gone: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    replaced: tuple[ItemId, ...] = ()
    event = None
    command.prepare()
    with command.store.writing() as tx:
        if check is not None:
            check(tx, name)
        label = open_label(tx, name)
        said, name = name.text if source else None, label.spelling(name)
        bounds = command.bounds()
        found = _sort_out(
            tx, bounds[0].stored, label, staged, before, move=move, merging=kind == "merge"
        )
        refused += found.refused
        left = [change.before for change in found.changes if change.before is not None]
        added, moved = len(found.changes) - len(left), len(left)
        if found.is_something or (note and not refused):
            replaced = tuple(sorted(_owners(tx, found.places)))
            detail = {"added": added, "moved": moved, **(note or {})}
            if source:
                detail["from"] = source
            event = command.record(tx, kind, label, found.changes, detail, name=name)
            inventory.note_sources(tx, found.places, event, said)
            occasions.note(tx, found.occasions, event)
            for content, photos in found.made_up:
                for bound in bounds:
                    if bound.fingerprint in photos:
                        rows = photos[bound.fingerprint]
                        made_up.keep(tx, bound.stored, content, rows, event)
            gone = emptied(tx, set(left))
            looks = () if label.items else alike(tx, name)
        else:
            tx.rollback()  # so that no empty class is left behind
        reach("landing")
    reach("landed")
    return Added(
        name.text,
        created=bool(found.changes) and not label.items,
        added=added,
        known=found.known,
        moved=moved,
        made_up=len(found.made_up),
        refused=refused,
        emptied=gone,
        replaced=replaced,
        alike=looks,
        event=event,
    )


def _sort_out(
    tx: Transaction,
    stored: StoredDescriptors,
    label: Label,
    staged: Sequence[Staged],
    before: Mapping[bytes, Slot | None] | None,
    *,
    move: bool,
    merging: bool,
) -> _Sorted:
    """What is to become of staged pictures, each of which may be there several times."""
    changes: dict[ItemId, Change] = {}
    places: dict[tuple[ItemId, str], Place] = {}
    said: dict[ItemId, Occasion] = {}
    photos: dict[bytes, Mapping[str, NDArray[np.int16]]] = {}
    already = 0
    refused: list[Refusal] = []
    for picture in staged:
        item, slot, name = item_of(tx, picture)
        if item in changes or slot == label.slot:
            already += 1
        elif before is not None and slot != before.get(picture.content):
            where = "removed" if name is None else f"taken to class {name!r}"
            refused.append(_conflict(picture, f"the picture was {where} meanwhile"))
            continue
        elif against := _against(tx, item, name, label, move=move):
            refused.append(_conflict(picture, *against))
            continue
        else:
            changes[item] = Change(item, slot, label.slot)
        stays = item not in changes and slot is not None
        known = {p.path: p for p in inventory.places(tx, item)} if stays else {}
        places.update({(item, p.path): p for p in picture.places if known.get(p.path) != p})
        earlier = occasions.of(tx, item)
        known_already = said.get(item, earlier)
        together = picture.occasion.beside(known_already)
        if merging:  # what is here already stays
            together = known_already.beside(picture.occasion)
        if together != earlier:
            said[item] = together
        wants = not (made_up.there(tx, stored, item) or is_compacted(tx, item))
        if picture.made_up and wants:
            photos[picture.content] = picture.made_up
    found = [(item, place) for (item, _), place in places.items()]
    return _Sorted(
        list(changes.values()),
        found,
        list(said.items()),
        list(photos.items()),
        already,
        tuple(refused),
    )


def _conflict(picture: Staged, detail: str, advice: Advice | None = None) -> Refusal:
    """That a picture belongs to another class."""
    return Refusal(picture.place, "conflict", detail, advice, picture.content.hex())


def _against(
    tx: Transaction, item: ItemId, name: str | None, label: Label, *, move: bool
) -> tuple[str, Advice | None] | None:
    """What speaks against giving a picture to a class, if it is in class ``name`` already."""
    if name is None:
        return None
    if is_compacted(tx, item):
        return f"its descriptor in class {name!r} was dropped, so it has to stay there", None
    if not move:
        advice = Advice("move here", repr(label.name))
        return f"the picture is in class {name!r} already", advice
    return None


def _owners(tx: Transaction, places: Sequence[tuple[ItemId, Place]]) -> set[ItemId]:
    """The other items whose pictures were found at places before."""
    found = ((inventory.owner(tx, place.path), item) for item, place in places)
    return {owner for owner, item in found if owner is not None and owner != item}


def free_items(
    tx: Transaction, outcomes: Sequence[Staged | Refusal]
) -> tuple[list[ItemId], tuple[Refusal, ...]]:
    """The staged items that are in no class, each once; what else there was is refused."""
    items: dict[ItemId, None] = {}
    refused = [one for one in outcomes if isinstance(one, Refusal)]
    for one in outcomes:
        if isinstance(one, Staged):
            item, _, name = item_of(tx, one)
            if name is None:
                items[item] = None
            else:
                refused.append(_conflict(one, f"the picture is in class {name!r} already"))
    return list(items), tuple(refused)


def item_of(tx: Transaction, staged: Staged) -> tuple[ItemId, Slot | None, str | None]:
    """The item of a staged picture, and slot and name of its class, if it has one.

    Raises:
        Conflict: it was forgotten since.
    """
    found = inventory.find(tx, staged.content)
    if found is None:
        raise Conflict("a picture was forgotten meanwhile, or the catalogue restored; run it again")
    return found
