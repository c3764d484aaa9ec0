"""A catalogue kept in step with a list."""

from __future__ import annotations

from pathlib import Path

import photos
import pytest
from doubles import FakeEmbedder
from folders import stocked

from catalog import Catalog


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three classes of three pictures."""
    return stocked(tmp_path / "photos")


class TestManifest:
    """A list that changes."""

    def test_another_class(self, tmp_path: Path, tree: Path) -> None:
        """The item of an unchanged file goes where the list says now, without being read."""
        listed = tmp_path / "list.csv"
        listed.write_text("path,label\nphotos/cup/0.png,cup\nphotos/jug/0.png,jug\n")
        with Catalog.init(tmp_path / "listed.catalog", embedder=FakeEmbedder()) as shop:
            shop.sync(listed)
            listed.write_text("path,label\nphotos/cup/0.png,mug\nphotos/jug/0.png,jug\n")
            assert len(shop.sync(listed).relabelled) == 1
            assert [row.label for row in shop.labels()] == ["jug", "mug"]
            shop.move([1], "jug")
            assert len(shop.sync(listed).by_hand) == 1

    def test_removed_by_hand_before_that(self, tmp_path: Path, tree: Path) -> None:
        """One that was removed comes back where the list says another class, unread as it is."""
        listed = tmp_path / "list.csv"
        listed.write_text("path,label\nphotos/cup/0.png,cup\nphotos/jug/0.png,jug\n")
        with Catalog.init(tmp_path / "listed.catalog", embedder=FakeEmbedder()) as shop:
            shop.sync(listed)
            shop.remove([1])
            assert len(shop.sync(listed).by_hand) == 1
            listed.write_text("path,label\nphotos/cup/0.png,mug\nphotos/jug/0.png,jug\n")
            done = shop.sync(listed)
            assert [one.place for one in done.new] == [str(tree / "cup" / "0.png")]
            assert [row.label for row in shop.labels()] == ["jug", "mug"]

    def test_only_its_own(self, tmp_path: Path, tree: Path) -> None:
        """What another list, or a folder, brought is not gone from this one."""
        one, other = tmp_path / "one.csv", tmp_path / "other.csv"
        one.write_text("path,label\nphotos/cup/0.png,cup\nphotos/cup/1.png,cup\n")
        other.write_text("path,label\nphotos/jug/0.png,jug\n")
        with Catalog.init(tmp_path / "listed.catalog", embedder=FakeEmbedder()) as shop:
            shop.sync(one)
            shop.sync(other)
            assert not shop.sync(one).gone
            one.write_text("path,label\nphotos/cup/0.png,cup\n")
            assert len(shop.sync(one, delete=True, most_gone=0.5).gone) == 1
            assert len(shop) == 2

    def test_a_picture_listed_twice(self, tmp_path: Path) -> None:
        """A manifest may name a picture in two rows; the last one counts, and nothing fails."""
        for number in range(4):
            (tmp_path / f"{number}.jpg").write_bytes(photos.photo(number // 2, number))
        rows = ("0.jpg,cup", "1.jpg,cup", "0.jpg,Cup", "2.jpg,jug", "3.jpg,jug", "2.jpg,jug")
        listing = tmp_path / "list.csv"
        listing.write_text("path,label\n" + "\n".join(rows) + "\n")
        with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as shop:
            shop.add_class("cup", [tmp_path / "0.jpg", tmp_path / "1.jpg"])
            shop.add_class("jug", [tmp_path / "2.jpg", tmp_path / "3.jpg"])
            for _ in range(2):
                assert not shop.sync(listing).failures
            assert [(row.label, row.items) for row in shop.labels()] == [("cup", 2), ("jug", 2)]
            assert shop.verify().sound
