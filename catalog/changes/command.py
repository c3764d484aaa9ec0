"""One command that changes a catalogue: its events belong together, and the head follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from catalog.head import Head, TrainingOptions
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.training import Switch, TrainingProgress, prepare_switch, train_again
from catalog.learning.widening import widen_for
from catalog.store import Transaction, heads, journal
from catalog.store.classes import Label, spell
from catalog.store.heads import HeadRecord, HeadTraining
from catalog.store.journal import Change
from catalog.store.names import Name


class Command:
    """A command that gives classes items, from its first event to its last.

    In the transaction of an event the head is switched, if the command asks for that and this is
    the first, and widened, if the class is new. A ``document`` head is trained when the block ends.

    Args:
        catalog: that is changed.
        way: how the head is to be trained from the first event on; as it is by default.
        training: told of each batch of a ``document`` training.

    Attributes:
        event: the first event, once there is one.
    """

    def __init__(
        self,
        catalog: Opened,
        way: HeadTraining | None = None,
        training: TrainingProgress | None = None,
    ) -> None:
        self.event: int | None = None
        self.store = catalog._store
        self._catalog = catalog
        self._way = way
        self._training = training
        self._switch: Switch | None = None
        self._changed = False
        self._head: HeadRecord | None = None

    def bounds(self) -> list[Bound]:
        """The catalogue as each of its embedders has it, the active one first."""
        return self._catalog._every_bound()

    def __enter__(self) -> Command:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._changed:
            self._train()

    def prepare(self) -> None:
        """Get ready what a switch begins with; solving it would take a transaction too long."""
        if self._way is None or self._changed:
            return
        self._switch = None
        with self.store.reading() as tx:
            present = heads.current(tx).training
        # A document head is trained, and stored, once everything has landed.
        if self._way not in {present, "document"}:
            self._switch = prepare_switch(self._catalog._keeper, self._way)

    def record(
        self,
        tx: Transaction,
        kind: str,
        label: Label,
        changes: Sequence[Change],
        detail: Mapping[str, Any],
        *,
        name: Name,
    ) -> int:
        """Let a class take up items, as one event.

        Args:
            tx: a writing transaction.
            kind: of the event.
            label: the class, as it was before.
            changes: of the items.
            detail: JSON values that the event says beside the class's name.
            name: of the class as it is spelt now. One that was removed comes back so, in its old
                slot.

        Returns:
            The event's id.

        Raises:
            Conflict: an item was changed by someone else meanwhile, or the head before a switch.
        """
        if changes and self._switch is not None:
            switched = self._switch.record(tx, self.event)
            self.event, self._switch = self.event or switched, None
        told: dict[str, Any] = {"label": name.text, **detail}
        if label.name != told["label"]:
            told["names"] = [label.row]
            spell(tx, label.slot, name)
        is_new = bool(changes) and not label.items
        solved = self._solved_head(tx) if is_new else None
        event = journal.record(tx, kind, told, changes, self.event)
        if is_new:
            widened = widen_for(tx, self._catalog._stored, label.slot, event, solved)
            journal.amend(tx, event, {"head": widened})
        self.event = self.event or event
        self._changed = self._changed or bool(changes)
        self._head = heads.current(tx)
        return event

    def _solved_head(self, tx: Transaction) -> Head | None:
        """The exact head, if it is at hand: it is not once another class has landed."""
        if heads.current(tx).training != "exact" or self._changed:
            return None
        return self._catalog._keeper.known_head(journal.version(tx))

    def _train(self) -> None:
        """Train a ``document`` head on what has changed.

        Where there is none, nothing is read: what has landed is not to fail any more.
        """
        record = self._head
        if record is None or (self._way or record.training) != "document":
            return
        train_again(
            self.store,
            self._catalog._keeper,
            TrainingOptions.from_dict(record.options),
            command=self.event,
            progress=self._training,
        )
