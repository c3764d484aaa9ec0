"""The switch from one embedder of a catalogue to the other, there and back, each in one event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.descriptors import Advice, Conflict, NotFound
from catalog.head import TrainingOptions
from catalog.jobs.refill import Unreadable
from catalog.jobs.reindex import embed_all
from catalog.jobs.running import JobProgress
from catalog.learning.bound import Bound
from catalog.learning.kinds import LearntHead
from catalog.learning.learning import Learning
from catalog.learning.opened import Opened
from catalog.learning.training import (
    FEWEST_CLASSES,
    Prepared,
    Switch,
    TrainingProgress,
    prepare_switch,
    prepare_training,
)
from catalog.store import Slot, Transaction, embedders, heads, journal
from catalog.store.embedders import EmbedderId
from catalog.store.failpoints import reach
from catalog.store.heads import HeadRecord, HeadTraining
from catalog.store.journal import Change
from catalog.store.moment import Moment

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Promoted:
    """What came of going over to another embedder.

    Attributes:
        fingerprint: of the embedder in use now.
        former: of the one before.
        removed: the items that were taken out, since their pictures could not be read again.
        event: the journal's entry.
    """

    fingerprint: str
    former: str
    removed: tuple[Unreadable, ...]
    event: int


@dataclass(frozen=True, slots=True)
class DroppedEmbedder:
    """What came of dropping an embedder.

    Attributes:
        fingerprint: of it.
        items: how many items it had descriptors of.
        rewritten: whether the file was written anew without them, and is smaller now: not while
            others are using it.
    """

    fingerprint: str
    items: int
    rewritten: bool


def promote(
    catalog: Opened,
    *,
    without_unreadable: bool = False,
    progress: JobProgress | None = None,
    training: TrainingProgress | None = None,
) -> Promoted:
    """Go over to the embedder that :meth:`reindex` brought in, in one transaction.

    What it lacks is embedded first. The head is trained anew in the way it was. The former embedder
    is kept, and embeds what comes, too, until :meth:`drop_old`. Can be undone.

    Args:
        without_unreadable: take items out whose pictures cannot be read again; else nothing is
            done where there are any.
        progress: told how many pictures are embedded, and of how many.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound: there is no other embedder, or its network is not on this machine.
        Conflict: it is in use already; items cannot be read again; or the catalogue was changed
            again and again.
    """
    return _switch(catalog, -1, without_unreadable, progress, training)


def back(
    catalog: Opened,
    *,
    without_unreadable: bool = False,
    progress: JobProgress | None = None,
    training: TrainingProgress | None = None,
) -> Promoted:
    """Go back to the embedder before, with all that has come since.

    Arguments and errors are those of :meth:`promote`.
    """
    return _switch(catalog, 0, without_unreadable, progress, training)


def drop_old(catalog: Opened) -> DroppedEmbedder:
    """Drop the former embedder with its descriptors. Cannot be undone, nor what came before.

    Raises:
        NotFound: there is one embedder alone.
        Conflict: the older one is in use.
    """
    return _drop(catalog, 0)


def drop_new(catalog: Opened) -> DroppedEmbedder:
    """Drop the embedder that :meth:`reindex` brought in, with its descriptors.

    Where it was in use for a while that cannot be undone, nor what came before.

    Raises:
        NotFound: there is one embedder alone.
        Conflict: the newer one is in use.
    """
    return _drop(catalog, -1)


def _switch(
    catalog: Opened,
    which: int,
    without_unreadable: bool,  # noqa: FBT001 - the public ones take it by name
    progress: JobProgress | None,
    training: TrainingProgress | None,
) -> Promoted:
    for _ in range(_TRIES):
        with catalog._store.reading() as tx:
            bound = catalog._bound_to(tx, _other(tx, which))
            lacking = embedders.items_without(tx, bound.binding.id)
        left = embed_all(catalog, bound, progress).unreadable if lacking else ()
        if left and not without_unreadable:
            raise _unreadable(left)
        bound.require_network()
        begun = _begun(catalog, bound, training)
        done = _switched(catalog, which, bound, left, begun)
        if done is not None:
            return done
    raise Conflict("the catalogue was changed again and again meanwhile; try again")


def _unreadable(left: Sequence[Unreadable]) -> Conflict:
    first = left[0]
    return Conflict(
        f"{len(left)} items cannot be read again, so they would be lost, such as item {first.item} "
        f"of class {first.label!r} ({first.detail}); nothing was changed",
        Advice("switch without unreadable"),
    )


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is ready before a switch.

    Attributes:
        training: how the head is trained.
        head: the head to begin with, where one is stored; it is of the state that it has seen.
    """

    training: HeadTraining
    head: Switch | Prepared | None = None


def _begun(catalog: Opened, bound: Bound, progress: TrainingProgress | None) -> _Begun:
    """Learn what the first question would have to wait for, and train a head that is stored."""
    ahead = bound.ahead()
    record, moment, solved = ahead.compute_beside(_record, _learnt)
    if record.training == "frozen" and solved is not None:
        return _Begun("frozen", Switch("frozen", moment.version, solved))
    if record.training != "document":
        return _Begun(record.training)
    options = TrainingOptions.from_dict(record.options)
    if len(moment.order) < FEWEST_CLASSES:  # of those that it knows pictures of
        return _Begun("document", prepare_switch(ahead, "document", options=options))
    trained = prepare_training(catalog._store, ahead, options, force=True, progress=progress)
    return _Begun("document", trained)


def _record(tx: Transaction, _moment: Moment) -> HeadRecord:
    return heads.current(tx)


def _learnt(
    learning: Learning, moment: Moment, record: HeadRecord
) -> tuple[HeadRecord, Moment, LearntHead | None]:
    """How the head is trained, the state, and the exact head; what is learnt is kept."""
    learning.items(moment)
    learning.calibration(moment)
    head = learning.head(moment)
    learning.save()
    return record, moment, head


def _switched(
    catalog: Opened, which: int, bound: Bound, left: Sequence[Unreadable], begun: _Begun
) -> Promoted | None:
    """Go over to an embedder; None if that has to be got ready anew."""
    with catalog._store.writing() as tx:
        if catalog._bound_to(tx, _other(tx, which)) is not bound:
            return None
        gone = embedders.items_without(tx, bound.binding.id)
        if {item for item, _ in gone} != {one.item for one in left}:
            return None  # something came that was not embedded by both
        head = begun.head
        if heads.current(tx).training != begun.training:
            return None
        if head is not None and journal.version(tx) != head.seen:
            return None
        former = catalog._bound.fingerprint
        command = None if head is None else head.record(tx)
        changes = [Change(item, Slot(slot), None) for item, slot in gone]
        told = {"from": former[:12], "to": bound.fingerprint[:12], "items": len(changes)}
        event = journal.record(tx, "switch-embedder", told, changes, command)
        embedders.activate(tx, bound.binding.id, event)
        reach("switching")
    reach("switched")
    return Promoted(bound.fingerprint, former, tuple(left), command or event)


def _other(tx: Transaction, which: int) -> EmbedderId:
    """The older (0) or the newer (-1) embedder, which is not in use.

    Raises:
        NotFound: there is one alone.
        Conflict: it is in use.
    """
    found = embedders.every(tx)
    if len(found) < 2:
        raise NotFound("this catalogue has one embedder alone", Advice("bring in embedder"))
    if found[which] == embedders.active(tx):
        raise Conflict(f"the {'newer' if which else 'older'} embedder is the one in use")
    return found[which]


def _drop(catalog: Opened, which: int) -> DroppedEmbedder:
    with catalog._store.writing() as tx:
        bound = catalog._bound_to(tx, _other(tx, which))
        own, items = bound.binding.id, embedders.described(tx, bound.binding.id)
        if embedders.was_active(tx, own):
            told = {"fingerprint": bound.fingerprint[:12], "descriptors": items}
            journal.record(tx, "drop-embedder", told, ())
            heads.drop_earlier(tx)  # they may be of its descriptors
        embedders.drop(tx, own)
        reach("dropping")
    bound.keeper.discard()
    catalog._sweep()
    return DroppedEmbedder(bound.fingerprint, items, catalog._store.rewrite())
