"""Items a page at a time, one by its id, and the name of a state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import photos
import pytest
from cups_and_jugs import fill
from doubles import FakeEmbedder
from hypothesis import given
from hypothesis import strategies as st

from catalog import Catalog, InvalidInput, NotFound


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """A shop whose ids have gaps."""
    with fill(tmp_path_factory.mktemp("shop") / "shop.catalog") as made:
        made.remove([2, 5])
        yield made


@given(limit=st.integers(1, 9), label=st.sampled_from([None, "cup", "jug"]))
def test_pages_come_to_the_whole(shop: Catalog, limit: int, label: str | None) -> None:
    """However long the pages are, and of whichever class."""
    found, after = [], 0
    while page := shop.items(label, after=after, limit=limit):
        assert len(page) <= limit
        found += page
        after = page[-1].id
    assert found == shop.items(label)
    assert found


def test_edges(shop: Catalog) -> None:
    """Ends of the numbers that there are, and beyond."""
    everything = shop.items()
    assert shop.items(after=-(2**80), limit=2**80) == everything
    assert shop.items(after=2**80) == []
    for limit in (0, -1):
        with pytest.raises(InvalidInput, match="at least 1"):
            shop.items(limit=limit)


def test_one_item(shop: Catalog) -> None:
    """It is the one of the list; one that was removed, or never was, is not found."""
    assert [shop.item(one.id) for one in shop.items()] == shop.items()
    for number in (2, 0, -1, 2**80):
        with pytest.raises(NotFound, match=f"no item {number}"):
            shop.item(number)


def test_the_name_of_a_state(tmp_path: Path) -> None:
    """It changes with each change, and not with a question; every process has the same."""
    path = tmp_path / "shop.catalog"
    with fill(path) as shop, Catalog.open(path, embedder=FakeEmbedder()) as other:
        states = [shop.state]
        shop.predict(photos.photo(0, 40))
        assert shop.state == other.state == states[0]
        other.rename_class("cup", "mug")
        states.append(shop.state)
        shop.undo()
        states.append(shop.state)
        assert len(set(states)) == 3
        assert other.state == states[-1]
        assert states[-1].split("-")[0] == str(shop.history()[-1].id)


def test_prepared(tmp_path: Path) -> None:
    """What answers rest on is at hand, also before anything was asked."""
    path = tmp_path / "shop.catalog"
    fill(path).close()
    with Catalog.open(path, embedder=FakeEmbedder()) as shop:
        assert shop._keeper._latest is None
        shop.prepare()
        latest = shop._keeper._latest
        assert latest is not None
        shop.predict(photos.photo(0, 40))
        assert shop._keeper._latest is latest
    with Catalog.init(tmp_path / "empty.catalog", embedder=FakeEmbedder()) as empty:
        empty.prepare()
