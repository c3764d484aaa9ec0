"""Two embedders of a catalogue compared, before one takes the other's place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import photos
import pytest
from cups_and_jugs import THINGS
from doubles import FakeEmbedder
from inside import keep
from two_embedders import NEW, drawn, made, state

from catalog import Catalog, InvalidInput, NotFound, read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three classes with four photos each."""
    return drawn(tmp_path / "tree")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue is to be."""
    return tmp_path / "shop.catalog"


@pytest.fixture
def shop(folder: Path, path: Path) -> Iterator[Catalog]:
    """A catalogue of it."""
    with made(path, folder) as catalog:
        yield catalog


class TestComparing:
    """What changes, before it does."""

    def test_sides_and_flips(self, shop: Catalog, folder: Path, tmp_path: Path) -> None:
        """Both are judged on the same occasions, and what they answer differently is listed."""
        with pytest.raises(NotFound, match="one embedder alone"):
            shop.compare()
        shop.import_(
            [replace(e, group=str(at)) for at, e in enumerate(read_manifest(folder).entries)]
        )
        blind = FakeEmbedder(width=2, seed=3)
        shop.reindex(embedder=blind)
        before = state(shop), shop.history()
        for thing, label in enumerate(THINGS):
            photos.draw(tmp_path / "asked" / label, thing, 6, first=40)
        found = shop.compare(tmp_path / "asked")
        assert (state(shop), shop.history()) == before
        assert (found.items, found.occasions, found.asked) == (12, 12, 18)
        assert found.before.right is not None
        assert found.after.right is not None
        assert found.before.right >= found.after.right
        wrong = sum(flip.is_right(flip.before) is False for flip in found.flips)
        assert found.gained <= wrong
        for flip in found.flips:
            says = shop.predict(flip.place or "")
            assert (flip.before.label, flip.before.verdict) == (says.label, says.verdict)
        shop.promote()
        for flip in found.flips:
            says = shop.predict(flip.place or "")
            assert (flip.after.label, flip.after.verdict) == (says.label, says.verdict)

    def test_items_are_not_asked_about(self, shop: Catalog, folder: Path) -> None:
        """A picture that is an item would find itself."""
        shop.reindex(embedder=NEW)
        found = shop.compare(folder)
        assert (found.asked, found.in_catalogue) == (0, 12)

    def test_kept_photos(self, shop: Catalog, tmp_path: Path) -> None:
        """Without other pictures those that were kept are asked about."""
        keep(shop, photos.draw(tmp_path / "strange", 9, 3))
        shop.reindex(embedder=NEW)
        assert shop.compare().asked == 3

    def test_a_wrong_precision(self, shop: Catalog) -> None:
        """A share is a share."""
        with pytest.raises(InvalidInput):
            shop.compare(precision=2)
