"""What requests and responses hold beside the results that the Python calls return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from catalog import Event, Item, Job, LabelCount, Neighbour, Prediction, Refusal

MOST_NEIGHBOURS = 1000
MOST_NEIGHBOURS_AT_ONCE = 10_000
MOST_CANDIDATES = 100
MOST_ON_A_PAGE = 1000
MOST_IDS = 10_000
MOST_IDS_IN_ADDRESS = 1000
LONGEST_LABEL = 200

Label: TypeAlias = Annotated[
    str,
    Field(
        min_length=1, max_length=LONGEST_LABEL, description="The name of a class.", examples=["Mug"]
    ),
]
ItemNumber: TypeAlias = Annotated[
    int, Field(ge=1, le=2**63 - 1, description="The id of an item.", examples=[1])
]
BoxText: TypeAlias = Annotated[
    str | None,
    Field(
        pattern=r"^\d{1,9},\d{1,9},\d{1,9},\d{1,9}$",
        description="Only this part of each picture: x,y,width,height in pixels.",
        examples=["0,0,64,64"],
    ),
]
Head: TypeAlias = Annotated[
    Literal["exact", "frozen", "document", "none"] | None,
    Field(description="Train the head in this way from now on; by default as before."),
]
MadeUp: TypeAlias = Annotated[
    bool,
    Field(description="Make up photos of a picture whose class has no other to hold out."),
]


class Strict(BaseModel):
    """Parameters, or a body, of which none is passed over."""

    model_config = ConfigDict(extra="forbid")


class NearestQuery(Strict):
    """How the nearest items are asked for."""

    k: int = Field(10, ge=1, le=MOST_NEIGHBOURS, description="How many items.")
    box: BoxText = None


class PredictQuery(Strict):
    """How the class is asked for."""

    top: int = Field(5, ge=1, le=MOST_CANDIDATES, description="How many candidates to return.")
    precision: float = Field(
        0.98, gt=0, lt=1, description="How often an answer called match is to be right."
    )
    box: BoxText = None
    keep_unknown: bool = Field(
        False,  # noqa: FBT003
        description="Keep the descriptor of a picture that is unknown, for the audit to propose "
        "classes from; this needs a key to write.",
    )
    counts: bool = Field(
        True,  # noqa: FBT003
        description="Count the verdict, by day and class, for the audit.",
    )


class AddQuery(Strict):
    """How pictures are added."""

    label: Label
    move: bool = Field(
        False,  # noqa: FBT003
        description="Take pictures away from other classes instead of refusing them.",
    )
    made_up: MadeUp = True
    box: BoxText = None


class AddClassQuery(AddQuery):
    """How a class is made."""

    head: Head = None


class PreviewQuery(Strict):
    """Of which class it is asked what it would take."""

    label: Label
    box: BoxText = None


class FeedbackQuery(Strict):
    """What a picture is said to show."""

    label: Label
    note_only: bool = Field(
        False,  # noqa: FBT003
        description="Do not take the picture in; only note whether the answer was right.",
    )
    box: BoxText = None


class ClassesQuery(Strict):
    """Which classes are listed."""

    search: str = Field(
        "",
        max_length=200,
        description="Only those whose names hold this: the one of this very name first, then "
        "those that begin with it.",
    )
    offset: int = Field(0, ge=0, le=10**9, description="Without so many of the first.")
    limit: int = Field(100, ge=1, le=MOST_ON_A_PAGE, description="So many at most.")


class RemoveClassQuery(Strict):
    """Which class is removed, and how."""

    label: Label
    inexact: bool = Field(
        False,  # noqa: FBT003
        description="Take it out of answers although its descriptors were dropped.",
    )


class ItemsQuery(Strict):
    """Which items are listed."""

    label: Label | None = None
    after: int = Field(0, ge=0, le=2**63 - 1, description="Only items of higher ids.")
    limit: int = Field(100, ge=1, le=MOST_ON_A_PAGE, description="So many at most.")


class RemoveItemsQuery(Strict):
    """Which items are removed."""

    item: list[ItemNumber] = Field(min_length=1, max_length=MOST_IDS_IN_ADDRESS)


class ThumbnailQuery(Strict):
    """How large a thumbnail is."""

    side: int = Field(160, ge=16, le=1024, description="The longer side in pixels.")


class HistoryQuery(Strict):
    """How much of the journal is told."""

    last: int = Field(100, ge=1, le=10_000, description="So many of the latest entries.")


class UndoQuery(Strict):
    """What is undone."""

    command: int | None = Field(
        None, ge=1, le=2**63 - 1, description="Only if the last command is this one."
    )


class Rename(Strict):
    """A class that is to have another name."""

    label: Label
    name: Label


class MergeClasses(Strict):
    """Classes that are to be one."""

    labels: list[Label] = Field(min_length=1, max_length=1000, examples=[["Mug", "Cup"]])
    into: Label


class Move(Strict):
    """Items that are to be of another class."""

    items: list[ItemNumber] = Field(min_length=1, max_length=MOST_IDS, examples=[[1, 2]])
    label: Label
    new: bool = Field(False, description="Make the class.")  # noqa: FBT003


Source: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4096,
        description="A folder tree or a manifest on the service's computer, below a folder that it "
        "may read.",
        examples=["/photos"],
    ),
]
ClassLevel: TypeAlias = Annotated[
    int | Literal["last"] | None,
    Field(description="Which folders of a tree name classes: 1 for those directly below."),
]
GroupBy: TypeAlias = Annotated[
    Literal["folder"] | None,
    Field(description="Pictures of one folder are of one occasion."),
]
Split: TypeAlias = Annotated[
    str | None, Field(max_length=40, description="Take one part of the pictures.")
]
Part: TypeAlias = Literal["train", "validation", "test"] | None


class ImportJob(Strict):
    """Pictures of many classes that are to be added."""

    kind: Literal["import"]
    source: Source
    move: bool = False
    head: Head = None
    split: Split = None
    part: Part = None
    seed: int = Field(0, ge=0, le=2**32 - 1)
    class_level: ClassLevel = None
    group_by: GroupBy = None
    made_up: MadeUp = True


class SyncJob(Strict):
    """A folder or manifest that the catalogue is to be in step with."""

    kind: Literal["sync"]
    source: Source
    delete: bool = Field(False, description="Remove items that the source has no more.")  # noqa: FBT003
    force: bool = Field(
        False,  # noqa: FBT003
        description="Remove them also if more are gone than most_gone.",
    )
    most_gone: float = Field(
        0.25, ge=0, le=1, description="The largest share of items that is removed."
    )
    class_level: ClassLevel = None
    group_by: GroupBy = None
    made_up: MadeUp = True


class ReindexJob(Strict):
    """Another embedder that is to be brought in; without one, what is derived is made anew."""

    kind: Literal["reindex"]
    backbone: str | None = Field(
        None, max_length=200, description="The name of a network that the service's computer has."
    )
    views: Literal["fast", "standard", "thorough"] | None = None
    descriptor: Literal["512", "1280", "2048", "pooled"] | None = None


class EvaluateAsked(Strict):
    """Pictures whose class is known, which are to be asked about."""

    source: Source
    precision: float = Field(0.98, gt=0, lt=1)
    split: Split = None
    part: Part = None
    seed: int = Field(0, ge=0, le=2**32 - 1)
    class_level: ClassLevel = None


class EvaluateJob(EvaluateAsked):
    """The same, as a job."""

    kind: Literal["evaluate"]


AnyJob: TypeAlias = Annotated[
    ImportJob | SyncJob | ReindexJob | EvaluateJob, Field(discriminator="kind")
]
"""A job that is to be done."""


@dataclass(frozen=True, slots=True)
class RefusedPicture:
    """A picture that was refused.

    Attributes:
        picture: its name, as the client called it; None where it was not called anything.
        refused: why, in a word.
        detail: why, in a sentence.
    """

    picture: str | None
    refused: str
    detail: str


@dataclass(frozen=True, slots=True)
class NeighboursOf:
    """The items that look most like a picture.

    Attributes:
        picture: its name, as the client called it; None where it was not called anything.
        neighbours: the items, best first.
    """

    picture: str | None
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True)
class PredictionOf:
    """Which class a picture is.

    Attributes:
        picture: its name, as the client called it; None where it was not called anything.
        prediction: which class it is, and how sure that is.
    """

    picture: str | None
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class NearestAnswers:
    """Answers to several pictures, in their order.

    Attributes:
        answers: of each picture its neighbours, or why it was refused.
    """

    answers: tuple[NeighboursOf | RefusedPicture, ...]


@dataclass(frozen=True, slots=True)
class PredictAnswers:
    """Answers to several pictures, in their order.

    Attributes:
        answers: of each picture its prediction, or why it was refused.
    """

    answers: tuple[PredictionOf | RefusedPicture, ...]


@dataclass(frozen=True, slots=True)
class ClassPage:
    """Some of the classes, in the order in which people look for names.

    Attributes:
        classes: those of this page.
        total: how many there are, of those that were searched for.
    """

    classes: tuple[LabelCount, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some of the items, in the order of their ids.

    Attributes:
        items: those of this page.
        next: what ``after`` has to be for the next page; None on the last.
    """

    items: tuple[Item, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Events:
    """Entries of the journal.

    Attributes:
        events: in their order.
    """

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class JobPage:
    """The jobs that the catalogue knows.

    Attributes:
        jobs: the latest last.
        folders: below which jobs may read.
    """

    jobs: tuple[Job, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failures:
    """The pictures that a job could not take.

    Attributes:
        failures: with reasons.
    """

    failures: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Healthy:
    """That the service is up.

    Attributes:
        status: ``ok``.
    """

    status: str = "ok"


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether the service answers at once.

    Attributes:
        ready: whether the network is loaded, and what answers rest on was computed once.
        state: the present state of the catalogue, its generation first; None where it cannot be
            read.
        prepared: the state that all is at hand for.
        trouble: what keeps it from being ready.
    """

    ready: bool
    state: str | None
    prepared: str | None
    trouble: str | None
