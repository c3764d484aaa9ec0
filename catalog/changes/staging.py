"""Pictures become descriptors in the store before any class is changed.

Embedding is the slow part and changes nothing that anyone can see: each descriptor is stored under
the hash of its picture as soon as it is there, and a picture whose descriptor is there is never
embedded again, whatever was killed, undone or removed in between.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from catalog.changes import embedding
from catalog.descriptors import InvalidInput, PictureError
from catalog.embedder import Picture, Source, as_picture, shot_of
from catalog.learning.opened import Opened
from catalog.manifest.pictures import HeldPicture, Progress, Refusal, counted, hold_each
from catalog.store import Transaction
from catalog.store.failpoints import reach
from catalog.store.inventory import Place
from catalog.store.names import Name
from catalog.store.occasions import NOTHING_KNOWN, Occasion

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
        made_up: int16 (K, D), the descriptors of photos that were made up of it, if any were, by
            the fingerprint of the embedder that they are of.
    """

    content: bytes
    places: tuple[Place, ...] = ()
    occasion: Occasion = NOTHING_KNOWN
    made_up: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)

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
        given: those that lie in files, as they were given, by their places among the outcomes.
    """

    outcomes: list[Staged | Refusal]
    first: Source | Picture | None = None
    given: dict[int, Picture] = field(default_factory=dict)
    _least: bytes | None = None

    def add(self, outcome: Staged | Refusal, picture: Source | Picture) -> None:
        """Take in the outcome of one more picture."""
        shown = as_picture(picture)
        if not isinstance(shown.source, bytes | np.ndarray):  # which may be too large to hold
            self.given[len(self.outcomes)] = shown
        self.outcomes.append(outcome)
        if isinstance(outcome, Staged) and (self._least is None or outcome.content < self._least):
            self.first, self._least = picture, outcome.content


class Staging:
    """Stores the descriptors of pictures that the catalogue does not have yet.

    Args:
        catalog: that they are for.
    """

    def __init__(self, catalog: Opened) -> None:
        self._catalog = catalog
        self._bound = catalog._bound

    def stage(self, pictures: Iterable[Source | Picture]) -> Generator[Staged | Refusal]:
        """Embed what is not known yet and store it, batch by batch.

        While a batch is stored, and while the caller makes use of it, the embedder is at work on
        the next, and the pictures behind it are being read. The store is used in the caller's
        thread alone.

        Yields:
            The outcome of each picture, in order, once it is on disk.

        Raises:
            Locked, Damaged, CatalogError: as :meth:`Store.writing` does.
            InvalidInput: one is no picture at all; this, like any other error of ``pictures``,
                comes after the outcomes of those before it.
        """
        with closing(hold_each(pictures)) as read:
            passage = _Passage(read)
            while not passage.is_over:
                results = self._bound.embedder.embed_each(self._unknown(passage))
                try:
                    for result, asked in zip(results, passage.popped(), strict=True):
                        passage.take(asked, result)
                        yield from self._settled(passage)
                finally:
                    if isinstance(results, Generator):
                        results.close()  # whatever holds on to it, nothing more is embedded
                yield from self._settled(passage)
        if passage.failure is not None:
            raise passage.failure

    def _unknown(self, passage: _Passage) -> Generator[Picture]:
        """The pictures that have to be embedded, up to a batch of which all are known.

        There it ends, though more may come: what waits for nothing is not to wait for the
        pictures behind it.
        """
        while pictures := passage.next_batch():
            with self._catalog._store.reading() as tx:
                unknown = [one for one in pictures if not self._bound.stored.holds(tx, one)]
            passage.ask({content: pictures[content] for content in unknown})
            if not unknown:
                return
            for content in unknown:
                yield pictures[content]

    def _settled(self, passage: _Passage) -> Iterator[Staged | Refusal]:
        """Store the batches that wait for no descriptor, and give their outcomes."""
        while batch := passage.pop_whole():
            if batch.fresh:
                pictures = {content: batch.asked_for[content] for content in batch.fresh}
                embedding.store(self._catalog, self._bound, batch.fresh, pictures)
                reach("staged")
                _log.debug("stored %d descriptors", len(batch.fresh))
            for one in batch.read:
                if isinstance(one, Staged) and (error := passage.refused.get(one.content)):
                    yield Refusal(one.place, error.reason, error.detail, content=one.content.hex())
                else:
                    yield one


@dataclass(slots=True, eq=False)
class _Batch:
    """Pictures that are looked up and stored together.

    Attributes:
        read: what was read of each, in order.
        asked: how many of them the embedder has been asked for, and has not given.
        asked_for: these pictures, and those that it has given, by content hash.
        fresh: descriptors float32 (D,) of those that it has given, by content hash.
    """

    read: list[Staged | Refusal] = field(default_factory=list)
    asked: int = 0
    asked_for: Mapping[bytes, Picture] = field(default_factory=dict)
    fresh: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)


class _Passage:
    """The pictures that have been read and not been stored yet, in batches.

    Args:
        read: what is read of each picture, in order.

    Attributes:
        is_over: whether nothing is left to be read.
        failure: what has ended it before its time.
        refused: the pictures that the embedder has refused, by content hash.
    """

    def __init__(self, read: Iterator[HeldPicture | Refusal]) -> None:
        self.is_over = False
        self.failure: Exception | None = None
        self.refused: dict[bytes, PictureError] = {}
        self._read = read
        self._batches: deque[_Batch] = deque()
        self._asked: deque[tuple[_Batch, bytes]] = deque()

    def next_batch(self) -> dict[bytes, Picture]:
        """Take up some more pictures.

        Returns:
            By content hash, those that the embedder is not at work on and has not refused; empty
            if there is none, or nothing left to be read.
        """
        batch = _Batch()
        under_way = {content for _, content in self._asked} | self.refused.keys()
        for before in self._batches:
            under_way |= before.fresh.keys()
        pictures: dict[bytes, Picture] = {}
        weight = 0
        while len(batch.read) < _BATCH_PICTURES and weight < _BATCH_BYTES:
            try:
                one = next(self._read)
            except StopIteration:
                self.is_over = True
                break
            except Exception as error:  # noqa: BLE001 - raised when those before it are stored
                self.is_over, self.failure = True, error
                break
            if isinstance(one, HeldPicture):
                weight += one.size
                batch.read.append(as_staged(one))
                if one.content not in under_way:
                    pictures[one.content] = one.picture
            else:
                batch.read.append(one)
        self._batches.append(batch)
        return pictures

    def ask(self, pictures: Mapping[bytes, Picture]) -> None:
        """Note that the embedder is asked for pictures of the latest batch, in this order."""
        latest = self._batches[-1]
        latest.asked, latest.asked_for = len(pictures), pictures
        self._asked.extend((latest, content) for content in pictures)

    def popped(self) -> Iterator[tuple[_Batch, bytes]]:
        """What the embedder was asked for, the earliest first."""
        while self._asked:
            yield self._asked.popleft()

    def take(self, asked: tuple[_Batch, bytes], result: NDArray[np.float32] | PictureError) -> None:
        """Take in what the embedder has given."""
        batch, content = asked
        batch.asked -= 1
        if isinstance(result, PictureError):
            self.refused[content] = result
        else:
            batch.fresh[content] = result

    def pop_whole(self) -> _Batch | None:
        """The earliest batch, if it waits for nothing."""
        return self._batches.popleft() if self._batches and not self._batches[0].asked else None


def as_staged(held: HeldPicture) -> Staged:
    """What a picture that was read would land as, once its descriptor is stored."""
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


def staged_by_active(catalog: Opened, staged: StagedFor) -> None:
    """Embed what the active embedder lacks: another has become so since pictures were staged.

    Raises:
        As :meth:`Staging.stage` does.
    """
    with catalog._store.reading() as tx:
        stored = catalog._bound.stored
        lacking = [
            at
            for at, one in enumerate(staged.outcomes)
            if isinstance(one, Staged) and at in staged.given and not stored.holds(tx, one.content)
        ]
    if lacking:
        again = Staging(catalog).stage(staged.given[at] for at in lacking)
        for at, outcome in zip(lacking, again, strict=True):
            before = staged.outcomes[at]
            if isinstance(outcome, Refusal) or not isinstance(before, Staged):
                staged.outcomes[at] = outcome
            else:  # what was said of the picture beside stays
                staged.outcomes[at] = replace(outcome, occasion=before.occasion)


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
    outcomes = Staging(catalog).stage(_noted(pictures, taken))
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
