"""Files of older formats: read as they are, and brought to the present one by the first write.

Reading an older file never changes it, so one on a medium that cannot be written can be asked. What
a table lacks is made up for by views of the connection, which stand before the file's own tables:
columns that are null, and tables without rows. The first transaction that writes takes the views
away and brings the file to the present format, and is undone with all of that if it fails.
"""

from __future__ import annotations

import sqlite3

from catalog.store.row_checksums import fill
from catalog.store.schema import FORMAT_VERSION, SCRIPTS, columns, statements


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the format that a file says it has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def stand_in(connection: sqlite3.Connection, version: int) -> None:
    """Let a connection to a file of some format answer what is asked of the present one."""
    made = "SELECT type, name FROM temp.sqlite_master WHERE type IN ('view', 'trigger')"
    for kind, name in connection.execute(made).fetchall():
        connection.execute(f"DROP {kind} temp.{name}")
    if version == FORMAT_VERSION:
        return
    older = columns(version)
    for table, names in columns(FORMAT_VERSION).items():
        has = older.get(table, {})
        if has != names:
            fields = ", ".join(name if name in has else f"NULL AS {name}" for name in names)
            rows = f"FROM main.{table}" if has else "WHERE 0"
            connection.execute(f"CREATE TEMP VIEW {table} AS SELECT {fields} {rows}")


def upgrade(tx: sqlite3.Connection, version: int) -> None:
    """Bring a file to the present format, in a transaction that writes."""
    stand_in(tx, FORMAT_VERSION)
    for script in SCRIPTS[version:]:
        for statement in statements(script):
            tx.execute(statement)
    if version < 3:
        fill(tx)
    tx.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
