"""Photos that were made up stand in for pictures that cannot be held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from judged_shop import WIDTH, held_out, same, shop
from numpy.typing import NDArray

from catalog.descriptors import Prior, Sums, fit, to_floats, to_integers, unit_rows
from catalog.judging import cross_fit
from catalog.judging.calibration import DOUBT, LIKE_SHARE, Calibrations, learn
from catalog.judging.cross_fit import MadeUp, Pool


class TestMadeUp:
    """Photos that were made up stand in for what cannot be held out."""

    @staticmethod
    def photographed(
        positions: NDArray[np.int64], rows: NDArray[np.int16], count: int = 3
    ) -> MadeUp:
        """Photos of every item, each a little off."""
        noise = np.random.default_rng(5).normal(0, 0.05, (len(rows), count, WIDTH))
        photos = to_integers(unit_rows((to_floats(rows)[:, None] + noise).astype(np.float32)))
        return MadeUp(np.ones(len(positions), np.bool_), lambda place: photos[place])

    def single(self, *, more: int = 0) -> Pool:
        """One picture each of many classes, of the first few a second one from elsewhere."""
        random = np.random.default_rng(9)
        rows = unit_rows(random.normal(size=(32 + more, WIDTH)).astype(np.float32))
        positions = np.concatenate([np.arange(32), np.arange(more)])
        integers, sums = to_integers(rows), Sums(WIDTH)
        sums.add(positions, integers)
        photos = self.photographed(positions, integers)
        prior = Prior.isotropic(WIDTH, alike=0.999)
        return Pool(integers, positions, sums, list(range(32)), prior, made_up=photos)

    def test_one_picture_of_each_thing(self) -> None:
        """Each photo is judged by everything, its picture among it, and counts its part."""
        everything = self.single()
        found = held_out(everything.cross_fit())
        assert found.witnesses.centroid.shape == (96, 32)
        assert found.truth.tolist() == np.repeat(np.arange(32), 3).tolist()
        np.testing.assert_allclose(found.share, 1 / 3)
        assert found.groups == 32
        assert found.witnesses.stands_in.all()
        assert not len(found.held)
        metric = fit(everything.sums, range(32), everything.prior)
        queries = metric.whiten(
            to_floats(np.concatenate([everything.made_up.of(at) for at in range(32)]))
        )
        expected = queries @ metric.whiten(to_floats(everything.rows)).T
        np.testing.assert_allclose(found.witnesses.neighbours, expected, atol=1e-5)

    def test_classes_that_have_more_are_held_out(self) -> None:
        """Photos of them are not asked about; those of the others are, in any fold."""
        found = held_out(self.single(more=24).cross_fit())
        assert found.held.tolist() == list(range(24))
        photos = found.witnesses.stands_in[found.truth]
        assert sorted(set(found.truth[photos].tolist())) == list(range(24, 32))
        assert np.bincount(found.truth).tolist() == [2] * 24 + [3] * 8
        assert found.groups == 56

    def test_each_kind_is_learnt_apart(self) -> None:
        """What is learnt of pictures is the same with photos of other classes and without."""
        with_photos = learn(self.single(more=24).cross_fit())
        without = learn(replace(self.single(more=24), made_up=None).cross_fit())
        assert with_photos is not None
        assert without is not None
        assert with_photos.made_up is None  # eight are too few, and their classes as the others
        assert with_photos.pictures == (pytest.approx(48), 0)
        assert without.held_out is not None
        for calibration in (with_photos, without):
            assert calibration.stands_in(range(32)) is None
        many = replace(with_photos, pictures=(48.0, 8.0))
        alone = many.stands_in([0, 23, 24, 31, 77])
        assert alone is not None
        assert alone.tolist() == [False, False, True, True, True]

    def test_what_is_promised(self) -> None:
        """Strangers are counted as mistakes, and what is unlike its class is promised nothing."""
        found = held_out(self.single().cross_fit())
        calibration = learn(found)
        assert calibration is not None
        assert calibration.held_out is None
        made_up = calibration.made_up
        assert made_up is not None
        own = found.witnesses.centroid[np.arange(96), found.truth]
        assert np.mean(own >= made_up.like) == pytest.approx(1 - LIKE_SHARE, abs=0.02)
        lowest, coverage = made_up.threshold(0.8)
        assert calibration.coverage(0.8) == pytest.approx(coverage)
        if coverage:
            match = made_up.confidence >= lowest
            strange = made_up.stranger_confidence >= lowest
            share = made_up.share[match].sum()
            wrong = DOUBT * made_up.stranger_share[strange].sum()
            assert share / (share + wrong + 1) > 0.7
        doubtful = replace(made_up, doubt=0.0)
        assert doubtful.threshold(0.8)[1] >= coverage

    def test_no_answer_to_learn_from(self) -> None:
        """Where no stranger is taken for a class that was held out there is no share of any."""
        positions, rows = shop(shots=1)
        kept = positions == 0
        single = self.single()
        integers = np.concatenate([rows[kept], single.rows])
        classes = np.concatenate([np.zeros(kept.sum(), np.int64), single.positions + 1])
        sums = Sums(WIDTH)
        sums.add(classes, integers)
        photos = self.photographed(classes, integers)
        prior = Prior.isotropic(WIDTH, alike=0.999)
        found = learn(
            Pool(integers, classes, sums, list(range(33)), prior, made_up=photos).cross_fit()
        )
        assert found is not None
        assert np.isfinite(found.strangers(0.9)).all()
        assert np.isfinite(found.coverage(0.9))

    def test_not_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where classes are many, fewer photos of each are asked about, and of fewer classes."""
        monkeypatch.setattr(cross_fit, "_HELD_OUT", 40)
        found = held_out(self.single().cross_fit())
        assert np.bincount(found.truth).tolist() == [1] * 32
        monkeypatch.setattr(cross_fit, "_LEAST_PHOTOS", 22)
        monkeypatch.setattr(cross_fit, "_SCORES", 100)
        found = held_out(self.single().cross_fit())
        assert found.truth.tolist() == list(range(22))
        assert found.witnesses.stands_in.all()

    def test_round_trip(self) -> None:
        """As arrays they come back."""
        calibration = learn(self.single().cross_fit())
        assert calibration is not None
        again = Calibrations.from_arrays(calibration.to_arrays())
        assert again.made_up is not None
        assert calibration.made_up is not None
        assert same(again.made_up, calibration.made_up)
        assert (again.held_out, again.pictures) == (None, calibration.pictures)
