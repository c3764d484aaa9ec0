"""Where pictures were found: a place has one owner, and is forgotten when it leads nowhere."""

from __future__ import annotations

import base64
from pathlib import Path

import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.descriptors import Conflict
from catalog.embedder import as_picture, thumbnail
from catalog.reports import contact_sheet


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A catalogue of two classes, whose pictures lie in folders."""
    tree = photos.draw_tree(tmp_path / "photos", ["cup", "jug"], 3)
    made = Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder())
    made.import_(tree)
    return made


def places_of(catalog: Catalog) -> dict[int, tuple[str, ...]]:
    """The places of every item, by id."""
    return {item.id: item.sources for item in catalog.items()}


def shown(sheet: str, picture: Path | bytes) -> bool:
    """Whether a contact sheet shows a picture."""
    return base64.b64encode(thumbnail(as_picture(picture))).decode() in sheet


class TestMoved:
    """The folder of all pictures goes elsewhere."""

    def test_a_second_import_finds_them(self, catalog: Catalog, tmp_path: Path) -> None:
        """What is shown lies at the new place, though the old one is still recorded."""
        (tmp_path / "photos").rename(tmp_path / "elsewhere")
        done = catalog.import_(tmp_path / "elsewhere")
        assert sum(one.known for one in done.classes) == 6
        new = tmp_path / "elsewhere" / "cup" / "000.jpg"
        (answer,) = catalog.nearest_many([new], 1)
        sheet = contact_sheet.nearest_sheet([new], [answer])
        assert sheet.count(base64.b64encode(thumbnail(as_picture(new))).decode()) == 2
        assert [len(own) for own in places_of(catalog).values()] == [2] * 6

    def test_old_places_are_forgotten(self, catalog: Catalog, tmp_path: Path) -> None:
        """Every item keeps its new place, and what is learnt is what it was."""
        (tmp_path / "photos").rename(tmp_path / "elsewhere")
        before = catalog.info()
        assert len(catalog.verify().gone) == 6
        with pytest.raises(Conflict, match=r"at 6 of 6 places .* a disk not mounted"):
            catalog.forget_places()
        catalog.import_(tmp_path / "elsewhere")
        would = catalog.forget_places(dry_run=True)
        assert len(places_of(catalog)[1]) == 2
        done = catalog.forget_places()
        assert done == would
        assert (done.checked, len(done.gone), done.another, done.items) == (12, 6, (), 0)
        assert all(str(tmp_path / "elsewhere") in own for (own,) in places_of(catalog).values())
        assert catalog.info().learning_state == before.learning_state
        assert catalog.verify().gone == ()
        assert catalog.forget_places().gone == ()

    def test_all_of_them_if_it_is_meant(self, catalog: Catalog, tmp_path: Path) -> None:
        """Items stay without a place."""
        (tmp_path / "photos").rename(tmp_path / "elsewhere")
        done = catalog.forget_places(force=True)
        assert (len(done.gone), done.items) == (6, 6)
        assert set(places_of(catalog).values()) == {()}
        assert catalog.verify().sound

    def test_places_of_removed_items_stay(self, catalog: Catalog, tmp_path: Path) -> None:
        """They are not looked at, so that undo gives an item back with its place."""
        before = places_of(catalog)
        catalog.remove([1])
        (gone,) = before[1]
        Path(gone).unlink()
        assert catalog.verify().gone == ()
        assert catalog.forget_places().checked == 5
        catalog.undo()
        assert places_of(catalog) == before


class TestReplaced:
    """A file is replaced in place."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """A file whose picture was learnt."""
        return tmp_path / "photos" / "cup" / "000.jpg"

    def test_another_picture_is_not_shown(self, catalog: Catalog, place: Path) -> None:
        """What is shown is what was learnt, or nothing."""
        learnt = place.read_bytes()
        place.write_bytes(photos.photo(7))
        (answer,) = catalog.nearest_many([learnt], 1)
        sheet = contact_sheet.nearest_sheet([learnt], [answer])
        assert answer[0].score > 1 - 1e-6  # type: ignore[union-attr]
        assert not shown(sheet, place)

    def test_the_place_belongs_to_the_new_picture(self, catalog: Catalog, place: Path) -> None:
        """Imported again, the old item is named, and has no place; undo gives it back."""
        before = places_of(catalog)
        (owner,) = (item for item, own in before.items() if own == (str(place),))
        place.write_bytes(photos.photo(7))
        done = catalog.import_(place.parent.parent)
        of = {one.label: one for one in done.classes}
        assert (of["cup"].added, of["cup"].replaced, of["jug"].replaced) == (1, (owner,), ())
        found = places_of(catalog)
        assert found[owner] == ()
        assert [item for item, own in found.items() if own == (str(place),)] == [max(found)]
        catalog.undo()
        assert places_of(catalog) == before

    def test_and_back(self, catalog: Catalog, place: Path) -> None:
        """When the first picture lies there again, the place is its own again."""
        before, learnt = places_of(catalog), place.read_bytes()
        place.write_bytes(photos.photo(7))
        catalog.import_(place.parent.parent)
        place.write_bytes(learnt)
        catalog.import_(place.parent.parent)
        found = places_of(catalog)
        assert {item: found[item] for item in before} == before
        assert found[max(found)] == ()

    def test_it_is_forgotten(self, catalog: Catalog, place: Path) -> None:
        """A place with another picture is forgotten; one that was only touched is not."""
        place.write_bytes(photos.photo(7))
        other = place.with_name("001.jpg")
        content = other.read_bytes()
        other.unlink()
        other.write_bytes(content)
        done = catalog.forget_places()
        assert (done.gone, done.another, done.items) == ((), (str(place),), 1)

    def test_items_agree_with_their_places(self, catalog: Catalog, place: Path) -> None:
        """The list of all items says of each what is said of it alone."""
        place.write_bytes(photos.photo(7))
        catalog.import_(place.parent.parent)
        catalog.remove([2])
        catalog.add("jug", [place.with_name("001.jpg")])
        catalog.undo()
        catalog.undo()
        one_by_one = {item.id: item.sources for item in catalog.items("cup")}
        alone = {
            near.item: near.sources for near in catalog.nearest(place, 20) if near.label == "cup"
        }
        assert one_by_one == alone
