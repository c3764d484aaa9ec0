"""Heads whose training depends on history, as the catalogue file keeps them.

Without a row in ``head`` the head is ``exact``: solved from the descriptors when it is needed, and
kept in the cache folder. A ``frozen`` or ``document`` head is stored, column by column, with the
metric that its descriptors are whitened with; the event that wrote a column takes it along when it
is undone.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Advice, Damaged, InvalidInput, Metric, read_arrays
from catalog.head import Curves, Head
from catalog.store import Slot

HeadTraining = Literal["exact", "frozen", "document", "none"]
"""How the head learns: solved from everything, new columns alone, as the documents do, or not."""

_ADVICE = Advice("make anew")

TRAININGS: tuple[HeadTraining, ...] = get_args(HeadTraining)
"""Every way to train the head, the default first."""


class _Column(NamedTuple):
    """A stored column: its class, the event that wrote it, and its numbers."""

    label: int
    event: int
    weights: bytes
    bias: float


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """How the head of a catalogue is trained now.

    Attributes:
        training: in which way.
        id: of its row, None for the default.
        options: of that training.
    """

    training: HeadTraining = "exact"
    id: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stored(self) -> bool:
        """Whether the weights are in the catalogue file."""
        return self.training in {"frozen", "document"}


def training_named(name: str) -> HeadTraining:
    """The way of training of that name.

    Raises:
        InvalidInput: there is none.
    """
    for training in TRAININGS:
        if training == name:
            return training
    raise InvalidInput(f"a head is trained {', '.join(TRAININGS)}, not {name!r}")


def current(tx: sqlite3.Connection) -> HeadRecord:
    """How the head is trained in the state that a transaction sees.

    Raises:
        Damaged: its row cannot be read.
    """
    row = tx.execute("SELECT id, training, options FROM head ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return HeadRecord()
    try:
        return HeadRecord(training_named(row[1]), row[0], dict(json.loads(row[2])))
    except (InvalidInput, TypeError, ValueError) as error:
        raise Damaged(f"how the head is trained cannot be read: {error}", _ADVICE) from error


def load(tx: sqlite3.Connection, record: HeadRecord, width: int) -> tuple[Head, Metric]:
    """A stored head, and the metric its descriptors are whitened with.

    Raises:
        Damaged: its rows cannot be read.
    """
    try:
        return _load(tx, record, width)
    except (InvalidInput, TypeError, ValueError) as error:
        raise Damaged(f"the head has lost a part: {error}", _ADVICE) from error


def _load(tx: sqlite3.Connection, record: HeadRecord, width: int) -> tuple[Head, Metric]:
    (stored,) = tx.execute("SELECT metric FROM head WHERE id = ?", (record.id,)).fetchone()
    return _joined(_columns(tx, record), width), _unpack(stored, width)


def _columns(tx: sqlite3.Connection, record: HeadRecord) -> list[_Column]:
    rows = tx.execute(
        "SELECT label, event, weights, bias FROM head_column WHERE head = ? ORDER BY position",
        (record.id,),
    )
    return [_Column(*row) for row in rows]


def _joined(columns: Iterable[_Column], width: int) -> Head:
    """The head of some columns; of a class that was removed and made anew the last one counts."""
    kept: dict[int, _Column] = {}
    for column in columns:
        kept.pop(column.label, None)
        kept[column.label] = column
    rows = list(kept.values())
    weights = b"".join(row.weights for row in rows)
    return Head(
        np.array([row.label for row in rows], np.int64),
        np.frombuffer(weights, "<f4").astype(np.float32).reshape(len(rows), width),
        np.array([row.bias for row in rows], np.float32),
    )


def require_whole(tx: sqlite3.Connection, width: int) -> None:
    """Make sure that a stored head can be read, and is as the journal says, as far as it does.

    When the head was last widened the journal took a checksum of the columns that were there.

    Raises:
        Damaged: a part of it is lost, or another one.
    """
    record = current(tx)
    if not record.stored:
        return
    load(tx, record, width)
    curves(tx, record)
    columns = _columns(tx, record)
    noted = _noted(tx, record, columns[-1]) if columns else None
    if noted is not None:
        earlier = [column for column in columns[:-1] if column.label != columns[-1].label]
        if _joined(earlier, width).checksum() != noted:
            raise Damaged("the head's columns are not those that the journal has", _ADVICE)


def _noted(tx: sqlite3.Connection, record: HeadRecord, last: _Column) -> str | None:
    """The checksum of the columns that were there before the last one, if it was taken."""
    row = tx.execute(
        "SELECT detail FROM event JOIN head ON head.id = ? WHERE event.id = ? "
        "AND head.event != event.id AND NOT EXISTS (SELECT 1 FROM event AS later "
        "WHERE later.id > event.id AND later.kind = 'forget')",
        (record.id, last.event),
    ).fetchone()
    if row is None:
        return None
    try:
        return str(json.loads(row[0])["head"]["before"])
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged("the journal has lost the head's checksum", _ADVICE) from error


def untrained(tx: sqlite3.Connection, record: HeadRecord) -> list[int]:
    """The classes whose columns came after the head was last trained."""
    rows = tx.execute(
        "SELECT label FROM head_column JOIN head ON head.id = head_column.head "
        "WHERE head.id = ? AND head_column.event != head.event ORDER BY position",
        (record.id,),
    )
    return [slot for (slot,) in rows]


def switch(
    tx: sqlite3.Connection,
    event: int,
    training: HeadTraining,
    options: Mapping[str, Any] | None = None,
) -> int:
    """Train the head in another way from an event on; returns the new row's id."""
    row = tx.execute(
        "INSERT INTO head (event, training, options) VALUES (?, ?, ?)",
        (event, training, json.dumps(dict(options or {}))),
    ).lastrowid
    return int(row or 0)


def store(
    tx: sqlite3.Connection,
    event: int,
    training: HeadTraining,
    head: Head,
    metric: Metric,
    *,
    options: Mapping[str, Any] | None = None,
    curves: Mapping[str, NDArray[np.float32]] | None = None,
) -> int:
    """Store a head whole, as an event made it; returns its row's id."""
    row = switch(tx, event, training, options)
    tx.execute(
        "UPDATE head SET metric = ?, curves = ? WHERE id = ?",
        (packed(metric), None if curves is None else _save(curves), row),
    )
    for position in range(len(head)):
        _insert(tx, row, event, head, position, at=position)
    return row


def append(tx: sqlite3.Connection, record: HeadRecord, event: int, head: Head) -> None:
    """Store the last column of a head; the others are stored already, and stay as they are."""
    (last,) = tx.execute(
        "SELECT coalesce(max(position), -1) FROM head_column WHERE head = ?", (record.id,)
    ).fetchone()
    _insert(tx, int(record.id or 0), event, head, len(head) - 1, at=last + 1)


def curves(tx: sqlite3.Connection, record: HeadRecord) -> dict[str, NDArray[np.float32]] | None:
    """Loss and accuracy of the last training, by name; None if there are none.

    Raises:
        Damaged: they cannot be read.
    """
    row = tx.execute("SELECT curves FROM head WHERE id = ?", (record.id,)).fetchone()
    if row is None or row[0] is None:
        return None
    found = unpacked(row[0])
    if found.keys() != {part.name for part in fields(Curves)}:
        raise Damaged("curves of the head's training are lost", _ADVICE)
    return found


def unpacked(stored: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` that the file holds, by name.

    Raises:
        Damaged: it cannot be read.
    """
    try:
        return read_arrays(stored)
    except InvalidInput as error:
        raise Damaged(f"what was stored with the head cannot be read: {error}", _ADVICE) from error


def generator(tx: sqlite3.Connection, metric: Metric) -> dict[str, NDArray[Any]] | None:
    """The arrays of the newest generator of descriptors that are whitened with a metric.

    Raises:
        Damaged: they cannot be read.
    """
    row = tx.execute(
        "SELECT arrays FROM generator JOIN head ON head.id = generator.head WHERE metric = ? "
        "ORDER BY generator.head DESC LIMIT 1",
        (packed(metric),),
    ).fetchone()
    return None if row is None else unpacked(row[0])


def keep_generator(
    tx: sqlite3.Connection, head: int, event: int, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Keep a generator with the head whose training it served."""
    tx.execute(
        "INSERT INTO generator (head, event, arrays) VALUES (?, ?, ?)", (head, event, _save(arrays))
    )


def drop_generator(tx: sqlite3.Connection, head: int) -> None:
    """Drop the generator that was kept with a head."""
    tx.execute("DELETE FROM generator WHERE head = ?", (head,))


def have_seen_descriptors(tx: sqlite3.Connection) -> bool:
    """Whether there are weights, metrics or generators that descriptors were put into."""
    row = tx.execute(
        "SELECT 1 FROM head WHERE metric IS NOT NULL UNION SELECT 1 FROM head_column "
        "UNION SELECT 1 FROM generator"
    ).fetchone()
    return row is not None


def drop_all(tx: sqlite3.Connection) -> None:
    """Drop every head that is stored, so that the head is ``exact``."""
    for table in ("generator", "head_column", "head"):
        tx.execute(f"DELETE FROM {table}")  # noqa: S608


def drop_earlier(tx: sqlite3.Connection) -> None:
    """Drop the heads before the present one, which cannot be gone back to any more."""
    for table in ("generator", "head_column"):
        tx.execute(f"DELETE FROM {table} WHERE head < (SELECT max(id) FROM head)")  # noqa: S608
    tx.execute("DELETE FROM head WHERE id < (SELECT max(id) FROM head)")


def drop_columns(tx: sqlite3.Connection, slot: Slot) -> None:
    """Drop the columns of a class from every head."""
    tx.execute("DELETE FROM head_column WHERE label = ?", (slot,))


def widening(before: Head, after: Head, training: HeadTraining) -> dict[str, Any]:
    """What the journal keeps of a widening: the old columns' checksum, before it and after it.

    Raises:
        Damaged: they differ, so the widened head must not be used.
    """
    kept = {"before": before.checksum(), "after": after.checksum(len(before))}
    if kept["before"] != kept["after"]:
        raise Damaged("widening the head changed an old column; nothing was written")
    return {"training": training, "columns": len(before), **kept}


def _insert(
    tx: sqlite3.Connection, row: int, event: int, head: Head, position: int, *, at: int
) -> None:
    """Store one column of a head at a place among the stored ones."""
    weights = np.ascontiguousarray(head.columns[position], "<f4").tobytes()
    tx.execute(
        "INSERT INTO head_column (head, position, label, event, weights, bias) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (row, at, int(head.classes[position]), event, weights, float(head.bias[position])),
    )


def packed(metric: Metric) -> bytes:
    """A metric as stored: the mean, then the lower triangle by rows, float32 little-endian."""
    lower = metric.transform[np.tril_indices(len(metric.mean))]
    return bytes(np.concatenate([metric.mean, lower]).astype("<f4").tobytes())


def _unpack(stored: bytes, width: int) -> Metric:
    numbers = np.frombuffer(stored, "<f4").astype(np.float32)
    if len(numbers) != width + width * (width + 1) // 2 or not np.isfinite(numbers).all():
        raise InvalidInput("its metric is not whole")
    transform = np.zeros((width, width), np.float32)
    transform[np.tril_indices(width)] = numbers[width:]
    return Metric(numbers[:width], transform)


def _save(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
