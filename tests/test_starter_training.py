"""The student of the recipe, and its loss; collected where PyTorch is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.starter import weights
from recipes.starter.distil import Plan
from recipes.starter.loss import Spread, distance
from recipes.starter.network import MobileNetV2, load_weights, save_weights
from recipes.starter.teacher import CHUNK, made, opened


@pytest.mark.parametrize(
    ("alpha", "count"), [(0.35, 410_208), (0.5, 706_224), (0.75, 1_382_064), (1.0, 2_257_984)]
)
def test_the_student_is_as_large_as_in_keras(alpha: float, count: int) -> None:
    """It has as many weights as Keras applications' MobileNetV2 without its top."""
    arrays = MobileNetV2(alpha).state_dict().values()
    assert sum(one.numel() for one in arrays if one.is_floating_point()) == count


@pytest.mark.parametrize("side", [96, 112, 75])
def test_strided_convolutions_are_padded_as_in_keras(side: int) -> None:
    """Sizes shrink as Keras' do, for even and odd sides."""
    middle, last, descriptors = MobileNetV2(0.35).stages(torch.zeros(2, 3, side, side))
    assert (middle.shape[2], last.shape[2]) == (-(-side // 16), -(-side // 32))
    assert descriptors.shape == (2, 1280)


def test_a_perfect_student_is_at_no_distance() -> None:
    """The loss is zero for the teacher's own answers at any scale about its mean, else positive."""
    torch.manual_seed(0)
    mean = torch.rand(1280)
    spread = Spread(mean, torch.eye(1280), torch.zeros(2, 96), torch.zeros(2, 320))
    answers = torch.rand(8, 1280)
    assert float(distance(mean + 2 * (answers - mean), answers, spread)) == pytest.approx(
        0, abs=1e-5
    )
    assert float(distance(answers.flip(0), answers, spread)) > 0.5


def test_weights_move_between_students(tmp_path: Path) -> None:
    """A student with another's weights says the same of the probe pictures."""
    save_weights(MobileNetV2(0.35), tmp_path / "one.npz", 0.35)
    other = MobileNetV2(0.35)
    load_weights(other, tmp_path / "one.npz")
    save_weights(other, tmp_path / "two.npz", 0.35)
    one, two = (weights.read(tmp_path / name).probed for name in ("one.npz", "two.npz"))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="another network"):
        load_weights(MobileNetV2(1.0), tmp_path / "one.npz")


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Training leaves averaged weights, and with more minutes goes on where it ended."""
    random = np.random.default_rng(0)
    answers = made(tmp_path / "answers", CHUNK)
    answers.pictures[:] = random.integers(0, 256, answers.pictures.shape)
    for part in (answers.descriptors, answers.middle, answers.last):
        part[:] = random.random(part.shape)
    answers.done[:] = True

    def train(minutes: float) -> list[str]:
        recipe = [sys.executable, "-m", "recipes.starter.distil", str(tmp_path)]
        options = f"--minutes {minutes} --alpha 0.35 --batch 8 --processes 2 --sides 32 64".split()
        done = subprocess.run([*recipe, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    first = train(0.02)[-1]
    seconds = torch.load(tmp_path / "checkpoint.pt")["seconds"]
    again = train((seconds + 4) / 60)[-1]
    seen = [int(line.split()[2]) for line in (first, again)]
    assert 0 < seen[0] < seen[1]
    kept = sorted((tmp_path / "snapshots").iterdir())
    assert len(kept) == 2
    load_weights(MobileNetV2(0.35), kept[-1])


def test_pictures_are_small_at_first(tmp_path: Path) -> None:
    """Each side has an equal part of the run, and the rate rises and falls."""
    plan = Plan(tmp_path, 0.5, 60, 2e-3, 128, 2, (64, 96, 96, 128), bfloat16=False, start=None)
    assert [plan.side_at(at) for at in (0, 0.24, 0.26, 0.74, 0.76, 1)] == [64, 64, 96, 96, 128, 128]
    rates = [plan.rate_at(at) for at in (0, 0.02, 0.5, 0.99)]
    assert rates[0] < rates[1] > rates[2] > rates[3] >= 0
    assert max(rates) <= plan.rate


def test_answers_are_opened_as_they_were_made(tmp_path: Path) -> None:
    """A folder without answers is an error, and so is another number of samples."""
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    made(tmp_path / "some", CHUNK).done[:] = True
    assert len(opened(tmp_path / "some").ready) == CHUNK
    with pytest.raises(ValueError, match=f"for {CHUNK} samples"):
        made(tmp_path / "some", 2 * CHUNK)
