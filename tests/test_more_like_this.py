"""Items like an item: neither its file nor the network is needed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.descriptors import Conflict, InvalidInput, NotFound
from catalog.reports import contact_sheet


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue of three things, whose pictures lie in folders."""
    tree = photos.draw_tree(tmp_path / "photos", ["cup", "jug", "pan"], 3)
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        made.import_(tree)
    return tmp_path / "shop.catalog"


def test_it_is_what_its_picture_has(path: Path) -> None:
    """The same items with the same scores, without itself; no picture is embedded."""
    embedder = FakeEmbedder()
    with Catalog.open(path, embedder=embedder) as shop:
        for item in shop.items():
            by_picture = shop.nearest(item.sources[0], 9)
            embedder.embedded = 0
            found = shop.nearest(item=item.id, k=8)
            assert embedder.embedded == 0
            assert [near.item for near in found] == [
                near.item for near in by_picture if near.item != item.id
            ]
            scores = {near.item: near.score for near in by_picture}
            assert all(near.score == pytest.approx(scores[near.item], abs=1e-3) for near in found)
            assert len(shop.nearest(item=item.id, k=2)) == 2


def test_what_cannot_be_asked(path: Path) -> None:
    """No such item, one that was removed or compacted, both or neither, and no neighbours."""
    with Catalog.open(path, embedder=FakeEmbedder()) as shop:
        shop.remove([1])
        for item in (0, 1, 99, 2**70):
            with pytest.raises(NotFound, match=f"no item {item}"):
                shop.nearest(item=item)
        with pytest.raises(InvalidInput, match="either a picture or an item"):
            shop.nearest()
        with pytest.raises(InvalidInput, match="either a picture or an item"):
            shop.nearest(photos.photo(1), item=2)
        with pytest.raises(InvalidInput):
            shop.nearest(item=2, k=0)
        shop.compact(["jug"])
        with pytest.raises(Conflict, match="item 4 was dropped; ask with its picture"):
            shop.nearest(item=4)


def test_the_sheet_shows_what_was_learnt(path: Path) -> None:
    """The item's own picture stands above its neighbours, where it still lies."""
    with Catalog.open(path, embedder=FakeEmbedder()) as shop:
        item = shop.items()[0]
        page = contact_sheet.nearest_sheet([item], [shop.nearest(item=item.id, k=2)])
        assert page.count("data:image/jpeg") == 3
        assert f"item {item.id} of cup" in page
        with contextlib.suppress(FileNotFoundError):
            Path(item.sources[0]).unlink()
        page = contact_sheet.nearest_sheet([item], [shop.nearest(item=item.id, k=2)])
        assert page.count("data:image/jpeg") == 2
