"""The descriptors a head is trained on: stored ones, and what stands in for others."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog import generators
from catalog.compaction import compacted_classes
from catalog.learning import DRAWN, Learning, live_labels
from catalog.learnt_files import LearntHead
from head import Generator, TrainingOptions


class Replayed(NamedTuple):
    """Rows to train on, float32 (N, D), whitened; and the column of each, int64 (N,).

    ``generator`` is what other classes were drawn by, where that was a generative network.
    """

    rows: NDArray[np.float32]
    positions: NDArray[np.int64]
    generator: Generator | None = None


def replay(
    tx: sqlite3.Connection,
    learning: Learning,
    begun: LearntHead,
    new: set[int],
    options: TrainingOptions,
) -> Replayed:
    """Put together what a head is trained on.

    Args:
        tx: a transaction.
        learning: of the catalogue.
        begun: a head with a column for every class, and its metric.
        new: the classes that the head has not been trained on yet.
        options: say where descriptors of the other classes come from.
    """
    live = [slot for slot, _ in live_labels(tx)]
    drawn = [] if options.replay in {"stored", "none"} else [s for s in live if s not in new]
    wanted = set(live) if options.replay == "stored" else new
    drawn += sorted(wanted & compacted_classes(tx))
    labels, rows = learning.rows(tx)
    kept = np.array([slot in wanted for slot in labels.tolist()], np.bool_)
    own = (begun.metric.whiten(rows[kept]), labels[kept])
    generator = None
    if options.replay == "gan":
        every = (begun.metric.whiten(rows), labels)
        generator = generators.trained(tx, begun, every, drawn, options.seed)
        draws = generator.sample(drawn, DRAWN, seed=options.seed)
    else:
        draws = learning.draws(tx, begun.metric, drawn, options.seed)
    slots = np.concatenate([own[1], np.repeat(np.array(drawn, np.int64), DRAWN)])
    column = {slot: at for at, slot in enumerate(begun.head.classes.tolist())}
    positions = np.array([column[slot] for slot in slots.tolist()], np.int64)
    return Replayed(np.concatenate([own[0], draws]), positions, generator)
