"""What the store knows of how independent pictures are, and the photos made up where none are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Superseded
from catalog.judging.cross_fit import MadeUp
from catalog.judging.occasions import Told
from catalog.store import ItemId, journal, made_up, occasions
from catalog.store.descriptors import StoredDescriptors
from catalog.store.moment import Moment
from catalog.store.occasions import NOTHING_KNOWN, Occasion
from catalog.store.store import Store


def told(store: Store, moment: Moment) -> Told | None:
    """What is known of when the items of a moment were taken; None if nothing is.

    Raises:
        Superseded: another history was restored since.
    """
    with store.reading() as tx:
        if not journal.is_ancestor(tx, moment.version):
            raise Superseded("another state was restored meanwhile; ask again")
        known = occasions.known(tx, moment.version.generation)
    return told_of([known.get(ItemId(item), NOTHING_KNOWN) for item in moment.items.tolist()])


def told_of(said: Sequence[Occasion]) -> Told | None:
    """What is known of when some pictures were taken, as arrays; None if nothing is."""
    if all(one == NOTHING_KNOWN for one in said):
        return None
    names = {name: at for at, name in enumerate(sorted({one.name or "" for one in said}))}
    cameras = {name: at for at, name in enumerate(sorted({one.camera or "" for one in said}))}
    return Told(
        np.array([-1 if one.name is None else names[one.name] for one in said], np.int64),
        np.array(
            [-1 if one.taken is None else cameras[one.camera or ""] for one in said], np.int64
        ),
        np.array([one.taken or 0 for one in said], np.int64),
    )


def photos(store: Store, stored: StoredDescriptors, moment: Moment) -> MadeUp | None:
    """The photos that were made up of items of a moment; None if there are none."""
    with store.reading() as tx:
        holders = made_up.holders(tx, stored)
    if not len(holders):
        return None

    def of(place: int) -> NDArray[np.int16]:
        item = ItemId(int(moment.items[place]))
        with store.reading() as tx:
            found = made_up.of(tx, stored, item)
        if found is None:
            raise Superseded(f"what was made up of item {item} was dropped meanwhile; ask again")
        return found

    return MadeUp(np.isin(moment.items, holders), of)


def amount(store: Store) -> int:
    """How much of both there is."""
    with store.reading() as tx:
        return occasions.count(tx) + made_up.count(tx)


def changed(store: Store, measured: int, generation: int) -> int:
    """How much of it is not as it was, at least.

    Args:
        store: of the catalogue.
        measured: how much there was.
        generation: of the state then.
    """
    with store.reading() as tx:
        present = occasions.count(tx) + made_up.count(tx)
        return max(abs(present - measured), occasions.count(tx, generation))
