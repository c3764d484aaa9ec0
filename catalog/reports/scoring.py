"""How often a catalogue is right about pictures whose class is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.judging.calibration import Calibration
from catalog.judging.cross_check import PRECISION, VERDICTS, Judgement, Verdict, judge
from catalog.judging.reliability import (
    CoveragePoint,
    confusion_matrix,
    reliability,
    risk_coverage,
    risk_coverage_area,
)
from catalog.judging.witnesses import Witnesses, best_of_class, head_scores, margins
from catalog.learning.learning import places_of
from catalog.reports.evaluation import (
    Accuracy,
    Agreement,
    ClassResult,
    Confusion,
    ConfusionMatrix,
    CrossCheckResult,
    Evaluation,
    HeadResult,
    Mistake,
    Retrieval,
    VerdictCount,
)
from catalog.reports.gallery import Gallery

_BLOCK_QUERIES = 256
_DIGITS = 6  # of a score; beyond, it is rounding


class Query(NamedTuple):
    """A picture to evaluate: where it was found, its class, and its descriptor float32 (D,)."""

    place: str | None
    label: str
    descriptor: NDArray[np.float32]


@dataclass(frozen=True)
class _Asked:
    """What is said of some queries.

    Attributes:
        witnesses: their scores; columns are classes in the order of names.
        nearest: int64 (Q,), the position in the gallery of the item ranked first.
        precision: float64 (Q,), average precision of the ranking of all items.
    """

    witnesses: Witnesses
    nearest: NDArray[np.int64]
    precision: NDArray[np.float64]


def score(
    queries: Sequence[Query],
    gallery: Gallery,
    *,
    strangers: Sequence[Query] = (),
    precision: float = PRECISION,
) -> Evaluation:
    """Compare what the catalogue says of pictures with what they are.

    Args:
        queries: each of a class that the gallery has; at least one.
        gallery: to compare with.
        strangers: pictures of other classes, to see what is said of them.
        precision: what a ``match`` is to be worth.
    """
    labels = [gallery.names[slot] for slot in gallery.centroids.keys.tolist()]
    place = {label: at for at, label in enumerate(labels)}
    truth = np.array([place[query.label] for query in queries], dtype=np.int64)
    asked = _ask(queries, truth, gallery)
    judgement = judge(asked.witnesses, gallery.calibration, precision)
    right = judgement.chosen == truth
    wrong = np.flatnonzero(~right).tolist()
    by_item = np.zeros(len(truth), np.bool_)
    if len(gallery.items):
        by_item = gallery.labels[asked.nearest] == gallery.centroids.keys[truth]
    return Evaluation(
        pictures=len(queries),
        classes=len(np.unique(truth)),
        cross_check=_cross_check(asked.witnesses, judgement, truth, gallery.calibration),
        head=_head_result(asked.witnesses, judgement, truth),
        centroid=_accuracy(_rank_of(asked.witnesses.centroid, truth)),
        neighbours=_accuracy(_rank_of(asked.witnesses.neighbours, truth)),
        retrieval=Retrieval(float(np.mean(by_item)), float(asked.precision.mean())),
        agreement=_agreement(asked.witnesses, truth),
        per_class=_per_class(asked, right, truth, labels),
        confusions=_confusions(truth[wrong], judgement.chosen[wrong], labels),
        confusion_matrix=_matrix(truth, judgement.chosen, labels),
        mistakes=tuple(_mistake(queries[at], judgement, asked, gallery, at) for at in wrong),
        strangers=_said_of(strangers, gallery, precision),
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


def _ask(queries: Sequence[Query], truth: NDArray[np.int64], gallery: Gallery) -> _Asked:
    """Ask about queries, some at a time."""
    parts = [
        _ask_block(
            np.stack([query.descriptor for query in queries[start : start + _BLOCK_QUERIES]]),
            truth[start : start + _BLOCK_QUERIES],
            gallery,
        )
        for start in range(0, len(queries), _BLOCK_QUERIES)
    ]
    return _Asked(
        Witnesses.stacked([part.witnesses for part in parts]),
        np.concatenate([part.nearest for part in parts]),
        np.concatenate([part.precision for part in parts]),
    )


def _ask_block(
    descriptors: NDArray[np.float32], truth: NDArray[np.int64], gallery: Gallery
) -> _Asked:
    slots = gallery.centroids.keys
    whitened = gallery.metric.whiten(descriptors)
    to_items = np.round(whitened @ gallery.rows.T, _DIGITS)
    centroid = np.round(gallery.centroids.scores(whitened), _DIGITS)
    head, scale = None, None
    if gallery.head is not None:
        learnt, scale = gallery.head, gallery.head.logit_scale
        head = head_scores(learnt.head, learnt.metric, descriptors, slots.tolist(), centroid)
    classes = places_of(gallery.labels, slots.tolist())
    ranking = np.argsort(-(to_items + centroid[:, classes]), axis=1, kind="stable")
    # Where all descriptors of a class were dropped, its centroid stands in for its items.
    items = centroid.copy()
    if len(classes):
        present = np.unique(classes)
        items[:, present] = best_of_class(to_items, classes, len(slots))[:, present]
    return _Asked(
        Witnesses(centroid, head, items, scale),
        nearest=ranking[:, 0] if len(classes) else np.full(len(truth), -1, np.int64),
        precision=average_precision(classes[ranking] == truth[:, None]),
    )


def _rank_of(scores: NDArray[np.floating], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """The 0-based rank of the right class of each query; of equal scores, the first comes first."""
    rounded = np.round(scores, _DIGITS)
    own = np.take_along_axis(rounded, truth[:, None], axis=1)
    before = np.arange(scores.shape[1]) < truth[:, None]
    ahead = (rounded > own) | ((rounded == own) & before)
    return np.asarray(ahead.sum(axis=1), dtype=np.int64)


def _cross_check(
    witnesses: Witnesses,
    judgement: Judgement,
    truth: NDArray[np.int64],
    calibration: Calibration | None,
) -> CrossCheckResult:
    accuracy = _accuracy(_rank_of(witnesses.fused, truth))
    matched, unknown = None, None
    if calibration is not None and judgement.precision is not None:
        matched, unknown = calibration.strangers(judgement.precision)
    probability = judgement.probability
    right = judgement.chosen == truth
    return CrossCheckResult(
        top1=accuracy.top1,
        top5=accuracy.top5,
        verdicts=_counted(judgement.verdicts, right),
        precision=judgement.precision,
        expected_coverage=judgement.coverage,
        strangers_matched=matched,
        strangers_unknown=unknown,
        reliability=None if probability is None else reliability(probability, right),
        risk=risk_coverage_area(_sureness(judgement), right) or 0.0,
        curves=_curves(witnesses, judgement, truth),
    )


def _sureness(judgement: Judgement) -> NDArray[np.float64]:
    """The probability of each answer, or its share of the softmax where there is none."""
    sure = judgement.probability
    if sure is None:
        sure = judgement.shares.max(axis=1)
    return np.round(sure, _DIGITS - 1)  # a softmax enlarges what is rounding in the scores


def _curves(
    witnesses: Witnesses, judgement: Judgement, truth: NDArray[np.int64]
) -> dict[str, tuple[CoveragePoint, ...]]:
    curves = {"cross_check": risk_coverage(_sureness(judgement), judgement.chosen == truth)}
    alone = {
        "head": witnesses.head,
        "centroid": witnesses.centroid,
        "neighbours": witnesses.neighbours,
    }
    for name, scores in alone.items():
        if scores is not None:
            named = np.asarray(scores.argmax(axis=1), np.int64)
            lead = np.round(margins(scores, named), _DIGITS - 1)
            curves[name] = risk_coverage(lead, named == truth)
    return curves


def _head_result(
    witnesses: Witnesses, judgement: Judgement, truth: NDArray[np.int64]
) -> HeadResult | None:
    if witnesses.head is None or judgement.head_shares is None:
        return None
    accuracy = _accuracy(_rank_of(witnesses.head, truth))
    own = judgement.head_shares[np.arange(len(truth)), truth]
    return HeadResult(
        accuracy.top1, accuracy.top5, float(abs(np.log(np.maximum(own, 1e-12)).mean()))
    )


def _agreement(witnesses: Witnesses, truth: NDArray[np.int64]) -> Agreement:
    named = witnesses.named
    same = np.all([other == named[0] for other in named[1:]], axis=0)
    top1 = float(np.mean(named[0][same] == truth[same])) if same.any() else None
    return Agreement(float(same.mean()), top1)


def _counted(verdicts: Sequence[Verdict], right: NDArray[np.bool_]) -> tuple[VerdictCount, ...]:
    given = np.array(verdicts)
    return tuple(
        VerdictCount(verdict, int((given == verdict).sum()), int(right[given == verdict].sum()))
        for verdict in VERDICTS
    )


def _said_of(
    strangers: Sequence[Query], gallery: Gallery, precision: float
) -> tuple[VerdictCount, ...]:
    """The verdicts on pictures of classes that are not there, none of which can be right."""
    if not strangers:
        return ()
    asked = _ask(strangers, np.zeros(len(strangers), np.int64), gallery)
    verdicts = judge(asked.witnesses, gallery.calibration, precision).verdicts
    return _counted(verdicts, np.zeros(len(strangers), np.bool_))


def _mistake(
    query: Query, judgement: Judgement, asked: _Asked, gallery: Gallery, at: int
) -> Mistake:
    probability = judgement.probability
    return Mistake(
        query.place,
        query.label,
        gallery.names[int(gallery.centroids.keys[judgement.chosen[at]])],
        int(gallery.items[asked.nearest[at]]) if len(gallery.items) else None,
        judgement.verdicts[at],
        None if probability is None else float(probability[at]),
    )


def _accuracy(ranks: NDArray[np.int64]) -> Accuracy:
    return Accuracy(float(np.mean(ranks == 0)), float(np.mean(ranks < 5)))


def _per_class(
    asked: _Asked, right: NDArray[np.bool_], truth: NDArray[np.int64], labels: Sequence[str]
) -> tuple[ClassResult, ...]:
    witnesses = asked.witnesses
    by_centroid = _rank_of(witnesses.centroid, truth) == 0
    by_head = None if witnesses.head is None else _rank_of(witnesses.head, truth) == 0
    by_item = _rank_of(witnesses.neighbours, truth) == 0
    results = []
    for at in np.unique(truth).tolist():
        own = truth == at
        results.append(
            ClassResult(
                labels[at],
                int(own.sum()),
                float(np.mean(right[own])),
                None if by_head is None else float(np.mean(by_head[own])),
                float(np.mean(by_centroid[own])),
                float(np.mean(by_item[own])),
                float(asked.precision[own].mean()),
            )
        )
    return tuple(results)


def _confusions(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str]
) -> tuple[Confusion, ...]:
    counts = Counter(zip(truth.tolist(), predicted.tolist(), strict=True))
    confusions = [Confusion(labels[t], labels[p], count) for (t, p), count in counts.items()]
    return tuple(sorted(confusions, key=lambda c: (-c.pictures, c.truth, c.predicted)))


def _matrix(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str]
) -> ConfusionMatrix:
    present, places = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    counts = confusion_matrix(places[: len(truth)], places[len(truth) :], len(present))
    return ConfusionMatrix(
        tuple(labels[at] for at in present.tolist()), tuple(map(tuple, counts.tolist()))
    )
