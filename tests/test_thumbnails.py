"""Small copies of pictures: kept where the owner wants it, and found by whoever shows them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from doubles import FakeEmbedder
from inside import keep
from numpy.typing import NDArray

from catalog import Box, Catalog, InvalidInput, NotFound, Picture
from catalog.embedder import content_hash
from catalog.reports import contact_sheet
from catalog.store import thumbnails


def photo(number: int, height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    """A picture of its own: uint8 (H, W, 3)."""
    grid = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC))


def png(number: int) -> bytes:
    """The same as a file."""
    return bytes(cv2.imencode(".png", photo(number)[..., ::-1])[1])


def size_of(jpeg: bytes | None) -> tuple[int, int]:
    """Width and height of a JPEG."""
    assert jpeg is not None
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return pixels.shape[1], pixels.shape[0]


def likeness(jpeg: bytes | None, picture: NDArray[np.uint8]) -> float:
    """The mean difference of a copy and the picture that it is to be a copy of, in [0, 255]."""
    assert jpeg is not None
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    small = cv2.resize(picture, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_AREA)
    return float(np.abs(small.astype(int) - pixels.astype(int)).mean())


@pytest.fixture
def shop(tmp_path: Path) -> Catalog:
    """A catalogue that keeps small copies."""
    return Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder(), thumbnails=True)


@pytest.fixture
def plain(tmp_path: Path) -> Catalog:
    """One that does not."""
    return Catalog.init(tmp_path / "plain.catalog", embedder=FakeEmbedder())


def rows(path: Path) -> int:
    """How many copies a file has."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM thumbnail").fetchone()[0])


def ids_kept(catalog: Catalog) -> list[int]:
    """The ids of photos that were kept as unknown."""
    with closing(sqlite3.connect(catalog.path)) as connection:
        return [item for (item,) in connection.execute("SELECT item FROM kept")]


def keep_copies(catalog: Catalog, *pictures: NDArray[np.uint8]) -> None:
    """Store small copies of pictures, as embedding them does."""
    copies = {content_hash(one): catalog._thumbnails(Picture(one)) for one in pictures}
    with catalog._store.writing() as tx:
        thumbnails.keep(tx, {of: jpeg for of, jpeg in copies.items() if jpeg is not None})


class TestKept:
    """Pictures that were sent, or are gone, are shown where copies are kept."""

    @pytest.mark.parametrize("sent", [photo, png])
    def test_what_was_only_sent(self, shop: Catalog, plain: Catalog, sent: type) -> None:
        """As pixels or as a file; without copies there is nothing to show."""
        for catalog in (shop, plain):
            catalog.add_class("mug", [sent(1), sent(2)])
        for item, number in zip(shop.items(), sorted((1, 2)), strict=True):
            copy = shop.thumbnail(item.id)
            assert size_of(copy) == (224, 168)
            assert min(likeness(copy, photo(n)) for n in (1, 2)) < 4
            assert likeness(copy, photo(number + 10)) > 20
        assert [plain.thumbnail(item.id) for item in plain.items()] == [None, None]
        assert (shop.info().thumbnails, plain.info().thumbnails) == (True, False)

    def test_a_file_that_is_gone(self, shop: Catalog, tmp_path: Path) -> None:
        """A larger copy is made of the file while that is there."""
        file = tmp_path / "mug.png"
        file.write_bytes(png(1))
        shop.add_class("mug", [file])
        (item,) = shop.items()
        kept = shop.thumbnail(item.id)
        assert size_of(shop.thumbnail(item.id, 300)) == (300, 225)  # of the file
        file.unlink()
        assert shop.thumbnail(item.id) == kept
        assert shop.thumbnail(item.id, 300) == kept  # as large as there is one

    def test_a_box_is_drawn(self, shop: Catalog) -> None:
        """As on contact sheets."""
        shop.add_class("mug", [Picture(photo(1), Box(100, 100, 100, 100))])
        (item,) = shop.items()
        assert 1 < likeness(shop.thumbnail(item.id), photo(1)) < 20

    def test_through_import_feedback_and_unknown(self, shop: Catalog, tmp_path: Path) -> None:
        """Whichever way pictures come in."""
        for name in ("mug", "jug"):
            (tmp_path / "tree" / name).mkdir(parents=True)
            (tmp_path / "tree" / name / "1.png").write_bytes(png(len(name)))
        shop.import_(tmp_path / "tree")
        shop.feedback(png(7), "mug")
        keep(shop, [photo(9)])
        (kept,) = ids_kept(shop)
        assert all(shop.thumbnail(item.id) for item in shop.items())
        assert likeness(shop.thumbnail(kept), photo(9)) < 4

    def test_it_stays_while_the_item_comes_and_goes(self, shop: Catalog) -> None:
        """As its descriptor does."""
        shop.add_class("mug", [photo(1)])
        (item,) = shop.items()
        before = shop.thumbnail(item.id)
        shop.undo()
        with pytest.raises(NotFound):
            shop.thumbnail(item.id)
        shop.add_class("cup", [photo(1)])
        (again,) = shop.items()
        assert shop.thumbnail(again.id) == before

    def test_it_is_forgotten_with_its_picture(self, shop: Catalog) -> None:
        """The file has none of its bytes."""
        shop.add_class("mug", [photo(1), photo(2)])
        copies = [shop.thumbnail(item.id) for item in shop.items()]
        shop.forget([shop.items()[0].id])
        assert rows(shop.path) == 1
        content = shop.path.read_bytes()
        assert copies[0] is not None
        assert copies[0][-300:-200] not in content
        shop.close()

    def test_it_is_merged(self, shop: Catalog, plain: Catalog, tmp_path: Path) -> None:
        """Where both catalogues keep copies."""
        with Catalog.init(
            tmp_path / "branch.catalog", embedder=FakeEmbedder(), thumbnails=True
        ) as branch:
            branch.add_class("mug", [photo(1)])
            copy = branch.thumbnail(1)
            path = branch.path
        shop.merge(path)
        plain.merge(path)
        assert shop.thumbnail(1) == copy is not None
        assert plain.thumbnail(1) is None


class TestFound:
    """What is shown is what was learnt, or nothing."""

    def test_without_copies_it_is_made_of_the_file(self, plain: Catalog, tmp_path: Path) -> None:
        """And of no other picture that lies there by now."""
        file = tmp_path / "mug.png"
        file.write_bytes(png(1))
        plain.add_class("mug", [file])
        assert likeness(plain.thumbnail(1, 96), photo(1)) < 6
        file.write_bytes(png(2))
        assert plain.thumbnail(1) is None

    def test_what_there_is_not(self, shop: Catalog) -> None:
        """No such item, or no such size."""
        for item in (1, 0, -1, 2**80):
            with pytest.raises(NotFound):
                shop.thumbnail(item)
        with pytest.raises(InvalidInput):
            shop.thumbnail(1, 0)

    def test_a_damaged_one_is_no_answer(self, shop: Catalog, plain: Catalog) -> None:
        """It is not shown, keeps nobody from merging, is found by `verify`, and made anew."""
        shop.add_class("mug", [photo(1)])
        with closing(sqlite3.connect(shop.path)) as connection:
            connection.execute("UPDATE thumbnail SET jpeg = X'FFD8'")
            connection.commit()
        assert shop.thumbnail(1) is None
        assert any("thumbnail" in problem for problem in shop.verify().problems)
        plain.merge(shop.path)
        assert len(plain) == 1
        keep_copies(shop, photo(1))
        assert likeness(shop.thumbnail(1), photo(1)) < 4
        assert shop.verify().sound

    def test_a_contact_sheet_shows_copies(self, shop: Catalog) -> None:
        """Where it is given the catalogue to ask."""
        shop.add_class("mug", [photo(1)])
        answers = [shop.nearest(photo(1), 1)]
        without = contact_sheet.nearest_sheet([photo(1)], answers)
        sheet = contact_sheet.nearest_sheet([photo(1)], answers, copy_of=shop.thumbnail)
        assert sheet.count("data:image/jpeg") == without.count("data:image/jpeg") + 1
