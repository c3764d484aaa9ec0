"""How often a catalogue is right: every figure against a plain definition or a sum by hand."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from snapshots import HandRows, snapshot_of

from catalog.answers import COPY_COSINE
from catalog.descriptors import Metric, to_floats, to_integers
from catalog.head import Head
from catalog.index import FlatIndex, ItemIndex
from catalog.judging.average_precision import average_precision
from catalog.judging.calibration import Calibration, Calibrations
from catalog.judging.reliability import reliability, risk_coverage
from catalog.judging.witnesses import HEAD_SHARE
from catalog.learning.kinds import LearntHead
from catalog.reports.evaluation import (
    Accuracy,
    Agreement,
    ClassResult,
    Confusion,
    ConfusionMatrix,
    HeadResult,
    Mistake,
    Retrieval,
    VerdictCount,
)
from catalog.reports.scoring import Query
from catalog.reports.scoring import score as score_with

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    from catalog.learning.snapshot import JudgingSnapshot
    from catalog.reports.evaluation import Evaluation


def unit(*degrees: float) -> NDArray[np.float32]:
    """Points on the unit circle."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


PLAIN = Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
"""The metric that changes nothing."""


def count(*numbers: tuple[int, int]) -> tuple[VerdictCount, ...]:
    """Pictures and right ones: of match, ambiguous, disagree and unknown."""
    names = ("match", "ambiguous", "disagree", "unknown")
    return tuple(VerdictCount(name, *each) for name, each in zip(names, numbers, strict=True))


def score(queries: list[Query], snapshot: JudgingSnapshot, **options: Any) -> Evaluation:
    """Such an evaluation, where rows are descriptors since the metric changes nothing."""
    index: Any = snapshot.index.rows
    return score_with(queries, snapshot, HandRows(index.keys, index.rows), **options)


def headed(
    snapshot: JudgingSnapshot,
    degrees: dict[int, float],
    *,
    length: float = 5,
    training: str = "exact",
) -> JudgingSnapshot:
    """The same with a head, whose columns point to some degrees, by slot."""
    head = Head(
        np.array(list(degrees)),
        np.float32(length) * unit(*degrees.values()),
        np.zeros(len(degrees), np.float32),
    )
    return replace(snapshot, head=LearntHead(head, PLAIN, training))


def measured(*, familiar: float, lean: float) -> Calibrations:
    """Sure by the lead of the centroid alone; nothing below a probability of 0.96 is a match."""
    confidence = np.concatenate([np.full(100, 0.96), np.full(100, 0.5)])
    found = Calibration(
        temperature=10,
        head_temperature=10,
        weights=np.array([0, 0, 0, lean, 0, 0], np.float64),
        familiar=familiar,
        like=float("-inf"),
        doubt=0.0,
        confidence=confidence,
        right=np.arange(200) < 100,
        share=np.ones(200),
        stranger_confidence=confidence,
        stranger_familiarity=np.zeros(200, np.float32),
        stranger_share=np.ones(200),
        groups=200,
        with_head=True,
    )
    return Calibrations(found, None, np.zeros(0, np.int64), (200.0, 0.0))


@pytest.fixture
def snapshot() -> JudgingSnapshot:
    """Three classes on a circle, under a metric that changes nothing.

    North has items 10, 11 at 90 and 80 degrees, its centroid at 85; east 12, 13 at 0 and 60, its
    centroid at 30; west has item 14 at 180.
    """
    return snapshot_of(
        PLAIN,
        FlatIndex(np.array([2, 7, 5]), unit(30, 85, 180)),
        items=np.array([10, 11, 12, 13, 14]),
        rows=unit(90, 80, 0, 60, 180),
        labels=np.array([7, 7, 2, 2, 5]),
        names={7: "north", 2: "east", 5: "west", 3: "gone"},
    )


def queries(**degrees: list[float]) -> list[Query]:
    """Pictures at some degrees, by class."""
    return [
        Query(f"{label} {at:g}", label, unit(at)[0])
        for label, all_at in degrees.items()
        for at in all_at
    ]


def precision_of(
    scores: NDArray[np.float64], classes: NDArray[np.int64], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average precision of scores that come two items at a time."""

    def scored(asked: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        for start in range(0, len(classes), 2):
            yield classes[start : start + 2], scores[asked, start : start + 2]

    return average_precision(truth, np.bincount(classes, minlength=3), scored)


class TestAveragePrecision:
    """The mean precision at the places of what is relevant."""

    @given(st.data())
    def test_by_definition(self, data: st.DataObject) -> None:
        """It is the mean, over the relevant places, of the share that is relevant up to there.

        What ties shares the mean of its places.
        """
        count = data.draw(st.integers(0, 12))
        classes = data.draw(arrays(np.int64, count, elements=st.integers(0, 2)))
        scores = data.draw(arrays(np.float64, (4, count), elements=st.integers(-3, 3))) / 4
        truth = data.draw(arrays(np.int64, 4, elements=st.integers(0, 2)))
        expected = []
        for row, own in zip(scores, truth, strict=True):
            ranks = [(row > at).sum() + ((row == at).sum() + 1) / 2 for at in row[classes == own]]
            inside = row[classes == own]
            rights = [(inside > at).sum() + ((inside == at).sum() + 1) / 2 for at in inside]
            expected.append(np.mean(np.divide(rights, ranks)) if ranks else 0)
        noise = np.random.default_rng(count).uniform(-1e-7, 1e-7, scores.shape)
        for found in (scores, scores + noise):
            assert precision_of(found, classes, truth) == pytest.approx(expected, abs=1e-12)

    def test_by_hand(self) -> None:
        """Relevant at places 1 and 4 of 4: (1/1 + 2/4) / 2."""
        found = precision_of(
            np.array([[0.9, 0.5, 0.4, 0.1]]), np.array([1, 0, 2, 1]), np.ones(1, int)
        )
        assert found.tolist() == [0.75]


class TestFigures:
    """Evaluations small enough to be done by hand."""

    def test_by_hand(self, snapshot: JudgingSnapshot) -> None:
        """Four pictures, every figure of them.

        North at 95: nearest centroid north (10 degrees); items 10 (5), 11 (15), both north:
        precision 1. North at 62: nearest centroid north (23 against 32), nearest item 13 of east
        (2), but by item and class together 11 (18) comes first, then 13, 10, 12: precision
        (1 + 2/3) / 2. East at 58: nearest centroid north (27 against 28), nearest item 13 (2), then
        11, 10, 12: precision (1 + 2/4) / 2. West at 170: right by both; precision 1.
        """
        result = score(queries(north=[95, 62], east=[58], west=[170]), snapshot)
        precisions = [1, 5 / 6, 3 / 4, 1]
        assert (result.pictures, result.classes, result.head) == (4, 3, None)
        assert result.centroid == Accuracy(3 / 4, 1)
        assert result.neighbours == Accuracy(3 / 4, 1)
        assert result.retrieval == Retrieval(1, pytest.approx(sum(precisions) / 4))
        assert result.agreement == Agreement(2 / 4, 1)
        assert result.per_class == (
            ClassResult("east", 1, 0, None, 0, 1, pytest.approx(3 / 4)),
            ClassResult("north", 2, 1, None, 1, 1 / 2, pytest.approx(11 / 12)),
            ClassResult("west", 1, 1, None, 1, 1, 1),
        )
        assert result.confusions == (Confusion("east", "north", 1),)
        assert result.mistakes == (Mistake("east 58", "east", "north", 13, "disagree", None),)
        assert result.confusion_matrix == ConfusionMatrix(
            ("east", "north", "west"), ((0, 1, 0), (0, 2, 0), (0, 0, 1))
        )

    def test_cross_check_by_hand(self, snapshot: JudgingSnapshot) -> None:
        """Without head and calibration it is the centroid's answer, checked by the nearest item."""
        check = score(queries(north=[95, 62], east=[58], west=[170]), snapshot).cross_check
        assert (check.top1, check.top5) == (3 / 4, 1)
        assert check.verdicts == count((0, 0), (2, 2), (2, 1), (0, 0))
        assert (check.precision, check.expected_coverage, check.reliability) == (None, None, None)
        assert sorted(check.curves) == ["centroid", "cross_check", "neighbours"]

    def test_everything_wrong(self, snapshot: JudgingSnapshot) -> None:
        """Where both agree and are wrong, agreement says so; confusions come by their number."""
        result = score(queries(west=[0, 5], east=[90], north=[180]), snapshot)
        assert (result.centroid.top1, result.neighbours.top1) == (0, 0)
        assert result.agreement == Agreement(1, 0)
        assert result.confusions == (
            Confusion("west", "east", 2),
            Confusion("east", "north", 1),
            Confusion("north", "west", 1),
        )
        assert [mistake.nearest_item for mistake in result.mistakes] == [12, 12, 10, 14]

    def test_confusion_matrix(self, snapshot: JudgingSnapshot) -> None:
        """Rows are what pictures are, columns what they were taken for, classes by name."""
        result = score(queries(west=[0, 5], north=[180, 90]), snapshot)
        assert result.confusion_matrix == ConfusionMatrix(
            ("east", "north", "west"), ((0, 0, 0), (0, 1, 1), (2, 0, 0))
        )
        alone = score(queries(north=[90, 95]), snapshot).confusion_matrix
        assert alone == ConfusionMatrix(("north",), ((2,),))

    def test_no_agreement(self, snapshot: JudgingSnapshot) -> None:
        """Where the predictors never agree, how often they are right together is not known."""
        assert score(queries(north=[62], east=[58]), snapshot).agreement == Agreement(0, None)

    def test_top_5_counts_classes(self) -> None:
        """The five best are five classes, however many items of one stand before another."""
        degrees = [0.0, *(float(at) for at in range(10, 60, 10)), *([1.0] * 30)]
        labels = np.array([*range(6), *[0] * 30])
        snapshot = snapshot_of(
            PLAIN,
            FlatIndex(np.arange(6), unit(*degrees[:6])),
            items=np.arange(36),
            rows=unit(*degrees),
            labels=labels,
            names={at: f"class {at}" for at in range(6)},
        )
        fifth = score([Query(None, "class 4", unit(0)[0])], snapshot)
        sixth = score([Query(None, "class 5", unit(0)[0])], snapshot)
        assert (fifth.neighbours, fifth.centroid) == (Accuracy(0, 1), Accuracy(0, 1))
        assert (sixth.neighbours, sixth.centroid) == (Accuracy(0, 0), Accuracy(0, 0))

    @settings(max_examples=5)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_order_and_blocks_do_not_matter(self, seed: int) -> None:
        """Pictures in another order, and more than one block of them, give the same figures."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 5, 40)
        labels[:5] = range(5)
        rows = unit(*rng.uniform(0, 360, 40))
        means = np.stack([rows[labels == at].mean(axis=0) for at in range(5)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        snapshot = snapshot_of(
            PLAIN,
            FlatIndex(np.arange(5), means.astype(np.float32)),
            items=np.arange(40),
            rows=rows,
            labels=labels,
            names={at: f"class {at}" for at in range(5)},
        )
        asked = [
            Query(None, f"class {at}", row)
            for at, row in zip(
                rng.integers(0, 5, 300).tolist(), unit(*rng.uniform(0, 360, 300)), strict=True
            )
        ]
        one, other = score(asked, snapshot), score(asked[::-1], snapshot)
        for here, there in zip(one.per_class, other.per_class, strict=True):
            assert astuple(here)[:-1] == astuple(there)[:-1]
            assert here.mean_average_precision == pytest.approx(there.mean_average_precision)
        assert (one.centroid, one.neighbours, one.confusions, one.agreement.share) == (
            other.centroid,
            other.neighbours,
            other.confusions,
            other.agreement.share,
        )
        assert one.confusion_matrix == other.confusion_matrix
        assert one.cross_check.verdicts == other.cross_check.verdicts
        weights = [c.pictures / 300 for c in one.per_class]
        tops = [c.centroid_top1 for c in one.per_class]
        assert one.centroid.top1 == pytest.approx(np.dot(weights, tops))
        assert 0 <= one.centroid.top1 <= one.centroid.top5 <= 1
        assert one.confusion_matrix.counts == tuple(
            tuple(
                sum(c.pictures for c in one.confusions if (c.truth, c.predicted) == (row, column))
                if row != column
                else sum(
                    round(c.pictures * c.cross_check_top1) for c in one.per_class if c.label == row
                )
                for column in one.confusion_matrix.labels
            )
            for row in one.confusion_matrix.labels
        )

    @settings(max_examples=25)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_ranking_by_definition(self, seed: int) -> None:
        """Items are ranked by their own cosine plus that of their class, and copies come first."""
        rng = np.random.default_rng(seed)
        labels = np.array([*range(4), *rng.integers(0, 4, 12).tolist()])
        rows, means = unit(*rng.uniform(0, 360, 16)), unit(*rng.uniform(0, 360, 4))
        rows = PLAIN.whiten(to_floats(to_integers(rows)))  # as they are read, to the last bit
        snapshot = snapshot_of(
            PLAIN,
            FlatIndex(np.arange(4), means),
            items=np.arange(100, 116),
            rows=rows,
            labels=labels,
            names={at: f"class {at}" for at in range(4)},
        )
        asked = unit(*rng.uniform(0, 360, 20))
        truth = rng.integers(0, 4, 20)
        result = score(
            [Query(None, f"class {at}", row) for at, row in zip(truth, asked, strict=True)],
            snapshot,
        )
        right, precisions = [], []
        for row, own in zip(asked, truth.tolist(), strict=True):
            scores = rows @ row + (means @ row)[labels] + 4 * (rows @ row >= COPY_COSINE)
            ranked = labels[np.argsort(-scores, kind="stable")]
            places = np.flatnonzero(ranked == own) + 1
            right.append(ranked[0] == own)
            precisions.append(np.mean(np.arange(1, len(places) + 1) / places))
        assert result.retrieval.recall_at_1 == np.mean(right)
        assert result.retrieval.mean_average_precision == pytest.approx(np.mean(precisions))

    def test_equal_neighbours(self, snapshot: JudgingSnapshot) -> None:
        """Of classes whose nearest items are equally near, the one that comes first is named."""
        items = snapshot.moment.items
        index = ItemIndex(PLAIN, FlatIndex(items, unit(90, 80, 0, 80, 180)))
        tied = replace(snapshot, index=index)
        result = score(queries(north=[80], east=[80]), tied)
        assert [row.neighbours_top1 for row in result.per_class] == [1, 0]
        assert result.neighbours == Accuracy(1 / 2, 1)


class TestHead:
    """A head among the witnesses."""

    def test_by_hand(self, snapshot: JudgingSnapshot) -> None:
        """A head that points elsewhere: its accuracy, its loss, and what it makes of answers.

        Its columns have length 5 and point to 60 (east), 120 (north) and 180 (west), so a logit
        over 5 is a cosine. North at 85: head east (25 against 35), centroid north. East at 58: head
        east (2), centroid north (27 against 28), together east.
        """
        degrees = {2: 60.0, 7: 120.0, 5: 180.0}
        result = score(queries(north=[85, 100], east=[58]), headed(snapshot, degrees))
        assert result.head is not None
        assert (result.head.top1, result.head.top5) == (pytest.approx(2 / 3), 1)
        assert [row.head_top1 for row in result.per_class] == [1, 1 / 2]
        assert [row.centroid_top1 for row in result.per_class] == [0, 1]
        assert [row.cross_check_top1 for row in result.per_class] == [1, 1]
        assert (result.cross_check.top1, result.centroid.top1) == (1, pytest.approx(2 / 3))
        assert result.cross_check.verdicts == count((0, 0), (1, 1), (2, 2), (0, 0))
        assert result.agreement == Agreement(pytest.approx(1 / 3), 1)
        assert (result.mistakes, result.confusions) == ((), ())
        assert sorted(result.cross_check.curves) == [
            "centroid",
            "cross_check",
            "head",
            "neighbours",
        ]

    def test_loss_by_definition(self, snapshot: JudgingSnapshot) -> None:
        """The loss is the mean of -log of the head's own softmax, for logits that are believed."""
        degrees = {2: 60.0, 7: 120.0, 5: 180.0}
        asked = queries(north=[85, 100], east=[58], west=[170])
        result = score(asked, headed(snapshot, degrees, length=3, training="document"))
        expected = []
        for query in asked:
            logits = 3 * unit(*degrees.values()) @ query.descriptor
            own = logits[["east", "north", "west"].index(query.label)]
            expected.append(np.log(np.exp(logits).sum()) - own)
        assert result.head == HeadResult(3 / 4, 1, pytest.approx(np.mean(expected), abs=1e-4))

    def test_a_sure_and_wrong_head_has_a_finite_loss(self, snapshot: JudgingSnapshot) -> None:
        """However sure it was of another class, the loss is a number."""
        asked = queries(west=[0])
        sure = headed(snapshot, {2: 0.0, 7: 90.0, 5: 180.0}, length=1e4, training="document")
        result = score(asked, sure)
        assert result.head is not None
        assert 20 < result.head.loss < 30

    def test_a_class_without_a_column(self, snapshot: JudgingSnapshot) -> None:
        """What the head does not know yet is scored by its centroid."""
        result = score(queries(west=[180], north=[90]), headed(snapshot, {7: 90.0, 2: 0.0}))
        assert result.head is not None
        assert result.head.top1 == 1
        assert result.cross_check.top1 == 1

    def test_together(self, snapshot: JudgingSnapshot) -> None:
        """The answer is that of the cosine plus its share of the head's."""
        degrees = {2: 60.0, 7: 120.0, 5: 180.0}
        for at in range(0, 360, 7):
            (query,) = queries(east=[at])
            centroid = unit(30, 85, 180) @ query.descriptor
            fused = centroid + HEAD_SHARE * unit(*degrees.values()) @ query.descriptor
            result = score([query], headed(snapshot, degrees))
            assert result.cross_check.top1 == (fused.argmax() == 0), at


class TestMeasured:
    """Evaluations where something was measured."""

    def test_verdicts(self, snapshot: JudgingSnapshot) -> None:
        """Sure ones match, unfamiliar ones are unknown; what a match is worth is said.

        The centroid's lead is 0.6 at 90 degrees, 0.04 at 62, and 0.008 at 58, where north is wrong.
        At 240 the nearest centroid is 60 degrees away.
        """
        known = replace(snapshot, calibration=measured(familiar=0.6, lean=1))
        result = score(queries(north=[90, 62], east=[58], west=[240]), known, precision=0.95)
        check = result.cross_check
        assert check.verdicts == count((1, 1), (0, 0), (2, 1), (1, 1))
        assert (check.precision, check.expected_coverage) == (0.95, 1 / 2)
        (mistake,) = result.mistakes
        assert mistake.verdict == "disagree"
        assert mistake.probability is not None
        assert 0.5 < mistake.probability < 0.55

    def test_reliability_and_curves(self, snapshot: JudgingSnapshot) -> None:
        """They are those of the probabilities, and of each witness's lead."""
        known = replace(snapshot, calibration=measured(familiar=-1, lean=1))
        degrees = np.random.default_rng(0).uniform(0, 360, 36).tolist()  # without symmetry
        asked = queries(north=degrees, east=degrees, west=degrees)
        check = score(asked, known).cross_check
        rows = np.stack([query.descriptor for query in asked])
        truth = np.repeat([1, 0, 2], len(degrees))
        by_class = {
            "centroid": np.round(rows @ unit(30, 85, 180).T, 6),
            "neighbours": np.round(
                np.stack(
                    [(rows @ unit(*own).T).max(axis=1) for own in ((0, 60), (90, 80), (180,))],
                    axis=1,
                ),
                6,
            ),
        }
        for name, scores in by_class.items():
            best = np.sort(scores, axis=1)
            expected = risk_coverage(best[:, -1] - best[:, -2], scores.argmax(axis=1) == truth)
            assert len(check.curves[name]) == len(expected)
            for here, there in zip(check.curves[name], expected, strict=True):
                assert astuple(here) == pytest.approx(astuple(there), abs=1e-5)
        best = np.sort(by_class["centroid"], axis=1)
        probability = 1 / (1 + np.exp(-10 * (best[:, -1] - best[:, -2]).astype(np.float64)))
        right = by_class["centroid"].argmax(axis=1) == truth
        expected_bins = reliability(probability, right)
        assert check.reliability is not None
        assert check.reliability.error == pytest.approx(expected_bins.error, abs=1e-3)
        assert sum(each.pictures for each in check.reliability.bins) == len(asked)
        last = check.curves["cross_check"][-1]
        assert (last.coverage, last.precision) == (1, pytest.approx(right.mean()))
        assert last.threshold == pytest.approx(probability.min(), abs=1e-3)

    def test_strangers(self, snapshot: JudgingSnapshot) -> None:
        """What is said of pictures of other classes is counted; none of it can be right."""
        known = replace(snapshot, calibration=measured(familiar=0.6, lean=1))
        strange = queries(lamp=[270, 240, 90, 58])
        asked = queries(north=[90])
        result = score(asked, known, strangers=strange, precision=0.95)
        assert result.strangers == count((1, 0), (0, 0), (1, 0), (2, 0))
        alone = score(asked, known, precision=0.95)
        assert alone.strangers == ()
        assert result.cross_check == alone.cross_check
        assert result.per_class == alone.per_class

    def test_strangers_where_nothing_was_measured(self, snapshot: JudgingSnapshot) -> None:
        """Without a calibration nothing can be called unknown."""
        result = score(queries(north=[90]), snapshot, strangers=queries(lamp=[240, 90, 58]))
        assert result.strangers == count((0, 0), (2, 0), (1, 0), (0, 0))
