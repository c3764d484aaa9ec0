"""The last command taken back."""

from __future__ import annotations

from catalog.descriptors import NotFound
from catalog.learning.opened import Opened
from catalog.store import journal
from catalog.store.journal import Event


def undo(catalog: Opened) -> list[Event]:
    """Take back the last command that changed this catalogue and was not undone yet.

    Returns:
        The events taken back.

    Raises:
        NotFound: there is nothing to undo.
    """
    with catalog._store.writing() as tx:
        undone = journal.undo_last(tx)
        if not undone:
            raise NotFound("there is nothing to undo")
        return undone
