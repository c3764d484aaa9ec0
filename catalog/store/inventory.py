"""Questions about a catalogue that need no descriptor: its classes, items and age."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index
from typing import NamedTuple, SupportsIndex

from catalog.descriptors import Advice, InvalidInput, NotFound
from catalog.store import AT_ONCE, ItemId, Slot, journal
from catalog.store.classes import require_label
from catalog.store.embedders import EmbedderId
from catalog.store.names import Name
from catalog.store.store import now
from catalog.text import natural

_KEPT = (
    "SELECT kept.item, place FROM kept JOIN item ON item.id = kept.item WHERE label IS NULL "
    "AND EXISTS (SELECT 1 FROM descriptor WHERE descriptor.item = kept.item AND embedder = ?)"
)

# Of a change and its event: that a picture became an item, and is one through that.
_TAKEN_IN = "change.before IS NULL AND event.kind != 'undo' AND event.undone_by IS NULL"


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A class, its slot, which never changes and is never reused, and how many items it has."""

    slot: Slot
    label: str
    items: int


class Place(NamedTuple):
    """Where a picture was found.

    Attributes:
        path: the file, with the box behind it, if any.
        size: of the file in bytes when it was read; None where that is not known.
        modified: the time it had then, in nanoseconds since 1970; None likewise.
    """

    path: str
    size: int | None = None
    modified: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A picture in the catalogue.

    Attributes:
        id: its number.
        label: its class.
        content: its SHA-256, in hexadecimal digits.
        sources: where it was found, as recorded then, sorted; empty for bytes and arrays.
    """

    id: ItemId
    label: str
    content: str
    sources: tuple[str, ...]


def label_counts(tx: sqlite3.Connection) -> list[LabelCount]:
    """Every class that has items, in the order in which people look for names: 2 before 10."""
    rows = tx.execute(
        "SELECT slot, name, count(*), key FROM item JOIN label ON label.slot = item.label "
        "GROUP BY slot"
    ).fetchall()
    return [LabelCount(*row[:3]) for row in sorted(rows, key=lambda row: natural(str(row[3])))]


def items(
    tx: sqlite3.Connection, label: Name | None, after: int = 0, limit: int | None = None
) -> list[Item]:
    """The items of one class, or of all, in the order of ids.

    Args:
        tx: a transaction.
        label: the class; None for all.
        after: only items of higher ids.
        limit: so many of them at most; None for all.

    Raises:
        NotFound: as :func:`catalog.store.classes.require_label` does.
    """
    slot = None if label is None else require_label(tx, label).slot
    most = -1 if limit is None else min(limit, 2**62)
    rows = tx.execute(
        "SELECT item.id, label.name, item.content FROM item "
        "JOIN label ON label.slot = item.label "
        "WHERE (? IS NULL OR label.slot = ?) AND item.id > ? ORDER BY item.id LIMIT ?",
        (slot, slot, max(min(after, 2**62), -(2**62)), most),
    ).fetchall()
    if slot is not None or limit is not None:
        return [Item(item, name, content.hex(), sources(tx, item)) for item, name, content in rows]
    every = all_places(tx)  # in one pass, not one by one
    return [
        Item(item, name, content.hex(), tuple(place.path for place in every.get(item, ())))
        for item, name, content in rows
    ]


def item(tx: sqlite3.Connection, item: ItemId) -> Item:
    """One item, by its id.

    Raises:
        NotFound: there is no such item.
    """
    slot_of(tx, item)
    row = tx.execute(
        "SELECT label.name, item.content FROM item JOIN label ON label.slot = item.label "
        "WHERE item.id = ?",
        (item,),
    ).fetchone()
    return Item(item, row[0], row[1].hex(), sources(tx, item))


def seen(tx: sqlite3.Connection, item: ItemId) -> tuple[bytes, tuple[str, ...]]:
    """The content hash of an item, or of a picture that is wanted, and where it was found.

    Raises:
        NotFound: there is no such picture.
    """
    found = exists(tx, item)
    content = contents(tx, [item]).get(item, b"") if found else b""
    if found and find_slot(tx, item) is not None:
        return content, sources(tx, item)
    kept = (
        tx.execute("SELECT place FROM kept WHERE item = ?", (item,)).fetchone() if found else None
    )
    if kept is None:
        raise NotFound(f"there is no item {item}", Advice("list items"))
    return content, () if kept[0] is None else (kept[0],)


def slot_of(tx: sqlite3.Connection, item: ItemId) -> Slot:
    """The slot of an item's class.

    Raises:
        NotFound: there is no such item.
    """
    slot = find_slot(tx, item) if exists(tx, item) else None
    if slot is None:
        raise NotFound(f"there is no item {item}", Advice("list items"))
    return slot


def find_slot(tx: sqlite3.Connection, item: ItemId) -> Slot | None:
    """The slot of a picture's class; None if it is in none, or not there."""
    row = tx.execute("SELECT label FROM item WHERE id = ?", (item,)).fetchone()
    return None if row is None else row[0]


def holds(tx: sqlite3.Connection, content: bytes) -> bool:
    """Whether a picture with that content hash is an item."""
    row = tx.execute(
        "SELECT 1 FROM item WHERE content = ? AND label IS NOT NULL", (content,)
    ).fetchone()
    return row is not None


def keep(tx: sqlite3.Connection, content: bytes, place: str | None, *, anew: bool = True) -> None:
    """Note that a staged picture is wanted, though it belongs to no class.

    Args:
        tx: a writing transaction.
        content: its hash.
        place: where it was found.
        anew: also if that was noted before.
    """
    what = "REPLACE" if anew else "IGNORE"
    tx.execute(
        f"INSERT OR {what} INTO kept (item, at, place) SELECT id, ?, ? FROM item "  # noqa: S608
        "WHERE content = ? AND label IS NULL",
        (now(), place, content),
    )


def kept(tx: sqlite3.Connection, embedder: EmbedderId) -> list[tuple[ItemId, str | None]]:
    """The staged pictures that are wanted: id and place, in the order in which they came.

    Not by the clock, which may have been put back meanwhile. One that was an item for a while may
    have lost its descriptor to `compact`, and an embedder that came later may have none of it.
    """
    return tx.execute(f"{_KEPT} ORDER BY kept.item", (embedder,)).fetchall()


def kept_among(
    tx: sqlite3.Connection, items: Iterable[ItemId], embedder: EmbedderId
) -> dict[ItemId, str | None]:
    """Those of some pictures that :func:`kept` has, and where they were found."""
    found: dict[ItemId, str | None] = {}
    for item in items:
        if exists(tx, item):
            found.update(tx.execute(f"{_KEPT} AND kept.item = ?", (embedder, item)).fetchall())
    return found


def kept_place(tx: sqlite3.Connection, item: ItemId) -> str | None:
    """Where a staged picture that is wanted was found."""
    row = tx.execute("SELECT place FROM kept WHERE item = ?", (item,)).fetchone()
    return None if row is None else row[0]


def staged(tx: sqlite3.Connection) -> int:
    """How many pictures have a descriptor here, but no class."""
    (count,) = tx.execute("SELECT count(*) FROM item WHERE label IS NULL").fetchone()
    return int(count)


def count(tx: sqlite3.Connection) -> int:
    """How many items there are."""
    (items,) = tx.execute("SELECT count(*) FROM item WHERE label IS NOT NULL").fetchone()
    return int(items)


def identity(tx: sqlite3.Connection) -> str:
    """What the catalogue and its backups alone have in common."""
    return journal.meta(tx, "id")


def created(tx: sqlite3.Connection) -> str:
    """When the catalogue was made: UTC, ISO 8601."""
    return journal.meta(tx, "created")


def format_version(tx: sqlite3.Connection) -> int:
    """The version of the file's format."""
    return int(tx.execute("PRAGMA user_version").fetchone()[0])


def sources(tx: sqlite3.Connection, item: ItemId) -> tuple[str, ...]:
    """The paths of an item's picture, sorted: see :func:`places`."""
    return tuple(place.path for place in places(tx, item))


def places(tx: sqlite3.Connection, item: ItemId) -> tuple[Place, ...]:
    """Where an item's picture was found since it was last taken in, by path.

    What was noted before an earlier removal is kept for the sake of undo, but is not shown. Neither
    is a place where another picture was found since: a place belongs to the last; nor one that the
    picture was seen to be gone from.
    """
    rows = tx.execute(
        "SELECT place, size, modified FROM (SELECT place, size, modified, gone, "  # noqa: S608
        "max(event) AS last FROM source WHERE item = :item AND event >= ("
        "SELECT coalesce(max(event.id), 0) FROM change JOIN event ON event.id = change.event "
        f"WHERE change.item = :item AND {_TAKEN_IN}) GROUP BY place) AS own "
        "WHERE gone IS NULL AND NOT EXISTS (SELECT 1 FROM source AS later "
        "WHERE later.place = own.place AND later.gone IS NULL "
        "AND later.item != :item AND later.event > own.last) ORDER BY place",
        {"item": item},
    )
    return tuple(Place(*row) for row in rows)


def all_places(tx: sqlite3.Connection) -> dict[ItemId, list[Place]]:
    """:func:`places` of every item of a class that has some, in one pass over all of them."""
    last = {one.place.path: one for one in sightings(tx)}
    places: dict[ItemId, list[Place]] = {}
    for path in sorted(last):
        one = last[path]
        if one.label is not None and one.of_now and not one.gone:
            places.setdefault(one.item, []).append(one.place)
    return places


def owner(tx: sqlite3.Connection, place: str) -> ItemId | None:
    """The item whose picture was found last at a place; None where none was, or it is gone."""
    row = tx.execute(
        "SELECT item, gone FROM source JOIN item ON item.id = source.item "
        "WHERE place = ? AND label IS NOT NULL ORDER BY event DESC LIMIT 1",
        (place,),
    ).fetchone()
    return None if row is None or row[1] is not None else ItemId(row[0])


def note_sources(
    tx: sqlite3.Connection,
    found: Iterable[tuple[ItemId, Place]],
    event: int,
    said: str | None = None,
) -> None:
    """Note where the pictures of items were found, as an event says.

    Args:
        tx: a writing transaction.
        found: the items, and where.
        event: that found them there.
        said: the class under which they were found there, as it was spelt.
    """
    tx.executemany(
        "INSERT INTO source (item, place, event, size, modified, said) VALUES (?, ?, ?, ?, ?, ?)",
        [(item, place.path, event, place.size, place.modified, said) for item, place in found],
    )


def retime(tx: sqlite3.Connection, found: Iterable[tuple[ItemId, Place]]) -> None:
    """Note the size and time that files of items have by now, where they are known to lie."""
    tx.executemany(
        "UPDATE source SET size = ?, modified = ? WHERE item = ? AND place = ? AND event = "
        "(SELECT max(event) FROM source WHERE item = ? AND place = ?)",
        [(place.size, place.modified, item, place.path, item, place.path) for item, place in found],
    )


def note_gone(tx: sqlite3.Connection, found: Iterable[tuple[ItemId, str]], event: int) -> None:
    """Note that the pictures of items are gone from places, as an event says."""
    tx.executemany(
        "INSERT INTO source (item, place, event, gone) VALUES (?, ?, ?, 1)",
        [(item, place, event) for item, place in found],
    )


class Sighting(NamedTuple):
    """What was last said of an item and a place.

    Attributes:
        item: whose picture was found there, an item or not.
        label: the slot of its class, if it is in one.
        place: where.
        event: that says so.
        said: the class under which it was found there, as it was spelt; None where it is not known.
        gone: whether it was seen to be gone from there.
        of_now: whether the item was not taken in anew since.
    """

    item: ItemId
    label: Slot | None
    place: Place
    event: int
    said: str | None
    gone: bool
    of_now: bool


def sightings(tx: sqlite3.Connection) -> list[Sighting]:
    """What was last said of every item and place, in the order in which it was said."""
    rows = tx.execute(
        "SELECT source.item, item.label, place, size, modified, max(source.event), said, gone, "  # noqa: S608
        "max(source.event) >= coalesce(taken, 0) "
        "FROM source JOIN item ON item.id = source.item LEFT JOIN ("
        "SELECT change.item AS whose, max(event.id) AS taken FROM change JOIN event "
        f"ON event.id = change.event WHERE {_TAKEN_IN} GROUP BY change.item) "
        "ON whose = source.item GROUP BY source.item, place ORDER BY max(source.event)"
    )
    return [
        Sighting(item, label, Place(path, size, modified), event, said, bool(gone), bool(of_now))
        for item, label, path, size, modified, event, said, gone, of_now in rows
    ]


def taken_out_by(tx: sqlite3.Connection, kind: str) -> set[ItemId]:
    """The pictures of no class that were taken out of theirs by an event of a kind."""
    rows = tx.execute(
        "SELECT id FROM item WHERE label IS NULL AND ? = (SELECT kind FROM change JOIN event "
        "ON event.id = change.event WHERE change.item = item.id "
        "ORDER BY change.event DESC LIMIT 1)",
        (kind,),
    )
    return {item for (item,) in rows}


def sighted_since(tx: sqlite3.Connection, generation: int) -> set[ItemId]:
    """The pictures of which it was said after a generation where they lie."""
    rows = tx.execute("SELECT DISTINCT item FROM source WHERE event > ?", (generation,))
    return {item for (item,) in rows}


def of_source(tx: sqlite3.Connection, source: str) -> set[int]:
    """The events that found pictures in a source: a folder or a manifest, by its path."""
    rows = tx.execute(
        "SELECT id FROM event WHERE json_valid(detail) AND json_extract(detail, '$.from') = ?",
        (source,),
    )
    return {event for (event,) in rows}


def drop_sources(tx: sqlite3.Connection, places: Iterable[tuple[ItemId, str]]) -> None:
    """Forget that the pictures of items were found at places."""
    tx.executemany("DELETE FROM source WHERE item = ? AND place = ?", list(places))


def find(tx: sqlite3.Connection, content: bytes) -> tuple[ItemId, Slot | None, str | None] | None:
    """The picture of a content hash: its id, and slot and name of its class, if it has one."""
    row: tuple[ItemId, Slot | None, str | None] | None = tx.execute(
        "SELECT item.id, item.label, label.name FROM item "
        "LEFT JOIN label ON label.slot = item.label WHERE item.content = ?",
        (content,),
    ).fetchone()
    return row


def item_id(given: SupportsIndex) -> ItemId:
    """The id that someone gives for an item: an integer, of NumPy, too, which SQLite does not take.

    Raises:
        InvalidInput: it is no integer.
    """
    try:
        return ItemId(index(given))
    except TypeError as error:
        raise InvalidInput(f"the id of an item is an integer, not {given!r}") from error


def item_ids(given: Iterable[SupportsIndex]) -> list[ItemId]:
    """The same of several, each once, in the order in which they come."""
    return list(dict.fromkeys(map(item_id, given)))


def exists(tx: sqlite3.Connection, item: int) -> bool:
    """Whether there is an item, or a staged picture, of that id."""
    if abs(item) >= 2**63:  # SQLite has no larger ids
        return False
    return tx.execute("SELECT 1 FROM item WHERE id = ?", (item,)).fetchone() is not None


def items_in(tx: sqlite3.Connection, slot: Slot) -> list[ItemId]:
    """The ids of a class's items, in order."""
    rows = tx.execute("SELECT id FROM item WHERE label = ? ORDER BY id", (slot,))
    return [item for (item,) in rows]


def staged_items(tx: sqlite3.Connection) -> list[ItemId]:
    """The ids of all pictures that have a descriptor here, but no class."""
    return [item for (item,) in tx.execute("SELECT id FROM item WHERE label IS NULL ORDER BY id")]


def contents(tx: sqlite3.Connection, items: Sequence[int]) -> dict[int, bytes]:
    """The content hashes of items by id; those that are not there are left out."""
    found: dict[int, bytes] = {}
    for start in range(0, len(items), AT_ONCE):
        block = items[start : start + AT_ONCE]
        marks = ",".join("?" * len(block))
        query = f"SELECT id, content FROM item WHERE id IN ({marks})"  # noqa: S608
        found |= dict(tx.execute(query, block))
    return found
