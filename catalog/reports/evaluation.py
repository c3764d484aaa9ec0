"""What an evaluation finds: figures, and the pictures that were taken for something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from catalog.judging.cross_check import Verdict
from catalog.judging.reliability import CoveragePoint, Reliability
from catalog.manifest.pictures import Refusal


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of pictures whose class came first, and was among the first five."""

    top1: float
    top5: float


@dataclass(frozen=True, slots=True)
class HeadResult:
    """Accuracy of the softmax head, and its loss: the mean cross-entropy in nats."""

    top1: float
    top5: float
    loss: float


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """How many answers had a verdict, and how many of those named the right class."""

    verdict: Verdict
    pictures: int
    right: int


@dataclass(frozen=True, slots=True)
class CrossCheckResult:
    """How often head and centroid together are right, and whether they know it.

    Attributes:
        top1: share of pictures whose class came first.
        top5: share whose class was among the first five.
        verdicts: how many answers had each of them.
        precision: what a ``match`` was asked to be worth; None where nothing could be measured on
            the catalogue's own pictures.
        expected_coverage: the share of pictures expected to be a ``match``; None likewise.
        strangers_matched: the share of strangers expected to be called a ``match``, measured on
            the catalogue's own pictures, had their classes not been there; None likewise.
        strangers_unknown: the share of them expected to be called ``unknown``; None likewise.
        reliability: of the probabilities; None likewise.
        risk: the share that is wrong, as a mean over all coverages: the area under the
            risk-coverage curve of the cross-check, the smaller the better.
        curves: precision by coverage, by the confidence of both together (``cross_check``), and of
            ``head``, ``centroid`` and ``neighbours`` alone, each by its margin.
    """

    top1: float
    top5: float
    verdicts: tuple[VerdictCount, ...]
    precision: float | None
    expected_coverage: float | None
    strangers_matched: float | None
    strangers_unknown: float | None
    reliability: Reliability | None
    risk: float
    curves: Mapping[str, tuple[CoveragePoint, ...]]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How well :meth:`Catalog.nearest` ranks items.

    Attributes:
        recall_at_1: share of pictures for which the item ranked first has their class.
        mean_average_precision: over the ranking of all items, relevant where the class is the same.
    """

    recall_at_1: float
    mean_average_precision: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often all witnesses name the same class, and how often it is the right one then."""

    share: float
    top1: float | None


@dataclass(frozen=True, slots=True)
class ClassResult:
    """The figures of one class; ``pictures`` is how many of it were evaluated."""

    label: str
    pictures: int
    cross_check_top1: float
    head_top1: float | None
    centroid_top1: float
    neighbours_top1: float
    mean_average_precision: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many pictures of class ``truth`` were taken for ``predicted``."""

    truth: str
    predicted: str
    pictures: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that was taken for another class, and the item that is nearest to it, if any.

    ``place`` is where the picture was found, in the form of an item's sources; None for bytes and
    arrays.
    """

    place: str | None
    truth: str
    predicted: str
    nearest_item: int | None
    verdict: Verdict
    probability: float | None


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """How many pictures of each class (row) were taken for each class (column).

    Attributes:
        labels: the classes that occur as truth or answer, in the natural order of names.
        counts: a row for each of them.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What :meth:`Catalog.evaluate` found.

    Attributes:
        pictures: how many were evaluated.
        classes: of how many classes they are.
        cross_check: of head and centroid together, which is what answers are.
        head: of the softmax head; None without one.
        centroid: of the nearest class centroid.
        neighbours: of the nearest item's class.
        retrieval: of the ranking of items.
        agreement: of head, centroid and nearest item.
        per_class: by class, in the natural order of names.
        confusions: the most frequent first.
        confusion_matrix: all of them, and what was right.
        mistakes: every picture that was taken for another class.
        strangers: verdicts on pictures of classes that the catalogue does not have.
        in_catalogue: how many of the pictures are items of this catalogue, which flatters.
        not_in_catalogue: pictures of classes that the catalogue does not have, by class; they are
            in no other figure.
        refused: pictures that could not be read.
    """

    pictures: int
    classes: int
    cross_check: CrossCheckResult
    head: HeadResult | None
    centroid: Accuracy
    neighbours: Accuracy
    retrieval: Retrieval
    agreement: Agreement
    per_class: tuple[ClassResult, ...]
    confusions: tuple[Confusion, ...]
    confusion_matrix: ConfusionMatrix
    mistakes: tuple[Mistake, ...]
    strangers: tuple[VerdictCount, ...] = ()
    in_catalogue: int = 0
    not_in_catalogue: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()
