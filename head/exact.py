"""The head trained on everything at once: the same for every order in which classes arrived.

The softmax with an L2 penalty on its weights,

    minimise  sum_i w_i (log sum_c exp(x_i . k_c) - x_i . k_y(i)) + r / 2 |K|^2,

is convex; ``w_i = N / (C n)``, with n the rows of the same class, lets each class count alike. It
is minimised from zero by accelerated gradient steps (Nesterov 1983, restarted as O'Donoghue and
Candes 2015) that are preconditioned with ``A / 4 + r I``, ``A = sum_i w_i x_i x_i'``. The curvature
is seldom more; where it is, steps are halved, and ``A / 2`` bounds it everywhere (Boehning 1992).
The first step alone is the closed form of least squares on the classes; later ones bring it to the
optimum. How many there are follows from the size of the problem, so the result is a function of the
descriptors alone. Balanced classes over centred descriptors need no bias, so it stays zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput
from catalog.head.head import Head

RIDGE = 1.0
"""r, the weight of the penalty."""

STEPS = 12
"""How many steps are made at most; on 2,640 photos of 81 products more change nothing."""

OPERATIONS = 25e9
"""Of floating point, that the steps after the first may take: a few tenths of a second."""

Blocks: TypeAlias = Callable[[], Iterable[NDArray[np.float32]]]
"""Gives rows, some at a time, each time that it is called."""

EXACT_RULE = f"softmax, ridge {RIDGE:g}, at most {STEPS} steps and {OPERATIONS:g} operations; 2"
"""How :func:`solve` learns, in short; what was learnt by another rule is learnt again."""

_CURVATURE = 0.25
# The preconditioner need not be exact; in the order of content hashes the first rows are a sample.
_CURVATURE_ROWS = 4096


def solve(
    rows: NDArray[np.float32],
    positions: NDArray[np.int64],
    classes: Sequence[int],
    *,
    ridge: float = RIDGE,
    steps: int | None = None,
) -> Head:
    """Train a head on everything at once.

    Args:
        rows: float32 (N, D), whitened descriptors of unit length, in an order that does not depend
            on history, since the rounding of a floating-point sum depends on the order of its
            terms.
        positions: int64 (N,), the class of each row by its place in ``classes``.
        classes: the keys of C classes; one without rows is only pushed away from the others' rows.
        ridge: r, the weight of the penalty.
        steps: how many steps to make, instead of what the size of the problem allows.

    Raises:
        InvalidInput: the arrays do not fit each other, or a row is not finite.
    """
    check_training(rows, positions, len(classes))
    return solve_blocks(
        lambda: [rows], positions, classes, width=rows.shape[1], ridge=ridge, steps=steps
    )


def solve_blocks(
    blocks: Blocks,
    positions: NDArray[np.int64],
    classes: Sequence[int],
    *,
    width: int,
    ridge: float = RIDGE,
    steps: int | None = None,
) -> Head:
    """:func:`solve`, from rows that come some at a time.

    Args:
        blocks: gives the rows, float32 (B, D) at a time, in the order of ``positions``; called once
            for each step, of which there is one where rows and classes are many.
        positions: int64 (N,), the class of each row by its place in ``classes``.
        classes: the keys of C classes.
        width: D, the length of a row.
        ridge: r, the weight of the penalty.
        steps: how many steps to make, instead of what the size of the problem allows.
    """
    kernel = np.zeros((width, len(classes)), np.float32)
    if len(positions):
        weights = balanced_weights(positions, len(classes))

        def gradient(at: NDArray[np.float32]) -> NDArray[np.float32]:
            return _gradient(blocks(), positions, weights, at) + np.float32(ridge) * at

        allowed = allowed_steps(len(positions), len(classes), width) if steps is None else steps
        if allowed > 1:
            held = list(blocks())  # or they would be made again for every step
            blocks = lambda: held  # noqa: E731 - what was given, once more
        inverse = preconditioner(_first(blocks(), _CURVATURE_ROWS), weights, ridge)
        kernel = descend(gradient, kernel, inverse, allowed)
    return Head(
        np.array(classes, np.int64),
        np.ascontiguousarray(kernel.T),
        np.zeros(len(classes), np.float32),
    )


def allowed_steps(rows: int, classes: int, width: int) -> int:
    """How many steps a problem of that size gets: at least the closed form, at most ``STEPS``."""
    return int(min(STEPS, 1 + OPERATIONS // (4 * max(rows * classes * width, 1))))


def check_training(rows: NDArray[np.float32], positions: NDArray[np.int64], classes: int) -> None:
    """Make sure that rows and their classes can be learnt from.

    Raises:
        InvalidInput: they do not fit each other, or a row is not finite.
    """
    if rows.ndim != 2 or positions.shape != (len(rows),):
        raise InvalidInput(f"{positions.shape} classes do not fit {rows.shape} descriptors")
    if rows.dtype != np.float32 or not np.issubdtype(positions.dtype, np.integer):
        raise InvalidInput("descriptors must be float32, and their classes whole numbers")
    if not np.isfinite(rows).all():
        raise InvalidInput("a descriptor to learn from must be finite")
    if len(positions) and not 0 <= positions.min() <= positions.max() < classes:
        raise InvalidInput(f"a descriptor is of a class beyond the {classes} there are")


def balanced_weights(positions: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The weight of each row, float32 (N,), so that each class that has rows counts alike."""
    counts = np.bincount(positions, minlength=classes)
    share = len(positions) / np.count_nonzero(counts)
    return np.asarray((share / np.maximum(counts, 1))[positions], np.float32)


def preconditioner(
    rows: NDArray[np.float32], weights: NDArray[np.float32], ridge: float
) -> NDArray[np.float32]:
    """The inverse of what the curvature for one class seldom exceeds: float32 (D, D).

    Of few rows A it is had from a matrix that has their number for its size, by the identity of
    Woodbury: (r I + A' A)^-1 = (I - A' (r I + A A')^-1 A) / r.
    """
    sample, share = rows[:_CURVATURE_ROWS], weights[:_CURVATURE_ROWS]
    share = share * np.float32(_CURVATURE * float(weights.sum() / share.sum()))
    if len(sample) < rows.shape[1]:
        scaled = sample * np.sqrt(share, dtype=np.float64)[:, None]
        small = scaled @ scaled.T
        small[np.diag_indices(len(small))] += ridge
        inverse = scaled.T @ np.linalg.solve(small, scaled)
        inverse *= -1
        inverse[np.diag_indices(len(inverse))] += 1
        return np.asarray(inverse / ridge, np.float32)
    curvature = (sample * share[:, None]).T @ sample
    curvature[np.diag_indices(rows.shape[1])] += np.float32(ridge)
    return np.asarray(np.linalg.inv(curvature))


def descend(
    gradient: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    start: NDArray[np.float32],
    inverse: NDArray[np.float32],
    steps: int,
) -> NDArray[np.float32]:
    """Preconditioned, accelerated gradient steps from a start towards the optimum.

    Args:
        gradient: of the objective at weights of the start's shape.
        start: float32 (D,) or (D, C).
        inverse: float32 (D, D), as :func:`preconditioner` gives it.
        steps: how many.
    """
    reached = ahead = start
    change, momentum, pace = np.zeros_like(start), 0, np.float32(1)
    for _ in range(steps):
        slope = gradient(ahead)
        if np.vdot(slope, change) > 0:  # the last step went too far
            if momentum < 2:  # by itself, not by its momentum
                pace = np.float32(0.5)
            momentum = 0
        moved = ahead - pace * (inverse @ slope)
        change, reached = moved - reached, moved
        momentum += 1
        ahead = moved + np.float32((momentum - 1) / (momentum + 2)) * change
    return reached


def _excess(
    logits: NDArray[np.float32], positions: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weight times p - y: the derivative of the loss by the logits (N, C), in their place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits *= (weights / logits.sum(axis=1))[:, None]
    logits[np.arange(len(positions)), positions] -= weights
    return logits


def _first(blocks: Iterable[NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    """So many of the first rows, or as many as there are."""
    taken: list[NDArray[np.float32]] = []
    for rows in blocks:
        taken.append(rows[: count - sum(map(len, taken))])
        if sum(map(len, taken)) == count:
            break
    return taken[0] if len(taken) == 1 else np.concatenate(taken)


def _gradient(
    blocks: Iterable[NDArray[np.float32]],
    positions: NDArray[np.int64],
    weights: NDArray[np.float32],
    kernel: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The gradient of the loss by the kernel (D, C)."""
    start, totals = 0, np.zeros_like(kernel.T)
    slope = np.zeros_like(kernel)
    for rows in filter(len, blocks):
        here = slice(start, start + len(rows))
        start += len(rows)
        if kernel.any():
            slope += rows.T @ _excess(rows @ kernel, positions[here], weights[here])
            continue
        # Where all weights are zero every class is as probable: class sums are enough.
        order = np.argsort(positions[here], kind="stable")
        present, starts = np.unique(positions[here][order], return_index=True)
        weighted = rows[order] * weights[here][order, None]
        totals[present] += np.add.reduceat(weighted, starts, axis=0)
    slope += (totals.sum(axis=0) / np.float32(kernel.shape[1]) - totals).T
    return slope
