"""Pictures of the catalogue judged by what was learnt without them.

The items are dealt into folds, and metric, centroids and head are learnt anew from the other folds.
Photos taken in one burst would vouch for each other, so near-duplicates stay in one fold, and count
together as one: single linkage of pictures of a class that are as alike as a picture and a photo
made up of it. Where that was not measured for the embedder, they are those that are more alike than
three in five pictures are to anything of another class. The result is a function of the descriptors
alone, in whatever order they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric, Prior, Sums, class_means, fit, to_floats
from catalog.head import Blocks, Head, draw_classes, solve_blocks
from catalog.index import near_duplicate_groups, typical_stranger_cosine
from catalog.judging.witnesses import NearestOfClass, Witnesses

STRANGER_QUANTILE = 0.6
"""Where it was not measured how alike pictures and photos of them are, items of a class are one
group if they are more alike than this share of items are to the item of another class that is most
like them."""

DRAWN = 32
"""How many descriptors are drawn of a class whose own are not at hand."""

_FOLDS = 5
_FOLDED_ITEMS = 5000  # above, one held-out part is enough, and five would take many seconds
_HELD_OUT = 2000

FOLDING_RULE = f"{_FOLDS} folds, alike or strangers {STRANGER_QUANTILE:g}, {DRAWN} drawn"
"""How pictures are held out, in short."""


@dataclass(frozen=True)
class HeldOut:
    """What was said of M held-out pictures, and what they are.

    Attributes:
        witnesses: of each, by what was learnt without it.
        truth: int64 (M,), the place of its class.
        share: float64 (M,), what it counts; near-duplicates count 1 together.
        groups: how many there are that are not near-duplicates.
    """

    witnesses: Witnesses
    truth: NDArray[np.int64]
    share: NDArray[np.float64]
    groups: int


@dataclass(frozen=True)
class Pool:
    """The stored descriptors of a catalogue, and what else its learning rests on.

    Attributes:
        rows: int16 (N, D), in the order of content hashes.
        positions: int64 (N,), the class of each row by its place in ``order``.
        sums: of all descriptors, these and those that are not stored any more.
        order: the class ids, in the order of names.
        prior: that the metric starts from.
        with_head: whether there is a head.
        dropped: the classes some of whose descriptors are not stored any more.
    """

    rows: NDArray[np.int16]
    positions: NDArray[np.int64]
    sums: Sums
    order: Sequence[int]
    prior: Prior
    with_head: bool = True
    dropped: Sequence[int] = ()

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The near-duplicates of each item, int64 (N,): the first of its group."""
        return near_duplicates(self.rows, self.positions, self.prior)

    def cross_fit(self) -> HeldOut | None:
        """Hold out pictures, and judge them by the rest; None if there are no two classes.

        Nor is there anything to judge where every class is of one group: it goes with its pictures.
        """
        if len(np.unique(self.positions)) < 2:
            return None
        part_of, parts = _dealt(self.groups)
        judged, items = [], []
        for part in range(parts):
            test = part_of == part
            seen = np.isin(self.positions[test], self._left(test))
            if seen.any():  # in a shop with one picture of each thing none is, and none is asked
                judged.append(self._judge(test).of(seen))
                items.append(np.flatnonzero(test)[seen])
        if not items:
            return None
        held = np.concatenate(items)
        _, group, sizes = np.unique(self.groups[held], return_inverse=True, return_counts=True)
        return HeldOut(
            Witnesses.stacked(judged), self.positions[held], 1 / sizes[group], len(sizes)
        )

    def _left(self, test: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The places of classes that are there without the held-out items."""
        dropped = [self.order.index(label) for label in self.dropped]
        return np.union1d(self.positions[~test], np.array(dropped, np.int64))

    def _judge(self, test: NDArray[np.bool_]) -> Witnesses:
        """What is said of held-out items by the rest."""
        rest = self.sums.without(np.array(self.order)[self.positions[test]], self.rows[test])
        gone = [key for key, _ in rest.gone()]
        present = [at for at, label in enumerate(self.order) if label in rest.counts]
        left = [self.order[at] for at in present]
        metric = fit(rest, [*left, *gone], self.prior)
        queries = metric.whiten(to_floats(self.rows[test]))
        means = np.zeros((len(self.order), self.prior.width), np.float32)
        means[present] = metric.whiten(class_means(rest, left))
        gallery, positions = self.rows[~test], self.positions[~test]
        nearest = NearestOfClass(len(queries), len(self.order))

        def passing() -> Iterator[NDArray[np.float32]]:
            """The gallery, whitened some rows at a time, each seen by the queries as it passes."""
            start = 0
            for block in metric.whiten_stored(gallery):
                nearest.see(queries @ block.T, positions[start : start + len(block)])
                start += len(block)
                yield block

        head = None
        if self.with_head:
            trained = self._solved(passing, positions, rest, metric)
            head = trained.logits(queries) / np.float32(trained.scale)
        else:
            deque(passing(), maxlen=0)
        return Witnesses(queries @ means.T, head, nearest.scores)

    def _solved(
        self, blocks: Blocks, positions: NDArray[np.int64], sums: Sums, metric: Metric
    ) -> Head:
        """The head of some whitened rows, with draws of classes that were dropped."""
        draws = np.zeros((0, self.prior.width), np.float32)
        if self.dropped:
            draws = draw_classes(sums, self.dropped, metric, DRAWN)
        places = [self.order.index(label) for label in self.dropped]
        return solve_blocks(
            lambda: chain(blocks(), [draws]),
            np.concatenate([positions, np.repeat(np.array(places, np.int64), DRAWN)]),
            self.order,
            width=self.prior.width,
        )


def near_duplicates(
    rows: NDArray[np.int16], positions: NDArray[np.int64], prior: Prior
) -> NDArray[np.int64]:
    """The near-duplicates of each item, int64 (N,): the first of its group.

    They are found under the prior's metric, which has seen none of the pictures; the catalogue's
    own draws even unlike pictures of a class together. Without a second class nothing says how
    alike strangers are; where that is needed, each item is a group of its own then.

    Args:
        rows: int16 (N, D), descriptors in the order of content hashes.
        positions: int64 (N,), the class of each.
        prior: of their embedder.
    """
    if prior.alike is None and len(np.unique(positions)) < 2:
        return np.arange(len(positions), dtype=np.int64)
    white = fit(Sums(prior.width), (), prior).whiten(to_floats(rows))
    threshold = prior.alike
    if threshold is None:
        threshold = typical_stranger_cosine(white, positions, quantile=STRANGER_QUANTILE)
    return near_duplicate_groups(white, positions, threshold)


def _dealt(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """The part that each item is held out with (-1 for never), and how many parts there are.

    Groups are dealt in the order of content hashes, which is as good as random and always the same.
    """
    _, dense = np.unique(groups, return_inverse=True)
    if len(groups) <= _FOLDED_ITEMS:
        return dense % _FOLDS, _FOLDS
    chosen = np.cumsum(np.bincount(dense)) <= _HELD_OUT
    chosen[0] = True
    return np.where(chosen[dense], 0, -1), 1
