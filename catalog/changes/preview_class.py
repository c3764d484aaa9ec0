"""What a new class would take from the others, before it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.changes import landing
from catalog.changes.staging import stage_for
from catalog.descriptors import unit_rows
from catalog.embedder import Picture, Source
from catalog.learning.learning import Learning
from catalog.learning.opened import Opened
from catalog.pictures import Progress, Refusal
from catalog.store import Transaction, classes, inventory
from catalog.store.classes import refuse_existing
from catalog.store.names import Name


class Share(NamedTuple):
    """How many items or pictures of a class another class would take, and of how many."""

    label: str
    pictures: int
    of: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a class would do to a catalogue if it were made.

    Attributes:
        label: its name.
        pictures: how many it would have.
        now: what its pictures are taken for as things are, the most frequent first.
        takes: the classes whose items would be nearer to its mean than to their own, those that
            lose most first.
        refused: pictures that would not be taken.
    """

    label: str
    pictures: int
    now: tuple[Share, ...]
    takes: tuple[Share, ...]
    refused: tuple[Refusal, ...]


def preview_class(
    catalog: Opened,
    label: str,
    pictures: Iterable[Source | Picture],
    *,
    progress: Progress | None = None,
) -> Preview:
    """What :meth:`add_class` would do to the other classes; none of them is changed.

    The pictures are embedded, so that adding them afterwards takes no time. Arguments and
    errors are those of :meth:`add_class`.
    """
    name = Name.parse(label)
    outcomes = stage_for(catalog, name, pictures, refuse_existing, progress)
    with catalog._store.reading() as tx:
        items, refused = landing.free_items(tx, outcomes)
        descriptors = catalog._learning.descriptors(tx, np.array(items, np.int64))
        return Preview(
            label=name.text,
            pictures=len(items),
            now=_taken_for(tx, catalog._learning, descriptors),
            takes=_takes(tx, catalog._learning, descriptors),
            refused=refused,
        )


def _taken_for(
    tx: Transaction, learning: Learning, descriptors: NDArray[np.float32]
) -> tuple[Share, ...]:
    """What descriptors float32 (N, D) are taken for as things are, the most frequent first."""
    said = [answer.label for answer in answers.predict(tx, learning, descriptors, 1)]
    counts = Counter(label for label in said if label is not None)
    return tuple(Share(label, count, len(said)) for label, count in counts.most_common())


def _takes(
    tx: Transaction, learning: Learning, descriptors: NDArray[np.float32]
) -> tuple[Share, ...]:
    """The classes whose items would be nearer to the mean of new descriptors than to their own.

    The metric is that of the catalogue as it is; one more class moves it little.
    """
    items = learning.items(tx, exact=True).flat
    if not len(items) or not len(descriptors):
        return ()
    metric, centroids = learning.metric(tx)
    mean = unit_rows(metric.project(descriptors.mean(axis=0, keepdims=True)))
    labels = inventory.slots(tx)
    slots = np.array([labels[item] for item in items.keys.tolist()], np.int64)
    lost = (items.rows @ mean[0]) > _own(items.rows, slots, centroids.keys, centroids.rows)
    losing = np.unique(slots[lost]).tolist()
    found = [
        Share(name, int(lost[slots == slot].sum()), int((slots == slot).sum()))
        for slot, name in zip(losing, classes.names_of(tx, losing), strict=True)
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
