"""The head kept in step with the classes, in the transaction in which a class lands."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from catalog import heads
from catalog.descriptors import Damaged, Metric
from catalog.head import Head, TrainingOptions, widen, widen_frozen
from catalog.heads import HeadTraining
from catalog.learning import Learning
from catalog.store import Store
from catalog.training import Switch, prepare_switch


class HeadKeeper:
    """Switches the head with the first class that lands, and widens it for new ones.

    For one command.

    Args:
        learning: of the catalogue.
        way: how the head is to be trained from the first class on that lands; as it is by default.

    Attributes:
        switched: the event that switched the head, once there is one.
    """

    def __init__(self, learning: Learning, way: HeadTraining | None = None) -> None:
        self._learning = learning
        self._way = way
        self._switch: Switch | None = None
        self._known: Head | None = None
        self._looked = False
        self.switched: int | None = None

    def prepare(self, store: Store) -> None:
        """Get ready what a switch begins with, since solving it takes too long for a landing."""
        if self._way is None or self.switched is not None:
            return
        with store.reading() as tx:
            present = heads.current(tx).training
        # A document head is trained once everything has landed, and stored then.
        if self._way not in {present, "document"}:
            self._switch = prepare_switch(store, self._learning, self._way)

    def switch(self, tx: sqlite3.Connection, command: int | None) -> int | None:
        """Switch the head in the transaction of a class that lands, if that is still to be done.

        Args:
            tx: a writing transaction.
            command: the first event of the same command, if this is a later step of one.

        Returns:
            The first event of the command.

        Raises:
            Conflict: the catalogue was changed since the switch was prepared.
        """
        if self._switch is not None and self.switched is None:
            self.switched = self._switch.record(tx, command)
        return command or self.switched

    def look(self, tx: sqlite3.Connection) -> None:
        """Look at the head as it is before a class lands, without solving it anew."""
        self._known = None
        if heads.current(tx).training == "exact" and not self._looked:
            self._known = self._learning.known_head(tx)
        self._looked = True  # once a class has landed there is no solved head any more

    def widen(self, tx: sqlite3.Connection, slot: int, event: int) -> dict[str, Any]:
        """Add the column of a class whose items have just landed.

        A ``frozen`` head is stored with its new column trained. A ``document`` head gets a column
        of zeros, and is trained when the command is done. An ``exact`` one, if it had been solved,
        is widened and then forgotten, since it will be solved anew from everything.

        Returns:
            What the journal says of it: how the head is trained, how many columns it had, and their
            checksum before and after.
        """
        record = heads.current(tx)
        if record.training == "none":
            return {"training": "none"}
        if not record.stored:
            if self._known is None or slot in self._known.classes:
                return {"training": record.training, "columns": 0}
            return heads.widening(self._known, widen(self._known, slot), record.training)
        old, metric = heads.load(tx, record, self._learning.width)
        old = old.without(slot)  # of a class that was removed, and is made anew
        if record.training == "frozen":
            new = self._frozen(tx, old, metric, slot)
        else:
            options = TrainingOptions.from_dict(record.options)
            new = widen(old, slot, start=options.start, seed=options.seed)
        entry = heads.widening(old, new, record.training)
        heads.append(tx, record, event, new)
        stored, _ = heads.load(tx, record, self._learning.width)
        if stored.checksum() != new.checksum():
            raise Damaged("the widened head was not stored as it is; nothing was written")
        return entry

    def _frozen(self, tx: sqlite3.Connection, old: Head, metric: Metric, slot: int) -> Head:
        """The head with a column for a class, trained on every descriptor, and draws of others."""
        labels, descriptors = self._learning.rows(tx)
        dropped, draws = self._learning.dropped(tx, metric)
        labels = np.concatenate([labels, dropped])
        rows = np.concatenate([metric.whiten(descriptors), draws])
        column = {label: at for at, label in enumerate([*old.classes.tolist(), slot])}
        has = np.array([label in column for label in labels.tolist()])
        positions = np.array([column[label] for label in labels[has].tolist()], np.int64)
        return widen_frozen(old, slot, rows[has], positions)
