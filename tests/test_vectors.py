"""Descriptors asked about as pictures are, and the many shapes in which a picture may come."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from PIL import Image

from catalog import Box, Catalog, Picture, PictureError
from catalog.descriptors import InvalidInput

WIDTH = 64


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """Three classes of three photos."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder(WIDTH)) as made:
        for thing, label in enumerate(("cup", "jug", "pan")):
            made.add_class(label, photos.shots(thing, 3))
        yield made


class TestDescriptors:
    """What `embed` gives can be asked about."""

    def test_a_descriptor_is_answered_as_its_picture(self, shop: Catalog) -> None:
        """One or many, mixed with pictures, in the order in which they came."""
        asked = [photos.photo(thing, 8) for thing in range(3)]
        descriptors = [shop.embed(picture) for picture in asked]
        assert all(d.dtype == np.float32 and d.shape == (WIDTH,) for d in descriptors)
        for picture, descriptor in zip(asked, descriptors, strict=True):
            assert shop.nearest(descriptor) == shop.nearest(picture)
            assert shop.predict(descriptor) == shop.predict(picture)
        expected = shop.predict_many(asked)
        assert shop.predict_many(np.stack(descriptors)) == expected
        assert shop.predict_many([descriptors[0], asked[1], descriptors[2]]) == expected
        assert shop.nearest_many([asked[0], descriptors[1]]) == shop.nearest_many(asked[:2])

    def test_refusals_keep_their_places(self, shop: Catalog) -> None:
        """A picture that is refused between two descriptors stands between two answers."""
        one = shop.embed(photos.photo(0, 8))
        first, second, third = shop.nearest_many([one, b"no picture", one])
        assert first == third
        assert isinstance(first, list)
        assert [near.item for near in first] == [near.item for near in shop.nearest(one)]
        assert isinstance(second, PictureError)

    def test_length_does_not_matter(self, shop: Catalog) -> None:
        """A descriptor of another length than 1, or in doubles, is brought to length 1."""
        one = shop.embed(photos.photo(0, 8))
        expected = [near.score for near in shop.nearest(one)]
        found = [near.score for near in shop.nearest(7.5 * one.astype(np.float64))]
        assert found == pytest.approx(expected, abs=1e-6)

    def test_no_network_is_loaded(self, shop: Catalog) -> None:
        """Who has only descriptors needs no network on this machine."""
        one = shop.embed(photos.photo(0, 8))
        expected = shop.nearest(one), shop.predict(one)
        with Catalog.open(shop.path) as without:  # its network is nowhere
            assert (without.nearest(one), without.predict(one)) == expected
            assert without.nearest_many([]) == without.predict_many([]) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros(WIDTH, np.float32),
            np.full(WIDTH, np.nan, np.float32),
            np.full(WIDTH, np.inf),
            np.ones(WIDTH - 1, np.float32),
            np.ones(0, np.float32),
            np.ones(WIDTH, np.int64),
        ],
        ids=["zero", "nan", "inf", "short", "empty", "integers"],
    )
    def test_what_is_none(self, shop: Catalog, wrong: Any) -> None:
        """What cannot be a descriptor of this catalogue is refused."""
        for call in (shop.nearest, shop.predict):
            with pytest.raises(InvalidInput, match="descriptor"):
                call(wrong)

    def test_a_descriptor_cannot_be_kept(self, shop: Catalog) -> None:
        """To be kept as `unknown`, there must be a picture to know it by."""
        with pytest.raises(InvalidInput, match="without its picture"):
            shop.predict(shop.embed(photos.photo(0, 8)), keep_unknown=True)


class TestShapes:
    """A picture comes as programs have it."""

    def test_the_same_picture(self, shop: Catalog, tmp_path: Path) -> None:
        """Bytes of any kind, open files and PIL images are what they hold."""
        content = photos.photo(0, 8, ".png")
        file = tmp_path / "photo.png"
        file.write_bytes(content)
        expected = shop.nearest(content)
        pixels = np.asarray(Image.open(file).convert("RGB"))
        with file.open("rb") as still_open:
            given = [
                *(file, str(file), bytearray(content), memoryview(content), pixels),
                *(io.BytesIO(content), still_open, Image.open(file), Image.fromarray(pixels)),
            ]
            for one in given:
                assert shop.nearest(one) == expected, type(one)  # type: ignore[arg-type]

    def test_it_is_added_so(self, shop: Catalog, tmp_path: Path) -> None:
        """What can be asked about can be added, and is the same picture as its bytes."""
        content = photos.photo(5, 1)
        assert shop.add("cup", [io.BytesIO(content)]).added == 1  # type: ignore[list-item]
        assert shop.add("cup", [bytearray(content), content]).known == 2  # type: ignore[list-item]

    def test_a_pil_image_that_lies_on_its_side(self, shop: Catalog) -> None:
        """The orientation that a camera noted is applied, as it is to the file."""
        exif = Image.Exif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        Image.open(io.BytesIO(photos.photo(0, 8, ".png"))).save(buffer, "JPEG", exif=exif)
        lying = Image.open(io.BytesIO(buffer.getvalue()))
        np.testing.assert_allclose(
            shop.embed(lying),  # type: ignore[arg-type]
            shop.embed(buffer.getvalue()),
            atol=0.05,
        )

    @pytest.mark.parametrize(
        "wrong",
        [7, None, 3.5, object(), io.StringIO("text")],
        ids=["int", "None", "float", "object", "text"],
    )
    def test_what_is_no_picture(self, shop: Catalog, wrong: Any) -> None:
        """Anything else is refused, and the message says what is taken."""
        for call in (shop.nearest, shop.predict, shop.embed):
            with pytest.raises(InvalidInput, match="picture"):
                call(wrong)

    @pytest.mark.parametrize(
        "wrong", [["a.jpg"], ("a.jpg", "b.jpg"), {"a.jpg"}], ids=["list", "tuple", "set"]
    )
    def test_several_where_one_is_expected(self, shop: Catalog, wrong: Any) -> None:
        """A list is not one picture; the message names the calls that take one."""
        for call in (shop.nearest, shop.predict, shop.embed):
            with pytest.raises(InvalidInput, match="_many"):
                call(wrong)

    @pytest.mark.parametrize(
        "lone",
        ["a.jpg", b"x", bytearray(b"x"), Path("a.jpg"), Picture("a.jpg"), photos.scene(0)],
        ids=lambda one: type(one).__name__,
    )
    def test_one_where_several_are_expected(self, shop: Catalog, lone: Any) -> None:
        """One picture is not a list of its letters, bytes or lines."""
        for call in (shop.nearest_many, shop.predict_many, shop.embed_many):
            with pytest.raises(InvalidInput, match="list"):
                call(lone)
        with pytest.raises(InvalidInput, match="list"):
            shop.nearest_many(shop.embed(photos.photo(0)))
        with pytest.raises(InvalidInput, match="list"):
            shop.predict_many(7)  # type: ignore[arg-type]


class TestBoxes:
    """Boxes come from detectors, which speak in floats."""

    def test_whole_floats(self) -> None:
        """A float that is whole is the whole number."""
        box = Box(1.0, np.float32(2), np.int64(3), 4)  # type: ignore[arg-type]
        assert (box, str(box)) == (Box(1, 2, 3, 4), "1,2,3,4")
        assert Picture("a.jpg", (1, 2, 3, 4)).box == box  # type: ignore[arg-type]

    @pytest.mark.parametrize("wrong", [1.5, "1", None, float("nan"), float("inf"), 1j])
    def test_others(self, wrong: Any) -> None:
        """What is not a whole number of pixels is refused, and not cut."""
        with pytest.raises(InvalidInput, match="whole pixels"):
            Box(0, 0, wrong, 5)

    @pytest.mark.parametrize("wrong", [(1, 2, 3), 7, "1,2,3,4"])
    def test_no_boxes(self, wrong: Any) -> None:
        """A box has four numbers."""
        with pytest.raises(InvalidInput, match="box"):
            Picture("a.jpg", wrong)


def test_ids_of_other_libraries(shop: Catalog) -> None:
    """An id that NumPy gives is the id; what is no integer is refused by name."""
    numbers = np.array([item.id for item in shop.items()])
    first = numbers[0]
    assert shop.item(first).id == first
    assert shop.nearest(item=first) == shop.nearest(item=int(first))
    assert shop.thumbnail(first) == shop.thumbnail(int(first))
    label = next(row.label for row in shop.labels() if row.label != shop.item(first).label)
    assert shop.move(numbers[:1], label).moved == 1
    assert shop.remove(numbers[:1].astype(np.uint8)).items == 1
    assert shop.forget(numbers[1:2]).pictures == 1
    for wrong in ([1.0], ["1"], "12", [None]):
        for call in (shop.remove, shop.forget, partial(shop.move, label=label)):
            with pytest.raises(InvalidInput, match="is an integer, not"):
                call(wrong)


def test_what_a_catalogue_is(shop: Catalog, tmp_path: Path) -> None:
    """It has a length, is true even if empty, and says where it is, open or closed."""
    assert len(shop) == 9
    with Catalog.init(tmp_path / "empty.catalog", embedder=FakeEmbedder()) as empty:
        assert len(empty) == 0
        assert empty
    assert repr(empty) == f"Catalog({str(tmp_path / 'empty.catalog')!r})"
    with pytest.raises(InvalidInput, match="closed"):
        len(empty)
