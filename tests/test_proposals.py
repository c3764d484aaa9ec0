"""Classes to add to a catalogue: against comparing all photos each time, and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import strategies
from audit_shop import learnt, shop, shots
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.descriptors import InvalidInput, unit_rows
from catalog.index import typical_stranger_cosine
from catalog.reports.proposals import (
    MOST_PHOTOS,
    UNTRIED_THRESHOLD,
    Clustering,
    proposal_threshold,
    propose_classes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

anywhere = settings(max_examples=40)


def plain_clusters(rows: NDArray[np.float32], threshold: float) -> list[list[int]]:
    """Merge the two clusters with the most alike means, comparing all of them each time."""
    clusters = [[at] for at in range(len(rows))]
    while len(clusters) > 1:
        means = unit_rows(np.stack([rows[c].mean(0) for c in clusters]))
        alike = np.triu(means @ means.T, 1) + np.tril(np.full((len(clusters),) * 2, -9.0))
        one, other = divmod(int(alike.argmax()), len(clusters))
        if alike[one, other] <= threshold:
            break
        clusters[one] += clusters.pop(other)
    return clusters


def sets_of(found: Clustering) -> set[frozenset[int]]:
    """The photos of each proposed class."""
    return {frozenset(p.members) for p in found.clusters}


class TestProposals:
    """New classes from photos that no class was found for."""

    @anywhere
    @given(strategies.seeds, st.integers(0, 30), st.floats(-0.5, 1.0))
    def test_as_by_comparing_all_each_time(self, seed: int, count: int, threshold: float) -> None:
        """The proposals are the clusters of more than one photo, and the others are counted."""
        rows = shots(seed, [at % 5 for at in range(count)], spread=1.0)
        rows = unit_rows(rows)
        found = propose_classes(rows, threshold)
        clusters = plain_clusters(rows, threshold)
        assert sets_of(found) == {frozenset(c) for c in clusters if len(c) > 1}
        assert found.alone == sum(len(c) == 1 for c in clusters)

    @anywhere
    @given(strategies.seeds, st.integers(2, 30), st.floats(-0.5, 1.0))
    def test_the_order_of_photos_does_not_matter(
        self, seed: int, count: int, threshold: float
    ) -> None:
        """Shuffled photos are brought together as before."""
        rows = unit_rows(shots(seed, [at % 5 for at in range(count)], spread=1.0))
        order = np.random.default_rng(seed).permutation(count)
        found = propose_classes(rows[order], threshold)
        back = {frozenset(order[list(photos)].tolist()) for photos in sets_of(found)}
        assert back == sets_of(propose_classes(rows, threshold))

    def test_things_become_classes(self) -> None:
        """Photos of each thing are one proposal, the largest first; odd ones are left out."""
        rows = unit_rows(shots(0, [*[4] * 3, *[5] * 7, *[6] * 5, 7, 8], spread=0.3))
        found = propose_classes(rows, 0.6)
        assert [sorted(p.members) for p in found.clusters] == [
            [*range(3, 10)],
            [*range(10, 15)],
            [0, 1, 2],
        ]
        assert found.alone == 2

    def test_says_which_photo_is_central_and_how_alike_they_are(self) -> None:
        """Members begin with the most central; the cosine is the mean over pairs."""
        angles = np.radians([0, 10, 18, 40])
        rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        (found,) = propose_classes(rows, 0.5).clusters
        assert found.members == (2, 1, 0, 3)
        assert found.members[0] == 2
        pairs = np.cos([abs(a - b) for at, a in enumerate(angles) for b in angles[:at]])
        assert found.cosine == pytest.approx(pairs.mean(), abs=1e-5)

    def test_a_chain_is_not_one_class(self) -> None:
        """Photos that lead from one thing to another do not make them one."""
        angles = np.radians(np.arange(0, 180, 10))
        rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        assert len(propose_classes(rows, 0.9).clusters) > 2

    @pytest.mark.parametrize("count", [0, 1])
    def test_no_two_photos_make_no_class(self, count: int) -> None:
        """Nothing is proposed from nothing, or from one photo."""
        assert propose_classes(shots(0, [0] * count), 0.1) == Clustering((), count)

    def test_refuses_what_are_no_photos(self) -> None:
        """Rows must be a table of finite numbers, and not too many to compare."""
        for rows in (np.ones(3, np.float32), np.full((2, 3), np.nan, np.float32)):
            with pytest.raises(InvalidInput, match="finite"):
                propose_classes(rows, 0.5)
        with pytest.raises(InvalidInput, match=f"at most {MOST_PHOTOS}"):
            propose_classes(np.ones((MOST_PHOTOS + 1, 1), np.float32), 0.5)

    def test_the_threshold_comes_from_the_catalogue(self) -> None:
        """It is what 19 in 20 items stay below with strangers, or a plain number without any."""
        raw, labels = shop()
        rows, classes = learnt(raw, labels).metric.whiten(raw), np.array(labels)
        expected = typical_stranger_cosine(rows, classes, 0.95)
        assert proposal_threshold(rows, classes) == expected
        assert proposal_threshold(rows[:3], np.ones(3, np.int64)) == UNTRIED_THRESHOLD
