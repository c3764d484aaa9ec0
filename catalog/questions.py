"""The questions about a picture: it is embedded, outside any transaction, and answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.answers import Neighbour, Prediction
from catalog.changes.keep_unknown import keep_unknown as keep
from catalog.descriptors import PictureError
from catalog.embedder import Picture, Source
from catalog.judging.cross_check import PRECISION, require_precision
from catalog.learning.opened import Opened
from catalog.pictures import Progress, counted

_Answer = TypeVar("_Answer")
_Embedded: TypeAlias = NDArray[np.float32] | PictureError


def nearest(catalog: Opened, picture: Source | Picture, k: int = 10) -> list[Neighbour]:
    """The items that look most like a picture, best first.

    Args:
        picture: a path, bytes, an array, or any of these with a box.
        k: how many.

    Raises:
        PictureError: the picture is refused.
        InvalidInput: k < 1.
    """
    return _only(nearest_many(catalog, [picture], k))


def nearest_many(
    catalog: Opened,
    pictures: Iterable[Source | Picture],
    k: int = 10,
    *,
    progress: Progress | None = None,
) -> list[list[Neighbour] | PictureError]:
    """:meth:`nearest` for many pictures: each one's neighbours, or why it was refused."""
    outcomes = list(counted(catalog.embedder.embed_each(pictures), progress))
    with catalog._store.reading() as tx:
        found = answers.nearest(tx, catalog._learning, _readable(catalog, outcomes), k)
    return _merged(outcomes, found)


def predict(
    catalog: Opened,
    picture: Source | Picture,
    top: int = 5,
    *,
    precision: float = PRECISION,
    keep_unknown: bool = False,
) -> Prediction:
    """Which class a picture is: head and centroids, checked against each other.

    Args:
        picture: a path, bytes, an array, or any of these with a box.
        top: how many candidates of each predictor to return.
        precision: how often an answer called ``match`` is to be right.
        keep_unknown: keep the descriptor of a picture that is ``unknown``, for :meth:`audit` to
            propose new classes from.

    Raises:
        PictureError: the picture is refused.
        InvalidInput: top < 1, or the precision is not between 0 and 1.
    """
    return _only(
        predict_many(catalog, [picture], top, precision=precision, keep_unknown=keep_unknown)
    )


def predict_many(
    catalog: Opened,
    pictures: Iterable[Source | Picture],
    top: int = 5,
    *,
    precision: float = PRECISION,
    keep_unknown: bool = False,
    progress: Progress | None = None,
) -> list[Prediction | PictureError]:
    """:meth:`predict` for many pictures: each one's prediction, or why it was refused."""
    require_precision(precision)
    asked = list(pictures)
    outcomes = list(counted(catalog.embedder.embed_each(asked), progress))
    readable = _readable(catalog, outcomes)
    with catalog._store.reading() as tx:
        found = answers.predict(tx, catalog._learning, readable, top, precision)
    answered = _merged(outcomes, found)
    if keep_unknown:
        keep(
            catalog,
            (
                picture
                for picture, answer in zip(asked, answered, strict=True)
                if isinstance(answer, Prediction) and answer.verdict == "unknown"
            ),
        )
    return answered


def _readable(catalog: Opened, outcomes: Sequence[_Embedded]) -> NDArray[np.float32]:
    """The descriptors of the pictures that were not refused: float32 (Q, D)."""
    rows = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
    width = catalog._binding.specification.width
    return np.array(rows, np.float32).reshape(len(rows), width)


def _merged(
    outcomes: Sequence[_Embedded], found: Iterable[_Answer]
) -> list[_Answer | PictureError]:
    """Answers and refusals in the order of the pictures."""
    answered = iter(found)
    return [
        outcome if isinstance(outcome, PictureError) else next(answered) for outcome in outcomes
    ]


def _only(found: Sequence[_Answer | PictureError]) -> _Answer:
    (answer,) = found
    if isinstance(answer, PictureError):
        raise answer
    return answer
