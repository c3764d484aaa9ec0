"""The questions about a picture: it is embedded, outside any transaction, and answered.

A descriptor may be asked about as well as a picture, one that :func:`embed` gave or one of the
caller's own that the same embedder made; then no network is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from catalog.answers import Neighbour, Prediction
from catalog.changes.keep_unknown import Unknown
from catalog.changes.keep_unknown import keep_unknown as keep
from catalog.descriptors import InvalidInput, PictureError
from catalog.embedder import Picture, Source, as_picture
from catalog.judging.cross_check import PRECISION, require_precision
from catalog.learning.asked import Told
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.manifest.pictures import Progress, counted
from catalog.questions.asked import (
    Asked,
    Known,
    embedded,
    merged,
    noting,
    only,
    readable,
    several,
)
from catalog.questions.looking_up import like_item, neighbours, predictions, row_of_item
from catalog.store import inventory


def embed(catalog: Opened, picture: Source | Picture) -> NDArray[np.float32]:
    """The descriptor of a picture: float32 (D,), unit length.

    Args:
        picture: a path, bytes, an array, or any of these with a box.

    Raises:
        PictureError: the picture is refused.
    """
    return only(embed_many(catalog, [picture]))


def embed_many(
    catalog: Opened,
    pictures: Iterable[Source | Picture],
    *,
    progress: Progress | None = None,
) -> list[NDArray[np.float32] | PictureError]:
    """:meth:`embed` for many pictures: each one's descriptor, or why it was refused."""
    wanted = [as_picture(picture) for picture in several(pictures)]
    return list(counted(catalog.embedder.embed_each(wanted), progress))


def prepare(catalog: Opened) -> None:
    """Load the network, and compute what answers rest on, so that no question waits for it.

    Raises:
        NotFound: the network is not on this machine.
        BackboneError: it cannot be used.
    """

    def ask(bound: Bound) -> None:
        bound.require_network()
        bound.keeper.judge(lambda _: None)

    catalog._asking(ask)


def nearest(
    catalog: Opened, picture: Asked | None = None, k: int = 10, *, item: int | None = None
) -> list[Neighbour]:
    """The items that look most like a picture, or like an item, best first.

    Args:
        picture: a path, bytes, an array, or any of these with a box; or a descriptor.
        k: how many.
        item: the id of an item, instead of a picture; it is not among its own neighbours. Neither
            its file nor the network is needed.

    Raises:
        PictureError: the picture is refused.
        NotFound: there is no such item.
        Conflict: its descriptor was dropped.
        InvalidInput: k < 1, a descriptor of another length, or not one of picture and item.
    """
    if (picture is None) == (item is None):
        raise InvalidInput("either a picture or an item is asked about")
    if item is None:
        return only(nearest_many(catalog, [picture], k))  # type: ignore[list-item]
    own = inventory.item_id(item)

    def ask(bound: Bound) -> list[Neighbour]:
        return like_item(catalog, bound, row_of_item(catalog, bound, own), own, k)

    return catalog._asking(ask)


def nearest_many(
    catalog: Opened,
    pictures: Iterable[Asked],
    k: int = 10,
    *,
    progress: Progress | None = None,
) -> list[list[Neighbour] | PictureError]:
    """:meth:`nearest` for many pictures: each one's neighbours, or why it was refused."""
    asked = several(pictures)

    def ask(bound: Bound) -> list[list[Neighbour] | PictureError]:
        outcomes = embedded(bound, asked, progress)
        return merged(outcomes, neighbours(catalog, bound, readable(bound, outcomes), k))

    return catalog._asking(ask)


def predict(
    catalog: Opened,
    picture: Asked,
    top: int = 5,
    *,
    precision: float = PRECISION,
    keep_unknown: bool = False,
    counts: bool = True,
) -> Prediction:
    """Which class a picture is: head and centroids, checked against each other.

    Args:
        picture: a path, bytes, an array, or any of these with a box; or a descriptor.
        top: how many candidates of each predictor to return.
        precision: how often an answer called ``match`` is to be right.
        keep_unknown: keep the descriptor of a picture that is ``unknown``, for :meth:`audit` to
            propose new classes from.
        counts: count the verdict, by day and class, for :meth:`audit` to tell whether what is asked
            has changed. Nothing else is kept of the picture, and an answer never waits or fails
            because of it.

    Raises:
        PictureError: the picture is refused.
        InvalidInput: top < 1, the precision is not between 0 and 1, a descriptor is of another
            length, or is to be kept without its picture.
    """
    return only(
        predict_many(
            catalog,
            [picture],
            top,
            precision=precision,
            keep_unknown=keep_unknown,
            counts=counts,
        )
    )


def predict_many(
    catalog: Opened,
    pictures: Iterable[Asked],
    top: int = 5,
    *,
    precision: float = PRECISION,
    keep_unknown: bool = False,
    counts: bool = True,
    progress: Progress | None = None,
) -> list[Prediction | PictureError]:
    """:meth:`predict` for many pictures: each one's prediction, or why it was refused."""
    require_precision(precision)
    asked = several(pictures)

    def ask(bound: Bound) -> tuple[list[Prediction | PictureError], Told]:
        known: list[Known | None] = []
        outcomes = embedded(bound, noting(asked, known) if keep_unknown else asked, progress)
        found, told = predictions(bound, readable(bound, outcomes), top, precision)
        answered = merged(outcomes, found)
        keep(
            catalog,
            bound,
            [
                Unknown(*noted, descriptor)
                for noted, descriptor, answer in zip(known, outcomes, answered, strict=False)
                if noted is not None
                and isinstance(descriptor, np.ndarray)
                and isinstance(answer, Prediction)
                and answer.verdict == "unknown"
            ],
        )
        return answered, told

    answered, told = catalog._asking(ask)
    if counts:
        catalog._asked.count(told)
    return answered
