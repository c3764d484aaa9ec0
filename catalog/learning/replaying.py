"""The descriptors a head is trained on: stored ones, and what stands in for others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.head import Generator, TrainingOptions
from catalog.judging.cross_fit import DRAWN
from catalog.learning import generators
from catalog.learning.derived_files import LearntHead
from catalog.learning.learning import Learning
from catalog.store import Transaction, classes
from catalog.store.compaction import compacted_classes


class Replayed(NamedTuple):
    """Rows to train on, float32 (N, D), whitened; and the column of each, int64 (N,).

    ``generator`` is what other classes were drawn by, where that was a generative network.
    """

    rows: NDArray[np.float32]
    positions: NDArray[np.int64]
    generator: Generator | None = None


def replay(
    tx: Transaction,
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
        new: the classes that the head has not been trained on yet. If there are none, pictures came
            to old ones, and it is trained on all stored descriptors. One picture alone cannot be
            trained on; then the other classes are drawn from their sums.
        options: say where descriptors of the other classes come from.
    """
    live = [slot for slot, _ in classes.live(tx)]
    labels, rows = learning.rows(tx)
    alone = options.replay == "none" and np.isin(labels, list(new)).sum() > 1
    wanted = set(live) if options.replay == "stored" or not new else new
    drawn = [] if alone else [slot for slot in live if slot not in wanted]
    drawn += sorted(wanted & compacted_classes(tx))
    every = (begun.metric.whiten(rows), labels)
    generator = None
    if options.replay == "gan":
        generator = generators.trained(tx, begun, every, drawn, options.seed)
    known = set() if generator is None else set(generator.classes.tolist())
    by_network = [slot for slot in drawn if slot in known]
    by_sums = [slot for slot in drawn if slot not in known]
    kept = np.array([slot in wanted for slot in labels.tolist()], np.bool_)
    parts = [every[0][kept], learning.draws(tx, begun.metric, by_sums, options.seed)]
    if generator is not None:
        parts.append(generator.sample(by_network, DRAWN, seed=options.seed))
    slots = [*labels[kept].tolist(), *np.repeat([*by_sums, *by_network], DRAWN).tolist()]
    column = {slot: at for at, slot in enumerate(begun.head.classes.tolist())}
    positions = np.array([column[slot] for slot in slots], np.int64)
    return Replayed(np.concatenate(parts), positions, generator)
