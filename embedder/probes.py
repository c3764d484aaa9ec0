"""Built-in probe pictures, and what the ImageNet MobileNetV2 makes of them.

The hashes of the published archives are not known, so a network is recognised by what it
computes: the descriptors of a few pictures that every machine draws alike. ``probes.npz`` holds
those of the ImageNet network (MobileNetV2 1.0, 224, average pool). To write it anew::

    network = LiteRTNetwork(models.import_model("mobilenet_v2_100_224_feature_vector").path)
    probes.write(Path("embedder/probes.npz"), network)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from numpy.typing import NDArray

AGREEMENT: Final = 0.9999
"""A network whose probe descriptors have a cosine above this with the recorded ones is the same."""

_GRID: Final = 4096
"""Pictures are drawn on a grid of this many steps a side, whatever their size in pixels."""

_BLOBS: Final = (  # x, y, radius in grid steps; red, green, blue
    (1100, 1000, 1500, (250, 40, 10)),
    (2900, 1300, 1100, (20, 200, 60)),
    (2000, 2900, 1700, (30, 60, 240)),
    (700, 3100, 900, (240, 220, 30)),
    (3400, 3300, 800, (200, 20, 220)),
)


class Network(Protocol):
    """What is asked of a network here: its input size, and descriptors of uint8 views."""

    input_size: int

    def __call__(self, views: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Descriptors (V, width) of views (V, S, S, 3)."""


def pictures(size: int = 224) -> NDArray[np.uint8]:
    """Draw the probe pictures.

    Integer arithmetic only, so that the pixels are the same on every machine.

    Args:
        size: side in pixels.

    Returns:
        (5, size, size, 3) uint8 RGB: gradients, checks, blobs, hash noise, a patterned disc.
    """
    steps = np.arange(size, dtype=np.int64) * _GRID // size
    y, x = np.meshgrid(steps, steps, indexing="ij")
    drawn = [draw(x, y) for draw in _DRAWINGS]
    return np.stack(drawn).clip(0, 255).astype(np.uint8)


def describe(network: Network) -> NDArray[np.float32]:
    """Descriptors of the probe pictures: (5, width) float32, unit length (zero rows stay zero)."""
    raw = network(pictures(network.input_size)).astype(np.float64)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    return (raw / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def recorded() -> NDArray[np.float32]:
    """The ImageNet network's descriptors of the probe pictures: (5, 1280) float32, unit length."""
    with _record().open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        descriptors: NDArray[np.float32] = arrays["descriptors"]
        return descriptors


def agreement(descriptors: NDArray[np.float32]) -> float | None:
    """How far descriptors of the probe pictures are those of the ImageNet network.

    Args:
        descriptors: (5, width) float32, unit length, as :func:`describe` gives them.

    Returns:
        The least cosine over the probe pictures; None where the width is not 1280.
    """
    reference = recorded()
    if descriptors.shape != reference.shape:
        return None
    cosines = np.sum(descriptors.astype(np.float64) * reference, axis=1)
    return float(np.nan_to_num(cosines, nan=-1.0).min())


def write(file: Path, network: Network) -> None:
    """Record a network's descriptors of the probe pictures in an ``.npz`` file."""
    np.savez(file, descriptors=describe(network))


def _record() -> Traversable:
    from importlib.resources import files

    return files(__package__) / "probes.npz"


def _gradients(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([x, y, _GRID - (x + y) // 2], axis=-1) * 255 // _GRID


def _checks(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Coarse checks at the left, finer to the right, in two colours per band."""
    cells = 4 << (x * 4 // _GRID)
    odd = (x * cells // _GRID + y * cells // _GRID) % 2
    band = y * 3 // _GRID
    dark = np.stack([40 * band, 90 - 30 * band, 20 + 50 * band], axis=-1)
    light = np.stack([250 - 60 * band, 210 + 20 * band, 240 - 90 * band], axis=-1)
    return np.where(odd[..., None] == 1, light, dark)


def _blobs(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    canvas = np.full((*x.shape, 3), 70, np.int64)
    for blob_x, blob_y, radius, colour in _BLOBS:
        squared = (x - blob_x) ** 2 + (y - blob_y) ** 2
        weight = (radius**2 - squared).clip(0)[..., None]
        canvas += (np.array(colour) - canvas) * weight // radius**2
    return canvas


def _noise(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hash noise at three scales, the coarsest the strongest."""
    canvas = np.zeros((*x.shape, 3), np.int64)
    for cells, strength in ((7, 4), (28, 3), (112, 1)):
        canvas += _hash(x * cells // _GRID, y * cells // _GRID, cells) * strength // 8
    return canvas


def _disc(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """A striped disc with a dark rim before a soft background: one thing in the frame."""
    squared = (x - 2100) ** 2 + (y - 1950) ** 2
    stripes = np.where((x * 2 + y) // 300 % 2 == 0, 230, 90)
    inside = np.stack([stripes, stripes * 3 // 4, 255 - stripes], axis=-1)
    rim = np.where((squared > 1300**2)[..., None], 15, inside)
    ground = np.stack([200 - y // 40, 190 - y // 50, 160 + x // 60], axis=-1)
    return np.where((squared > 1450**2)[..., None], ground, rim)


def _hash(x: NDArray[np.int64], y: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Three pseudo-random bytes for each cell, by multiply, xor and shift modulo 2**32."""
    mask = 0xFFFFFFFF
    mixed = (x * 0x9E3779B1 + y * 0x85EBCA77 + seed * 0xC2B2AE3D) & mask
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & mask
    mixed ^= mixed >> 13
    return np.stack([mixed & 255, (mixed >> 8) & 255, (mixed >> 16) & 255], axis=-1)


_DRAWINGS: Final[
    tuple[Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]], ...]
] = (
    _gradients,
    _checks,
    _blobs,
    _noise,
    _disc,
)
