"""What is wrong with a catalogue: pictures in two classes, in the wrong one, or too few.

A picture is judged by the catalogue without it and without its group (the pictures of its class
that are one occasion with it), or bursts would vouch for themselves. Nothing is learnt again for
that: what a group adds to the class means and to the metric can be taken out of both in closed
form. The scatter within classes is S = sum e e' over the deviations e of pictures from their class
mean, and its inverse is the metric. Leaving out r pictures of a class of n takes E' W E out of S,
with E their deviations and W = I + 11' / (n - r). In whitened coordinates S is the identity, so

    (I - B' B)^-1 = I + F' F,   B = W^(1/2) E / sqrt(degrees),   F = (I - B B')^(-1/2) B

(Woodbury): the inner product without the group is the one with it, plus that of the r coordinates
``F x``. The shift of the common mean and of the prior's weight is left aside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, unit_rows
from catalog.descriptors.whitening import PRIOR_DEGREES
from catalog.index import typical_stranger_cosine
from catalog.scoring import Gallery

LISTED = 200
"""How many duplicates, mislabelled items and pairs of classes are listed at most."""

SAME_PICTURE = 0.2
"""Two items show the same picture if 1 - cosine is at most this part of what it is between an item
and the most alike item of another class, in the median. Of 3.4 million pairs of photos of unlike
groceries none passes by the ImageNet network and 3 pass by the starter; of copies of them, 98 and
94 in 100 as JPEG of quality 60, 97 and 96 without a tenth of height and width, none at a third of
their size."""

SURELY_THE_SAME = 0.995
"""A cosine of raw descriptors from which on two items are the same picture in any catalogue."""

EVIDENCE = 0.15
"""From what evidence on an item is listed as mislabelled: see :class:`Mislabelled`. With 2 in 100
labels of 81 groceries changed at random, 94 to 98 in 100 of them are listed by the ImageNet network
and 90 to 96 by the starter, and of what is listed at most 4 and 10 in 100 were not changed."""

FEW_GROUPS = 3
"""A class of fewer groups needs more pictures, however well it does."""

WEAK_SHARE = 0.5
"""A class of which a smaller share is right needs more pictures."""

Need: TypeAlias = Literal["few", "weak"]
"""Why a class needs more pictures: few groups, or a weak share of them right."""

_DIGITS = 6  # of a score; beyond, it is rounding
_BLOCK = 512  # items compared with all others at a time
_BATCH = 2048  # items compared with all centroids at a time
_EXAMINED = 2 * LISTED  # by their items, of those with the best evidence by centroids
_TINY = 1e-30
_LARGEST_PART = 0.9999  # of a direction's scatter that one group may hold; all of it is rounding


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two items of different classes that look like the same picture.

    ``cosine`` is that of the raw descriptors.
    """

    item: int
    label: str
    other_item: int
    other_label: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Mislabelled:
    """An item that its own class loses to another.

    Attributes:
        item: its id.
        label: its class.
        proposed: the class that wins.
        own_centroid: the score of its class without its group.
        proposed_centroid: the score of the class that wins.
        own_nearest: the score of the nearest item of its class outside its group.
        proposed_nearest: the score of the nearest item of the class that wins.
        nearest_item: the id of that item.
        alike: how many items are in its group; they speak for their class together, if at all.
        evidence: the smaller of the two leads of the proposed class, times the share of the
            item's class that is outside its group: what is judged by a few pictures weighs less.
    """

    item: int
    label: str
    proposed: str
    own_centroid: float
    proposed_centroid: float
    own_nearest: float
    proposed_nearest: float
    nearest_item: int
    alike: int
    evidence: float


@dataclass(frozen=True, slots=True)
class Confusable:
    """Two classes that photos will be confused between.

    Attributes:
        label: the class that loses more.
        other: the class it loses to.
        share: of the pictures of both classes, how many would go to the other one.
        to_other: of the pictures of ``label``, how many would go to ``other``.
        from_other: of the pictures of ``other``, how many would go to ``label``; None if they
            cannot be judged.
    """

    label: str
    other: str
    share: float
    to_other: float
    from_other: float | None


@dataclass(frozen=True, slots=True)
class ClassAudit:
    """How well a class is known.

    Attributes:
        label: its name.
        items: how many pictures it has.
        groups: of how many occasions they are; what counts as one is in ``index.groups``.
        share_right: of its pictures, judged without their groups, how many its centroid wins;
            None if they are all of one group.
        needs: why it needs more pictures; None if it does not.
    """

    label: str
    items: int
    groups: int
    share_right: float | None
    needs: Need | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What is wrong with a catalogue.

    In every share, a picture counts by the share of its class that is outside its group, which is
    what it is judged by.

    Attributes:
        items: how many there are.
        groups: of how many occasions they are.
        judged: how many items are in a class with another group.
        share_right: of those, how many their class's centroid wins; None if there are none.
        duplicates: the most alike first, at most :data:`LISTED`.
        mislabelled: the best evidence first, at most :data:`LISTED`.
        confusable: the most confused first, at most :data:`LISTED`.
        classes: all of them, those first that need more pictures most.
    """

    items: int
    groups: int
    judged: int
    share_right: float | None
    duplicates: tuple[Duplicate, ...]
    mislabelled: tuple[Mislabelled, ...]
    confusable: tuple[Confusable, ...]
    classes: tuple[ClassAudit, ...]


def audit(
    gallery: Gallery, raw: NDArray[np.float32], groups: NDArray[np.int64] | None = None
) -> Audit:
    """Look for what is wrong with a catalogue.

    Args:
        gallery: its items, metric and centroids; may be empty.
        raw: float32 (N, D), the items' descriptors before whitening, in the gallery's order.
        groups: int64 (N,), one number for the items of a class that are one occasion, as from
            :func:`index.near_duplicate_groups`; each item is its own by default.

    Raises:
        InvalidInput: the arrays do not fit, or a group is in two classes.
    """
    if groups is None:
        groups = np.arange(len(gallery.items))
    _check(gallery, raw, groups)
    items = _Items.of(gallery, groups)
    judge = _Judge(gallery, raw[items.order], items)
    right = judge.weight * (judge.rival_score <= judge.own_score)
    return Audit(
        items=len(raw),
        groups=len(items.groups),
        judged=int(np.count_nonzero(judge.weight)),
        share_right=_share(right.sum(), judge.weight.sum()),
        duplicates=_duplicates(gallery, raw),
        mislabelled=_mislabelled(gallery, items, judge),
        confusable=_confusable(items, judge),
        classes=_class_audits(items, right, judge.weight),
    )


def _check(gallery: Gallery, raw: NDArray[np.float32], groups: NDArray[np.int64]) -> None:
    count = len(gallery.items)
    if raw.ndim != 2 or len(raw) != count or groups.shape != (count,):
        raise InvalidInput(f"raw {raw.shape} and groups {groups.shape} do not fit {count} items")
    if np.unique(np.stack([groups, gallery.labels]), axis=1).shape[1] != len(np.unique(groups)):
        raise InvalidInput("the items of a group must be of one class")


@dataclass(frozen=True, slots=True)
class _Items:
    """The items, those of a class in a row, and in it those of a group.

    Attributes:
        order: int64 (N,), the position in the gallery of each.
        names: of the classes, which are numbered in the order of the centroids.
        class_of: int64 (N,).
        group_of: int64 (N,).
        classes: where each class is.
        groups: where each group is.
    """

    order: NDArray[np.int64]
    names: list[str]
    class_of: NDArray[np.int64]
    group_of: NDArray[np.int64]
    classes: list[slice]
    groups: list[slice]

    @classmethod
    def of(cls, gallery: Gallery, groups: NDArray[np.int64]) -> _Items:
        slots = gallery.centroids.keys.tolist()
        numbers = {slot: number for number, slot in enumerate(slots)}
        class_of = np.array([numbers[slot] for slot in gallery.labels.tolist()], dtype=np.int64)
        order = np.lexsort((groups, class_of))
        class_of, sorted_groups = class_of[order], groups[order]
        group_of = np.cumsum(np.diff(sorted_groups, prepend=sorted_groups[:1]) != 0)
        return cls(
            order,
            [gallery.names[slot] for slot in slots],
            class_of,
            group_of,
            _runs(class_of, len(slots)),
            _runs(group_of, int(group_of[-1]) + 1 if len(order) else 0),
        )

    def sums(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (C,), of weights float64 (N,)."""
        return np.asarray(np.bincount(self.class_of, weights, len(self.names)), dtype=np.float64)

    def means(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (C, D), of rows float32 (N, D); 0 for a class without items."""
        means = np.zeros((len(self.names), rows.shape[1]), np.float32)
        for number, where in enumerate(self.classes):
            if where.stop > where.start:
                means[number] = rows[where].mean(axis=0, dtype=np.float64)
        return means


def _runs(numbers: NDArray[np.int64], count: int) -> list[slice]:
    """Where each of the numbers below a count is, in a rising array of them."""
    ends = np.cumsum(np.bincount(numbers, minlength=count)).tolist()
    return [slice(start, end) for start, end in pairwise([0, *ends])]


class _Judge:
    """What the catalogue says of each item without its group; arrays (N,), in their order.

    Attributes:
        weight: the share of the item's class that is outside its group; 0 where that, or another
            class, is missing: then the scores are 0 and mean nothing.
        own_score: of its class's centroid.
        rival: the number of the best other class.
        rival_score: of its centroid.
    """

    def __init__(self, gallery: Gallery, raw: NDArray[np.float32], items: _Items) -> None:
        self.weight = np.zeros(len(raw))
        self.own_score = np.zeros(len(raw))
        self.rival = np.zeros(len(raw), np.int64)
        self.rival_score = np.zeros(len(raw))
        if len(items.names) < 2:
            return
        self._items = items
        self._rows = gallery.metric.project(raw)
        self._squares = _squares(self._rows)
        self._means = items.means(self._rows)
        self._part = _part(raw, items)
        judged = [group for group in items.groups if self._size(group) > group.stop - group.start]
        for _, batch in groupby(judged, lambda group: group.stop // _BATCH):
            self._judge(list(batch), gallery.centroids.rows)

    def added(self, group: slice) -> NDArray[np.float32]:
        """F of a group: what coordinates the metric without it has in addition; float32 (k, D)."""
        rows, size = self._rows[group].astype(np.float64), self._size(group)
        steps = rows - self._means[self._items.class_of[group.start]]
        steps += (np.sqrt(size / (size - len(steps))) - 1) * steps.mean(axis=0)
        steps *= np.sqrt(self._part)
        if len(steps) > steps.shape[1]:
            steps = np.asarray(np.linalg.qr(steps, mode="r"), dtype=np.float64)
        parts, axes = np.linalg.eigh(steps @ steps.T)
        left = 1 - np.clip(parts, 0, _LARGEST_PART)
        return np.asarray(axes.T @ steps / np.sqrt(left)[:, None], dtype=np.float32)

    def nearest(
        self, asked: list[int], added: NDArray[np.float32], number: int
    ) -> list[tuple[float, int]]:
        """The nearest item of a class to items of one group: its score and place.

        Args:
            asked: items of the group, which is left out.
            added: of the group.
            number: of the class, which has other items.
        """
        where, own = self._items.classes[number], self._items.class_of[asked[0]]
        group = self._items.groups[self._items.group_of[asked[0]]]
        scores = _cosines(
            self._rows[asked] @ self._rows[where].T,
            (self._squares[asked], self._rows[asked] @ added.T),
            (self._squares[where], self._rows[where] @ added.T),
        )
        if number == own:
            scores[:, group.start - where.start : group.stop - where.start] = -np.inf
        best = scores.argmax(axis=1)
        return list(zip(scores.max(axis=1).tolist(), (where.start + best).tolist(), strict=True))

    def _judge(self, groups: list[slice], centroids: NDArray[np.float32]) -> None:
        added = [self.added(group) for group in groups]
        # One product for many groups: each by itself would read all the centroids again.
        inner = np.concatenate([self._rows[group] for group in groups]) @ centroids.T
        more = np.concatenate(added) @ centroids.T
        ends = np.cumsum([group.stop - group.start for group in groups])[:-1]
        inners, mores = np.split(inner, ends), np.split(more, np.cumsum([*map(len, added)])[:-1])
        squares = _squares(centroids)
        for group, extra, inner_of, more_of in zip(groups, added, inners, mores, strict=True):
            side = self._squares[group], self._rows[group] @ extra.T
            scores = _cosines(inner_of, side, (squares, more_of.T))
            scores[:, self._items.class_of[group.start]] = -np.inf
            self.rival[group] = scores.argmax(axis=1)
            self.rival_score[group] = scores.max(axis=1)
            rest = self._rest(group)
            rest_side = _squares(rest), rest @ extra.T
            self.own_score[group] = _cosines(self._rows[group] @ rest.T, side, rest_side)[:, 0]
            self.weight[group] = 1 - (group.stop - group.start) / self._size(group)

    def _size(self, group: slice) -> int:
        """Of the class that a group is in."""
        where = self._items.classes[self._items.class_of[group.start]]
        return int(where.stop - where.start)

    def _rest(self, group: slice) -> NDArray[np.float32]:
        """The mean of the group's class without the group; float32 (1, D)."""
        mean, rows = self._means[self._items.class_of[group.start]], self._rows[group]
        left = self._size(group) - len(rows)
        return np.asarray(mean - (rows - mean).sum(axis=0, keepdims=True) / left, np.float32)


def _part(raw: NDArray[np.float32], items: _Items) -> float:
    """What a deviation e adds to a metric's scatter, as a factor of e e' (see descriptors.fit)."""
    deviations = raw - items.means(raw)[items.class_of]
    trace = float(np.square(deviations).sum(dtype=np.float64))
    observed = len(raw) - len(np.unique(items.class_of))
    if trace <= observed * 1e-9:  # copies of one picture a class: no metric learns from them
        return 0.0
    return float(observed * raw.shape[1] / trace / (observed + PRIOR_DEGREES))


_Side: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Of rows, their squared lengths (N,) and their added coordinates (N, k)."""


def _cosines(inner: NDArray[np.float32], queries: _Side, rows: _Side) -> NDArray[np.float64]:
    total = (inner + queries[1] @ rows[1].T).astype(np.float64)
    total /= np.sqrt(np.maximum(queries[0] + _squares(queries[1]), _TINY))[:, None]
    total /= np.sqrt(np.maximum(rows[0] + _squares(rows[1]), _TINY))
    return np.round(total, _DIGITS)


def _squares(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("ij,ij->i", rows, rows), dtype=np.float32)


def _share(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole > 0 else None


def _duplicates(gallery: Gallery, raw: NDArray[np.float32]) -> tuple[Duplicate, ...]:
    if len(np.unique(gallery.labels)) < 2:
        return ()
    rows = unit_rows(raw)
    typical = typical_stranger_cosine(rows, gallery.labels)
    threshold = min(1 - SAME_PICTURE * (1 - typical), SURELY_THE_SAME)
    best: list[tuple[float, int, int]] = []
    for start in range(0, len(rows), _BLOCK):
        cosines = np.round(rows[start : start + _BLOCK] @ rows[start:].T, _DIGITS)
        other = gallery.labels[start : start + _BLOCK, None] != gallery.labels[start:]
        one, two = np.nonzero(np.triu((cosines >= threshold) & other))
        keep = np.argsort(-cosines[one, two], kind="stable")[:LISTED]
        found = zip(cosines[one, two][keep], one[keep] + start, two[keep] + start, strict=True)
        best = sorted([*best, *((-float(c), int(a), int(b)) for c, a, b in found)])[:LISTED]
    return tuple(_duplicate(gallery, -cosine, one, two) for cosine, one, two in best)


def _duplicate(gallery: Gallery, cosine: float, one: int, two: int) -> Duplicate:
    (item, label), (other, other_label) = sorted(
        (int(gallery.items[at]), gallery.names[int(gallery.labels[at])]) for at in (one, two)
    )
    return Duplicate(item, label, other, other_label, min(round(cosine, _DIGITS), 1.0))


def _mislabelled(gallery: Gallery, items: _Items, judge: _Judge) -> tuple[Mislabelled, ...]:
    found: list[Mislabelled] = []
    keys = [*zip(items.group_of.tolist(), judge.rival.tolist(), strict=True)]
    for (group, _), suspects in groupby(_suspects(items, judge), keys.__getitem__):
        added = judge.added(items.groups[group])
        found += _examined(list(suspects), added, gallery, items, judge)
    found = [suspect for suspect in found if suspect.evidence > EVIDENCE]
    return tuple(sorted(found, key=lambda m: (-m.evidence, m.item))[:LISTED])


def _suspects(items: _Items, judge: _Judge) -> list[int]:
    """The items that centroids speak most against, by group and rival, if there are some to ask."""
    evidence = judge.weight * (judge.rival_score - judge.own_score)
    suspects = np.flatnonzero(evidence > EVIDENCE)
    suspects = suspects[items.sums(np.ones(len(evidence)))[judge.rival[suspects]] > 0]
    worst = suspects[np.argsort(-evidence[suspects], kind="stable")][:_EXAMINED]
    order = np.lexsort((worst, judge.rival[worst], items.group_of[worst]))
    return list(worst[order].tolist())


def _examined(
    suspects: list[int], added: NDArray[np.float32], gallery: Gallery, items: _Items, judge: _Judge
) -> Iterator[Mislabelled]:
    """Ask the items about suspects of one group with one rival."""
    own, rival = int(items.class_of[suspects[0]]), int(judge.rival[suspects[0]])
    group = items.groups[items.group_of[suspects[0]]]
    by_own = judge.nearest(suspects, added, own)
    by_rival = judge.nearest(suspects, added, rival)
    for at, (own_nearest, _), (nearest, place) in zip(suspects, by_own, by_rival, strict=True):
        lead = min(judge.rival_score[at] - judge.own_score[at], nearest - own_nearest)
        yield Mislabelled(
            item=int(gallery.items[items.order[at]]),
            label=items.names[own],
            proposed=items.names[rival],
            own_centroid=float(judge.own_score[at]),
            proposed_centroid=float(judge.rival_score[at]),
            own_nearest=own_nearest,
            proposed_nearest=nearest,
            nearest_item=int(gallery.items[items.order[place]]),
            alike=group.stop - group.start,
            evidence=float(judge.weight[at] * lead),
        )


def _confusable(items: _Items, judge: _Judge) -> tuple[Confusable, ...]:
    judged = items.sums(judge.weight)
    gone: dict[tuple[int, int], float] = defaultdict(float)
    for at in np.flatnonzero(judge.rival_score > judge.own_score).tolist():
        gone[int(items.class_of[at]), int(judge.rival[at])] += float(judge.weight[at])
    pairs = []
    for one, two in {(min(pair), max(pair)) for pair in gone}:
        there, back = gone.get((one, two), 0.0), gone.get((two, one), 0.0)
        sides = [
            (_share(there, judged[one]), items.names[one]),
            (_share(back, judged[two]), items.names[two]),
        ]
        sides.sort(key=lambda side: (1.0 if side[0] is None else -side[0], side[1]))
        (to_other, label), (from_other, other) = sides
        share = (there + back) / float(judged[one] + judged[two])
        pairs.append(Confusable(label, other, share, to_other or 0.0, from_other))
    return tuple(sorted(pairs, key=lambda p: (-p.share, p.label, p.other))[:LISTED])


def _class_audits(
    items: _Items, right: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[ClassAudit, ...]:
    wins, judged = items.sums(right), items.sums(weight)
    audits = []
    for number in np.unique(items.class_of).tolist():
        inside = items.group_of[items.classes[number]]
        groups, share = len(np.unique(inside)), _share(wins[number], judged[number])
        weak = share is not None and share < WEAK_SHARE
        needs: Need | None = "few" if groups < FEW_GROUPS else "weak" if weak else None
        audits.append(ClassAudit(items.names[number], len(inside), groups, share, needs))
    return tuple(sorted(audits, key=_urgency))


def _urgency(found: ClassAudit) -> tuple[bool, float, int, str]:
    share = -1.0 if found.share_right is None else found.share_right
    return found.needs is None, share, found.groups, found.label
