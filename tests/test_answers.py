"""Answers as functions of a snapshot."""

from __future__ import annotations

import numpy as np
from snapshots import HandRows, snapshot_of

from catalog import answers
from catalog.descriptors import Metric
from catalog.index import FlatIndex


def test_a_class_that_was_not_seen_is_behind_those_that_were() -> None:
    """With the last of the classes that are told, the search has gone on to another.

    Of seven classes the nearest items are 46 of one, then one of each of four; the first class by
    name is farther than all of them.
    """
    degrees = [80.0, *([1.0] * 46), 10.0, 20.0, 30.0, 40.0, 70.0]
    labels = np.array([0, *([1] * 46), 2, 3, 4, 5, 6])
    angles = np.radians(degrees)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    plain = Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
    _, first = np.unique(labels, return_index=True)
    snapshot = snapshot_of(
        plain,
        FlatIndex(np.arange(7), rows[first]),
        items=np.arange(len(rows)),
        rows=rows,
        labels=labels,
        names={at: f"class {at}" for at in range(7)},
    )
    fetch = HandRows(np.arange(len(rows)), rows).floats
    (found,) = answers.predict(snapshot, np.array([[1, 0]], np.float32), 5, fetch)
    told = [candidate.label for candidate in found.neighbours]
    assert told == ["class 1", "class 2", "class 3", "class 4", "class 5"]
