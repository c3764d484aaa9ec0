"""Which items of a class are one occasion: shots that vouch for each other and for little else.

Pictures of a class often come in bursts: one thing, one place, one minute. Leaving out a picture
but not the rest of its burst tells nothing about the next photo. So items of a class that are more
alike than strangers usually are count as one group, and are left out together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput

_BLOCK = 1024  # items compared with all others at a time
_ASKED = 128  # items that are compared with all of them at a time
_SAMPLE = 2000


def near_duplicate_groups(
    rows: NDArray[np.float32],
    classes: NDArray[np.int64],
    threshold: float,
    *,
    named: NDArray[np.int64] | None = None,
    together: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Single-linkage groups within each class.

    Two items of a class are linked if their inner product is above the threshold; a group is all
    that can be reached along links. What is known of items goes before how alike they are.

    Args:
        rows: float32 (N, D), of unit length.
        classes: int64 (N,), the class of each.
        threshold: a cosine.
        named: int64 (N,), the group of each that was named, -1 where none was: such items are
            linked to those of the same name, and to no others.
        together: int64 (N,), what else links items if they have it in common; -1 for nothing.

    Returns:
        int64 (N,), for each item the first position of its group.

    Raises:
        InvalidInput: the arrays do not fit.
    """
    _check(rows, classes)
    none = np.full(len(rows), -1, np.int64)
    order = np.argsort(classes, kind="stable")
    rows, classes = rows[order], classes[order]
    named, together = ((none if own is None else own)[order] for own in (named, together))
    first = np.arange(len(rows))
    for start in range(0, len(rows), _BLOCK):
        block = classes[start : start + _BLOCK]
        begin = int(np.searchsorted(classes, block[0]))
        end = int(np.searchsorted(classes, block[-1], side="right"))
        linked = rows[start : start + _BLOCK] @ rows[start:end].T > threshold
        one, other = slice(start, start + _BLOCK), slice(start, end)
        linked |= (together[one, None] == together[other]) & (together[one, None] >= 0)
        linked &= named[one, None] == named[other]
        linked |= (named[one, None] == named[other]) & (named[one, None] >= 0)
        linked &= block[:, None] == classes[start:end]
        _join(first[begin:end], linked, begin)
    groups = np.empty(len(rows), dtype=np.int64)
    groups[order] = order[first]
    return groups


def typical_stranger_cosine(
    rows: NDArray[np.float32],
    classes: NDArray[np.int64],
    quantile: float = 0.5,
    *,
    sample: int = _SAMPLE,
) -> float:
    """How alike an item and the most alike item of another class are.

    Args:
        rows: float32 (N, D), of unit length.
        classes: int64 (N,), the class of each, at least two.
        quantile: which of the cosines to give, 0.5 for the median.
        sample: how many items to ask at most, evenly spaced in the given order.

    Raises:
        InvalidInput: the arrays do not fit, or there are fewer than two classes.
    """
    _check(rows, classes)
    if len(np.unique(classes)) < 2:
        raise InvalidInput("to say how alike strangers are takes items of two classes")
    count = min(sample, len(rows))
    asked = np.arange(count) * len(rows) // count
    nearest = np.empty(count, np.float32)
    for start in range(0, count, _ASKED):
        block = asked[start : start + _ASKED]
        cosines = rows[block] @ rows.T
        cosines[classes[block][:, None] == classes] = -np.inf
        nearest[start : start + _ASKED] = cosines.max(axis=1)
    return float(np.quantile(nearest, quantile))


def _check(rows: NDArray[np.float32], classes: NDArray[np.int64]) -> None:
    if rows.ndim != 2 or classes.shape != (len(rows),):
        raise InvalidInput(f"{classes.shape} classes do not fit {rows.shape} rows")


def _join(first: NDArray[np.int64], linked: NDArray[np.bool_], begin: int) -> None:
    """Bring together what is linked.

    Args:
        first: int64 (W,), changed: the first item that is known to be in the group of each of the
            items from ``begin`` on.
        linked: bool (B, L), of L, the last of them, the first B, with all L.
        begin: the place of the first item.
    """
    last = first[len(first) - linked.shape[1] :]
    at = np.arange(len(linked))
    linked[at, at] = True  # rounding may leave it out, and yet link a copy
    for row in np.flatnonzero(linked.sum(axis=1) > 1):
        met = np.zeros(len(first), dtype=bool)
        met[last[linked[row]] - begin] = True
        first[met[first - begin]] = begin + met.argmax()
