"""Files of older formats: read as they are, and brought to the present one by the first write.

Reading an older file never changes it, so one on a medium that cannot be written can be asked. What
a table lacks is made up for by views of the connection, which stand before the file's own tables:
columns that are null, tables without rows, and keys of classes as they are made now. The first
transaction that writes takes the views away and brings the file to the present format, and is
undone with all of that if it fails.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from catalog.descriptors import InvalidLabel
from catalog.store.names import label_key
from catalog.store.row_checksums import cover, fill, guard, is_sound
from catalog.store.schema import FORMAT_VERSION, SCRIPTS, columns, statements

_ROWS_HAVE_CHECKSUMS = 3
_KEYS_AS_NOW = 5  # the format in which classes have the keys that are made now

# They are computed beforehand: a function of Python within a statement could be interrupted by
# Ctrl-C, which SQLite would take for its failure.
_KEY_NOW = "coalesce((SELECT key FROM key_now WHERE slot = main.label.slot), key)"


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the format that a file says it has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def stand_in(connection: sqlite3.Connection, version: int) -> None:
    """Let a connection to a file of some format answer what is asked of the present one."""
    made = "SELECT type, name FROM temp.sqlite_master WHERE type IN ('view', 'trigger', 'table')"
    for kind, name in connection.execute(made).fetchall():
        connection.execute(f"DROP {kind} temp.{name}")
    if version == FORMAT_VERSION:
        return
    older = columns(version)
    rekeyed = version < _KEYS_AS_NOW
    if rekeyed:
        connection.execute("CREATE TEMP TABLE key_now (slot INTEGER PRIMARY KEY, key TEXT)")
        connection.executemany("INSERT INTO key_now VALUES (?, ?)", list(_keys_now(connection)))
    for table, names in columns(FORMAT_VERSION).items():
        has = older.get(table, {})
        if has != names or (table == "label" and rekeyed):
            fields = ", ".join(name if name in has else f"NULL AS {name}" for name in names)
            if table == "label":
                fields = fields.replace(" key,", f" {_KEY_NOW} AS key,")
            rows = f"FROM main.{table}" if has else "WHERE 0"
            connection.execute(f"CREATE TEMP VIEW {table} AS SELECT {fields} {rows}")


def _keys_now(connection: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """Slot and key of every class that has a name, as they would be made now."""
    for slot, name in connection.execute("SELECT slot, name FROM main.label WHERE name != ''"):
        with contextlib.suppress(InvalidLabel, TypeError):  # it is damaged, which is found later
            yield slot, label_key(name)


def upgrade(tx: sqlite3.Connection, version: int) -> None:
    """Bring a file to the present format, in a transaction that writes."""
    stand_in(tx, FORMAT_VERSION)
    for script in SCRIPTS[version:]:
        for statement in statements(script):
            tx.execute(statement)
    if version < _ROWS_HAVE_CHECKSUMS:
        fill(tx)
    else:
        cover(tx, version)
    guard(tx)
    if version < _KEYS_AS_NOW:
        sound = is_sound("label")
        for slot, key in list(_keys_now(tx)):
            tx.execute(f"UPDATE label SET key = ? WHERE slot = ? AND {sound}", (key, slot))  # noqa: S608
    tx.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
