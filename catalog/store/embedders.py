"""The embedders of a catalogue: the one whose descriptors count, and another beside it, if any.

A second one is brought in while the first is in use, and the first is kept after the switch, so
that it can be gone back to. Descriptors of the two are never compared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NewType

from catalog.descriptors import Advice, Conflict, Damaged
from catalog.store import ItemId, Slot

EmbedderId = NewType("EmbedderId", int)
"""The row of an embedder."""

# An item goes without a descriptor where `compact` dropped it.
_LACKS = (
    "id NOT IN (SELECT item FROM compacted_item) AND NOT EXISTS "
    "(SELECT 1 FROM descriptor WHERE descriptor.item = item.id AND embedder = :embedder)"
)


class Lacking(NamedTuple):
    """A picture that an embedder has no descriptor of, or of whose made-up photos it has none.

    Attributes:
        item: its id.
        content: its hash.
        is_item: whether it is in a class.
        made_up: the event that photos made up of it came with; None where it has none, or the
            embedder has their descriptors.
    """

    item: ItemId
    content: bytes
    is_item: bool
    made_up: int | None


def every(tx: sqlite3.Connection) -> list[EmbedderId]:
    """The embedders that there are, the oldest first."""
    return [EmbedderId(row) for (row,) in tx.execute("SELECT id FROM embedder ORDER BY id")]


def others(tx: sqlite3.Connection) -> list[EmbedderId]:
    """Those of them that are not active: one that is brought in, or can be gone back to."""
    own = active(tx)
    return [one for one in every(tx) if one != own]


def active(tx: sqlite3.Connection) -> EmbedderId:
    """The embedder whose descriptors count.

    Raises:
        Damaged: there is none.
    """
    row = tx.execute(
        "SELECT coalesce((SELECT embedder FROM active ORDER BY event DESC LIMIT 1), "
        "(SELECT min(id) FROM embedder))"
    ).fetchone()
    if row[0] is None:
        raise Damaged("this catalogue has lost its embedder. Restore the file from a backup")
    return EmbedderId(row[0])


def fingerprint(tx: sqlite3.Connection, embedder: EmbedderId) -> str | None:
    """The fingerprint of an embedder; None where there is none of that row."""
    row = tx.execute("SELECT fingerprint FROM embedder WHERE id = ?", (embedder,)).fetchone()
    return None if row is None else str(row[0])


def require_one(tx: sqlite3.Connection) -> None:
    """Make sure that there is one embedder alone.

    Raises:
        Conflict: another one is brought in, or can be gone back to.
    """
    if len(every(tx)) > 1:
        raise Conflict(
            "this catalogue has descriptors of two embedders, and their sums cannot be kept for "
            "both",
            Advice("drop embedder"),
        )


def add(tx: sqlite3.Connection, embedder: Mapping[str, Any]) -> EmbedderId:
    """Take in another embedder, which has no descriptors yet, under a number that none ever had.

    Whoever is still at work with one that was dropped must not take this one for it.

    Args:
        tx: a writing transaction.
        embedder: the columns of its row: fingerprint, spec, prior and probes.
    """
    tx.execute(
        "INSERT INTO embedder (id, fingerprint, spec, prior, probes) SELECT 1 + max(id, coalesce("
        "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'embedders'), 0)), "
        ":fingerprint, :spec, :prior, :probes FROM embedder ORDER BY id DESC LIMIT 1",
        dict(embedder),
    )
    return every(tx)[-1]


def activate(tx: sqlite3.Connection, embedder: EmbedderId, event: int) -> None:
    """Let an embedder's descriptors count from an event on."""
    tx.execute("INSERT INTO active (event, embedder) VALUES (?, ?)", (event, embedder))


def was_active(tx: sqlite3.Connection, embedder: EmbedderId) -> bool:
    """Whether an embedder's descriptors ever counted, as far as that was not undone."""
    row = tx.execute(
        "SELECT 1 WHERE ? IN (SELECT embedder FROM active UNION SELECT min(id) FROM embedder)",
        (embedder,),
    ).fetchone()
    return row is not None


def drop(tx: sqlite3.Connection, embedder: EmbedderId) -> None:
    """Delete an embedder that is not active, with all its descriptors."""
    for table in ("descriptor", "made_up", "active"):
        tx.execute(f"DELETE FROM {table} WHERE embedder = ?", (embedder,))  # noqa: S608
    if embedder == every(tx)[-1]:
        tx.execute("INSERT OR REPLACE INTO meta VALUES ('embedders', ?, NULL)", (str(embedder),))
    tx.execute("DELETE FROM embedder WHERE id = ?", (embedder,))


def lacking(tx: sqlite3.Connection, embedder: EmbedderId) -> list[Lacking]:
    """The pictures that an embedder lacks descriptors of, in the order of ids.

    A picture that is in no class counts, too: what an undo brings back has to be complete.
    """
    rows = tx.execute(
        "SELECT id, content, label IS NOT NULL, (SELECT max(event) FROM made_up AS its "  # noqa: S608
        "WHERE its.item = item.id AND NOT EXISTS (SELECT 1 FROM made_up AS own "
        "WHERE own.item = item.id AND own.embedder = :embedder)) AS brought "
        f"FROM item WHERE ({_LACKS}) OR brought IS NOT NULL ORDER BY id",
        {"embedder": embedder},
    )
    return [Lacking(ItemId(row[0]), row[1], bool(row[2]), row[3]) for row in rows]


def items_without(tx: sqlite3.Connection, embedder: EmbedderId) -> list[tuple[ItemId, Slot]]:
    """The items that an embedder has no descriptor of, and the slots of their classes."""
    rows = tx.execute(
        f"SELECT id, label FROM item WHERE label IS NOT NULL AND {_LACKS} ORDER BY id",  # noqa: S608
        {"embedder": embedder},
    )
    return [(ItemId(item), Slot(slot)) for item, slot in rows]


def require_described(tx: sqlite3.Connection, items: Iterable[ItemId]) -> None:
    """Make sure that the active embedder has descriptors of what is to be in a class.

    Raises:
        Conflict: it has none of one: that was taken out, and could not be read when the catalogue
            went over to it, or was added while it did.
    """
    own = active(tx)
    question = f"SELECT 1 FROM item WHERE id = :item AND {_LACKS}"  # noqa: S608
    for item in items:
        if tx.execute(question, {"item": item, "embedder": own}).fetchone() is not None:
            raise Conflict(
                f"the embedder in use has no descriptor of picture {item}: it came, or was taken "
                "out, while another one was used. Add it anew, or go back to that embedder"
            )


def described(tx: sqlite3.Connection, embedder: EmbedderId) -> int:
    """How many items an embedder has a descriptor of."""
    (count,) = tx.execute(
        "SELECT count(*) FROM item JOIN descriptor ON descriptor.item = item.id "
        "WHERE label IS NOT NULL AND embedder = ?",
        (embedder,),
    ).fetchone()
    return int(count)
