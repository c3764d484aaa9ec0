"""Another catalogue's items taken over, without embedding a picture."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from catalog.changes.command import Command
from catalog.changes.landing import Added, Imported, land
from catalog.changes.staging import Staged
from catalog.descriptors import (
    Advice,
    Conflict,
    Damaged,
    EmbedderMismatch,
)
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.manifest.pictures import Progress
from catalog.store import (
    ItemId,
    Transaction,
    binding,
    copying,
    files,
    inventory,
    made_up,
    occasions,
)
from catalog.store.binding import Binding
from catalog.store.compaction import compacted_classes
from catalog.store.descriptors import StoredDescriptors
from catalog.store.failpoints import reach
from catalog.store.names import Name
from catalog.store.store import Store


class _Incoming(NamedTuple):
    """A picture of the other catalogue.

    Attributes:
        value: its descriptor as stored.
        staged: what else is known of it.
    """

    value: bytes
    staged: Staged

    @property
    def content(self) -> bytes:
        """Its content hash."""
        return self.staged.content


def merge(
    catalog: Opened,
    other: str | PathLike[str],
    *,
    move: bool = False,
    progress: Progress | None = None,
    training: TrainingProgress | None = None,
) -> Imported:
    """Take over the items of another catalogue of the same embedder. Can be undone.

    Each class lands in a transaction of its own, and what is here already is left as it is, so
    a merge that was cut short is finished by running it again. What comes of it is what a
    catalogue would be that was made of all the pictures.

    Args:
        other: its file, which stays as it is.
        move: take pictures away from other classes, instead of refusing them.
        progress: told of each picture.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound: there is no such file.
        EmbedderMismatch: its descriptors are of another embedder.
        Conflict: it is this catalogue.
        Damaged: it cannot be read.
    """
    file = Path(other).absolute()
    if files.exists(file) and file.samefile(catalog.path):
        raise Conflict(f"{file} is this catalogue itself; name another one to take over")
    # From a copy, which is of one moment.
    with Command(catalog, training=training) as command, files.beside(catalog.path) as copy:
        copying.snapshot(file, copy)
        with contextlib.closing(Store(copy, called=file)) as its:
            bound_to = _embedder_of(its, file, catalog)
            return _take_over(catalog, command, its, bound_to, move=move, progress=progress)


def _embedder_of(other: Store, file: Path, catalog: Opened) -> Binding:
    """The embedder of another catalogue, if its descriptors may be mixed with those of this one.

    Raises:
        EmbedderMismatch: they are of another embedder.
    """
    with other.reading() as tx:
        its = binding.read(tx)
    if its.fingerprint != catalog._binding.fingerprint:
        raise EmbedderMismatch(
            f"{file} holds descriptors of embedder {its.fingerprint[:12]}, and this "
            f"catalogue of {catalog._binding.fingerprint[:12]}; they cannot be mixed. Import "
            "its pictures instead",
            own=catalog._binding.fingerprint,
            other=its.fingerprint,
        )
    return its


def _take_over(
    catalog: Opened,
    command: Command,
    other: Store,
    its: Binding,
    *,
    move: bool,
    progress: Progress | None,
) -> Imported:
    """Take over another catalogue's classes, each in a transaction of its own.

    Args:
        catalog: that grows.
        command: that this is.
        other: the other one, of the same embedder.
        its: the embedder of that.
        move: take pictures away from other classes, instead of refusing them.
        progress: told of each picture.

    Raises:
        Damaged: a descriptor of the other one does not match its checksum.
    """
    landed: list[Added] = []
    refused: dict[str, str] = {}
    with other.reading() as tx:
        dropped = compacted_classes(tx)
        classes = inventory.label_counts(tx)
        kept = [(_incoming(tx, its, item), place) for item, place in inventory.kept(tx, its.id)]
    store, stored = catalog._store, catalog._stored
    for row in classes:
        if row.slot in dropped:
            refused[row.label] = "its descriptors were dropped"
            continue
        name = Name.parse(row.label)
        with other.reading() as tx:
            incoming = [_incoming(tx, its, item) for item in inventory.items_in(tx, row.slot)]
        _stage(store, stored, incoming)
        reach("merging")
        added = land(
            command, name, [picture.staged for picture in incoming], move=move, kind="merge"
        )
        landed.append(added)
        if progress is not None:
            progress(len(incoming))
    _keep(store, stored, kept)
    return Imported(tuple(landed), refused)


def _incoming(tx: Transaction, its: Binding, item: ItemId) -> _Incoming:
    stored = StoredDescriptors(its.id, its.specification.width)
    try:
        content, value = stored.as_stored(tx, item)
    except Damaged as error:
        fact = f"the descriptor of item {item} of the other catalogue is damaged"
        raise Damaged(fact, Advice("verify")) from error
    places, occasion = inventory.places(tx, item), occasions.of(tx, item)
    photos = made_up.of(tx, stored, item)
    made = {} if photos is None else {its.fingerprint: photos}
    return _Incoming(value, Staged(content, places, occasion, made))


def _stage(store: Store, stored: StoredDescriptors, pictures: Sequence[_Incoming]) -> None:
    """Store descriptors of pictures that belong to no class yet."""
    with store.writing() as tx:
        for picture in pictures:
            stored.keep(tx, picture.content, picture.value)


def _keep(
    store: Store, stored: StoredDescriptors, kept: Sequence[tuple[_Incoming, str | None]]
) -> None:
    """Take over photos that were ``unknown`` and kept."""
    if kept:
        _stage(store, stored, [picture for picture, _ in kept])
        with store.writing() as tx:
            for picture, place in kept:
                inventory.keep(tx, picture.content, place, anew=False)
