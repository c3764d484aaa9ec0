"""Pictures that are embedded in processes of their own: the same descriptors, or a refusal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import photos
import pytest
from door import VALID
from numpy.testing import assert_array_equal
from tiny_network import NAME

from catalog import Box, Catalog, InvalidInput, Picture, PictureError
from catalog.embedder import EmbedderApart, MobileNetEmbedder, isolation
from catalog.embedder.model_cache import Model


@pytest.fixture
def here(tiny_model: Model) -> Iterator[MobileNetEmbedder]:
    """An embedder in this process."""
    with closing(MobileNetEmbedder(tiny_model, "standard")) as made:
        yield made


@pytest.fixture
def apart(tiny_model: Model, here: MobileNetEmbedder) -> Iterator[EmbedderApart]:
    """The same, in others."""
    with closing(EmbedderApart(tiny_model, here.specification)) as made:
        yield made


def processes(apart: EmbedderApart) -> list[int]:
    """The numbers of its children."""
    return [one._process.pid for one in apart._there._workers if one._process is not None]


def test_the_same_bits(here: MobileNetEmbedder, apart: EmbedderApart, tmp_path: Path) -> None:
    """Of every format, box and source, alone and among others; and of the probes."""
    file = tmp_path / "a.jpg"
    file.write_bytes(photos.photo(1, 0))
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    asked = [*VALID.values(), *photos.shots(0, 8), file, pixels]
    asked += [Picture(photos.photo(2, 0), Box(x, 3, 20, 30 + x)) for x in (0, 5, 9)]
    expected = [here.embed(one) for one in asked]
    for one, row in zip(asked, expected, strict=True):
        assert_array_equal(apart.embed(one), row)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for found, row in zip(pool.map(apart.embed, asked), expected, strict=True):
                assert_array_equal(found, row)
    for found, row in zip(apart.embed_each(asked), expected, strict=True):
        assert_array_equal(found, row)
    assert_array_equal(apart.probe(), here.probe())
    assert_array_equal(apart.made_up(file, 3), here.made_up(file, 3))
    assert apart.specification == here.specification


def test_the_same_refusals(here: MobileNetEmbedder, apart: EmbedderApart, tmp_path: Path) -> None:
    """In the same words."""
    large = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    for asked in (
        b"", b"no picture", VALID["jpeg"][:60], tmp_path / "none.jpg", large[:-20],
        Picture(photos.photo(0, 0), Box(0, 0, 5000, 5)), np.zeros((0, 3, 3), np.uint8),
    ):  # fmt: skip
        with pytest.raises(PictureError) as expected:
            here.embed(asked)
        with pytest.raises(PictureError) as found:
            apart.embed(asked)
        assert (found.value.reason, found.value.detail) == (
            expected.value.reason,
            expected.value.detail,
        )
    with pytest.raises(InvalidInput):
        apart.embed(np.zeros((3, 3), np.uint8))


def test_a_child_that_dies_is_replaced(here: MobileNetEmbedder, apart: EmbedderApart) -> None:
    """Whoever waits for it gets an answer; nobody else notices."""
    picture = photos.photo(0, 0)
    row = here.embed(picture)
    assert_array_equal(apart.embed(picture), row)
    before = processes(apart)
    assert len(before) >= 2
    for process in before:
        os.kill(process, signal.SIGKILL)
    for _ in range(6):
        assert_array_equal(apart.embed(picture), row)
    assert set(processes(apart)).isdisjoint(before) or len(set(processes(apart)) - set(before))


def test_children_make_room_for_others(
    apart: EmbedderApart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many pictures each is a new one; answers go on."""
    monkeypatch.setattr(isolation, "_RECYCLED", 3)
    seen = set[int]()
    for _ in range(12):
        apart.embed(photos.photo(0, 0))
        seen |= set(processes(apart))
    assert len(seen) > len(apart._there._workers)


def test_a_catalogue_may_be_asked_so(tiny_model: Model, tmp_path: Path) -> None:
    """The answers are those of one that embeds here, and it lets go of its children."""
    path = tmp_path / "shop.catalog"
    with Catalog.init(path, backbone=NAME, views="fast") as shop:
        for thing in range(3):
            shop.add_class(f"thing {thing}", photos.shots(thing, 3))
        expected = shop.nearest(photos.photo(1, 9), 5)
    with Catalog.open(path, isolate="embedding") as shop:
        assert shop.nearest(photos.photo(1, 9), 5) == expected
        assert isinstance(shop.embedder, EmbedderApart)
        children = processes(shop.embedder)
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda _: shop.nearest(photos.photo(1, 9), 5), range(12))
            assert all(one == expected for one in found)
    for process in children:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
