"""What is written on a cover."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from catalog.data.covers.canvas import Canvas
from catalog.data.covers.colours import Palette, brightness

_FONTS: Final = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
_DARK: Final = (20, 18, 24)
_LIGHT: Final = (250, 247, 238)


def write(canvas: Canvas, random: np.random.Generator, palette: Palette, text: str) -> None:
    """Write a title somewhere, on what is there or on a band of its own."""
    font, upper = _FONTS[int(random.integers(len(_FONTS)))], random.random() < 0.5
    upper = upper and font != cv2.FONT_HERSHEY_SCRIPT_COMPLEX  # illegible
    lines = text.split() if random.random() < 0.35 else [text]
    lines = [line.upper() for line in lines] if upper else lines
    side = len(canvas.pixels)
    wanted = random.uniform(0.5, 0.88) * side
    scale = min(side / 100, *(fitted(line, font, wanted) for line in lines))
    step = int(scale * 34)
    top = int(random.choice([0.04, 0.95, 0.8]) * (side - step * len(lines)))
    if random.random() < 0.4:
        canvas.pixels[max(0, top - step // 4) : top + step * len(lines) + step // 4] = (
            palette.ground
        )
    behind = canvas.pixels[top : top + step * len(lines)].reshape(-1, 3).mean(axis=0)
    colour = _DARK if brightness(tuple(behind)) > 120 else _LIGHT
    thick = max(2, round(scale * random.uniform(1, 3.5)))
    centred = random.random() < 0.5
    for number, line in enumerate(lines):
        wide = cv2.getTextSize(line, font, scale, thick)[0][0]
        left = (side - wide) // 2 if centred else side // 20
        foot = top + step * number + int(scale * 27)
        cv2.putText(canvas.pixels, line, (left, foot), font, scale, colour, thick, cv2.LINE_AA)


def fitted(text: str, font: int, size: float) -> float:
    """The scale at which a text's longer side has so many pixels."""
    scale = 1.0
    for _ in range(3):  # OpenCV 5's fonts do not grow evenly
        scale *= size / max(cv2.getTextSize(text, font, scale, 1)[0])
    return scale


def frame(canvas: Canvas, random: np.random.Generator, palette: Palette) -> None:
    """Lay a plain border round everything."""
    side = len(canvas.pixels)
    wide = int(random.uniform(0.02, 0.09) * side)
    colour = palette.every[int(random.integers(5))]
    cv2.rectangle(canvas.pixels, (0, 0), (side - 1, side - 1), colour, 2 * wide)
