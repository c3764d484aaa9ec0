"""Answers and evaluations as one HTML file with small pictures in it, for eyes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from catalog.answers import Neighbour
from catalog.descriptors import PictureError
from catalog.embedder import Picture, Source, as_picture, thumbnail
from catalog.judging.reliability import Reliability
from catalog.manifest.pictures import picture_at
from catalog.reports.compare import Compared
from catalog.reports.evaluation import CrossCheckResult, Evaluation, Mistake
from catalog.reports.thumbnail import made_of
from catalog.store import files
from catalog.store.inventory import Item
from catalog.text import visible

if TYPE_CHECKING:
    from jinja2 import Environment

_MARK = b'<meta name="generator" content="catalog contact sheet">'
"""What tells pages of this module; the template has it in the head of each."""

CopyOf: TypeAlias = Callable[[int], bytes | None]
"""Gives a small copy of an item's picture, a JPEG, by its id; None where there is none."""

_Copy: TypeAlias = Callable[[Item | Neighbour], bytes | None]

_MOST_MISTAKES = 200
_ALL_CHARTED = 120  # classes; of more, the chart of confusions has those that were confused
_MOST_CHARTED = 1000  # classes; with more, a cell is smaller than a pixel


def nearest_sheet(
    pictures: Iterable[Source | Picture | Item],
    answers: Iterable[list[Neighbour] | PictureError],
    *,
    truths: Iterable[str | None] | None = None,
    heading: str = "Nearest items",
    copy_of: CopyOf | None = None,
) -> str:
    """Show queries and their nearest items.

    Args:
        pictures: the queries; of an item the picture is shown that was learnt.
        answers: what :meth:`Catalog.nearest_many` said of them.
        truths: the class of each query where it is known; names of classes are then shown as right
            or wrong.
        heading: of the page.
        copy_of: gives small copies of items, as :meth:`Catalog.thumbnail` of the open catalogue;
            by default their pictures are read where they were found.

    Raises:
        ValueError: there are not as many answers, or truths, as pictures.

    Returns:
        One HTML page. A picture that is gone leaves its name.
    """
    rows = []
    copy = _copy_by(copy_of)
    asked = list(pictures)
    known = [None] * len(asked) if truths is None else truths
    for query, answer, truth in zip(asked, answers, known, strict=True):
        refused = str(answer) if isinstance(answer, PictureError) else None
        neighbours = [] if isinstance(answer, PictureError) else answer
        rows.append(
            {
                "name": _name(query),
                "truth": truth,
                "image": _shown_by(copy(query))
                if isinstance(query, Item)
                else _image(as_picture(query)),
                "refused": refused,
                "neighbours": [
                    {
                        "label": n.label,
                        "item": n.item,
                        "score": n.score,
                        "class_score": n.class_score,
                        "place": _first(n.sources),
                        "image": _shown_by(copy(n)),
                    }
                    for n in neighbours
                ],
            }
        )
    return _environment().get_template("nearest.html").render(rows=rows, heading=heading)


def evaluation_sheet(
    evaluation: Evaluation, items: Sequence[Item], copy_of: CopyOf | None = None
) -> str:
    """Show the figures of an evaluation, charts of them, and pictures of what went wrong.

    Args:
        evaluation: what :meth:`Catalog.evaluate` found.
        items: what :meth:`Catalog.items` lists, to find the pictures of nearest items.
        copy_of: as for :func:`nearest_sheet`.

    Returns:
        One HTML page, with at most 200 mistakes spread over all of them, the surest first.
    """
    known: dict[int, Item] = {item.id: item for item in items}
    copy = _copy_by(copy_of)
    step = max(1, -(-len(evaluation.mistakes) // _MOST_MISTAKES))
    shown = sorted(evaluation.mistakes[::step], key=lambda m: -(m.probability or 0.0))
    calibration = evaluation.cross_check.reliability
    confusions, charted = _confusion_chart(evaluation)
    template = _environment().get_template("evaluation.html")
    return template.render(
        e=evaluation,
        sureness=None if calibration is None else _sureness(calibration),
        coverage=_coverage_chart(evaluation.cross_check),
        calibration=None if calibration is None else _calibration_chart(calibration),
        confusions=confusions,
        charted=charted,
        mistakes=[_mistake(one, known.get(one.nearest_item or 0), copy) for one in shown],
    )


def comparison_sheet(compared: Compared) -> str:
    """Show two embedders side by side, and the pictures that they answer in different ways.

    Args:
        compared: what :meth:`Catalog.compare` found.

    Returns:
        One HTML page, with at most 200 pictures spread over all of them.
    """
    step = max(1, -(-len(compared.flips) // _MOST_MISTAKES))
    flips = [
        {
            "flip": flip,
            "image": _image_at(flip.place),
            "before": flip.is_right(flip.before),
            "after": flip.is_right(flip.after),
        }
        for flip in compared.flips[::step]
    ]
    return _environment().get_template("comparison.html").render(c=compared, flips=flips)


def write_sheet(page: str, path: Path, *, replace: bool = False) -> None:
    """Write a page into a file, whole or not at all.

    Args:
        page: what :func:`nearest_sheet` or its like made.
        path: of the file; an older page of this program's making is replaced.
        replace: another file that is there already, if it is neither a catalogue nor a picture.

    Raises:
        Conflict: something is there that is not to be replaced.
        NotFound: there is no such folder.
        NoSpace: the disk is full.
        CatalogError: the file cannot be written.
    """
    files.write(path, lambda file: file.write(page.encode()), mark=_MARK, replace=replace)


def require_writable(path: Path, *, replace: bool = False) -> None:
    """Make sure, before the work of making a page, that :func:`write_sheet` may write it.

    Raises:
        Conflict, NotFound, CatalogError: as that does.
    """
    files.require_writable(path, mark=_MARK, replace=replace)


def _mistake(mistake: Mistake, nearest: Item | None, copy: _Copy) -> dict[str, Any]:
    return {
        "found": mistake,
        "image": _image_at(mistake.place),
        "nearest_label": nearest.label if nearest else "?",
        "nearest_place": _first(nearest.sources) if nearest else None,
        "nearest_image": _shown_by(copy(nearest)) if nearest else None,
    }


def _sureness(reliability: Reliability) -> float | None:
    """The mean probability of all pictures that have one."""
    pictures = sum(part.pictures for part in reliability.bins)
    summed = sum(part.pictures * (part.probability or 0.0) for part in reliability.bins)
    return summed / pictures if pictures else None


def _coverage_chart(check: CrossCheckResult) -> str | None:
    """None where no picture is surer than another."""
    from catalog.reports.figure_output import to_svg
    from catalog.reports.figures import coverage_figure

    if all(len(points) < 2 for points in check.curves.values()):
        return None
    names = {
        "cross_check": "cross-check",
        "centroid": "nearest centroid",
        "neighbours": "nearest item",
    }
    curves = {names.get(witness, witness): points for witness, points in check.curves.items()}
    return to_svg(coverage_figure(curves, promised=check.precision))


def _calibration_chart(reliability: Reliability) -> str | None:
    """None where no picture has a probability."""
    from catalog.reports.figure_output import to_svg
    from catalog.reports.figures import reliability_figure

    return None if reliability.error is None else to_svg(reliability_figure(reliability))


def _confusion_chart(evaluation: Evaluation) -> tuple[str | None, int]:
    """The chart, unless there is nothing or too much to draw, and how many classes it is of."""
    from catalog.reports.figure_output import to_svg
    from catalog.reports.figures import confusion_figure

    labels = evaluation.confusion_matrix.labels
    counts = np.array(evaluation.confusion_matrix.counts, dtype=np.int64)
    kept = np.arange(len(labels))
    if len(labels) > _ALL_CHARTED:
        confused = {name for c in evaluation.confusions for name in (c.truth, c.predicted)}
        kept = np.array([at for at in kept if labels[at] in confused], dtype=np.int64)
    if not evaluation.confusions or len(kept) > _MOST_CHARTED:
        return None, len(kept)
    figure = confusion_figure(counts[np.ix_(kept, kept)], [labels[at] for at in kept])
    return to_svg(figure), len(kept)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    return Environment(
        loader=PackageLoader("catalog.reports"), autoescape=True, trim_blocks=True, finalize=_shown
    )


def _shown(value: object) -> object:
    """What a template shows: texts with what cannot be seen written out, and made HTML as it is."""
    return visible(value) if type(value) is str else value


def _image_at(place: str | None) -> str | None:
    return None if place is None else _image(picture_at(place))


def _copy_by(copy_of: CopyOf | None) -> _Copy:
    """What gives a small copy of an item's or a neighbour's picture."""

    def copy(one: Item | Neighbour) -> bytes | None:
        if copy_of is not None:
            return copy_of(one.id if isinstance(one, Item) else one.item)
        return made_of(one.sources, bytes.fromhex(one.content), thumbnail)

    return copy


def _shown_by(shown: bytes | None) -> str | None:
    return None if shown is None else _in_line(shown)


def _image(picture: Picture) -> str | None:
    try:
        return _in_line(thumbnail(picture))
    except PictureError:
        return None


def _in_line(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _name(query: Source | Picture | Item) -> str:
    if isinstance(query, Item):
        return f"item {query.id} of {query.label}"
    picture = as_picture(query)
    if isinstance(picture.source, bytes | np.ndarray):
        return "picture"
    return Path(picture.source).name


def _first(sources: Sequence[str]) -> str | None:
    return sources[0] if sources else None
