"""When pictures were taken, as the owner or the camera says: rows of the table ``occasion``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from catalog.store import ItemId


class Occasion(NamedTuple):
    """What is known of when a picture was taken.

    Attributes:
        name: what the owner calls it; pictures of one name are of one occasion, and those of two
            names of two, however alike. None where the owner says nothing.
        camera: that took it, as it says itself; None where no time is known.
        taken: when, in milliseconds since 1970 by the camera's clock; None where that is not known.
    """

    name: str | None = None
    camera: str | None = None
    taken: int | None = None

    def beside(self, earlier: Occasion) -> Occasion:
        """What is known with what was said earlier: what is said now counts where they differ."""
        timed = earlier if self.taken is None else self
        return Occasion(self.name or earlier.name, timed.camera, timed.taken)


NOTHING_KNOWN = Occasion()
"""Of a picture of which nothing was said."""


def note(tx: sqlite3.Connection, said: Iterable[tuple[ItemId, Occasion]], event: int) -> None:
    """Write down what an event says of items; what was said before is kept for undo."""
    tx.executemany(
        "INSERT INTO occasion (item, event, name, camera, taken) VALUES (?, ?, ?, ?, ?)",
        [(item, event, *occasion) for item, occasion in said],
    )


def of(tx: sqlite3.Connection, item: ItemId) -> Occasion:
    """What was said of an item last."""
    row = tx.execute(
        "SELECT name, camera, taken FROM occasion WHERE item = ? ORDER BY event DESC LIMIT 1",
        (item,),
    ).fetchone()
    return Occasion(*row) if row else NOTHING_KNOWN


def known(tx: sqlite3.Connection, until: int) -> dict[ItemId, Occasion]:
    """What was said last, up to an event, of every item of which anything was said."""
    rows = tx.execute(
        "SELECT item, name, camera, taken FROM occasion WHERE event <= ? ORDER BY item, event",
        (until,),
    )
    return {item: Occasion(*said) for item, *said in rows}


def count(tx: sqlite3.Connection, after: int = 0) -> int:
    """How often something was said of an item, by the events after one."""
    (rows,) = tx.execute("SELECT count(*) FROM occasion WHERE event > ?", (after,)).fetchone()
    return int(rows)
