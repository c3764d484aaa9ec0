"""Head and centroids checked against each other, with the nearest items as a third witness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput
from catalog.head import softmax
from catalog.judging.calibration import Calibrations
from catalog.judging.ranking import first_best
from catalog.judging.witnesses import Witnesses

Verdict = Literal["match", "ambiguous", "disagree", "unknown"]
"""What an answer is worth.

``match``: sure enough that answers like it are right as often as was asked for. ``disagree``: not
so sure, and head and centroid (without a head, centroid and nearest item) name different classes.
``ambiguous``: they name the same one, but that is not enough, or nothing could be measured.
``unknown``: the picture looks like none of the classes.
"""

Evidence = Literal["held out", "made up"]
"""What a probability rests on: pictures of the answer's class that were held out, or, where it has
none to spare, photos that were made up of one."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""Every verdict, the surest first."""

PRECISION = 0.98
"""What a ``match`` is worth where nothing else is asked for: 98 of 100 are right."""

# Of scores where nothing was measured yet: about what is measured on photos of products.
_TEMPERATURE = 20.0


@dataclass(frozen=True)
class Judgement:
    """What the witnesses come to for Q queries.

    Attributes:
        chosen: int64 (Q,), the class that head and centroid together put first.
        verdicts: what each answer is worth.
        probability: float64 (Q,), that it is right, NaN where nothing tells; None where nothing
            could be measured.
        evidence: what each probability rests on; None where there is none.
        shares: float64 (Q, C), the softmax of the fused scores.
        head_shares: float64 (Q, C), the head's own softmax; None without a head.
        precision: what a ``match`` is worth; None where nothing could be measured.
        coverage: the share of pictures of known classes expected to be a ``match``; None likewise.
    """

    chosen: NDArray[np.int64]
    verdicts: tuple[Verdict, ...]
    probability: NDArray[np.float64] | None
    shares: NDArray[np.float64]
    head_shares: NDArray[np.float64] | None
    precision: float | None
    coverage: float | None
    evidence: tuple[Evidence | None, ...]

    def probability_of(self, at: int) -> float | None:
        """The probability of one answer; None where there is none."""
        if self.probability is None or np.isnan(self.probability[at]):
            return None
        return float(self.probability[at])


def judge(witnesses: Witnesses, calibration: Calibrations | None, precision: float) -> Judgement:
    """Weigh the witnesses of each query.

    Args:
        witnesses: of Q queries and at least one class.
        calibration: what was measured on held-out pictures, if there were enough.
        precision: how often a ``match`` is to be right.

    Raises:
        InvalidInput: the precision is not between 0 and 1.
    """
    require_precision(precision)
    chosen = first_best(witnesses.fused)
    measured = calibration.either if calibration else None
    head_temperature = witnesses.logit_scale
    if head_temperature is None:
        head_temperature = measured.head_temperature if measured else _TEMPERATURE
    head = (
        None if witnesses.head is None else softmax(np.float32(head_temperature) * witnesses.head)
    )
    probability = calibration.probabilities(witnesses, chosen) if calibration else None
    temperature = measured.temperature if measured else _TEMPERATURE
    return Judgement(
        chosen=chosen,
        verdicts=_verdicts(witnesses, calibration, chosen, probability, precision),
        probability=probability,
        shares=softmax(np.float32(temperature) * witnesses.fused),
        head_shares=head,
        precision=precision if calibration else None,
        coverage=calibration.coverage(precision) if calibration else None,
        evidence=_evidence(witnesses, chosen, probability),
    )


def require_precision(precision: float) -> None:
    """Make sure that so much can be asked of a match.

    Raises:
        InvalidInput: it is not between 0 and 1.
    """
    if not 0 < precision < 1:
        raise InvalidInput(f"the precision of a match lies between 0 and 1, not at {precision}")


def candidate_count(shares: NDArray[np.float64], wanted: float) -> int:
    """How many of the likeliest classes hold so much of the softmax float64 (C,) together."""
    falling = np.cumsum(np.sort(shares)[::-1])
    return min(int(np.searchsorted(falling, wanted)) + 1, len(shares))


def _evidence(
    witnesses: Witnesses, chosen: NDArray[np.int64], probability: NDArray[np.float64] | None
) -> tuple[Evidence | None, ...]:
    """What each probability rests on."""
    if probability is None:
        return (None,) * len(chosen)
    by_photos = witnesses.stands_in[chosen]
    return tuple(
        None if none else "made up" if photos else "held out"
        for none, photos in zip(np.isnan(probability).tolist(), by_photos.tolist(), strict=True)
    )


def _verdicts(
    witnesses: Witnesses,
    calibration: Calibrations | None,
    chosen: NDArray[np.int64],
    probability: NDArray[np.float64] | None,
    precision: float,
) -> tuple[Verdict, ...]:
    sure = np.zeros(len(chosen), np.bool_)
    strange = sure
    if calibration and probability is not None:
        sure = probability >= calibration.enough(witnesses, chosen, precision)
        strange = calibration.strange(witnesses, chosen)
    centroid, other, *_ = witnesses.named
    return tuple(
        "unknown" if unknown else "match" if match else "ambiguous" if same else "disagree"
        for unknown, match, same in zip(
            strange.tolist(), sure.tolist(), (centroid == other).tolist(), strict=True
        )
    )
