"""The head trained on command: switched to another way, or trained as the documents do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Advice, Conflict, InvalidInput, Metric
from catalog.head import Curves, Generator, Head, TrainingOptions, count_batches, train, widen
from catalog.learning import generators
from catalog.learning.keeper import Keeper
from catalog.learning.kinds import LearntHead
from catalog.learning.learning import Learning
from catalog.learning.replaying import Replayed, replay
from catalog.store import Transaction, heads, inventory, journal
from catalog.store.heads import HeadTraining
from catalog.store.journal import Version
from catalog.store.moment import Moment
from catalog.store.store import Store

_TRIES = 5

FEWEST_CLASSES = 2
"""Fewer than so many cannot be told apart, so a head is not trained on them."""

TrainingProgress: TypeAlias = Callable[[int, int], None]
"""Told how many batches are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of training a head.

    Attributes:
        training: how the head is trained from now on.
        columns: how many classes it has; 0 where it will be solved when it is needed.
        event: the journal's entry.
        curves: loss and accuracy of every batch and epoch; None where nothing was trained.
    """

    training: HeadTraining
    columns: int
    event: int
    curves: Curves | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """A head that is about to be trained in another way, as it begins.

    Attributes:
        training: in which way.
        seen: the state of the catalogue.
        begun: the head to begin with, and the metric it keeps.
        options: of that way.
    """

    training: HeadTraining
    seen: Version
    begun: LearntHead
    options: TrainingOptions | None = None

    def record(self, tx: Transaction, command: int | None = None) -> int:
        """Train the head this way from now on.

        Args:
            tx: a writing transaction.
            command: the first event of the same command, if this is a later step of one.

        Returns:
            The event's id.

        Raises:
            Conflict: the catalogue was changed since the head was looked at.
        """
        kept = dict(self.options.to_dict()) if self.options else {}
        detail = {"training": self.training, "columns": len(self.begun.head)}
        if self.training in {"frozen", "document"}:  # with a metric, which is of the state seen
            _require_unchanged(tx, self.seen)
        event = journal.record(tx, "train-head", detail, (), command)
        if self.training in {"frozen", "document"}:
            head, metric = self.begun.head, self.begun.metric
            heads.store(tx, event, self.training, head, metric, options=kept)
        else:
            heads.switch(tx, event, self.training, kept)
        return event


def prepare_switch(
    keeper: Keeper, training: HeadTraining, *, options: TrainingOptions | None = None
) -> Switch:
    """Look what a head would begin with that is trained in another way; nothing is written.

    A ``frozen`` head begins as the head that is there, or the exact one, and keeps its columns; a
    ``document`` one begins with none.
    """

    def begin(learning: Learning, moment: Moment) -> Switch:
        begun = _no_head(learning, moment)
        if training == "frozen":  # solving it may take a while
            begun = learning.head(moment) or learning.exact(moment)
        return Switch(training, moment.version, begun, options)

    return keeper.compute(begin)


def switch_head(
    store: Store,
    keeper: Keeper,
    training: HeadTraining,
    *,
    options: TrainingOptions | None = None,
    command: int | None = None,
) -> Trained:
    """Train the head in another way from now on, without training it now.

    Args:
        store: of the catalogue.
        keeper: of what is learnt.
        training: in which way.
        options: of that way.
        command: the first event of the same command, if this is a later step of one.
    """
    for left in reversed(range(_TRIES)):
        switch = prepare_switch(keeper, training, options=options)
        try:
            with store.writing() as tx:
                event = switch.record(tx, command)
            break
        except Conflict:  # someone changed the catalogue in between
            if not left:
                raise
    return Trained(training, len(switch.begun.head), event)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A head that was trained the documents' way, and is to be stored.

    Attributes:
        seen: the state of the catalogue that it was trained on.
        head: the weights.
        metric: that its descriptors are whitened with.
        options: of the training.
        curves: loss and accuracy of every batch and epoch.
        generator: that old classes were drawn with, if any was.
    """

    seen: Version
    head: Head
    metric: Metric
    options: TrainingOptions
    curves: Curves
    generator: Generator | None

    def record(self, tx: Transaction, command: int | None = None) -> int:
        """Store it.

        Args:
            tx: a writing transaction.
            command: the first event of the same command, if this is a later step of one.

        Returns:
            The event's id.

        Raises:
            Conflict: the catalogue was changed since.
        """
        _require_unchanged(tx, self.seen)
        detail = {
            "training": "document",
            "columns": len(self.head),
            "replay": self.options.replay,
            "loss": float(self.curves.loss[-1]),
            "accuracy": float(self.curves.accuracy[-1]),
        }
        event = journal.record(tx, "train-head", detail, (), command)
        row = heads.store(
            tx,
            event,
            "document",
            self.head,
            self.metric,
            options=self.options.to_dict(),
            curves={part.name: getattr(self.curves, part.name) for part in fields(self.curves)},
        )
        if self.generator is not None:
            heads.keep_generator(tx, row, event, self.generator.to_arrays())
        return event


def prepare_training(
    store: Store,
    keeper: Keeper,
    options: TrainingOptions,
    *,
    force: bool = False,
    progress: TrainingProgress | None = None,
) -> Prepared:
    """Build a head, or load it, or load it and widen it; then train it the documents' way.

    Nothing is written.

    Args:
        store: of the catalogue.
        keeper: of what is learnt.
        options: of the training; kept for the next time.
        force: train on new classes alone, which forgets the others.
        progress: told of each batch.

    Raises:
        InvalidInput: there are fewer than two classes or pictures, or old classes would be
            forgotten.
    """

    def gather(learning: Learning, moment: Moment) -> tuple[Version, LearntHead, Replayed]:
        begun, new = _begin(store, learning, moment, options)
        if len(begun.head) < FEWEST_CLASSES:
            raise InvalidInput(
                "training needs at least two classes to tell apart, and there are "
                f"{len(begun.head)}: add a class first"
            )
        _require_memory(options, new, begun.head, force=force)
        with store.reading() as tx:
            kept = generators.load(tx, begun.metric)
        return moment.version, begun, replay(learning, moment, begun, new, options, kept=kept)

    seen, begun, (rows, positions, generator) = keeper.compute(gather)
    total = count_batches(positions, options)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    trained, curves = train(begun.head, rows, positions, options, progress=advance)
    return Prepared(seen, trained, begun.metric, options, curves, generator)


def train_document(
    store: Store,
    keeper: Keeper,
    options: TrainingOptions,
    *,
    force: bool = False,
    command: int | None = None,
    progress: TrainingProgress | None = None,
) -> Trained:
    """Train a head as :func:`prepare_training` does, and let it land in one transaction.

    Raises:
        InvalidInput: as that does.
        Conflict: the catalogue was changed meanwhile; nothing was written.
    """
    ready = prepare_training(store, keeper, options, force=force, progress=progress)
    with store.writing() as tx:
        event = ready.record(tx, command)
    return Trained("document", len(ready.head), event, ready.curves)


def train_again(
    store: Store,
    keeper: Keeper,
    options: TrainingOptions,
    *,
    command: int | None,
    progress: TrainingProgress | None = None,
) -> None:
    """Let a ``document`` head follow what a command has changed, as it was trained before.

    Args:
        store: of the catalogue.
        keeper: of what is learnt.
        options: of the earlier training.
        command: the first event of the command.
        progress: told of each batch.

    Raises:
        Conflict: the catalogue was changed meanwhile.
    """
    with store.reading() as tx:
        classes = len(inventory.label_counts(tx))
        present = heads.current(tx).training
    if classes >= FEWEST_CLASSES:
        train_document(
            store,
            keeper,
            options,
            force=options.replay == "none",  # as it was when that was asked for
            command=command,
            progress=progress,
        )
    elif present != "document":
        switch_head(store, keeper, "document", options=options, command=command)


def keep_generator(store: Store, keeper: Keeper) -> None:
    """Train the generator on every class that it cannot draw yet, while descriptors are there."""

    def gather(
        learning: Learning, moment: Moment
    ) -> tuple[Moment, LearntHead, NDArray[np.float32]] | None:
        begun = learning.head(moment)
        if begun is None or moment.head.id is None:
            return None
        return moment, begun, learning.whitened(moment, begun.metric)

    gathered = keeper.compute(gather)
    if gathered is None:
        return
    moment, begun, whitened = gathered
    options = TrainingOptions.from_dict(moment.head.options)
    live = sorted(set(moment.slots.tolist()))
    with store.reading() as tx:
        kept = generators.load(tx, begun.metric)
    generator = generators.trained(kept, begun, (whitened, moment.slots), live, options.seed)
    if generator is None:
        return
    with store.writing() as tx:
        _require_unchanged(tx, moment.version)
        row = int(moment.head.id or 0)
        heads.drop_generator(tx, row)
        event = journal.record(
            tx, "train-head", {"training": "document", "generator": len(live)}, ()
        )
        heads.keep_generator(tx, row, event, generator.to_arrays())


def _begin(
    store: Store, learning: Learning, moment: Moment, options: TrainingOptions
) -> tuple[LearntHead, set[int]]:
    """The head that training starts from, widened for every class, and its new classes."""
    loaded = learning.head(moment) if moment.head.training == "document" else None
    begun = loaded or _no_head(learning, moment)
    head, new = begun.head, set[int]()
    if loaded:
        with store.reading() as tx:
            new = set(heads.untrained(tx, moment.head))
    for slot in moment.order:
        if slot not in head.classes:
            head = widen(head, slot, start=options.start, seed=options.seed)
            new.add(slot)
    return begun._replace(head=head), new


def _require_unchanged(tx: Transaction, seen: Version) -> None:
    """Make sure that what was learnt is of the present state.

    Raises:
        Conflict: the catalogue was changed meanwhile.
    """
    if journal.version(tx) != seen:
        raise Conflict("the catalogue was changed while its head was trained; try again")


def _no_head(learning: Learning, moment: Moment) -> LearntHead:
    """A head of no class, under the metric of a moment."""
    metric, _ = learning.metric(moment)
    return LearntHead(Head.empty(len(metric.mean)), metric, "document")


def _require_memory(options: TrainingOptions, new: set[int], head: Head, *, force: bool) -> None:
    if options.replay == "none" and new and len(new) < len(head) and not force:
        raise InvalidInput(
            f"training on {len(new)} new classes alone would forget the other "
            f"{len(head) - len(new)}",
            Advice("choose replay or force"),
        )
