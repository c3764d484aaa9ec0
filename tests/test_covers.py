"""The demo's record covers and the photos of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from catalog.data import covers
from catalog.data.covers import records

NUMBERS = range(len(records.MOTIFS))
"""One record of every motif."""


def test_records_have_titles_of_their_own() -> None:
    """No two of the first 384 records have the same name."""
    assert len({covers.title(number) for number in range(384)}) == 384


@pytest.mark.parametrize("draw", [covers.cover, covers.photo])
def test_pictures_follow_from_the_number(draw: Callable[[int], np.ndarray]) -> None:
    """The same number gives the same pixels, and every other one others."""
    drawn = {number: draw(number) for number in NUMBERS}
    for number in (0, 5, 20):
        np.testing.assert_array_equal(draw(number), drawn[number])
    assert len({picture.tobytes() for picture in drawn.values()}) == len(drawn)


@pytest.mark.parametrize("number", NUMBERS)
def test_there_is_something_on_every_cover(number: int) -> None:
    """Every motif draws: no cover is of one or two colours, none nearly plain."""
    cover = covers.cover(number)
    assert (cover.shape, cover.dtype) == ((covers.SIDE, covers.SIDE, 3), np.uint8)
    coarse = cover.reshape(-1, 3) // 16
    _, counts = np.unique(coarse, axis=0, return_counts=True)
    assert len(counts) > 10
    assert counts.max() < 0.97 * counts.sum()


def test_covers_of_one_motif_differ() -> None:
    """Two records of the same motif differ in more than their titles."""
    for number in NUMBERS[::2]:
        one, other = (covers.cover(number + at * len(NUMBERS)).astype(int) for at in (0, 1))
        assert np.abs(one - other).mean() > 8


def test_a_photo_shows_its_cover() -> None:
    """The middle of a photo has the colours of its cover, more often than by chance."""
    numbers = range(12)

    def colours(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        middle = picture[height // 4 : -height // 4, width // 4 : -width // 4]
        return np.asarray(middle.reshape(-1, 3).mean(axis=0))

    known = np.array([colours(covers.cover(number)) for number in numbers])
    right = 0
    for number in numbers:
        apart = np.linalg.norm(known - colours(covers.photo(number)), axis=1)
        right += int(np.argsort(apart).tolist().index(number) < 3)
    assert right >= 6
