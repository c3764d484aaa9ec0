"""Contact sheets: one page each that shows pictures, trusts no name, and needs no network."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder

from catalog import Box, Catalog, Entry, Picture, contact_sheet, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

VOID = {"meta", "br", "img", "link", "input", "hr"}
NASTY = "<script>alert(1)</script>"
NASTY_FILE = "\"><img src=x onerror='alert(1)'>&amp;.jpg"


class Page(HTMLParser):
    """What a browser would see: tags, texts and attributes; ValueError if tags do not pair."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        if self._open:
            raise ValueError(f"not closed: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its attributes."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Match an end with its beginning."""
        if self._open.pop() != tag:
            raise ValueError(f"{tag} closed in the wrong place")

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if data.strip() and self._open[-1:] != ["style"]:
            self.texts.append(data.strip())

    @property
    def images(self) -> list[str]:
        """The sources of all pictures."""
        return [value for tag, name, value in self.attributes if (tag, name) == ("img", "src")]

    @property
    def titles(self) -> list[str]:
        """The titles of all frames."""
        return [value for _, name, value in self.attributes if name == "title"]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Two classes of three files each; one class and one file have nasty names."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        cups = photos.draw(tmp_path / "cups", 0, 3)
        made.add_class(NASTY, [cups[0].rename(cups[0].with_name(NASTY_FILE)), *cups[1:]])
        made.add_class("jug", photos.draw(tmp_path / "jugs", 1, 3))
        yield made


def sheet_of(catalog: Catalog, *pictures: Path | bytes | Picture) -> tuple[Page, str]:
    """The page of the nearest items of some pictures."""
    html = contact_sheet.nearest_sheet(pictures, catalog.nearest_many(pictures, k=6))
    return Page(html), html


def pixels(image: str) -> np.ndarray:
    """Decode an embedded picture."""
    head, _, data = image.partition(",")
    assert head == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def check_self_contained(page: Page, html: str) -> None:
    """No attribute and no style refers to anything outside the page, and nothing can run."""
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        if name in {"src", "href", "srcset", "action", "data", "poster"}:
            assert value.startswith("data:image/jpeg;base64,")
    style = html[html.index("<style>") : html.index("</style>")]
    assert not any(word in style for word in ("url(", "@import", "http"))


class TestNearest:
    """The nearest items of queries."""

    def test_what_it_shows(self, catalog: Catalog, tmp_path: Path) -> None:
        """Each query has its picture, and each neighbour its picture, class and score."""
        (query,) = photos.draw(tmp_path / "query", 1, 1, first=9)
        answer = catalog.nearest(query, k=6)
        page, _ = sheet_of(catalog, query)
        assert len(page.images) == 7
        for image in page.images:
            assert max(pixels(image).shape) == 160
        assert np.abs(pixels(page.images[0]).mean((0, 1)) - mean_colour(query)).max() < 3
        for neighbour in answer:
            assert f"{neighbour.score:.3f}" in page.texts
            assert neighbour.sources[0] in page.titles
        assert page.texts.count("jug") == 3

    def test_right_and_wrong(self, catalog: Catalog) -> None:
        """Where the truth is known, names of classes are shown as right or wrong."""
        queries = [photos.photo(0, 9), photos.photo(1, 9), photos.photo(1, 8)]
        answers = catalog.nearest_many(queries, 2)
        truths = ["jug", NASTY, None]
        html = contact_sheet.nearest_sheet(queries, answers, truths=truths, heading="H")
        page = Page(html)
        check_self_contained(page, html)
        marks = [value for tag, name, value in page.attributes if (tag, name) == ("span", "class")]
        assert [mark for mark in marks if mark != "score"] == [
            "good" if neighbour.label == truth else "bad"
            for truth, answer in zip(truths[:2], answers[:2], strict=True)
            for neighbour in answer
        ]
        assert page.texts.count("H") == 2
        with pytest.raises(ValueError, match="argument"):
            contact_sheet.nearest_sheet(queries, answers[:1])
        with pytest.raises(ValueError, match="argument"):
            contact_sheet.nearest_sheet(queries, answers, truths=["jug"])

    def test_names_are_text(self, catalog: Catalog, tmp_path: Path) -> None:
        """Names of classes and files stay text, whatever characters they are made of."""
        page, html = sheet_of(catalog, tmp_path / "cups" / NASTY_FILE)
        check_self_contained(page, html)
        assert page.texts.count(NASTY) == 3
        assert NASTY_FILE in page.texts
        assert str(tmp_path / "cups" / NASTY_FILE) in page.titles
        assert "<script" not in html

    def test_a_source_that_is_gone(self, catalog: Catalog, tmp_path: Path) -> None:
        """An item whose file is gone, or is no picture any more, keeps its name and place."""
        whole, _ = sheet_of(catalog, photos.photo(1, 9))
        (tmp_path / "jugs" / "000.jpg").unlink()
        (tmp_path / "jugs" / "001.jpg").write_text("no picture")
        page, html = sheet_of(catalog, photos.photo(1, 9))
        check_self_contained(page, html)
        assert (len(whole.images), len(page.images)) == (7, 5)
        assert page.texts.count("no picture") == 2
        assert page.titles == whole.titles

    def test_bytes_and_refusals(self, catalog: Catalog) -> None:
        """A query without a file has no name, and a refused one says why."""
        page, html = sheet_of(catalog, photos.photo(0, 9), b"no picture")
        check_self_contained(page, html)
        assert page.texts.count("picture") == 2
        assert any("(unsupported)" in text for text in page.texts)
        assert len(page.images) == 7

    def test_an_item_without_a_source(self, catalog: Catalog) -> None:
        """An item that came as bytes has a place in the row, and no picture."""
        catalog.add_class("pan", [photos.photo(2)])
        page, _ = sheet_of(catalog, photos.photo(2, 1))
        assert page.texts.count("no picture") == 1
        assert "pan" in page.texts

    def test_a_box_is_drawn(self, catalog: Catalog, tmp_path: Path) -> None:
        """A box shows on the picture of a query and on that of an item."""
        (path,) = photos.draw(tmp_path / "pans", 2, 1)
        boxed = Picture(path, Box(8, 8, 40, 30))
        catalog.add_class("pan", [boxed])
        page, html = sheet_of(catalog, boxed)
        check_self_contained(page, html)
        plain = pixels(sheet_of(catalog, path)[0].images[0])
        assert page.images[0] == page.images[1]
        assert np.abs(pixels(page.images[0]).astype(int) - plain).max() > 100
        assert f"{path}#8,8,40,30" in page.titles


class TestEvaluation:
    """The figures of an evaluation, and what went wrong."""

    def test_what_it_shows(self, catalog: Catalog, tmp_path: Path) -> None:
        """Figures, classes, confusions, and each mistake beside the item nearest to it."""
        tree = tmp_path / "tree"
        photos.draw(tree / "jug", 1, 2, first=20)
        photos.draw(tree / "jug", 0, 1, first=30)
        photos.draw(tree / "lamp", 7, 1)
        (tree / "jug" / "bad.jpg").write_bytes(b"")
        result = catalog.evaluate(read_manifest(tree).entries)
        html = contact_sheet.evaluation_sheet(result, catalog.items())
        page = Page(html)
        check_self_contained(page, html)
        assert "3 pictures of 1 classes" in page.texts
        assert f"{result.centroid.top1:.3f}" in page.texts
        assert any("lamp (1)" in text for text in page.texts)
        assert "1 pictures were refused." in page.texts
        assert f"taken for {NASTY}" in page.texts
        (mistake,) = result.mistakes
        assert page.titles == [mistake.place, catalog.items()[mistake.nearest_item - 1].sources[0]]
        assert len(page.images) == 2

    def test_flattery_is_said(self, catalog: Catalog, tmp_path: Path) -> None:
        """Pictures that are items themselves are mentioned."""
        result = catalog.evaluate([Entry("jug", Picture(tmp_path / "jugs" / "000.jpg"))])
        page = Page(contact_sheet.evaluation_sheet(result, catalog.items()))
        assert any(text.startswith("1 of these pictures are items") for text in page.texts)
        assert page.images == []

    def test_many_mistakes(self, catalog: Catalog) -> None:
        """Of very many mistakes at most 200 are shown, and how many there are is said."""
        wrong = [Entry("jug", Picture(photos.photo(0, shot))) for shot in range(100, 501)]
        result = catalog.evaluate(wrong)
        page = Page(contact_sheet.evaluation_sheet(result, catalog.items()))
        shown = page.tags.count("figure") // 2
        assert len(result.mistakes) > 200
        assert 100 < shown <= 200
        assert any(
            text.startswith(f"{shown} of {len(result.mistakes)} mistakes") for text in page.texts
        )


def mean_colour(path: Path) -> np.ndarray:
    """The mean of a picture file's pixels, in OpenCV's order."""
    return np.asarray(cv2.imread(str(path)).mean((0, 1)))
