"""The catalogue file: the only place with SQL, and the files beside it."""

import sqlite3
from typing import TypeAlias

__all__ = ["DatabaseError", "Transaction"]

Transaction: TypeAlias = sqlite3.Connection
"""A connection within a transaction, as :meth:`Store.reading` and :meth:`Store.writing` give it."""

DatabaseError: TypeAlias = sqlite3.Error
"""What goes wrong with a file that is read past :class:`Store`."""
