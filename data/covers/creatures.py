"""Motifs that are alive: animals and faces."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from catalog.data.covers.canvas import Canvas, around, placed
from catalog.data.covers.colours import Palette

_BIRD: Final = np.array(
    [(-1, -0.45), (-0.5, -0.35), (0, 0.1), (0.5, -0.35), (1, -0.45), (0.4, 0), (0, 0.4), (-0.4, 0)]
)


def birds(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A flock before the moon, or one large bird."""
    count = int(random.choice([1, 3, 12]))
    sizes, reach = ((0.3, 0.42), 0.2) if count == 1 else ((0.06, 0.16), 0.4)
    canvas.disc(random.uniform(0.25, 0.75, 2), random.uniform(0.1, 0.35), palette.inks[3])
    for _ in range(count):
        middle, size = 0.5 + random.uniform(-reach, reach, 2), random.uniform(*sizes)
        angle, flap = random.uniform(-0.5, 0.5), random.uniform(0.6, 1.5)
        canvas.fill(placed(_BIRD * (1, flap), middle, size, angle), palette.inks[2])
        canvas.disc(placed([(0, 0.42)], middle, size, angle)[0], size * 0.1, palette.inks[1])


def fish(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Fish with scales, few and large or many and small."""
    count = int(random.choice([1, 2, 6]))
    sizes, reach = ((0.3, 0.38), 0.08) if count == 1 else ((0.1, 0.2), 0.3)
    for _ in range(count):
        size, tall = random.uniform(*sizes), random.uniform(0.35, 0.6)
        put = partial(
            placed,
            middle=0.5 + random.uniform(-reach, reach, 2),
            size=size,
            angle=random.uniform(-0.5, 0.5) + np.pi * random.integers(2),
        )
        canvas.fill(put([(0.8, 0), (1.35, -0.45), (1.2, 0), (1.35, 0.45)]), palette.inks[3])
        canvas.fill(put([(-0.2, -tall), (0.3, -tall - 0.3), (0.5, -0.2)]), palette.inks[3])
        canvas.fill(put(around((0, 0), 1) * (1, tall)), palette.inks[int(random.integers(2))])
        for x in np.arange(-0.3, 0.8, 0.2):
            down = np.linspace(-1, 1, 30) * tall * np.sqrt(1 - x**2) * 0.85
            row = np.column_stack([x + 0.07 * np.sin(np.linspace(0, 9, 30)), down])
            canvas.stroke(put(row), 0.05 * size, palette.inks[2])
        canvas.disc(put([(-0.65, -0.1)])[0], size * 0.12, palette.ground)
        canvas.disc(put([(-0.67, -0.1)])[0], size * 0.06, palette.inks[2])


def butterfly(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Wings, the same on both sides."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 120)
    lobes, deep, phase = random.uniform((3, 0.05, 0), (5, 0.12, 6))
    edge = 0.28 + deep * np.sin(lobes * angle + phase)
    spots = random.uniform((-1, 0.14, 0.015), (1, 0.26, 0.04), (int(random.integers(2, 6)), 3))
    wing = np.column_stack([np.cos(angle) * 1.25, np.sin(angle) * 1.2]) * edge[:, None]
    for side in (-1, 1):
        for size, ink in ((1.15, 2), (1, 0), (0.6, 1)):
            half = np.vstack([wing * (side, 1), [(0, 0)]])
            canvas.fill(placed(half, (0.5, 0.5), size), palette.inks[ink])
        for at, far, radius in spots:
            spot = (0.5 + side * far * np.cos(at), 0.5 + far * np.sin(at))
            canvas.disc(spot, radius, palette.inks[3])
        canvas.stroke([(0.5, 0.36), (0.5 + side * 0.1, 0.2)], 0.008, palette.inks[2])
    canvas.oval((0.5, 0.5), 0.03, 0.2, palette.inks[2])


def eye(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """An eye, wide open or less."""
    x = np.linspace(-1, 1, 80)
    middle, size = (0.5, random.uniform(0.4, 0.6)), random.uniform(0.32, 0.48)
    wide = random.uniform(0.35, 0.75)
    lid = np.column_stack([x, -wide * (1 - x**2)])
    lids = placed(np.vstack([lid, lid[::-1] * (1, -1)]), middle, size)
    for lash in np.linspace(-0.8, 0.8, int(random.integers(0, 14))):
        foot = (lash, -wide * (1 - lash**2))
        line = placed([foot, (foot[0] * 1.2, foot[1] - 0.25)], middle, size)
        canvas.stroke(line, 0.012, palette.inks[2])
    canvas.fill(lids, palette.inks[3])
    for share, ink in ((0.9, 2), (0.82, 0), (0.55, 1), (0.35, 2)):
        canvas.disc(middle, size * wide * share, palette.inks[ink])
    canvas.disc((middle[0] - 0.05, middle[1] - 0.06), 0.03, palette.inks[3])
    canvas.stroke(lids, 0.02, palette.inks[2], closed=True)


def mask(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A face of few shapes, one half in another colour."""
    wide, tall, height = random.uniform((0.24, 0.32, 0.38), (0.36, 0.42, 0.46))
    canvas.oval((0.5, 0.5), wide, tall, palette.inks[0])
    half = np.linspace(-np.pi / 2, np.pi / 2, 60)
    canvas.fill(
        np.column_stack([0.5 + np.cos(half) * wide, 0.5 + np.sin(half) * tall]), palette.inks[1]
    )
    for side in (-1, 1):
        x = 0.5 + side * wide * 0.45
        canvas.oval((x, height), wide * 0.26, random.uniform(0.02, 0.07), palette.inks[3])
        canvas.disc((x, height), 0.025, palette.inks[2])
        brow = height - 0.06 - side * random.uniform(-0.04, 0.04)
        canvas.stroke([(x - 0.08, height - 0.06), (x + 0.08, brow)], 0.018, palette.inks[2])
    canvas.stroke([(0.5, height), (0.45, 0.6), (0.52, 0.61)], 0.014, palette.inks[2])
    lips = random.uniform((0.68, 0.06, 0.015), (0.74, 0.14, 0.05))
    canvas.oval((0.5, lips[0]), lips[1], lips[2], palette.inks[3])


def cat(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A cat that looks at you."""
    x, y, size = random.uniform((0.4, 0.5, 0.22), (0.6, 0.62, 0.32))
    fur = palette.inks[int(random.choice([0, 2]))]
    open_ = size * random.uniform(0.12, 0.24)
    canvas.oval((x, y + size * 1.6), size * 1.1, size * 1.6, fur)
    for side in (-1, 1):
        ear = placed(
            np.array([(0.25, -0.6), (0.95, -0.25), (0.85, -1.45)]) * (side, 1), (x, y), size
        )
        canvas.fill(ear, fur)
        middle = ear.mean(axis=0)
        canvas.fill(placed(ear - middle, middle, 0.5), palette.inks[1])
    canvas.oval((x, y), size, size * 0.85, fur)
    for side in (-1, 1):
        at = (x + side * size * 0.42, y - size * 0.1)
        canvas.oval(at, size * 0.24, open_, palette.inks[3])
        canvas.oval(at, size * 0.06, open_ * 0.8, palette.ground)
        for end in (0.25, 0.4, 0.55):
            whisker = placed([(side * 0.3, 0.4), (side * 1.5, end)], (x, y), size)
            canvas.stroke(whisker, 0.005, palette.inks[3])
    canvas.fill(placed([(-0.1, 0.25), (0.1, 0.25), (0, 0.4)], (x, y), size), palette.inks[1])
