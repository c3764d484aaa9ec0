"""The journal: every change to which picture is in which class, so that it can be taken back.

The number of the last event is the catalogue's *generation*. Each event carries a random token:
two copies of a catalogue that went different ways may agree on the number, but not on the token, so
what was derived from one is never taken for the other.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from catalog.descriptors import Advice, Conflict, Damaged, InvalidInput
from catalog.store import ItemId, Slot, embedders
from catalog.store.classes import give_back
from catalog.store.names import label_key
from catalog.store.store import now

_FINAL = {"compact", "drop-embedder", "remove-compacted", "forget"}
"""Kinds of events that drop what undoing would need; they are the past's end, too."""


class Version(NamedTuple):
    """A state of a catalogue: the last event's number and token (0 and the catalogue's id)."""

    generation: int
    token: str


class Change(NamedTuple):
    """An item's class before and after: label slots, None for not in the catalogue."""

    item: ItemId
    before: Slot | None
    after: Slot | None


_MARK: ContextVar[str | None] = ContextVar("mark", default=None)
"""What events that are recorded now are marked with."""

_MARKED_AMONG = 10_000
"""Among how many of the latest events a mark is looked for."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the journal.

    Attributes:
        id: rising; the generation it led to.
        command: the id of the first event of the same command.
        at: UTC, ISO 8601.
        kind: ``add``, ``feedback``, ``move``, ``rename-class``, ``merge-classes``, ``merge``,
            ``remove``, ``remove-class``, ``sync``, ``train-head``, ``switch-embedder``,
            ``drop-embedder``, ``compact``, ``remove-compacted``, ``forget`` or ``undo``.
        detail: what the command said of itself, and the mark that it was given, if any.
        undone_by: the event that took it back, if one did.
    """

    id: int
    command: int
    at: str
    kind: str
    detail: Mapping[str, Any]
    undone_by: int | None = None


def version(tx: sqlite3.Connection) -> Version:
    """The state that a transaction sees."""
    row = tx.execute("SELECT id, token FROM event ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return Version(0, meta(tx, "id"))
    return Version(row[0], row[1].hex())


def meta(tx: sqlite3.Connection, key: str) -> str:
    """What the file says of itself: its ``id``, or when it was ``created``.

    Raises:
        Damaged: it has lost that.
    """
    row = tx.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise Damaged(f"the catalogue has lost its {key!r}", Advice("verify"))
    return str(row[0])


def last_time(tx: sqlite3.Connection) -> str | None:
    """When the last event was, as the clock of its computer had it; None if there was none."""
    row = tx.execute("SELECT at FROM event ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else str(row[0])


def is_ancestor(tx: sqlite3.Connection, earlier: Version) -> bool:
    """Whether the catalogue was once in that state and only went on from there."""
    if earlier.generation == 0:
        return meta(tx, "id") == earlier.token
    row = tx.execute("SELECT token FROM event WHERE id = ?", (earlier.generation,)).fetchone()
    return row is not None and bool(row[0].hex() == earlier.token)


def record(
    tx: sqlite3.Connection,
    kind: str,
    detail: Mapping[str, Any],
    changes: Iterable[Change],
    command: int | None = None,
) -> int:
    """Change items' labels, and write down that and why.

    Args:
        tx: a writing transaction.
        kind: what was done.
        detail: JSON values that say more.
        changes: at most one for each item.
        command: the first event of the same command, if this is a later one.

    Returns:
        The event's id.

    Raises:
        Conflict: an item's label is not what its change says it was before, the command's first
            event is not there any more, or an item would have no descriptor.
    """
    taken_in = list(changes)
    event = _record(tx, kind, detail, taken_in, command)
    embedders.require_described(tx, _described_in(taken_in))
    return event


def _described_in(changes: Iterable[Change]) -> list[ItemId]:
    """The items of some changes that are in a class after them."""
    return [change.item for change in changes if change.after is not None]


def _record(
    tx: sqlite3.Connection,
    kind: str,
    detail: Mapping[str, Any],
    changes: Iterable[Change],
    command: int | None = None,
) -> int:
    """As :func:`record`, whether the items have descriptors or not."""
    if command is not None:
        began = tx.execute("SELECT 1 FROM event WHERE id = ? AND command = id", (command,))
        if began.fetchone() is None:
            raise Conflict(
                "the catalogue was restored meanwhile to what it was before this command began; "
                "run it again"
            )
    event = tx.execute(
        "INSERT INTO event (command, token, at, kind, detail) VALUES (?, ?, ?, ?, ?)",
        (command or 0, secrets.token_bytes(16), now(), kind, _told(detail)),
    ).lastrowid
    if event is None:
        raise Conflict("the journal could not be written")
    if command is None:
        tx.execute("UPDATE event SET command = id WHERE id = ?", (event,))
    for change in changes:
        moved = tx.execute(
            "UPDATE item SET label = ? WHERE id = ? AND label IS ?",
            (change.after, change.item, change.before),
        )
        if moved.rowcount != 1:
            raise Conflict(f"item {change.item} was changed by someone else meanwhile; try again")
        tx.execute(
            "INSERT INTO change (event, item, before, after) VALUES (?, ?, ?, ?)", (event, *change)
        )
    return event


def amend(tx: sqlite3.Connection, event: int, detail: Mapping[str, Any]) -> None:
    """Let an event say something else or something more; what else it says stays, its mark too."""
    (said,) = tx.execute("SELECT detail FROM event WHERE id = ?", (event,)).fetchone()
    tx.execute(
        "UPDATE event SET detail = ? WHERE id = ?",
        (json.dumps({**json.loads(said), **detail}), event),
    )


def _told(detail: Mapping[str, Any]) -> str:
    """What an event says of itself, as it is written."""
    mark = _MARK.get()
    return json.dumps(detail if mark is None else {**detail, "mark": mark})


@contextmanager
def marking(mark: str | None) -> Iterator[None]:
    """Mark the events that this thread records while the block lasts."""
    token = _MARK.set(mark)
    try:
        yield
    finally:
        _MARK.reset(token)


def marked(tx: sqlite3.Connection, mark: str) -> list[Event]:
    """The events whose marks begin so, among the latest, in order.

    Raises:
        Damaged: one cannot be read.
    """
    rows = tx.execute(
        "SELECT id, command, at, kind, detail, undone_by FROM event WHERE id > "
        "(SELECT coalesce(max(id), 0) FROM event) - ? AND json_valid(detail) "
        "AND substr(json_extract(detail, '$.mark'), 1, length(?)) = ? ORDER BY id",
        (_MARKED_AMONG, mark, mark),
    )
    return [_event(row) for row in rows]


def leads_here(tx: sqlite3.Connection, earlier: Version) -> bool:
    """Whether the changes since a state say all that has become of it.

    They do not where another history was restored, nor where descriptors were dropped since.
    """
    return is_ancestor(tx, earlier) and not _dropped(tx, earlier.generation, 2**62)


def new_names(tx: sqlite3.Connection) -> dict[str, str]:
    """What classes were called before, by key, and what they were renamed to, or merged into."""
    rows = tx.execute(
        "SELECT id, command, at, kind, detail FROM event WHERE undone_by IS NULL "
        "AND kind IN ('rename-class', 'merge-classes') ORDER BY id"
    )
    found: dict[str, str] = {}
    for event in map(_event, rows):
        before = event.detail.get("before")
        for name in event.detail.get("labels", ()) if before is None else (before,):
            found[label_key(name)] = event.detail["label"]
    return found


def changes_between(
    tx: sqlite3.Connection, earlier: Version, later: Version
) -> list[Change] | None:
    """What has become of a state until a later one, item by item; None if that cannot be told."""
    if not (is_ancestor(tx, earlier) and is_ancestor(tx, later)):
        return None
    after, until = earlier.generation, later.generation
    return None if after > until or _dropped(tx, after, until) else net_changes(tx, after, until)


def _dropped(tx: sqlite3.Connection, after: int, until: int) -> bool:
    """Whether descriptors were dropped between two generations."""
    kinds = ", ".join("?" * len(_FINAL))
    question = f"SELECT 1 FROM event WHERE id > ? AND id <= ? AND kind IN ({kinds}) LIMIT 1"  # noqa: S608
    return tx.execute(question, (after, until, *sorted(_FINAL))).fetchone() is not None


def history(tx: sqlite3.Connection, last: int | None = None) -> list[Event]:
    """The events, or the last few of them, the latest last.

    Raises:
        InvalidInput: ``last`` is less than 1.
        Damaged: an entry cannot be read.
    """
    if last is not None and last < 1:
        raise InvalidInput(f"at least 1 event can be shown, not {last}")
    rows = tx.execute(
        "SELECT id, command, at, kind, detail, undone_by FROM event ORDER BY id DESC LIMIT ?",
        (-1 if last is None else min(last, 2**62),),
    ).fetchall()
    return [_event(row) for row in reversed(rows)]


def _event(row: tuple[Any, ...]) -> Event:
    try:
        detail = dict(json.loads(row[4]))
    except (RecursionError, TypeError, ValueError) as error:
        raise Damaged(f"event {row[0]} cannot be read", Advice("verify")) from error
    return Event(row[0], row[1], row[2], row[3], detail, *row[5:])


def net_changes(
    tx: sqlite3.Connection, after: int, until: int = 2**62, command: int | None = None
) -> list[Change]:
    """What the events after a generation come to, item by item.

    Args:
        tx: a transaction.
        after: the generation to start from.
        until: the last generation.
        command: only the events of this command that were not undone.

    Returns:
        One change for each item that is not where it was, in the order of ids.
    """
    rows = tx.execute(
        "SELECT change.item, change.before, change.after FROM change JOIN event "
        "ON event.id = change.event WHERE event.id > ? AND event.id <= ? "
        "AND (? IS NULL OR event.command = ? AND event.undone_by IS NULL) "
        "ORDER BY change.item, change.event",
        (after, until, command, command),
    )
    net: dict[int, Change] = {}
    for item, before, now_at in rows:
        earlier = net.get(item)
        net[item] = Change(item, earlier.before if earlier else before, now_at)
    return [change for change in net.values() if change.before != change.after]


def undo_last(tx: sqlite3.Connection) -> list[Event]:
    """Take back the last command that was not undone yet.

    Where another command came in between (two processes at once), only what was done after it is
    taken back; it is next, and the rest of the interrupted command after it.

    Returns:
        The events taken back, in order; empty if there is nothing to undo.

    Raises:
        Conflict: descriptors were dropped, which cannot be undone.
    """
    last = tx.execute(
        "SELECT command, kind FROM event WHERE undone_by IS NULL AND kind != 'undo' "
        "ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if last is None:
        return []
    command, kind = last
    if kind in _FINAL:
        raise Conflict(
            "the last command dropped or deleted something for good; neither that nor what came "
            "before it can be undone"
        )
    (between,) = tx.execute(
        "SELECT coalesce(max(id), 0) FROM event "
        "WHERE undone_by IS NULL AND kind != 'undo' AND command != ?",
        (command,),
    ).fetchone()
    undone = [
        _event(row)
        for row in tx.execute(
            "SELECT id, command, at, kind, detail FROM event "
            "WHERE command = ? AND undone_by IS NULL AND id > ? ORDER BY id",
            (command, between),
        )
    ]
    back = [Change(c.item, c.after, c.before) for c in net_changes(tx, between, command=command)]
    event = _record(tx, "undo", {"command": command}, back)
    for one in undone:
        tx.execute("UPDATE event SET undone_by = ? WHERE id = ?", (event, one.id))
    for table in ("source", "occasion", "made_up", "active", "head_column", "generator", "head"):
        tx.execute(
            f"DELETE FROM {table} WHERE event IN (SELECT id FROM event WHERE undone_by = ?)",  # noqa: S608
            (event,),
        )
    for one in reversed(undone):
        for slot, name, _ in one.detail.get("names", ()):
            give_back(tx, slot, name)
        if respelt := one.detail.get("respelt"):  # older files say it so
            give_back(tx, respelt["slot"], respelt["name"])
    embedders.require_described(tx, _described_in(back))
    return [replace(one, undone_by=event) for one in undone]
