"""The head widened by the column of a new class, in the transaction in which that lands."""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.descriptors import Damaged, Metric, to_floats
from catalog.head import Head, TrainingOptions, widen, widen_frozen
from catalog.learning.draws import with_draws
from catalog.store import Transaction, compaction, heads, moment
from catalog.store.descriptors import StoredDescriptors


def widen_for(
    tx: Transaction, stored: StoredDescriptors, slot: int, event: int, solved: Head | None
) -> dict[str, Any]:
    """Add the column of a class whose items have just landed.

    A ``frozen`` head is stored with its new column trained. A ``document`` head gets a column of
    zeros, and is trained when the command is done. An ``exact`` one, if it had been solved, is
    widened and then forgotten, since it will be solved anew from everything.

    Args:
        tx: a writing transaction.
        stored: the descriptors.
        slot: of the class.
        event: that its items landed with.
        solved: the exact head of the state before, if it was solved.

    Returns:
        What the journal says of it: how the head is trained, how many columns it had, and their
        checksum before and after.

    Raises:
        Damaged: old columns would change; nothing must be written then.
    """
    record = heads.current(tx)
    if record.training == "none":
        return {"training": "none"}
    if not record.stored:
        if solved is None or slot in solved.classes:
            return {"training": record.training, "columns": 0}
        return heads.widening(solved, widen(solved, slot), record.training)
    old, metric = heads.load(tx, record, stored.width)
    old = old.without(slot)  # of a class that was removed, and is made anew
    if record.training == "frozen":
        new = _frozen(tx, stored, old, metric, slot)
    else:
        options = TrainingOptions.from_dict(record.options)
        new = widen(old, slot, start=options.start, seed=options.seed)
    entry = heads.widening(old, new, record.training)
    heads.append(tx, record, event, new)
    written, _ = heads.load(tx, record, stored.width)
    if written.checksum() != new.checksum():
        raise Damaged("the widened head was not stored as it is; nothing was written")
    return entry


def _frozen(
    tx: Transaction, stored: StoredDescriptors, old: Head, metric: Metric, slot: int
) -> Head:
    """The head with a column for a class, trained on every descriptor, and draws of others."""
    now = moment.read(tx, stored.embedder_id)
    labels, descriptors = now.slots, stored.of(tx, now.items.tolist())
    rows = metric.whiten(to_floats(descriptors))
    dropped = [live for live in now.order if live in now.compacted]
    if dropped:
        sums = compaction.sums_of_dropped(tx, stored.width)
        sums.add(labels, descriptors)
        labels, rows = with_draws(labels, rows, sums, metric, dropped)
    column = {label: at for at, label in enumerate([*old.classes.tolist(), slot])}
    has = np.array([label in column for label in labels.tolist()])
    positions = np.array([column[label] for label in labels[has].tolist()], np.int64)
    return widen_frozen(old, slot, rows[has], positions)
