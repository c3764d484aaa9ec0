"""Pictures and classes that are forgotten: nothing of them stays in the file, for good.

Their rows are deleted, names of classes are taken out of the journal, and heads that were trained
on them are dropped, since weights remember. Afterwards the file is to be written anew, so that no
free page keeps a trace.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalog.descriptors import Advice, Conflict, InvalidInput, InvalidLabel, NotFound
from catalog.embedder import Picture, Source
from catalog.learning.opened import Opened
from catalog.manifest.pictures import hold
from catalog.store import (
    ItemId,
    Slot,
    Transaction,
    asked,
    erasure,
    heads,
    inventory,
    jobs,
    journal,
)
from catalog.store.classes import Label, emptied, find_label, listed_names, retire
from catalog.store.compaction import compacted_classes, is_compacted
from catalog.store.names import Name, label_key

_FORGOTTEN = "(forgotten)"
_NAMES = {"label", "labels", "before", "names", "respelt"}  # of an event's own classes


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten.

    Attributes:
        pictures: how many, items or not.
        classes: how many names of classes.
        emptied: classes that have no items left, but whose name the file still knows.
        in_metric: how many of the pictures were in a class that was removed inexactly, so that what
            they added to the metric stays; only a new catalogue is without it.
        head: ``exact`` if a head was dropped that had been trained on them, and that is how it is
            trained from now on; else None.
        event: the journal's entry, None if there was nothing.
        rewritten: whether the file was written anew. If not, other processes were using it: traces
            may be left in free space until it is, by forgetting again.
    """

    pictures: int
    classes: int
    emptied: tuple[str, ...]
    in_metric: int
    head: str | None
    event: int | None
    rewritten: bool = True


def forget(
    catalog: Opened,
    items: Iterable[int] = (),
    *,
    labels: Iterable[str] = (),
    pictures: Iterable[Source | Picture] = (),
    staged: bool = False,
    rewrite: bool = False,
) -> Forgotten:
    """Delete pictures and classes so that nothing of them stays in the file. Cannot be undone.

    What came before cannot be undone either. A ``frozen`` or ``document`` head that was trained
    on them is dropped, and solved from what is left.

    Args:
        items: ids of items.
        labels: classes to forget with all their items, and with every name they had.
        pictures: items or photos that were kept, by path, bytes, array, or these with a box.
        staged: all pictures that are in no class: removed ones, and photos that were kept.
        rewrite: write the file anew, also if nothing else is named: that finishes an earlier
            call that was cut short, or that other processes were in the way of.

    Raises:
        NotFound: the catalogue knows no such item, class or picture; nothing is forgotten.
        Conflict: a descriptor was dropped, and its sums cannot be told apart any more.
        PictureError: a picture cannot be read.
        InvalidInput: there is nothing to forget.
    """
    wanted = inventory.item_ids(items)
    names = [Name.parse(label) for label in listed_names(labels)]
    shown = [hold(picture) for picture in pictures]
    with catalog._store.writing() as tx:
        wanted += [_item_of(tx, picture.content, picture.place) for picture in shown]
        for name in names:
            wanted += _items_of(tx, name)
        if staged:
            wanted += inventory.staged_items(tx)
        if not (wanted or names or staged or rewrite):
            raise InvalidInput("nothing was named to forget")
        done = _forget(tx, list(dict.fromkeys(wanted)), names)
        catalog._delete_files()  # a kill after the commit must not leave it
        _delete_results(catalog)
    catalog._discard()  # others may have written in the meantime
    _delete_results(catalog)
    return replace(done, rewritten=catalog._store.rewrite())


def _delete_results(catalog: Opened) -> None:
    """Delete what came of jobs."""
    shutil.rmtree(catalog.results_folder, ignore_errors=True)


def _items_of(tx: Transaction, name: Name) -> list[ItemId]:
    """The items of a class, and those that were in it last and are in none now, by id.

    Raises:
        NotFound: the file knows no such class.
        Conflict: its descriptors were dropped.
    """
    found = _known(tx, name)
    if found is None:
        return []
    slot = found.slot
    if slot in compacted_classes(tx):
        raise Conflict(
            f"descriptors of class {name.text!r} were dropped, and their sums cannot be taken out "
            "of what was learnt",
            Advice("remove inexactly"),
        )
    return erasure.last_in(tx, slot)


def _item_of(tx: Transaction, content: bytes, place: str | None) -> ItemId:
    """The item or staged picture of a content hash.

    Raises:
        NotFound: there is none.
    """
    found = inventory.find(tx, content)
    if found is None:
        raise NotFound(f"this catalogue knows nothing of {place or 'that picture'}")
    return found[0]


def _require_known(tx: Transaction, items: Iterable[ItemId]) -> None:
    """Make sure that pictures can be forgotten.

    Raises:
        NotFound: one is not there.
        Conflict: its descriptor was dropped.
    """
    for item in items:
        if not inventory.exists(tx, item):
            raise NotFound(f"there is no item {item}", Advice("list items"))
        if is_compacted(tx, item):
            raise Conflict(
                f"the descriptor of item {item} was dropped, and what it added to the sums cannot "
                "be taken out of them any more"
            )


def _forget(tx: Transaction, items: Sequence[ItemId], names: Sequence[Name]) -> Forgotten:
    """Delete all that the file knows of some pictures and of some classes' names.

    Args:
        tx: a writing transaction.
        items: ids of items or staged pictures; those of the classes among them.
        names: of classes.

    Raises:
        NotFound, Conflict: as :func:`_require_known` and :func:`_items_of` do.
    """
    if not (items or names):
        return Forgotten(0, 0, (), 0, None, None)
    _require_known(tx, items)
    slots = {found.slot for name in names if (found := _known(tx, name))}
    left = erasure.slots_of(tx, items) - slots
    record = heads.current(tx)
    learnt = any(erasure.was_in_a_class(tx, item) for item in items)
    dropped = learnt and heads.have_seen_descriptors(tx)
    in_metric = sum(erasure.was_removed_inexactly(tx, item) for item in items)
    keys = {name.key for name in names}
    _scrub(tx, slots, set(keys))
    erasure.erase(tx, items)
    jobs.forget(tx)
    detail = {"pictures": len(items), "classes": len(keys)}
    event = journal.record(tx, "forget", detail, ())
    if dropped:
        heads.drop_all(tx)
        if record.training == "none":
            heads.switch(tx, event, "none")
    gone = emptied(tx, left)
    reset = "exact" if dropped and record.stored else None
    return Forgotten(len(items), len(keys), gone, in_metric, reset, event)


def _known(tx: Transaction, name: Name) -> Label | None:
    """The class of that name; None if it was never made, and only a note of feedback says it."""
    found = find_label(tx, name)
    if found is not None:
        return found
    noted = (e.detail.get("label") for e in journal.history(tx) if e.kind == "feedback")
    if any(isinstance(n, str) and _key(n) == name.key for n in noted):
        return None
    raise NotFound(f"this catalogue knows no class {name.text!r}")


def _scrub(tx: Transaction, slots: set[Slot], keys: set[str]) -> None:
    """Take every name that some classes ever had out of the file.

    A name that another class has, or had, stays where the journal speaks of that.
    """
    if not keys:
        return
    events = journal.history(tx)
    keys |= {label_key(name) for slot, name in _all_names(tx, events) if slot in slots}
    for event in events:
        about = _classes_in(tx, event)
        own = not about or bool(about & slots)
        fields = {"predicted", *(_NAMES if own else ())}
        clean = {
            field: _without(value, keys) if field in fields else value
            for field, value in event.detail.items()
        }
        if clean != event.detail:
            journal.amend(tx, event.id, clean)
    erasure.unsay(tx, keys)
    for slot in slots:
        heads.drop_columns(tx, slot)
        asked.forget(tx, slot)
        retire(tx, slot)


def _classes_in(tx: Transaction, event: journal.Event) -> set[Slot]:
    """The slots of the classes that an event changed; none if it does not say."""
    return erasure.slots_changed(tx, event.id) | {
        slot for slot, _, _ in event.detail.get("names", ())
    }


def _all_names(tx: Transaction, events: Iterable[journal.Event]) -> Iterator[tuple[int, str]]:
    """Slot and name of every class, now and whenever it had another name."""
    yield from erasure.names(tx)
    for event in events:
        names = [(slot, name) for slot, name, _ in event.detail.get("names", ()) if name]
        yield from names
        if names:  # the first is of the class that has the event's label since
            yield names[0][0], event.detail["label"]
        if respelt := event.detail.get("respelt"):  # as older files say it
            yield respelt["slot"], respelt["name"]
            yield respelt["slot"], event.detail["label"]


def _without(value: Any, keys: set[str]) -> Any:
    """A JSON value in which no text is one of the names."""
    if isinstance(value, dict):
        return {name: _without(part, keys) for name, part in value.items()}
    if isinstance(value, list):
        return [_without(part, keys) for part in value]
    if isinstance(value, str) and _key(value) in keys:
        return _FORGOTTEN
    return value


def _key(text: str) -> str:
    try:
        return label_key(text)
    except InvalidLabel:
        return ""
