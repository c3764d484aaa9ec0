"""The student's weights on disk: arrays by name, and what the network says of a few pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

PROBE_SIDE: Final = 96
"""Side of the probe pictures in pixels."""

_ALPHA: Final = "alpha"
_PROBED: Final = "probed"


@dataclass(frozen=True)
class Weights:
    """A trained network.

    Attributes:
        alpha: its width multiplier.
        arrays: float32 (float16 where they are kept in half the space), by PyTorch's names, in the
            order of the layers: for each convolution its kernel (out, in, h, w), and of its
            normalisation the scale, offset, mean and variance.
        probed: float32 (P, 1280), its descriptors of :func:`probe_pictures`.
    """

    alpha: float
    arrays: dict[str, NDArray[np.floating]]
    probed: NDArray[np.float32]


def write(file: Path, weights: Weights) -> None:
    """Write weights to an ``.npz`` file."""
    content: dict[str, Any] = {_ALPHA: weights.alpha, _PROBED: weights.probed, **weights.arrays}
    np.savez(file, **content)


def read(file: Path) -> Weights:
    """Read what :func:`write` wrote; arrays are float32."""
    with np.load(file, allow_pickle=False) as content:
        names = [name for name in content.files if name not in {_ALPHA, _PROBED}]
        arrays = {name: content[name].astype(np.float32) for name in names}
        return Weights(float(content[_ALPHA]), arrays, content[_PROBED])


def probe_pictures() -> NDArray[np.uint8]:
    """Coloured noise at four scales: uint8 (4, PROBE_SIDE, PROBE_SIDE, 3)."""
    random = np.random.default_rng(0)
    coarse = [random.integers(0, 256, (side, side, 3), np.uint8) for side in (3, 8, 24, 96)]
    return np.stack([cv2.resize(one, (PROBE_SIDE, PROBE_SIDE)) for one in coarse])
