"""Precision by coverage, calibration and confusions: each against plain, slow Python."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import seeds

from catalog.descriptors import InvalidInput
from catalog.judging.reliability import (
    CoveragePoint,
    confusion_matrix,
    reliability,
    risk_coverage,
    risk_coverage_area,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@st.composite
def answers(
    draw: st.DrawFn, *, least: int = 1, most: int = 40
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities in [0, 1], ties and the borders of bins among them; and what was right."""
    count = draw(st.integers(least, most))
    numbers = st.floats(0, 1) | st.sampled_from([0.0, 0.2, 1 / 3, 0.6, 0.8, 1.0])
    return (
        draw(arrays(np.float64, count, elements=numbers)),
        draw(arrays(np.bool_, count)),
    )


def plain_curve(confidence: list[float], right: list[bool]) -> list[tuple[float, float, float]]:
    """Coverage, precision and threshold for each confidence that occurs."""
    points = []
    for threshold in sorted(set(confidence), reverse=True):
        kept = [ok for sure, ok in zip(confidence, right, strict=True) if sure >= threshold]
        points.append((len(kept) / len(right), sum(kept) / len(kept), threshold))
    return points


def plain_error(probability: list[float], right: list[bool], bins: int) -> float:
    """The expected calibration error by its definition."""
    error = 0.0
    for at in range(bins):
        lower, upper = at / bins, (at + 1) / bins
        inside = [
            (p, ok)
            for p, ok in zip(probability, right, strict=True)
            if lower <= p < upper or (p == upper == 1)
        ]
        if inside:
            sure = sum(p for p, _ in inside) / len(inside)
            share = sum(ok for _, ok in inside) / len(inside)
            error += len(inside) / len(right) * abs(share - sure)
    return error


class TestRiskCoverage:
    """The surest pictures first."""

    @given(answers())
    def test_by_definition(self, answered: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
        """A point says what is answered, and how well, from its threshold up."""
        confidence, right = answered
        found = [(p.coverage, p.precision, p.threshold) for p in risk_coverage(confidence, right)]
        assert found == plain_curve(confidence.tolist(), right.tolist())

    @given(seeds, st.integers(101, 3000), st.integers(1, 4))
    def test_few_points_of_many(self, seed: int, count: int, digits: int) -> None:
        """At most 100 points of the whole curve are kept, wherever along it pictures are."""
        random = np.random.default_rng(seed)
        confidence = np.round(random.beta(2, 0.5, count), digits)
        right = random.random(count) < confidence
        kept = risk_coverage(confidence, right)
        whole = plain_curve(confidence.tolist(), right.tolist())
        assert {(p.coverage, p.precision, p.threshold) for p in kept} <= set(whole)
        assert len(kept) <= 100
        assert all(a.coverage < b.coverage for a, b in pairwise(kept))
        assert all(a.threshold > b.threshold for a, b in pairwise(kept))
        widest = max(b - a for a, b in pairwise([0.0, *(coverage for coverage, _, _ in whole)]))
        gaps = [b - a for a, b in pairwise([0.0, *(p.coverage for p in kept)])]
        assert max(gaps) <= 0.01 + widest + 1e-9
        assert (kept[-1].coverage, kept[-1].precision) == (1, right.sum() / count)

    @given(answers(), st.floats(-3, 3))
    def test_the_scale_does_not_matter(
        self, answered: tuple[NDArray[np.float64], NDArray[np.bool_]], shift: float
    ) -> None:
        """Only the order of confidences counts: logits will do as well as probabilities."""
        confidence, right = answered
        ranks = np.unique(confidence, return_inverse=True)[1] + shift
        one, other = risk_coverage(confidence, right), risk_coverage(ranks, right)
        assert [(p.coverage, p.precision) for p in one] == [
            (p.coverage, p.precision) for p in other
        ]

    def test_by_hand(self) -> None:
        """Two equally sure pictures are answered together, the extremes of floats apart."""
        confidence = np.array([0.5, -1e308, 0.9, 0.5, 1e308])
        right = np.array([True, False, False, False, True])
        assert risk_coverage(confidence, right) == (
            CoveragePoint(0.2, 1, 1e308),
            CoveragePoint(0.4, 0.5, 0.9),
            CoveragePoint(0.8, 0.5, 0.5),
            CoveragePoint(1, 0.4, -1e308),
        )
        assert risk_coverage_area(confidence, right) == pytest.approx((0 + 0.5 * 3 + 0.6) / 5)

    @given(answers())
    def test_area(self, answered: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
        """The area is the mean over pictures of the risk at which each is answered."""
        confidence, right = answered
        risks = {threshold: 1 - p for _, p, threshold in plain_curve(confidence.tolist(), right)}
        expected = sum(risks[sure] for sure in confidence.tolist()) / len(right)
        assert risk_coverage_area(confidence, right) == pytest.approx(expected, abs=1e-12)

    @given(st.integers(1, 30), st.integers(0, 30))
    def test_area_of_the_best_order(self, rights: int, wrongs: int) -> None:
        """No order of the same pictures has less area than all right ones first."""
        right = np.arange(rights + wrongs) < rights
        best = risk_coverage_area(-np.arange(len(right), dtype=float), right)
        worst = risk_coverage_area(np.arange(len(right), dtype=float), right)
        assert best is not None
        assert worst is not None
        assert 0 <= best <= wrongs / len(right) <= worst <= 1

    def test_no_picture(self) -> None:
        """Without pictures there is no curve and no area."""
        nothing, none = np.zeros(0), np.zeros(0, np.bool_)
        assert risk_coverage(nothing, none) == ()
        assert risk_coverage_area(nothing, none) is None

    @pytest.mark.parametrize("measure", [risk_coverage, risk_coverage_area])
    def test_what_is_refused(self, measure: type) -> None:
        """Lengths that differ, tables, and confidences that are no number."""
        right = np.array([True, False])
        for confidence in (np.zeros(3), np.zeros((2, 1)), np.zeros((2, 2))):
            with pytest.raises(InvalidInput, match="do not fit"):
                measure(confidence, right)
        for odd in (np.nan, np.inf, -np.inf):
            with pytest.raises(InvalidInput, match="finite"):
                measure(np.array([0.5, odd]), right)


class TestReliability:
    """Probabilities against what happened."""

    @given(answers(), st.integers(1, 20))
    def test_by_definition(
        self, answered: tuple[NDArray[np.float64], NDArray[np.bool_]], bins: int
    ) -> None:
        """The error is the mean distance of a bin's probability from its share of right ones."""
        probability, right = answered
        found = reliability(probability, right, bins=bins)
        assert found.error == pytest.approx(
            plain_error(probability.tolist(), right.tolist(), bins), abs=1e-12
        )
        assert found.error is not None
        assert 0 <= found.error <= 1

    @given(answers(least=0), st.integers(1, 20))
    def test_bins(self, answered: tuple[NDArray[np.float64], NDArray[np.bool_]], bins: int) -> None:
        """Bins lie side by side from 0 to 1, and each picture is in the one that holds it."""
        probability, right = answered
        found = reliability(probability, right, bins=bins).bins
        assert [b.lower for b in found] == [at / bins for at in range(bins)]
        assert [b.upper for b in found] == [(at + 1) / bins for at in range(bins)]
        assert sum(b.pictures for b in found) == len(right)
        for b in found:
            inside = (probability >= b.lower) & ((probability < b.upper) | (b.upper == 1))
            assert b.pictures == inside.sum()
            if b.pictures:
                assert b.probability == pytest.approx(probability[inside].mean())
                assert b.right == pytest.approx(right[inside].mean())
            else:
                assert (b.probability, b.right) == (None, None)

    @given(st.lists(st.tuples(st.integers(0, 10), st.integers(1, 5)), min_size=1, max_size=5))
    def test_calibrated(self, groups: list[tuple[int, int]]) -> None:
        """Where of pictures at 0.3 three in ten are right, and so on, there is no error."""
        probability = np.concatenate([np.full(10 * times, of / 10) for of, times in groups])
        right = np.concatenate([np.arange(10 * times) % 10 < of for of, times in groups])
        assert reliability(probability, right).error == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("said", [0.0, 1.0])
    def test_always_mistaken(self, said: float) -> None:
        """Certainty that is always mistaken is the largest error there is."""
        right = np.full(7, said == 0.0)
        assert reliability(np.full(7, said), right).error == 1

    @given(answers(least=0), st.data())
    def test_pictures_without_a_probability(
        self, answered: tuple[NDArray[np.float64], NDArray[np.bool_]], data: st.DataObject
    ) -> None:
        """They change nothing but the number of those that were left out."""
        probability, right = answered
        unknown = data.draw(arrays(np.bool_, len(right)))
        with_gaps = reliability(np.where(unknown, np.nan, probability), right)
        without = reliability(probability[~unknown], right[~unknown])
        assert (with_gaps.bins, with_gaps.error) == (without.bins, without.error)
        assert (with_gaps.left_out, without.left_out) == (unknown.sum(), 0)

    def test_no_probability(self) -> None:
        """Where no picture has a probability there is no error to speak of."""
        found = reliability(np.full(3, np.nan), np.ones(3, np.bool_))
        assert (found.error, found.left_out, len(found.bins)) == (None, 3, 15)
        assert {b.pictures for b in found.bins} == {0}

    def test_what_is_refused(self) -> None:
        """Lengths that differ, probabilities that are none, and no bin at all."""
        right = np.array([True, False])
        for probability in (np.zeros(3), np.zeros((2, 2))):
            with pytest.raises(InvalidInput, match="do not fit"):
                reliability(probability, right)
        for odd in (-1e-9, 1.0000001, np.inf, -np.inf):
            with pytest.raises(InvalidInput, match="between 0 and 1"):
                reliability(np.array([odd, np.nan]), right)
        with pytest.raises(InvalidInput, match="0 bins"):
            reliability(np.zeros(2), right, bins=0)


class TestConfusionMatrix:
    """What pictures were taken for."""

    @given(st.integers(1, 6), st.data())
    def test_by_definition(self, classes: int, data: st.DataObject) -> None:
        """Each cell counts its pictures; all cells make all, the diagonal those that are right."""
        pair = st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1))
        pairs = data.draw(st.lists(pair, max_size=40))
        truth, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
        found = confusion_matrix(truth, predicted, classes)
        assert found.dtype == np.int64
        assert found.tolist() == [
            [pairs.count((row, column)) for column in range(classes)] for row in range(classes)
        ]
        assert found.sum() == len(pairs)
        assert np.trace(found) == (truth == predicted).sum()

    def test_small_integers(self) -> None:
        """Classes stored in a byte are counted as well as any."""
        classes = np.full(3, 200, np.uint8)
        assert confusion_matrix(classes, classes, 201)[200, 200] == 3

    def test_what_is_refused(self) -> None:
        """Lengths that differ, and classes that there are not."""
        with pytest.raises(InvalidInput, match="do not fit"):
            confusion_matrix(np.array([0, 1]), np.array([0]), 2)
        for odd in (-1, 2):
            for pair in ((odd, 0), (0, odd)):
                with pytest.raises(InvalidInput, match="beyond the 2"):
                    confusion_matrix(np.array(pair[:1]), np.array(pair[1:]), 2)
