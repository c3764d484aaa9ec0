"""Names as users give them: refused, another spelling of a class, or merely alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog, Entry, Picture
from catalog.descriptors import (
    InvalidLabel,
    LabelConflict,
    NotFound,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue of two classes, a cup and a jug, four items each."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        made.add_class("cup", photos.shots(0, 4))
        made.add_class("jug", photos.shots(1, 4))
        yield made


class TestNames:
    """Names of classes that cannot be, or that are there."""

    @pytest.mark.parametrize("name", ["", " ", "\t\n", "a\0b", "\x1b[31m", "x" * 201, "\ud800"])
    def test_no_name(self, catalog: Catalog, name: str) -> None:
        """A name that is empty, too long or cannot be shown is invalid, for every call."""
        before = catalog.info()
        calls: list[Callable[[], object]] = [
            lambda: catalog.add_class(name, [photos.photo(5)]),
            lambda: catalog.add(name, [photos.photo(5)]),
            lambda: catalog.items(name),
            lambda: catalog.remove_class(name),
        ]
        for call in calls:
            with pytest.raises(InvalidLabel):
                call()
        refused = catalog.import_([Entry(name, Picture(photos.photo(5)))]).refused_classes
        assert list(refused) == [name]
        assert catalog.info() == before

    @pytest.mark.parametrize("name", ["Cup", "CUP", " cup\n"])
    def test_another_spelling(self, catalog: Catalog, name: str) -> None:
        """A name that differs only by case or spacing is that class, which stays as it is spelt."""
        with pytest.raises(LabelConflict, match="a class 'cup' with 4 items"):
            catalog.add_class(name, [photos.photo(5)])
        assert catalog.add(name, [photos.photo(5)]).label == "cup"
        assert [row.label for row in catalog.labels()] == ["cup", "jug"]
        assert len(catalog.items(name)) == 5
        assert catalog.feedback(photos.photo(6), name).label == "cup"
        assert catalog.remove_class(name).classes == ("cup",)

    @pytest.mark.parametrize("name", ["cúp", "cu\u0301p", "\uff43up"])
    def test_a_name_that_looks_alike(self, catalog: Catalog, name: str) -> None:
        """A name that differs by accents or width is another class, and both are named."""
        with pytest.raises(NotFound):
            catalog.add(name, [photos.photo(5)])
        made = catalog.add_class(name, [photos.photo(5)])
        assert made.created
        assert made.alike == ("cup",)
        assert catalog.add(name, [photos.photo(6)]).alike == ()  # it was said
        assert len(catalog.labels()) == 3

    def test_spellings_in_an_import(self, catalog: Catalog) -> None:
        """One class has all its spellings, and says so; what merely looks alike is two."""
        names = ("Café", "Cafe", "tea", "CUP", "Tea", "jug")
        done = catalog.import_(
            [Entry(name, Picture(photos.photo(at + 5))) for at, name in enumerate(names)]
        )
        assert {one.label: one.alike for one in done.classes} == {
            "cup": (),
            "Cafe": (),
            "Café": ("Cafe",),
            "Tea": (),
            "jug": (),
        }
        assert done.respelt == {"CUP": "cup", "tea": "Tea"}
        assert not done.refused_classes

    def test_melon_coconut_and_pineapple(self, catalog: Catalog) -> None:
        """Three fruits whose names differ by an accent are three, and are evaluated as three."""
        fruits = ("Dưa", "Dừa", "Dứa")
        catalog.import_(
            [
                Entry(fruit, Picture(photos.photo(at + 5, shot)))
                for at, fruit in enumerate(fruits)
                for shot in range(3)
            ]
        )
        asked = [Entry(f, Picture(photos.photo(at + 5, 9))) for at, f in enumerate(fruits)]
        result = catalog.evaluate([*asked, Entry("Dua", Picture(photos.photo(5, 8)))])
        assert [row.label for row in result.per_class] == sorted(fruits)
        assert result.not_in_catalogue == {"Dua": 1}

    def test_space_is_no_difference(self, catalog: Catalog) -> None:
        """White space around and within a name is folded, so such a name is the same one."""
        catalog.add_class("blue  bowl\n", [photos.photo(5)])
        assert catalog.add(" blue bowl", [photos.photo(5, 1)]).label == "blue bowl"

    def test_a_class_that_exists(self, catalog: Catalog) -> None:
        """A class is made once; the second time its size is named, and what to do instead."""
        with pytest.raises(LabelConflict, match=r"a class 'cup' with 4 items; add\(\)"):
            catalog.add_class("cup", [photos.photo(5)])

    def test_a_class_that_does_not_exist(self, catalog: Catalog) -> None:
        """Pictures are not added to a class that is not there, be it by a slip of the keyboard."""
        for call in (
            lambda: catalog.add("cpu", [photos.photo(5)]),
            lambda: catalog.remove_class("cpu"),
            lambda: catalog.items("cpu"),
        ):
            with pytest.raises(NotFound, match="no class 'cpu'"):
                call()

    @pytest.mark.parametrize("item", [0, -1, 99, 10**30])
    def test_an_item_that_does_not_exist(self, catalog: Catalog, item: int) -> None:
        """If one of the items to remove is not there, none is removed."""
        with pytest.raises(NotFound, match=f"no item {item}"):
            catalog.remove([1, item])
        assert len(catalog.items()) == 8
