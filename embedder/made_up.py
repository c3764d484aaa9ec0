"""Photos made up of a picture: what someone might take who has the thing before them.

They are evidence where a class has one picture alone and none can be held out. Each shows the thing
smaller than its frame, askew, in some light, perhaps a little blurred, before something that is
nothing: noise with the spectrum of photos, in which all lengths have the same share (Field 1987).
What else is in the catalogue would do worse: a cover before another cover is a photo of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog.data.photograph import photograph

PHOTOS: Final = 3
"""How many are made up of each picture."""

FILL: Final = (0.4, 0.9)
"""How much of the frame's side the thing takes up, from and to."""

TURN: Final = 15.0
"""The largest angle either way, in degrees."""

_SIDE = 224

# How much each of three independent noises has of the three colours: neighbours in colour go
# together in photos, as neighbours in space do.
_COLOURS = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.8, 0.3, 0.5]])


def photos(pixels: NDArray[np.uint8], seed: int) -> Iterator[NDArray[np.uint8]]:
    """Make up photos of a picture.

    Args:
        pixels: uint8 (H, W, 3).
        seed: of what is left to chance; the same photos come of the same seed.

    Yields:
        uint8 (224, 224, 3), :data:`PHOTOS` times.
    """
    random = np.random.default_rng(seed)
    shrink = 2 * _SIDE / min(pixels.shape[:2])
    if shrink < 1:  # the photos have no more than that, and skipping pixels would make patterns
        size = [max(1, round(side * shrink)) for side in pixels.shape[1::-1]]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    for _ in range(PHOTOS):
        yield photograph(pixels, background(random), random, fill=FILL, turn=TURN)


def background(random: np.random.Generator) -> NDArray[np.uint8]:
    """What is behind the thing: noise whose amplitude falls as the frequency rises.

    Returns:
        uint8 (224, 224, 3).
    """
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE))
    frequency[0, 0] = np.inf  # no share of the mean, which is chosen below
    phases = np.exp(2j * np.pi * random.random((3, *frequency.shape)))
    noise = np.fft.irfft2(phases / frequency, s=(_SIDE, _SIDE)).transpose(1, 2, 0)
    noise = noise / noise.std(axis=(0, 1)) @ _COLOURS.T
    shades = random.uniform(70, 190) + random.uniform(15, 60) * noise
    return np.asarray(np.clip(shades, 0, 255), np.uint8)
