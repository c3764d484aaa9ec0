"""Charts of an evaluation and of a training, to be put into a page or written to a file.

Each ``..._figure`` draws a Matplotlib figure that nothing else knows of. The same data give the
same figure, whatever the user's own Matplotlib settings are.
"""

from __future__ import annotations

import math
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput
from catalog.judging.reliability import CoveragePoint, Reliability
from catalog.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK: Final = "#1f2933"
"""Of text and axes in a file; in a page they take the colour of its text."""

LINES: Final = ("#1f77c9", "#d9650b", "#23936b", "#9a62c8", "#c2478b", "#8a7a1c")
"""Of lines, bars and dots: they stand out from white and from black by 3:1 or more."""

RIGHT: Final = "#1c6dc4"
"""Of a cell on the diagonal of a confusion matrix, where all of its row is in it."""

WRONG: Final = "#d9480f"
"""Of a cell beside the diagonal, where all of its row is in it."""

TITLE: Final = "title:"
"""What begins the id of a group that is to have a title."""

_FONT = 12.0  # sizes are pixels of a page
_SMALL = 10.5
_LETTER = 0.62  # mean width of a letter, by the size of the font
_LONGEST_NAME = 28  # letters
_MOST_NUMBERED = 20  # classes; with more, numbers do not fit into cells
_MOST_NAMED = 120
_WHITE_FROM = 0.85  # strength of a cell on which white is easier to read than ink
_MOST_POINTS = 1000  # of a training; more batches are averaged
_DASHES = (0, (5, 4))
_LETTERS_ABROAD = ("Noto Sans CJK JP", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic")
_LATIN = "DejaVu Sans"  # comes with Matplotlib

# Matplotlib's settings belong to the process: two threads that change them and change them back
# would leave each other's behind.
_one_at_a_time: Final = threading.Lock()


def coverage_figure(
    curves: Mapping[str, Sequence[CoveragePoint]], *, promised: float | None = None
) -> Figure:
    """Draw precision against coverage.

    Args:
        curves: what :func:`risk_coverage` says of each witness, by its name; the first is drawn
            boldest.
        promised: the precision that was promised, in [0, 1]; a dot marks the largest share that a
            witness can answer and keep to it.
    """
    with style():
        figure = _new("Precision by coverage", 640, 400)
        axes = figure.add_subplot()
        if promised is not None:
            axes.axhline(promised, color=INK, linewidth=1.2, linestyle=_DASHES)
            axes.annotate(
                f"promised: {_percent(promised)}",
                (1, promised),
                xytext=(0, 4),
                textcoords="offset points",
                ha="right",
            )
        lines = [
            _add_curve(axes, points, promised, at) for at, points in enumerate(curves.values())
        ]
        axes.set(xlim=(0, 1), ylim=(_floor(curves, promised), 1.005))
        axes.set(xlabel="answered, of all pictures", ylabel="right, of those answered")
        _in_percent(axes.xaxis, axes.yaxis)
        axes.legend(lines, [_shortened(name) for name in curves], loc="lower left")
        dots = "" if promised is None else "dots: the most that is answered as well as promised"
        _add_titles(axes, figure.get_label(), dots)
        _lay_out(figure)
    return figure


def reliability_figure(reliability: Reliability) -> Figure:
    """Draw the share of right pictures by probability, and how many pictures each bin has."""
    with style():
        figure = _new("Calibration", 560, 480)
        grid = figure.add_gridspec(2, 1, height_ratios=(4, 1))
        upper = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        filled = [b for b in reliability.bins if b.pictures]
        middles = [(b.lower + b.upper) / 2 for b in filled]
        widths = [0.9 * (b.upper - b.lower) for b in filled]
        upper.bar(middles, [b.right or 0.0 for b in filled], widths, color=LINES[0])
        upper.plot([0, 1], [0, 1], color=INK, linewidth=1.2, linestyle=_DASHES, label="perfect")
        bars = lower.bar(middles, [b.pictures for b in filled], widths, color=INK, alpha=0.35)
        lower.bar_label(bars, [_count(b.pictures) for b in filled], fontsize=_SMALL, padding=2)
        _add_titles(upper, figure.get_label(), _summary(reliability))
        upper.set(xlim=(0, 1), ylim=(0, 1.005), ylabel="right, of those pictures")
        upper.tick_params(labelbottom=False)
        upper.legend(loc="upper left")
        lower.set(xlabel="probability of being right", ylabel="pictures", yticks=[])
        lower.margins(y=0.3)
        lower.grid(visible=False)
        _in_percent(upper.xaxis, upper.yaxis)
        _lay_out(figure)
    return figure


def confusion_figure(matrix: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Draw what the pictures of each class were taken for.

    A cell is the stronger, the larger its share of the row. Up to 20 classes it shows its number;
    up to 120 they show their names, long ones shortened. In a page, pointing at a cell says all.

    Args:
        matrix: int (C, C), C >= 1; rows are the true classes, columns what they were taken for.
        names: of the C classes.

    Raises:
        InvalidInput: the matrix is not square, or has not as many rows as there are names.
    """
    count = len(names)
    if not count or matrix.shape != (count, count):
        raise InvalidInput(f"a matrix {matrix.shape} does not fit the names of {count} classes")
    cell = min(72.0, max(700 / count, min(10.5, 1050 / count)))
    with style():
        figure = _new("What each class was taken for", count * cell, count * cell)
        axes = figure.add_axes((0, 0, 1, 1))  # the rest lies outside, and is in what is written
        axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
        axes.set(xlabel="taken for", ylabel="class")
        colours = "blue: right, orange: wrong; the stronger, the larger its share of a row"
        _add_titles(axes, figure.get_label(), colours)
        _add_cells(axes, matrix, [_text(name) for name in names], cell)
        _name_cells(axes, [_shortened(name) for name in names], cell)
    return figure


def training_figure(
    loss: Sequence[float],
    accuracy: Sequence[float],
    *,
    validation_loss: Sequence[float] = (),
    validation_accuracy: Sequence[float] = (),
) -> Figure:
    """Draw how loss and accuracy changed during a training.

    Args:
        loss: of each batch; of more than 1000, the means of batches that follow each other.
        accuracy: of each batch, in [0, 1].
        validation_loss: after each epoch; epochs are of as many batches each.
        validation_accuracy: after each epoch, in [0, 1].
    """
    with style():
        figure = _new("Loss and accuracy during training", 860, 330)
        left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
        _add_training(left, loss, validation_loss)
        _add_training(right, accuracy, validation_accuracy)
        _add_titles(left, "Loss")
        _add_titles(right, "Accuracy")
        left.set_ylim(bottom=0)
        right.set_ylim(0, 1.01)
        _in_percent(right.yaxis)
        left.legend(loc="upper right")
        _lay_out(figure)
    return figure


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib as this module wants it, and afterwards as it was."""
    import matplotlib.style
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist if font.weight in {400, "normal"}}
    settings: dict[str, Any] = {
        "font.family": [_LATIN, *(name for name in _LETTERS_ABROAD if name in there)],
        "font.size": _FONT,
        "axes.titlesize": 14,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.facecolor": "none",
        "grid.alpha": 0.15,
        "xtick.bottom": False,
        "ytick.left": False,
        "legend.frameon": False,
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "catalog",
        "pdf.fonttype": 42,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "grid.color"), INK),
        **dict.fromkeys(("xtick.color", "ytick.color"), INK),
    }
    restyled = matplotlib.style.context(["default", settings])
    with _one_at_a_time, restyled, warnings.catch_warnings():
        # A page is shown in its reader's fonts, which have more letters than are known here.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def _new(title: str, width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.set_label(title)
    return figure


def _add_titles(axes: Axes, title: object, smaller: str = "") -> None:
    """A title above the axes, and a line in smaller print below it."""
    axes.set_title(str(title), pad=26 if smaller else 10, fontfamily=_LATIN)
    axes.annotate(
        smaller,
        (0, 1),
        xytext=(0, 9),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=_SMALL,
    )


def _lay_out(figure: Figure) -> None:
    """Make room for what is written around axes; once, since a second time moves a last digit."""
    figure.set_layout_engine("constrained")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _add_curve(
    axes: Axes, points: Sequence[CoveragePoint], promised: float | None, at: int
) -> Line2D:
    colour = LINES[at % len(LINES)]
    coverage, precision = [p.coverage for p in points], [p.precision for p in points]
    width, order = (1.5, 3) if at else (2.8, 4)
    (line,) = axes.plot(coverage, precision, color=colour, linewidth=width, zorder=order)
    kept = [p for p in points if promised is not None and p.precision >= promised]
    if kept:
        axes.plot(kept[-1].coverage, kept[-1].precision, "o", color=colour, zorder=5)
    return line


def _floor(curves: Mapping[str, Sequence[CoveragePoint]], promised: float | None) -> float:
    """Where the axis of precision begins: a multiple of a tenth below all but the first few."""
    shown = [p.precision for points in curves.values() for p in points if p.coverage >= 0.05]
    lowest = min([*shown, 0.9 if promised is None else promised])
    return max(0.0, math.floor(10 * lowest - 0.2) / 10)


def _summary(reliability: Reliability) -> str:
    pictures = sum(b.pictures for b in reliability.bins)
    lines = [f"{pictures:,} pictures"]
    if reliability.error is not None:
        lines.append(f"expected calibration error {100 * reliability.error:.1f} %")
    if reliability.left_out:
        lines.append(f"{reliability.left_out:,} more have no probability")
    return ", ".join(lines)


def _add_cells(axes: Axes, matrix: NDArray[np.int64], names: Sequence[str], cell: float) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    numbered = len(names) <= _MOST_NUMBERED
    side = 0.94 if numbered else max(1.0, 2 / cell)
    totals = matrix.sum(axis=1)
    for row, column in np.argwhere(matrix).tolist():
        pictures, total = int(matrix[row, column]), int(totals[row])
        strength = 0.25 + 0.75 * float(np.sqrt(pictures / total))
        colour = to_rgb(RIGHT if row == column else WRONG)
        taken = "right" if row == column else f"taken for {names[column]}"
        axes.add_patch(
            Rectangle(
                (column - side / 2, row - side / 2),
                side,
                side,
                facecolor=(*colour, strength),
                clip_on=False,
                gid=f"{TITLE}{names[row]}: {pictures:,} of {total:,} {taken}",
            )
        )
        if numbered:
            axes.text(
                column,
                row,
                _count(pictures),
                color="white" if strength >= _WHITE_FROM else INK,
                fontsize=min(_FONT, 0.34 * cell),
                ha="center",
                va="center",
            )


def _name_cells(axes: Axes, names: Sequence[str], cell: float) -> None:
    count = len(names)
    axes.grid(visible=False)
    axes.spines[:].set(visible=True, alpha=0.3)
    if count > _MOST_NAMED:
        axes.set(xticks=[], yticks=[])
        return
    size = min(_FONT, 0.9 * cell)
    longest = max(_letters(name) for name in names) * _LETTER * size
    slope = 0 if longest < cell else 45 if count <= _MOST_NUMBERED else 90
    axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xticks(range(count), names, fontsize=size, rotation=slope)
    if slope:
        for label in axes.get_xticklabels():
            label.set(ha="right", va="center" if slope == 90 else "top", rotation_mode="anchor")
    borders = np.arange(count - 1) + 0.5
    thin: dict[str, Any] = {"colors": INK, "linewidth": 0.8, "alpha": 0.08, "zorder": 0}
    axes.hlines(borders, -0.5, count - 0.5, **thin)
    axes.vlines(borders, -0.5, count - 0.5, **thin)


def _add_training(axes: Axes, values: Sequence[float], validation: Sequence[float]) -> None:
    batches = len(values)
    each = -(-batches // _MOST_POINTS) or 1
    parts = [values[start : start + each] for start in range(0, batches, each)]
    ends = np.cumsum([len(part) for part in parts])
    axes.plot(
        ends,
        [np.mean(part) for part in parts],
        color=LINES[0],
        linewidth=1.2,
        label="training, by batch",
    )
    if len(validation):
        label = "validation, after an epoch"
        epochs = np.arange(1, len(validation) + 1) * (batches or len(validation)) / len(validation)
        axes.plot(epochs, validation, "o-", color=LINES[1], clip_on=False, label=label)
    axes.set(xlim=(0, max(batches, 1)), xlabel="batch")
    axes.locator_params("x", nbins=6, integer=True)


def _in_percent(*axes: Axis) -> None:
    for axis in axes:
        axis.set_major_formatter(lambda share, _: _percent(share))


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _count(pictures: int) -> str:
    """A number of four digits and letters at most, as it fits into a cell."""
    for least, unit, letter in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if pictures >= least:
            return f"{pictures // unit}{letter}"
    return str(pictures)


def _text(name: str) -> str:
    """A name on one line, of characters that XML can have."""
    return visible(" ".join(name.split()))


def _shortened(name: str) -> str:
    """A name without its middle, if it is long: names often differ in how they end."""
    text = _text(name)
    if _letters(text) <= _LONGEST_NAME:
        return text
    begin, end = "", ""
    while _letters(begin + end) < _LONGEST_NAME - 2:
        begin, end = text[: len(begin) + 1], text[len(text) - len(end) - 1 :]
    return f"{begin.rstrip()}…{end.lstrip()}"


def _letters(text: str) -> int:
    """How wide a text is; letters of East Asia are twice as wide as others."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "FW") for letter in text)
