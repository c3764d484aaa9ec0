"""Contact sheets: one page each that shows pictures, trusts no name, and needs no network."""

from __future__ import annotations

import base64
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder

from catalog import Box, Catalog, Entry, Picture, read_manifest
from catalog.judging.reliability import CoveragePoint, Reliability, ReliabilityBin
from catalog.reports import contact_sheet
from catalog.reports.evaluation import (
    Accuracy,
    Agreement,
    ClassResult,
    Confusion,
    ConfusionMatrix,
    CrossCheckResult,
    Evaluation,
    HeadResult,
    Mistake,
    Retrieval,
    VerdictCount,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from catalog import Item

VOID = {"meta", "br", "img", "link", "input", "hr"}
NASTY = "<script>alert(1)</script>"
NASTY_FILE = "\"><img src=x onerror='alert(1)'>&amp;.jpg"

CURVE = (CoveragePoint(0.5, 1.0, 0.9), CoveragePoint(1.0, 0.75, 0.1))
EVALUATION = Evaluation(
    pictures=8,
    classes=2,
    cross_check=CrossCheckResult(
        top1=0.75,
        top5=1.0,
        verdicts=(
            VerdictCount("match", 4, 4),
            VerdictCount("ambiguous", 3, 2),
            VerdictCount("disagree", 1, 0),
            VerdictCount("unknown", 0, 0),
        ),
        precision=0.975,
        expected_coverage=0.4,
        strangers_matched=0.03,
        strangers_unknown=0.12,
        risk=0.05,
        reliability=Reliability(
            (
                ReliabilityBin(0.0, 0.5, 2, 0.5, 0.5),
                ReliabilityBin(0.5, 0.75, 0, None, None),
                ReliabilityBin(0.75, 1.0, 6, 0.9, 5 / 6),
            ),
            0.125,
        ),
        curves=dict.fromkeys(("cross_check", "head", "centroid", "neighbours"), CURVE),
    ),
    head=HeadResult(0.625, 0.875, 0.4321),
    centroid=Accuracy(0.5, 0.75),
    neighbours=Accuracy(0.375, 0.5),
    retrieval=Retrieval(0.5, 0.6),
    agreement=Agreement(0.5, 1.0),
    per_class=(
        ClassResult(NASTY, 4, 1.0, 0.95, 0.85, 0.75, 0.65),
        ClassResult("jug", 4, 0.5, 0.6, 0.7, 0.8, 0.9),
    ),
    confusions=(Confusion("jug", NASTY, 2),),
    confusion_matrix=ConfusionMatrix((NASTY, "jug"), ((4, 0), (2, 2))),
    mistakes=(
        Mistake(None, "jug", NASTY, 1, "disagree", 0.3),
        Mistake(None, "jug", NASTY, 1, "match", 0.9),
    ),
)


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
            self.texts.append(" ".join(data.split()))

    def row(self, name: str, cells: int, *, after: str | None = None) -> list[str]:
        """The texts that follow a name, the first one there is after another text."""
        start = self.texts.index(after) if after else 0
        at = self.texts.index(name, start) + 1
        return self.texts[at : at + cells]

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


def page_of(result: Evaluation, items: Sequence[Item] = ()) -> Page:
    """The page of an evaluation, which is found to be self-contained."""
    html = contact_sheet.evaluation_sheet(result, items)
    page = Page(html)
    check_self_contained(page, html)
    return page


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
            assert max(pixels(image).shape) == 64  # as large as they are, and 160 at most
        assert np.abs(pixels(page.images[0]).mean((0, 1)) - mean_colour(query)).max() < 3
        for neighbour in answer:
            own, of_class = f"{neighbour.score:.3f}", f"{neighbour.class_score:.3f}"
            at = page.texts.index(f"item {neighbour.item}")
            assert page.texts[at + 1 : at + 4] == [own, "its class", of_class]
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
        page = page_of(result, catalog.items())
        assert "3 pictures of 1 class" in page.texts
        assert any("lamp (1)" in text for text in page.texts)
        assert "1 picture was refused." in page.texts
        assert f"taken for {NASTY}" in page.texts
        (mistake,) = result.mistakes
        assert page.titles == [mistake.place, catalog.items()[mistake.nearest_item - 1].sources[0]]
        assert len(page.images) == 2

    def test_flattery_is_said(self, catalog: Catalog, tmp_path: Path) -> None:
        """Pictures that are items themselves are mentioned."""
        result = catalog.evaluate([Entry("jug", Picture(tmp_path / "jugs" / "000.jpg"))])
        page = page_of(result, catalog.items())
        assert any(text.startswith("1 of these pictures is an item") for text in page.texts)
        assert page.images == []

    def test_many_mistakes(self, catalog: Catalog) -> None:
        """Of very many mistakes at most 200 are shown, and how many there are is said."""
        wrong = [Entry("jug", Picture(photos.photo(0, shot))) for shot in range(100, 501)]
        result = catalog.evaluate(wrong)
        page = page_of(result, catalog.items())
        shown = page.tags.count("figure") // 2
        assert len(result.mistakes) > 200
        assert 100 < shown <= 200
        assert any(
            text.startswith(f"{shown} of {len(result.mistakes)} mistakes") for text in page.texts
        )

    def test_accuracies(self) -> None:
        """Each witness has its accuracies, and the head its loss."""
        page = page_of(EVALUATION)
        assert page.row("cross-check", 2) == ["75.0 %", "100.0 %"]
        assert page.row("head", 3) == ["62.5 %", "87.5 %", "0.432"]
        assert page.row("nearest centroid", 2) == ["50.0 %", "75.0 %"]
        assert page.row("nearest item", 2) == ["37.5 %", "50.0 %"]

    def test_verdicts(self) -> None:
        """Each verdict has its share and how often it was right; what was promised is said."""
        page = page_of(EVALUATION)
        texts = " ".join(page.texts)
        assert page.row("match", 4)[1:] == ["4", "50.0 %", "100.0 %"]
        assert page.row("ambiguous", 4)[1:] == ["3", "37.5 %", "66.7 %"]
        assert page.row("unknown", 4)[1:] == ["0", "0.0 %", "-"]
        assert "A match was to be right 97.5 times in 100, and was 100.0 times" in texts
        assert "40.0 % of the pictures were expected to be a match, and 50.0 % are" in texts
        assert "80.0 % sure on average, and 75.0 % of them were right" in texts
        assert "12.5 percentage points apart" in texts
        assert "does not have" not in texts

    def test_strangers(self) -> None:
        """Verdicts on pictures of other classes are in a table of their own."""
        counts = (VerdictCount("match", 1, 0), VerdictCount("unknown", 3, 0))
        page = page_of(replace(EVALUATION, strangers=counts))
        assert "Pictures of classes that the catalogue does not have" in page.texts
        at = len(page.texts) - page.texts[::-1].index("looks like none of the classes")
        assert page.texts[at : at + 2] == ["3", "75.0 %"]

    def test_charts(self) -> None:
        """There are three charts, which name witnesses and classes, whatever the names are."""
        page = page_of(EVALUATION)
        labels = [value for tag, name, value in page.attributes if name == "aria-label"]
        assert labels == ["Precision by coverage", "Calibration", "What each class was taken for"]
        drawn = {"promised: 97.5 %", "probability of being right", f"jug: 2 of 4 taken for {NASTY}"}
        assert drawn < set(page.texts)
        assert page.texts.count("cross-check") == 3

    def test_nothing_to_show(self) -> None:
        """Without a head, sureness, a doubt or a mistake there are sentences in place of charts."""
        point = CoveragePoint(1, 1, 0.5)
        check = replace(
            EVALUATION.cross_check,
            precision=None,
            expected_coverage=None,
            strangers_matched=None,
            strangers_unknown=None,
            reliability=None,
            curves={"cross_check": (point,), "centroid": (point,)},
        )
        page = page_of(
            replace(EVALUATION, cross_check=check, head=None, confusions=(), mistakes=())
        )
        assert "svg" not in page.tags
        assert sum(text.startswith("There is no chart of") for text in page.texts) == 3
        assert any("too few independent pictures" in text for text in page.texts)
        assert "centroid and nearest item name different classes" in page.texts
        assert not {"head", "loss"} & set(page.texts)

    def test_a_match_that_never_was(self) -> None:
        """Where none is a match, nothing is said of how often one was right."""
        counts = (VerdictCount("match", 0, 0), VerdictCount("ambiguous", 8, 6))
        check = replace(EVALUATION.cross_check, verdicts=counts)
        texts = " ".join(page_of(replace(EVALUATION, cross_check=check)).texts)
        assert "A match was to be right 97.5 times in 100. " in texts

    @pytest.mark.parametrize(("classes", "confused", "charted"), [(121, 3, 3), (1002, 1002, 0)])
    def test_many_classes(self, classes: int, confused: int, charted: int) -> None:
        """Of many classes, the chart has those that were confused, unless these are too many."""
        labels = tuple(f"class {at:04}" for at in range(classes))
        counts = np.eye(classes, dtype=np.int64)
        ring = labels[:confused]
        confusions = tuple(
            Confusion(label, other, 1)
            for label, other in zip(ring, ring[1:] + ring[:1], strict=True)
        )
        for confusion in confusions:
            counts[labels.index(confusion.truth), labels.index(confusion.predicted)] = 1
        matrix = ConfusionMatrix(labels, tuple(map(tuple, counts.tolist())))
        page = page_of(replace(EVALUATION, confusion_matrix=matrix, confusions=confusions))
        drawn = [text for text in page.texts if text.endswith("1 of 2 right")]
        assert len(drawn) == charted
        part = any(text.startswith("The chart shows the 3 of 121 classes") for text in page.texts)
        said = any("1,002 classes are too many" in text for text in page.texts)
        assert (part, said) == (charted == 3, charted == 0)

    def test_the_worst_first(self) -> None:
        """Classes are listed from the worst to the best, with a figure of each witness."""
        page = page_of(EVALUATION)
        worst, best = (page.row(name, 6, after="mAP") for name in ("jug", NASTY))
        assert worst == ["4", "50.0 %", "60.0 %", "70.0 %", "80.0 %", "90.0 %"]
        assert best == ["4", "100.0 %", "95.0 %", "85.0 %", "75.0 %", "65.0 %"]
        assert page.texts.index("jug", page.texts.index("mAP")) < page.texts.index("65.0 %")

    def test_the_surest_mistake_first(self) -> None:
        """Under each mistake are verdict and probability; the surest are first."""
        page = page_of(EVALUATION)
        surenesses = [text for text in page.texts if text.endswith(" sure")]
        assert surenesses == ["match, 90.0 % sure", "disagree, 30.0 % sure"]
        unsure = tuple(replace(mistake, probability=None) for mistake in EVALUATION.mistakes)
        page = page_of(replace(EVALUATION, mistakes=unsure))
        assert not any(text.endswith(" sure") for text in page.texts)
        assert page.texts.count("match") == page.texts.count("disagree") == 2


def mean_colour(path: Path) -> np.ndarray:
    """The mean of a picture file's pixels, in OpenCV's order."""
    return np.asarray(cv2.imread(str(path)).mean((0, 1)))
