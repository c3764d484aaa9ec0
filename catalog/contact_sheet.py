"""Answers and evaluations as one HTML file with small pictures in it, for eyes."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from catalog.answers import Neighbour
from catalog.evaluation import Evaluation
from catalog.results import Item
from descriptors import PictureError
from embedder import Box, Picture, Source, thumbnail

if TYPE_CHECKING:
    from jinja2 import Environment

_MOST_MISTAKES = 200


def nearest_sheet(
    pictures: Iterable[Source | Picture],
    answers: Iterable[list[Neighbour] | PictureError],
    *,
    truths: Iterable[str | None] | None = None,
    heading: str = "Nearest items",
) -> str:
    """Show queries and their nearest items.

    Args:
        pictures: the queries.
        answers: what :meth:`Catalog.nearest_many` said of them.
        truths: the class of each query where it is known; names of classes are then shown as right
            or wrong.
        heading: of the page.

    Raises:
        ValueError: there are not as many answers, or truths, as pictures.

    Returns:
        One HTML page. Pictures are read where they were found; one that is gone leaves its name.
    """
    rows = []
    asked = list(pictures)
    known = [None] * len(asked) if truths is None else truths
    for query, answer, truth in zip(asked, answers, known, strict=True):
        picture = query if isinstance(query, Picture) else Picture(query)
        refused = str(answer) if isinstance(answer, PictureError) else None
        neighbours = [] if isinstance(answer, PictureError) else answer
        rows.append(
            {
                "name": _name(picture),
                "truth": truth,
                "image": _image(picture),
                "refused": refused,
                "neighbours": [
                    {
                        "label": n.label,
                        "item": n.item,
                        "score": n.score,
                        "place": _first(n.sources),
                        "image": _image_at(_first(n.sources)),
                    }
                    for n in neighbours
                ],
            }
        )
    return _environment().get_template("nearest.html").render(rows=rows, heading=heading)


def evaluation_sheet(evaluation: Evaluation, items: Sequence[Item]) -> str:
    """Show the figures of an evaluation, and pictures of what went wrong.

    Args:
        evaluation: what :meth:`Catalog.evaluate` found.
        items: what :meth:`Catalog.items` lists, to find the pictures of nearest items.

    Returns:
        One HTML page, with at most 200 mistakes spread over all of them.
    """
    places = {item.id: (item.label, _first(item.sources)) for item in items}
    step = max(1, -(-len(evaluation.mistakes) // _MOST_MISTAKES))
    mistakes = []
    for mistake in evaluation.mistakes[::step]:
        label, place = places.get(mistake.nearest_item, ("?", None))
        mistakes.append(
            {
                "truth": mistake.truth,
                "predicted": mistake.predicted,
                "place": mistake.place,
                "image": _image_at(mistake.place),
                "nearest_label": label,
                "nearest_place": place,
                "nearest_image": _image_at(place),
            }
        )
    return _environment().get_template("evaluation.html").render(e=evaluation, mistakes=mistakes)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    return Environment(loader=PackageLoader("catalog"), autoescape=True, trim_blocks=True)


def _image_at(place: str | None) -> str | None:
    if place is None:
        return None
    boxed = re.fullmatch(r"(.*)#(\d+,\d+,[1-9]\d*,[1-9]\d*)", place, re.DOTALL)
    if boxed:
        return _image(Picture(boxed[1], Box.parse(boxed[2])))
    return _image(Picture(place))


def _image(picture: Picture) -> str | None:
    try:
        return "data:image/jpeg;base64," + base64.b64encode(thumbnail(picture)).decode()
    except PictureError:
        return None


def _name(picture: Picture) -> str:
    if isinstance(picture.source, bytes | np.ndarray):
        return "picture"
    return Path(picture.source).name


def _first(sources: Sequence[str]) -> str | None:
    return sources[0] if sources else None
