"""The metric: descriptors whitened by the scatter within classes.

Two photos of one thing differ in light, angle and background. Along the directions in which they
do, a difference says little about which thing it is; whitening shrinks those directions until the
scatter within a class is the same in all of them (the within-class part of linear discriminant
analysis; Fisher 1936, and Mikolajczyk and Matas 2007 for descriptors). The cosine of whitened
descriptors is the score used everywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.errors import InvalidInput
from catalog.descriptors.integers import SCALE, to_floats
from catalog.descriptors.sums import Sums

PRIOR_DEGREES = 500.0
"""How many degrees of freedom of scatter the prior is worth against what the catalogue shows."""

PRIOR_PICTURES = 20.0
"""How many pictures the prior's mean is worth against the catalogue's own."""

ISOTROPIC_SHARE = 0.3
"""The share of the prior's scatter that is spread evenly over all directions."""

BLOCK_ROWS = 4096
"""How many stored descriptors are whitened at a time."""

_HALVED = 128  # up to so many rows a general inverse is as quick

WHITENING_RULE = (
    f"within-class scatter, prior worth {PRIOR_DEGREES:g} degrees and {PRIOR_PICTURES:g} pictures, "
    f"{ISOTROPIC_SHARE:g} of it even; 1"
)
"""How :func:`fit` learns, in short; what was learnt by another rule is learnt again."""


@dataclass(frozen=True)
class Prior:
    """What is known of a backbone's descriptors before the first picture is added.

    A mean, and a scatter of rank r: along each direction its variance, and the mean variance of
    the rest elsewhere. Only ratios of variances matter. :meth:`isotropic` is the prior of a
    backbone that nothing is known of.

    Attributes:
        mean: float32 (D,), of the descriptors of many unrelated pictures.
        directions: float32 (r, D), orthonormal rows.
        variances: float32 (r,), positive, along each direction.
        residual: the variance along every direction that is left, positive.
        alike: the cosine, under the metric of the prior alone, that half of the photos made up of
            pictures reach with the picture that they are of; None where that was not measured.
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    variances: NDArray[np.float32]
    residual: float
    alike: float | None = None

    @classmethod
    def isotropic(cls, width: int, alike: float | None = None) -> Prior:
        """The same variance in every direction, about the origin."""
        return cls(
            np.zeros(width, np.float32),
            np.zeros((0, width), np.float32),
            np.zeros(0, np.float32),
            1.0,
            alike,
        )

    @property
    def width(self) -> int:
        """D, the length of a descriptor."""
        return len(self.mean)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the prior's numbers, 64 hexadecimal digits."""
        digest = hashlib.sha256(f"{self.directions.shape} {self.residual!r}\n".encode())
        for part in (self.mean, self.directions, self.variances):
            digest.update(np.ascontiguousarray(part, dtype="<f4").data)
        if self.alike is not None:
            digest.update(f"alike {self.alike!r}\n".encode())
        return digest.hexdigest()

    @cached_property
    def metric(self) -> Metric:
        """The metric before the first picture is added."""
        return fit(Sums(self.width), (), self)

    def scatter(self, isotropic: float = ISOTROPIC_SHARE) -> NDArray[np.float64]:
        """The prior's scatter, float64 (D, D), its trace D, a share of it in all directions."""
        directions = self.directions.astype(np.float64)
        excess = self.variances.astype(np.float64) - self.residual
        shaped = (directions.T * excess) @ directions
        shaped[np.diag_indices(self.width)] += self.residual
        shaped *= (1 - isotropic) * self.width / np.trace(shaped)
        shaped[np.diag_indices(self.width)] += isotropic
        return shaped


@dataclass(frozen=True)
class Metric:
    """A learnt metric: ``whiten`` a descriptor, then compare by inner product.

    Attributes:
        mean: float32 (D,), subtracted first.
        transform: float32 (D, D), lower triangular, applied second.
    """

    mean: NDArray[np.float32]
    transform: NDArray[np.float32]

    def equals(self, other: Metric) -> bool:
        """Whether another one is the same, bit for bit."""
        return np.array_equal(self.mean, other.mean) and np.array_equal(
            self.transform, other.transform
        )

    def project(self, descriptors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Whiten float (N, D) to float32 (N, D), without bringing rows to unit length."""
        centred = descriptors.astype(np.float32, copy=False) - self.mean
        return np.asarray(centred @ self.transform.T, dtype=np.float32)

    def whiten(self, descriptors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Whiten descriptors to unit rows, whose inner products are the scores.

        Args:
            descriptors: float (N, D).

        Returns:
            float32 (N, D), rows of unit length (or zero, for a descriptor equal to the mean).
        """
        return unit_rows(self.project(descriptors))

    def whiten_stored(self, integers: NDArray[np.int16]) -> Iterator[NDArray[np.float32]]:
        """Whiten stored descriptors int16 (N, D), some thousand at a time: float32 (B, D)."""
        for start in range(0, len(integers), BLOCK_ROWS):
            yield self.whiten(to_floats(integers[start : start + BLOCK_ROWS]))


def fit(
    sums: Sums,
    order: Sequence[int],
    prior: Prior,
    *,
    degrees: float = PRIOR_DEGREES,
    isotropic: float = ISOTROPIC_SHARE,
) -> Metric:
    """Learn the metric from the exact sums.

    With N descriptors in C classes, S_w = (G - sum_c s_c s_c' / n_c) / (N - C) is the scatter
    within classes. It is brought to the trace of the prior P and blended with it by degrees of
    freedom,

        S = ((N - C) S_w + k P) / (N - C + k),

    so one picture per class gives P, and many pictures give nearly S_w, without a step between. The
    transform is the inverse of S's Cholesky factor.

    Args:
        sums: of the descriptors in the catalogue; may be empty.
        order: every class in ``sums``, in an order that does not depend on history, since the
            rounding of a floating-point sum depends on the order of its terms.
        prior: of the same width.
        degrees: k, what the prior is worth in degrees of freedom of scatter.
        isotropic: the share of the prior's scatter that is spread evenly over all directions.

    Raises:
        InvalidInput: the widths differ, or ``order`` does not name the classes of ``sums``.
    """
    if prior.width != sums.width or set(order) != set(sums.counts):
        raise InvalidInput("the prior or the order of classes does not fit the sums")
    counts = np.array([sums.counts[label] for label in order], dtype=np.float64)
    totals = np.array([sums.totals[label] for label in order], dtype=np.float64)
    totals = totals.reshape(len(order), sums.width) / SCALE
    scatter = prior.scatter(isotropic)
    observed = counts.sum() - len(order)
    if observed > 0:
        scaled = totals / np.sqrt(counts)[:, None]
        within = sums.gram / float(SCALE * SCALE) - scaled.T @ scaled
        trace = np.trace(within)
        # Only copies of one picture per class: no scatter to learn from.
        if trace > observed * 1e-9:
            within *= observed * sums.width / trace
            scatter = (within + degrees * scatter) / (observed + degrees)
    mean = totals.sum(0) + PRIOR_PICTURES * prior.mean.astype(np.float64)
    mean /= counts.sum() + PRIOR_PICTURES
    if observed <= 0 and not len(prior.directions):  # the same in every direction
        transform = np.diag(1 / np.sqrt(np.diagonal(scatter)))
    else:
        factor: NDArray[np.float64] = np.linalg.cholesky(scatter).astype(np.float64, copy=False)
        transform = inverse_of_lower(factor)
    return Metric(mean.astype(np.float32), np.tril(transform).astype(np.float32))


def inverse_of_lower(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a lower triangular matrix float64 (D, D), by halves.

    [[A, 0], [B, C]] has the inverse [[A^-1, 0], [-C^-1 B A^-1, C^-1]], which takes a fourth of the
    time of a general inverse (Du Croz and Higham, Stability of Methods for Matrix Inversion, 1992).
    """
    if len(lower) <= _HALVED:
        return np.tril(np.linalg.inv(lower))
    half = len(lower) // 2
    first, last = inverse_of_lower(lower[:half, :half]), inverse_of_lower(lower[half:, half:])
    inverse = np.zeros_like(lower)
    inverse[:half, :half], inverse[half:, half:] = first, last
    inverse[half:, :half] = -last @ (lower[half:, :half] @ first)
    return inverse


def class_means(sums: Sums, order: Sequence[int]) -> NDArray[np.float64]:
    """The mean descriptor of each class: float64 (C, D), in the given order."""
    means = [sums.totals[label] / (sums.counts[label] * SCALE) for label in order]
    return np.array(means, dtype=np.float64).reshape(len(order), sums.width)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring each row to unit length; a row of zeros stays one."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)
