"""Pictures become descriptors in the store before any class is changed.

Embedding is the slow part and changes nothing that anyone can see: each descriptor is stored under
the hash of its picture as soon as it is there, and a picture whose descriptor is there is never
embedded again, whatever was killed, undone or removed in between.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import PictureError, RefusalReason, to_bytes, to_integers
from catalog.embedder import Embedder, Picture, Source, content_hash, read_picture
from catalog.failpoints import reach
from catalog.store import Store

# A batch is read, looked up, embedded and stored together: large enough that the sync of each
# transaction does not show, small enough that a kill costs a second's work.
_BATCH_PICTURES = 64
_BATCH_BYTES = 64 * 2**20


Progress: TypeAlias = Callable[[int], None]
"""Called with how many more pictures are done."""

_Outcome = TypeVar("_Outcome")


@dataclass(frozen=True, slots=True)
class Staged:
    """A picture whose descriptor is stored.

    Attributes:
        place: where it was found, or None for bytes and arrays.
        content: its SHA-256, 32 bytes.
        also: where else it was found.
    """

    place: str | None
    content: bytes
    also: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """Everywhere that it was found."""
        return self.also if self.place is None else (self.place, *self.also)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A picture that was not taken in, and why.

    Attributes:
        place: where it was found, or None for bytes and arrays.
        reason: a :data:`RefusalReason`, or ``conflict`` for a picture of another class.
        detail: the reason in words.
    """

    place: str | None
    reason: RefusalReason | str
    detail: str


@dataclass(slots=True)
class _Pending:
    place: str | None
    picture: Picture
    content: bytes


def place_of(picture: Picture) -> str | None:
    """Its absolute path, with the box behind it, if any; None for bytes and arrays."""
    if isinstance(picture.source, bytes | np.ndarray):
        return None
    # A link stays the link that the user wrote.
    path = os.path.abspath(os.fspath(picture.source))  # noqa: PTH100
    # SQLite keeps UTF-8 alone; of another name the odd bytes are written out.
    path = path.encode("utf-8", "backslashreplace").decode()
    return f"{path}#{picture.box}" if picture.box else path


def counted(outcomes: Iterable[_Outcome], progress: Progress | None) -> Iterator[_Outcome]:
    """Pass outcomes on, and tell ``progress`` of each."""
    for outcome in outcomes:
        if progress is not None:
            progress(1)
        yield outcome


class Staging:
    """Stores the descriptors of pictures that the catalogue does not have yet.

    Args:
        store: of the catalogue.
        embedder: that computes them.
        embedder_id: its row in the store.
    """

    def __init__(self, store: Store, embedder: Embedder, embedder_id: int) -> None:
        self._store = store
        self._embedder = embedder
        self._embedder_id = embedder_id

    def stage(self, pictures: Iterable[Source | Picture]) -> Iterator[Staged | Refusal]:
        """Embed what is not known yet and store it, batch by batch.

        Yields:
            The outcome of each picture, in order, once it is on disk.

        Raises:
            Locked, Damaged, CatalogError: as :meth:`Store.writing` does.
        """
        batch: list[_Pending | Refusal] = []
        weight = 0
        for picture in pictures:
            pending, size = self._read(picture)
            batch.append(pending)
            weight += size
            if len(batch) >= _BATCH_PICTURES or weight >= _BATCH_BYTES:
                yield from self._settle(batch)
                batch, weight = [], 0
        yield from self._settle(batch)

    def _read(self, source: Source | Picture) -> tuple[_Pending | Refusal, int]:
        picture = source if isinstance(source, Picture) else Picture(source)
        place = place_of(picture)
        try:
            if isinstance(picture.source, np.ndarray):
                data: bytes | NDArray[np.uint8] = picture.source
            else:
                data = read_picture(picture.source)
        except PictureError as error:
            return Refusal(place, error.reason, error.detail), 0
        held = Picture(data, picture.box)
        size = data.nbytes if isinstance(data, np.ndarray) else len(data)
        return _Pending(place, held, content_hash(data, picture.box)), size

    def _settle(self, batch: list[_Pending | Refusal]) -> Iterator[Staged | Refusal]:
        wanted = {one.content: one.picture for one in batch if isinstance(one, _Pending)}
        with self._store.reading() as tx:
            unknown = [content for content in wanted if not self._known(tx, content)]
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
                for content, descriptor in fresh.items():
                    self._keep(tx, content, descriptor)
            reach("staged")
        for one in batch:
            if isinstance(one, _Pending) and (error := refused.get(one.content)):
                yield Refusal(one.place, error.reason, error.detail)
            else:
                yield Staged(one.place, one.content) if isinstance(one, _Pending) else one

    def _known(self, tx: sqlite3.Connection, content: bytes) -> bool:
        row = tx.execute(
            "SELECT 1 FROM item WHERE content = ? AND (id IN (SELECT item FROM compacted_item) OR "
            "EXISTS (SELECT 1 FROM descriptor WHERE item = item.id AND embedder = ?))",
            (content, self._embedder_id),
        ).fetchone()
        return row is not None

    def _keep(
        self, tx: sqlite3.Connection, content: bytes, descriptor: NDArray[np.float32]
    ) -> None:
        # Another process may have stored the same picture since it was looked up.
        tx.execute("INSERT OR IGNORE INTO item (content) VALUES (?)", (content,))
        value = to_bytes(to_integers(descriptor))
        tx.execute(
            "INSERT OR IGNORE INTO descriptor (item, embedder, value, checksum) "
            "SELECT id, ?, ?, ? FROM item WHERE content = ?",
            (self._embedder_id, value, zlib.crc32(value), content),
        )
