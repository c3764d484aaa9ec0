"""Descriptors of pictures stored, by every embedder that the catalogue has, and small copies.

While another embedder is brought in, and while the former one can be gone back to, what comes in
meanwhile is embedded by both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import BackboneError, NotFound, PictureError, to_bytes, to_integers
from catalog.embedder import Embedder, Picture
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.store import Transaction, thumbnails


def store(
    catalog: Opened,
    by: Bound,
    fresh: Mapping[bytes, NDArray[np.float32]],
    pictures: Mapping[bytes, Picture],
    then: Callable[[Transaction], object] | None = None,
) -> None:
    """Store descriptors of pictures, what other embedders say of them, and small copies.

    Copies are stored where the catalogue keeps them.

    Args:
        catalog: that they are for.
        by: whose descriptors are given.
        fresh: the descriptors, float32 (D,), by content hash.
        pictures: of those hashes.
        then: what else is to be done in the same transaction.

    Raises:
        Locked, Damaged, CatalogError: as :meth:`Store.writing` does.
    """
    found: dict[Bound, Mapping[bytes, NDArray[np.float32]]] = {by: fresh}
    copies = _copies(catalog, pictures)
    while True:
        for bound in catalog._every_bound():
            if bound not in found:
                found[bound] = _also(catalog, bound, pictures)
        with catalog._store.writing() as tx:
            present = set(catalog._every_bound())
            if not present <= found.keys():
                continue  # another one has come since
            for bound in found.keys() & present:  # the rest was dropped meanwhile
                for content, row in found[bound].items():
                    bound.stored.keep(tx, content, to_bytes(to_integers(row)))
            thumbnails.keep(tx, copies)
            if then is not None:
                then(tx)
            return


def _copies(catalog: Opened, pictures: Mapping[bytes, Picture]) -> dict[bytes, bytes]:
    """Small copies of pictures, by content hash, where they are kept and can be made."""
    with catalog._store.reading() as tx:
        if not thumbnails.are_kept(tx):
            return {}
    made = zip(pictures, catalog._thumbnails.each(pictures.values()), strict=True)
    return {content: jpeg for content, jpeg in made if jpeg is not None}


def _also(
    catalog: Opened, bound: Bound, pictures: Mapping[bytes, Picture]
) -> dict[bytes, NDArray[np.float32]]:
    """The descriptors that another embedder lacks of pictures, by content hash."""
    with catalog._store.reading() as tx:
        lacking = [content for content in pictures if not bound.stored.holds(tx, content)]
    embedder = _loaded(bound) if lacking else None
    if embedder is None:
        return {}
    rows = embedder.embed_each([pictures[content] for content in lacking])
    return {
        content: row
        for content, row in zip(lacking, rows, strict=True)
        if not isinstance(row, PictureError)
    }


def loaded(catalog: Opened) -> Iterator[tuple[Bound, Embedder]]:
    """The embedders of a catalogue, the active one first; others as far as they are here."""
    active, *others = catalog._every_bound()
    yield active, active.embedder
    for bound in others:
        if (embedder := _loaded(bound)) is not None:
            yield bound, embedder


def _loaded(bound: Bound) -> Embedder | None:
    """An embedder that is not to hold up anyone by not being here."""
    try:
        return bound.embedder
    except (NotFound, BackboneError) as error:
        warnings.warn(
            f"pictures are not embedded by embedder {bound.fingerprint[:12]}, too, before it is "
            f"switched to: {error}",
            stacklevel=2,
        )
        return None
