"""Motifs that are places."""

from __future__ import annotations

import numpy as np

from catalog.data.covers.canvas import Canvas, Colour, Points, clouds, placed, places, ridge
from catalog.data.covers.colours import Palette, between


def hills(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Ridges behind each other under a sun."""
    _sky(canvas, palette)
    canvas.disc(random.uniform((0.2, 0.15), (0.8, 0.4)), random.uniform(0.06, 0.2), palette.inks[3])
    count = int(random.integers(3, 7))
    for number in range(count):
        height = 0.4 + 0.55 * number / count
        shape = height + ridge(random) * random.uniform(0.06, 0.2)
        colour = between(palette.inks[0], palette.inks[2], number / (count - 1))
        _below(canvas, shape, colour)


def sea(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A sun over water, its light on the waves, and perhaps some boats."""
    _sky(canvas, palette)
    horizon, at, radius = random.uniform((0.4, 0.25, 0.08), (0.7, 0.75, 0.26))
    canvas.disc((at, horizon), radius, palette.inks[3])
    canvas.box(0, horizon, 1, 1, palette.inks[2])
    for depth in np.linspace(0.02, 1 - horizon, 14):
        half = radius * random.uniform(0.4, 1) * (1 - 0.5 * depth)
        middle = at + random.normal(0, 0.02)
        line = [(middle - half, horizon + depth), (middle + half, horizon + depth)]
        canvas.stroke(line, 0.004 + 0.02 * depth, palette.inks[3])
    for _ in range(int(random.integers(0, 4))):
        _boat(canvas, random, horizon, palette)


def skyline(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Houses with lit windows, a taller row behind."""
    canvas.disc(
        random.uniform((0.15, 0.1), (0.85, 0.3)), random.uniform(0.05, 0.12), palette.inks[3]
    )
    for row, colour in enumerate((palette.inks[0], palette.inks[2])):
        left = -0.05
        while left < 1:
            width, height = random.uniform((0.08, 0.2), (0.2, 0.65 - 0.2 * row))
            top = 1 - height
            canvas.box(left, top, left + width, 1, colour)
            if row:
                _windows(canvas, random, (left, top, width), palette)
            left += width + random.uniform(0, 0.03)


def forest(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Rows of firs, the near ones dark."""
    _sky(canvas, palette)
    rows = int(random.integers(2, 5))
    for row in range(rows):
        colour = between(palette.inks[1], palette.inks[2], row / (rows - 1))
        foot, size = 0.6 + 0.45 * (row + 1) / rows, 0.3 + 0.25 * row / rows
        canvas.box(0, foot - 0.1, 1, 1, colour)
        for at in np.arange(0, 1.05, random.uniform(0.08, 0.16)):
            _fir(
                canvas, (at + random.normal(0, 0.02), foot), size * random.uniform(0.7, 1.1), colour
            )


def desert(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Dunes with a bright and a dark side, and cacti."""
    _sky(canvas, palette)
    canvas.disc(
        random.uniform((0.2, 0.12), (0.8, 0.3)), random.uniform(0.05, 0.14), palette.inks[3]
    )
    for number in range(3):
        shape = 0.55 + 0.15 * number + ridge(random, 2, 2) * 0.12
        _below(canvas, shape, between(palette.inks[0], palette.inks[1], number / 2))
    for _ in range(int(random.integers(1, 5))):
        x, y, size = random.uniform((0.1, 0.65, 0.15), (0.9, 0.95, 0.4))
        _cactus(canvas, (x, y), size, palette)


def night(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Clouds of dust, stars, and a planet with a ring."""
    canvas.shade(clouds(random) ** 2 * 0.9, palette.inks[2])
    canvas.shade(clouds(random, 2) ** 4 * 0.7, palette.inks[1])
    for x, y, size in random.random((160, 3)):
        canvas.disc((x, y), 0.001 + 0.005 * size**4, (250, 246, 235))
    middle, radius = random.uniform((0.25, 0.3), (0.75, 0.7)), random.uniform(0.1, 0.28)
    canvas.disc(middle, radius, palette.inks[0])
    for band in np.linspace(-0.7, 0.7, int(random.integers(2, 6))):
        half = radius * np.sqrt(1 - band**2)
        line = [
            (middle[0] - half, middle[1] + band * radius),
            (middle[0] + half, middle[1] + band * radius),
        ]
        canvas.stroke(line, radius * 0.12, palette.inks[3])
    tilt, turn = random.uniform(0.15, 0.4), np.linspace(-0.2, np.pi + 0.2, 60)
    ring = np.column_stack([np.cos(turn) * 1.7, np.sin(turn) * 1.7 * tilt]) * radius + middle
    canvas.stroke(ring, radius * 0.08, palette.inks[1])


def _sky(canvas: Canvas, palette: Palette) -> None:
    _, down = places()
    canvas.shade(down * 0.8, palette.inks[1])


def _below(canvas: Canvas, shape: Points, colour: Colour) -> None:
    line = np.column_stack([np.linspace(0, 1, len(shape)), shape])
    canvas.fill(np.vstack([line, [(1, 1), (0, 1)]]), colour)


def _boat(canvas: Canvas, random: np.random.Generator, horizon: float, palette: Palette) -> None:
    x, y = random.uniform((0.1, horizon + 0.03), (0.9, 0.9))
    size = 0.05 + 0.2 * (y - horizon)
    hull = placed([(-1, 0), (1, 0), (0.7, 0.35), (-0.7, 0.35)], (x, y), size)
    sail = placed([(0, -0.1), (0, -1.8), (0.9, -0.1)], (x, y), size)
    canvas.fill(hull, palette.inks[0])
    canvas.fill(sail, palette.ground)


def _windows(
    canvas: Canvas,
    random: np.random.Generator,
    house: tuple[float, float, float],
    palette: Palette,
) -> None:
    left, top, width = house
    step = width / int(random.integers(3, 6))
    for x in np.arange(left + step * 0.25, left + width - step * 0.4, step):
        for y in np.arange(top + step * 0.4, 1, step * 1.2):
            if random.random() < 0.6:
                canvas.box(x, y, x + step / 2, y + step * 0.6, palette.inks[3])


def _fir(canvas: Canvas, foot: tuple[float, float], size: float, colour: Colour) -> None:
    for part in range(3):
        half, low = size * (0.24 - 0.05 * part), foot[1] - size * (0.1 + 0.25 * part)
        tip = (foot[0], low - size * 0.42)
        canvas.fill([(foot[0] - half, low), (foot[0] + half, low), tip], colour)


def _cactus(canvas: Canvas, foot: tuple[float, float], size: float, palette: Palette) -> None:
    x, y = foot
    colour, thick = palette.inks[2], size * 0.16
    canvas.stroke([(x, y), (x, y - size)], thick, colour)
    for side, low, high in ((-1, 0.35, 0.75), (1, 0.5, 0.9)):
        arm = x + side * size * 0.28
        canvas.stroke(
            [(x, y - size * low), (arm, y - size * low), (arm, y - size * high)],
            thick * 0.8,
            colour,
        )
