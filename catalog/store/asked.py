"""How pictures that were asked about were answered: counts by day and class, and no pictures."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from catalog.store import Slot

KEPT_DAYS = 730
"""For how many days counts are kept: two years, so that a season can be held against the last."""


class Count(NamedTuple):
    """How many pictures were given a verdict on a day.

    Attributes:
        day: UTC, ``YYYY-MM-DD``.
        slot: of the class that was named.
        verdict: as ``Verdict`` in ``catalog.judging.cross_check`` has it.
        pictures: how many.
    """

    day: str
    slot: Slot
    verdict: str
    pictures: int


class ClassDay(NamedTuple):
    """How a class did on a day: of so many pictures that it was named for, so many a match."""

    slot: Slot
    day: str
    pictures: int
    matches: int


def add(tx: sqlite3.Connection, counts: Iterable[Count]) -> None:
    """Add counts to those that are there; none of a class that was forgotten meanwhile.

    Args:
        tx: a writing transaction.
        counts: of classes that the file has, or had.
    """
    tx.executemany(
        "INSERT INTO asked (day, label, verdict, pictures) "
        "SELECT :day, slot, :verdict, :pictures FROM label WHERE slot = :slot AND name != '' "
        "ON CONFLICT (day, label, verdict) DO UPDATE SET pictures = pictures + excluded.pictures",
        [count._asdict() for count in counts],
    )


def drop_old(tx: sqlite3.Connection, today: str) -> None:
    """Delete the counts of days that are longer ago than :data:`KEPT_DAYS`."""
    first = date.fromisoformat(today) - timedelta(days=KEPT_DAYS)
    tx.execute("DELETE FROM asked WHERE day < ?", (first.isoformat(),))


def forget(tx: sqlite3.Connection, slot: Slot) -> None:
    """Delete the counts of a class."""
    tx.execute("DELETE FROM asked WHERE label = ?", (slot,))


def embedder_changed(tx: sqlite3.Connection) -> str:
    """The day on which the catalogue last went over to another embedder; empty if it never did.

    That a switch was undone is such a change, too: what was counted before it and what was counted
    after it are not comparable.
    """
    row = tx.execute(
        "SELECT max(at) FROM event WHERE kind = 'switch-embedder' "
        "OR id IN (SELECT undone_by FROM event WHERE kind = 'switch-embedder')"
    ).fetchone()
    return str(row[0] or "")[:10]


def by_day(tx: sqlite3.Connection, after: str, today: str) -> list[tuple[str, str, int]]:
    """Day, verdict and number of pictures, of the days after one, in order.

    Days to come, on which only a wrong clock has counted, are left out.
    """
    return tx.execute(
        "SELECT day, verdict, sum(pictures) FROM asked "
        "WHERE day > ? AND day <= ? AND pictures > 0 GROUP BY day, verdict ORDER BY day",
        (after, today),
    ).fetchall()


def by_class(tx: sqlite3.Connection, after: str, today: str) -> Iterator[ClassDay]:
    """How each class did on each day of those, class by class."""
    rows = tx.execute(
        "SELECT label, day, sum(pictures), sum(CASE verdict WHEN 'match' THEN pictures ELSE 0 END) "
        "FROM asked WHERE day > ? AND day <= ? AND pictures > 0 GROUP BY label, day ORDER BY label",
        (after, today),
    )
    return (ClassDay(Slot(row[0]), *row[1:]) for row in rows)
