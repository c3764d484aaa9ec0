"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "warning", "bad"]
"""Nothing to do; something to know; something that keeps the program from working."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of one thing that the program needs.

    Attributes:
        name: of the thing.
        state: ``ok``, ``warning`` or ``bad``.
        found: what is there, in a line.
        advice: what to do; empty where nothing is.
    """

    name: str
    state: State
    found: str
    advice: str = ""
