"""Stored descriptors of a moment, read later: some at a time, each in a short transaction.

An item's descriptor never changes, so it does not matter what is written between two blocks. What
`compact` and `forget` take away is another matter: whoever reads for a moment that they have
ended begins again with the present one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Sums, Superseded, to_floats
from catalog.store import compaction, journal
from catalog.store.descriptors import StoredDescriptors
from catalog.store.moment import Moment
from catalog.store.store import Store

_BLOCK = 4096
"""How many are read in one transaction: some 20 ms, for which a writer may have to wait."""


Block: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int16]]


class Rows:
    """The descriptors of a catalogue's items, by their ids.

    Args:
        store: of the catalogue; any thread may read.
        stored: whose descriptors.
    """

    def __init__(self, store: Store, stored: StoredDescriptors) -> None:
        self._store = store
        self.stored = stored

    @property
    def width(self) -> int:
        """D, the length of a descriptor."""
        return self.stored.width

    def of(self, items: NDArray[np.int64]) -> NDArray[np.int16]:
        """The descriptors of items int64 (M,), one after another: int16 (M, D).

        Raises:
            Superseded: one was dropped or forgotten.
            Damaged: one is damaged, or lost.
        """
        rows = np.empty((len(items), self.width), np.int16)
        for where, block in self.blocks(items):
            rows[where] = block
        return rows

    def floats(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same as unit vectors: float32 (M, D)."""
        return to_floats(self.of(items))

    def labelled(
        self, pairs: Sequence[tuple[int, int | None]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """Of items and their label slots, those that have one: slots and descriptors."""
        with_label = [(item, slot) for item, slot in pairs if slot is not None]
        items, slots = np.array(with_label, np.int64).reshape(len(with_label), 2).T
        return slots, self.of(items)

    def blocks(self, items: NDArray[np.int64]) -> Iterator[Block]:
        """The same, a few thousand at a time, in the order in which they came into the file.

        Yields:
            Their places among the items, int64 (B,), and int16 (B, D).
        """
        order = np.argsort(items, kind="stable")
        for start in range(0, len(items), _BLOCK):
            places = order[start : start + _BLOCK]
            with self._store.reading() as tx:
                block = self.stored.of(tx, items[places].tolist())
            yield places, block

    def dropped(self, moment: Moment) -> Sums:
        """The sums of the descriptors that were dropped by the time of a moment.

        Raises:
            Superseded: more were dropped since.
        """
        with self._store.reading() as tx:
            present = journal.version(tx)
            if journal.changes_between(tx, moment.version, present) is None:
                raise Superseded("descriptors were dropped meanwhile; ask again")
            return compaction.sums_of_dropped(tx, self.width)
