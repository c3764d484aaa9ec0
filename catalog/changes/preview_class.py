"""What a new class would take from the others, before it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.changes import landing
from catalog.changes.staging import stage_for
from catalog.descriptors import to_floats, unit_rows
from catalog.embedder import Picture, Source
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.rows import Rows
from catalog.learning.snapshot import JudgingSnapshot, Snapshot
from catalog.manifest.pictures import Progress, Refusal
from catalog.store.classes import refuse_existing
from catalog.store.names import Name
from catalog.text import natural


@dataclass(frozen=True, slots=True)
class Share:
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
    outcomes = stage_for(catalog, name, pictures, refuse_existing, progress).outcomes
    with catalog._store.reading() as tx:
        items, refused = landing.free_items(tx, outcomes)

    def ask(bound: Bound) -> tuple[tuple[Share, ...], tuple[Share, ...]]:
        descriptors = bound.rows.floats(np.array(items, np.int64))
        return bound.keeper.judge(
            lambda snapshot: (
                _taken_for(snapshot, descriptors, bound.rows),
                _takes(snapshot, descriptors, bound.rows),
            )
        )

    now, takes = catalog._asking(ask)
    return Preview(name.text, len(items), now, takes, refused)


def _taken_for(
    snapshot: JudgingSnapshot, descriptors: NDArray[np.float32], rows: Rows
) -> tuple[Share, ...]:
    """What descriptors float32 (N, D) are taken for as things are, the most frequent first."""
    said = [one.label for one in answers.predict(snapshot, descriptors, 1, rows.floats)]
    counts = Counter(label for label in said if label is not None)
    return tuple(Share(label, count, len(said)) for label, count in counts.most_common())


def _takes(snapshot: Snapshot, descriptors: NDArray[np.float32], rows: Rows) -> tuple[Share, ...]:
    """The classes whose items would be nearer to the mean of new descriptors than to their own.

    The metric is that of the catalogue as it is; one more class moves it little.
    """
    moment, metric, classes = snapshot.moment, snapshot.metric, snapshot.moment.class_places
    if not len(moment) or not len(descriptors):
        return ()
    mean = unit_rows(metric.project(descriptors.mean(axis=0, keepdims=True)))[0]
    lost = np.zeros(len(moment), np.bool_)
    for where, block in rows.blocks(moment.items):
        white = metric.whiten(to_floats(block))
        own = snapshot.centroids.rows[classes[where]]
        lost[where] = white @ mean > np.einsum("nd,nd->n", white, own)
    losing, of = np.bincount(classes[lost], minlength=len(moment.order)), np.bincount(classes)
    found = [
        Share(moment.names[moment.order[at]], int(losing[at]), int(of[at]))
        for at in np.flatnonzero(losing)
    ]
    return tuple(sorted(found, key=lambda one: (-one.pictures / one.of, natural(one.label))))
