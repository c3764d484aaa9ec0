"""How far a student's answers are from its teacher's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recipes.starter.network import MIDDLE, MobileNetV2
from recipes.starter.samples import Pixels
from recipes.starter.teacher import Answers

_SURVEYED = 20_000
_RELATION = 5.0
_HINT = 0.5


@dataclass(frozen=True)
class Spread:
    """How the teacher's answers are spread, so that no direction drowns the others.

    Attributes:
        mean: (1280,) of its descriptors.
        whiten: (1280, 1280), evens their variances out, the small ones less.
        middle, last: (2, C) mean and deviation of each channel of its maps.
    """

    mean: Tensor
    whiten: Tensor
    middle: Tensor
    last: Tensor


def survey(answers: Answers) -> Spread:
    """Measure the spread of the first answers."""
    rows = answers.ready[:_SURVEYED]
    descriptors = torch.from_numpy(answers.descriptors[rows]).double()
    mean = descriptors.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(descriptors.T))
    scales = (variances.clamp(min=0) + variances.mean()).rsqrt()
    whiten = directions * scales @ directions.T
    return Spread(
        mean.float(),
        whiten.float(),
        _channels(torch.from_numpy(answers.middle[rows[:2000]])),
        _channels(torch.from_numpy(answers.last[rows[:2000]])),
    )


def _channels(maps: Tensor) -> Tensor:
    flat = maps.float().flatten(0, 2)
    return torch.stack([flat.mean(0), flat.std(0) + 1e-3])


class Hints(nn.Module):
    """Guesses the teacher's maps from the student's, while it is young; not part of the result."""

    def __init__(self, student: MobileNetV2, spread: Spread) -> None:
        super().__init__()
        self._spread = spread
        channels = [student.blocks[at].project.norm.num_features for at in (MIDDLE, -1)]
        self.middle = nn.Conv2d(channels[0], spread.middle.shape[1], 1)
        self.last = nn.Conv2d(channels[1], spread.last.shape[1], 1)

    def forward(self, maps: tuple[Tensor, Tensor], hints: tuple[Tensor, Tensor]) -> Tensor:
        """Mean squared error in standard deviations.

        Args:
            maps: the student's, (N, C, h, w) after the middle block and after the last.
            hints: the teacher's, (N, H, W, C).
        """
        middle = _difference(self.middle(maps[0]), hints[0], self._spread.middle)
        return (middle + _difference(self.last(maps[1]), hints[1], self._spread.last)) / 2


def _difference(guess: Tensor, hint: Tensor, channels: Tensor) -> Tensor:
    standard = ((hint.float() - channels[0]) / channels[1]).permute(0, 3, 1, 2)
    return functional.mse_loss(guess, functional.adaptive_avg_pool2d(standard, guess.shape[2:]))


def distance(student: Tensor, teacher: Tensor, spread: Spread) -> Tensor:
    """Centred cosine, plain and whitened, and the batch's table of similarities.

    Args:
        student: descriptors (N, 1280).
        teacher: descriptors (N, 1280) of the same samples.
        spread: of the teacher's descriptors.

    Returns:
        A number; 0 where both are the same up to scale.
    """
    ours, theirs = student - spread.mean, teacher - spread.mean
    one, other = functional.normalize(ours), functional.normalize(theirs)
    white = functional.cosine_similarity(ours @ spread.whiten, theirs @ spread.whiten)
    plain = (one * other).sum(1)
    relation = (one @ one.T - other @ other.T).square().mean()
    return (1 - plain).mean() + (1 - white).mean() + _RELATION * relation


def total(
    found: tuple[Tensor, Tensor, Tensor],
    wanted: tuple[Tensor, Tensor, Tensor],
    hints: Hints,
    spread: Spread,
    progress: float,
) -> tuple[Tensor, Tensor]:
    """The loss at some progress (0 to 1), and the distance in it."""
    apart = distance(found[2], wanted[2].float(), spread)
    guided = hints((found[0], found[1]), (wanted[0], wanted[1]))
    return apart + _HINT * (1 - progress) * guided, apart.detach()


def read(answers: Answers, rows: NDArray[np.int64]) -> tuple[Pixels, tuple[Tensor, Tensor, Tensor]]:
    """Pictures uint8 (N, S, S, 3) and answers (middle, last, descriptors) of some samples."""
    wanted = (answers.middle[rows], answers.last[rows], answers.descriptors[rows])
    middle, last, descriptors = map(torch.from_numpy, wanted)
    return answers.pictures[rows], (middle, last, descriptors)
