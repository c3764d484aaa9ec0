"""What the calls of a catalogue return, beside answers and evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from catalog.audit import Audit
from catalog.cross_check import Verdict
from catalog.heads import HeadTraining
from catalog.landing import Added
from catalog.staging import Refusal


class LabelCount(NamedTuple):
    """A class, its slot, which never changes and is never reused, and how many items it has."""

    slot: int
    label: str
    items: int


@dataclass(frozen=True, slots=True)
class Item:
    """A picture in the catalogue: its id, class, SHA-256 and where it was found."""

    id: int
    label: str
    content: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Info:
    """What a catalogue is.

    Attributes:
        path: of its file.
        format: version of the file format.
        generation: number of the last event.
        created: UTC, ISO 8601.
        classes: how many there are.
        items: how many there are.
        staged: pictures whose descriptors are stored, but which are in no class.
        bytes: size of the file.
        fingerprint: of the embedder.
        backbone: name of the network, or the start of its SHA-256 if it is not on this machine.
        views: name of the view preset.
        prior: whether a measured prior is known for this backbone and preset.
        head: how the softmax head is trained: ``exact``, ``frozen``, ``document`` or ``none``.
        learning_state: hash of the sums that everything is learnt from; catalogues with equal ones,
            an ``exact`` head and no dropped descriptors give equal answers.
    """

    path: str
    format: int
    generation: int
    created: str
    classes: int
    items: int
    staged: int
    bytes: int
    fingerprint: str
    backbone: str
    views: str
    prior: bool
    head: HeadTraining
    learning_state: str


@dataclass(slots=True)
class Imported:
    """What came of an import.

    Attributes:
        classes: each class that something was done for, in order.
        refused_classes: classes that could not be made, with the reason.
        others: files passed over because their names are not those of pictures.
        unread: folders that could not be read.
    """

    classes: list[Added] = field(default_factory=list)
    refused_classes: dict[str, str] = field(default_factory=dict)
    others: int = 0
    unread: tuple[str, ...] = ()

    @property
    def refused(self) -> list[Refusal]:
        """Every picture that was not taken."""
        return [refusal for added in self.classes for refusal in added.refused]


@dataclass(frozen=True, slots=True)
class ProposedClass:
    """Photos that were answered ``unknown`` and kept, and that look like one thing.

    Attributes:
        pictures: how many there are.
        cosine: the mean over all pairs of them.
        places: where they were found, the most central first; those of bytes and arrays are absent.
    """

    pictures: int
    cosine: float
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What is wrong with a catalogue, and what it lacks.

    Attributes:
        found: what is wrong with its items and classes.
        kept: how many ``unknown`` photos were kept.
        proposed: the classes that they could make, the largest first.
        alone: how many of them are like no other.
    """

    found: Audit
    kept: int
    proposed: tuple[ProposedClass, ...]
    alone: int


class Taken(NamedTuple):
    """How many items or pictures of a class another class would take, and of how many."""

    label: str
    pictures: int
    of: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a class would do to a catalogue if it were made.

    Attributes:
        label: its name.
        pictures: how many it would have.
        now: what its pictures are taken for as things are, the most frequent first.
        takes: the classes whose items would be nearer to its mean than to their own, those that
            lose most first.
        refused: pictures that would not be taken.
    """

    label: str
    pictures: int
    now: tuple[Taken, ...]
    takes: tuple[Taken, ...]
    refused: tuple[Refusal, ...]


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


class Removed(NamedTuple):
    """What was removed: how many items, and the classes that have none left."""

    items: int
    classes: tuple[str, ...]
