"""Answers to a picture: its nearest items, and which class it is by two predictors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog import landing
from catalog.learning import Learning
from descriptors import Damaged, InvalidInput

# A score is the cosine of two float32 rows: beyond the sixth digit it is rounding, and two items
# that differ only there are told apart by their content, the same in every copy of a catalogue.
_ROUNDING = 1e-6
# Items of equal score may stand on either side of the k-th place; a few more are looked at.
_SPARE = 16
_VOTERS = 50


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item near a query.

    Attributes:
        item: its id.
        label: its class.
        score: cosine of the whitened descriptors, in [-1, 1].
        sources: where its picture was found, sorted; empty for bytes and arrays.
    """

    item: int
    label: str
    score: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A class a query may belong to, and the score one predictor gives it, in [-1, 1]."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Which class a picture is.

    Attributes:
        label: the best class by the nearest centroid, or None in an empty catalogue.
        centroid: classes by the cosine of their centroid with the query, best first.
        neighbours: classes by the score of their nearest item, best first.
        agree: whether both predictors name the same class first.
    """

    label: str | None
    centroid: tuple[Candidate, ...]
    neighbours: tuple[Candidate, ...]
    agree: bool


def nearest(
    tx: sqlite3.Connection, learning: Learning, descriptors: NDArray[np.float32], k: int
) -> list[list[Neighbour]]:
    """The k nearest items of each descriptor float32 (Q, D), best first.

    Raises:
        InvalidInput: k < 1.
    """
    if k < 1:
        raise InvalidInput(f"the number of neighbours must be at least 1, not {k}")
    metric, _ = learning.metric(tx)
    items = learning.items(tx)
    scores, ids = items.search(
        descriptors, k + _SPARE, metric, lambda wanted: learning.descriptors(tx, wanted)
    )
    found = _describe(tx, np.unique(ids).tolist())
    answers = []
    for row_scores, row_ids in zip(scores.tolist(), ids.tolist(), strict=True):
        ranked = _ranked(row_scores, row_ids, lambda item: found[item][1])
        answers.append(
            [Neighbour(item, found[item][0], score, found[item][2]) for score, item in ranked[:k]]
        )
    return answers


def predict(
    tx: sqlite3.Connection, learning: Learning, descriptors: NDArray[np.float32], top: int
) -> list[Prediction]:
    """Which class each descriptor float32 (Q, D) belongs to; at most ``top`` candidates each.

    Raises:
        InvalidInput: top < 1.
    """
    if top < 1:
        raise InvalidInput(f"the number of candidates must be at least 1, not {top}")
    metric, centroids = learning.metric(tx)
    names = {slot: (name, key) for slot, name, key in tx.execute("SELECT * FROM label")}
    scores, slots = centroids.search(metric.whiten(descriptors), top + _SPARE)
    voters = _with_enough_classes(tx, learning, descriptors, min(top, len(centroids)))
    predictions = []
    for row_scores, row_slots, items in zip(scores.tolist(), slots.tolist(), voters, strict=True):
        ranked = _ranked(row_scores, row_slots, lambda slot: names[slot][1])
        by_centroid = tuple(Candidate(names[slot][0], score) for score, slot in ranked[:top])
        by_item = _best_per_label(items)[:top]
        agree = bool(by_centroid) and by_centroid[0].label == by_item[0].label
        label = by_centroid[0].label if by_centroid else None
        predictions.append(Prediction(label, by_centroid, by_item, agree))
    return predictions


def _with_enough_classes(
    tx: sqlite3.Connection, learning: Learning, descriptors: NDArray[np.float32], classes: int
) -> list[list[Neighbour]]:
    """The nearest items of each descriptor, as many as it takes to see so many classes."""
    k, most = _VOTERS, len(learning.items(tx))
    answers = nearest(tx, learning, descriptors, k)
    while k < most and any(len({n.label for n in answer}) < classes for answer in answers):
        k = min(4 * k, most)
        answers = nearest(tx, learning, descriptors, k)
    return answers


def _ranked(
    scores: Sequence[float], keys: Sequence[int], name: Callable[[int], Any]
) -> list[tuple[float, int]]:
    """Scores and keys, best first; a run of scores that differ by rounding alone goes by name."""
    pairs = sorted(zip(scores, keys, strict=True), reverse=True)
    run = 0
    ranked = []
    for at, (score, key) in enumerate(pairs):
        run += at > 0 and pairs[at - 1][0] - score > _ROUNDING
        ranked.append((run, name(key), score, key))
    return [(score, key) for _, _, score, key in sorted(ranked)]


def _best_per_label(items: Sequence[Neighbour]) -> tuple[Candidate, ...]:
    best: dict[str, float] = {}
    for item in items:
        best.setdefault(item.label, item.score)
    return tuple(Candidate(label, score) for label, score in best.items())


def _describe(
    tx: sqlite3.Connection, items: Sequence[int]
) -> dict[int, tuple[str, bytes, tuple[str, ...]]]:
    """Label, content hash and sources of items."""
    described = {}
    for item in items:
        row = tx.execute(
            "SELECT label.name, item.content FROM item JOIN label ON label.slot = item.label "
            "WHERE item.id = ?",
            (item,),
        ).fetchone()
        if row is None:
            raise Damaged(f"item {item} has lost its class; `catalog verify` says what is wrong")
        described[item] = (*row, landing.sources(tx, item))
    return described
