"""What came of many trials of commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What came of many trials.

    Attributes:
        struck: how many calls failed on purpose, or how often a command was cut short.
        refused: how many commands said that they failed.
        acknowledged: how many commands had returned before they were cut short.
        wrong: what should not have been, in words.
    """

    struck: int = 0
    refused: int = 0
    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list)


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    total = Tally()
    for one in tallies:
        total.struck += one.struck
        total.refused += one.refused
        total.acknowledged += one.acknowledged
        total.wrong += one.wrong
    return total
