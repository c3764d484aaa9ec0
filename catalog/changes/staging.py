"""Pictures become descriptors in the store before any class is changed.

Embedding is the slow part and changes nothing that anyone can see: each descriptor is stored under
the hash of its picture as soon as it is there, and a picture whose descriptor is there is never
embedded again, whatever was killed, undone or removed in between.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, PictureError, to_bytes, to_integers
from catalog.embedder import Embedder, Picture, Source, shot_of
from catalog.learning.opened import Opened
from catalog.manifest.pictures import HeldPicture, Progress, Refusal, counted, hold, place_of
from catalog.store import Transaction
from catalog.store.descriptors import StoredDescriptors
from catalog.store.failpoints import reach
from catalog.store.inventory import Place
from catalog.store.names import Name
from catalog.store.occasions import NOTHING_KNOWN, Occasion
from catalog.store.store import Store

# A batch is read, looked up, embedded and stored together: large enough that the sync of each
# transaction does not show, small enough that a kill costs a second's work.
_BATCH_PICTURES = 64
_BATCH_BYTES = 64 * 2**20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A picture whose descriptor is stored.

    Attributes:
        content: its SHA-256, 32 bytes.
        places: where it was found; none for bytes and arrays.
        occasion: when it was taken, as far as that is known.
        made_up: int16 (K, D), the descriptors of photos that were made up of it, if any were.
    """

    content: bytes
    places: tuple[Place, ...] = ()
    occasion: Occasion = NOTHING_KNOWN
    made_up: NDArray[np.int16] | None = None

    @property
    def place(self) -> str | None:
        """The path that it is named by in messages."""
        return self.places[0].path if self.places else None


@dataclass(slots=True)
class StagedFor:
    """Pictures that were staged for a class, one after another.

    Attributes:
        outcomes: of each, in order.
        first: the staged picture whose content hash is the first, as it was given.
    """

    outcomes: list[Staged | Refusal]
    first: Source | Picture | None = None
    _least: bytes | None = None

    def add(self, outcome: Staged | Refusal, picture: Source | Picture) -> None:
        """Take in the outcome of one more picture."""
        self.outcomes.append(outcome)
        if isinstance(outcome, Staged) and (self._least is None or outcome.content < self._least):
            self.first, self._least = picture, outcome.content


class Staging:
    """Stores the descriptors of pictures that the catalogue does not have yet.

    Args:
        store: of the catalogue.
        embedder: that computes them.
        stored: where they go.
    """

    def __init__(self, store: Store, embedder: Embedder, stored: StoredDescriptors) -> None:
        self._store = store
        self._embedder = embedder
        self._stored = stored

    def stage(self, pictures: Iterable[Source | Picture]) -> Iterator[Staged | Refusal]:
        """Embed what is not known yet and store it, batch by batch.

        Yields:
            The outcome of each picture, in order, once it is on disk.

        Raises:
            Locked, Damaged, CatalogError: as :meth:`Store.writing` does.
        """
        batch: list[HeldPicture | Refusal] = []
        weight = 0
        for picture in pictures:
            try:
                held = hold(picture)
            except PictureError as error:
                batch.append(Refusal(place_of(picture), error.reason, error.detail))
            else:
                batch.append(held)
                weight += held.size
            if len(batch) >= _BATCH_PICTURES or weight >= _BATCH_BYTES:
                yield from self._settle(batch)
                batch, weight = [], 0
        yield from self._settle(batch)

    def _settle(self, batch: list[HeldPicture | Refusal]) -> Iterator[Staged | Refusal]:
        wanted = {one.content: one.picture for one in batch if isinstance(one, HeldPicture)}
        with self._store.reading() as tx:
            unknown = [content for content in wanted if not self._stored.holds(tx, content)]
        results = self._embedder.embed_each([wanted[c] for c in unknown])
        refused: dict[bytes, PictureError] = {}
        fresh: dict[bytes, NDArray[np.float32]] = {}
        for content, result in zip(unknown, results, strict=True):
            if isinstance(result, PictureError):
                refused[content] = result
            else:
                fresh[content] = result
        if fresh:
            with self._store.writing() as tx:
                # Another process may have stored the same picture since it was looked up.
                for content, descriptor in fresh.items():
                    self._stored.keep(tx, content, to_bytes(to_integers(descriptor)))
            reach("staged")
            _log.debug("stored %d descriptors", len(fresh))
        for one in batch:
            if isinstance(one, HeldPicture) and (error := refused.get(one.content)):
                yield Refusal(one.place, error.reason, error.detail)
            else:
                yield _staged(one) if isinstance(one, HeldPicture) else one


def _staged(held: HeldPicture) -> Staged:
    data = held.picture.source
    shot = shot_of(data) if isinstance(data, bytes) else None
    occasion = Occasion(None, shot.camera, shot.taken) if shot else NOTHING_KNOWN
    place = () if held.place is None else (Place(held.place, held.size, held.modified),)
    return Staged(held.content, place, occasion)


def occasions_by(group_by: str | None) -> Callable[[Staged | Refusal], Staged | Refusal]:
    """What names the occasions of pictures: ``folder``, the folder that each lies in, or nothing.

    What was named already stays.

    Raises:
        InvalidInput: there is no such way.
    """
    if group_by not in {None, "folder"}:
        raise InvalidInput(f"pictures are grouped by folder, not by {group_by!r}")

    def named(one: Staged | Refusal) -> Staged | Refusal:
        if isinstance(one, Refusal) or not one.places or one.occasion.name is not None:
            return one
        return called(one, os.path.dirname(one.places[0].path))  # noqa: PTH120

    return named if group_by else lambda one: one


def called(one: Staged | Refusal, name: str | None) -> Staged | Refusal:
    """A staged picture of an occasion that the owner has a name for."""
    if isinstance(one, Refusal) or name is None:
        return one
    return replace(one, occasion=one.occasion._replace(name=name))


def staging_of(catalog: Opened) -> Staging:
    """What embeds pictures for a catalogue."""
    return Staging(catalog._store, catalog.embedder, catalog._stored)


def stage_for(
    catalog: Opened,
    name: Name,
    pictures: Iterable[Source | Picture],
    check: Callable[[Transaction, Name], object] | None = None,
    progress: Progress | None = None,
) -> StagedFor:
    """Embed pictures for a class, once it is clear that they could go there.

    Raises:
        InvalidInput: no pictures were given, or one that is not in a list.
        NotFound, LabelConflict: as ``check`` does.
    """
    if isinstance(pictures, str | bytes | PathLike | np.ndarray | Picture):
        raise InvalidInput("pictures come as a list, also when there is only one")
    if check is not None:
        with catalog._store.reading() as tx:
            check(tx, name)  # before the work of embedding, and again when they land
    taken: deque[Source | Picture] = deque()  # those whose outcomes are still to come
    found = StagedFor([])
    outcomes = staging_of(catalog).stage(_noted(pictures, taken))
    for outcome in counted(outcomes, progress):
        found.add(outcome, taken.popleft())
    if not found.outcomes:
        raise InvalidInput(f"no pictures were given for {name.text!r}")
    return found


def _noted(
    pictures: Iterable[Source | Picture], taken: deque[Source | Picture]
) -> Iterator[Source | Picture]:
    for picture in pictures:
        taken.append(picture)
        yield picture
