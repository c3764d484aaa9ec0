"""The samples and weights of the recipe that trains the starter backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recipes.starter import samples, weights

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


def test_weights_kept_in_half_the_space_are_read_whole(tmp_path: Path) -> None:
    """Arrays of 16 bits are read as 32."""
    arrays = {"a": np.array([0.5, 1 / 3], np.float16)}
    weights.write(tmp_path / "w.npz", weights.Weights(0.5, arrays, np.ones((4, 3), np.float32)))
    found = weights.read(tmp_path / "w.npz").arrays["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, arrays["a"].astype(np.float32))


def _gradient(seed: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:1:112j, 0:1:140j]
    colours = np.random.default_rng(seed).uniform(0, 120, (2, 3))
    return np.asarray(x[..., None] * colours[0] + y[..., None] * colours[1], np.float32)
