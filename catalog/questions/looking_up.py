"""What a catalogue says of descriptors, as one of its embedders made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.answers import Neighbour, Prediction
from catalog.descriptors import Conflict
from catalog.learning.asked import Told
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.snapshot import JudgingSnapshot
from catalog.store import ItemId, inventory
from catalog.store.compaction import is_compacted


def neighbours(
    catalog: Opened, bound: Bound, rows: NDArray[np.float32], k: int
) -> list[list[Neighbour]]:
    """The k nearest items of descriptors float32 (Q, D).

    Raises:
        InvalidInput: k < 1.
        Switched: another embedder is active by now.
    """

    def sources(items: Sequence[int]) -> list[tuple[str, ...]]:
        with catalog._store.reading() as tx:
            return [inventory.sources(tx, ItemId(item)) for item in items]

    return bound.keeper.nearest(
        lambda snapshot: answers.nearest(snapshot, rows, k, bound.rows.floats, sources)
    )


def row_of_item(catalog: Opened, bound: Bound, item: ItemId) -> NDArray[np.float32]:
    """The descriptor of an item: float32 (D,).

    Raises:
        NotFound: there is no such item.
        Conflict: its descriptor was dropped.
        Switched: another embedder is active by now.
    """
    with catalog._store.reading() as tx:
        inventory.slot_of(tx, item)
        if is_compacted(tx, item):
            raise Conflict(f"the descriptor of item {item} was dropped; ask with its picture")
    return np.asarray(bound.rows.floats(np.array([item], np.int64))[0], np.float32)


def like_item(
    catalog: Opened, bound: Bound, row: NDArray[np.float32], item: int, k: int
) -> list[Neighbour]:
    """The k items nearest to one of them, float32 (D,), itself left out.

    Raises:
        InvalidInput: k < 1.
        Switched: another embedder is active by now.
    """
    (found,) = neighbours(catalog, bound, row[None], k + 1 if k > 0 else k)
    return [near for near in found if near.item != item][:k]


def predictions(
    bound: Bound, rows: NDArray[np.float32], top: int, precision: float
) -> tuple[list[Prediction], Told]:
    """Which class descriptors float32 (Q, D) are, and what there is to count of that.

    Raises:
        InvalidInput: top < 1, or the precision is not between 0 and 1.
        Switched: another embedder is active by now.
    """

    def judge(snapshot: JudgingSnapshot) -> tuple[list[Prediction], Told]:
        found = answers.predict(snapshot, rows, top, bound.rows.floats, precision)
        return found, _told(snapshot, found)

    return bound.keeper.judge(judge)


def _told(snapshot: JudgingSnapshot, found: Iterable[Prediction]) -> Told:
    """The verdicts that answers came to, by the slots of the classes that they name."""
    moment = snapshot.moment
    slots = moment.slots_named
    return Told(
        moment.version,
        tuple((slots[one.label], one.verdict) for one in found if one.label is not None),
    )
