"""How sure answers may be: pictures held out group by group, and what is learnt from them."""

from __future__ import annotations

import io
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from judged_shop import (
    CLASSES,
    OCCASIONS,
    WIDTH,
    held_out,
    learnt,
    pool,
    same,
    shop,
    talk,
)
from numpy.typing import NDArray
from strategies import seeds

from catalog.descriptors import Prior, Sums, class_means, fit, to_floats
from catalog.head import solve
from catalog.judging import cross_fit
from catalog.judging.calibration import (
    KNOWN_SHARE,
    LEAST_GROUPS,
    Calibration,
    learn,
)
from catalog.judging.cross_fit import HeldOut, Pool
from catalog.judging.witnesses import NearestOfClass, Witnesses


@pytest.fixture(scope="module")
def doubtful() -> Calibration:
    """Learnt from pictures some of which show little of their class."""
    return learnt(pool(*shop(shots=2, strength=(0.02, 0.6))).cross_fit())


class TestCrossFit:
    """Pictures judged by the rest."""

    @pytest.mark.parametrize("shots", [1, 3])
    def test_groups_are_occasions(self, shots: int) -> None:
        """The shots of an occasion count as one, and each picture but once."""
        positions, rows = shop(shots=shots)
        found = held_out(pool(positions, rows).cross_fit())
        assert found.groups == CLASSES * OCCASIONS
        np.testing.assert_allclose(found.share, 1 / shots)
        assert np.bincount(found.truth).tolist() == np.bincount(positions).tolist()
        assert found.witnesses.centroid.shape == (len(rows), CLASSES)

    @pytest.mark.parametrize("with_head", [True, False])
    def test_by_definition(self, with_head: bool) -> None:  # noqa: FBT001 - a parameter
        """Each fold is judged by what the other folds alone teach, added up afresh."""
        positions, rows = shop(shots=2, strength=(0.2, 0.6))
        everything = pool(positions, rows, with_head=with_head)
        found, done = held_out(everything.cross_fit()), 0
        _, dense = np.unique(everything.groups, return_inverse=True)
        for fold in range(5):
            test = dense % 5 == fold
            rest = pool(positions[~test], rows[~test]).sums
            metric = fit(rest, range(CLASSES), everything.prior)
            queries, items = metric.whiten(to_floats(rows[test])), to_floats(rows[~test])
            means = metric.whiten(class_means(rest, range(CLASSES)))
            here = np.arange(done, done + test.sum())
            done += len(here)
            said = found.witnesses
            np.testing.assert_array_equal(found.truth[here], positions[test])
            np.testing.assert_allclose(said.centroid[here], queries @ means.T, atol=1e-5)
            nearest = NearestOfClass(len(queries), CLASSES)
            nearest.see(queries @ metric.whiten(items).T, positions[~test])
            np.testing.assert_allclose(said.neighbours[here], nearest.scores, atol=1e-5)
            if said.head is not None:
                head = solve(metric.whiten(items), positions[~test], range(CLASSES))
                expected = head.logits(queries) / head.scale
                np.testing.assert_allclose(said.head[here], expected, atol=1e-4)
        assert done == len(found.truth)
        assert (found.witnesses.head is not None) == with_head

    def test_a_class_of_one_occasion_is_not_judged(self) -> None:
        """With its only group held out a class is not there: its pictures are no evidence."""
        positions, rows = shop(shots=3)
        everything = pool(positions, rows)
        once = everything.groups == everything.groups[positions == 2][0]
        kept = (positions != 2) | once
        found = held_out(pool(positions[kept], rows[kept]).cross_fit())
        assert 2 not in found.truth
        assert set(found.truth.tolist()) == set(range(CLASSES)) - {2}
        assert found.groups == (CLASSES - 1) * OCCASIONS

    @pytest.mark.parametrize("count", [0, 1, 7])
    def test_two_classes_are_needed(self, count: int) -> None:
        """Without a second class there is nothing to be taken for."""
        positions, rows = shop()
        own = np.flatnonzero(positions == 0)[:count]
        alone = pool(positions[own], rows[own])
        assert alone.cross_fit() is None
        assert learn(alone.cross_fit()) is None

    def test_one_picture_of_each_thing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no class could be judged nothing is computed: it would take seconds for nothing."""
        monkeypatch.setattr(
            cross_fit, "solve_blocks", lambda *_, **__: pytest.fail("a head was solved")
        )
        positions, rows = shop(shots=1)
        first = np.unique(positions, return_index=True)[1]
        assert pool(positions[first], rows[first]).cross_fit() is None

    def test_many_are_held_out_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a large catalogue one part, of whole groups, is enough."""
        monkeypatch.setattr(cross_fit, "_FOLDED_ITEMS", 100)
        monkeypatch.setattr(cross_fit, "_HELD_OUT", 91)
        positions, rows = shop(shots=3)
        found = held_out(pool(positions, rows).cross_fit())
        assert len(found.truth) == 90
        assert (found.groups, float(found.share.sum())) == (30, pytest.approx(30))
        np.testing.assert_allclose(found.share, 1 / 3)

    def test_a_long_film_does_not_take_the_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A large occasion, wherever it comes, leaves as many others to be held out."""
        monkeypatch.setattr(cross_fit, "_FOLDED_ITEMS", 100)
        monkeypatch.setattr(cross_fit, "_HELD_OUT", 60)
        positions, rows = shop(shots=3)
        alone = np.arange(len(rows))
        for film in (40, 70):
            groups = np.concatenate([np.zeros(film, np.int64), alone[film:]])
            found = held_out(pool(positions, rows).judged_by(groups).cross_fit())
            assert (len(found.truth), found.groups) == (60, 60)
        whole = np.repeat(alone[::50], 50)[: len(rows)]  # nothing but films
        found = held_out(pool(positions, rows).judged_by(whole).cross_fit())
        assert found.groups == 1

    def test_what_was_dropped_still_counts(self) -> None:
        """Classes of which the sums alone are left can be taken for, and are not judged."""
        positions, rows = shop()
        everything = pool(positions, rows)
        kept = positions != 3
        found = held_out(
            replace(everything, rows=rows[kept], positions=positions[kept]).cross_fit()
        )
        assert 3 not in found.truth
        lone = found.witnesses.centroid[:, 3]
        assert lone.any()
        assert np.isfinite(lone).all()


class TestHistory:
    """What came in which order does not matter."""

    @settings(max_examples=5)
    @given(seeds)
    def test_same_catalogue_same_numbers(self, seed: int) -> None:
        """Other ids, batches in another order and a detour give the same bits."""
        random = np.random.default_rng(seed)
        positions, rows = shop(shots=2, strength=(0.02, 0.6))
        ids = random.permutation(100)[:CLASSES]
        sums, shuffled = Sums(WIDTH), random.permutation(len(rows))
        for batch in np.array_split(shuffled, 7):
            sums.add(ids[positions[batch]], rows[batch])
        sums.add(np.full(5, 777), rows[:5])
        sums.subtract(np.full(5, 777), rows[:5])
        other = Pool(rows, positions, sums, ids.tolist(), Prior.isotropic(WIDTH))
        one = pool(positions, rows)
        assert same(learnt(one.cross_fit()), learnt(other.cross_fit()))


class TestLearning:
    """What comes of held-out pictures."""

    @pytest.mark.parametrize(("occasions", "enough"), [(2, False), (4, True)])
    def test_how_many_it_takes(self, occasions: int, enough: bool) -> None:  # noqa: FBT001
        """With fewer groups than 20 there is no probability, however many pictures they have."""
        positions, rows = shop(shots=3)
        groups = pool(positions, rows).groups
        kept = np.zeros(len(rows), np.bool_)
        for label in range(CLASSES):
            first = np.unique(groups[positions == label])[:occasions]
            kept |= np.isin(groups, first)
        found = held_out(pool(positions[kept], rows[kept]).cross_fit())
        assert (found.groups >= LEAST_GROUPS) == enough
        assert (learn(found) is not None) == enough

    def test_nothing_was_held_out(self) -> None:
        """From nothing nothing is learnt."""
        assert learn(None) is None

    @pytest.mark.parametrize("with_head", [True, False])
    def test_what_can_be_told_apart(self, with_head: bool) -> None:  # noqa: FBT001 - a parameter
        """Where the rest is always right, nearly all answers are sure enough for 95 in 100."""
        found = learnt(pool(*shop(), with_head=with_head).cross_fit())
        assert found.right.all()
        assert found.with_head == with_head
        lowest, coverage = found.threshold(0.95)
        assert coverage > 0.95
        assert lowest > 0.8

    def test_what_cannot(self) -> None:
        """Where pictures show nothing of their class, no answer is sure."""
        found = learnt(pool(*shop(strength=(0.0, 0.0))).cross_fit())
        assert found.right.mean() < 0.4
        assert found.confidence.mean() == pytest.approx(found.right.mean(), abs=0.05)
        assert found.threshold(0.95) == (float("inf"), 0)

    def test_probabilities_are_right_on_average(self, doubtful: Calibration) -> None:
        """The mean probability is the share of right answers; surer ones are right more often."""
        assert 0.3 < np.average(doubtful.right, weights=doubtful.share) < 0.95
        assert np.average(doubtful.confidence, weights=doubtful.share) == pytest.approx(
            np.average(doubtful.right, weights=doubtful.share), abs=0.01
        )
        half = len(doubtful.right) // 2
        assert doubtful.right[:half].mean() > doubtful.right[half:].mean() + 0.1

    def test_shapes(self, doubtful: Calibration) -> None:
        """Answers come by falling probability, each with what it counts."""
        count = CLASSES * OCCASIONS * 2
        for part in (
            doubtful.confidence,
            doubtful.right,
            doubtful.share,
            doubtful.stranger_confidence,
            doubtful.stranger_familiarity,
            doubtful.stranger_share,
        ):
            assert part.shape == (count,)
        assert (np.diff(doubtful.confidence) <= 0).all()
        assert ((doubtful.confidence >= 0) & (doubtful.confidence <= 1)).all()
        assert ((doubtful.stranger_confidence >= 0) & (doubtful.stranger_confidence <= 1)).all()
        assert doubtful.share.sum() == pytest.approx(doubtful.groups)

    @pytest.mark.parametrize("strength", [(0.5, 0.5), (0.02, 0.6)])
    def test_known_pictures_look_familiar(self, strength: tuple[float, float]) -> None:
        """All but 5 in 100 pictures of known classes are as familiar as is asked for."""
        found = held_out(pool(*shop(shots=2, strength=strength)).cross_fit())
        clear = found.witnesses.familiarity >= learnt(found).familiar
        cleared = float(np.average(clear, weights=found.share))
        assert KNOWN_SHARE - 1e-9 <= cleared <= KNOWN_SHARE + 0.03

    def test_strangers_look_less_familiar(self) -> None:
        """Without their class, pictures are less familiar, and answers less sure."""
        found = learnt(pool(*shop()).cross_fit())
        assert (found.stranger_familiarity < found.familiar).mean() > 0.9
        found = learnt(talk())
        assert (found.stranger_familiarity < found.familiar).mean() > 0.3
        assert found.stranger_confidence.mean() < found.confidence.mean() - 0.2

    def test_never_wrong_is_not_certain(self) -> None:
        """Where no answer was wrong yet, a picture that is as near to all classes may be."""
        found = learnt(pool(*shop()).cross_fit())
        assert found.right.all()
        torn = np.zeros((1, CLASSES), np.float32)
        assert found.probabilities(Witnesses(torn, torn, torn), np.array([0])) < 0.99

    def test_bursts_do_not_make_it_surer(self) -> None:
        """Each picture three times over is as many groups, and as sure as it is right."""
        once = shop(strength=(0.02, 0.6))
        thrice = np.repeat(once[0], 3), np.repeat(once[1], 3, axis=0)
        one, three = (held_out(pool(*each).cross_fit()) for each in (once, thrice))
        assert one.groups == three.groups
        assert one.share.sum() == pytest.approx(three.share.sum())
        for found in (learnt(one), learnt(three)):
            assert np.average(found.confidence, weights=found.share) == pytest.approx(
                np.average(found.right, weights=found.share), abs=0.01
            )

    def test_one_of_many_copies(self) -> None:
        """A wrong answer to a burst of thirty is one wrong answer, not thirty."""
        random = np.random.default_rng(0)
        centroid = random.uniform(-0.2, 0.2, (130, 3)).astype(np.float32)
        truth = random.integers(0, 3, 130)
        centroid[np.arange(100), truth[:100]] += 0.5
        centroid[100:] = centroid[100]
        truth[100:] = (centroid[100].argmax() + 1) % 3
        share = np.where(np.arange(130) < 100, 1, 1 / 30)
        heard = Witnesses(centroid, None, centroid)
        kept = np.arange(130) <= 100
        thirty = learnt(HeldOut(heard, truth, share, 101))
        one = learnt(HeldOut(heard.of(kept), truth[kept], np.ones(101), 101))
        np.testing.assert_allclose(thirty.weights, one.weights, atol=1e-6)
        assert thirty.temperature == one.temperature
        assert thirty.threshold(0.9) == pytest.approx(one.threshold(0.9), abs=1e-6)


class TestProbabilities:
    """The probability of an answer."""

    @given(st.integers(1, 6), st.integers(0, 5), st.data())
    def test_lie_between_0_and_1(
        self, doubtful: Calibration, classes: int, queries: int, data: st.DataObject
    ) -> None:
        """Whatever is said, and whichever class is asked about, it is a probability."""
        scores = arrays(np.float32, (queries, classes), elements=st.floats(-4, 4, width=32))
        head = data.draw(st.none() | scores)
        heard = Witnesses(data.draw(scores), head, data.draw(scores))
        chosen = data.draw(arrays(np.int64, queries, elements=st.integers(0, classes - 1)))
        for calibration in (doubtful, replace(doubtful, with_head=False)):
            found = calibration.probabilities(heard, chosen)
            assert found.shape == (queries,)
            assert ((found >= 0) & (found <= 1)).all()

    def test_a_head_that_was_not_heard_is_not_heard(self, doubtful: Calibration) -> None:
        """Where the head was no witness when it was measured, what it says changes nothing."""
        random = np.random.default_rng(1)
        first, second, third = random.uniform(-1, 1, (3, 4, 5)).astype(np.float32)
        deaf, chosen = replace(doubtful, with_head=False), np.array([0, 1, 2, 3])
        with_head = Witnesses(first, second, third)
        expected = deaf.probabilities(with_head.without_head, chosen)
        np.testing.assert_array_equal(deaf.probabilities(with_head, chosen), expected)
        assert not np.array_equal(doubtful.probabilities(with_head, chosen), expected)

    def test_are_those_that_were_measured(self) -> None:
        """Of the held-out pictures themselves they are the ones that are kept."""
        found = held_out(pool(*shop(strength=(0.02, 0.6))).cross_fit())
        calibration = learnt(found)
        chosen = found.witnesses.fused.round(6).argmax(axis=1)
        again = calibration.probabilities(found.witnesses, chosen)
        np.testing.assert_allclose(np.sort(again)[::-1], calibration.confidence)

    def test_agreement_makes_it_surer(self) -> None:
        """A class that all name, far ahead, is surer than one that is behind with all."""
        scores = np.array([[0.6, 0.1, 0.0, 0.0]], np.float32)
        heard, calibration = Witnesses(scores, scores, scores), learnt(talk())
        assert calibration.probabilities(heard, np.array([0])) > 0.9
        assert calibration.probabilities(heard, np.array([2])) < 0.1


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Falling confidences with ties, whether each was right, and what it counts."""
    count = draw(st.integers(1, 60))
    numbers = st.floats(0, 1) | st.sampled_from([0.25, 0.5, 0.75, 1.0])
    confidence = np.sort(draw(arrays(np.float64, count, elements=numbers)))[::-1].copy()
    right = draw(arrays(np.bool_, count, elements=st.sampled_from([True, True, True, False])))
    share = draw(arrays(np.float64, count, elements=st.sampled_from([1.0, 0.5, 0.2, 1 / 3])))
    return confidence, right, share


class TestThreshold:
    """From which probability on an answer is a match."""

    @staticmethod
    def made(
        calibration: Calibration,
        found: tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]],
    ) -> Calibration:
        """A calibration of those outcomes."""
        confidence, right, share = found
        return replace(calibration, confidence=confidence, right=right, share=share)

    @given(outcomes(), st.floats(0.01, 0.99))
    def test_by_definition(
        self,
        doubtful: Calibration,
        found: tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]],
        precision: float,
    ) -> None:
        """The lowest from which on mean confidence is the precision, half a mistake counted in."""
        confidence, _, share = found
        lowest, coverage = self.made(doubtful, found).threshold(precision)
        good = [
            float(at)
            for at in np.unique(confidence)
            if np.sum(share * confidence, where=confidence >= at) + 0.5
            >= precision * (np.sum(share, where=confidence >= at) + 1) + 1e-9
        ]
        if good:
            assert lowest <= min(good)
        if lowest == float("inf"):
            assert coverage == 0
            return
        kept = confidence >= lowest
        assert lowest in confidence
        right = np.sum((share * confidence)[kept]) + 0.5
        assert right / (share[kept].sum() + 1) >= precision - 1e-9
        assert coverage == pytest.approx(share[kept].sum() / share.sum())

    @given(outcomes(), st.floats(0.01, 0.98), st.floats(0.01, 0.98))
    def test_coverage_is_the_price(
        self,
        doubtful: Calibration,
        found: tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]],
        one: float,
        other: float,
    ) -> None:
        """More precision never comes at more coverage, nor from a lower probability on."""
        calibration = self.made(doubtful, found)
        low, high = (calibration.threshold(at) for at in sorted((one, other)))
        assert low[0] <= high[0]
        assert low[1] >= high[1]

    def test_on_what_was_measured(self, doubtful: Calibration) -> None:
        """Held-out answers from the threshold up are right as often as promised."""
        for precision in (0.5, 0.7, 0.9, 0.95):
            lowest, coverage = doubtful.threshold(precision)
            kept = doubtful.confidence >= lowest
            if coverage:
                reached = np.average(doubtful.right[kept], weights=doubtful.share[kept])
                assert reached >= precision - 0.03
        assert doubtful.threshold(0.5)[1] > doubtful.threshold(0.9)[1] > 0

    def test_unreachable(self, doubtful: Calibration) -> None:
        """Ten sure answers promise no 98 in 100: the next may be wrong; of photos, no 95."""
        ten = np.ones(10)
        pictures = replace(doubtful, confidence=ten, right=ten > 0, share=ten)
        assert pictures.threshold(0.98) == (float("inf"), 0)
        assert pictures.threshold(0.95) == (1.0, 1)
        none = np.zeros(0)
        photos = replace(pictures, doubt=9.0, stranger_confidence=none, stranger_share=none)
        assert photos.threshold(0.95) == (float("inf"), 0)
        assert photos.threshold(0.9) == (1.0, 1)

    def test_ties_go_together(self, doubtful: Calibration) -> None:
        """Of equally sure answers all or none are taken, whichever of them comes first."""
        confidence = np.array([0.9] * 20 + [0.5] * 4)
        right = confidence > 0
        calibration = replace(doubtful, confidence=confidence, right=right, share=np.ones(24))
        assert calibration.threshold(0.85) == (0.9, pytest.approx(20 / 24))
        assert calibration.threshold(0.8) == (0.5, 1)


class TestArrays:
    """A calibration as arrays."""

    def test_round_trip(self, doubtful: Calibration) -> None:
        """What was stored comes back: same numbers, same types."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **doubtful.to_arrays())
        buffer.seek(0)
        with np.load(buffer, allow_pickle=False) as stored:
            again = Calibration.from_arrays(dict(stored))
        assert same(again, doubtful)
        for field in fields(Calibration):
            before, after = getattr(doubtful, field.name), getattr(again, field.name)
            assert type(before) is type(after), field.name
            assert getattr(before, "dtype", None) == getattr(after, "dtype", None)
        assert again.threshold(0.9) == doubtful.threshold(0.9)
