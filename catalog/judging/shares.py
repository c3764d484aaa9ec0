"""Whether a share has risen, told from counts of two periods, day by day."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rise_p_value(recent: NDArray[np.int64], before: NDArray[np.int64]) -> float:
    """How often a share that has not changed looks as much risen as this, or more.

    Fisher's exact test (R. A. Fisher, 1935), one-sided: given how many pictures there were in
    either period and how many of all of them count, the number of those among the recent ones is
    hypergeometric, which holds for small numbers, too. It takes pictures for independent, while a
    visitor asks about the same thing several times; so both numbers of both periods are first
    divided by how much more the share differs from day to day than it would by chance (the
    adjustment of J. N. K. Rao and A. J. Scott, 1992, with :func:`day_effect` for it).

    Args:
        recent: int64 (D, 2), for each day of the recent period how many pictures count, and of how
            many.
        before: int64 (E, 2), the same of the period before.

    Returns:
        The p-value, from 0 to 1; 1 where a period has no pictures.
    """
    effect = day_effect((recent, before))
    hits, of = _divided(recent, effect, up=False)
    earlier, earlier_of = _divided(before, effect, up=True)
    return _hypergeometric_tail(hits, of, hits + earlier, of + earlier_of)


def day_effect(periods: Sequence[NDArray[np.int64]]) -> float:
    """How much more a share differs from day to day than by chance, at least 1.

    Pearson's statistic of the days about the share of their own period, so that a change from one
    period to the other does not hide itself, divided by its degrees of freedom (P. McCullagh and
    J. A. Nelder, 1989, *Generalized Linear Models*, section 4.5).

    Args:
        periods: int64 (D, 2) of each period, as for :func:`rise_p_value`.
    """
    statistic, freedom = 0.0, 0
    for days in periods:
        asked = days[days[:, 1] > 0].astype(np.float64)
        hits, of = asked.sum(axis=0) if len(asked) else (0.0, 0.0)
        if not 0 < hits < of:
            continue  # all days are alike
        share = hits / of
        apart = asked[:, 0] - asked[:, 1] * share
        statistic += float((apart**2 / (asked[:, 1] * share * (1 - share))).sum())
        freedom += len(asked) - 1
    return max(1.0, statistic / freedom) if freedom else 1.0


def surely_risen(p_values: Sequence[float], level: float) -> list[int]:
    """Which of several shares have risen, so that by chance any has in few cases only.

    Holm's procedure (S. Holm, 1979, *A simple sequentially rejective multiple test procedure*).

    Args:
        p_values: of each.
        level: in how many of all cases one at least may be listed though none has risen.

    Returns:
        Their places, the surest first.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found = []
    for rank, place in enumerate(order):
        if p_values[place] > level / (len(order) - rank):
            break
        found.append(place)
    return found


def _divided(days: NDArray[np.int64], effect: float, *, up: bool) -> tuple[int, int]:
    """How many pictures count, and of how many, divided by an effect; hits rounded up or down."""
    hits, of = days.sum(axis=0).tolist() if len(days) else (0, 0)
    whole = math.ceil if up else math.floor
    return min(whole(hits / effect), math.floor(of / effect)), math.floor(of / effect)


def _hypergeometric_tail(least: int, drawn: int, marked: int, total: int) -> float:
    """How often at least so many of the marked are among those drawn from all of them.

    Summed from ``least`` away from what is to be expected, so that the largest term comes first.
    """
    lowest, highest = max(0, drawn + marked - total), min(marked, drawn)
    if least * total > drawn * marked:
        return _sum_of_chances(range(least, highest + 1), drawn, marked, total)
    return 1.0 - _sum_of_chances(range(least - 1, lowest - 1, -1), drawn, marked, total)


def _sum_of_chances(counts: range, drawn: int, marked: int, total: int) -> float:
    """How often one of some numbers of the marked is among those drawn."""
    logarithms = [
        _log_choices(marked, count) + _log_choices(total - marked, drawn - count)
        for count in counts
    ]
    of = _log_choices(total, drawn)
    return min(1.0, math.fsum(math.exp(logarithm - of) for logarithm in logarithms))


def _log_choices(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
