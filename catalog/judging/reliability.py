"""How far an answer's confidence can be trusted: precision by coverage, and calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

_MOST_POINTS = 100


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """What is answered, and how well, when doubtful pictures are left without an answer.

    Attributes:
        coverage: share of pictures that are answered, in (0, 1].
        precision: share of those that are right.
        threshold: the least confidence among them.
    """

    coverage: float
    precision: float
    threshold: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The pictures whose probability lies in an interval.

    Attributes:
        lower: the interval begins here, inclusive.
        upper: and ends here, exclusive; the last one, which ends at 1, has its end.
        pictures: how many there are.
        probability: their mean probability of being right; None where there is no picture.
        right: the share of them that is right; None where there is no picture.
    """

    lower: float
    upper: float
    pictures: int
    probability: float | None
    right: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well probabilities agree with what happened.

    Attributes:
        bins: of equal width, from 0 to 1, empty ones among them.
        error: the expected calibration error, in [0, 1]: the mean over pictures of the distance
            between a bin's probability and its share of right pictures (Naeini, Cooper and
            Hauskrecht 2015; Guo, Pleiss, Sun and Weinberger 2017). None without a picture.
        left_out: how many pictures have no probability.
    """

    bins: tuple[ReliabilityBin, ...]
    error: float | None
    left_out: int = 0


def risk_coverage(
    confidence: NDArray[np.floating], right: NDArray[np.bool_]
) -> tuple[CoveragePoint, ...]:
    """Precision when only the surest pictures are answered, for ever more of them.

    Args:
        confidence: float (N,), finite; of any scale. Pictures of equal confidence are answered
            together.
        right: bool (N,), whether the answer would be right.

    Returns:
        Points of rising coverage and falling threshold, at most 100 of them, spread evenly over
        coverage; the last one answers every picture. Nothing for no picture.

    Raises:
        InvalidInput: lengths differ, or a confidence is not finite.
    """
    answered, correct, thresholds = _by_threshold(confidence, right)
    if not len(answered):
        return ()
    coverage = answered / answered[-1]
    wanted = np.arange(1, _MOST_POINTS + 1) / _MOST_POINTS
    kept = np.arange(len(coverage))
    if len(kept) > _MOST_POINTS:
        kept = np.unique(np.searchsorted(coverage, wanted))
    return tuple(
        CoveragePoint(float(coverage[at]), float(correct[at] / answered[at]), float(thresholds[at]))
        for at in kept
    )


def risk_coverage_area(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> float | None:
    """The area under the curve of risk, which is 1 - precision, by coverage; smaller is better.

    It is the mean, over all pictures, of the risk when a picture and all at least as sure are
    answered (Geifman, Uziel and El-Yaniv 2019), taken over the whole curve.

    Args:
        confidence: float (N,), finite; of any scale.
        right: bool (N,), whether the answer would be right.

    Returns:
        In [0, 1]; None for no picture.

    Raises:
        InvalidInput: lengths differ, or a confidence is not finite.
    """
    answered, correct, _ = _by_threshold(confidence, right)
    if not len(answered):
        return None
    added = np.diff(answered, prepend=0)
    return float(np.sum(added * (answered - correct) / answered) / answered[-1])


def reliability(
    probability: NDArray[np.floating], right: NDArray[np.bool_], *, bins: int = 15
) -> Reliability:
    """Compare probabilities of being right with how often it was so.

    Args:
        probability: float (N,), in [0, 1]; NaN where there is none.
        right: bool (N,), whether the answer was right.
        bins: how many intervals of equal width [0, 1] is divided into.

    Raises:
        InvalidInput: lengths differ, a probability is outside [0, 1], or there is no bin.
    """
    _check_pairs(probability, right, "probabilities")
    if bins < 1:
        raise InvalidInput(f"probabilities cannot be compared in {bins} bins; take 1 or more")
    known = ~np.isnan(probability)
    given, happened = probability[known].astype(np.float64), right[known]
    if ((given < 0) | (given > 1)).any():
        raise InvalidInput("a probability must be between 0 and 1")
    edges = np.arange(bins + 1) / bins
    bin_of = np.minimum(np.searchsorted(edges, given, side="right") - 1, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    some = np.maximum(counts, 1)
    means = np.bincount(bin_of, given, bins) / some
    shares = np.bincount(bin_of, happened, bins) / some
    return Reliability(
        tuple(
            ReliabilityBin(
                float(edges[at]),
                float(edges[at + 1]),
                int(count),
                float(means[at]) if count else None,
                float(shares[at]) if count else None,
            )
            for at, count in enumerate(counts)
        ),
        float(np.sum(counts * np.abs(shares - means)) / len(given)) if len(given) else None,
        int(np.count_nonzero(~known)),
    )


def confusion_matrix(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Count the pictures of each class by what they were taken for.

    Args:
        truth: int (N,), the class of each picture, from 0 to ``classes`` - 1.
        predicted: int (N,), what it was taken for.
        classes: C, how many there are.

    Returns:
        int64 (C, C): rows are the true classes, columns what they were taken for.

    Raises:
        InvalidInput: lengths differ, or a class is beyond those there are.
    """
    _check_pairs(truth, predicted, "classes")
    for found in (truth, predicted):
        if len(found) and not 0 <= found.min() <= found.max() < classes:
            raise InvalidInput(f"a picture is of a class beyond the {classes} there are")
    cells = truth.astype(np.int64) * classes + predicted.astype(np.int64)
    counts = np.bincount(cells, minlength=classes * classes)
    return counts.astype(np.int64, copy=False).reshape(classes, classes)


def _by_threshold(
    confidence: NDArray[np.floating], right: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.floating]]:
    """Per distinct confidence, falling: pictures at least as sure, right ones of them, and it."""
    _check_pairs(confidence, right, "confidences")
    if not np.isfinite(confidence).all():
        raise InvalidInput("a confidence must be finite")
    values, place, pictures = np.unique(confidence, return_inverse=True, return_counts=True)
    rights = np.bincount(place[right], minlength=len(values))
    return np.cumsum(pictures[::-1]), np.cumsum(rights[::-1]), values[::-1]


def _check_pairs(first: NDArray[np.generic], second: NDArray[np.generic], what: str) -> None:
    if first.ndim != 1 or first.shape != second.shape:
        raise InvalidInput(
            f"{what} of shape {first.shape} do not fit answers of shape {second.shape}"
        )
