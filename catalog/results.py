"""What the calls of a catalogue return, beside answers and evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

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
        learning_state: hash of everything learning depends on; equal states give equal answers.
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


class Removed(NamedTuple):
    """What was removed: how many items, and the classes that have none left."""

    items: int
    classes: tuple[str, ...]
