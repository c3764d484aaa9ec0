"""Record covers drawn by rule, and photos of them: pictures for the demo that come from nowhere.

Everything follows from a seed, so that every machine draws the same shop.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from data.photograph import Pixels, photograph

SIDE = 320
"""Side of a cover in pixels."""

_FIRST = ("Silent", "Golden", "Paper", "Northern", "Velvet", "Electric", "Lost", "Winter", "Broken")
_SECOND = ("Harbour", "Gardens", "Machines", "Letters", "Rivers", "Mirrors", "Horses", "Avenue")
_FONTS = (
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def title(seed: int) -> str:
    """The name of a record, the same for the same seed and unlike those of the 71 before it."""
    first, second = seed % len(_FIRST), (seed % len(_FIRST) + seed // len(_FIRST)) % len(_SECOND)
    return f"{_FIRST[first]} {_SECOND[second]}"


def cover(seed: int) -> Pixels:
    """Draw the cover of a record: uint8 (SIDE, SIDE, 3), RGB."""
    random = np.random.default_rng([seed, 1])
    canvas = _field(random, _palette(random))
    for _ in range(int(random.integers(1, 3))):
        draw = _DRAWINGS[int(random.integers(len(_DRAWINGS)))]
        draw(canvas, random, _palette(random))
    _write(canvas, random, title(seed))
    return canvas


def table(seed: int) -> Pixels:
    """Draw a table top of wood, stone or cloth, with a grain along it: uint8 (480, 640, 3), RGB."""
    random = np.random.default_rng([seed, 2])
    hsv = np.array([[[random.uniform(5, 28), random.uniform(10, 90), random.uniform(70, 210)]]])
    colour = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    coarse = random.normal(0, 14, (int(random.integers(12, 60)), 4, 1)).astype(np.float32)
    grain = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
    fine = random.normal(0, 4, (480, 640, 1))
    return np.asarray(np.clip(colour + grain[..., None] + fine, 0, 255), dtype=np.uint8)


def photo(seed: int) -> Pixels:
    """Take a photo of a record's cover on a table: uint8 (480, 640, 3), RGB."""
    return photograph(cover(seed), table(seed), np.random.default_rng([seed, 3]))


def _palette(random: np.random.Generator) -> list[tuple[int, int, int]]:
    """Four colours of related hue, and one that stands out."""
    hue = random.uniform(0, 180)
    hues = [hue, hue + 12, hue - 18, hue + 30, hue + 90]
    hsv = np.array(
        [[h % 180, random.uniform(90, 235), random.uniform(60, 250)] for h in hues], np.uint8
    )
    rgb = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    return [(int(r), int(g), int(b)) for r, g, b in rgb]


def _field(random: np.random.Generator, palette: list[tuple[int, int, int]]) -> Pixels:
    """A gradient between two colours in some direction."""
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : complex(SIDE), -1 : 1 : complex(SIDE)]
    share = np.clip((x * np.cos(angle) + y * np.sin(angle)) / 2 + 0.5, 0, 1)[..., None]
    blend = np.array(palette[0]) * (1 - share) + np.array(palette[1]) * share
    return np.asarray(blend, dtype=np.uint8)


def _discs(
    canvas: Pixels, random: np.random.Generator, palette: list[tuple[int, int, int]]
) -> None:
    for _ in range(int(random.integers(2, 9))):
        centre = random.integers(0, SIDE, 2).tolist()
        radius, thickness = int(random.integers(12, 110)), int(random.choice([-1, -1, 6, 14]))
        colour = palette[int(random.integers(len(palette)))]
        cv2.circle(canvas, centre, radius, colour, thickness, cv2.LINE_AA)


def _stripes(
    canvas: Pixels, random: np.random.Generator, palette: list[tuple[int, int, int]]
) -> None:
    angle, gap = random.uniform(0, np.pi), random.uniform(16, 60)
    direction = np.array([np.cos(angle), np.sin(angle)])
    along = np.array([-direction[1], direction[0]]) * 2 * SIDE
    for number in range(int(random.integers(3, 12))):
        middle = np.array([SIDE / 2, SIDE / 2]) + direction * gap * (number - 5)
        ends = [(middle + side * along).astype(int).tolist() for side in (-1, 1)]
        colour = palette[number % len(palette)]
        cv2.line(canvas, ends[0], ends[1], colour, int(gap * random.uniform(0.2, 0.6)), cv2.LINE_AA)


def _blocks(
    canvas: Pixels, random: np.random.Generator, palette: list[tuple[int, int, int]]
) -> None:
    cells = int(random.integers(2, 7))
    step = SIDE // cells
    for at in range(cells * cells):
        if random.random() < 0.55:
            corner = np.array([at % cells, at // cells]) * step
            colour = palette[int(random.integers(len(palette)))]
            cv2.rectangle(canvas, corner.tolist(), (corner + step).tolist(), colour, -1)


def _shards(
    canvas: Pixels, random: np.random.Generator, palette: list[tuple[int, int, int]]
) -> None:
    for _ in range(int(random.integers(2, 7))):
        points = random.integers(-40, SIDE + 40, (int(random.integers(3, 6)), 1, 2))
        colour = palette[int(random.integers(len(palette)))]
        cv2.fillPoly(canvas, [points.astype(np.int32)], colour, cv2.LINE_AA)


def _write(canvas: Pixels, random: np.random.Generator, text: str) -> None:
    font = _FONTS[int(random.integers(len(_FONTS)))]
    colour = (250, 248, 240) if canvas.mean() < 128 else (18, 16, 20)
    (width, _), _ = cv2.getTextSize(text, font, 1, 2)
    scale = random.uniform(0.6, 0.9) * SIDE / width
    left = int(random.uniform(0.04, 0.1) * SIDE)
    line = int(random.choice([0.14, 0.9]) * SIDE)
    cv2.putText(canvas, text, (left, line), font, scale, colour, 2, cv2.LINE_AA)


_DRAWINGS: tuple[Callable[[Pixels, np.random.Generator, list[tuple[int, int, int]]], None], ...] = (
    _discs,
    _stripes,
    _blocks,
    _shards,
)
