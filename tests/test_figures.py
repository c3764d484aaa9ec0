"""Charts: true to their data, the same every time, and fit for any page and any name."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import label_text

from catalog.figures import (
    FIGURE_ENDINGS,
    INK,
    LINES,
    RIGHT,
    WRONG,
    confusion_figure,
    coverage_figure,
    reliability_figure,
    to_svg,
    training_figure,
    write_figure,
)
from catalog.reliability import (
    CoveragePoint,
    Reliability,
    ReliabilityBin,
    reliability,
    risk_coverage,
)
from descriptors import CatalogError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
LIGHT, DARK = (1.0, 1.0, 1.0), (0.07, 0.07, 0.07)
NASTY = ["</text><script>alert(1)</script>", "a & b \"c\" 'd'", '$5_bill$ id="x" \\frac', "#1f2933"]


def answers() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Two hundred probabilities, and who of them was right."""
    random = np.random.default_rng(5)
    probability = random.beta(2, 0.5, 200)
    return probability, random.random(200) < probability


def coverages() -> Figure:
    """Two witnesses and a promise."""
    probability, right = answers()
    curves = {
        "head": risk_coverage(probability, right),
        "$odd_": risk_coverage(-probability, right),
    }
    return coverage_figure(curves, promised=0.9)


def calibration() -> Figure:
    """Bins of all sizes."""
    return reliability_figure(reliability(*answers()))


def confusions() -> Figure:
    """Three classes, one of them never seen."""
    return confusion_figure(np.array([[7, 0, 2], [1, 9, 0], [0, 0, 0]]), ["paper", "rock", "none"])


def many_confusions() -> Figure:
    """More classes than numbers fit."""
    return confusion_figure(np.eye(21, dtype=np.int64) * 4, [f"class {at}" for at in range(21)])


def training() -> Figure:
    """Two epochs of five batches."""
    falling = [2, 1.5, 1, 0.8, 0.7, 0.6, 0.5, 0.5, 0.4, 0.4]
    rising = [1 - loss / 3 for loss in falling]
    return training_figure(
        falling, rising, validation_loss=[0.8, 0.5], validation_accuracy=[0.7, 0.8]
    )


FIGURES = [coverages, calibration, confusions, many_confusions, training]
every_figure = pytest.mark.parametrize("draw", FIGURES)


@cache
def svg_of(draw: Callable[[], Figure]) -> str:
    """The text of a figure, drawn once for all tests that only look at it."""
    return to_svg(draw())


def element(figure: Figure) -> ET.Element:
    """The figure's element; fails if it is not well-formed."""
    return ET.fromstring(to_svg(figure))


def texts(figure: Figure) -> list[str]:
    """What is written in a figure, as text."""
    return ["".join(found.itertext()) for found in element(figure).iter(f"{SVG}text")]


def titles(figure: Figure) -> list[str]:
    """What is said where the pointer rests."""
    return ["".join(found.itertext()) for found in element(figure).iter(f"{SVG}title")]


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The contrast of two colours, from 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def rgb(colour: str) -> tuple[float, ...]:
    """A colour ``#rrggbb`` in [0, 1]."""
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


class TestInAPage:
    """What every figure is like when it is put into HTML."""

    @every_figure
    def test_scales(self, draw: Callable[[], Figure]) -> None:
        """A bare element as wide as its place, up to its own size, that says what it is."""
        root = ET.fromstring(svg_of(draw))
        assert svg_of(draw).startswith("<svg ")
        assert (root.tag, root.get("width"), root.get("height")) == (f"{SVG}svg", "100%", None)
        left, top, width, height = map(float, root.attrib["viewBox"].split())
        assert (left, top) == (0, 0)
        assert width > 100
        assert height > 100
        assert f"max-width: {root.attrib['viewBox'].split()[2]}px" in root.attrib["style"]
        assert root.get("role") == "img"
        assert root.get("aria-label") == draw().get_label()

    @every_figure
    def test_changes_nothing_else(self, draw: Callable[[], Figure]) -> None:
        """It has no style sheet, script, link or metadata, and refers to nothing outside itself."""
        root = ET.fromstring(svg_of(draw))
        tags = {found.tag.removeprefix(SVG) for found in root.iter()}
        assert tags <= {"svg", "g", "path", "defs", "use", "clipPath", "rect", "text", "title"}
        ids = {found.get("id") for found in root.iter()} - {None}
        refers = set(re.findall(r"url\(#([^)]*)\)", ET.tostring(root, "unicode")))
        refers |= {
            found.attrib[LINK].removeprefix("#") for found in root.iter() if LINK in found.attrib
        }
        assert ids == refers

    def test_ids_are_its_own(self) -> None:
        """Of figures in one page no two have an id in common, and none has one twice."""
        ids = [
            found.attrib["id"]
            for draw in FIGURES
            for found in ET.fromstring(svg_of(draw)).iter()
            if "id" in found.attrib
        ]
        assert len(ids) >= 4
        assert len(ids) == len(set(ids))

    @every_figure
    def test_light_and_dark(self, draw: Callable[[], Figure]) -> None:
        """Text and axes have the page's colour, the page shows through, the rest suits both."""
        svg = svg_of(draw)
        used = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
        assert used <= {"none", "currentColor", "#ffffff", RIGHT, WRONG, *LINES}
        assert "currentColor" in used
        assert INK not in svg
        for found in ET.fromstring(svg).iter(f"{SVG}text"):
            assert "fill: currentColor" in found.attrib["style"] or "#fff" in found.attrib["style"]
            assert "DejaVu" not in found.attrib["style"]

    @pytest.mark.parametrize("colour", [RIGHT, WRONG, *LINES])
    def test_colours_stand_out(self, colour: str) -> None:
        """Lines and full cells have a contrast of 3:1 or more to light and to dark pages."""
        assert contrast(rgb(colour), LIGHT) >= 3
        assert contrast(rgb(colour), DARK) >= 3

    @pytest.mark.parametrize("page", [LIGHT, DARK])
    @pytest.mark.parametrize("turned", [False, True])
    def test_numbers_can_be_read(self, page: tuple[float, ...], turned: bool) -> None:  # noqa: FBT001
        """A number stands out from its cell by 3:1 or more, however full the cell is."""
        shares = np.arange(1, 20)
        matrix = np.diag(20 - shares) + np.fliplr(np.diag(shares)) if turned else np.diag(shares)
        figure = confusion_figure(matrix, [str(at) for at in range(19)])
        (axes,) = figure.axes
        written = {text.get_position(): text.get_color() for text in axes.texts}
        ink = DARK if page == LIGHT else LIGHT
        for cell in axes.patches:
            *colour, strength = cell.get_facecolor()
            shown = tuple(
                strength * c + (1 - strength) * p for c, p in zip(colour, page, strict=True)
            )
            x, y = cell.get_center()
            text = written[round(x), round(y)]
            assert contrast(shown, LIGHT if text == "white" else ink) >= 3


class TestTheSameEveryTime:
    """Bytes that follow from the data alone."""

    @every_figure
    def test_same_bytes(self, draw: Callable[[], Figure]) -> None:
        """Drawn again, or asked for again, a figure is the same to the byte."""
        figure = draw()
        assert to_svg(figure) == to_svg(figure) == svg_of(draw)

    @pytest.mark.parametrize("ending", FIGURE_ENDINGS)
    def test_same_files(self, ending: str, tmp_path: Path) -> None:
        """Drawn and written again, files are the same to the byte: they have no date."""
        one, other = (tmp_path / f"{name}{ending}" for name in ("one", "other"))
        for path in (one, other):
            write_figure(confusions(), path)
        assert one.read_bytes() == other.read_bytes()
        assert b"CreationDate" not in one.read_bytes()

    @every_figure
    def test_settings_of_the_user(self, draw: Callable[[], Figure]) -> None:
        """What the user has set for plots of their own changes no figure, and stays set."""
        plain = svg_of(draw)
        theirs = {
            "figure.facecolor": "black",
            "axes.facecolor": "red",
            "text.color": "white",
            "font.size": 30,
            "svg.fonttype": "path",
            "lines.linestyle": ":",
            "axes.spines.top": True,
            "savefig.transparent": True,
        }
        with mpl.rc_context(theirs):
            assert to_svg(draw()) == plain
            assert {name: mpl.rcParams[name] for name in theirs} == theirs

    def test_threads(self) -> None:
        """Figures drawn side by side are as those drawn alone, and Matplotlib is as it was."""
        before, alone = dict(mpl.rcParams), [svg_of(draw) for draw in FIGURES]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda draw: to_svg(draw()), FIGURES))
        assert together == alone
        assert dict(mpl.rcParams) == before

    def test_matplotlib_waits(self) -> None:
        """Matplotlib is imported when something is drawn, and its global figures never."""
        script = (
            "import sys; from catalog import figures; early = 'matplotlib' in sys.modules;"
            "figures.to_svg(figures.training_figure([1], [0]));"
            "late = {'matplotlib', 'matplotlib.pyplot'} & set(sys.modules) == {'matplotlib'};"
            "sys.exit(early or not late)"
        )
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class TestCoverage:
    """Precision against coverage."""

    def test_lines(self) -> None:
        """Each witness has its name and its points; each keeps to the promise up to its dot."""
        curves = {
            "cross-check": [CoveragePoint(at, 1.25 - at, -at) for at in (0.25, 0.3125, 0.5)],
            "$neighbours_1$": [CoveragePoint(0.2, 0.9, 3), CoveragePoint(1, 0.7, 1)],
            "silent": [],
        }
        figure = coverage_figure(curves, promised=0.9)
        (axes,) = figure.axes
        promise, *drawn = [line.get_xydata().tolist() for line in axes.lines]
        assert promise == [[0, 0.9], [1, 0.9]]
        assert drawn == [
            [[0.25, 1], [0.3125, 0.9375], [0.5, 0.75]],
            [[0.3125, 0.9375]],
            [[0.2, 0.9], [1, 0.7]],
            [[0.2, 0.9]],
            [],
        ]
        assert {*curves, "promised: 90 %", "Precision by coverage"} <= set(texts(figure))
        assert axes.get_ylim()[0] == pytest.approx(0.6)

    def test_no_promise(self) -> None:
        """Without a promise there is no line of it, and nothing is said of dots."""
        figure = coverage_figure({"head": [CoveragePoint(1, 0.95, 0)]})
        (axes,) = figure.axes
        assert len(axes.lines) == 1
        assert not [text for text in texts(figure) if "promised" in text]

    @pytest.mark.parametrize("precision", [0.0, 1.0])
    def test_all_that_precision_can_be(self, precision: float) -> None:
        """Everything right, or wrong, is inside the axes."""
        (axes,) = coverage_figure({"head": [CoveragePoint(1, precision, 0)]}).axes
        low, high = axes.get_ylim()
        assert 0 <= low <= precision < high

    def test_nobody(self) -> None:
        """Without witnesses there are axes."""
        assert "Precision by coverage" in texts(coverage_figure({}))


class TestReliability:
    """Right pictures by probability."""

    def test_bars(self) -> None:
        """Bars are as high as the share that was right, and each says how many pictures it has."""
        bins = (
            ReliabilityBin(0, 0.5, 12345, 0.4, 0.25),
            ReliabilityBin(0.5, 0.75, 0, None, None),
            ReliabilityBin(0.75, 1, 321, 0.8, 0.0),
        )
        figure = reliability_figure(Reliability(bins, 0.1234, 7))
        upper, lower = figure.axes
        assert [(b.get_center()[0], b.get_height()) for b in upper.patches] == [
            (0.25, 0.25),
            (0.875, 0),
        ]
        assert [b.get_height() for b in lower.patches] == [12345, 321]
        said = "12,666 pictures, expected calibration error 12.3 %, 7 more have no probability"
        assert {"12k", "321", said} <= set(texts(figure))

    def test_no_probability(self) -> None:
        """Where no picture has a probability there are axes, and it is said."""
        empty = reliability(np.full(3, np.nan), np.ones(3, np.bool_))
        assert "0 pictures, 3 more have no probability" in texts(reliability_figure(empty))


class TestConfusions:
    """What classes were taken for."""

    def test_cells(self) -> None:
        """A cell has its number and the colour of its share of the row; nothing has no cell."""
        figure = confusions()
        (axes,) = figure.axes
        cells = {
            tuple(round(at) for at in cell.get_center()): cell.get_facecolor()
            for cell in axes.patches
        }
        assert set(cells) == {(0, 0), (2, 0), (0, 1), (1, 1)}
        assert cells[0, 0][3] > cells[2, 0][3] > cells[0, 1][3]
        assert cells[0, 0][:3] == pytest.approx(rgb(RIGHT))
        assert cells[2, 0][:3] == pytest.approx(rgb(WRONG))
        written = texts(figure)
        assert {"7", "2", "1", "9"} <= set(written)
        assert [written.count(name) for name in ("paper", "rock", "none")] == [2, 2, 2]
        assert titles(figure) == [
            "paper: 7 of 9 right",
            "paper: 2 of 9 taken for none",
            "rock: 1 of 10 taken for paper",
            "rock: 9 of 10 right",
        ]

    @pytest.mark.parametrize(
        ("classes", "numbered", "named"),
        [
            (1, True, True),
            (20, True, True),
            (21, False, True),
            (120, False, True),
            (121, False, False),
        ],
    )
    def test_what_fits(self, classes: int, numbered: bool, named: bool) -> None:  # noqa: FBT001
        """Numbers are there up to 20 classes, names up to 120; what a cell means always is."""
        figure = confusion_figure(
            7 * np.eye(classes, dtype=np.int64), [f"c{at}" for at in range(classes)]
        )
        written = texts(figure)
        assert written.count("7") == classes * numbered
        assert written.count("c0") == 2 * named
        assert len(titles(figure)) == classes

    @pytest.mark.parametrize("name", ["{}", "rock {}", "Quite a long name, number {}"])
    @pytest.mark.parametrize("classes", [2, 20, 81])
    def test_names_do_not_overlap(self, classes: int, name: str) -> None:
        """Names of neighbouring rows and columns keep clear of each other."""
        names = [name.format(at) for at in range(classes)]
        figure = confusion_figure(np.eye(classes, dtype=np.int64), names)
        to_svg(figure)
        (axes,) = figure.axes
        step = axes.bbox.width / classes
        assert all(label.get_fontsize() < step for label in axes.get_yticklabels())
        for label in axes.get_xticklabels():
            slope = np.radians(label.get_rotation())
            width = label.get_window_extent().width
            assert width < step if slope == 0 else label.get_fontsize() < step * np.sin(slope)

    def test_names_are_text(self) -> None:
        """Names stay text, whatever characters they are made of."""
        figure = confusion_figure(np.eye(4, dtype=np.int64), NASTY)
        written = texts(figure)
        assert [written.count(name) for name in NASTY[1:]] == [2, 2, 2]
        assert written.count("</text><scrip…t(1)</script>") == 2
        assert titles(figure) == [f"{name}: 1 of 1 right" for name in NASTY]

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            label_text() | st.text(st.characters(codec=None), max_size=60), min_size=1, max_size=3
        ),
        st.data(),
    )
    def test_any_names(self, names: list[str], data: st.DataObject) -> None:
        """Any name gives a page that can be parsed, and long ones keep their ends."""
        matrix = data.draw(arrays(np.int64, (len(names), len(names)), elements=st.integers(0, 99)))
        figure = confusion_figure(matrix, names)
        assert len(titles(figure)) == np.count_nonzero(matrix)
        (axes,) = figure.axes
        for name, label in zip(names, axes.get_yticklabels(), strict=True):
            begin, _, end = label.get_text().partition("…")
            assert len(label.get_text()) <= 28
            if name.isascii() and name.isprintable():
                whole = " ".join(name.split())
                assert whole.startswith(begin)
                assert whole.endswith(end)

    def test_long_names_of_wide_letters(self) -> None:
        """Letters twice as wide make names half as long; a font without them is no warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = confusion_figure(np.array([[1]]), ["日本語" * 10])
            to_svg(figure)
        assert texts(figure).count("日本語日本語日…語日本語日本語") == 2

    def test_what_is_refused(self) -> None:
        """A matrix that is not square, names that are too few, and no class at all."""
        for shape, count in (((2, 3), 2), ((2, 2), 3), ((4,), 4), ((0, 0), 0)):
            with pytest.raises(InvalidInput, match="does not fit"):
                confusion_figure(np.ones(shape, np.int64), ["x"] * count)


class TestTraining:
    """Loss and accuracy."""

    def test_lines(self) -> None:
        """Batches are drawn one by one; what was validated, where the epoch ended."""
        figure = training()
        left, right = figure.axes
        batches, epochs = left.lines
        assert batches.get_xdata().tolist() == list(range(1, 11))
        assert epochs.get_xydata().tolist() == [[5, 0.8], [10, 0.5]]
        assert right.lines[1].get_xydata().tolist() == [[5, 0.7], [10, 0.8]]
        assert {"Loss", "Accuracy", "batch", "validation, after an epoch"} <= set(texts(figure))

    def test_many_batches(self) -> None:
        """Of very many batches the means of neighbours are drawn, and none is left out."""
        left, _ = training_figure(list(range(2501)), [0.5] * 2501).axes
        (line,) = left.lines
        assert len(line.get_xdata()) == 834
        assert line.get_xydata()[0].tolist() == [3, 1]
        assert line.get_xydata()[-1].tolist() == [2501, 2499.5]

    def test_without_validation(self) -> None:
        """Where nothing was validated there is one line, and the other is not named."""
        figure = training_figure([1, 0.5], [0.5, 1])
        assert [len(axes.lines) for axes in figure.axes] == [1, 1]
        assert not [text for text in texts(figure) if "validation" in text]

    def test_what_cannot_be_drawn(self) -> None:
        """A loss that is not a number leaves a gap; no batch at all leaves the axes."""
        assert "Loss" in texts(training_figure([1, np.nan, np.inf], [0, 0.5, 1]))
        assert "Loss" in texts(training_figure([], []))


class TestFiles:
    """Figures on disk."""

    @pytest.mark.parametrize(
        ("name", "begins"),
        [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml"), ("a.b.PNG", b"\x89PNG")],
    )
    def test_by_ending(self, tmp_path: Path, name: str, begins: bytes) -> None:
        """The ending says what is written, in any case."""
        write_figure(confusions(), tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)

    def test_svg_of_its_own(self, tmp_path: Path) -> None:
        """A file of its own has a white ground and ink, names as text, and says what cells mean."""
        write_figure(confusions(), tmp_path / "a.svg")
        text = (tmp_path / "a.svg").read_text("utf-8")
        root = ET.fromstring(text)
        assert "currentColor" not in text
        assert "fill: #ffffff" in text
        assert f"fill: {INK}" in text
        assert "paper" in [found.text for found in root.iter(f"{SVG}text")]
        assert len(list(root.iter(f"{SVG}title"))) == 4
        assert "<dc:date>" not in text

    @pytest.mark.parametrize("name", ["a.jpg", "a", ".png", "a.png.txt", "png"])
    def test_other_endings(self, tmp_path: Path, name: str) -> None:
        """Another ending is refused, and the message names those that work."""
        with pytest.raises(InvalidInput, match=r"\.pdf, \.png or \.svg"):
            write_figure(confusions(), tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_that_cannot_be_written(self, tmp_path: Path) -> None:
        """A folder that is not there, or a file's name that a folder has, is said."""
        (tmp_path / "a.png").mkdir()
        for path, reason in (
            (tmp_path / "no" / "a.png", "No such"),
            (tmp_path / "a.png", "directory"),
        ):
            with pytest.raises(CatalogError, match=rf"cannot write .*a\.png: .*{reason}"):
                write_figure(confusions(), path)
