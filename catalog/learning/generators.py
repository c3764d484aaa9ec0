"""The generative network that a ``document`` head replays old classes with.

It is trained on a class while its descriptors are there, and kept with the head, so that they can
be dropped afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric
from catalog.head import GanOptions, Generator, train_gan, widen_generator
from catalog.learning.kinds import LearntHead
from catalog.store import Transaction, heads

_FURTHER = 500
"""Steps of a training that only adds classes; a first one takes what ``GanOptions`` says."""

_PER_CLASS = 32


def load(tx: Transaction, metric: Metric) -> Generator | None:
    """The newest generator of descriptors that are whitened with a metric.

    Raises:
        Damaged: it cannot be read.
    """
    arrays = heads.generator(tx, metric)
    return None if arrays is None else Generator.from_arrays(arrays)


def trained(
    kept: Generator | None,
    begun: LearntHead,
    every: tuple[NDArray[np.float32], NDArray[np.int64]],
    wanted: Sequence[int],
    seed: int,
) -> Generator | None:
    """A generator that can draw the classes wanted, but for those that nothing is stored of.

    The one that was kept is widened by the classes that are new to it, and trained further on
    their stored descriptors and on its own draws of the others. Without one, it is trained on all
    stored descriptors.

    Args:
        kept: the one that was kept, if any.
        begun: the head, whose metric the descriptors are whitened with.
        every: all stored descriptors, float32 (N, D), whitened, and their label slots (N,).
        wanted: label slots.
        seed: of all that is drawn.

    Returns:
        None if there is nothing that one could be trained on.
    """
    rows, labels = every
    learnable = [slot for slot in wanted if slot in labels]
    missing = [slot for slot in learnable if kept is None or slot not in kept.classes]
    if not missing:
        return kept
    if kept is None:
        kept = Generator.fresh(missing, begun.head.width, seed=seed)
        options, replayed = GanOptions(seed=seed), np.zeros((0, rows.shape[1]), np.float32)
        old: list[int] = []
    else:
        options, old = GanOptions(steps=_FURTHER, seed=seed), kept.classes.tolist()
        replayed = kept.sample(old, _PER_CLASS, seed=seed)
        for slot in missing:
            kept = widen_generator(kept, slot, seed=seed)
    own = np.isin(labels, missing)
    slots = np.concatenate([labels[own], np.repeat(np.array(old, np.int64), _PER_CLASS)])
    place = {slot: at for at, slot in enumerate(kept.classes.tolist())}
    positions = np.array([place[slot] for slot in slots.tolist()], np.int64)
    return train_gan(kept, np.concatenate([rows[own], replayed]), positions, options)
