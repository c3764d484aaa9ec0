"""Scores put in order, so that what is rounding does not decide.

The same score computed in two orders of summation differs in its last bits. Scores that differ by
so little are a tie, and a tie goes by name; a rounding to digits would tear some of them apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

ROUNDING: Final = 1e-6
"""Up to which difference two neighbouring scores are a tie."""


def tie_ranks(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """The rank of each score (..., N) along the last axis, the best 0: int64 (..., N).

    Scores in a run of ties share one rank.
    """
    order = np.argsort(-scores, axis=-1, kind="stable")
    falling = np.take_along_axis(scores, order, -1)
    ranks = np.zeros(scores.shape, np.int64)
    falls = falling[..., :-1] - falling[..., 1:] > ROUNDING
    np.put_along_axis(ranks, order[..., 1:], np.cumsum(falls, axis=-1), -1)
    return ranks


def first_best(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """In each row of scores (Q, N) the first of those that tie for the best: int64 (Q,)."""
    ordered = -np.sort(-scores, axis=1)
    falls = ordered[:, :-1] - ordered[:, 1:] > ROUNDING
    ends = np.where(falls.any(axis=1), falls.argmax(axis=1) if falls.shape[1] else 0, -1)
    last = ordered[np.arange(len(ordered)), ends]
    return np.asarray((scores >= last[:, None]).argmax(axis=1), np.int64)
