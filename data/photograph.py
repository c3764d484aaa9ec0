"""Photos of flat things, made up: askew before something else, in some light, a little blurred."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def photograph(
    thing: Pixels,
    background: Pixels,
    random: np.random.Generator,
    *,
    fill: tuple[float, float] = (0.55, 1.05),
    turn: float = 20,
    blur: float = 1.4,
) -> Pixels:
    """Draw a photo of a picture that lies before another one.

    Args:
        thing: uint8 (h, w, 3), what the photo is of.
        background: uint8 (H, W, 3), what is behind it; the photo has its size.
        random: where chance comes from: size, place, angle, tilt, light, glare and focus.
        fill: how much of the photo's shorter side the thing takes up, from and to.
        turn: the largest angle either way, in degrees.
        blur: the largest deviation of a photo out of focus, in pixels of one 224 pixels high.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = background.shape[:2]
    matrix = _placed(thing.shape[:2], (height, width), random, fill, turn)
    seen = cv2.warpPerspective(thing, matrix, (width, height), flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.ones(thing.shape[:2], np.float32), matrix, (width, height))
    photo = background * (1 - mask[..., None]) + seen * mask[..., None]
    return _lit(photo.astype(np.float32), random, blur)


def _placed(
    thing: tuple[int, int],
    frame: tuple[int, int],
    random: np.random.Generator,
    fill: tuple[float, float],
    turn: float,
) -> NDArray[np.float64]:
    """The perspective that puts a thing (h, w) into a frame (H, W)."""
    shape = np.sqrt(thing[1] / thing[0])
    side = min(frame)
    half = np.array([shape, 1 / shape]) * side / 2 * random.uniform(*fill)
    angle = np.deg2rad(random.uniform(-turn, turn))
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = (
        np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.minimum(half, 0.75 * side) @ turned
    )
    middle = np.array([frame[1], frame[0]]) / 2 + random.uniform(-0.1, 0.1, 2) * side
    corners = corners + middle + random.normal(0, 0.03 * side, (4, 2))
    whole = np.array([[0, 0], [thing[1], 0], [thing[1], thing[0]], [0, thing[0]]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(whole, corners.astype(np.float32)))


def _lit(photo: NDArray[np.float32], random: np.random.Generator, blur: float) -> Pixels:
    height, width = photo.shape[:2]
    y, x = np.mgrid[-1 : 1 : complex(height), -1 : 1 : complex(width)]
    slope = random.uniform(-0.3, 0.3, 2)
    light = random.uniform(0.7, 1.3) * (1 + slope[0] * x + slope[1] * y)
    lit = photo * light[..., None] * random.uniform(0.9, 1.1, 3)
    if random.random() < 0.3:
        at, size = random.uniform(-0.7, 0.7, 2), random.uniform(0.02, 0.1)
        glare = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / size)
        lit += random.uniform(60, 140) * glare[..., None]
    middle = lit.mean()
    lit = (lit - middle) * random.uniform(0.75, 1.25) + middle
    deviation = random.uniform(0.4, blur) * min(height, width) / 224
    if random.random() < 0.5:
        lit = cv2.GaussianBlur(lit, (0, 0), deviation)
    return np.asarray(np.clip(lit, 0, 255), dtype=np.uint8)
