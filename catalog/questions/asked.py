"""What is asked about, pictures and descriptors, and how the one becomes the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, PictureError, unit_rows
from catalog.embedder import Picture, Source, as_picture
from catalog.learning.bound import Bound
from catalog.manifest.pictures import Progress, counted, hold

Asked: TypeAlias = Source | Picture | NDArray[np.floating[Any]]
"""A picture, or its descriptor: a float array (D,)."""

Embedded: TypeAlias = NDArray[np.float32] | PictureError
"""The descriptor of a picture, or why it was refused."""

Known: TypeAlias = tuple[bytes, str | None, Picture]
"""Content hash and place of a picture, and what was given."""

_Answer = TypeVar("_Answer")


def several(pictures: Iterable[Asked]) -> list[Asked]:
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


def noting(asked: Iterable[Asked], known: list[Known | None]) -> Iterator[Asked]:
    """Pictures as they are read once, so that what is embedded is what is kept.

    Args:
        asked: the pictures.
        known: gets of each content hash, place and what was given; None for one that cannot be
            read.
    """
    for one in asked:
        if is_descriptor(one):
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


def is_descriptor(asked: Asked) -> bool:
    """Whether a descriptor is asked about, and not a picture."""
    return isinstance(asked, np.ndarray) and asked.ndim == 1


def embedded(bound: Bound, asked: Iterable[Asked], progress: Progress | None) -> list[Embedded]:
    """The descriptor of each, or why the picture was refused; the network only if it is needed."""
    given: dict[int, NDArray[np.float32]] = {}

    def pictures() -> Iterator[Picture]:
        for at, one in enumerate(asked):
            if is_descriptor(one):
                given[at] = descriptor_of(bound, np.asarray(one))
            else:
                yield as_picture(one)

    wanted = pictures()
    first = next(wanted, None)
    embedded: list[Embedded] = []
    if first is not None:
        embedded = list(counted(bound.embedder.embed_each(_after(first, wanted)), progress))
    rest = iter(embedded)
    total = len(embedded) + len(given)
    return [given[at] if at in given else next(rest) for at in range(total)]


def _after(first: Picture, rest: Iterator[Picture]) -> Iterator[Picture]:
    yield first
    yield from rest


def descriptor_of(bound: Bound, given: NDArray[Any]) -> NDArray[np.float32]:
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


def readable(bound: Bound, outcomes: Sequence[Embedded]) -> NDArray[np.float32]:
    """The descriptors of the pictures that were not refused: float32 (Q, D)."""
    rows = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
    return np.array(rows, np.float32).reshape(len(rows), bound.stored.width)


def merged(outcomes: Sequence[Embedded], found: Iterable[_Answer]) -> list[_Answer | PictureError]:
    """Answers and refusals in the order of the pictures."""
    answered = iter(found)
    return [
        outcome if isinstance(outcome, PictureError) else next(answered) for outcome in outcomes
    ]


def only(found: Sequence[_Answer | PictureError]) -> _Answer:
    """The answer to the one picture that was asked about.

    Raises:
        PictureError: it was refused.
    """
    (answer,) = found
    if isinstance(answer, PictureError):
        raise answer
    return answer
