"""Galleries of made-up descriptors: of things in directions of their own, with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from catalog.descriptors import Prior, Sums, fit, to_floats, to_integers, unit_rows
from catalog.index import centroids
from catalog.reports.gallery import Gallery

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 24


def shots(seed: int, things: list[int], spread: float = 0.5) -> NDArray[np.float32]:
    """Descriptors float32 (N, WIDTH) of shots of things: a direction each, and noise."""
    centres = np.random.default_rng(99).normal(size=(64, WIDTH))
    noise = np.random.default_rng(seed).normal(size=(len(things), WIDTH))
    return stored((centres[things] + spread * noise).reshape(len(things), WIDTH))


def stored(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Such rows as a catalogue would give them back, of unit length."""
    return to_floats(to_integers(unit_rows(rows.astype(np.float32))))


def gallery_of(raw: NDArray[np.float32], labels: list[int], prior: Prior | None = None) -> Gallery:
    """A catalogue of such descriptors; class 7 is called "class 07", item 0 has id 1000."""
    slots = np.array(labels, dtype=np.int64)
    sums = Sums(raw.shape[1])
    sums.add(slots, to_integers(raw))
    order = sorted(sums.counts)
    metric = fit(sums, order, prior or Prior.isotropic(raw.shape[1]))
    return Gallery(
        metric=metric,
        centroids=centroids(sums, order, metric),
        items=1000 + np.arange(len(raw)),
        rows=metric.whiten(raw),
        labels=slots,
        names={slot: name(slot) for slot in range(70)},
    )


def name(slot: int) -> str:
    """What a class is called."""
    return f"class {slot:02d}"


def shop(seed: int = 0, classes: int = 8, each: int = 10) -> tuple[NDArray[np.float32], list[int]]:
    """Shots of some things, and the right class of each."""
    labels = [thing for thing in range(classes) for _ in range(each)]
    return shots(seed, labels), labels
