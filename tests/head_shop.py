"""Catalogues with heads of each kind, and all that can be asked of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import photos
from doubles import FakeEmbedder
from inside import computed, connection_of

from catalog import Catalog, Prediction
from catalog.learning.learning import Learning

NAMES = ("cup", "jug", "pan", "tea", "urn")
ASKED = tuple(photos.photo(thing, 40) for thing in (*range(5), 11))

InProcess = Callable[..., tuple[int, str, str]]


def opened(path: Path) -> Catalog:
    """The catalogue, as another process would open it."""
    return Catalog.open(path, embedder=FakeEmbedder())


def filled(path: Path, *, head: str | None = None, classes: int = 3, shots: int = 3) -> Catalog:
    """A new catalogue of some things, each class drawn several times."""
    made = Catalog.init(path, embedder=FakeEmbedder())
    for thing in range(classes):
        made.add_class(NAMES[thing], photos.shots(thing, shots), head=head)
    return made


def answers(catalog: Catalog) -> list[Any]:
    """What head and centroids say of some pictures, to the last bit, and which items are near.

    The scores of items are left out: they are rounded anew where the index is of another epoch.
    """
    said: list[Any] = []
    for one in catalog.predict_many(ASKED, 9):
        assert isinstance(one, Prediction)
        said.append((one.label, one.verdict, one.probability, one.head, one.centroid))
    for near in catalog.nearest_many(ASKED, 50):
        assert isinstance(near, list)
        said.append([(neighbour.item, neighbour.label) for neighbour in near])
    return said


def stored(catalog: Catalog) -> list[tuple[Any, ...]]:
    """The columns of stored heads as they are in the file, oldest first."""
    return (
        connection_of(catalog)
        .execute(
            "SELECT head, position, label, event, weights, bias FROM head_column "
            "ORDER BY head, position"
        )
        .fetchall()
    )


def logits(catalog: Catalog) -> tuple[list[int], bytes]:
    """The classes of the head, and its logits of some pictures: a column's bytes after another."""
    raw = np.stack([catalog.embedder.embed(asked) for asked in ASKED])
    learnt = computed(catalog, Learning.head)
    assert learnt is not None
    found = learnt.head.logits(learnt.metric.whiten(raw))
    return learnt.head.classes.tolist(), np.ascontiguousarray(found.T).tobytes()


def journal(catalog: Catalog) -> list[tuple[str, int, dict[str, Any]]]:
    """Kind, command and detail of every event, oldest first."""
    rows = connection_of(catalog).execute("SELECT kind, command, detail FROM event ORDER BY id")
    return [(kind, command, json.loads(detail)) for kind, command, detail in rows]


def state(catalog: Catalog) -> tuple[Any, ...]:
    """What must not have changed where nothing was done."""
    info = catalog.info()
    return info.generation, info.learning_state, info.head, catalog.labels(), stored(catalog)


def assert_alike(one: Prediction, other: Prediction) -> None:
    """The same answer, but for rounding."""
    assert (one.label, one.verdict, one.agree) == (other.label, other.verdict, other.agree)
    for witness in ("head", "centroid", "neighbours"):
        ours, theirs = getattr(one, witness), getattr(other, witness)
        assert [c.label for c in ours] == [c.label for c in theirs]
        np.testing.assert_allclose([c.score for c in ours], [c.score for c in theirs], atol=1e-6)
