"""The questions about a picture: it is embedded, outside any transaction, and answered.

A descriptor may be asked about as well as a picture, one that :func:`embed` gave or one of the
caller's own that the same embedder made; then no network is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.answers import Neighbour, Prediction
from catalog.changes.keep_unknown import Unknown
from catalog.changes.keep_unknown import keep_unknown as keep
from catalog.descriptors import Conflict, InvalidInput, PictureError, unit_rows
from catalog.embedder import Picture, Source, as_picture
from catalog.judging.cross_check import PRECISION, require_precision
from catalog.learning.asked import Told
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.snapshot import JudgingSnapshot
from catalog.manifest.pictures import Progress, counted, hold
from catalog.store import ItemId, inventory
from catalog.store.compaction import is_compacted

Asked: TypeAlias = Source | Picture | NDArray[np.floating[Any]]
"""A picture, or its descriptor: a float array (D,)."""

_Answer = TypeVar("_Answer")
_Embedded: TypeAlias = NDArray[np.float32] | PictureError
_Known: TypeAlias = tuple[bytes, str | None, Picture]  # content hash, place, and as it was given


def embed(catalog: Opened, picture: Source | Picture) -> NDArray[np.float32]:
    """The descriptor of a picture: float32 (D,), unit length.

    Args:
        picture: a path, bytes, an array, or any of these with a box.

    Raises:
        PictureError: the picture is refused.
    """
    return _only(embed_many(catalog, [picture]))


def embed_many(
    catalog: Opened,
    pictures: Iterable[Source | Picture],
    *,
    progress: Progress | None = None,
) -> list[NDArray[np.float32] | PictureError]:
    """:meth:`embed` for many pictures: each one's descriptor, or why it was refused."""
    wanted = [as_picture(picture) for picture in _several(pictures)]
    return list(counted(catalog.embedder.embed_each(wanted), progress))


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
        return _only(nearest_many(catalog, [picture], k))  # type: ignore[list-item]
    with catalog._store.reading() as tx:
        inventory.slot_of(tx, ItemId(item))
        if is_compacted(tx, ItemId(item)):
            raise Conflict(f"the descriptor of item {item} was dropped; ask with its picture")

    def ask(bound: Bound) -> list[list[Neighbour]]:
        row = bound.rows.floats(np.array([item], np.int64))
        return _nearest(catalog, bound, row, k + 1 if k > 0 else k)

    (found,) = catalog._asking(ask)
    return [near for near in found if near.item != item][:k]


def nearest_many(
    catalog: Opened,
    pictures: Iterable[Asked],
    k: int = 10,
    *,
    progress: Progress | None = None,
) -> list[list[Neighbour] | PictureError]:
    """:meth:`nearest` for many pictures: each one's neighbours, or why it was refused."""
    asked = _several(pictures)

    def ask(bound: Bound) -> list[list[Neighbour] | PictureError]:
        outcomes = _embedded(bound, asked, progress)
        return _merged(outcomes, _nearest(catalog, bound, _readable(bound, outcomes), k))

    return catalog._asking(ask)


def _nearest(
    catalog: Opened, bound: Bound, rows: NDArray[np.float32], k: int
) -> list[list[Neighbour]]:
    """The k nearest items of descriptors float32 (Q, D)."""

    def sources(items: Sequence[int]) -> list[tuple[str, ...]]:
        with catalog._store.reading() as tx:
            return [inventory.sources(tx, ItemId(item)) for item in items]

    return bound.keeper.nearest(
        lambda snapshot: answers.nearest(snapshot, rows, k, bound.rows.floats, sources)
    )


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
    return _only(
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
    asked = _several(pictures)

    def ask(bound: Bound) -> tuple[list[Prediction | PictureError], Told]:
        known: list[_Known | None] = []
        outcomes = _embedded(bound, _noting(asked, known) if keep_unknown else asked, progress)
        rows = _readable(bound, outcomes)

        def judge(snapshot: JudgingSnapshot) -> tuple[list[Prediction], Told]:
            found = answers.predict(snapshot, rows, top, bound.rows.floats, precision)
            return found, _told(snapshot, found)

        found, told = bound.keeper.judge(judge)
        answered = _merged(outcomes, found)
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


def _told(snapshot: JudgingSnapshot, found: Iterable[Prediction]) -> Told:
    """The verdicts that answers came to, by the slots of the classes that they name."""
    moment = snapshot.moment
    slots = moment.slots_named
    return Told(
        moment.version,
        tuple((slots[one.label], one.verdict) for one in found if one.label is not None),
    )


def _several(pictures: Iterable[Asked]) -> list[Asked]:
    """A list of pictures, where one by itself would be taken for a list of its parts.

    Raises:
        InvalidInput: it is one picture, or nothing that could be a list of some.
    """
    lone = isinstance(pictures, np.ndarray) and (pictures.ndim in {1, 3})
    if lone or isinstance(pictures, str | bytes | bytearray | PathLike | Picture):
        raise InvalidInput("pictures come as a list, also when there is only one")
    try:
        return list(pictures)
    except TypeError:
        raise InvalidInput(f"pictures come as a list, not as {type(pictures).__name__}") from None


def _noting(asked: Iterable[Asked], known: list[_Known | None]) -> Iterator[Asked]:
    """Pictures as they are read once, so that what is embedded is what is kept.

    Args:
        asked: the pictures.
        known: gets of each content hash, place and what was given; None for one that cannot be
            read.
    """
    for one in asked:
        if _is_descriptor(one):
            raise InvalidInput("a descriptor cannot be kept without its picture")
        picture = as_picture(one)
        try:
            held = hold(picture)
        except PictureError:
            known.append(None)
            yield picture  # to be refused like any other
        else:
            known.append((held.content, held.place, picture))
            yield held.picture


def _is_descriptor(asked: Asked) -> bool:
    return isinstance(asked, np.ndarray) and asked.ndim == 1


def _embedded(bound: Bound, asked: Iterable[Asked], progress: Progress | None) -> list[_Embedded]:
    """The descriptor of each, or why the picture was refused; the network only if it is needed."""
    given: dict[int, NDArray[np.float32]] = {}

    def pictures() -> Iterator[Picture]:
        for at, one in enumerate(asked):
            if _is_descriptor(one):
                given[at] = _descriptor(bound, np.asarray(one))
            else:
                yield as_picture(one)

    wanted = pictures()
    first = next(wanted, None)
    embedded: list[_Embedded] = []
    if first is not None:
        embedded = list(counted(bound.embedder.embed_each(_after(first, wanted)), progress))
    rest = iter(embedded)
    total = len(embedded) + len(given)
    return [given[at] if at in given else next(rest) for at in range(total)]


def _after(first: Picture, rest: Iterator[Picture]) -> Iterator[Picture]:
    yield first
    yield from rest


def _descriptor(bound: Bound, given: NDArray[Any]) -> NDArray[np.float32]:
    """A descriptor that was given, of unit length.

    Raises:
        InvalidInput: it is not one of this catalogue's embedder.
    """
    width = bound.stored.width
    if given.shape != (width,) or not np.issubdtype(given.dtype, np.floating):
        raise InvalidInput(
            f"a descriptor here is {width} floating-point numbers, not {given.dtype} {given.shape}"
        )
    if not np.isfinite(given).all() or not given.any():
        raise InvalidInput("a descriptor has to be finite, and not zero")
    return np.asarray(unit_rows(given[None].astype(np.float32))[0], np.float32)


def _readable(bound: Bound, outcomes: Sequence[_Embedded]) -> NDArray[np.float32]:
    """The descriptors of the pictures that were not refused: float32 (Q, D)."""
    rows = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
    return np.array(rows, np.float32).reshape(len(rows), bound.stored.width)


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
