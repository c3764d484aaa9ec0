"""Pictures become descriptors in the store before any class is changed.

Embedding is the slow part and changes nothing that anyone can see: each descriptor is stored under
the hash of its picture as soon as it is there, and a picture whose descriptor is there is never
embedded again, whatever was killed, undone or removed in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, PictureError, to_bytes, to_integers
from catalog.embedder import Embedder, Picture, Source
from catalog.learning.opened import Opened
from catalog.pictures import HeldPicture, Progress, Refusal, counted, hold, place_of
from catalog.store import Transaction
from catalog.store.descriptors import StoredDescriptors
from catalog.store.failpoints import reach
from catalog.store.inventory import Place
from catalog.store.names import Name
from catalog.store.store import Store

# A batch is read, looked up, embedded and stored together: large enough that the sync of each
# transaction does not show, small enough that a kill costs a second's work.
_BATCH_PICTURES = 64
_BATCH_BYTES = 64 * 2**20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Staged:
    """A picture whose descriptor is stored.

    Attributes:
        content: its SHA-256, 32 bytes.
        places: where it was found; none for bytes and arrays.
    """

    content: bytes
    places: tuple[Place, ...] = ()

    @property
    def place(self) -> str | None:
        """The path that it is named by in messages."""
        return self.places[0].path if self.places else None


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
    if held.place is None:
        return Staged(held.content)
    return Staged(held.content, (Place(held.place, held.size, held.modified),))


def staging_of(catalog: Opened) -> Staging:
    """What embeds pictures for a catalogue."""
    return Staging(catalog._store, catalog.embedder, catalog._stored)


def stage_for(
    catalog: Opened,
    name: Name,
    pictures: Iterable[Source | Picture],
    check: Callable[[Transaction, Name], object],
    progress: Progress | None = None,
) -> list[Staged | Refusal]:
    """Embed pictures for a class, once it is clear that they could go there.

    Raises:
        InvalidInput: no pictures were given, or one that is not in a list.
        NotFound, LabelConflict: as ``check`` does.
    """
    if isinstance(pictures, str | bytes | PathLike | np.ndarray | Picture):
        raise InvalidInput("pictures come as a list, also when there is only one")
    with catalog._store.reading() as tx:
        check(tx, name)  # before the work of embedding, and again when they land
    outcomes = list(counted(staging_of(catalog).stage(pictures), progress))
    if not outcomes:
        raise InvalidInput(f"no pictures were given for {name.text!r}")
    return outcomes
