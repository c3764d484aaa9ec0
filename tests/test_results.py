"""What the Python calls return: frozen dataclasses, with paths for places on this computer."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import photos
import pytest
from cups_and_jugs import fill
from doubles import FakeEmbedder

import catalog
from catalog import Catalog, Entry, Listing, Picture, Refusal, read_manifest
from catalog.care import doctor
from catalog.cli.output import plain
from catalog.embedder import models

MUTABLE = {list, dict, set, bytearray}

ON_THIS_COMPUTER = {"path", "folder", "unread", "shared"}
"""Fields with files and folders of this computer."""

RECORDED = {"place", "places", "sources"}
"""Fields that say where pictures were found, in words of the time."""


def parts(annotation: Any) -> Iterator[type]:
    """The classes that an annotation is made of."""
    outer = get_origin(annotation) or annotation
    if isinstance(outer, type):
        yield outer
    for inner in get_args(annotation):
        yield from parts(inner)


def is_result(kind: type) -> bool:
    """Whether a class is of this project, and neither the catalogue nor an error."""
    is_own = kind.__module__.partition(".")[0] == "catalog"
    return is_own and kind is not Catalog and not issubclass(kind, Exception)


def field_types(kind: type) -> dict[str, set[type]]:
    """The classes that each field of a result is made of."""
    hints = get_type_hints(kind)
    return {field.name: set(parts(hints[field.name])) for field in fields(kind)}


def exported() -> list[type]:
    """Every exported class that is a result, or an input of that form."""
    found = [getattr(catalog, name) for name in catalog.__all__]
    return [kind for kind in found if isinstance(kind, type) and is_result(kind)]


def returned() -> list[type]:
    """Every class of this project that a call returns, by itself or in a list."""
    calls: list[Callable[..., Any]] = [
        call for name, call in inspect.getmembers(Catalog, callable) if not name.startswith("_")
    ]
    calls += [read_manifest, doctor.examine, models.models]
    found = {kind for call in calls for kind in parts(get_type_hints(call).get("return"))}
    return [kind for kind in found if is_result(kind)]


def results() -> list[type]:
    """Every class that callers are given, and every one that is in a field of theirs."""
    found: set[type] = set()
    wanted = {*exported(), *returned()}
    while wanted:
        found |= wanted
        inside = {kind for outer in wanted for own in field_types(outer).values() for kind in own}
        wanted = {kind for kind in inside if is_result(kind)} - found
    return sorted(found, key=lambda kind: kind.__name__)


def mutable_in(value: Any) -> Iterator[Any]:
    """The lists, sets and other values in a result that its owner could change by accident."""
    if is_dataclass(value):
        hints = field_types(type(value))
        for field in fields(value):
            part = getattr(value, field.name)
            if isinstance(part, dict) and Mapping in hints[field.name]:
                part = tuple(part.values())  # of which a type checker says that it is read-only
            yield from mutable_in(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from mutable_in(part)
    elif isinstance(value, tuple(MUTABLE)):
        yield value


def test_there_are_results() -> None:
    """What is looked at is what is exported, what calls return, and what is inside."""
    names = {kind.__name__ for kind in results()}
    assert {"Removed", "Share", "Entry", "Imported", "Info", "Mistake", "Model", "Check"} < names


@pytest.mark.parametrize("kind", results(), ids=lambda kind: kind.__name__)
class TestEveryResult:
    """Every class that callers are given is of one form."""

    def test_is_a_frozen_dataclass(self, kind: Any) -> None:
        """It is a dataclass that cannot be changed, and has no room for more."""
        assert is_dataclass(kind)
        assert kind.__dataclass_params__.frozen
        assert "__slots__" in vars(kind)

    def test_holds_nothing_mutable(self, kind: type) -> None:
        """Its fields are no lists, dictionaries or sets."""
        for name, types in field_types(kind).items():
            assert not types & MUTABLE, name

    def test_places_on_this_computer_are_paths(self, kind: type) -> None:
        """A file of this computer is a path, and where a picture was found is a text."""
        for name, types in field_types(kind).items():
            if name in ON_THIS_COMPUTER:
                assert (Path in types, str in types) == (True, False), name
            elif name in RECORDED:
                assert (Path in types, str in types) == (False, True), name
            else:
                assert Path not in types, name


def test_values_are_as_annotated(tmp_path: Path) -> None:
    """What calls return holds nothing mutable, and comes out of a process as it went in."""
    tree = photos.draw_tree(tmp_path / "tree", ["cup", "jug", "new"], 2, first=30)
    (tree / "cup" / "bad.jpg").write_bytes(b"no picture")
    listing = read_manifest(tree)
    entries = (
        *listing.entries,
        Entry("CUP", Picture(photos.photo(0, 40))),
        Entry(" ", Picture(photos.photo(0, 41))),
    )
    with fill(tmp_path / "shop.catalog") as shop, fill(tmp_path / "other.catalog") as other:
        done: list[Any] = [
            shop.evaluate(listing),
            shop.import_(replace(listing, entries=entries)),
            shop.merge(other.path),
            shop.preview_class("pot", [photos.photo(6), photos.photo(0)]),
            shop.add("cup", [photos.photo(0, 50), b"no picture"]),
            shop.feedback(photos.photo(1, 50), "jug"),
            shop.predict(photos.photo(1, 51)),
            *shop.nearest(photos.photo(1, 51)),
            *shop.labels(),
            *shop.items(),
            shop.remove([1]),
            *shop.undo(),
            shop.audit(),
            shop.verify(),
            shop.info(),
        ]
    assert [list(mutable_in(value)) for value in (listing, *done)] == [[]] * (len(done) + 1)
    assert pickle.loads(pickle.dumps(done)) == done
    judged, imported, *_ = done
    assert judged.not_in_catalogue == {"new": 2}
    assert imported.refused_classes.keys() == {" "}
    assert imported.respelt == {"CUP": "cup"}


def test_folders_that_cannot_be_read(unprivileged: Path) -> None:
    """They are paths in a listing and in what came of an import, and texts in JSON."""
    photos.draw(unprivileged / "tree" / "cup", 0, 2)
    closed = unprivileged / "tree" / "jug"
    closed.mkdir()
    closed.chmod(0)
    try:
        listing = read_manifest(unprivileged / "tree")
        with Catalog.init(unprivileged / "shop.catalog", embedder=FakeEmbedder()) as shop:
            done, judged = shop.import_(listing), shop.evaluate(listing)
    finally:
        closed.chmod(0o700)
    assert listing.unread == done.unread == (closed.resolve(),)
    assert plain(done)["unread"] == [str(closed.resolve())]
    assert judged.refused == (Refusal(str(closed.resolve()), "unreadable", "cannot be read"),)


def test_an_entry_is_made_by_position() -> None:
    """Label, picture and folder come in this order, as callers have written them."""
    entry = Entry("cup", Picture("1.jpg"), Path("cups"))
    assert (entry.label, entry.picture.source, entry.folder) == ("cup", "1.jpg", Path("cups"))
    assert Listing((entry,)).entries == (entry,)
