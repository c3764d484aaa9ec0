"""Malformed pictures in any number, each from a recipe: a valid picture, and what was done to it.

A number always gives the same recipe, and a recipe the same bytes, so that a failure can be drawn
again from its one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from types import ModuleType

import attack_avif
import attack_bmp
import attack_gif
import attack_heic
import attack_jpeg
import attack_png
import attack_tiff
import attack_webp
from attack_bits import ANYWHERE

MODULES: dict[str, ModuleType] = {
    "jpeg": attack_jpeg, "png": attack_png, "webp": attack_webp, "gif": attack_gif,
    "bmp": attack_bmp, "heic": attack_heic, "avif": attack_avif, "tiff": attack_tiff,
}  # fmt: skip
"""What draws and spoils each format."""

SPLICES = ("cut_at_boundary", "splice_same", "splice_other", "polyglot")
"""Damage that takes a second file, or a format's boundaries."""

_TAILS = {"jpeg": b"\xff\xd9", "png": b"\0\0\0\0IEND\xaeB`\x82", "gif": b"\0\x3b"}


@dataclass(frozen=True)
class Recipe:
    """A malformed picture: what was drawn, and what was done to it, in order.

    Attributes:
        format: of the picture that was drawn.
        drawn: name of the picture among the format's seeds.
        steps: names of mutations, each with its seed.
        scale: to decode at.
    """

    format: str
    drawn: str
    steps: tuple[tuple[str, int], ...]
    scale: int = 1


@cache
def drawn(kind: str) -> dict[str, bytes]:
    """Draw the valid pictures of a format, once."""
    pictures: dict[str, bytes] = MODULES[kind].seeds()
    return pictures


@cache
def names(kind: str) -> tuple[str, ...]:
    """List the mutations of a format, those of its structure first."""
    return (*MODULES[kind].MUTATIONS, *ANYWHERE, *SPLICES)


def recipe(number: int, seed: int = 0) -> Recipe:
    """Choose the recipe of a number.

    The formats take turns, and so do the first steps of each, so that a few hundred numbers hold
    every mutation; what follows is chance.
    """
    rng = Random(f"{seed} {number}")
    kind = tuple(MODULES)[number % len(MODULES)]
    turn = number // len(MODULES)
    first = names(kind)[turn % len(names(kind))]
    structural = tuple(MODULES[kind].MUTATIONS)
    more = [
        rng.choice(structural if rng.random() < 0.8 else names(kind))
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 4)))
    ]
    steps = tuple((name, rng.getrandbits(32)) for name in (first, *more))
    scale = rng.choice((1, 1, 2, 4, 8)) if kind == "jpeg" else 1
    return Recipe(kind, rng.choice(tuple(drawn(kind))), steps, scale)


def recipes(count: int, seed: int = 0) -> Iterator[Recipe]:
    """Give the recipes of the first so many numbers."""
    return (recipe(number, seed) for number in range(count))


def build(made: Recipe) -> bytes:
    """Draw the picture of a recipe and spoil it."""
    data = drawn(made.format)[made.drawn]
    for name, seed in made.steps:
        data = spoilt(data, made.format, name, Random(seed))
    return data


def spoilt(data: bytes, kind: str, name: str, rng: Random) -> bytes:
    """Do one thing to a picture."""
    if name in SPLICES:
        return _spliced(data, kind, name, rng)
    mutation = MODULES[kind].MUTATIONS.get(name) or ANYWHERE[name]
    changed: bytes = mutation(data, rng)
    return changed


def _spliced(data: bytes, kind: str, name: str, rng: Random) -> bytes:
    cut = rng.choice(MODULES[kind].boundaries(data) or [0])
    if name == "cut_at_boundary":
        return data[:cut] + (_TAILS.get(kind, b"") if rng.random() < 0.5 else b"")
    other = kind if name == "splice_same" else rng.choice(sorted(MODULES))
    second = rng.choice(tuple(drawn(other).values()))
    if name == "polyglot":
        return rng.choice((data + second, second[:12] + data, data[:12] + second, second + data))
    at = rng.choice(MODULES[other].boundaries(second) or [0])
    return data[:cut] + second[at:]
