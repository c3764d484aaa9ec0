"""Two embedders of a catalogue, side by side, before one takes the other's place."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog import answers
from catalog.answers import Prediction
from catalog.descriptors import Advice, NotFound, PictureError, Sums
from catalog.embedder import Picture, descriptor_name, preset_name
from catalog.judging import calibration
from catalog.judging.cross_check import PRECISION, Verdict, require_precision
from catalog.judging.cross_fit import HeldOut, Pool
from catalog.judging.occasions import Told, occasions
from catalog.learning import evidence
from catalog.learning.bound import Bound
from catalog.learning.keeper import Keeper
from catalog.learning.learning import Learning
from catalog.learning.opened import Opened
from catalog.learning.snapshot import JudgingSnapshot
from catalog.manifest import ClassLevel, Entry, Labelled, listed
from catalog.manifest.pictures import Progress, Refusal, counted, hold_each
from catalog.reports.gathering import known_as
from catalog.reports.leave_out import share_of
from catalog.reports.listing import backbone_name
from catalog.store import inventory
from catalog.store.moment import Moment
from catalog.store.names import label_key


@dataclass(frozen=True, slots=True)
class ComparedEmbedder:
    """What one embedder comes to.

    Attributes:
        fingerprint: of the embedder.
        backbone: name of its network, or the start of its SHA-256 if it is not on this machine.
        views: name of its view preset.
        descriptor: as of :class:`Info`.
        right: the share of occasions whose class it names by what was learnt without them; None
            where none can be held out.
        matches: the share of them that would be called ``match`` at the precision asked for; None
            where nothing can be measured.
    """

    fingerprint: str
    backbone: str
    views: str
    descriptor: str
    right: float | None
    matches: float | None


@dataclass(frozen=True, slots=True)
class ComparedAnswer:
    """What was said of a picture: class, verdict, and the probability that the class is right."""

    label: str | None
    verdict: Verdict
    probability: float | None


@dataclass(frozen=True, slots=True)
class Flip:
    """A picture of which the two say different classes, or of which one alone knows none.

    Attributes:
        place: where it was found.
        truth: its class, where that is known, and one of the catalogue.
        before: what is said by the embedder in use.
        after: what the other one says.
    """

    place: str | None
    truth: str | None
    before: ComparedAnswer
    after: ComparedAnswer

    def is_right(self, said: ComparedAnswer) -> bool | None:
        """Whether that names the right class; None where it is not known."""
        return None if self.truth is None else said.label == self.truth


@dataclass(frozen=True, slots=True)
class Compared:
    """What becomes of a catalogue's answers if another embedder takes the place of its own.

    Attributes:
        before: the embedder in use.
        after: the other one.
        items: how many items both have descriptors of; of those alone is told who is right.
        occasions: of how many occasions these are. Pictures are of one where either embedder finds
            so, so that both are judged by the same ones.
        asked: how many pictures both were asked about.
        gained: how many of them, of known class, only the other one names rightly.
        lost: how many only the one in use does.
        flips: pictures that are answered in another way.
        in_catalogue: pictures that were not asked about, since they are items.
        refused: pictures that could not be read.
    """

    before: ComparedEmbedder
    after: ComparedEmbedder
    items: int
    occasions: int
    asked: int
    gained: int
    lost: int
    flips: tuple[Flip, ...]
    in_catalogue: int = 0
    refused: tuple[Refusal, ...] = ()


class _Asked(NamedTuple):
    """A picture to ask about: where it lies, its class if it is known, and its descriptors."""

    place: str | None
    truth: str | None
    before: NDArray[np.float32]
    after: NDArray[np.float32]


@dataclass(slots=True)
class _Queries:
    """What is asked about: pictures, how many are items, and those that could not be read."""

    asked: list[_Asked]
    in_catalogue: int = 0
    refused: list[Refusal] = field(default_factory=list)


def compare(
    catalog: Opened,
    queries: Labelled | None = None,
    *,
    precision: float = PRECISION,
    class_level: ClassLevel | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Compare the embedder in use with the one that :meth:`reindex` brought in, or the former.

    Both are judged by the catalogue's own pictures, each by what was learnt without those of its
    occasion, and asked about other pictures: given ones, or those that were ``unknown`` and kept.

    Args:
        queries: pictures to ask about: a folder tree or manifest, what :func:`read_manifest` made
            of one, or entries; by default the photos that were kept.
        precision: how often an answer called ``match`` is to be right.
        class_level: which folders of a tree name classes, as for :func:`read_manifest`.
        progress: told of each picture.

    Raises:
        NotFound: there is one embedder alone; or as :func:`read_manifest` does.
        InvalidInput: as :func:`read_manifest` does, or the precision is not between 0 and 1.
    """
    require_precision(precision)
    bounds = catalog._every_bound()
    if len(bounds) < 2:
        raise NotFound("this catalogue has one embedder alone", Advice("bring in embedder"))
    own, other = bounds[:2]
    if queries is None:
        found = _Queries(_of_kept(catalog, own, other))
    else:
        entries = listed(queries, class_level=class_level).entries
        found = _of_entries(catalog, (own, other), entries, progress)
    asked = found.asked
    sides, items, groups = _judged(catalog, own, other, precision)
    answered = [
        _said_of(own.keeper, own, [one.before for one in asked], precision),
        _said_of(other.ahead(), other, [one.after for one in asked], precision),
    ]
    flips: list[Flip] = []
    gained = lost = 0
    for one, before, after in zip(asked, *answered, strict=True):
        flip = Flip(one.place, one.truth, before, after)
        right = [flip.is_right(said) for said in (before, after)]
        gained += right == [False, True]
        lost += right == [True, False]
        if _shown(before) != _shown(after):
            flips.append(flip)
    return Compared(
        *sides,
        items,
        groups,
        len(asked),
        gained,
        lost,
        tuple(flips),
        found.in_catalogue,
        tuple(found.refused),
    )


def _shown(said: ComparedAnswer) -> str | None:
    """The class that whoever asks would take for the answer."""
    return None if said.verdict == "unknown" else said.label


def _of_kept(catalog: Opened, own: Bound, other: Bound) -> list[_Asked]:
    """The photos that were kept, as far as both embedders have descriptors of them."""
    with catalog._store.reading() as tx:
        there = {item for item, _ in inventory.kept(tx, other.binding.id)}
        kept = [one for one in inventory.kept(tx, own.binding.id) if one[0] in there]
    items = np.array([item for item, _ in kept], np.int64)
    rows = zip(kept, own.rows.floats(items), other.rows.floats(items), strict=True)
    return [_Asked(place, None, before, after) for (_, place), before, after in rows]


def _of_entries(
    catalog: Opened,
    bounds: tuple[Bound, Bound],
    entries: Sequence[Entry],
    progress: Progress | None,
) -> _Queries:
    """Pictures that are given, embedded by both; those that are items are left out."""
    found = _Queries([])
    with catalog._store.reading() as tx:
        names = {label_key(row.label): row.label for row in inventory.label_counts(tx)}
    shown: list[tuple[str | None, str | None]] = []
    pictures: list[Picture] = []
    with closing(hold_each(entry.picture for entry in entries)) as read:
        for entry, held in zip(entries, read, strict=True):
            if isinstance(held, Refusal):
                found.refused.append(held)
                continue
            with catalog._store.reading() as tx:
                known = inventory.holds(tx, held.content)
            found.in_catalogue += known
            if not known:
                shown.append((held.place, known_as(names, entry.label)))
                pictures.append(entry.picture)  # read again: all of them may not fit in memory
    own, other = (bound.embedder.embed_each(pictures) for bound in bounds)
    rows = zip(shown, counted(own, progress), other, strict=True)
    for (place, truth), before, after in rows:
        if isinstance(before, PictureError):
            found.refused.append(Refusal(place, before.reason, before.detail))
        elif isinstance(after, PictureError):
            found.refused.append(Refusal(place, after.reason, after.detail))
        else:
            found.asked.append(_Asked(place, truth, before, after))
    return found


def _said_of(
    keeper: Keeper, bound: Bound, rows: Sequence[NDArray[np.float32]], precision: float
) -> list[ComparedAnswer]:
    """What an embedder's descriptors are taken for."""
    if not rows:
        return []

    def ask(snapshot: JudgingSnapshot) -> list[Prediction]:
        return answers.predict(snapshot, np.stack(rows), 1, bound.rows.floats, precision)

    return [ComparedAnswer(one.label, one.verdict, one.probability) for one in keeper.judge(ask)]


def _judged(
    catalog: Opened, own: Bound, other: Bound, precision: float
) -> tuple[tuple[ComparedEmbedder, ComparedEmbedder], int, int]:
    """How good both are on the catalogue's own pictures; how many these are; of what occasions."""
    moments = [_moment(keeper) for keeper in (own.ahead(), other.ahead())]
    items = moments[0].items[np.isin(moments[0].items, moments[1].items)]
    known = evidence.told(catalog._store, moments[0])
    told = known.of(np.isin(moments[0].items, items)) if known else None
    pools = [
        _pool(bound, moment, items, told)
        for bound, moment in zip((own, other), moments, strict=True)
    ]
    groups = _joined(*(occasions(pool.rows, pool.positions, pool.prior, told) for pool in pools))
    sides = [
        _side(bound, pool.judged_by(groups).cross_fit(), precision)
        for bound, pool in zip((own, other), pools, strict=True)
    ]
    return (sides[0], sides[1]), len(items), len(np.unique(groups))


def _moment(keeper: Keeper) -> Moment:
    def present(_: Learning, moment: Moment) -> Moment:
        return moment

    return keeper.compute(present)


def _pool(bound: Bound, moment: Moment, items: NDArray[np.int64], told: Told | None) -> Pool:
    """Some items of a moment, and nothing else of it."""
    rows = bound.rows.of(items)
    slots = moment.slots[moment.places(items)]
    present = set(slots.tolist())
    order = [slot for slot in moment.order if slot in present]
    sums = Sums(rows.shape[1])
    sums.add(slots, rows)
    place = {slot: at for at, slot in enumerate(order)}
    positions = np.array([place[slot] for slot in slots.tolist()], np.int64)
    with_head = moment.head.training != "none"
    return Pool(rows, positions, sums, order, bound.binding.prior, with_head, told=told)


def _joined(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """What two ways to group N things come to together: int64 (N,), the first of each group."""
    joined = one
    while True:
        before = joined
        for groups in (other, one):
            first = np.full(len(groups), len(groups))
            np.minimum.at(first, groups, joined)
            joined = first[groups]
        if (joined == before).all():
            return joined


def _side(bound: Bound, held_out: HeldOut | None, precision: float) -> ComparedEmbedder:
    specification = bound.binding.specification
    right = matches = None
    if held_out is not None:
        named = held_out.witnesses.fused.argmax(axis=1) == held_out.truth
        right = share_of((held_out.share * named).sum(), held_out.share.sum())
        found = calibration.learn(held_out)
        matches = found.coverage(precision) if found else None
    return ComparedEmbedder(
        bound.fingerprint,
        backbone_name(specification),
        preset_name(specification.views),
        descriptor_name(specification),
        right,
        matches,
    )
