"""The crops of a picture that a descriptor is the mean of.

One pass over one crop sees the thing at one size. The mean over a few crops is the cheapest large
gain in accuracy there is without training anything; ``benchmarks/ACCURACY.md`` has the table the
presets were chosen from. There are no mirrored views: they gained nothing on the validation
pictures, cost as much as any other view, and make a left shoe of a right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

View: TypeAlias = float
"""Side of a centred square crop as a share of the picture's shorter side; 0 is the whole frame,
squashed to a square."""

FULL_FRAME: Final[View] = 0.0

PRESETS: Final[dict[str, tuple[View, ...]]] = {
    "fast": (0.875,),
    "standard": (FULL_FRAME, 0.75, 0.45),
    "thorough": (FULL_FRAME, 0.875, 0.75, 0.6, 0.45),
}
"""Named sets of views."""

DEFAULT_PRESET: Final = "standard"
"""The preset of a new catalogue."""

RESIZE_RULE: Final = "shrink each axis by area, then enlarge by bilinear interpolation"
"""How a crop becomes the network's input; part of an embedder's fingerprint."""


def preset(name: str) -> tuple[View, ...]:
    """The views of a named preset.

    Raises:
        InvalidInput: there is no preset of that name.
    """
    if name not in PRESETS:
        raise InvalidInput(f"there is no view preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def preset_name(views: Sequence[View]) -> str:
    """The name of the preset with these views, or the views themselves in words."""
    for name, known in PRESETS.items():
        if known == tuple(views):
            return name
    return "views " + ", ".join(f"{view:g}" for view in views)


def jpeg_scale(region: tuple[int, int], views: Sequence[View], size: int) -> int:
    """How much a JPEG may be shrunk while decoding, for its tightest view to keep every pixel.

    Args:
        region: width and height of what the views are taken from, in pixels.
        views: the views to be taken.
        size: side of the network's input, in pixels.

    Returns:
        8, 4, 2 or 1: the largest denominator at which no view has to be enlarged, or 1.
    """
    tightest = min(region) * min(view or 1.0 for view in views)
    return next((scale for scale in (8, 4, 2) if tightest / scale >= size), 1)


def take_views(pixels: NDArray[np.uint8], views: Sequence[View], size: int) -> NDArray[np.uint8]:
    """Cut the views out of a picture and bring each to the network's input size.

    Args:
        pixels: uint8 (H, W, 3).
        views: which crops to take.
        size: side of the network's input, in pixels.

    Returns:
        uint8 (len(views), size, size, 3).
    """
    return np.stack([_resize(_crop(pixels, view), size) for view in views])


def _crop(pixels: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    if view == FULL_FRAME:
        return pixels
    height, width = pixels.shape[:2]
    side = max(1, round(min(height, width) * view))
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    smaller = (min(width, size), min(height, size))
    if smaller != (width, height):
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    if smaller != (size, size):
        pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR).astype(
            np.uint8, copy=False
        )
    return pixels
