"""What a new class would take from the others, before it is made."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.descriptors import unit_rows
from catalog.learning import Learning, label_names
from catalog.results import Taken


def taken_for(
    tx: sqlite3.Connection, learning: Learning, descriptors: NDArray[np.float32]
) -> tuple[Taken, ...]:
    """What descriptors float32 (N, D) are taken for as things are, the most frequent first."""
    said = [answer.label for answer in answers.predict(tx, learning, descriptors, 1)]
    counts = Counter(label for label in said if label is not None)
    return tuple(Taken(label, count, len(said)) for label, count in counts.most_common())


def takes(
    tx: sqlite3.Connection, learning: Learning, descriptors: NDArray[np.float32]
) -> tuple[Taken, ...]:
    """The classes whose items would be nearer to the mean of new descriptors than to their own.

    The metric is that of the catalogue as it is; one more class moves it little.
    """
    items = learning.items(tx, exact=True).flat
    if not len(items) or not len(descriptors):
        return ()
    metric, centroids = learning.metric(tx)
    mean = unit_rows(metric.project(descriptors.mean(axis=0, keepdims=True)))
    labels = dict(tx.execute("SELECT id, label FROM item WHERE label IS NOT NULL"))
    slots = np.array([labels[item] for item in items.keys.tolist()], np.int64)
    lost = (items.rows @ mean[0]) > _own(items.rows, slots, centroids.keys, centroids.rows)
    losing = np.unique(slots[lost]).tolist()
    found = [
        Taken(name, int(lost[slots == slot].sum()), int((slots == slot).sum()))
        for slot, name in zip(losing, label_names(tx, losing), strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-one.pictures / one.of, one.label)))


def _own(
    rows: NDArray[np.float32],
    slots: NDArray[np.int64],
    keys: NDArray[np.int64],
    means: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The cosine of each row with its own class's centroid, float32 (N,)."""
    place: dict[int, int] = {slot: at for at, slot in enumerate(keys.tolist())}
    at: Sequence[int] = [place[slot] for slot in slots.tolist()]
    return np.asarray(np.einsum("nd,nd->n", rows, means[at]), np.float32)
