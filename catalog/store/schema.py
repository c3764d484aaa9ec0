"""The tables of a catalogue file, as each version of its format added them."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from catalog.machine import locked_files

FORMAT_VERSION = 8
APPLICATION_ID = 0x4354_4C47  # "CTLG"
PAGE_SIZE = 16384  # six descriptors a page; with 4096 it would be one, and a third wasted

SCHEMA_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- The embedder whose descriptors these are, and the prior its metric starts from.
CREATE TABLE embedder (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    spec TEXT NOT NULL,
    prior BLOB NOT NULL,
    probes BLOB NOT NULL
);

-- A class keeps its slot for ever; it exists while it has items.
CREATE TABLE label (
    slot INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE
);

-- A picture that was embedded; an item of the catalogue while it has a label.
CREATE TABLE item (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content BLOB NOT NULL UNIQUE,
    label INTEGER REFERENCES label (slot)
);
CREATE INDEX item_label ON item (label) WHERE label IS NOT NULL;

CREATE TABLE descriptor (
    id INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES item (id),
    embedder INTEGER NOT NULL REFERENCES embedder (id),
    value BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (item, embedder)
);

-- The journal: what happened, and how it changed each item's label. Undo reads it backwards.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command INTEGER NOT NULL,
    token BLOB NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    undone_by INTEGER REFERENCES event (id)
);
CREATE TABLE change (
    event INTEGER NOT NULL REFERENCES event (id),
    item INTEGER NOT NULL REFERENCES item (id),
    before INTEGER REFERENCES label (slot),
    after INTEGER REFERENCES label (slot),
    PRIMARY KEY (event, item)
) WITHOUT ROWID;
CREATE INDEX change_item ON change (item, event);

-- Where a picture was found; a picture may be found in several places.
CREATE TABLE source (
    item INTEGER NOT NULL REFERENCES item (id),
    place TEXT NOT NULL,
    event INTEGER NOT NULL REFERENCES event (id),
    PRIMARY KEY (item, place, event)
) WITHOUT ROWID;
"""

# What format 2 added to format 1.
SCHEMA_2 = """
-- How the head is trained from an event on; the newest row counts. Without a row it is solved
-- from the descriptors, and derived. One whose weights depend on history is stored, with the
-- metric that its descriptors are whitened with.
CREATE TABLE head (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL REFERENCES event (id),
    training TEXT NOT NULL,
    options TEXT NOT NULL,
    metric BLOB,
    curves BLOB
);
CREATE TABLE head_column (
    head INTEGER NOT NULL REFERENCES head (id),
    position INTEGER NOT NULL,
    label INTEGER NOT NULL REFERENCES label (slot),
    event INTEGER NOT NULL REFERENCES event (id),
    weights BLOB NOT NULL,
    bias REAL NOT NULL,
    UNIQUE (head, position)
);

-- Photos that were answered "unknown" and kept, to propose new classes from.
CREATE TABLE kept (
    item INTEGER PRIMARY KEY REFERENCES item (id),
    at TEXT NOT NULL,
    place TEXT
);

-- What is left of classes whose descriptors were dropped: exact sums. A row without a label is of a
-- class that was removed since, and goes on in the metric alone.
CREATE TABLE compacted (
    id INTEGER PRIMARY KEY,
    label INTEGER UNIQUE REFERENCES label (slot),
    items INTEGER NOT NULL,
    total BLOB NOT NULL
);
CREATE TABLE compacted_item (item INTEGER PRIMARY KEY REFERENCES item (id));
CREATE TABLE compacted_gram (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL);

-- The generative network that a document head replays old classes with.
CREATE TABLE generator (
    head INTEGER PRIMARY KEY REFERENCES head (id),
    event INTEGER NOT NULL REFERENCES event (id),
    arrays BLOB NOT NULL
);
"""

# What format 3 added to format 2: every row has a checksum (descriptors had theirs from the first),
# and a source knows the size and the time that its file had when it was read.
SCHEMA_3 = """
ALTER TABLE meta ADD COLUMN checksum INTEGER;
ALTER TABLE embedder ADD COLUMN checksum INTEGER;
ALTER TABLE label ADD COLUMN checksum INTEGER;
ALTER TABLE item ADD COLUMN checksum INTEGER;
ALTER TABLE event ADD COLUMN checksum INTEGER;
ALTER TABLE change ADD COLUMN checksum INTEGER;
ALTER TABLE source ADD COLUMN size INTEGER;
ALTER TABLE source ADD COLUMN modified INTEGER;
ALTER TABLE source ADD COLUMN checksum INTEGER;
ALTER TABLE head ADD COLUMN checksum INTEGER;
ALTER TABLE head_column ADD COLUMN checksum INTEGER;
ALTER TABLE kept ADD COLUMN checksum INTEGER;
ALTER TABLE compacted ADD COLUMN checksum INTEGER;
ALTER TABLE compacted_item ADD COLUMN checksum INTEGER;
ALTER TABLE compacted_gram ADD COLUMN checksum INTEGER;
ALTER TABLE generator ADD COLUMN checksum INTEGER;
"""

# What format 4 added to format 3: what is known of how independent pictures are, and evidence where
# there is none.
SCHEMA_4 = """
-- When a picture was taken, as the owner or the camera says; pictures of one occasion count as one.
-- ``name`` is what the owner calls it, ``taken`` milliseconds since 1970 by the camera's clock.
CREATE TABLE occasion (
    item INTEGER NOT NULL REFERENCES item (id),
    event INTEGER NOT NULL REFERENCES event (id),
    name TEXT,
    camera TEXT,
    taken INTEGER,
    checksum INTEGER,
    PRIMARY KEY (item, event)
) WITHOUT ROWID;

-- Descriptors of photos that were made up of a picture, one after another: evidence of how sure an
-- answer may be, and nothing else. They are neither items nor part of any sum.
CREATE TABLE made_up (
    id INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES item (id),
    embedder INTEGER NOT NULL REFERENCES embedder (id),
    event INTEGER NOT NULL REFERENCES event (id),
    value BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (item, embedder)
);
"""

# What format 5 added to format 4. It changed the keys of classes, too: names that differ by accents
# or width had one.
SCHEMA_5 = """
-- A place belongs to the picture that was found there last.
CREATE INDEX source_place ON source (place);
"""

# What format 6 added to format 5: what a folder said of a picture, so that it can be kept in step
# with it, and what is done over many pictures, as it goes on.
SCHEMA_6 = """
-- The class that a folder or manifest had the picture in, as it was spelt there, and whether the
-- picture was seen to be gone from there.
ALTER TABLE source ADD COLUMN said TEXT;
ALTER TABLE source ADD COLUMN gone INTEGER;

-- Work on many pictures: what was asked, how far it is, which process is at it, and how it ended.
-- Of its stage, which began at ``since``, ``done`` pictures of ``total`` are done. ``machine``,
-- ``process`` and ``started`` name a process; ``cancel`` is set by whoever wants it to stop. Times
-- are UTC, ISO 8601.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    began TEXT NOT NULL,
    seen TEXT NOT NULL,
    ended TEXT,
    stage TEXT NOT NULL,
    since TEXT NOT NULL,
    done INTEGER NOT NULL,
    total INTEGER,
    machine TEXT NOT NULL,
    process INTEGER NOT NULL,
    started INTEGER NOT NULL,
    cancel INTEGER NOT NULL,
    outcome TEXT,
    checksum INTEGER
);

-- Pictures that a job could not take, in the order in which they came.
CREATE TABLE job_failure (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES job (id),
    place TEXT,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    checksum INTEGER
);
CREATE INDEX job_failure_job ON job_failure (job);
"""

# What format 7 added to format 6: a second embedder beside the first, and how pictures that were
# asked about were answered.
SCHEMA_7 = """
-- Whose descriptors count from an event on; the newest row counts. Without a row it is those of the
-- first embedder.
CREATE TABLE active (
    event INTEGER PRIMARY KEY REFERENCES event (id),
    embedder INTEGER NOT NULL REFERENCES embedder (id),
    checksum INTEGER
);

-- How many pictures were given a verdict on a day (UTC), by the class that was named.
CREATE TABLE asked (
    day TEXT NOT NULL,
    label INTEGER NOT NULL REFERENCES label (slot),
    verdict TEXT NOT NULL,
    pictures INTEGER NOT NULL,
    checksum INTEGER,
    PRIMARY KEY (day, label, verdict)
) WITHOUT ROWID;
"""

# What format 8 added to format 7: small copies of pictures, for those who want them kept.
SCHEMA_8 = """
-- A small copy of a picture, JPEG; kept where ``thumbnails`` in ``meta`` says so.
CREATE TABLE thumbnail (
    item INTEGER PRIMARY KEY REFERENCES item (id),
    jpeg BLOB NOT NULL,
    checksum INTEGER
);
"""

SCRIPTS = (SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4, SCHEMA_5, SCHEMA_6, SCHEMA_7, SCHEMA_8)
"""What each format added to the one before."""


def is_marked(path: Path) -> bool:
    """Whether a file says of itself that it is a catalogue, sound or not.

    Raises:
        OSError: it cannot be read.
    """
    return locked_files.beginning(path, 100)[68:72] == APPLICATION_ID.to_bytes(4)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one after another."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@functools.cache
def schema(version: int) -> frozenset[tuple[str, str, str, str | None]]:
    """Name, kind, table and definition of all that a file of a format consists of."""
    with contextlib.closing(_fresh(version)) as fresh:
        return frozenset(fresh.execute("SELECT name, type, tbl_name, sql FROM sqlite_master"))


@functools.cache
def columns(version: int) -> dict[str, dict[str, str]]:
    """The columns of each table of a format, and their types."""
    tables = [name for name, kind, _, _ in schema(version) if kind == "table"]
    with contextlib.closing(_fresh(version)) as fresh:
        return {
            table: dict(fresh.execute(_COLUMNS, (table,)).fetchall())
            for table in sorted(tables)
            if not table.startswith("sqlite_")
        }


_COLUMNS = "SELECT name, type FROM pragma_table_info(?, 'main')"


def _fresh(version: int) -> sqlite3.Connection:
    """An empty catalogue of a format, in memory."""
    fresh = sqlite3.connect(":memory:")
    for script in SCRIPTS[:version]:
        fresh.executescript(script)
    return fresh


def schema_faults(tx: sqlite3.Connection, version: int) -> Iterator[str]:
    """Tables and indices that are not those of a format, in words."""
    found = set(tx.execute("SELECT name, type, tbl_name, sql FROM main.sqlite_master"))
    for name in sorted({row[0] for row in schema(version) - found}):
        yield f"the {name!r} of this file is not that of its format"


def mistyped(tx: sqlite3.Connection) -> Iterator[str]:
    """Tables with values of another type than their columns have: SQLite lets that pass."""
    tables = tx.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        wrong = " OR ".join(
            f"typeof({name}) NOT IN ('{kind.lower()}', 'null')"
            for name, kind in tx.execute(_COLUMNS, (table,))
            if kind
        )
        if wrong:  # names are those of the file's own tables
            question = f"SELECT count(*) FROM main.{table} WHERE {wrong}"  # noqa: S608
            (count,) = tx.execute(question).fetchone()
            if count:
                yield f"{count} rows of {table} hold values of another type"
