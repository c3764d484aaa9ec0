"""A square to draw on, in units of its side, and the noise that rough things are made of."""

from __future__ import annotations

from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Points: TypeAlias = NDArray[np.float64]
Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

SIDE: Final = 400
"""Side of a finished cover in pixels."""

_DRAWN: Final = 2 * SIDE
_BITS: Final = 4  # OpenCV takes fractions of a pixel as integers with so many bits behind the point


class Canvas:
    """A square of one colour, to draw on. All places and lengths are shares of its side.

    Args:
        colour: of the ground.

    Attributes:
        pixels: uint8 (S, S, 3), RGB, at twice the size of the finished picture.
    """

    def __init__(self, colour: Colour) -> None:
        self.pixels: Pixels = np.full((_DRAWN, _DRAWN, 3), colour, np.uint8)

    def finished(self) -> Pixels:
        """The picture: uint8 (SIDE, SIDE, 3), RGB."""
        shrunk = cv2.resize(self.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return np.asarray(shrunk, np.uint8)

    def fill(self, points: ArrayLike, colour: Colour) -> None:
        """Fill a polygon of points (N, 2)."""
        cv2.fillPoly(self.pixels, [_fixed(points)], colour, cv2.LINE_AA, _BITS)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.fill([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def oval(self, middle: ArrayLike, wide: float, tall: float, colour: Colour) -> None:
        """Fill an upright ellipse of two radii."""
        self.fill(around((0, 0), 1) * (wide, tall) + np.asarray(middle), colour)

    def dome(self, middle: ArrayLike, wide: float, tall: float, colour: Colour) -> None:
        """Fill the upper half of an ellipse."""
        upper = around((0, 0), 1)
        upper = upper[upper[:, 1] < 0.01]
        self.fill(upper * (wide, tall) + np.asarray(middle), colour)

    def stroke(
        self, points: ArrayLike, width: float, colour: Colour, *, closed: bool = False
    ) -> None:
        """Draw a line of some width through points (N, 2)."""
        thick = max(1, round(width * _DRAWN))
        cv2.polylines(self.pixels, [_fixed(points)], closed, colour, thick, cv2.LINE_AA, _BITS)

    def disc(self, middle: ArrayLike, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        centre, size = _fixed(middle).tolist(), int(max(0.0, radius) * _DRAWN * 2**_BITS)
        cv2.circle(self.pixels, centre, size, colour, -1, cv2.LINE_AA, _BITS)

    def shade(self, share: NDArray[np.float64], colour: Colour) -> None:
        """Lay a colour over everything, as densely as shares (S, S) in [0, 1] say."""
        share = share[..., np.newaxis]
        self.pixels[:] = (self.pixels * (1 - share) + np.array(colour) * share).astype(np.uint8)


def places() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far right and how far down each pixel of a canvas is: float64 (S, S), 0 to 1."""
    down, right = np.mgrid[0 : 1 : complex(_DRAWN), 0 : 1 : complex(_DRAWN)]
    return right, down


def clouds(random: np.random.Generator, coarse: int = 3, octaves: int = 4) -> NDArray[np.float64]:
    """Fractal noise, each octave half as strong as the one before: float64 (S, S), 0 to 1."""
    total = np.zeros((_DRAWN, _DRAWN))
    for octave in range(octaves):
        cells = random.random((coarse * 2**octave + 1,) * 2)
        total += cv2.resize(cells, (_DRAWN, _DRAWN), interpolation=cv2.INTER_CUBIC) / 2**octave
    total -= total.min()
    return np.asarray(total / total.max())


def ridge(random: np.random.Generator, rough: int = 4, octaves: int = 5) -> NDArray[np.float64]:
    """Heights of a ridge from left to right: float64 (200,), about 0, at most 1 either way."""
    total = np.zeros(200)
    for octave in range(octaves):
        knots = random.uniform(-1, 1, rough * 2**octave + 2)
        total += np.interp(np.linspace(0, len(knots) - 1, 200), np.arange(len(knots)), knots) / (
            2**octave
        )
    return np.asarray(total / 2)


def around(
    middle: ArrayLike, radius: ArrayLike, count: int = 90, start: float = 0.0
) -> NDArray[np.float64]:
    """Points (count, 2) about a middle, at one radius or at one each, from an angle on."""
    angles = start + np.linspace(0, 2 * np.pi, count, endpoint=False)
    spokes = np.column_stack([np.cos(angles), np.sin(angles)])
    return np.asarray(middle + spokes * np.reshape(np.asarray(radius), (-1, 1)), np.float64)


def placed(points: ArrayLike, middle: ArrayLike, size: float = 1.0, angle: float = 0.0) -> Points:
    """Points (N, 2) about the origin, enlarged, turned by an angle in radians, and moved."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(np.asarray(points, np.float64) * size @ turn + np.asarray(middle))


def _fixed(points: ArrayLike) -> NDArray[np.int32]:
    return np.round(np.asarray(points, np.float64) * _DRAWN * 2**_BITS).astype(np.int32)
