"""How often a catalogue is right about pictures whose class is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.staging import Refusal
from descriptors import Metric
from index import FlatIndex

_BLOCK_QUERIES = 256
_DIGITS = 6  # of a score; beyond, it is rounding


class Query(NamedTuple):
    """An evaluated picture: where it was found, its class, and its descriptor float32 (D,)."""

    place: str | None
    label: str
    descriptor: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of pictures whose class came first, and was among the first five."""

    top1: float
    top5: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How well items are ranked.

    Attributes:
        recall_at_1: share of pictures whose nearest item has their class; by definition the top-1
            of ``neighbours``.
        mean_average_precision: over the ranking of all items, relevant where the class is the same.
    """

    recall_at_1: float
    mean_average_precision: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often both predictors name the same class, and how often it is the right one then."""

    share: float
    top1: float | None


@dataclass(frozen=True, slots=True)
class ClassResult:
    """The figures of one class; ``pictures`` is how many of it were evaluated."""

    label: str
    pictures: int
    centroid_top1: float
    neighbours_top1: float
    mean_average_precision: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many pictures of class ``truth`` were taken for ``predicted``, by the centroids."""

    truth: str
    predicted: str
    pictures: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture the centroids got wrong, and the item that is nearest to it."""

    place: str | None
    truth: str
    predicted: str
    nearest_item: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What :meth:`Catalog.evaluate` found.

    Attributes:
        pictures: how many were evaluated.
        classes: of how many classes they are.
        centroid: of the nearest class centroid.
        neighbours: of the nearest item's class.
        retrieval: of the ranking of items.
        agreement: of the two predictors.
        per_class: by class, in the order of names.
        confusions: the most frequent first.
        mistakes: every picture that the centroids got wrong.
        in_catalogue: how many of the pictures are items of this catalogue, which flatters.
        not_in_catalogue: pictures of classes that the catalogue does not have, by class; they are
            in no other figure.
        refused: pictures that could not be read.
    """

    pictures: int
    classes: int
    centroid: Accuracy
    neighbours: Accuracy
    retrieval: Retrieval
    agreement: Agreement
    per_class: tuple[ClassResult, ...]
    confusions: tuple[Confusion, ...]
    mistakes: tuple[Mistake, ...]
    in_catalogue: int = 0
    not_in_catalogue: dict[str, int] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()


class Gallery(NamedTuple):
    """What pictures are compared with: items and centroids under one metric.

    Attributes:
        metric: the current one.
        centroids: its keys are label slots, in the order of names.
        items: int64 (N,), item ids, in an order that does not depend on history: it decides which
            of two equal scores comes first.
        rows: float32 (N, D), their whitened descriptors.
        labels: int64 (N,), the slot of each item.
        names: slot -> class name.
    """

    metric: Metric
    centroids: FlatIndex
    items: NDArray[np.int64]
    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: dict[int, str]


@dataclass(slots=True)
class _Ranks:
    """Per query: 0-based rank of the right class by each predictor, and what came first.

    ``predicted`` is a slot, ``nearest`` the position of an item in the gallery.
    """

    centroid: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    predicted: NDArray[np.int64]
    nearest: NDArray[np.int64]
    precision: NDArray[np.float64]


def evaluate(queries: Sequence[Query], gallery: Gallery) -> Evaluation:
    """Compare what the catalogue says of pictures with what they are.

    Args:
        queries: each of a class that the gallery has; at least one.
        gallery: to compare with.
    """
    slots = {name: slot for slot, name in gallery.names.items()}
    truth = np.array([slots[query.label] for query in queries], dtype=np.int64)
    blocks = [
        _rank(np.stack([query.descriptor for query in block]), labels, gallery)
        for block, labels in _blocks(queries, truth)
    ]
    ranks = _Ranks(
        *(np.concatenate([getattr(b, name) for b in blocks]) for name in _Ranks.__slots__)
    )
    by_item = gallery.labels[ranks.nearest]
    same = ranks.predicted == by_item
    right = ranks.centroid == 0
    return Evaluation(
        pictures=len(queries),
        classes=len(np.unique(truth)),
        centroid=_accuracy(ranks.centroid),
        neighbours=_accuracy(ranks.neighbours),
        retrieval=Retrieval(float(np.mean(by_item == truth)), float(ranks.precision.mean())),
        agreement=Agreement(float(same.mean()), float(right[same].mean()) if same.any() else None),
        per_class=_per_class(truth, ranks, gallery.names),
        confusions=_confusions(truth[~right], ranks.predicted[~right], gallery.names),
        mistakes=tuple(
            Mistake(
                queries[at].place,
                queries[at].label,
                gallery.names[int(ranks.predicted[at])],
                int(gallery.items[ranks.nearest[at]]),
            )
            for at in np.flatnonzero(~right).tolist()
        ),
    )


def average_precision(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision of rankings: the mean, over the relevant places, of the precision there.

    Args:
        relevant: bool (Q, N), best place first.

    Returns:
        float64 (Q,), in [0, 1]; 0 where nothing is relevant.
    """
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    found = relevant.sum(axis=1)
    return np.asarray((precision * relevant).sum(axis=1) / np.maximum(found, 1), dtype=np.float64)


def _blocks(
    queries: Sequence[Query], truth: NDArray[np.int64]
) -> list[tuple[Sequence[Query], NDArray[np.int64]]]:
    starts = range(0, len(queries), _BLOCK_QUERIES)
    return [(queries[s : s + _BLOCK_QUERIES], truth[s : s + _BLOCK_QUERIES]) for s in starts]


def _rank(rows: NDArray[np.float32], truth: NDArray[np.int64], gallery: Gallery) -> _Ranks:
    whitened = gallery.metric.whiten(rows)
    to_centroids = np.round(whitened @ gallery.centroids.rows.T, _DIGITS)
    to_items = np.round(whitened @ gallery.rows.T, _DIGITS)
    ranking = np.argsort(-to_items, axis=1, kind="stable")
    labels = gallery.labels[ranking]
    relevant = labels == truth[:, None]
    return _Ranks(
        centroid=_rank_of(to_centroids, gallery.centroids.keys, truth),
        neighbours=np.array(
            [
                len(np.unique(row[:first]))
                for row, first in zip(labels, relevant.argmax(axis=1), strict=True)
            ],
            dtype=np.int64,
        ),
        predicted=gallery.centroids.keys[to_centroids.argmax(axis=1)],
        nearest=ranking[:, 0],
        precision=average_precision(relevant),
    )


def _rank_of(
    scores: NDArray[np.float32], keys: NDArray[np.int64], truth: NDArray[np.int64]
) -> NDArray[np.int64]:
    columns = np.argsort(keys)[np.searchsorted(np.sort(keys), truth)][:, None]
    own = np.take_along_axis(scores, columns, axis=1)
    before = np.arange(scores.shape[1]) < columns  # an equal score that comes first
    return np.asarray(((scores > own) | ((scores == own) & before)).sum(axis=1), dtype=np.int64)


def _accuracy(ranks: NDArray[np.int64]) -> Accuracy:
    return Accuracy(float(np.mean(ranks == 0)), float(np.mean(ranks < 5)))


def _per_class(
    truth: NDArray[np.int64], ranks: _Ranks, names: dict[int, str]
) -> tuple[ClassResult, ...]:
    results = []
    for slot in sorted(np.unique(truth).tolist(), key=names.__getitem__):
        own = truth == slot
        results.append(
            ClassResult(
                names[slot],
                int(own.sum()),
                float(np.mean(ranks.centroid[own] == 0)),
                float(np.mean(ranks.neighbours[own] == 0)),
                float(ranks.precision[own].mean()),
            )
        )
    return tuple(results)


def _confusions(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], names: dict[int, str]
) -> tuple[Confusion, ...]:
    counts = Counter(zip(truth.tolist(), predicted.tolist(), strict=True))
    confusions = [Confusion(names[t], names[p], count) for (t, p), count in counts.items()]
    return tuple(sorted(confusions, key=lambda c: (-c.pictures, c.truth, c.predicted)))
