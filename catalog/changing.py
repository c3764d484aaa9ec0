"""The calls that change a catalogue."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from catalog import answers, compaction, heads, inventory, journal, landing, preview
from catalog.answers import Prediction
from catalog.classes import (
    emptied,
    find_label,
    refuse_existing,
    refuse_variant,
    require_label,
)
from catalog.compaction import Compacted
from catalog.descriptors import Conflict, InvalidInput, NotFound, PictureError
from catalog.embedder import Picture, Source
from catalog.head import TrainingOptions
from catalog.head_keeper import HeadKeeper
from catalog.heads import HeadTraining, training_named
from catalog.importing import import_listing
from catalog.journal import Change, Event
from catalog.labels import clean_label
from catalog.landing import Added
from catalog.manifest import Labelled, listed
from catalog.opened import Opened
from catalog.results import Feedback, Imported, Outcome, Preview, Removed
from catalog.staging import Progress, Refusal, Staged, counted
from catalog.training import (
    Trained,
    TrainingProgress,
    keep_generator,
    switch_head,
    train_document,
)

if TYPE_CHECKING:
    from catalog.descriptors import RefusalReason


class Changing(Opened):
    """Changes to an open catalogue; :class:`Catalog` is what is used."""

    def add_class(
        self,
        label: str,
        pictures: Iterable[Source | Picture],
        *,
        move: bool = False,
        head: str | None = None,
        progress: Progress | None = None,
        training: TrainingProgress | None = None,
    ) -> Added:
        """Make a new class of some pictures.

        Args:
            label: its name.
            pictures: paths, bytes, arrays, or any of these with a box.
            move: take pictures away from other classes, instead of refusing them.
            head: train the head in this way from now on: ``exact``, ``frozen``, ``document`` or
                ``none``; by default as before, ``exact`` in a new catalogue.
            progress: told of each picture.
            training: told of each batch of a ``document`` training.

        Returns:
            What came of it. If every picture was refused, the class was not made.

        Raises:
            LabelConflict: the class exists, or one that is spelt almost alike.
            InvalidLabel: that cannot be a name.
            InvalidInput: there are no pictures, or no such way to train a head.
        """
        way = training_named(head) if head else None
        outcomes = self._staged(label, pictures, refuse_existing, progress)
        keeper = HeadKeeper(self._learning, way)
        added = self._landed(label, outcomes, refuse_existing, keeper, move=move)
        command = keeper.switched or added.event
        self._trained(way if command else None, command, training)
        return added

    def preview_class(
        self,
        label: str,
        pictures: Iterable[Source | Picture],
        *,
        progress: Progress | None = None,
    ) -> Preview:
        """What :meth:`add_class` would do to the other classes; none of them is changed.

        The pictures are embedded, so that adding them afterwards takes no time. Arguments and
        errors are those of :meth:`add_class`.
        """
        outcomes = self._staged(label, pictures, refuse_existing, progress)
        with self._store.reading() as tx:
            items, refused = landing.free_items(tx, outcomes)
            descriptors = self._learning.descriptors(tx, np.array(items, np.int64))
            return Preview(
                label=clean_label(label),
                pictures=len(items),
                now=preview.taken_for(tx, self._learning, descriptors),
                takes=preview.takes(tx, self._learning, descriptors),
                refused=refused,
            )

    def add(
        self,
        label: str,
        pictures: Iterable[Source | Picture],
        *,
        move: bool = False,
        progress: Progress | None = None,
        training: TrainingProgress | None = None,
    ) -> Added:
        """Add pictures to a class that exists; arguments as for :meth:`add_class`.

        A ``frozen`` head stays as it is; a ``document`` one is trained on.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is one that is spelt almost alike.
            InvalidInput: there are no pictures.
        """
        outcomes = self._staged(label, pictures, require_label, progress)
        added = self._landed(label, outcomes, require_label, move=move)
        self._trained(None, added.event, training)
        return added

    def import_(
        self,
        source: Labelled,
        *,
        move: bool = False,
        head: str | None = None,
        split: str | None = None,
        part: str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        training: TrainingProgress | None = None,
    ) -> Imported:
        """Add pictures of many classes, each class in a transaction of its own.

        What is there already is left as it is, so an import that was cut short is finished by
        running it again, and nothing is embedded twice.

        Args:
            source: a folder tree or manifest, what :func:`read_manifest` made of one, or entries.
            move: take pictures away from other classes, instead of refusing them.
            head: as for :meth:`add_class`.
            split: take one part of the pictures, split at random in these sizes, such as ``80/20``.
            part: which: ``train``, ``validation`` or ``test``.
            seed: of the split.
            progress: told of each picture.
            training: told of each batch of a ``document`` training.

        Raises:
            NotFound, InvalidInput: as :func:`read_manifest` does, or there is no such way to train
                a head.
        """
        way = training_named(head) if head else None
        listing = listed(source, split, part, seed)
        keeper = HeadKeeper(self._learning, way)
        imported = import_listing(
            self._store, self._staging(), listing, move=move, keeper=keeper, progress=progress
        )
        first = next((added.event for added in imported.classes if added.event), None)
        command = keeper.switched or first
        self._trained(way if command else None, command, training)
        return imported

    def feedback(
        self,
        picture: Source | Picture,
        label: str,
        *,
        note_only: bool = False,
        training: TrainingProgress | None = None,
    ) -> Feedback:
        """Say what a picture shows: the answer is confirmed or corrected, and learnt from.

        A label not seen before becomes a class. Can be undone.

        Args:
            picture: a path, bytes, an array, or any of these with a box.
            label: the class that it shows.
            note_only: do not take the picture in as an item; the journal alone keeps whether the
                answer was right.
            training: told of each batch of a ``document`` training.

        Raises:
            PictureError: the picture is refused.
            LabelConflict: a class exists that is spelt almost alike.
            Conflict: the picture is an item of another class.
            InvalidLabel: that cannot be a name.
        """
        (outcome,) = self._staged(label, [picture], refuse_variant, None)
        if isinstance(outcome, Refusal):
            reason = cast("RefusalReason", outcome.reason)
            raise PictureError(reason, outcome.detail, outcome.place)
        with self._store.reading() as tx:
            answer = self._answer_before(tx, label, outcome)
            known = find_label(tx, label)
        word: Outcome = "corrected"
        if answer.label == clean_label(label):
            word = "confirmed"
        elif known is None or not known.items:
            word = "new class"
        note = {"outcome": word, "predicted": answer.label, "verdict": answer.verdict}
        added = Added(clean_label(label))
        if not note_only:
            added = self._landed(label, [outcome], refuse_variant, kind="feedback", note=note)
            if added.refused:
                where, _, _ = added.refused[0].detail.partition(";")
                raise Conflict(f"{where}; `catalog add` takes it from there with --move")
        else:
            with self._store.writing() as tx:
                added.event = journal.record(tx, "feedback", {"label": added.label, **note}, ())
        self._trained(None, added.event if added.added else None, training)
        return Feedback(
            word,
            added.label,
            answer.label,
            answer.verdict,
            answer.probability,
            added.added > 0,
            added.event or 0,
        )

    def train_head(
        self,
        head: str,
        *,
        epochs: int | None = None,
        batch: int | None = None,
        dropout: float | None = None,
        learning_rate: float | None = None,
        validation_split: float | None = None,
        start: str | None = None,
        replay: str | None = None,
        seed: int | None = None,
        force: bool = False,
        training: TrainingProgress | None = None,
    ) -> Trained:
        """Train the head in one of four ways, now and from now on. Can be undone.

        ``exact`` solves it from everything, whenever it is needed. ``frozen`` keeps its columns as
        they are, and trains only those of new classes. ``document`` trains it as the documents do,
        in Keras. ``none`` leaves it out.

        Args:
            head: the way.
            epochs: of ``document``: how often each descriptor is seen; 5 by default.
            batch: of ``document``: descriptors per step; 64 by default.
            dropout: of ``document``: share of components left out at each step; .5 by default.
            learning_rate: of ``document``: of Adam; .001 by default.
            validation_split: of ``document``: share of descriptors held out for the curves; .2 by
                default.
            start: of ``document``: the column of a new class begins with ``zeros`` or ``random``.
            replay: of ``document``: old classes are trained on with ``stored`` descriptors, with
                some drawn from their sums (``gaussian``) or by a generative network (``gan``), or
                not at all (``none``).
            seed: of ``document``; 0 by default.
            force: train on new classes alone although the old ones are forgotten.
            training: told of each batch.

        Raises:
            InvalidInput: an option makes no sense, there are fewer than two classes or pictures, or
                old classes would be forgotten.
            Conflict: the catalogue was changed meanwhile; nothing was written.
        """
        way = training_named(head)
        given = {
            "epochs": epochs,
            "batch": batch,
            "dropout": dropout,
            "learning_rate": learning_rate,
            "validation_split": validation_split,
            "start": start,
            "replay": replay,
            "seed": seed,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        if way != "document":
            if chosen:
                raise InvalidInput(f"{', '.join(chosen)}: only a document head has such options")
            return switch_head(self._store, self._learning, way)
        with self._store.reading() as tx:
            options = TrainingOptions.from_dict({**heads.current(tx).options, **chosen})
        return train_document(self._store, self._learning, options, force=force, progress=training)

    def remove(self, items: Iterable[int]) -> Removed:
        """Take items out; what is learnt is as if they had never been there. Can be undone.

        Raises:
            NotFound: there is no such item; nothing is removed.
        """
        wanted = list(dict.fromkeys(items))
        with self._store.writing() as tx:
            before = [(item, inventory.slot_of(tx, item)) for item in wanted]
            compaction.require_stored(tx, wanted)
            changes = [Change(item, slot, None) for item, slot in before]
            if changes:
                journal.record(tx, "remove", {"items": len(changes)}, changes)
            gone = emptied(tx, {slot for _, slot in before})
            return Removed(len(changes), gone)

    def remove_class(self, label: str, *, inexact: bool = False) -> Removed:
        """Take a class out with all its items. Can be undone, unless it is ``inexact``.

        Args:
            label: its name.
            inexact: take out a class whose descriptors were dropped. It is gone from all answers,
                but its share of the metric stays.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is one that is spelt almost alike.
            Conflict: its descriptors were dropped.
        """
        with self._store.writing() as tx:
            found = require_label(tx, label)
            if found.slot in compaction.compacted_classes(tx):
                if not inexact:
                    raise Conflict(
                        f"descriptors of class {found.name!r} were dropped, so it cannot be "
                        "removed exactly; --inexact takes it out of answers, and leaves its share "
                        "of the metric"
                    )
                items = compaction.remove_inexactly(tx, found.slot, found.name)
                return Removed(items, (found.name,))
            rows = tx.execute("SELECT id FROM item WHERE label = ? ORDER BY id", (found.slot,))
            changes = [Change(item, found.slot, None) for (item,) in rows.fetchall()]
            detail = {"label": found.name, "items": len(changes)}
            journal.record(tx, "remove-class", detail, changes)
            return Removed(len(changes), (found.name,))

    def compact(self, labels: Iterable[str] | None = None) -> Compacted:
        """Drop the descriptors of classes, and keep their exact sums. Cannot be undone.

        The classes keep their centroids and what the head knows of them; their items cannot be
        neighbours any more, nor be taken out. A ``document`` head that replays with ``gan`` first
        trains its generator on them.

        Args:
            labels: the classes; all by default.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is one that is spelt almost alike.
            InvalidInput: the list of classes is none, or empty.
        """
        wanted = None if labels is None else [] if isinstance(labels, str) else list(labels)
        if wanted == []:
            raise InvalidInput("classes to compact come as a list with at least one name")
        with self._store.reading() as tx:
            record = heads.current(tx)
            for label in wanted or ():
                require_label(tx, label)
        if record.training == "document" and record.options.get("replay") == "gan":
            keep_generator(self._store, self._learning)
        with self._store.writing() as tx:
            names = {row.label: row.slot for row in inventory.label_counts(tx)}
            chosen = [require_label(tx, w).name for w in wanted] if wanted else list(names)
            done = compaction.compact(
                tx,
                self._learning.stored,
                {names[name]: name for name in chosen},
                compaction.sums_of_dropped(tx, self._learning.width),
            )
        self._learning.forget()  # whitened descriptors, too, are to be gone
        self._store.rewrite()
        return done

    def undo(self) -> list[Event]:
        """Take back the last command that changed this catalogue and was not undone yet.

        Returns:
            The events taken back.

        Raises:
            NotFound: there is nothing to undo.
        """
        with self._store.writing() as tx:
            undone = journal.undo_last(tx)
            if not undone:
                raise NotFound("there is nothing to undo")
            return undone

    def _staged(
        self,
        label: str,
        pictures: Iterable[Source | Picture],
        check: Callable[[sqlite3.Connection, str], object],
        progress: Progress | None,
    ) -> list[Staged | Refusal]:
        """Embed pictures for a class, once it is clear that they could go there."""
        if isinstance(pictures, str | bytes | PathLike | np.ndarray | Picture):
            raise InvalidInput("pictures come as a list, also when there is only one")
        with self._store.reading() as tx:
            check(tx, label)  # before the work of embedding, and again when they land
        outcomes = list(counted(self._staging().stage(pictures), progress))
        if not outcomes:
            raise InvalidInput(f"no pictures were given for {label!r}")
        return outcomes

    def _landed(
        self,
        label: str,
        outcomes: Sequence[Staged | Refusal],
        check: Callable[[sqlite3.Connection, str], object],
        keeper: HeadKeeper | None = None,
        *,
        move: bool = False,
        kind: str = "add",
        note: Mapping[str, Any] | None = None,
    ) -> Added:
        return landing.land(
            self._store,
            label,
            outcomes,
            check=check,
            move=move,
            keeper=keeper or HeadKeeper(self._learning),
            kind=kind,
            note=note,
        )

    def _trained(
        self, way: HeadTraining | None, command: int | None, training: TrainingProgress | None
    ) -> None:
        """Train a ``document`` head after a command that changed something."""
        with self._store.reading() as tx:
            record = heads.current(tx)
        if (way or record.training) != "document" or (command is None and way is None):
            return
        with self._store.reading() as tx:
            classes = len(inventory.label_counts(tx))
        options = TrainingOptions.from_dict(record.options)
        if classes >= 2:
            train_document(
                self._store,
                self._learning,
                options,
                force=options.replay == "none",  # as it was when that was asked for
                command=command,
                progress=training,
            )
        elif record.training != "document":
            switch_head(self._store, self._learning, "document", options=options, command=command)

    def _answer_before(self, tx: sqlite3.Connection, label: str, staged: Staged) -> Prediction:
        item, _, _ = landing.item_of(tx, staged)
        if compaction.is_compacted(tx, item):
            raise Conflict(
                "this picture is an item whose descriptor was dropped, so there is nothing more "
                f"to learn from it; give another photo of {clean_label(label)!r}"
            )
        descriptors = self._learning.descriptors(tx, np.array([item], np.int64))
        return answers.predict(tx, self._learning, descriptors, 1)[0]
