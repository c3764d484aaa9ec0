"""Scores in order: what differs by rounding alone is a tie, wherever a digit happens to turn."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from catalog.judging.ranking import ROUNDING, first_best, tie_ranks

some = st.sampled_from([0.1, 0.3, 0.3000004, 0.3000009, 0.7])


@given(arrays.arrays(np.float64, st.integers(1, 12), elements=some))
def test_ranks_by_definition(scores: NDArray[np.float64]) -> None:
    """A better score has a lower rank, unless a chain of ties leads from one to the other."""
    ranks = tie_ranks(scores)
    ordered = sorted(zip(scores, ranks, strict=True), reverse=True)
    assert ordered[0][1] == 0
    for (better, rank), (worse, its) in pairwise(ordered):
        assert its - rank == (better - worse > ROUNDING)


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=some))
def test_the_first_of_the_best(scores: NDArray[np.float64]) -> None:
    """In each row it is the first of rank 0."""
    expected = [tie_ranks(row).tolist().index(0) for row in scores]
    assert first_best(scores).tolist() == expected


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ([0.5, 0.50000012], 0),
        ([0.5, 0.500002], 1),
        ([0.1234564999, 0.1234565001], 0),  # the sixth digit turns between the two
        ([0.1234565001, 0.1234564999], 0),
        ([0.1, 0.7, 0.7, 0.7], 1),
        ([-0.2], 0),
    ],
)
def test_rounding_does_not_decide(row: list[float], named: int) -> None:
    """A difference in the seventh digit is none; one in the sixth is."""
    assert first_best(np.array([row])).tolist() == [named]


def test_no_scores() -> None:
    """Without rows, and without scores, there is nothing to rank."""
    assert first_best(np.zeros((0, 3))).tolist() == []
    assert tie_ranks(np.zeros(0)).tolist() == []
