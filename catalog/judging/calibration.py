"""How sure an answer may be, learnt from the catalogue's own pictures that were held out.

Five numbers about each answer go into a logistic regression of whether it is right; with them comes
from which probability on answers are right as often as promised, and how familiar a picture must
look so as not to be called unknown.

Where a class has no picture to hold out, photos that were made up of one stand in, and are measured
apart. All that can be made up is the same picture seen otherwise, while a photo that is asked may
show another thing of its kind. It is taken to be no more like its class than a stranger is, in nine
cases of ten: so many strangers are counted as wrong answers beside each photo. And what is less
like a class than half of the photos made up for it is given no probability by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput
from catalog.head import softmax
from catalog.judging.cross_fit import FOLDING_RULE, HeldOut
from catalog.judging.ranking import first_best
from catalog.judging.witnesses import HEAD_SHARE, Witnesses, margins

LEAST_GROUPS = 20
"""With fewer independent pictures than this there is no probability."""

KNOWN_SHARE = 0.95
"""The share of pictures of known classes that must stay clear of ``unknown``."""

DOUBT = 9.0
"""How many strangers are counted beside each photo that was made up; like the next number it is
chosen on four kinds of pictures, by the table in ``benchmarks/MADE_UP.md``."""

MISTAKES = 0.5
"""What is counted beside pictures that were held out: an answer more, so much of it wrong. Half is
the estimate of R. E. Krichevsky and V. K. Trofimov (1981), the mean under Jeffreys' prior; chosen
by the table in ``benchmarks/PROMISES.md``."""

LIKE_SHARE = 0.5
"""The share of photos made up that a picture has to be as like its class as."""

CALIBRATION_RULE = (
    f"{FOLDING_RULE}; head {HEAD_SHARE:g}, known {KNOWN_SHARE:g}, groups {LEAST_GROUPS}, "
    f"doubt {DOUBT:g}, like {LIKE_SHARE:g}; 7"
)
"""How it is measured, in short; what was measured by another rule is measured again."""

_TEMPERATURES = np.geomspace(1, 200, 60)
_PENALTY = 0.01
_ANYTHING = float("-inf")  # below any cosine


@dataclass(frozen=True)
class Calibration:
    """What was measured on pictures that were held out, or on photos that were made up.

    Attributes:
        temperature: what the fused scores are multiplied by in a softmax over classes.
        head_temperature: the same for the head alone.
        weights: float64 (6,), of the logistic regression; the constant first.
        familiar: the cosine with the nearest centroid that all but a few known pictures reach.
        like: the cosine with the centroid of its class below which an answer has no probability.
        doubt: how many strangers were counted beside each picture.
        confidence: float64 (M,), the probability given to each answer, falling; 0 for one that is
            given none.
        right: bool (M,), whether it was right.
        share: float64 (M,), what it counts; those of one occasion count 1 together.
        stranger_confidence: float64 (S,), the same had the class of a picture not been there.
        stranger_familiarity: float32 (S,), the cosine with the nearest centroid then.
        stranger_share: float64 (S,), what that counts.
        groups: how many independent pictures there were.
        with_head: whether the head was a witness. One whose weights depend on history cannot be
            learnt anew without some pictures; it takes part in answers, not in how sure they are.
    """

    temperature: float
    head_temperature: float
    weights: NDArray[np.float64]
    familiar: float
    like: float
    doubt: float
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    share: NDArray[np.float64]
    stranger_confidence: NDArray[np.float64]
    stranger_familiarity: NDArray[np.float32]
    stranger_share: NDArray[np.float64]
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
        """The probability that the class chosen for each query is right: float64 (Q,).

        It is NaN for a query that is too unlike its class for that to be told.
        """
        heard = witnesses if self.with_head else witnesses.without_head
        found = _logistic(_features(heard, chosen, self.temperature) @ self.weights)
        found[_cosines(witnesses, chosen) < self.like] = np.nan
        return found

    def threshold(self, precision: float) -> tuple[float, float]:
        """From which probability on answers are right so often, and on which share of pictures.

        Of the held-out answers from there on, the mean probability is the precision. (How many of
        them were right would rest on the few that were wrong.) One answer more is counted, so that
        few pictures promise little: :data:`MISTAKES` of it wrong, or all of it where photos were
        made up.

        Returns:
            The lowest probability whose answers reach the precision, and the expected coverage;
            (inf, 0) if none do.
        """
        confidence, share = self.confidence, self.share
        if self.doubt:
            confidence = np.concatenate([confidence, self.stranger_confidence])
            share = np.concatenate([share, self.doubt * self.stranger_share])
            order = np.argsort(-confidence, kind="stable")
            confidence, share = confidence[order], share[order]
        wrong = 1.0 if self.doubt else MISTAKES
        reached = (np.cumsum(share * confidence) + 1 - wrong) / (np.cumsum(share) + 1)
        last = np.append(np.diff(confidence) < 0, True)  # equal ones go together
        enough = np.flatnonzero(last & (reached >= precision))
        if not len(enough):
            return float("inf"), 0.0
        lowest = float(confidence[enough[-1]])
        return lowest, _part(self.share, self.confidence >= lowest)

    def strangers(self, precision: float) -> tuple[float, float]:
        """The shares of strangers that will be called a ``match``, and ``unknown``.

        They were measured on held-out pictures whose own class was hidden from the witnesses: what
        looks like a class of the catalogue, and is none.
        """
        enough, _ = self.threshold(precision)
        unknown = self.stranger_familiarity < self.familiar
        matched = ~unknown & (self.stranger_confidence >= enough)
        return _part(self.stranger_share, matched), _part(self.stranger_share, unknown)


@dataclass(frozen=True)
class Calibrations:
    """How sure answers may be, by what there is to measure it on.

    Attributes:
        held_out: measured on pictures that were held out; None if they are too few.
        made_up: measured on photos that were made up, for the classes that they stand in for; None
            likewise.
        held: int64, the ids of the classes that the first is for.
        pictures: of how many occasions there were pictures, and of how many photos.
    """

    held_out: Calibration | None
    made_up: Calibration | None
    held: NDArray[np.int64]
    pictures: tuple[float, float]

    @property
    def either(self) -> Calibration:
        """That of pictures, or that of photos where there is no other.

        Raises:
            InvalidInput: there is neither.
        """
        found = self.held_out or self.made_up
        if found is None:
            raise InvalidInput("a calibration is of pictures or of photos")
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays by name, to be stored."""
        return {
            "held": self.held,
            "pictures": np.array(self.pictures),
            **{
                f"{kind} {name}": array
                for kind, found in self._kinds()
                if found is not None
                for name, array in found.to_arrays().items()
            },
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibrations:
        """What :meth:`to_arrays` gave."""

        def of(kind: str) -> Calibration | None:
            own = {
                name.removeprefix(kind): part
                for name, part in arrays.items()
                if name.startswith(kind)
            }
            return Calibration.from_arrays(own) if own else None

        first, second = arrays["pictures"].tolist()
        return cls(of("held_out "), of("made_up "), arrays["held"], (first, second))

    def stands_in(self, classes: Sequence[int]) -> NDArray[np.bool_] | None:
        """Which of some classes, ids (C,), photos stand in for: bool (C,); None if for none.

        A class that is new since then is among them: nothing of it was held out.
        """
        if not self.pictures[1]:
            return None
        return ~np.isin(np.array(classes, np.int64), self.held)

    def probabilities(self, witnesses: Witnesses, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """The probability that the class chosen for each query is right: float64 (Q,), or NaN."""
        found = np.full(len(chosen), np.nan)
        for calibration, own in self._by_kind(witnesses, chosen):
            found[own] = calibration.probabilities(witnesses, chosen)[own]
        return found

    def enough(
        self, witnesses: Witnesses, chosen: NDArray[np.int64], precision: float
    ) -> NDArray[np.float64]:
        """From which probability on each query is a match: float64 (Q,)."""
        found = np.full(len(chosen), np.inf)
        for calibration, own in self._by_kind(witnesses, chosen):
            found[own] = calibration.threshold(precision)[0]
        return found

    def strange(self, witnesses: Witnesses, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which queries look like none of the classes: bool (Q,)."""
        found = np.asarray(witnesses.familiarity < self.either.familiar, np.bool_)
        for calibration, own in self._by_kind(witnesses, chosen):
            found[own] = witnesses.familiarity[own] < calibration.familiar
        return found

    def coverage(self, precision: float) -> float:
        """The share of pictures of known classes that will be a match."""
        matched = sum(
            found.threshold(precision)[1] * float(found.share.sum())
            for _, found in self._kinds()
            if found
        )
        return matched / sum(self.pictures)

    def strangers(self, precision: float) -> tuple[float, float]:
        """The shares of strangers that will be called a ``match``, and ``unknown``."""
        shares = [
            (float(found.stranger_share.sum()), *found.strangers(precision))
            for _, found in self._kinds()
            if found
        ]
        total = sum(share for share, _, _ in shares) or 1.0
        return (
            sum(share * matched for share, matched, _ in shares) / total,
            sum(share * unknown for share, _, unknown in shares) / total,
        )

    def _kinds(self) -> tuple[tuple[str, Calibration | None], ...]:
        return ("held_out", self.held_out), ("made_up", self.made_up)

    def _by_kind(
        self, witnesses: Witnesses, chosen: NDArray[np.int64]
    ) -> Iterator[tuple[Calibration, NDArray[np.bool_]]]:
        """Each calibration with the queries that it is for, bool (Q,)."""
        by_photos = witnesses.stands_in[chosen]
        if self.held_out is not None:
            yield self.held_out, ~by_photos
        if self.made_up is not None:
            yield self.made_up, by_photos


def learn(held_out: HeldOut | None) -> Calibrations | None:
    """Learn from what was said of held-out pictures and of photos; None if both are too few."""
    if held_out is None:
        return None
    by_photos = held_out.witnesses.stands_in
    witnesses, truth, share = held_out.witnesses, held_out.truth, held_out.share
    scores = witnesses.fused, witnesses.head_or_centroid
    temperatures = _temperature(scores[0], truth, share), _temperature(scores[1], truth, share)
    pictures = _learn(held_out, ~by_photos, 0.0, temperatures)
    made_up = _learn(held_out, by_photos, DOUBT, temperatures)
    if pictures is None and made_up is None:
        return None
    photos = by_photos[truth]
    of_pictures, of_photos = (float(share[which].sum()) for which in (~photos, photos))
    if made_up is None:  # too few stand in for their classes, which are judged as the others are
        of_photos = 0.0
    return Calibrations(pictures, made_up, held_out.held, (of_pictures, of_photos))


def _learn(
    held_out: HeldOut, own: NDArray[np.bool_], doubt: float, temperatures: tuple[float, float]
) -> Calibration | None:
    """Learn how sure an answer may be that names one of some classes, bool (C,).

    Temperatures are those of head and centroid together, and of the head.
    """
    witnesses, truth, share = held_out.witnesses, held_out.truth, held_out.share
    groups = round(float(share[own[truth]].sum()))
    if groups < LEAST_GROUPS:
        return None
    temperature, head_temperature = temperatures
    chosen = first_best(witnesses.fused)
    strange = witnesses.without(truth)
    mistaken = first_best(strange.fused)
    named, confused = own[chosen], own[mistaken]
    features = _features(witnesses.of(named), chosen[named], temperature)
    odd = _features(strange.of(confused), mistaken[confused], temperature)
    right = (chosen == truth)[named]
    counted = share[named]
    weights = (
        _regress(
            np.concatenate([features, odd]),
            np.append(right, np.zeros(len(odd), np.bool_)),
            np.append(counted, doubt * share[confused]),
        )
        if doubt
        else _regress(features, right, counted)
    )
    confidence, unsure = _logistic(features @ weights), _logistic(odd @ weights)
    like = _ANYTHING
    if doubt:
        alike = _cosines(witnesses, truth)[own[truth]]
        like = _low_quantile(alike, share[own[truth]], LIKE_SHARE)
        confidence[_cosines(witnesses, chosen)[named] < like] = 0
        unsure[_cosines(strange, mistaken)[confused] < like] = 0
    order = np.argsort(-confidence, kind="stable")
    return Calibration(
        temperature=temperature,
        head_temperature=head_temperature,
        weights=weights,
        familiar=_low_quantile(
            witnesses.familiarity[own[truth]], share[own[truth]], 1 - KNOWN_SHARE
        ),
        like=like,
        doubt=doubt,
        confidence=confidence[order],
        right=right[order],
        share=counted[order],
        stranger_confidence=unsure,
        stranger_familiarity=strange.familiarity[confused],
        stranger_share=share[confused],
        groups=groups,
        with_head=witnesses.head is not None,
    )


def _part(share: NDArray[np.float64], which: NDArray[np.bool_]) -> float:
    """What some of several come to, as a part of all; 0 of nothing."""
    return float(share[which].sum() / share.sum()) if share.any() else 0.0


def _cosines(witnesses: Witnesses, classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of each query with the centroid of a class, int64 (Q,): float32 (Q,)."""
    return np.asarray(witnesses.centroid[np.arange(len(classes)), classes], np.float32)


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
    """The factor that makes a softmax of scores most likely to give the truth.

    The loss is convex in it, so of a row of factors the best one is found by halving.
    """
    highest = scores.max(axis=1)
    ahead = highest - scores[np.arange(len(truth)), truth]

    def loss(factor: float) -> float:
        beside = np.exp(np.float32(factor) * (scores - highest[:, None])).sum(axis=1)
        return float((share * (np.log(beside) + factor * ahead)).sum())

    low, high = 0, len(_TEMPERATURES) - 1
    while low < high:
        middle = (low + high) // 2
        if loss(_TEMPERATURES[middle]) <= loss(_TEMPERATURES[middle + 1]):
            high = middle
        else:
            low = middle + 1
    return float(_TEMPERATURES[low])


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
