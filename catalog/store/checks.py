"""Whether the tables of a catalogue file are sound, and in keeping with each other."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from catalog.descriptors import Damaged, InvalidLabel
from catalog.machine import locked_files
from catalog.store import binding, compaction, embedders, heads
from catalog.store.formats import version_of
from catalog.store.names import clean_label, label_key
from catalog.store.row_checksums import mismatches
from catalog.store.schema import mistyped, schema_faults

_ADDING = {"add", "feedback", "merge", "merge-classes", "move"}
_REMOVING = {"remove", "remove-class", "remove-compacted", "switch-embedder", "sync"}
_OTHER = {"compact", "drop-embedder", "forget", "rename-class", "train-head", "undo"}
_KINDS = _ADDING | _REMOVING | _OTHER

_LENGTHS = (
    (
        "descriptors of a wrong length",
        "SELECT count(*) FROM descriptor WHERE embedder = :embedder AND length(value) != :bytes",
    ),
    (
        "descriptors of made-up photos of a wrong length",
        "SELECT count(*) FROM made_up WHERE embedder = :embedder AND "
        "(length(value) = 0 OR length(value) % :bytes != 0)",
    ),
)

_QUESTIONS = (
    (
        "items without a descriptor",
        "SELECT count(*) FROM item WHERE label IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM descriptor WHERE descriptor.item = item.id AND embedder = :embedder) "
        "AND id NOT IN (SELECT item FROM compacted_item)",
    ),
    (
        "items whose class is not what the journal says",
        "SELECT count(*) FROM item WHERE label IS NOT "
        "(SELECT after FROM change WHERE change.item = item.id ORDER BY event DESC LIMIT 1)",
    ),
    (
        "sums of dropped descriptors of a wrong length",
        "SELECT count(*) FROM compacted WHERE length(total) != 4 * :bytes",
    ),
    (
        "changes of an item that do not follow from the one before",
        "SELECT count(*) FROM (SELECT before, lag(after) OVER (PARTITION BY item ORDER BY event) "
        "AS left_at FROM change) WHERE before IS NOT left_at",
    ),
    (
        "pictures whose hash has a wrong length",
        "SELECT count(*) FROM item WHERE length(content) != 32",
    ),
    (
        "events that are of no command",
        "SELECT count(*) FROM event WHERE command > id OR length(token) != 16 OR NOT EXISTS "
        "(SELECT 1 FROM event AS began WHERE began.id = event.command "
        "AND began.command = began.id)",
    ),
    (
        "events undone by what was no undoing",
        "SELECT count(*) FROM event WHERE undone_by IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM event AS undoing WHERE undoing.id = event.undone_by "
        "AND undoing.kind = 'undo' AND undoing.id > event.id)",
    ),
    (
        "classes whose number of dropped descriptors is another one",
        "SELECT count(*) FROM compacted LEFT JOIN (SELECT label AS slot, count(*) AS held FROM "
        "compacted_item JOIN item ON item.id = compacted_item.item GROUP BY label) ON slot = label "
        "WHERE label IS NOT NULL AND items IS NOT held",
    ),
    (
        "heads that begin with no event that trained them",
        "SELECT count(*) FROM head WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.id = "
        "head.event AND event.kind IN ('train-head', 'forget'))",
    ),
    (
        "switches to another embedder that no event made",
        "SELECT count(*) FROM active WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.id = "
        "active.event AND event.kind = 'switch-embedder')",
    ),
    (
        "counts of a number, of a verdict or for a day that there cannot be",
        "SELECT count(*) FROM asked WHERE pictures < 1 OR day IS NOT date(day, '+0 days') "
        "OR verdict NOT IN ('match', 'ambiguous', 'disagree', 'unknown')",
    ),
    (
        "sources without an item",
        "SELECT count(*) FROM source WHERE NOT EXISTS "
        "(SELECT 1 FROM item WHERE item.id = source.item)",
    ),
)


def problems_of_file(tx: sqlite3.Connection) -> tuple[str, ...]:
    """What is wrong with a catalogue file, in words; none if it is sound.

    Args:
        tx: a reading transaction.

    Raises:
        Damaged: the embedder that its descriptors are of cannot be read.
    """
    active = embedders.active(tx)
    width = binding.read(tx, active).specification.width
    try:
        problems = [str(row[0]) for row in tx.execute("PRAGMA integrity_check") if row[0] != "ok"]
        if not problems:
            problems += _inconsistencies(tx, {"embedder": active, "bytes": 2 * width})
            problems += _odd_embedders(tx)
    except (OSError, sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return (str(error),)
    return tuple(problems)


def _inconsistencies(tx: sqlite3.Connection, values: dict[str, int]) -> Iterator[str]:
    for table, row, parent, _ in tx.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a {parent} that is not there"
    yield from _odd_header(tx)
    odd = [*schema_faults(tx, version_of(tx)), *mistyped(tx)]
    yield from odd
    if odd:
        return  # what follows rests on them
    for what, question in _QUESTIONS:
        (count,) = tx.execute(question, values).fetchone()
        if count:
            yield f"{count} {what}"
    yield from mismatches(tx)
    yield from _odd_identity(tx, values["embedder"])
    yield from _odd_names(tx)
    yield from _odd_events(tx)
    yield from _odd_learning(tx, values["bytes"] // 2)


def _odd_embedders(tx: sqlite3.Connection) -> Iterator[str]:
    """Descriptors of other embedders that are not as long as theirs are, and embedders astray."""
    for embedder in embedders.every(tx):
        try:
            size = 2 * binding.read(tx, embedder).specification.width
        except Damaged as error:
            yield error.fact
            continue
        for what, question in _LENGTHS:
            (count,) = tx.execute(question, {"embedder": embedder, "bytes": size}).fetchone()
            if count:
                yield f"{count} {what}"


def _odd_header(tx: sqlite3.Connection) -> Iterator[str]:
    """What the file's first bytes say of how it may be written: a wrong one makes it read-only."""
    (path,) = (row[2] for row in tx.execute("PRAGMA database_list") if row[1] == "main")
    versions = locked_files.beginning(path, 20)[18:]
    if versions != b"\1\1":
        yield f"the file says that it is written in another way than catalogues are: {versions!r}"


def _odd_identity(tx: sqlite3.Connection, embedder: int) -> Iterator[str]:
    """What says which catalogue this is, and of which embedder."""
    meta = dict(tx.execute("SELECT key, value FROM meta"))
    if len(meta.get("id", "")) != 32 or set(meta["id"]) - set("0123456789abcdef"):
        yield "the catalogue has lost its id"
    if not _is_time(meta.get("created", "")):
        yield "when the catalogue was made cannot be read"
    for fingerprint, spec in tx.execute(
        "SELECT fingerprint, spec FROM embedder WHERE id = ?", (embedder,)
    ):
        if hashlib.sha256(spec.encode()).hexdigest() != fingerprint:
            yield "the embedder does not match its fingerprint"


def _odd_names(tx: sqlite3.Connection) -> Iterator[str]:
    """Classes whose name is not one, or does not fit its key."""
    for slot, name, key in tx.execute("SELECT slot, name, key FROM label"):
        if key == f"\0{slot}" and not name:  # forgotten
            continue
        try:
            fits = label_key(name) == key and clean_label(name) == name
        except InvalidLabel:
            fits = False
        if not fits:
            yield f"the name of class {slot} is not as it was given: {name!r}"


def _odd_events(tx: sqlite3.Connection) -> Iterator[str]:
    """Entries of the journal that cannot be read, or that say something else than was done."""
    # What a forgotten picture changed is forgotten, too.
    (forgotten,) = tx.execute("SELECT max(id) FROM event WHERE kind = 'forget'").fetchone()
    rows = tx.execute(
        "SELECT id, at, kind, detail, (SELECT count(*) FROM change WHERE change.event = event.id) "
        "FROM event"
    )
    for row, at, kind, text, changes in rows:
        detail = _detail(text)
        if detail is None or not _is_time(at) or kind not in _KINDS:
            yield f"event {row} cannot be read"
        elif row > (forgotten or 0) and _announced(kind, detail, changes) != changes:
            yield f"event {row} says of itself what was not done"
        elif not _fits_its_head(detail.get("head")):
            yield f"event {row} says that old columns of the head were changed"


def _detail(text: str) -> dict[str, Any] | None:
    """What an event says of itself; None if that cannot be read."""
    try:
        detail = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return detail if isinstance(detail, dict) else None


def _announced(kind: str, detail: dict[str, Any], changes: int) -> object:
    """How many changes an event says that it made."""
    if kind in _ADDING:
        counts = [detail.get("added", 0), detail.get("moved", 0)]
        return sum(count if isinstance(count, int) else -1 for count in counts)
    if kind in _REMOVING:
        return detail.get("items")
    return changes if kind == "undo" else 0


def _fits_its_head(head: object) -> bool:
    """Whether a widening kept the columns that were there, as far as the journal tells."""
    return head is None or (isinstance(head, dict) and head.get("before") == head.get("after"))


def _odd_learning(tx: sqlite3.Connection, width: int) -> Iterator[str]:
    """Stored heads, and sums of dropped descriptors, that are not whole."""
    for check in (heads.require_whole, compaction.sums_of_dropped):
        try:
            check(tx, width)
        except Damaged as error:
            yield error.fact
    for head, arrays in tx.execute("SELECT head, arrays FROM generator"):
        try:
            heads.unpacked(arrays)
        except Damaged:
            yield f"the generator of head {head} cannot be read"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def page_counts(tx: sqlite3.Connection) -> tuple[int, int, int]:
    """The size of a page in bytes, how many pages the file says it has, and how many are free."""
    size, pages, free = (
        int(tx.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return size, pages, free


def kind_of(error: Exception) -> Literal["locked", "not opened", "damaged"]:
    """What keeps a file from being read past :class:`Store`."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "locked"
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
        return "not opened"
    return "damaged"
