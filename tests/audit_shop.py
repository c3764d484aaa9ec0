"""Catalogues of made-up descriptors: of things in directions of their own, with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from snapshots import snapshot_of

from catalog.descriptors import Prior, Sums, fit, to_floats, to_integers, unit_rows
from catalog.index import centroids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from catalog.learning.snapshot import Snapshot

WIDTH = 24


def shots(seed: int, things: list[int], spread: float = 0.5) -> NDArray[np.float32]:
    """Descriptors float32 (N, WIDTH) of shots of things: a direction each, and noise."""
    centres = np.random.default_rng(99).normal(size=(64, WIDTH))
    noise = np.random.default_rng(seed).normal(size=(len(things), WIDTH))
    return stored((centres[things] + spread * noise).reshape(len(things), WIDTH))


def stored(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Such rows as a catalogue would give them back, of unit length."""
    return to_floats(to_integers(unit_rows(rows.astype(np.float32))))


def learnt(
    raw: NDArray[np.float32],
    labels: list[int],
    prior: Prior | None = None,
    *,
    order: NDArray[np.int64] | None = None,
) -> Snapshot:
    """A catalogue of such descriptors; class 7 is called "class 07", item 0 has id 1000.

    Args:
        raw: float32 (N, WIDTH).
        labels: the class of each.
        prior: isotropic by default.
        order: int64 (M,), which of them there still are, in what order; by default all as given.
    """
    slots = np.array(labels, dtype=np.int64)
    sums = Sums(raw.shape[1])
    sums.add(slots, to_integers(raw))
    there = np.arange(len(raw)) if order is None else order
    classes = sorted(sums.counts)
    metric = fit(sums, classes, prior or Prior.isotropic(raw.shape[1]))
    return snapshot_of(
        metric,
        centroids(sums, classes, metric),
        items=1000 + there,
        rows=metric.whiten(raw[there]),
        labels=slots[there],
        names={slot: name(slot) for slot in range(70)},
    )


def name(slot: int) -> str:
    """What a class is called."""
    return f"class {slot:02d}"


def shop(seed: int = 0, classes: int = 8, each: int = 10) -> tuple[NDArray[np.float32], list[int]]:
    """Shots of some things, and the right class of each."""
    labels = [thing for thing in range(classes) for _ in range(each)]
    return shots(seed, labels), labels
