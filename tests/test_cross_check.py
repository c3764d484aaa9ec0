"""Verdicts: what is said of an answer, by what was measured and by who names what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from strategies import seeds

from catalog.answers import _places, _told
from catalog.descriptors import InvalidInput
from catalog.head import softmax
from catalog.judging.calibration import Calibration, Calibrations
from catalog.judging.cross_check import (
    PRECISION,
    VERDICTS,
    Verdict,
    candidate_count,
    judge,
    require_precision,
)
from catalog.judging.ranking import first_best
from catalog.judging.witnesses import Witnesses


def measured(
    *,
    familiar: float = 0.0,
    lean: float = 1.0,
    temperature: float = 10.0,
    with_head: bool = True,
    wrong: int = 0,
) -> Calibrations:
    """Sure by the centroid's margin m alone: probability 1 / (1 + exp(-10 lean m)).

    It was measured on 200 pictures, the right ones with probabilities from 1 down to 0.9, the wrong
    ones with 0.5.
    """
    confidence = np.concatenate([np.linspace(1, 0.9, 200 - wrong), np.full(wrong, 0.5)])
    found = Calibration(
        temperature=temperature,
        head_temperature=2 * temperature,
        weights=np.array([0, 0, 0, lean, 0, 0], np.float64),
        familiar=familiar,
        like=float("-inf"),
        doubt=0.0,
        confidence=confidence,
        right=np.arange(200) < 200 - wrong,
        share=np.ones(200),
        stranger_confidence=confidence,
        stranger_familiarity=np.zeros(200, np.float32),
        stranger_share=np.ones(200),
        groups=200,
        with_head=with_head,
    )
    return Calibrations(found, None, np.zeros(0, np.int64), (200.0, 0.0))


def witnesses(
    centroid: list[float], neighbours: list[float], head: list[float] | None = None
) -> Witnesses:
    """Of one query."""
    return Witnesses(
        np.array([centroid], np.float32),
        None if head is None else np.array([head], np.float32),
        np.array([neighbours], np.float32),
    )


def drawn(seed: int, queries: int, classes: int, *, head: bool) -> Witnesses:
    """Witnesses at random, that agree now and then."""
    random = np.random.default_rng(seed)
    common = random.uniform(-1, 1, (queries, classes))
    scores = [
        (common + random.normal(0, 0.3, common.shape)).clip(-1, 1).astype(np.float32)
        for _ in range(3)
    ]
    return Witnesses(scores[0], scores[1] if head else None, scores[2])


def anything_said() -> st.SearchStrategy[Witnesses]:
    """Witnesses of up to 20 queries and 6 classes, with a head or without."""
    return st.builds(drawn, seeds, st.integers(1, 20), st.integers(1, 6), head=st.booleans())


def plain_verdict(
    familiarity: float, probability: float, enough: float, familiar: float, *, same: bool
) -> Verdict:
    """The rules, one after another."""
    if familiarity < familiar:
        return "unknown"
    if probability >= enough:
        return "match"
    return "ambiguous" if same else "disagree"


class TestVerdicts:
    """What an answer is worth."""

    @pytest.mark.parametrize(
        ("centroid", "neighbours", "verdict"),
        [
            ([0.9, 0.1], [0.9, 0.1], "match"),
            ([0.9, 0.1], [0.1, 0.9], "match"),
            ([0.6, 0.58], [0.6, 0.5], "ambiguous"),
            ([0.6, 0.58], [0.5, 0.6], "disagree"),
            ([0.29, -0.9], [0.29, 0.1], "unknown"),
            ([0.29, 0.28], [0.1, 0.29], "unknown"),
        ],
    )
    def test_by_hand(self, centroid: list[float], neighbours: list[float], verdict: str) -> None:
        """Sure: match; not sure: by whether both name the same; unlike anything: unknown."""
        calibration = measured(familiar=0.3, wrong=80)
        found = judge(witnesses(centroid, neighbours), calibration, 0.95)
        assert found.verdicts == (verdict,)

    def test_with_a_head_it_is_asked(self) -> None:
        """With a head, it is head and centroid that must name the same; items do not matter."""
        close, calibration = [0.6, 0.58], measured(wrong=80)
        same = judge(witnesses(close, [0.1, 0.9], [0.5, 0.4]), calibration, 0.95)
        other = judge(witnesses(close, [0.9, 0.1], [0.4, 0.5]), calibration, 0.95)
        assert (same.verdicts, other.verdicts) == (("ambiguous",), ("disagree",))
        assert (same.chosen.tolist(), other.chosen.tolist()) == ([0], [1])

    @given(anything_said(), st.floats(-1, 1), st.integers(0, 150), st.floats(0.01, 0.99))
    def test_by_the_rules(
        self, heard: Witnesses, familiar: float, wrong: int, precision: float
    ) -> None:
        """Verdicts, names and probabilities follow the rules, query by query."""
        familiar = float(np.float32(familiar))  # as the cosines it is compared with
        calibration = measured(familiar=familiar, wrong=wrong, lean=0.7)
        found = judge(heard, calibration, precision)
        chosen = first_best(heard.fused)
        enough, coverage = calibration.either.threshold(precision)
        probability = calibration.probabilities(heard, chosen)
        named = heard.named
        np.testing.assert_array_equal(found.chosen, chosen)
        np.testing.assert_array_equal(found.probability, probability)
        assert (found.precision, found.coverage) == (precision, pytest.approx(coverage))
        assert found.verdicts == tuple(
            plain_verdict(
                float(heard.centroid[at].max()),
                float(probability[at]),
                enough,
                familiar,
                same=bool(named[0][at] == named[1][at]),
            )
            for at in range(len(chosen))
        )

    @given(seeds, st.integers(1, 20), st.integers(1, 6), st.floats(0.5, 0.98))
    def test_more_precision_means_fewer_matches(
        self, seed: int, queries: int, classes: int, precision: float
    ) -> None:
        """What matches at a higher precision matches at a lower one, too."""
        heard, calibration = drawn(seed, queries, classes, head=True), measured(wrong=60)
        low = judge(heard, calibration, precision).verdicts
        high = judge(heard, calibration, precision + 0.015).verdicts
        assert all(a == "match" for a, b in zip(low, high, strict=True) if b == "match")

    def test_unreachable(self) -> None:
        """Where no answer reaches the precision, none is a match, and none are expected."""
        found = judge(witnesses([1, -1], [1, -1]), measured(wrong=190), 0.98)
        assert (found.verdicts, found.coverage, found.precision) == (("ambiguous",), 0, 0.98)

    @given(anything_said())
    def test_nothing_was_measured(self, heard: Witnesses) -> None:
        """Without a calibration nothing matches or is unknown, and nothing has a probability."""
        found = judge(heard, None, 0.9)
        assert (found.probability, found.precision, found.coverage) == (None, None, None)
        named = heard.named
        assert found.verdicts == tuple(
            "ambiguous" if same else "disagree" for same in (named[0] == named[1]).tolist()
        )

    @given(seeds, st.integers(1, 20), st.integers(2, 6), st.floats(0.5, 0.98))
    def test_each_class_by_its_own_evidence(
        self, seed: int, queries: int, classes: int, precision: float
    ) -> None:
        """Classes that photos stand in for are judged by photos, and the others by pictures."""
        heard = drawn(seed, queries, classes, head=True)
        marked = replace(heard, made_up=np.arange(classes) % 2 == 0)
        pictures, photos = measured(wrong=60), measured(wrong=20, lean=0.5, familiar=0.2)
        like = 0.4
        made_up = replace(photos.either, like=like)
        both = Calibrations(pictures.held_out, made_up, np.arange(1, classes, 2), (200.0, 200.0))
        found = judge(marked, both, precision)
        alone = judge(heard, pictures, precision)
        by_photos = judge(heard, replace(pictures, held_out=made_up), precision)
        assert found.probability is not None
        for at, chosen in enumerate(found.chosen.tolist()):
            own = by_photos if chosen % 2 == 0 else alone
            assert found.verdicts[at] == own.verdicts[at]
            assert found.probability_of(at) == own.probability_of(at)
            if chosen % 2 == 0 and heard.centroid[at, chosen] < like:
                assert (found.probability_of(at), found.evidence[at]) == (None, None)
                assert found.verdicts[at] != "match"
            else:
                assert found.evidence[at] == ("made up" if chosen % 2 == 0 else "held out")

    def test_all_of_them(self) -> None:
        """There are four verdicts, the surest first."""
        assert VERDICTS == ("match", "ambiguous", "disagree", "unknown")


class TestShares:
    """Softmaxes of scores."""

    def test_temperatures(self) -> None:
        """Both together and the head alone have their own, and a head's logits their scale."""
        heard = witnesses([0.6, 0.2], [0.5, 0.1], [0.3, 0.4])
        found = judge(heard, measured(temperature=7), 0.9)
        np.testing.assert_allclose(found.shares, softmax(7 * heard.fused), atol=1e-6)
        assert heard.head is not None
        np.testing.assert_allclose(found.head_shares, softmax(14 * heard.head), atol=1e-6)
        believed = Witnesses(heard.centroid, heard.head, heard.neighbours, 3.0)
        for calibration in (None, measured(temperature=7)):
            found = judge(believed, calibration, 0.9)
            np.testing.assert_allclose(found.head_shares, softmax(3 * heard.head), atol=1e-6)

    def test_without_a_head(self) -> None:
        """Without a head there is no softmax of one."""
        assert judge(witnesses([0.6, 0.2], [0.5, 0.1]), measured(), 0.9).head_shares is None

    @given(anything_said(), st.sampled_from([None, measured()]))
    def test_the_answer_has_the_largest_share(
        self, heard: Witnesses, calibration: Calibrations | None
    ) -> None:
        """Shares sum to one, and none is larger than that of the class that is the answer."""
        found = judge(heard, calibration, 0.9)
        np.testing.assert_allclose(found.shares.sum(axis=1), 1)
        own = found.shares[np.arange(len(found.chosen)), found.chosen]
        np.testing.assert_allclose(own, found.shares.max(axis=1), rtol=1e-4)


class TestOneClass:
    """A catalogue of one class."""

    @pytest.mark.parametrize("head", [None, [0.7]])
    @pytest.mark.parametrize("calibration", [None, measured(familiar=0.3)])
    def test_it_is_the_answer(
        self, head: list[float] | None, calibration: Calibrations | None
    ) -> None:
        """The only class is the answer, with all of the softmax, whatever the verdict."""
        found = judge(witnesses([0.6], [0.5], head), calibration, 0.9)
        assert (found.chosen.tolist(), found.shares.tolist()) == ([0], [[1]])
        assert found.head_shares is None or found.head_shares.tolist() == [[1]]
        assert found.verdicts == ("match" if calibration else "ambiguous",)

    def test_it_may_be_unknown(self) -> None:
        """A picture that does not look like it is unknown."""
        found = judge(witnesses([0.2], [0.5]), measured(familiar=0.3), 0.9)
        assert found.verdicts == ("unknown",)


@pytest.mark.parametrize("precision", [0, 1, -0.5, 1.5, float("nan"), float("inf")])
def test_precisions_that_are_refused(precision: float) -> None:
    """More than always, less than never, and both of them exactly, cannot be asked for."""
    for calibration in (None, measured()):
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            judge(witnesses([0.6], [0.5]), calibration, precision)
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        require_precision(precision)


def test_precisions_that_are_not() -> None:
    """Anything between can be asked for, and 98 in 100 is asked for by default."""
    for precision in (1e-9, 0.5, PRECISION, 1 - 1e-9):
        require_precision(precision)
    assert PRECISION == 0.98


class TestCandidateCount:
    """How many classes it takes to be that sure."""

    @given(arrays(np.float64, st.integers(1, 8), elements=st.floats(0.001, 1)), st.floats(0, 1))
    def test_by_definition(self, numbers: NDArray[np.float64], wanted: float) -> None:
        """It is the least number of largest shares that hold as much; all of them at most."""
        shares = numbers / numbers.sum()
        count = candidate_count(shares, wanted)
        falling = sorted(shares.tolist(), reverse=True)
        assert 1 <= count <= len(shares)
        assert count == len(shares) or sum(falling[:count]) >= wanted - 1e-9
        assert count == 1 or sum(falling[: count - 1]) < wanted + 1e-9

    @given(arrays(np.float64, st.integers(1, 8), elements=st.floats(0.001, 1)), seeds)
    def test_order_does_not_matter(self, numbers: NDArray[np.float64], seed: int) -> None:
        """Classes in another order are as many, and more are needed to be surer."""
        shares = numbers / numbers.sum()
        shuffled = np.random.default_rng(seed).permutation(shares)
        assert candidate_count(shares, 0.5) == candidate_count(shuffled, 0.5)
        counts = [candidate_count(shares, wanted) for wanted in (0.1, 0.5, 0.9, 0.99)]
        assert counts == sorted(counts)

    def test_by_hand(self) -> None:
        """Half of it takes the first, 60 in 100 two, and nearly all three."""
        shares = np.array([0.125, 0.5, 0.25, 0.125])
        assert [candidate_count(shares, wanted) for wanted in (0.5, 0.6, 0.875, 0.98)] == [
            1,
            2,
            3,
            4,
        ]


def test_what_is_shown_does_not_rank() -> None:
    """Scores that differ by rounding are a tie, however far a softmax of them is apart."""
    scores, shares = np.array([[0.5, 0.5 + 1e-8]]), np.array([0.4, 0.6])
    witnesses = Witnesses(scores.astype(np.float64), None, scores)
    places = _places(witnesses, np.array([True, True]), 2)
    for ranked in (places.fused, places.centroid, places.neighbours):
        assert [one.label for one in _told(ranked[0], ["a", "b"], shares)] == ["a", "b"]
