"""Photos of records, as a customer takes them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from catalog.data.covers.canvas import Pixels
from catalog.data.covers.colours import mixed
from catalog.data.covers.records import cover
from catalog.data.photograph import photograph

_WIDTH, _HEIGHT = 640, 480


def photo(number: int, shot: int = 0) -> Pixels:
    """Take a photo of a record on a table, or another one: uint8 (480, 640, 3), RGB."""
    random = np.random.default_rng([number, 3, *([shot] if shot else [])])
    return photograph(cover(number), _table(random), random, fill=(0.8, 1.05), turn=8, blur=0.8)


def _table(random: np.random.Generator) -> Pixels:
    """A table top of wood, stone or cloth with a grain along it, and what lies on it."""
    colour = np.array(mixed(*random.uniform((35, 2, 40), (80, 35, 90))), np.float32)
    coarse = random.normal(0, 14, (int(random.integers(12, 60)), 4, 1)).astype(np.float32)
    grain = cv2.resize(coarse, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
    fine = random.normal(0, 4, (_HEIGHT, _WIDTH, 1))
    table = np.asarray(np.clip(colour + grain[..., None] + fine, 0, 255), np.uint8)
    for number in random.integers(len(_CLUTTER), size=int(random.integers(0, 4))):
        _CLUTTER[number](table, random)
    return table


def _mug(table: Pixels, random: np.random.Generator) -> None:
    at = random.integers((0, 0), (_WIDTH, _HEIGHT)).tolist()
    radius = int(random.integers(35, 60))
    cv2.circle(
        table, at, radius, mixed(*random.uniform((30, 0, 0), (95, 50, 360))), -1, cv2.LINE_AA
    )
    cv2.circle(table, at, radius * 4 // 5, (52, 32, 22), -1, cv2.LINE_AA)


def _pen(table: Pixels, random: np.random.Generator) -> None:
    start, end = random.integers((0, 0), (_WIDTH, _HEIGHT), (2, 2)).tolist()
    cv2.line(table, start, end, mixed(*random.uniform((20, 0, 0), (60, 60, 360))), 9, cv2.LINE_AA)


def _sheet(table: Pixels, random: np.random.Generator) -> None:
    box = (random.uniform((0, 0), (_WIDTH, _HEIGHT)).tolist(), (210, 297), random.uniform(0, 180))
    corners = cv2.boxPoints(box).astype(np.int32)
    cv2.fillPoly(table, [corners], (238, 236, 230), cv2.LINE_AA)


_CLUTTER: Final = (_mug, _pen, _sheet)
