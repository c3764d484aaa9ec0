"""Whether a catalogue file and what is derived from it are sound."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog import heads, journal
from catalog.learning import Learning
from catalog.learnt_files import KINDS
from descriptors import Damaged
from index import derived

_QUESTIONS = (
    (
        "items without a descriptor",
        "SELECT count(*) FROM item WHERE label IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM descriptor WHERE descriptor.item = item.id AND embedder = :embedder) "
        "AND id NOT IN (SELECT item FROM compacted_item)",
    ),
    (
        "descriptors of a wrong length",
        "SELECT count(*) FROM descriptor WHERE embedder = :embedder AND length(value) != :bytes",
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
        "sources without an item",
        "SELECT count(*) FROM source WHERE NOT EXISTS "
        "(SELECT 1 FROM item WHERE item.id = source.item)",
    ),
)


@dataclass(frozen=True, slots=True)
class Verification:
    """What :meth:`Catalog.verify` found.

    Attributes:
        problems: what is wrong with the catalogue file, in words; none if it is sound.
        derived: what was wrong with derived files; they were deleted, and will be made again.
        generation: of the state that was checked.
        items: how many items it has.
    """

    problems: tuple[str, ...]
    derived: tuple[str, ...]
    generation: int
    items: int

    @property
    def sound(self) -> bool:
        """Whether the catalogue file is as it should be."""
        return not self.problems


def verify(
    tx: sqlite3.Connection, cache: Path, embedder_id: int, width: int, learning: Learning
) -> Verification:
    """Check the file's structure, its journal, and the derived files; delete unsound derived ones.

    Args:
        tx: a reading transaction.
        cache: folder of the derived files.
        embedder_id: whose descriptors the catalogue uses.
        width: length of a descriptor.
        learning: whose sums are compared with those of the descriptors.
    """
    try:
        problems = [str(row[0]) for row in tx.execute("PRAGMA integrity_check") if row[0] != "ok"]
    except sqlite3.DatabaseError as error:
        return Verification((str(error),), tuple(_unsound(cache)), 0, 0)
    if not problems:
        problems += _inconsistencies(tx, {"embedder": embedder_id, "bytes": 2 * width})
    faults = list(_unsound(cache))
    if not problems and not learning.check(tx):
        faults.append("sums: not those of the descriptors")
    (items,) = tx.execute("SELECT count(*) FROM item WHERE label IS NOT NULL").fetchone()
    generation = journal.version(tx).generation
    return Verification(tuple(problems), tuple(faults), generation, items)


def _inconsistencies(tx: sqlite3.Connection, values: dict[str, int]) -> Iterator[str]:
    for table, row, parent, _ in tx.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a {parent} that is not there"
    for what, question in _QUESTIONS:
        (count,) = tx.execute(question, values).fetchone()
        if count:
            yield f"{count} {what}"
    flipped = sum(
        zlib.crc32(value) != checksum
        for value, checksum in tx.execute("SELECT value, checksum FROM descriptor")
    )
    if flipped:
        yield f"{flipped} descriptors do not match their checksums"
    try:
        if (record := heads.current(tx)).stored:
            heads.load(tx, record, values["bytes"] // 2)
    except Damaged as error:
        yield str(error)
    for row, detail in tx.execute("SELECT id, detail FROM event"):
        try:
            json.loads(detail)
        except ValueError:
            yield f"event {row} cannot be read"


def _unsound(cache: Path) -> Iterator[str]:
    for kind in KINDS:
        if fault := derived.fault(cache / kind, kind):
            with contextlib.suppress(OSError):
                (cache / kind).unlink()
            yield fault
