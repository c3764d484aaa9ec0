"""Shapes through which a motif is seen, the rest of the cover being plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.data.covers.canvas import Canvas, places
from catalog.data.covers.colours import Palette

_Mask: TypeAlias = NDArray[np.bool_]
_Places: TypeAlias = NDArray[np.float64]


def cut(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Leave what is drawn in one shape, and lay the ground over the rest."""
    right, down = places()
    shape = _SHAPES[int(random.integers(len(_SHAPES)))](right, down, random)
    canvas.pixels[~shape] = palette.every[int(random.choice([0, 0, 3, 4]))]


def _disc(right: _Places, down: _Places, random: np.random.Generator) -> _Mask:
    x, y, radius = random.uniform((0.4, 0.4, 0.28), (0.6, 0.6, 0.46))
    return np.asarray(np.hypot(right - x, down - y) < radius)


def _half(right: _Places, down: _Places, random: np.random.Generator) -> _Mask:
    angle, at = random.uniform(0, 2 * np.pi), random.uniform(-0.15, 0.15)
    return np.asarray((right - 0.5) * np.cos(angle) + (down - 0.5) * np.sin(angle) > at)


def _band(right: _Places, down: _Places, random: np.random.Generator) -> _Mask:
    along = down if random.random() < 0.5 else right
    return np.asarray(np.abs(along - random.uniform(0.4, 0.6)) < random.uniform(0.12, 0.25))


def _inset(right: _Places, down: _Places, random: np.random.Generator) -> _Mask:
    x, y, wide, tall = random.uniform((0.4, 0.4, 0.22, 0.22), (0.6, 0.6, 0.36, 0.36))
    return np.asarray((np.abs(right - x) < wide) & (np.abs(down - y) < tall))


def _panes(right: _Places, down: _Places, random: np.random.Generator) -> _Mask:
    across, high = random.integers(1, 4, 2)
    return np.asarray((right * across % 1 > 0.05) & (down * high % 1 > 0.05))


def _diamond(right: _Places, down: _Places, random: np.random.Generator) -> _Mask:
    far = np.abs(right - 0.5) + np.abs(down - random.uniform(0.4, 0.6))
    return np.asarray(far < random.uniform(0.32, 0.5))


def _arch(right: _Places, down: _Places, random: np.random.Generator) -> _Mask:
    wide, top = random.uniform((0.2, 0.3), (0.36, 0.5))
    beside = np.abs(right - 0.5)
    return np.asarray((beside < wide) & (down > top - np.sqrt(np.maximum(wide**2 - beside**2, 0))))


_SHAPES: Final[tuple[Callable[[_Places, _Places, np.random.Generator], _Mask], ...]] = (
    _disc,
    _half,
    _band,
    _inset,
    _panes,
    _diamond,
    _arch,
)
