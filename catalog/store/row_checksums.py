"""The checksum that every row carries, renewed by the statement that changes the row.

SQLite believes what it reads: a bit that flips on a disk in the middle of a name makes another
name. So every row has the CRC-32 of its values. Triggers of the connection keep it, so no statement
can forget to, and they refuse to change a row that is not as it was written, which would bless what
has become of it. They are not part of the file: another tool may read it, and what such a tool
changes is found out.

The CRC-32 is of the table's name and, each after a comma, the values of the other columns in
order: ``NULL``, whole numbers in decimal, texts (UTF-8) and blobs in hexadecimal, and real numbers
times 2^40, cut to whole ones, since SQLite's versions differ in how they write a fraction. Of
descriptors it is of the value alone, and whoever reads one checks that. Which item it belongs to is
told by an index as well, which SQLite compares.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping

from catalog.store.schema import FORMAT_VERSION, columns

_WAYS = {
    "INTEGER": "quote({})",
    "REAL": "quote(CAST({} * 1099511627776.0 AS INTEGER))",
    "TEXT": "CASE WHEN {0} IS NULL THEN 'NULL' ELSE hex({0}) END",
    "BLOB": "CASE WHEN {0} IS NULL THEN 'NULL' ELSE hex({0}) END",
}


OF_DESCRIPTORS = {"descriptor": "descriptors", "made_up": "descriptors of made-up photos"}
"""The tables whose rows are descriptors, and what they are of."""


def register(connection: sqlite3.Connection) -> None:
    """Let a connection compute the checksums of rows."""
    # A function in Python could be interrupted by Ctrl-C, which SQLite would take for its failure.
    connection.create_function("crc32", 1, zlib.crc32, deterministic=True)


def guard(connection: sqlite3.Connection) -> None:
    """Let a connection to a file of this format keep the checksums of the rows that it changes."""
    if connection.execute("SELECT 1 FROM temp.sqlite_master WHERE type = 'trigger'").fetchone():
        return
    for table, covered in _covered(FORMAT_VERSION).items():
        question = "SELECT name FROM pragma_table_info(?, 'main') WHERE pk > 0"
        keys = [key for (key,) in connection.execute(question, (table,))] or ["rowid"]
        its = " AND ".join(f"{key} = new.{key}" for key in keys)
        renew = f"UPDATE {table} SET checksum = {_of(table, covered, 'new.')} WHERE {its}"  # noqa: S608
        names = ", ".join(covered)
        connection.execute(
            f"CREATE TEMP TRIGGER {table}_written AFTER INSERT ON main.{table} BEGIN {renew}; END"
        )
        connection.execute(
            f"CREATE TEMP TRIGGER {table}_changed AFTER UPDATE OF {names} ON main.{table} "
            f"BEGIN {renew}; END"
        )
        connection.execute(
            f"CREATE TEMP TRIGGER {table}_sound BEFORE UPDATE OF {names} ON main.{table} "
            f"WHEN old.checksum IS NOT {_of(table, covered, 'old.')} BEGIN "
            f"SELECT RAISE(ABORT, 'a row of {table} does not match its checksum'); END"
        )


def fill(tx: sqlite3.Connection) -> None:
    """Give every row of a file that had none its checksum."""
    for table, covered in _covered(FORMAT_VERSION).items():
        tx.execute(f"UPDATE {table} SET checksum = {_of(table, covered)}")  # noqa: S608


def cover(tx: sqlite3.Connection, version: int) -> None:
    """Let the checksums of rows that were sound cover the columns that came after a format."""
    now = _covered(FORMAT_VERSION)
    for table, then in _covered(version).items():
        if then != now[table]:
            tx.execute(
                f"UPDATE {table} SET checksum = {_of(table, now[table])} "  # noqa: S608
                f"WHERE checksum IS {_of(table, then)}"
            )


def is_sound(table: str) -> str:
    """That a row is as it was written, as an expression of SQL."""
    return f"checksum IS {_of(table, _covered(FORMAT_VERSION)[table])}"


def mismatches(tx: sqlite3.Connection) -> Iterator[str]:
    """Rows that are not as they were written, in words."""
    tables = tx.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'table' AND EXISTS (SELECT 1 FROM "
        "pragma_table_info(sqlite_master.name, 'main') AS its WHERE its.name = 'checksum')"
    )
    present = {name for (name,) in tables}  # older formats have none
    (version,) = tx.execute("PRAGMA user_version").fetchone()
    for table, covered in _covered(version).items():
        if table in present:
            question = (
                f"SELECT count(*) FROM main.{table} WHERE checksum IS NOT {_of(table, covered)}"  # noqa: S608
            )
            (count,) = tx.execute(question).fetchone()
            if count:
                yield f"{count} rows of {table} do not match their checksums"
    for table, what in OF_DESCRIPTORS.items():
        question = f"SELECT count(*) FROM {table} WHERE checksum IS NOT crc32(value)"  # noqa: S608
        (flipped,) = tx.execute(question).fetchone()
        if flipped:
            yield f"{flipped} {what} do not match their checksums"


def _covered(version: int) -> dict[str, dict[str, str]]:
    """Tables of a format, and their columns that go into the checksum of a row."""
    return {
        table: {name: kind for name, kind in its.items() if name != "checksum"}
        for table, its in columns(version).items()
        if table not in OF_DESCRIPTORS
    }


def _of(table: str, its: Mapping[str, str], row: str = "") -> str:
    """The checksum of a row, as an expression of SQL."""
    values = " || ',' || ".join(_WAYS[kind].format(row + name) for name, kind in its.items())
    return f"crc32(CAST('{table},' || {values} AS BLOB))"
