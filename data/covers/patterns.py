"""Motifs that are patterns."""

from __future__ import annotations

import numpy as np

from catalog.data.covers.canvas import Canvas, Points, around, clouds, placed, places, ridge
from catalog.data.covers.colours import Palette, between


def rays(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Rays from a sun."""
    middle, count = random.uniform((0.2, 0.3), (0.8, 0.9)), int(random.integers(8, 26))
    angles = np.linspace(0, 2 * np.pi, 2 * count + 1) + random.uniform(0, 1)
    for number in range(0, 2 * count, 2):
        wedge = [middle, *(_towards(middle, angles[number + side], 1.6) for side in (0, 1))]
        canvas.fill(wedge, palette.inks[number // 2 % int(1 + count % 2)])
    for number, radius in enumerate(np.linspace(random.uniform(0.15, 0.3), 0.05, 3)):
        canvas.disc(middle, radius, palette.inks[3 - number])


def rings(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Rings about one or two middles."""
    for _ in range(int(random.integers(1, 3))):
        middle, step = random.uniform(0.2, 0.8, 2), random.uniform(0.035, 0.09)
        for number in range(int(random.integers(5, 12)), 0, -1):
            canvas.disc(middle, number * step, palette.every[number % int(random.integers(2, 6))])


def tiles(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A grid of squares, quarter circles, triangles and dots."""
    cells = int(random.integers(2, 6))
    size = 1 / cells
    for number in range(cells * cells):
        corner = np.array([number % cells, number // cells]) * size
        back, front = (palette.every[int(one)] for one in random.choice(5, 2, replace=False))
        square = corner + np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * size
        canvas.fill(square, back)
        turn = np.roll(square, int(random.integers(4)), axis=0)
        kind = random.integers(4)
        if kind == 0:
            quarter = around(turn[0], size, 200)
            inside = np.all((quarter >= corner - 1e-9) & (quarter <= corner + size + 1e-9), axis=1)
            canvas.fill(_by_angle(quarter[inside], turn[0]), front)
        elif kind == 1:
            canvas.fill(turn[:3], front)
        elif kind == 2:
            canvas.disc(corner + size / 2, size * random.uniform(0.2, 0.5), front)


def lines(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Stacked ridgelines, highest in the middle."""
    count, colour = int(random.integers(12, 34)), palette.inks[int(random.integers(4))]
    x = np.linspace(0.08, 0.92, 200)
    hump = np.exp(-(((x - random.uniform(0.35, 0.65)) / random.uniform(0.1, 0.25)) ** 2))
    for base in np.linspace(0.25, 0.9, count):
        height = base - np.abs(ridge(random, 12, 3)) * hump * 0.16
        canvas.fill(np.column_stack([[x[0], *x, x[-1]], [1, *height, 1]]), palette.ground)
        canvas.stroke(np.column_stack([x, height]), 0.0045, colour)


def marble(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Bands of colour that flow about each other."""
    right, down = places()
    angle = random.uniform(0, np.pi)
    flow = right * np.cos(angle) + down * np.sin(angle) + clouds(random) * random.uniform(0.5, 1.5)
    level = flow * random.uniform(3, 9)
    step = np.floor(level).astype(int) % 5
    canvas.pixels[:] = np.array(palette.every, np.uint8)[step]
    canvas.shade(((level % 1) < 0.08) * 0.8, palette.inks[3])


def dots(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A halftone of some shape."""
    size = 1 / int(random.integers(14, 30))
    shape = clouds(random, int(random.integers(2, 5)), 2)
    grid = np.arange(size / 2, 1, size)
    turn = int(random.integers(1, 4))
    for number, (y, x) in enumerate((y, x) for y in grid for x in grid):
        share = shape[int(y * len(shape)), int(x * len(shape))]
        canvas.disc((x, y), size * 0.75 * share, palette.inks[number // 7 % turn])


def terrazzo(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Chips of stone, large or small."""
    size = random.uniform(0.04, 0.16)
    for _ in range(int(3 / size**1.5)):
        corners = int(random.integers(3, 7))
        radii = size * random.uniform(0.4, 1, corners)
        chip = around(random.random(2), radii, corners, random.uniform(0, 6))
        canvas.fill(chip, palette.inks[int(random.integers(4))])


def squares(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A chequered floor, bent."""
    right, down = places()
    x, y = right - random.uniform(0.3, 0.7), down - random.uniform(0.3, 0.7)
    bulge = 1 + random.uniform(-0.8, 3) * np.exp(-(x**2 + y**2) / random.uniform(0.02, 0.1))
    count = random.uniform(6, 16)
    odd = (np.floor(x / bulge * count) + np.floor(y / bulge * count)) % 2
    canvas.shade(odd, palette.inks[0])
    canvas.shade((bulge > 1.6) * (1 - odd) * 0.8, palette.inks[3])


def plaid(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Woven stripes, straight or askew."""
    right, down = places()
    angle = random.choice([0.0, np.pi / 4, random.uniform(0, np.pi)])
    along = right * np.cos(angle) + down * np.sin(angle)
    across = -right * np.sin(angle) + down * np.cos(angle)
    for colour in palette.inks:
        width, gap, shift = random.uniform((0.02, 0.15, 0), (0.12, 0.4, 1))
        for way in (along, across):
            canvas.shade(((way + shift) % gap < width) * 0.6, colour)


def spiral(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Arms that wind about a middle."""
    right, down = places()
    middle, arms = random.uniform(0.3, 0.7, 2), int(random.integers(1, 7))
    angle = np.arctan2(down - middle[1], right - middle[0]) / (2 * np.pi)
    far = np.hypot(right - middle[0], down - middle[1])
    wound = (arms * angle + np.sqrt(far) * random.uniform(3, 9)) % 1
    canvas.shade((wound < random.uniform(0.3, 0.6)) * 1.0, palette.inks[0])
    canvas.shade((wound < 0.2) * 1.0, palette.inks[3])


def crystal(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Facets, lit from one side."""
    cells = int(random.integers(3, 8))
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, cells + 1)] * 2), -1)
    grid[1:-1, 1:-1] += random.uniform(-0.35, 0.35, (cells - 1, cells - 1, 2)) / cells
    for row in range(cells):
        for column in range(cells):
            corners = grid[[row, row, row + 1, row + 1], [column, column + 1, column + 1, column]]
            for half in ((0, 1, 2), (0, 2, 3)):
                share = np.clip(corners[0, 1] + random.normal(0, 0.25), 0, 1)
                colour = between(palette.inks[0], palette.inks[2], share)
                colour = palette.inks[3] if random.random() < 0.08 else colour
                canvas.fill(corners[list(half)], colour)


def paper(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A few cut shapes laid over each other."""
    for number in range(int(random.integers(4, 8))):
        wobble = 1 + 0.5 * np.interp(
            np.linspace(0, 6, 90), np.arange(7), [*(knots := random.uniform(-1, 1, 6)), knots[0]]
        )
        shape = around(random.random(2), random.uniform(0.12, 0.3) * wobble)
        canvas.fill(placed(shape, (0.008, 0.01)), between(palette.ground, (0, 0, 0), 0.5))
        canvas.fill(shape, palette.inks[number % 4])


def _towards(middle: Points, angle: float, far: float) -> Points:
    return middle + far * np.array([np.cos(angle), np.sin(angle)])


def _by_angle(arc: Points, middle: Points) -> Points:
    """The sector of an arc about a middle."""
    apart = arc - middle
    centre = apart.mean(axis=0)
    angle = np.arctan2(apart[:, 1] * centre[0] - apart[:, 0] * centre[1], apart @ centre)
    return np.vstack([arc[np.argsort(angle)], middle])
