"""Small photos of made-up things, drawn to disk: a class has its colours and its shape."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from malformed import encode

if TYPE_CHECKING:
    from malformed import Pixels

HEIGHT, WIDTH = 48, 64
_GOLDEN = 0.618


def scene(thing: int, shot: int = 0) -> Pixels:
    """Draw one shot of a thing: its shape on its background, placed and lit anew, with noise."""
    rng = np.random.default_rng([thing, shot])
    light = rng.uniform(0.85, 1.0)
    image = np.full((HEIGHT, WIDTH, 3), _colour(thing * _GOLDEN, 0.5 * light), np.uint8)
    ink = _colour(thing * _GOLDEN + 0.4, light)
    x, y = (int(at) for at in rng.integers((24, 18), (40, 30)))
    reach = int(rng.integers(11, 15))
    if thing % 3 == 0:
        cv2.circle(image, (x, y), reach, ink, -1)
    elif thing % 3 == 1:
        cv2.rectangle(image, (x - reach, y - reach), (x + reach, y + reach), ink, -1)
    else:
        corners = [[x, y - reach], [x - reach, y + reach], [x + reach, y + reach]]
        cv2.fillPoly(image, [np.array(corners, np.int32)], ink)
    return image + rng.integers(0, 6, image.shape, np.uint8)


def photo(thing: int, shot: int = 0, extension: str = ".jpg") -> bytes:
    """Draw one shot of a thing as a picture file."""
    return encode(extension, scene(thing, shot))


def shots(thing: int, count: int, first: int = 0) -> list[bytes]:
    """Draw several shots of a thing, each another picture file."""
    return [photo(thing, shot) for shot in range(first, first + count)]


def draw(folder: Path, thing: int, count: int, first: int = 0) -> list[Path]:
    """Write several shots of a thing into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{shot:03}.jpg" for shot in range(first, first + count)]
    for path, content in zip(paths, shots(thing, count, first), strict=True):
        path.write_bytes(content)
    return paths


def draw_tree(root: Path, labels: Iterable[str], count: int, first: int = 0) -> Path:
    """Write a folder of shots for each class; class number i shows thing number i."""
    for thing, label in enumerate(labels):
        draw(root / label, thing, count, first)
    return root


def _colour(hue: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, 0.8, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def among_good(folder: Path, name: str, content: bytes) -> list[Path]:
    """A good file, another one, and a good file."""
    folder.mkdir(exist_ok=True)
    paths = [folder / "a.jpg", folder / name, folder / "z.jpg"]
    for path, data in zip(paths, (photo(7), content, photo(7, 1)), strict=True):
        path.write_bytes(data)
    return paths
