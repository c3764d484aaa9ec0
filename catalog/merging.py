"""Another catalogue's items taken over, without embedding a picture."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from catalog import inventory, landing
from catalog.classes import refuse_variant
from catalog.compaction import compacted_classes
from catalog.descriptors import Damaged, LabelConflict
from catalog.failpoints import reach
from catalog.head_keeper import HeadKeeper
from catalog.results import Imported
from catalog.staging import Progress, Staged
from catalog.store import Store


class _Taken(NamedTuple):
    """A picture of the other catalogue: its descriptor as stored, and where it was found."""

    content: bytes
    value: bytes
    checksum: int
    places: tuple[str, ...]

    @property
    def staged(self) -> Staged:
        """The picture as one to be landed."""
        first = self.places[0] if self.places else None
        return Staged(first, self.content, self.places[1:])


def merge(
    store: Store,
    embedder_id: int,
    other: Store,
    its_embedder_id: int,
    *,
    move: bool,
    keeper: HeadKeeper,
    progress: Progress | None,
) -> Imported:
    """Take over another catalogue's classes, each in a transaction of its own.

    Args:
        store: of the catalogue that grows.
        embedder_id: the embedder's row in it.
        other: the other one, of the same embedder.
        its_embedder_id: the embedder's row in that.
        move: take pictures away from other classes, instead of refusing them.
        keeper: widens the head for each new class.
        progress: told of each picture.

    Raises:
        Damaged: a descriptor of the other one does not match its checksum.
    """
    result = Imported()
    with other.reading() as its:
        dropped = compacted_classes(its)
        classes = inventory.label_counts(its)
        kept = [(_taken(its, its_embedder_id, item), p) for item, p in inventory.kept(its)]
    command = None
    for row in classes:
        if row.slot in dropped:
            result.refused_classes[row.label] = "its descriptors were dropped by `catalog compact`"
            continue
        with other.reading() as its:
            taken = [
                _taken(its, its_embedder_id, item.id) for item in inventory.items(its, row.label)
            ]
        try:
            with store.reading() as tx:
                refuse_variant(tx, row.label)
            _stage(store, embedder_id, taken)
            reach("merging")
            added = landing.land(
                store,
                row.label,
                [one.staged for one in taken],
                check=refuse_variant,
                move=move,
                command=command,
                keeper=keeper,
                kind="merge",
            )
        except LabelConflict as error:
            result.refused_classes[row.label] = str(error)
            continue
        result.classes.append(added)
        command = command or added.event
        if progress is not None:
            progress(len(taken))
    _keep(store, embedder_id, kept)
    return result


def _taken(tx: sqlite3.Connection, embedder_id: int, item: int) -> _Taken:
    row = tx.execute(
        "SELECT content, value, checksum FROM item JOIN descriptor ON descriptor.item = item.id "
        "WHERE item.id = ? AND embedder = ?",
        (item, embedder_id),
    ).fetchone()
    if row is None or zlib.crc32(row[1]) != row[2]:
        raise Damaged(
            f"the descriptor of item {item} of the other catalogue is damaged; `catalog verify` "
            "says what else is wrong with it"
        )
    content, value, checksum = row
    return _Taken(content, value, checksum, landing.sources(tx, item))


def _stage(store: Store, embedder_id: int, taken: Sequence[_Taken]) -> None:
    """Store descriptors of pictures that belong to no class yet."""
    with store.writing() as tx:
        for one in taken:
            tx.execute("INSERT OR IGNORE INTO item (content) VALUES (?)", (one.content,))
            tx.execute(
                "INSERT OR IGNORE INTO descriptor (item, embedder, value, checksum) SELECT id, ?, "
                "?, ? FROM item WHERE content = ? AND id NOT IN (SELECT item FROM compacted_item)",
                (embedder_id, one.value, one.checksum, one.content),
            )


def _keep(store: Store, embedder_id: int, kept: Sequence[tuple[_Taken, str | None]]) -> None:
    """Take over photos that were ``unknown`` and kept."""
    if kept:
        _stage(store, embedder_id, [one for one, _ in kept])
        with store.writing() as tx:
            for one, place in kept:
                inventory.keep(tx, one.content, place, anew=False)
