"""The catalogue file: the only place with SQL, and the files beside it."""

import sqlite3
from typing import NewType, TypeAlias

__all__ = ["AT_ONCE", "DatabaseError", "ItemId", "Slot", "Transaction"]

Transaction: TypeAlias = sqlite3.Connection
"""A connection within a transaction, as :meth:`Store.reading` and :meth:`Store.writing` give it."""

AT_ONCE = 500
"""How many values go into one question to SQLite, which takes 999 at least."""

DatabaseError: TypeAlias = sqlite3.Error
"""What goes wrong with a file that is read past :class:`Store`."""

ItemId = NewType("ItemId", int)
"""The number of a picture that was embedded, an item while it is in a class; never used again."""

Slot = NewType("Slot", int)
"""The number of a class, from 1 on; never used again."""
