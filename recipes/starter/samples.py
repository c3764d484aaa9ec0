"""What teacher and student look at: crops and mixtures of pictures, each remade from its number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog.data import covers
from catalog.embedder import read_picture
from catalog.embedder.decode import decode

Pixels: TypeAlias = NDArray[np.uint8]

SHORT_SIDE: Final = 112
"""Pictures are kept in memory with at most so many pixels on the shorter side."""

_ENDINGS: Final = {".jpg", ".jpeg", ".png", ".webp"}
_DRAWN_FROM: Final = 100_000  # the demo's covers have small numbers, and none of them is learnt
_WHOLE: Final = 0.15
_MIXED: Final = 0.4
_SMALLEST: Final = 0.2


def load(folder: Path, drawn: int) -> list[Pixels]:
    """Load every picture below a folder, in the order of their names, and draw some more.

    Args:
        folder: of pictures, at any depth.
        drawn: how many photos of drawn record covers follow them.

    Returns:
        uint8 (h, w, 3) RGB each.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS)
    real = [small(decode(read_picture(str(file)))) for file in files]
    return real + [small(covers.photo(_DRAWN_FROM + number)) for number in range(drawn)]


def small(pixels: Pixels) -> Pixels:
    """Shrink a picture to :data:`SHORT_SIDE`, if it is larger."""
    height, width = pixels.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def sample(pictures: Sequence[Pixels], number: int, sizes: Sequence[int]) -> list[Pixels]:
    """Draw a sample: one crop, or two mixed, the same pixels at several sizes.

    Args:
        pictures: what :func:`load` gave.
        number: of the sample; all chance comes from it.
        sizes: sides in pixels, such as the teacher's and the student's.

    Returns:
        uint8 (size, size, 3) for each size.
    """
    random = np.random.default_rng([number, len(pictures)])
    first = _crop(pictures, random, sizes)
    if random.random() >= _MIXED:
        return first
    second = _crop(pictures, random, sizes)
    if random.random() < 0.5:
        share = random.uniform(0.25, 0.75)
        return [_blended(*pair, share) for pair in zip(first, second, strict=True)]
    return _pasted(first, second, random)


def _crop(
    pictures: Sequence[Pixels], random: np.random.Generator, sizes: Sequence[int]
) -> list[Pixels]:
    """Part of a picture, perhaps mirrored, in another light, brought to each size."""
    pixels = pictures[int(random.integers(len(pictures)))]
    if random.random() >= _WHOLE:
        pixels = _part(pixels, random)
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
    pixels = _lit(pixels, random)
    return [_resized(pixels, size) for size in sizes]


def _part(pixels: Pixels, random: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    area = height * width * random.uniform(_SMALLEST, 1)
    shape = np.exp(random.uniform(-0.3, 0.3))
    across = min(width, max(8, round(np.sqrt(area * shape))))
    down = min(height, max(8, round(np.sqrt(area / shape))))
    left, top = random.integers(width - across + 1), random.integers(height - down + 1)
    return pixels[top : top + down, left : left + across]


def _lit(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Brightness, contrast, saturation and colour of the light, each a little."""
    matrix = np.eye(3, dtype=np.float32) * random.uniform(0.75, 1.25)
    faded = random.uniform(-0.3, 0.3)
    matrix = matrix @ ((1 - faded) * np.eye(3) + faded / 3)
    matrix *= random.uniform(0.9, 1.1, 3)[:, None]
    contrast = random.uniform(0.75, 1.25)
    offset = (1 - contrast) * np.asarray(cv2.mean(pixels)[:3])
    change = np.column_stack([matrix * contrast, matrix @ offset])
    return np.asarray(cv2.transform(pixels, change), np.uint8)


def _resized(pixels: Pixels, size: int) -> Pixels:
    """Shrunk by area or enlarged by bilinear interpolation, as the embedder's views are."""
    height, width = pixels.shape[:2]
    smaller = (min(width, size), min(height, size))
    shrunk = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def _blended(first: Pixels, second: Pixels, share: float) -> Pixels:
    """Two pictures over each other (mixup, Zhang et al. 2018)."""
    return np.asarray(cv2.addWeighted(first, share, second, 1 - share, 0), np.uint8)


def _pasted(first: list[Pixels], second: list[Pixels], random: np.random.Generator) -> list[Pixels]:
    """A rectangle of one in the other (CutMix, Yun et al. 2019)."""
    extent = np.sqrt(random.uniform(0.2, 0.6)) * np.exp(
        random.uniform(-0.3, 0.3) * np.array([1, -1])
    )
    extent = np.minimum(extent, 1)
    corner = random.uniform(0, 1 - extent)
    for one, other in zip(first, second, strict=True):
        top, left = np.round(corner * len(one)).astype(int)
        bottom, right = np.round((corner + extent) * len(one)).astype(int)
        one[top:bottom, left:right] = other[top:bottom, left:right]
    return first
