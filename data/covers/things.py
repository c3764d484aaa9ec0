"""Motifs that are things: plants, houses, instruments, and letters."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from catalog.data.covers.canvas import Canvas, Points, around, placed
from catalog.data.covers.colours import Palette, between
from catalog.data.covers.lettering import fitted


def flowers(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Blossoms on stems, or one that fills the cover."""
    count = int(random.choice([1, 3, 5]))
    if count == 1:
        _blossom(canvas, random, (0.5, 0.48), 0.36, palette)
        return
    for number in range(count):
        x = (number + 0.5) / count + random.normal(0, 0.03)
        y, size = random.uniform((0.25, 0.1), (0.55, 0.17))
        canvas.stroke([(x, y), (x + random.normal(0, 0.03), 1)], 0.014, palette.inks[2])
        leaf = around((0, 0), 1) * (0.09, 0.03)
        canvas.fill(placed(leaf, (x + 0.07, 0.8), angle=random.uniform(-0.8, 0.8)), palette.inks[2])
        _blossom(canvas, random, (x, y), size, palette)


def _blossom(
    canvas: Canvas,
    random: np.random.Generator,
    middle: tuple[float, float],
    size: float,
    palette: Palette,
) -> None:
    petals, layers = int(random.integers(5, 15)), int(random.integers(1, 4))
    shape = around((0.55, 0), 1) * (0.8, min(0.5, 2 / petals))
    for layer in range(layers):
        for angle in np.linspace(0, 2 * np.pi, petals, endpoint=False) + 0.4 * layer:
            petal = placed(shape, middle, size * (1 - 0.3 * layer), angle)
            canvas.fill(petal, palette.inks[layer % 2])
            canvas.stroke(petal, 0.004, palette.inks[2], closed=True)
    canvas.disc(middle, size * 0.22, palette.inks[3])


def tree(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A tree before the sun, bare or in leaf."""
    canvas.disc(random.uniform((0.3, 0.3), (0.7, 0.5)), random.uniform(0.2, 0.38), palette.inks[3])
    canvas.box(0, 0.9, 1, 1, palette.inks[2])
    leaf = palette.inks[0] if random.random() < 0.6 else None
    spread, shrink = random.uniform((0.25, 0.68), (0.6, 0.8))

    def branch(foot: Points, angle: float, length: float) -> None:
        tip = foot + length * np.array([np.sin(angle), -np.cos(angle)])
        canvas.stroke([foot, tip], length * 0.14, palette.inks[2])
        if length < 0.05:
            if leaf:
                canvas.disc(tip, random.uniform(0.01, 0.03), leaf)
            return
        for side in (-1, 1):
            turn = angle + side * spread * random.uniform(0.6, 1.4)
            branch(tip, turn, length * shrink * random.uniform(0.8, 1.05))

    branch(np.array([random.uniform(0.4, 0.6), 0.93]), 0.0, random.uniform(0.2, 0.27))


def mushrooms(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Mushrooms with spots."""
    canvas.box(0, 0.85, 1, 1, palette.inks[2])
    for _ in range(int(random.integers(1, 5))):
        x, foot, size, tall = random.uniform((0.2, 0.86, 0.12, 1.2), (0.8, 0.96, 0.3, 1.9))
        top, high = foot - size * tall, random.uniform(0.7, 1.1)
        stem = np.array([(-0.2, 0), (0.2, 0), (0.28, tall), (-0.28, tall)])
        canvas.fill(placed(stem, (x, top), size), between(palette.ground, (255, 255, 255), 0.5))
        canvas.dome((x, top), size, size * high, palette.inks[0])
        for aside, up in random.uniform((-0.7, 0.1), (0.7, 0.55), (5, 2)):
            spot = placed([(aside * (1 - up), -up * high)], (x, top), size)[0]
            canvas.disc(spot, size * 0.09, palette.inks[3])


def guitar(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A guitar, askew."""
    middle = random.uniform((0.42, 0.58), (0.58, 0.66))
    put = partial(placed, middle=middle, angle=random.uniform(-0.9, 0.9))
    waist = random.uniform(0.1, 0.16)

    def board(half: float, top: float, bottom: float, ink: int) -> None:
        corners = [(-half, top), (half, top), (half, bottom), (-half, bottom)]
        canvas.fill(put(corners), palette.inks[ink])

    for size, ink in ((1.1, 2), (1.0, 0)):
        canvas.disc(put([(0, 0.08)])[0], 0.19 * size, palette.inks[ink])
        canvas.disc(put([(0, -0.12)])[0], 0.14 * size, palette.inks[ink])
        board(waist, -0.1, 0.08, ink)
    canvas.disc(put([(0, -0.06)])[0], 0.065, palette.inks[2])
    board(0.03, -0.62, -0.1, 1)
    board(0.045, -0.75, -0.62, 2)
    board(0.09, 0.12, 0.15, 2)
    for x in np.linspace(-0.022, 0.022, 4):
        canvas.stroke(put([(x, -0.7), (x, 0.14)]), 0.003, palette.inks[3])


def balloons(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A balloon with a basket, and others far away."""
    far = int(random.integers(0, 4))
    poses = [
        random.uniform((0.35, 0.35, 0.24), (0.65, 0.45, 0.32)),
        *random.uniform((0.1, 0.1, 0.06), (0.85, 0.85, 0.14), (far, 3)),
    ]
    for number, (x, y, size) in enumerate(poses):
        ropes = placed([(-0.75, 0.6), (0.75, 0.6), (0, 1.7)], (x, y), size)
        canvas.fill(ropes, palette.inks[2])
        for part, wide in enumerate(np.linspace(1, 0.15, int(random.integers(3, 6)))):
            canvas.oval((x, y), size * wide, size, palette.inks[(part + number) % 2])
        basket = placed([(-0.2, 1.4), (0.2, 1.4), (0.16, 1.75), (-0.16, 1.75)], (x, y), size)
        canvas.fill(basket, palette.inks[3])


def umbrellas(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Umbrellas in the rain."""
    slant = random.uniform(-0.05, 0.05)
    for x, y in random.random((int(random.integers(30, 120)), 2)):
        canvas.stroke([(x, y), (x + slant, y + 0.07)], 0.005, palette.inks[1])
    for _ in range(int(random.integers(1, 6))):
        x, y, size = random.uniform((0.2, 0.35, 0.13), (0.8, 0.7, 0.34))
        canvas.stroke([(x, y), (x, y + size), (x + size * 0.15, y + size)], 0.016, palette.inks[2])
        for wide, ink in ((1, 0), (0.6, 3), (0.2, 0)):
            canvas.dome((x, y), size * wide, size * 0.8, palette.inks[ink])


def house(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """A house on a hill, its chimney smoking."""
    canvas.oval((random.uniform(0.3, 0.7), 1.1), 0.9, 0.4, palette.inks[2])
    x, wide, tall = random.uniform((0.3, 0.14, 0.18), (0.7, 0.24, 0.34))
    foot, eaves = 0.82, 0.82 - tall
    canvas.box(x + wide * 0.4, eaves - 0.24, x + wide * 0.65, eaves, palette.inks[1])
    for puff in range(4):
        at = (x + wide * 0.52 + 0.05 * puff, eaves - 0.28 - 0.06 * puff)
        canvas.disc(at, 0.03 + 0.014 * puff, between(palette.ground, palette.inks[1], 0.4))
    canvas.box(x - wide, eaves, x + wide, foot, palette.inks[0])
    canvas.fill(
        [(x - wide * 1.2, eaves), (x + wide * 1.2, eaves), (x, eaves - 0.2)], palette.inks[1]
    )
    for side in (-0.5, 0.5):
        left, top = x + wide * (side - 0.2), eaves + tall * 0.3 - wide * 0.2
        canvas.box(left, top, left + wide * 0.4, top + wide * 0.4, palette.inks[3])
    canvas.box(x - 0.04, foot - tall * 0.4, x + 0.04, foot, palette.inks[2])


def letter(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """One letter that fills the cover, in three colours."""
    font = int(random.choice([cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    character = chr(int(random.integers(ord("A"), ord("Z") + 1)))
    side = len(canvas.pixels)
    scale = fitted(character, font, side * random.uniform(0.55, 0.75))
    (wide, tall), _ = cv2.getTextSize(character, font, scale, 1)
    left, foot = (side - wide) // 2, (side + tall) // 2
    thick = int(scale * random.uniform(4, 7))
    for number, ink in enumerate((2, 1, 0)):
        shift, width = (2 - number) * side // 40, max(2, thick - number * thick // 4)
        at = (left + shift, foot + shift)
        cv2.putText(
            canvas.pixels, character, at, font, scale, palette.inks[ink], width, cv2.LINE_AA
        )
