"""The descriptors a head is trained on: stored ones, and what stands in for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.head import Generator, TrainingOptions
from catalog.judging.cross_fit import DRAWN
from catalog.learning import generators
from catalog.learning.draws import draws_of
from catalog.learning.kinds import LearntHead
from catalog.learning.learning import Learning
from catalog.store.moment import Moment, places_of


class Replayed(NamedTuple):
    """Rows to train on, float32 (N, D), whitened; and the column of each, int64 (N,).

    ``generator`` is what other classes were drawn by, where that was a generative network.
    """

    rows: NDArray[np.float32]
    positions: NDArray[np.int64]
    generator: Generator | None = None


def replay(
    learning: Learning,
    moment: Moment,
    begun: LearntHead,
    new: set[int],
    options: TrainingOptions,
    *,
    kept: Generator | None,
) -> Replayed:
    """Put together what a head is trained on.

    Args:
        learning: of the catalogue.
        moment: the state that it is trained in.
        begun: a head with a column for every class, and its metric.
        new: the classes that the head has not been trained on yet. If there are none, pictures came
            to old ones, and it is trained on all stored descriptors. One picture alone cannot be
            trained on; then the other classes are drawn from their sums.
        options: say where descriptors of the other classes come from.
        kept: the generator that was kept with an earlier head, if any.
    """
    labels, whitened = moment.slots, learning.whitened(moment, begun.metric)
    stored, drawn = _origins(moment, new, options)
    generator = None
    if options.replay == "gan":
        generator = generators.trained(kept, begun, (whitened, labels), drawn, options.seed)
    known = set() if generator is None else set(generator.classes.tolist())
    by_sums = [slot for slot in drawn if slot not in known]
    by_network = [slot for slot in drawn if slot in known]
    own = np.isin(labels, list(stored))
    draws = draws_of(learning.sums(moment), begun.metric, by_sums, options.seed)
    parts = [whitened[own], draws]
    if generator is not None:
        parts.append(generator.sample(by_network, DRAWN, seed=options.seed))
    slots = np.concatenate([labels[own], np.repeat(_slots([*by_sums, *by_network]), DRAWN)])
    positions = places_of(slots, begun.head.classes.tolist())
    return Replayed(np.concatenate(parts), positions, generator)


def _origins(moment: Moment, new: set[int], options: TrainingOptions) -> tuple[set[int], list[int]]:
    """The classes whose stored descriptors are trained on, and those that are drawn.

    Of a class that was compacted there are both.
    """
    live: list[int] = list(moment.order)
    stored = set(live) if options.replay == "stored" or not new else new
    alone = options.replay == "none" and np.isin(moment.slots, list(new)).sum() > 1
    drawn = [] if alone else [slot for slot in live if slot not in stored]
    return stored, [*drawn, *sorted(stored & moment.compacted)]


def _slots(slots: Sequence[int]) -> NDArray[np.int64]:
    return np.array(slots, np.int64)
