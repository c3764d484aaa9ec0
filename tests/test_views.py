"""Which part of a picture the network sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.descriptors import InvalidInput
from catalog.embedder.views import (
    DEFAULT_PRESET,
    FULL_FRAME,
    PRESETS,
    jpeg_scale,
    preset,
    preset_name,
    take_views,
)

sides = st.integers(1, 300)
shares = st.sampled_from([FULL_FRAME, 0.1, 0.45, 0.75, 1.0])


@given(sides, sides, st.lists(shares, min_size=1, max_size=4), st.sampled_from([8, 33]))
def test_any_picture_gives_views_of_the_size_asked_for(
    height: int, width: int, views: list[float], size: int
) -> None:
    """Every view of every picture is a square of the network's size, of plain colour if it is."""
    pixels = np.full((height, width, 3), (10, 200, 90), np.uint8)
    taken = take_views(pixels, views, size)
    assert taken.shape == (len(views), size, size, 3)
    assert taken.dtype == np.uint8
    assert (taken == (10, 200, 90)).all()


def test_crops_are_centred_squares() -> None:
    """A share of the shorter side is cut from the middle; the full frame is squashed instead."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[25:75, 75:125] = 255
    half, whole, full = take_views(pixels, (0.5, 1.0, FULL_FRAME), 50)
    assert (half == 255).all()
    assert whole[:12].max() == 0
    assert whole[25, 25].tolist() == [255] * 3
    assert full[25, 25].tolist() == [255] * 3
    assert full.mean() == pytest.approx(255 / 8, rel=0.05)


def test_shrinking_is_antialiased() -> None:
    """A fine checkerboard becomes an even grey, not a pattern of its own."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    (small,) = take_views(np.dstack([board] * 3), (FULL_FRAME,), 32)
    assert np.ptp(small) <= 1
    assert abs(int(small[0, 0, 0]) - 128) <= 1


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.lists(shares, min_size=1), sides)
def test_a_jpeg_is_never_shrunk_too_far(
    width: int, height: int, views: list[float], size: int
) -> None:
    """The scale is the largest at which the tightest view still has every pixel it needs."""
    scale = jpeg_scale((width, height), views, size)
    tightest = min(width, height) * min(view or 1 for view in views)
    assert scale in {1, 2, 4, 8}
    assert scale == 1 or tightest / scale >= size
    assert scale == 8 or tightest / (2 * scale) < size


def test_presets_have_names() -> None:
    """A preset is found by its name, and named by its views; other views are spelt out."""
    assert DEFAULT_PRESET in PRESETS
    for name, views in PRESETS.items():
        assert preset(name) == views
        assert preset_name(views) == name
    assert preset_name((0.5,)) == "views 0.5"
    with pytest.raises(InvalidInput, match="fast, standard, thorough"):
        preset("best")
