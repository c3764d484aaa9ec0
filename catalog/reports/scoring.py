"""How often a catalogue is right about pictures whose class is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.descriptors import to_floats
from catalog.judging.average_precision import ScoredBlock, average_precision
from catalog.judging.calibration import Calibrations
from catalog.judging.cross_check import PRECISION, VERDICTS, Judgement, Verdict, judge
from catalog.judging.ranking import first_best, tie_ranks
from catalog.judging.reliability import (
    CoveragePoint,
    confusion_matrix,
    reliability,
    risk_coverage,
    risk_coverage_area,
)
from catalog.judging.witnesses import Witnesses, margins
from catalog.learning.rows import Rows
from catalog.learning.snapshot import JudgingSnapshot
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
from catalog.text import natural

_BLOCK_QUERIES = 256
_TOP = 5  # the place up to which a class is sought


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
        nearest: int64 (Q,), the place in the moment of the item ranked first; -1 without items.
    """

    witnesses: Witnesses
    nearest: NDArray[np.int64]


def score(
    queries: Sequence[Query],
    snapshot: JudgingSnapshot,
    rows: Rows,
    *,
    strangers: Sequence[Query] = (),
    precision: float = PRECISION,
) -> Evaluation:
    """Compare what the catalogue says of pictures with what they are.

    Args:
        queries: each of a class that the snapshot has; at least one.
        snapshot: what answers.
        rows: the stored descriptors.
        strangers: pictures of other classes, to see what is said of them.
        precision: what a ``match`` is to be worth.

    Raises:
        Superseded: descriptors of the snapshot's moment were dropped.
    """
    moment = snapshot.moment
    labels = [moment.names[slot] for slot in moment.order]
    place = {label: at for at, label in enumerate(labels)}
    listed = sorted(range(len(labels)), key=lambda at: natural(moment.keys[moment.order[at]]))
    truth = np.array([place[query.label] for query in queries], dtype=np.int64)
    asked = _ask(queries, snapshot, rows)
    precisions = _average_precision(queries, truth, snapshot, rows)
    judgement = judge(asked.witnesses, snapshot.calibration, precision)
    right = judgement.chosen == truth
    wrong = np.flatnonzero(~right).tolist()
    by_item = np.zeros(len(truth), np.bool_)
    if len(moment):
        by_item = snapshot.moment.class_places[asked.nearest] == truth
    return Evaluation(
        pictures=len(queries),
        classes=len(np.unique(truth)),
        cross_check=_cross_check(asked.witnesses, judgement, truth, snapshot.calibration),
        head=_head_result(asked.witnesses, judgement, truth),
        centroid=_accuracy(_rank_of(asked.witnesses.centroid, truth)),
        neighbours=_accuracy(_rank_of(asked.witnesses.neighbours, truth)),
        retrieval=Retrieval(float(np.mean(by_item)), float(precisions.mean())),
        agreement=_agreement(asked.witnesses, truth),
        per_class=_per_class(asked.witnesses, precisions, right, truth, labels, listed=listed),
        confusions=_confusions(truth[wrong], judgement.chosen[wrong], labels),
        confusion_matrix=_matrix(truth, judgement.chosen, labels, listed),
        mistakes=tuple(
            Mistake(
                queries[at].place,
                queries[at].label,
                labels[judgement.chosen[at]],
                int(moment.items[asked.nearest[at]]) if len(moment) else None,
                judgement.verdicts[at],
                _probability(judgement, at),
            )
            for at in wrong
        ),
        strangers=_said_of(strangers, snapshot, rows, precision),
    )


def _ask(queries: Sequence[Query], snapshot: JudgingSnapshot, rows: Rows) -> _Asked:
    """Ask about queries, some at a time."""
    witnesses, nearest = [], []
    for start in range(0, len(queries), _BLOCK_QUERIES):
        descriptors = _descriptors(queries[start : start + _BLOCK_QUERIES])
        witnesses.append(answers.testify(snapshot, descriptors, _TOP, rows.floats))
        ranked = answers.rank(snapshot, descriptors, 1, rows.floats)
        nearest += [int(best.places[0]) if len(best.places) else -1 for best in ranked]
    return _Asked(Witnesses.stacked(witnesses), np.array(nearest, np.int64))


def _descriptors(queries: Sequence[Query]) -> NDArray[np.float32]:
    return np.stack([query.descriptor for query in queries])


def _average_precision(
    queries: Sequence[Query], truth: NDArray[np.int64], snapshot: JudgingSnapshot, rows: Rows
) -> NDArray[np.float64]:
    """Average precision of the ranking of all items by each query, float64 (Q,).

    Items are scored as :func:`answers.rank` ranks them.
    """
    moment, classes = snapshot.moment, snapshot.moment.class_places
    whitened = snapshot.metric.whiten(_descriptors(queries))
    of_classes = snapshot.centroids.scores(whitened)

    def scored(asked: NDArray[np.int64]) -> Iterator[ScoredBlock]:
        for where, block in rows.blocks(moment.items):
            cosines = whitened[asked] @ snapshot.metric.whiten(to_floats(block)).T
            same = cosines >= answers.COPY_COSINE
            scores = cosines.astype(np.float64) + of_classes[asked][:, classes[where]]
            yield classes[where], scores + 4 * same  # more than two cosines can come to

    sizes = np.bincount(classes, minlength=len(moment.order))
    return average_precision(truth, sizes, scored)


def _rank_of(scores: NDArray[np.floating], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """The 0-based rank of the right class of each query; of ties, the first comes first."""
    ranks = tie_ranks(scores)
    own = np.take_along_axis(ranks, truth[:, None], axis=1)
    before = np.arange(scores.shape[1]) < truth[:, None]
    ahead = (ranks < own) | ((ranks == own) & before)
    return np.asarray(ahead.sum(axis=1), dtype=np.int64)


def _cross_check(
    witnesses: Witnesses,
    judgement: Judgement,
    truth: NDArray[np.int64],
    calibration: Calibrations | None,
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
    """The probability of each answer, or its share of the softmax where nothing was measured.

    An answer that has none is the least sure.
    """
    if judgement.probability is not None:
        return np.nan_to_num(judgement.probability, nan=0.0)
    return np.asarray(judgement.shares.max(axis=1))


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
            named = first_best(scores)
            curves[name] = risk_coverage(margins(scores, named), named == truth)
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
    strangers: Sequence[Query], snapshot: JudgingSnapshot, rows: Rows, precision: float
) -> tuple[VerdictCount, ...]:
    """The verdicts on pictures of classes that are not there, none of which can be right."""
    if not strangers:
        return ()
    asked = _ask(strangers, snapshot, rows)
    verdicts = judge(asked.witnesses, snapshot.calibration, precision).verdicts
    return _counted(verdicts, np.zeros(len(strangers), np.bool_))


def _probability(judgement: Judgement, at: int) -> float | None:
    return judgement.probability_of(at)


def _accuracy(ranks: NDArray[np.int64]) -> Accuracy:
    return Accuracy(float(np.mean(ranks == 0)), float(np.mean(ranks < _TOP)))


def _per_class(
    witnesses: Witnesses,
    precisions: NDArray[np.float64],
    right: NDArray[np.bool_],
    truth: NDArray[np.int64],
    labels: Sequence[str],
    *,
    listed: Sequence[int],
) -> tuple[ClassResult, ...]:
    by_centroid = _rank_of(witnesses.centroid, truth) == 0
    by_head = None if witnesses.head is None else _rank_of(witnesses.head, truth) == 0
    by_item = _rank_of(witnesses.neighbours, truth) == 0
    results = []
    for at in _present(listed, truth):
        own = truth == at
        results.append(
            ClassResult(
                labels[at],
                int(own.sum()),
                float(np.mean(right[own])),
                None if by_head is None else float(np.mean(by_head[own])),
                float(np.mean(by_centroid[own])),
                float(np.mean(by_item[own])),
                float(precisions[own].mean()),
            )
        )
    return tuple(results)


def _confusions(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str]
) -> tuple[Confusion, ...]:
    counts = Counter(zip(truth.tolist(), predicted.tolist(), strict=True))
    confusions = [Confusion(labels[t], labels[p], count) for (t, p), count in counts.items()]
    confusions.sort(key=lambda c: (-c.pictures, natural(c.truth), natural(c.predicted)))
    return tuple(confusions)


def _matrix(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    labels: Sequence[str],
    listed: Sequence[int],
) -> ConfusionMatrix:
    present = _present(listed, truth, predicted)
    place = np.zeros(len(labels), np.int64)
    place[present] = np.arange(len(present))
    counts = confusion_matrix(place[truth], place[predicted], len(present))
    return ConfusionMatrix(tuple(labels[at] for at in present), tuple(map(tuple, counts.tolist())))


def _present(listed: Sequence[int], *named: NDArray[np.int64]) -> list[int]:
    """Those of some classes that are named at all, in the order in which they are listed."""
    present = set(np.concatenate(named).tolist())
    return [at for at in listed if at in present]
