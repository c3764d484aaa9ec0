"""What any embedder must do, and what the real one does beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import malformed
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder

from catalog.descriptors import BackboneError, InvalidInput, PictureError
from catalog.embedder import (
    Box,
    Embedder,
    MobileNetEmbedder,
    Picture,
    Specification,
    content_hash,
    load,
    models,
)
from catalog.embedder.model_cache import Model


@pytest.fixture(params=["real", "double"])
def embedder(request: pytest.FixtureRequest, tiny_model: Model) -> Iterator[Embedder]:
    """The real embedder over a tiny network, and the double that most tests use."""
    made: Embedder = FakeEmbedder() if request.param == "double" else MobileNetEmbedder(tiny_model)
    yield made
    made.close()


@pytest.fixture
def real(tiny_model: Model) -> Iterator[MobileNetEmbedder]:
    """The real embedder over a tiny network, with more threads than cores."""
    made = MobileNetEmbedder(tiny_model, threads=5)
    yield made
    made.close()


class TestAnyEmbedder:
    """One contract, whatever computes the descriptors."""

    def test_descriptors_are_unit_vectors(self, embedder: Embedder) -> None:
        """A descriptor is a float32 vector of unit length, as wide as the specification says."""
        descriptor = embedder.embed(photos.scene(0))
        assert descriptor.dtype == np.float32
        assert descriptor.shape == (embedder.specification.width,)
        assert np.linalg.norm(descriptor) == pytest.approx(1, abs=1e-6)

    def test_many_are_as_one(self, embedder: Embedder) -> None:
        """Many pictures give, in order, the very bits that each gives alone."""
        pictures = [photos.scene(kind, shot) for kind in range(5) for shot in range(6)]
        found = list(embedder.embed_each(pictures))
        for picture, descriptor in zip(pictures, found, strict=True):
            np.testing.assert_array_equal(descriptor, embedder.embed(picture))

    def test_a_refusal_stands_in_its_place(self, embedder: Embedder) -> None:
        """A bad picture gives its error where its descriptor would be, and the rest goes on."""
        good = malformed.valid_pictures()["png"]
        found = list(embedder.embed_each([good, b"", good, b"text", good]))
        assert [getattr(one, "reason", None) for one in found] == [
            None, "empty", None, "unsupported", None,
        ]  # fmt: skip
        with pytest.raises(PictureError):
            embedder.embed(b"")

    def test_no_pictures(self, embedder: Embedder) -> None:
        """Nothing asked, nothing given."""
        assert list(embedder.embed_each([])) == []

    def test_probes_do_not_change(self, embedder: Embedder) -> None:
        """The probe pictures give several different unit vectors, the same every time."""
        probes = embedder.probe()
        np.testing.assert_array_equal(probes, embedder.probe())
        np.testing.assert_allclose(np.linalg.norm(probes, axis=1), 1, atol=1e-6)
        assert len(np.unique(probes, axis=0)) == len(probes) > 1


@pytest.mark.parametrize("views", ["fast", "standard", "thorough"])
@pytest.mark.parametrize("descriptor", ["1280", "pooled"])
def test_a_picture_alone_has_the_same_bits(cache: Path, views: str, descriptor: str) -> None:
    """Its views are shared among idle threads, one of them even by two; one thread gives the same.

    Where there are more threads than views, as many, or fewer.
    """
    given = [photos.scene(kind) for kind in range(3)]
    model = models.starter()
    with closing(MobileNetEmbedder(model, views, descriptor, threads=1)) as one:
        expected = [one.embed(picture) for picture in given]
    for threads in (2, 3, 4, 6):
        with closing(MobileNetEmbedder(model, views, descriptor, threads=threads)) as several:
            for picture, descriptor_ in zip(given, expected, strict=True):
                np.testing.assert_array_equal(several.embed(picture), descriptor_)
                (alone,) = several.embed_each([picture])
                np.testing.assert_array_equal(alone, descriptor_)


def test_pictures_are_taken_up_as_they_are_needed(real: MobileNetEmbedder) -> None:
    """A stream without end is fine: only a few pictures are read ahead."""
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            read += 1
            yield photos.scene(read % 7)

    stream = real.embed_many(endless())
    for _ in range(10):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert 10 <= read <= 10 + 4 * 5


def test_the_first_refusal_ends_a_stream(real: MobileNetEmbedder) -> None:
    """Unless refusals are asked for, the first is raised, after what came before it."""
    stream = real.embed_many([photos.scene(0), b"", photos.scene(1)])
    next(stream)
    with pytest.raises(PictureError, match="empty"):
        next(stream)


def test_a_picture_is_the_same_as_path_bytes_and_pixels(
    real: MobileNetEmbedder, tmp_path: Path
) -> None:
    """A lossless file gives one descriptor as a path, as bytes, and as the pixels in it."""
    data = malformed.encode(".png", photos.scene(3))
    (tmp_path / "a.png").write_bytes(data)
    expected = real.embed(photos.scene(3))
    np.testing.assert_array_equal(real.embed(data), expected)
    np.testing.assert_array_equal(real.embed(tmp_path / "a.png"), expected)


def test_a_box_is_a_picture_of_its_own(real: MobileNetEmbedder) -> None:
    """What is inside a box gives the descriptor it would give if it were all there is."""
    pixels = photos.scene(2)
    height, width = pixels.shape[:2]
    box = Box(width // 4, height // 4, width // 2, height // 2)
    inside = pixels[box.y : box.y + box.height, box.x : box.x + box.width]
    np.testing.assert_array_equal(real.embed(Picture(pixels, box)), real.embed(inside))
    assert content_hash(pixels) != content_hash(pixels, box) != content_hash(inside)


def test_a_box_in_a_large_jpeg_lies_where_it_should(real: MobileNetEmbedder) -> None:
    """A JPEG that is shrunk while decoding gives a box the same place as the whole pixels do."""
    pixels = np.zeros((1600, 1600, 3), np.uint8)
    pixels[400:1200, 800:1400] = malformed.noise(100, 75).repeat(8, axis=0).repeat(8, axis=1)
    box = Box(800, 400, 600, 800)
    data = malformed.encode(".jpg", pixels)
    cosine = real.embed(Picture(data, box)) @ real.embed(Picture(pixels, box))
    assert cosine > 0.99


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "0,0,0,5", "-1,0,5,5", "1.5,0,5,5", ""])
def test_what_is_no_box(text: str) -> None:
    """A box is four whole numbers with an inside."""
    with pytest.raises(InvalidInput):
        Box.parse(text)


def test_the_fingerprint_is_of_all_that_decides(real: MobileNetEmbedder) -> None:
    """Another backbone, view, rule or form is another fingerprint; JSON and back is the same."""
    own = real.specification
    fields = own.__dict__ if hasattr(own, "__dict__") else {}
    others = [
        Specification(**{**fields, name: value})
        for name, value in {
            "backbone": "0" * 64, "input_size": 7, "width": 7, "views": (0.5,),
            "decode": "x", "resize": "x", "stored": "x", "layers": "x", "projection": "x",
        }.items()
    ]  # fmt: skip
    prints = {own.fingerprint, *(other.fingerprint for other in others)}
    assert len(prints) == 1 + len(others) == 1 + len(fields)
    assert Specification.from_json(own.to_json()) == own


def test_an_embedder_is_loaded_only_as_it_was(real: MobileNetEmbedder, tiny_model: Model) -> None:
    """A specification that this version cannot meet is refused, and both are shown."""
    load(tiny_model, real.specification).close()
    changed = Specification(**{**real.specification.__dict__, "resize": "some other way"})
    with pytest.raises(BackboneError, match="some other way"):
        load(tiny_model, changed)


@pytest.mark.parametrize("views", ["best", (), (1.5,), (-0.1,)])
def test_senseless_views_are_refused(tiny_model: Model, views: str | tuple[float, ...]) -> None:
    """Views are a preset's name or shares in [0, 1], at least one."""
    with pytest.raises(InvalidInput):
        MobileNetEmbedder(tiny_model, views)
