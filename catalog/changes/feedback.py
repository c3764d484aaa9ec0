"""What a picture shows, said by someone who knows: the answer is confirmed or corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from catalog import answers
from catalog.answers import Prediction
from catalog.changes.command import Command
from catalog.changes.landing import Added, item_of, land
from catalog.changes.made_up import make_up
from catalog.changes.staging import Staged, stage_for
from catalog.descriptors import Advice, Conflict, PictureError, RefusalReason
from catalog.embedder import Picture, Source
from catalog.judging.cross_check import Verdict
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.manifest.pictures import Refusal
from catalog.store import journal
from catalog.store.classes import find_label
from catalog.store.compaction import is_compacted
from catalog.store.names import Name

Outcome = Literal["confirmed", "corrected", "new class"]
"""What feedback came to: the answer was right, it was wrong, or nobody knew the class."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What came of saying what a picture shows.

    Attributes:
        outcome: whether the answer was confirmed, corrected, or the class is new.
        label: the class it was said to be.
        predicted: the answer before, None in an empty catalogue.
        verdict: of that answer.
        probability: of that answer, None where nothing could be measured.
        added: whether the picture became an item.
        event: the journal's entry.
    """

    outcome: Outcome
    label: str
    predicted: str | None
    verdict: Verdict
    probability: float | None
    added: bool
    event: int


def feedback(
    catalog: Opened,
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
        Conflict: the picture is an item of another class.
        InvalidLabel: that cannot be a name.
    """
    name = Name.parse(label)
    staged = stage_for(catalog, name, [picture])
    (outcome,) = staged.outcomes
    if isinstance(outcome, Refusal):
        reason = cast("RefusalReason", outcome.reason)
        raise PictureError(reason, outcome.detail, outcome.place)
    answer = _answer_before(catalog, name, outcome)
    with catalog._store.reading() as tx:
        known = find_label(tx, name)
    if known is not None:
        name = known.spelling(name)
    word: Outcome = "corrected"
    if answer.label == name.text:
        word = "confirmed"
    elif known is None or not known.items:
        word = "new class"
    note = {"outcome": word, "predicted": answer.label, "verdict": answer.verdict}
    if note_only:
        with catalog._store.writing() as tx:
            event = journal.record(tx, "feedback", {"label": name.text, **note}, ())
        added = Added(name.text, event=event)
    else:
        outcomes = make_up(catalog, name, staged)
        with Command(catalog, training=training) as command:
            added = land(command, name, outcomes, kind="feedback", note=note)
        if added.refused:
            raise Conflict(added.refused[0].detail, Advice("add with move"))
    return Feedback(
        word,
        added.label,
        answer.label,
        answer.verdict,
        answer.probability,
        added.added > 0,
        added.event or 0,
    )


def _answer_before(catalog: Opened, name: Name, staged: Staged) -> Prediction:
    """What was said of a picture before anyone said what it shows."""
    with catalog._store.reading() as tx:
        item, _, _ = item_of(tx, staged)
        compacted = is_compacted(tx, item)
    if compacted:
        raise Conflict(
            "this picture is an item whose descriptor was dropped, so there is nothing more "
            f"to learn from it; give another photo of {name.text!r}"
        )

    def ask(bound: Bound) -> Prediction:
        row = bound.rows.floats(np.array([item], np.int64))
        (answer,) = bound.keeper.judge(
            lambda snapshot: answers.predict(snapshot, row, 1, bound.rows.floats)
        )
        return answer

    return catalog._asking(ask)
