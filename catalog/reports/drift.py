"""Whether what a catalogue is asked drifts away from what it knows, told from counts by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from catalog.judging.shares import rise_p_value, surely_risen
from catalog.learning.opened import Opened
from catalog.store import Slot, asked, classes
from catalog.store.asked import ClassDay
from catalog.store.store import now
from catalog.text import natural

RECENT_DAYS = 7
"""How many of the last days that had questions are the recent period."""

LEAST_DAYS = 3
"""How many days with questions there must be before that, and for a class in either period."""

LEAST_PICTURES = 50
"""How many pictures either period must have; the recent one begins earlier where it has fewer."""

LEAST_OF_CLASS = 20
"""In how many pictures of either period a class must have been named, to be looked at itself."""

LEVEL = 0.01
"""How often by chance alone the share of unknown pictures is called risen, in one of so many
catalogues in which nothing has changed; as often that of doubtful ones, and that of any class."""


@dataclass(frozen=True, slots=True)
class Rise:
    """How many pictures were answered in some way, recently and before.

    Attributes:
        label: the class that was named; None for all pictures together.
        recent: how many of the recent pictures.
        of_recent: how many recent pictures there are.
        before: how many of the pictures before.
        of_before: how many of those there are.
        p_value: how often a share that has not changed would seem to have risen as much.
        risen: whether the share has risen, and not by chance.
    """

    label: str | None
    recent: int
    of_recent: int
    before: int
    of_before: int
    p_value: float
    risen: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """How what is asked has changed, as the verdicts tell that pictures were given.

    Whether a share has risen is tested as ``rise_p_value`` in ``catalog.judging.shares`` says.

    Attributes:
        since: the first day of the recent period, the last seven days that had questions, or more
            if those had few; UTC, ``YYYY-MM-DD``.
        first: the first day of the period before.
        unknown: how many pictures were ``unknown``.
        doubtful: how many were ``ambiguous``, or witnesses disagreed.
        tested: how many classes were named often enough to be looked at.
        less_sure: of those, the ones of which fewer are a ``match`` than before, the surest of them
            first; how many are none is what is counted.
    """

    since: str
    first: str
    unknown: Rise
    doubtful: Rise
    tested: int
    less_sure: tuple[Rise, ...]


def drift(catalog: Opened) -> tuple[int, Drift | None]:
    """How many pictures were asked about since the embedder changed, and whether that drifts.

    The day on which the embedder changed is left out.

    Returns:
        The number of pictures; and what has changed, None if too little was asked.
    """
    with catalog._store.reading() as tx:
        span = asked.embedder_changed(tx), now()[:10]
        days = _tables(asked.by_day(tx, *span))
        since = _recent_since({day: sum(verdicts.values()) for day, verdicts in days.items()})
        pictures = sum(sum(verdicts.values()) for verdicts in days.values())
        if since is None:
            return pictures, None
        slots = [slot for slot, _ in classes.live(tx)]
        names = dict(zip(slots, classes.names_of(tx, slots), strict=True))
        tested = _tested(asked.by_class(tx, *span), names, since)
    return pictures, Drift(
        since,
        min(days),
        _share_of({"unknown"}, days, since),
        _share_of({"ambiguous", "disagree"}, days, since),
        len(tested),
        _less_sure(tested),
    )


def _tables(rows: Iterable[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    """Of each day, in order, how many pictures were given each verdict."""
    days: dict[str, dict[str, int]] = {}
    for day, verdict, pictures in rows:
        days.setdefault(day, {})[verdict] = pictures
    return days


def _recent_since(pictures: Mapping[str, int]) -> str | None:
    """The first day of the recent period; None if that or the one before has too little.

    Args:
        pictures: how many there were on each day, in order.
    """
    days, recent = [*pictures], 0
    for back, day in enumerate(reversed(days), start=1):
        recent += pictures[day]
        if back >= RECENT_DAYS and recent >= LEAST_PICTURES:
            earlier = sum(pictures.values()) - recent
            enough = len(days) - back >= LEAST_DAYS and earlier >= LEAST_PICTURES
            return day if enough else None
    return None


def _share_of(verdicts: set[str], days: Mapping[str, Mapping[str, int]], since: str) -> Rise:
    """How the share of some verdicts among all pictures has changed."""
    counted = [
        (day, sum(of.get(verdict, 0) for verdict in verdicts), sum(of.values()))
        for day, of in days.items()
    ]
    p_value, rise = _compared(*_parted(counted, since))
    return Rise(None, *rise, p_value, p_value <= LEVEL)


def _tested(
    rows: Iterable[ClassDay], names: Mapping[Slot, str], since: str
) -> list[tuple[str, float, tuple[int, int, int, int]]]:
    """Name, p-value and numbers of each class that was named often enough in both periods."""
    tested = []
    for slot, its in groupby(rows, attrgetter("slot")):
        if slot not in names:  # it is in the catalogue no more
            continue
        periods = _parted(
            ((row.day, row.pictures - row.matches, row.pictures) for row in its), since
        )
        if all(len(days) >= LEAST_DAYS and days[:, 1].sum() >= LEAST_OF_CLASS for days in periods):
            tested.append((names[slot], *_compared(*periods)))
    return tested


def _less_sure(
    tested: Sequence[tuple[str, float, tuple[int, int, int, int]]],
) -> tuple[Rise, ...]:
    """The classes whose answers are less often a match, and not by chance."""
    ordered = sorted(tested, key=lambda its: (its[1], natural(its[0])))
    risen = surely_risen([p_value for _, p_value, _ in ordered], LEVEL)
    return tuple(
        Rise(label, *numbers, p_value, risen=True)
        for label, p_value, numbers in (ordered[place] for place in risen)
    )


def _parted(
    days: Iterable[tuple[str, int, int]], since: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The days of either period: int64 (D, 2), how many pictures count, and of how many."""
    recent: list[tuple[int, int]] = []
    before: list[tuple[int, int]] = []
    for day, counts, of in days:
        (recent if day >= since else before).append((counts, of))
    return np.array(recent, np.int64).reshape(-1, 2), np.array(before, np.int64).reshape(-1, 2)


def _compared(
    recent: NDArray[np.int64], before: NDArray[np.int64]
) -> tuple[float, tuple[int, int, int, int]]:
    """The p-value of a rise, and the numbers that it is about."""
    numbers = (*recent.sum(axis=0).tolist(), *before.sum(axis=0).tolist())
    return rise_p_value(recent, before), numbers
