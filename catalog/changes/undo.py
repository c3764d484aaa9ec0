"""The last command taken back."""

from __future__ import annotations

from catalog.descriptors import Conflict, NotFound
from catalog.learning.opened import Opened
from catalog.store import journal
from catalog.store.journal import Event


def undo(catalog: Opened, *, command: int | None = None) -> list[Event]:
    """Take back the last command that changed this catalogue and was not undone yet.

    Args:
        command: only if it is this one, by the ``command`` of its events: someone else may have
            changed something meanwhile.

    Returns:
        The events taken back.

    Raises:
        NotFound: there is nothing to undo.
        Conflict: the last command is another one, or dropped or deleted something for good.
    """
    with catalog._store.writing() as tx:
        undone = journal.undo_last(tx)
        if not undone:
            raise NotFound("there is nothing to undo")
        if command is not None and undone[0].command != command:
            raise Conflict(
                f"the last command is {undone[0].command} ({undone[0].kind}), and not {command}; "
                "nothing was undone"
            )
        return undone
