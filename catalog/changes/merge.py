"""Another catalogue's items taken over, without embedding a picture."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.changes.command import Command
from catalog.changes.landing import Added, Imported, land
from catalog.changes.staging import Staged
from catalog.descriptors import (
    Advice,
    Conflict,
    Damaged,
    EmbedderMismatch,
)
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.manifest.pictures import Progress
from catalog.store import (
    ItemId,
    Transaction,
    binding,
    copying,
    embedders,
    files,
    inventory,
    made_up,
    occasions,
    thumbnails,
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
        values: its descriptors as stored, by the fingerprints of their embedders.
        staged: what else is known of it.
        thumbnail: a small copy, if there is one.
    """

    values: Mapping[str, bytes]
    staged: Staged
    thumbnail: bytes | None

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
            common = _in_common(its, file, catalog)
            return _take_over(catalog, command, its, common, move=move, progress=progress)


class _OfBoth(NamedTuple):
    """An embedder that both catalogues have: as this one has it, and as the other."""

    bound: Bound
    its: Binding


def _in_common(other: Store, file: Path, catalog: Opened) -> list[_OfBoth]:
    """The embedders of another catalogue whose descriptors may be mixed with those of this one.

    The first is the one in use there.

    Raises:
        EmbedderMismatch: it is not the one in use here.
    """
    bounds = catalog._every_bound()
    with other.reading() as tx:
        theirs = [binding.read(tx, one) for one in embedders.every(tx)]
        active = binding.read(tx)
    own = bounds[0].fingerprint
    if active.fingerprint != own:
        raise EmbedderMismatch(
            f"{file} holds descriptors of embedder {active.fingerprint[:12]}, and this "
            f"catalogue of {own[:12]}; they cannot be mixed. Import its pictures instead",
            own=own,
            other=active.fingerprint,
        )
    known = {one.fingerprint: one for one in theirs}
    return [
        _OfBoth(bound, known[bound.fingerprint]) for bound in bounds if bound.fingerprint in known
    ]


def _take_over(
    catalog: Opened,
    command: Command,
    other: Store,
    common: Sequence[_OfBoth],
    *,
    move: bool,
    progress: Progress | None,
) -> Imported:
    """Take over another catalogue's classes, each in a transaction of its own.

    Args:
        catalog: that grows.
        command: that this is.
        other: the other one, of the same embedder.
        common: the embedders that both have.
        move: take pictures away from other classes, instead of refusing them.
        progress: told of each picture.

    Raises:
        Damaged: a descriptor of the other one does not match its checksum.
    """
    landed: list[Added] = []
    refused: dict[str, str] = {}
    store = catalog._store
    with store.reading() as tx:
        copies = thumbnails.are_kept(tx)
    with other.reading() as tx:
        dropped = compacted_classes(tx)
        classes = inventory.label_counts(tx)
        wanted = inventory.kept(tx, common[0].its.id)
        kept = [(_incoming(tx, common, item, copies=copies), place) for item, place in wanted]
    for row in classes:
        if row.slot in dropped:
            refused[row.label] = "its descriptors were dropped"
            continue
        name = Name.parse(row.label)
        with other.reading() as tx:
            own = inventory.items_in(tx, row.slot)
            incoming = [_incoming(tx, common, item, copies=copies) for item in own]
        _stage(store, common, incoming)
        reach("merging")
        added = land(
            command, name, [picture.staged for picture in incoming], move=move, kind="merge"
        )
        landed.append(added)
        if progress is not None:
            progress(len(incoming))
    _keep(store, common, kept)
    return Imported(tuple(landed), refused)


def _incoming(
    tx: Transaction, common: Sequence[_OfBoth], item: ItemId, *, copies: bool
) -> _Incoming:
    """A picture of the other catalogue, with its small copy if such are wanted."""
    content = inventory.contents(tx, [item]).get(item, b"")
    values: dict[str, bytes] = {}
    photos: dict[str, NDArray[np.int16]] = {}
    for at, (bound, its) in enumerate(common):
        stored = StoredDescriptors(its.id, its.specification.width)
        if at and not stored.holds(tx, content):
            continue  # one that is not in use there need not know every picture
        try:
            _, values[bound.fingerprint] = stored.as_stored(tx, item)
        except Damaged as error:
            fact = f"the descriptor of item {item} of the other catalogue is damaged"
            raise Damaged(fact, Advice("verify")) from error
        made = made_up.of(tx, stored, item)
        if made is not None:
            photos[bound.fingerprint] = made
    staged = Staged(content, inventory.places(tx, item), occasions.of(tx, item), photos)
    return _Incoming(values, staged, thumbnails.of(tx, item) if copies else None)


def _stage(store: Store, common: Sequence[_OfBoth], pictures: Sequence[_Incoming]) -> None:
    """Store descriptors of pictures that belong to no class yet."""
    with store.writing() as tx:
        common[0].bound.require_there(tx)
        for bound, _ in common:
            if bound.is_there(tx):
                for picture in pictures:
                    if bound.fingerprint in picture.values:
                        bound.stored.keep(tx, picture.content, picture.values[bound.fingerprint])
        copies = {picture.content: picture.thumbnail for picture in pictures}
        thumbnails.keep(tx, {of: jpeg for of, jpeg in copies.items() if jpeg is not None})


def _keep(
    store: Store, common: Sequence[_OfBoth], kept: Sequence[tuple[_Incoming, str | None]]
) -> None:
    """Take over photos that were ``unknown`` and kept."""
    if kept:
        _stage(store, common, [picture for picture, _ in kept])
        with store.writing() as tx:
            for picture, place in kept:
                inventory.keep(tx, picture.content, place, anew=False)
