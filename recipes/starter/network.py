"""The student: Keras applications' MobileNetV2 in PyTorch, so that its weights fit either.

Sandler et al. 2018. The channel rounding, the padding of strided convolutions and the constants of
batch normalisation are those of ``keras.applications.MobileNetV2(include_top=False)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.starter import weights

WIDTH: Final = 1280
"""Length of a descriptor."""

_EPSILON: Final = 1e-3
_MOMENTUM: Final = 0.01  # of the new batch; Keras' .999 would lag behind a short run
_FIRST: Final = 32
_STAGES: Final = (  # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
MIDDLE: Final = 12
"""The last block at a sixteenth of the picture's size."""


def rounded(channels: float) -> int:
    """Channels rounded to a multiple of 8, never down by more than a tenth."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


class MobileNetV2(nn.Module):
    """MobileNetV2 without its top, and the average over all places.

    Args:
        alpha: width multiplier, at most 1.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        channels = rounded(_FIRST * alpha)
        self.first = _Normalised(3, channels, 3, stride=2, bounded=True)
        blocks = []
        for expansion, filters, count, stride in _STAGES:
            for number in range(count):
                out = rounded(int(filters * alpha))
                blocks.append(_Block(channels, out, expansion, 1 if number else stride))
                channels = out
        self.blocks = nn.ModuleList(blocks)
        self.last = _Normalised(channels, WIDTH, 1, bounded=True)

    def forward(self, pictures: Tensor) -> Tensor:
        """Descriptors (N, 1280) of pictures (N, 3, S, S) in [-1, 1]."""
        return self.stages(pictures)[2]

    def stages(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps after the middle block and after the last one, and the descriptors."""
        maps = self.first(pictures)
        middle = maps
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number == MIDDLE:
                middle = maps
        return middle, maps, self.last(maps).mean(dim=(2, 3))


class _Normalised(nn.Module):
    """A convolution, its batch normalisation, and ReLU6 where it is bounded."""

    def __init__(
        self, taken: int, given: int, size: int, *, stride: int = 1, groups: int = 1, bounded: bool
    ) -> None:
        super().__init__()
        inner = size // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(taken, given, size, stride, inner, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(given, _EPSILON, _MOMENTUM)
        self.bounded = bounded
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out")

    def forward(self, maps: Tensor) -> Tensor:
        if self.convolution.stride[0] == 2:
            top, left = maps.shape[2] % 2, maps.shape[3] % 2
            maps = functional.pad(maps, (left, 1, top, 1))
        maps = self.norm(self.convolution(maps))
        return functional.relu6(maps) if self.bounded else maps


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow."""

    def __init__(self, taken: int, given: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = taken * expansion
        self.expand = _Normalised(taken, wide, 1, bounded=True) if expansion > 1 else None
        self.depthwise = _Normalised(wide, wide, 3, stride=stride, groups=wide, bounded=True)
        self.project = _Normalised(wide, given, 1, bounded=False)
        self.residual = stride == 1 and taken == given

    def forward(self, maps: Tensor) -> Tensor:
        inner = maps if self.expand is None else self.expand(maps)
        inner = self.project(self.depthwise(inner))
        return maps + inner if self.residual else inner


def pixels_in(pictures: Tensor) -> Tensor:
    """Pixels uint8 (N, S, S, 3) as the network takes them: (N, 3, S, S) in [-1, 1]."""
    scaled = pictures.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
    return scaled.contiguous(memory_format=torch.channels_last)


def save_weights(network: MobileNetV2, file: Path, alpha: float) -> None:
    """Write weights in the form of :mod:`recipes.starter.weights`."""
    state = network.state_dict()
    arrays = {name: one.numpy() for name, one in state.items() if one.is_floating_point()}
    training = network.training
    network.eval()
    with torch.inference_mode():
        probed = network(pixels_in(torch.from_numpy(weights.probe_pictures()))).numpy()
    network.train(training)
    weights.write(file, weights.Weights(alpha, arrays, probed))


def load_weights(network: MobileNetV2, file: Path) -> None:
    """Read what :func:`save_weights` wrote.

    Raises:
        ValueError: they are the weights of another network.
    """
    state = network.state_dict()
    arrays = weights.read(file).arrays
    expected = {name: one.shape for name, one in state.items() if one.is_floating_point()}
    if {name: one.shape for name, one in arrays.items()} != expected:
        raise ValueError(f"{file} has the weights of another network")
    found = {name: torch.from_numpy(one.astype(np.float32)) for name, one in arrays.items()}
    network.load_state_dict(state | found)
