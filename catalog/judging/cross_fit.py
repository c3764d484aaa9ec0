"""Pictures of the catalogue judged by what was learnt without them.

The items are dealt into folds, and metric, centroids and head are learnt anew from the other folds.
Photos of one occasion would vouch for each other, so they stay in one fold, and count together as
one. A class all of whose pictures are of one occasion has none to hold out: photos made up of one
of them stand in, and are judged by everything. The result is a function of the descriptors and of
what was said of the pictures, in whatever order they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Metric, Prior, Sums, class_means, fit, to_floats
from catalog.head import Blocks, Head, draw_classes, solve_blocks
from catalog.judging.occasions import OCCASION_RULE, Told, occasions
from catalog.judging.witnesses import NearestOfClass, Witnesses

DRAWN = 32
"""How many descriptors are drawn of a class whose own are not at hand."""

_FOLDS = 5
_FOLDED_ITEMS = 5000  # above, one held-out part is enough, and five would take many seconds
_HELD_OUT = 2000
_MOST_OF_PART = 0.1  # what one occasion may take of that before the others have had their place
_SCORES = 8_000_000  # of photos that were made up; each is kept several times over
_LEAST_PHOTOS = 200

FOLDING_RULE = f"{_FOLDS} folds, {OCCASION_RULE}, {DRAWN} drawn, one occasion made up"
"""How pictures are held out, in short."""


@dataclass(frozen=True)
class HeldOut:
    """What was said of M held-out pictures, and what they are.

    Attributes:
        witnesses: of each, by what was learnt without it.
        truth: int64 (M,), the place of its class.
        share: float64 (M,), what it counts; those of one occasion count 1 together.
        groups: of how many occasions they are.
        held: int64, the ids of the classes that photos which were made up do not stand in for.
    """

    witnesses: Witnesses
    truth: NDArray[np.int64]
    share: NDArray[np.float64]
    groups: int
    held: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False)
class MadeUp:
    """Photos that were made up of N items.

    Attributes:
        there: bool (N,), of which items there are some.
        of: gives the descriptors of those of an item by its place, int16 (K, D).
    """

    there: NDArray[np.bool_]
    of: Callable[[int], NDArray[np.int16]]


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
        told: what is known of when the pictures were taken.
        made_up: photos that were made up of some of them.
        occasions: of what occasions the items are, as :attr:`groups` has it, where that is known.
    """

    rows: NDArray[np.int16]
    positions: NDArray[np.int64]
    sums: Sums
    order: Sequence[int]
    prior: Prior
    with_head: bool = True
    dropped: Sequence[int] = ()
    told: Told | None = None
    made_up: MadeUp | None = None
    occasions: NDArray[np.int64] | None = None

    def judged_by(self, groups: NDArray[np.int64]) -> Pool:
        """The same, where it is known that the items are of these occasions, int64 (N,)."""
        return replace(self, occasions=groups)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The occasion of each item, int64 (N,): the first item that is of it."""
        if self.occasions is not None:
            return self.occasions
        return occasions(self.rows, self.positions, self.prior, self.told)

    def cross_fit(self) -> HeldOut | None:
        """Hold out pictures, and judge them by the rest; None if there is nothing to judge."""
        if len(np.unique(self.positions)) < 2:
            return None
        alone = self._alone(self.groups)
        part_of, parts = np.full(len(alone), -1), 1
        if not alone.all():
            part_of[~alone], parts = _dealt(self.groups[~alone])
        stand_ins = self._stand_ins(alone)
        photos = self._photos(stand_ins)
        judged, items = [], []
        for part in range(parts):
            test = part_of == part
            asked = np.concatenate([np.flatnonzero(test), stand_ins[part::parts]])
            queries = [self.rows[test], *(photos[at] for at in asked[test.sum() :].tolist())]
            counts = [1] * int(test.sum()) + [len(rows) for rows in queries[1:]]
            items_of = np.repeat(asked, counts)
            seen = np.isin(self.positions[items_of], self._left(test))
            if seen.any():
                judged.append(self._judge(test, np.concatenate(queries)).of(seen))
                items.append(items_of[seen])
        if not items:
            return None
        held = np.concatenate(items)
        _, group, sizes = np.unique(self.groups[held], return_inverse=True, return_counts=True)
        made_up = np.zeros(len(self.order), np.bool_)
        if len(stand_ins):  # those of which none was judged are like those of which one was
            made_up[self.positions[alone]] = True
        return HeldOut(
            replace(Witnesses.stacked(judged), made_up=made_up),
            self.positions[held],
            1 / sizes[group],
            len(sizes),
            np.array(self.order, np.int64)[~made_up],
        )

    def _alone(self, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which items are of a class that has but one of some groups, int64 (N,): bool (N,)."""
        firsts = np.unique(groups)
        occasions_of = np.bincount(self.positions[firsts], minlength=len(self.order))
        occasions_of[[self.order.index(label) for label in self.dropped]] += 1
        return np.asarray(occasions_of[self.positions] == 1, np.bool_)

    def _stand_ins(self, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Of each class the first item that photos were made up of, rising; not too many.

        Args:
            wanted: bool (N,), the items that may be among them.
        """
        if self.made_up is None:
            return np.zeros(0, np.int64)
        if (
            self.prior.alike is None
        ):  # those for which photos were made up did not hang on strangers
            apart = occasions(self.rows, self.positions, self.prior, self.told, strangers=False)
            wanted = wanted & self._alone(apart)
        there = np.flatnonzero(wanted & self.made_up.there)
        _, first = np.unique(self.positions[there], return_index=True)
        return np.sort(there[first])[: self._most_photos]

    def _photos(self, stand_ins: NDArray[np.int64]) -> dict[int, NDArray[np.int16]]:
        """The photos that were made up of items, by their places; fewer of each if they are many.

        A class more tells more than another photo does.
        """
        if self.made_up is None:
            return {}
        each = max(1, self._most_photos // max(len(stand_ins), 1))
        return {at: self.made_up.of(at)[:each] for at in stand_ins.tolist()}

    @property
    def _most_photos(self) -> int:
        """How many photos are asked about at most: fewer where each has many classes to be of."""
        return min(_HELD_OUT, max(_LEAST_PHOTOS, _SCORES // max(len(self.order), 1)))

    def _left(self, test: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The places of classes that are there without the held-out items."""
        dropped = [self.order.index(label) for label in self.dropped]
        return np.union1d(self.positions[~test], np.array(dropped, np.int64))

    def _judge(self, test: NDArray[np.bool_], asked: NDArray[np.int16]) -> Witnesses:
        """What is said of descriptors int16 (Q, D) without some items, bool (N,)."""
        rest = self.sums.without(np.array(self.order)[self.positions[test]], self.rows[test])
        gone = [key for key, _ in rest.gone()]
        present = [at for at, label in enumerate(self.order) if label in rest.counts]
        left = [self.order[at] for at in present]
        metric = fit(rest, [*left, *gone], self.prior)
        queries = metric.whiten(to_floats(asked))
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


def _dealt(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """The part that each item is held out with (-1 for never), and how many parts there are.

    Groups are dealt in the order of content hashes, which is as good as random and always the same.
    Where one part has to be enough, those that would take much of it come last.
    """
    _, dense = np.unique(groups, return_inverse=True)
    if len(groups) <= _FOLDED_ITEMS:
        return dense % _FOLDS, _FOLDS
    sizes = np.bincount(dense)
    order = np.argsort(sizes > _HELD_OUT * _MOST_OF_PART, kind="stable")
    fits = np.cumsum(sizes[order]) <= _HELD_OUT
    fits[0] = True
    return np.where(np.isin(dense, order[fits]), 0, -1), 1
