"""The real network on real photos: what the whole is worth, and that no history changes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from catalog import Catalog, Picture, Prediction, read_manifest
from descriptors import PictureError
from embedder import MobileNetEmbedder, Source, content_hash, read_picture
from embedder.model_cache import Model

pytestmark = pytest.mark.real


class Remembering(MobileNetEmbedder):
    """The real embedder, which embeds no picture twice, to build many catalogues in one run."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def embed_each(
        self, pictures: Iterable[Source | Picture]
    ) -> Iterator[NDArray[np.float32] | PictureError]:
        """The descriptors of many pictures, in order."""
        held = [p if isinstance(p, Picture) else Picture(p) for p in pictures]
        datas = [
            p.source if isinstance(p.source, np.ndarray) else read_picture(p.source) for p in held
        ]
        keys = [content_hash(data) for data in datas]
        new = {key: data for key, data in zip(keys, datas, strict=True) if key not in self._known}
        self._known.update(zip(new, super().embed_many(new.values()), strict=True))
        yield from (self._known[key] for key in keys)

    def close(self) -> None:
        """Stay, for the next catalogue."""


@pytest.fixture(scope="module")
def embedder(imagenet: Model) -> Remembering:
    """One embedder for every catalogue here."""
    return Remembering(imagenet)


@pytest.fixture(scope="module")
def whole(
    grocery: Path, embedder: Remembering, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    """The 81 classes of the Grocery training photos, imported at once."""
    file = tmp_path_factory.mktemp("real") / "grocery.catalog"
    with Catalog.init(file, embedder=embedder) as made:
        made.import_(grocery / "train")
        yield made


def one_by_one(file: Path, grocery: Path, embedder: Remembering, *, reverse: bool) -> Catalog:
    """A catalogue of the same classes, added one at a time."""
    entries = sorted(read_manifest(grocery / "train").entries, key=attrgetter("label"))
    classes = [
        (label, [entry.picture for entry in group])
        for label, group in groupby(entries, key=attrgetter("label"))
    ]
    made = Catalog.init(file, embedder=embedder)
    for label, pictures in sorted(classes, key=lambda pair: pair[0], reverse=reverse):
        made.add_class(label, pictures)
    return made


def test_accuracy_on_grocery_photos(whole: Catalog, grocery: Path) -> None:
    """With default settings the right one of 81 products comes first for 83 % of unseen photos."""
    found = whole.evaluate(grocery / "test")
    assert (found.pictures, found.classes) == (2485, 81)
    assert found.centroid.top1 >= 0.83
    assert found.neighbours.top1 >= 0.78
    assert found.retrieval.recall_at_1 == found.neighbours.top1
    assert not found.in_catalogue
    assert not found.refused


def test_the_starter_on_grocery_photos(whole: Catalog, grocery: Path, tmp_path: Path) -> None:
    """The starter network is right at least 70 % as often as the real one."""
    with Catalog.init(tmp_path / "starter.catalog", backbone="starter") as small:
        small.import_(grocery / "train")
        found = small.evaluate(grocery / "test").centroid.top1
    assert found >= 0.7 * whole.evaluate(grocery / "test").centroid.top1


@pytest.mark.parametrize("reverse", [False, True])
def test_order_of_classes_does_not_matter(
    whole: Catalog, grocery: Path, embedder: Remembering, tmp_path: Path, *, reverse: bool
) -> None:
    """Classes added one at a time, in either order, give the state and answers of all at once."""
    queries = [entry.picture for entry in read_manifest(grocery / "test").entries[::25]]
    with one_by_one(tmp_path / "x.catalog", grocery, embedder, reverse=reverse) as other:
        assert other.info().learning_state == whole.info().learning_state
        for ours, theirs in zip(
            whole.predict_many(queries), other.predict_many(queries), strict=True
        ):
            assert isinstance(ours, Prediction)
            assert isinstance(theirs, Prediction)
            assert scores(ours) == pytest.approx(scores(theirs), abs=1e-6)
            assert [c.label for c in ours.centroid] == [c.label for c in theirs.centroid]


def test_a_removed_class_leaves_no_trace(
    whole: Catalog, shared: Path, embedder: Remembering
) -> None:
    """Adding a class and removing it again gives the state of never having had it."""
    before = whole.info().learning_state
    hands = sorted((shared / "pictures" / "rock-paper-scissors" / "rock").glob("*.jpg"))[:20]
    whole.add_class("rock", hands)
    assert whole.info().learning_state != before
    assert whole.predict(hands[0]).label == "rock"
    whole.remove_class("rock")
    assert whole.info().learning_state == before


def scores(prediction: Prediction) -> list[float]:
    """Every score in a prediction."""
    return [c.score for c in (*prediction.centroid, *prediction.neighbours)]
