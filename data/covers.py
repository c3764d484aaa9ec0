"""Record covers drawn by rule, and photos of them: pictures for the demo that come from nowhere.

Everything follows from a seed, so that every machine draws the same shop.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

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

Canvas = NDArray[np.uint8]


def title(seed: int) -> str:
    """The name of a record, the same for the same seed and unlike those of the 71 before it."""
    first, second = seed % len(_FIRST), (seed + seed // len(_FIRST)) % len(_SECOND)
    return f"{_FIRST[first]} {_SECOND[second]}"


def cover(seed: int) -> Canvas:
    """Draw the cover of a record: uint8 (SIDE, SIDE, 3), RGB."""
    random = np.random.default_rng([seed, 1])
    canvas = _field(random, _palette(random))
    for _ in range(int(random.integers(1, 3))):
        draw = _DRAWINGS[int(random.integers(len(_DRAWINGS)))]
        draw(canvas, random, _palette(random))
    _write(canvas, random, title(seed))
    return canvas


def photograph(picture: Canvas, seed: int) -> Canvas:
    """Take a photo of a cover: askew on a table, in some light, a little out of focus.

    Args:
        picture: uint8 (H, W, 3).
        seed: of everything that is left to chance.

    Returns:
        uint8 (480, 640, 3).
    """
    random = np.random.default_rng([seed, 2])
    height, width = picture.shape[:2]
    table = _table(random)
    middle = np.array([320, 240]) + random.uniform(-50, 50, 2)
    reach, angle = random.uniform(150, 205), np.deg2rad(random.uniform(-18, 18))
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = square @ turn + middle + random.normal(0, 9, (4, 2))
    matrix = cv2.getPerspectiveTransform(
        np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32),
        corners.astype(np.float32),
    )
    seen = cv2.warpPerspective(picture, matrix, (640, 480), flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, (640, 480))
    photo = table * (1 - mask[..., None]) + seen * mask[..., None]
    return _lit(photo.astype(np.float32), random)


def _table(random: np.random.Generator) -> NDArray[np.float32]:
    """A table top of wood, stone or cloth: one muted colour, with a grain along it."""
    hsv = np.array([[[random.uniform(5, 28), random.uniform(10, 90), random.uniform(70, 210)]]])
    colour = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    coarse = random.normal(0, 14, (int(random.integers(12, 60)), 4, 1)).astype(np.float32)
    grain = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
    fine = random.normal(0, 4, (480, 640, 1))
    return np.asarray(colour + grain[..., None] + fine, dtype=np.float32)


def _lit(photo: NDArray[np.float32], random: np.random.Generator) -> Canvas:
    y, x = np.mgrid[-1:1:480j, -1:1:640j]
    slope = random.uniform(-0.3, 0.3, 2)
    light = random.uniform(0.75, 1.15) + slope[0] * x + slope[1] * y
    at, size = random.uniform(-0.7, 0.7, 2), random.uniform(0.02, 0.08)
    glare = 130 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / size)
    lit = photo * light[..., None] * random.uniform(0.9, 1.1, 3) + glare[..., None]
    blurred = cv2.GaussianBlur(lit.astype(np.float32), (0, 0), random.uniform(0.6, 1.8))
    noisy = blurred + random.normal(0, 4, blurred.shape)
    return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)


def _palette(random: np.random.Generator) -> list[tuple[int, int, int]]:
    """Four colours of related hue, and one that stands out."""
    hue = random.uniform(0, 180)
    hues = [hue, hue + 12, hue - 18, hue + 30, hue + 90]
    hsv = np.array(
        [[h % 180, random.uniform(90, 235), random.uniform(60, 250)] for h in hues], np.uint8
    )
    rgb = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    return [(int(r), int(g), int(b)) for r, g, b in rgb]


def _field(random: np.random.Generator, palette: list[tuple[int, int, int]]) -> Canvas:
    """A gradient between two colours in some direction."""
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : complex(SIDE), -1 : 1 : complex(SIDE)]
    share = np.clip((x * np.cos(angle) + y * np.sin(angle)) / 2 + 0.5, 0, 1)[..., None]
    blend = np.array(palette[0]) * (1 - share) + np.array(palette[1]) * share
    return np.asarray(blend, dtype=np.uint8)


def _discs(
    canvas: Canvas, random: np.random.Generator, palette: list[tuple[int, int, int]]
) -> None:
    for _ in range(int(random.integers(2, 9))):
        centre = random.integers(0, SIDE, 2).tolist()
        radius, thickness = int(random.integers(12, 110)), int(random.choice([-1, -1, 6, 14]))
        colour = palette[int(random.integers(len(palette)))]
        cv2.circle(canvas, centre, radius, colour, thickness, cv2.LINE_AA)


def _stripes(
    canvas: Canvas, random: np.random.Generator, palette: list[tuple[int, int, int]]
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
    canvas: Canvas, random: np.random.Generator, palette: list[tuple[int, int, int]]
) -> None:
    cells = int(random.integers(2, 7))
    step = SIDE // cells
    for at in range(cells * cells):
        if random.random() < 0.55:
            corner = np.array([at % cells, at // cells]) * step
            colour = palette[int(random.integers(len(palette)))]
            cv2.rectangle(canvas, corner.tolist(), (corner + step).tolist(), colour, -1)


def _shards(
    canvas: Canvas, random: np.random.Generator, palette: list[tuple[int, int, int]]
) -> None:
    for _ in range(int(random.integers(2, 7))):
        points = random.integers(-40, SIDE + 40, (int(random.integers(3, 6)), 1, 2))
        colour = palette[int(random.integers(len(palette)))]
        cv2.fillPoly(canvas, [points.astype(np.int32)], colour, cv2.LINE_AA)


def _write(canvas: Canvas, random: np.random.Generator, text: str) -> None:
    font = _FONTS[int(random.integers(len(_FONTS)))]
    colour = (250, 248, 240) if canvas.mean() < 128 else (18, 16, 20)
    (width, _), _ = cv2.getTextSize(text, font, 1, 2)
    scale = random.uniform(0.6, 0.9) * SIDE / width
    left = int(random.uniform(0.04, 0.1) * SIDE)
    line = int(random.choice([0.14, 0.9]) * SIDE)
    cv2.putText(canvas, text, (left, line), font, scale, colour, 2, cv2.LINE_AA)


_DRAWINGS: tuple[Callable[[Canvas, np.random.Generator, list[tuple[int, int, int]]], None], ...] = (
    _discs,
    _stripes,
    _blocks,
    _shards,
)
