"""The recipe that trains the starter backbone; its PyTorch half skips where that is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.starter.train import samples, weights

PICTURES = [
    np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    for seed, shape in enumerate([(112, 150, 3), (90, 70, 3), (20, 200, 3), (1, 1, 3)])
]


def test_a_sample_is_remade_from_its_number() -> None:
    """The same number gives the same pixels, and another one others."""
    first, again = (samples.sample(PICTURES, 7, (224, 96)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[1], samples.sample(PICTURES, 8, (96,))[0])


def test_samples_have_the_sizes_asked_for() -> None:
    """Whatever is cropped and mixed, each size is as asked for."""
    for number in range(200):
        shapes = [one.shape for one in samples.sample(PICTURES, number, (224, 96))]
        assert shapes == [(224, 224, 3), (96, 96, 3)]


def test_both_sizes_show_the_same() -> None:
    """What the teacher sees, shrunk, is what the student sees."""
    smooth = [np.asarray(samples.small(_gradient(seed)), np.uint8) for seed in range(3)]
    for number in range(100):
        large, little = samples.sample(smooth, number, (192, 96))
        shrunk = large.reshape(96, 2, 96, 2, 3).mean(axis=(1, 3))
        assert np.abs(shrunk - little).mean() < 3


def test_drawn_photos_follow_the_real_ones(tmp_path: Path) -> None:
    """Pictures are found at any depth, shrunk, and followed by drawn ones."""
    import cv2

    (tmp_path / "inner").mkdir()
    cv2.imwrite(str(tmp_path / "inner" / "one.png"), np.zeros((300, 600, 3), np.uint8))
    real, *drawn = samples.load(tmp_path, drawn=2)
    assert real.shape == (112, 224, 3)
    assert [min(one.shape[:2]) for one in drawn] == [samples.SHORT_SIDE] * 2


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Arrays keep their names, their order and their bits."""
    arrays = {name: np.full(2, number, np.float32) for number, name in enumerate("bca")}
    weights.write(tmp_path / "w.npz", weights.Weights(0.5, arrays, np.ones((4, 3), np.float32)))
    found = weights.read(tmp_path / "w.npz")
    assert (found.alpha, list(found.arrays)) == (0.5, ["b", "c", "a"])
    np.testing.assert_array_equal(found.arrays["c"], arrays["c"])


@pytest.mark.parametrize(
    ("alpha", "count"), [(0.35, 410_208), (0.5, 706_224), (0.75, 1_382_064), (1.0, 2_257_984)]
)
def test_the_student_is_as_large_as_in_keras(alpha: float, count: int) -> None:
    """It has as many weights as Keras applications' MobileNetV2 without its top."""
    pytest.importorskip("torch", reason="the recipe needs PyTorch")
    from data.starter.train.network import MobileNetV2

    arrays = MobileNetV2(alpha).state_dict().values()
    assert sum(one.numel() for one in arrays if one.is_floating_point()) == count


@pytest.mark.parametrize("side", [96, 112, 75])
def test_strided_convolutions_are_padded_as_in_keras(side: int) -> None:
    """Sizes shrink as Keras' do, for even and odd sides."""
    torch = pytest.importorskip("torch", reason="the recipe needs PyTorch")
    from data.starter.train.network import MobileNetV2

    middle, last, descriptors = MobileNetV2(0.35).stages(torch.zeros(2, 3, side, side))
    assert (middle.shape[2], last.shape[2]) == (-(-side // 16), -(-side // 32))
    assert descriptors.shape == (2, 1280)


def test_a_perfect_student_is_at_no_distance() -> None:
    """The loss is zero for the teacher's own answers at any scale about its mean, else positive."""
    torch = pytest.importorskip("torch", reason="the recipe needs PyTorch")
    pytest.importorskip("ai_edge_litert")
    from data.starter.train.loss import Spread, distance

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
    pytest.importorskip("torch", reason="the recipe needs PyTorch")
    from data.starter.train.network import MobileNetV2, load_weights, save_weights

    save_weights(MobileNetV2(0.35), tmp_path / "one.npz", 0.35)
    other = MobileNetV2(0.35)
    load_weights(other, tmp_path / "one.npz")
    save_weights(other, tmp_path / "two.npz", 0.35)
    one, two = (weights.read(tmp_path / name).probed for name in ("one.npz", "two.npz"))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="another network"):
        load_weights(MobileNetV2(1.0), tmp_path / "one.npz")


def _gradient(seed: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:1:112j, 0:1:140j]
    colours = np.random.default_rng(seed).uniform(0, 120, (2, 3))
    return np.asarray(x[..., None] * colours[0] + y[..., None] * colours[1], np.float32)
