"""How sure an answer may be, learnt from the catalogue's own pictures that were held out.

Five numbers about each answer go into a logistic regression of whether it is right; with them comes
from which probability on answers are right as often as promised, and how familiar a picture must
look so as not to be called unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.head import softmax
from catalog.judging.cross_fit import FOLDING_RULE, HeldOut
from catalog.judging.ranking import first_best
from catalog.judging.witnesses import HEAD_SHARE, Witnesses, margins

LEAST_GROUPS = 20
"""With fewer independent pictures than this there is no probability."""

KNOWN_SHARE = 0.95
"""The share of pictures of known classes that must stay clear of ``unknown``."""

CALIBRATION_RULE = (
    f"{FOLDING_RULE}; head {HEAD_SHARE:g}, known {KNOWN_SHARE:g}, groups {LEAST_GROUPS}; 5"
)
"""How it is measured, in short; what was measured by another rule is measured again."""

_TEMPERATURES = np.geomspace(1, 200, 60)
_PENALTY = 0.01


@dataclass(frozen=True)
class Calibration:
    """What was measured on pictures that were held out.

    Attributes:
        temperature: what the fused scores are multiplied by in a softmax over classes.
        head_temperature: the same for the head alone.
        weights: float64 (6,), of the logistic regression; the constant first.
        familiar: the cosine with the nearest centroid that all but a few known pictures reach.
        confidence: float64 (M,), the probability given to each held-out answer, falling.
        right: bool (M,), whether it was right.
        share: float64 (M,), what it counts; those of one group count 1 together.
        stranger_confidence: float64 (M,), the same had its class not been there.
        stranger_familiarity: float32 (M,), the cosine with the nearest centroid then.
        groups: how many independent pictures there were.
        with_head: whether the head was a witness. One whose weights depend on history cannot be
            learnt anew without some pictures; it takes part in answers, not in how sure they are.
    """

    temperature: float
    head_temperature: float
    weights: NDArray[np.float64]
    familiar: float
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    share: NDArray[np.float64]
    stranger_confidence: NDArray[np.float64]
    stranger_familiarity: NDArray[np.float32]
    groups: int
    with_head: bool

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays by name, to be stored."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """What :meth:`to_arrays` gave; plain numbers come back as such."""
        values: dict[str, Any] = {
            name: part.item() if part.ndim == 0 else part for name, part in arrays.items()
        }
        return cls(**values)

    def probabilities(self, witnesses: Witnesses, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """The probability that the class chosen for each query is right: float64 (Q,)."""
        heard = witnesses if self.with_head else witnesses.without_head
        return _logistic(_features(heard, chosen, self.temperature) @ self.weights)

    def threshold(self, precision: float) -> tuple[float, float]:
        """From which probability on answers are right so often, and on which share of pictures.

        Of the held-out answers from there on, the mean probability is the precision. (How many of
        them were right would rest on the few that were wrong.) One mistake more is counted, so that
        few pictures promise little.

        Returns:
            The lowest probability whose answers reach the precision, and the expected coverage;
            (inf, 0) if none do.
        """
        answered = np.cumsum(self.share)
        reached = np.cumsum(self.share * self.confidence) / (answered + 1)
        last = np.append(np.diff(self.confidence) < 0, True)  # equal ones go together
        enough = np.flatnonzero(last & (reached >= precision))
        if not len(enough):
            return float("inf"), 0.0
        at = int(enough[-1])
        return float(self.confidence[at]), float(answered[at] / answered[-1])

    def strangers(self, precision: float) -> tuple[float, float]:
        """The shares of strangers that will be called a ``match``, and ``unknown``.

        They were measured on held-out pictures whose own class was hidden from the witnesses: what
        looks like a class of the catalogue, and is none.
        """
        enough, _ = self.threshold(precision)
        unknown = self.stranger_familiarity < self.familiar
        matched = ~unknown & (self.stranger_confidence >= enough)
        total = self.share.sum()
        return float(self.share[matched].sum() / total), float(self.share[unknown].sum() / total)


def learn(held_out: HeldOut | None) -> Calibration | None:
    """Learn from what was said of held-out pictures; None if they are too few."""
    if held_out is None or held_out.groups < LEAST_GROUPS:
        return None
    witnesses, truth, share = held_out.witnesses, held_out.truth, held_out.share
    temperature = _temperature(witnesses.fused, truth, share)
    chosen = first_best(witnesses.fused)
    right = chosen == truth
    features = _features(witnesses, chosen, temperature)
    weights = _regress(features, right, share)
    confidence = _logistic(features @ weights)
    strange = witnesses.without(truth)
    unsure = _logistic(_features(strange, first_best(strange.fused), temperature) @ weights)
    order = np.argsort(-confidence, kind="stable")
    return Calibration(
        temperature=temperature,
        head_temperature=_temperature(witnesses.head_or_centroid, truth, share),
        weights=weights,
        familiar=_low_quantile(witnesses.familiarity, share, 1 - KNOWN_SHARE),
        confidence=confidence[order],
        right=right[order],
        share=share[order],
        stranger_confidence=unsure[order],
        stranger_familiarity=strange.familiarity[order],
        groups=held_out.groups,
        with_head=witnesses.head is not None,
    )


def _features(
    witnesses: Witnesses, chosen: NDArray[np.int64], temperature: float
) -> NDArray[np.float64]:
    """What the probability rests on: float64 (Q, 6), a constant first.

    The log-odds of the chosen class in the fused softmax, how far each witness has it ahead of the
    next class, and whether all witnesses name it.
    """
    probability = softmax(np.float32(temperature) * witnesses.fused)
    own = np.clip(probability[np.arange(len(chosen)), chosen], 1e-6, 1 - 1e-6)
    agree = np.all([named == chosen for named in witnesses.named], axis=0)
    return np.stack(
        [
            np.ones(len(chosen)),
            np.log(own / (1 - own)),
            10 * margins(witnesses.neighbours, chosen),
            10 * margins(witnesses.centroid, chosen),
            10 * margins(witnesses.head_or_centroid, chosen),
            agree,
        ],
        axis=1,
    )


def _temperature(
    scores: NDArray[np.float32], truth: NDArray[np.int64], share: NDArray[np.float64]
) -> float:
    """The factor that makes a softmax of scores most likely to give the truth."""

    def loss(factor: float) -> float:
        own = softmax(np.float32(factor) * scores)[np.arange(len(truth)), truth]
        return float(-(share * np.log(own + 1e-12)).sum())

    return float(min(_TEMPERATURES, key=loss))


def _regress(
    features: NDArray[np.float64], right: NDArray[np.bool_], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted logistic regression in which nothing that speaks for an answer counts against it.

    A weight that comes out negative is set to zero, the most negative first, and the others are
    fitted again: what is left orders new pictures better than a free fit.
    """
    active = list(range(features.shape[1]))
    while True:
        fitted = _newton(features[:, active], right, share)
        lowest = int(fitted[1:].argmin()) + 1 if len(active) > 1 else 0
        if fitted[lowest] >= 0 or not lowest:
            break
        del active[lowest]
    weights = np.zeros(features.shape[1])
    weights[active] = fitted
    return weights


def _newton(
    features: NDArray[np.float64], right: NDArray[np.bool_], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The free fit, with a light L2 penalty.

    One mistake is added where nothing speaks for an answer, or a catalogue that was never wrong
    would be sure of everything.
    """
    none = np.eye(1, features.shape[1])  # the constant alone
    features, right = np.concatenate([features, none]), np.append(right, False)
    share = np.append(share, 1.0)
    weights = np.zeros(features.shape[1])
    penalty = np.diag([1e-9, *[_PENALTY] * (features.shape[1] - 1)])
    for _ in range(50):
        probability = _logistic(features @ weights)
        slope = features.T @ (share * (probability - right)) + penalty @ weights
        spread = share * probability * (1 - probability)
        step = np.linalg.solve((features * spread[:, None]).T @ features + penalty, slope)
        weights -= np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -40, 40))))


def _low_quantile(
    values: NDArray[np.float32], share: NDArray[np.float64], quantile: float
) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(share[order]) / share.sum()
    return float(values[order][np.searchsorted(reached, quantile)])
