"""Charts: true to their data, and fit for any name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from charts import SVG, confusions, rgb, training
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import label_text

from catalog.descriptors import InvalidInput
from catalog.judging.reliability import CoveragePoint, Reliability, ReliabilityBin, reliability
from catalog.reports.figure_output import to_svg
from catalog.reports.figures import (
    RIGHT,
    WRONG,
    confusion_figure,
    coverage_figure,
    reliability_figure,
    training_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NASTY = ["</text><script>alert(1)</script>", "a & b \"c\" 'd'", '$5_bill$ id="x" \\frac', "#1f2933"]


def element(figure: Figure) -> ET.Element:
    """The figure's element; fails if it is not well-formed."""
    return ET.fromstring(to_svg(figure))


def texts(figure: Figure) -> list[str]:
    """What is written in a figure, as text."""
    return ["".join(found.itertext()) for found in element(figure).iter(f"{SVG}text")]


def titles(figure: Figure) -> list[str]:
    """What is said where the pointer rests."""
    return ["".join(found.itertext()) for found in element(figure).iter(f"{SVG}title")]


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

    @settings(max_examples=30)
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
