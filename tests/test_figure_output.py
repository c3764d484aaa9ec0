"""Charts in a page or a file: fit for any page, and the same every time."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from charts import FIGURES, SVG, confusions, rgb

from catalog.descriptors import Conflict, InvalidInput, NotFound
from catalog.reports.figure_output import FIGURE_ENDINGS, to_svg, write_figure
from catalog.reports.figures import INK, LINES, RIGHT, WRONG, confusion_figure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

LINK = "{http://www.w3.org/1999/xlink}href"
LIGHT, DARK = (1.0, 1.0, 1.0), (0.07, 0.07, 0.07)
every_figure = pytest.mark.parametrize("draw", FIGURES)


@cache
def svg_of(draw: Callable[[], Figure]) -> str:
    """The text of a figure, drawn once for all tests that only look at it."""
    return to_svg(draw())


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The contrast of two colours, from 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


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
            "import sys; from catalog.reports import figure_output, figures;"
            "early = 'matplotlib' in sys.modules;"
            "figure_output.to_svg(figures.training_figure([1], [0]));"
            "late = {'matplotlib', 'matplotlib.pyplot'} & set(sys.modules) == {'matplotlib'};"
            "sys.exit(early or not late)"
        )
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


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
        for path, error, reason in (
            (tmp_path / "no" / "a.png", NotFound, "there is no folder"),
            (tmp_path / "a.png", Conflict, "is a folder"),
        ):
            with pytest.raises(error, match=reason):
                write_figure(confusions(), path)
