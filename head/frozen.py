"""A head whose old columns stay as they are: only the column of the new class is trained.

With the old logits fixed, the softmax of a new class against all others is a logistic regression
with an offset, ``z_i = x_i . k - log sum_old exp(logit)``: convex, and solved as the exact head
is. The new class weighs as much as the mean old one, and together the old ones as much as they did.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput
from catalog.head.exact import RIDGE, balanced_weights, check_training, descend, preconditioner
from catalog.head.head import Head, widen

_STEPS = 40


def widen_frozen(
    head: Head,
    label: int,
    rows: NDArray[np.float32],
    positions: NDArray[np.int64],
    *,
    ridge: float = RIDGE,
) -> Head:
    """Add a class and train its column alone; the old columns stay identical to the last bit.

    Args:
        head: of C classes.
        label: the key of the new class.
        rows: float32 (N, D), whitened descriptors of unit length.
        positions: int64 (N,), the class of each row by its column; C for the new class.
        ridge: r, the weight of the penalty on the new column.

    Returns:
        A head of C + 1 classes.

    Raises:
        InvalidInput: the class has a column already, no row is of it, the arrays do not fit each
            other, or a row is not finite.
    """
    widened = widen(head, label)
    check_training(rows, positions, len(widened))
    if rows.shape[1] != head.width:
        raise InvalidInput(f"descriptors of {rows.shape[1]} numbers do not fit {head.width}")
    target = positions == len(head)
    if not target.any():
        raise InvalidInput("a column cannot be trained without a picture of its class")
    if not len(head):
        return widened
    weights = balanced_weights(positions, len(widened))
    columns = widened.columns.copy()
    columns[-1] = _fit(rows, target, _offsets(head, rows), weights, ridge)
    return Head(widened.classes, columns, widened.bias)


def _offsets(head: Head, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The log of the sum of the old classes' powers: float32 (N,)."""
    logits = rows @ head.kernel + head.bias
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)), np.float32)


def _fit(
    rows: NDArray[np.float32],
    target: NDArray[np.bool_],
    offsets: NDArray[np.float32],
    weights: NDArray[np.float32],
    ridge: float,
) -> NDArray[np.float32]:
    """The column float32 (D,) that tells the target from the rest."""

    def gradient(at: NDArray[np.float32]) -> NDArray[np.float32]:
        probability = 1 / (1 + np.exp(np.minimum(offsets - rows @ at, 80)))
        return rows.T @ (weights * (probability - target)) + np.float32(ridge) * at

    start = np.zeros(rows.shape[1], np.float32)
    return descend(gradient, start, preconditioner(rows, weights, ridge), _STEPS)
