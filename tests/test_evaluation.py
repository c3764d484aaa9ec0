"""How often a catalogue is right: every figure against a plain definition or a sum by hand."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from catalog import Catalog, Entry, Evaluation, Picture, read_manifest
from catalog.evaluation import (
    Accuracy,
    Agreement,
    ClassResult,
    Confusion,
    Gallery,
    Mistake,
    Query,
    Retrieval,
    average_precision,
    evaluate,
)
from descriptors import Metric
from index import FlatIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def unit(*degrees: float) -> NDArray[np.float32]:
    """Points on the unit circle."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def gallery() -> Gallery:
    """Three classes on a circle, under a metric that changes nothing.

    North has items 10, 11 at 90 and 80 degrees, its centroid at 85; east 12, 13 at 0 and 60, its
    centroid at 30; west has item 14 at 180.
    """
    return Gallery(
        metric=Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32)),
        centroids=FlatIndex(np.array([7, 2, 5]), unit(85, 30, 180)),
        items=np.array([10, 11, 12, 13, 14]),
        rows=unit(90, 80, 0, 60, 180),
        labels=np.array([7, 7, 2, 2, 5]),
        names={7: "north", 2: "east", 5: "west", 3: "gone"},
    )


def queries(**degrees: list[float]) -> list[Query]:
    """Pictures at some degrees, by class."""
    return [
        Query(f"{label} {at:g}", label, unit(at)[0])
        for label, all_at in degrees.items()
        for at in all_at
    ]


class TestAveragePrecision:
    """The mean precision at the places of what is relevant."""

    @given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)))
    def test_by_definition(self, relevant: NDArray[np.bool_]) -> None:
        """It is the mean, over the relevant places, of the share that is relevant up to there."""
        expected = []
        for row in relevant.tolist():
            shares = [sum(row[: at + 1]) / (at + 1) for at in range(len(row)) if row[at]]
            expected.append(sum(shares) / len(shares) if shares else 0)
        assert average_precision(relevant) == pytest.approx(expected, abs=1e-12)

    def test_by_hand(self) -> None:
        """Relevant at places 1 and 4 of 4: (1/1 + 2/4) / 2."""
        assert average_precision(np.array([[True, False, False, True]])).tolist() == [0.75]


class TestFigures:
    """Evaluations small enough to be done by hand."""

    def test_by_hand(self, gallery: Gallery) -> None:
        """Four pictures, every figure of them.

        North at 95: nearest centroid north (10 degrees); items 10 (5), 11 (15), both north:
        precision 1. North at 62: nearest centroid north (23 against 32), nearest item 13 of east
        (2), then 11 (18), 10 (28), 12 (62): precision (1/2 + 2/3) / 2. East at 58: nearest centroid
        north (27 against 28), nearest item 13 (2), then 11, 10, 12: precision (1 + 2/4) / 2. West
        at 170: right by both; precision 1.
        """
        result = evaluate(queries(north=[95, 62], east=[58], west=[170]), gallery)
        precisions = [1, 7 / 12, 3 / 4, 1]
        assert result == Evaluation(
            pictures=4,
            classes=3,
            centroid=Accuracy(3 / 4, 1),
            neighbours=Accuracy(3 / 4, 1),
            retrieval=Retrieval(3 / 4, pytest.approx(sum(precisions) / 4)),
            agreement=Agreement(2 / 4, 1),
            per_class=(
                ClassResult("east", 1, 0, 1, pytest.approx(3 / 4)),
                ClassResult("north", 2, 1, 1 / 2, pytest.approx(19 / 24)),
                ClassResult("west", 1, 1, 1, 1),
            ),
            confusions=(Confusion("east", "north", 1),),
            mistakes=(Mistake("east 58", "east", "north", 13),),
        )

    def test_everything_wrong(self, gallery: Gallery) -> None:
        """Where both agree and are wrong, agreement says so; confusions come by their number."""
        result = evaluate(queries(west=[0, 5], east=[90], north=[180]), gallery)
        assert (result.centroid.top1, result.neighbours.top1) == (0, 0)
        assert result.agreement == Agreement(1, 0)
        assert result.confusions == (
            Confusion("west", "east", 2),
            Confusion("east", "north", 1),
            Confusion("north", "west", 1),
        )
        assert [mistake.nearest_item for mistake in result.mistakes] == [12, 12, 10, 14]

    def test_no_agreement(self, gallery: Gallery) -> None:
        """Where the predictors never agree, how often they are right together is not known."""
        assert evaluate(queries(north=[62], east=[58]), gallery).agreement == Agreement(0, None)

    def test_top_5_counts_classes(self) -> None:
        """The five best are five classes, however many items of one stand before another."""
        degrees = [0.0, *(float(at) for at in range(10, 60, 10)), *([1.0] * 30)]
        labels = np.array([*range(6), *[0] * 30])
        gallery = Gallery(
            Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32)),
            FlatIndex(np.arange(6), unit(*degrees[:6])),
            np.arange(36),
            unit(*degrees),
            labels,
            {at: f"class {at}" for at in range(6)},
        )
        fifth = evaluate([Query(None, "class 4", unit(0)[0])], gallery)
        sixth = evaluate([Query(None, "class 5", unit(0)[0])], gallery)
        assert (fifth.neighbours, fifth.centroid) == (Accuracy(0, 1), Accuracy(0, 1))
        assert (sixth.neighbours, sixth.centroid) == (Accuracy(0, 0), Accuracy(0, 0))

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_order_and_blocks_do_not_matter(self, seed: int) -> None:
        """Pictures in another order, and more than one block of them, give the same figures."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 5, 40)
        labels[:5] = range(5)
        rows = unit(*rng.uniform(0, 360, 40))
        means = np.stack([rows[labels == at].mean(axis=0) for at in range(5)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        gallery = Gallery(
            Metric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32)),
            FlatIndex(np.arange(5), means.astype(np.float32)),
            np.arange(40),
            rows,
            labels,
            {at: f"class {at}" for at in range(5)},
        )
        asked = [
            Query(None, f"class {at}", row)
            for at, row in zip(
                rng.integers(0, 5, 300).tolist(), unit(*rng.uniform(0, 360, 300)), strict=True
            )
        ]
        one, other = evaluate(asked, gallery), evaluate(asked[::-1], gallery)
        for here, there in zip(one.per_class, other.per_class, strict=True):
            assert astuple(here)[:4] == astuple(there)[:4]
            assert here.mean_average_precision == pytest.approx(there.mean_average_precision)
        assert (one.centroid, one.neighbours, one.confusions, one.agreement.share) == (
            other.centroid,
            other.neighbours,
            other.confusions,
            other.agreement.share,
        )
        weights = [c.pictures / 300 for c in one.per_class]
        tops = [c.centroid_top1 for c in one.per_class]
        assert one.centroid.top1 == pytest.approx(np.dot(weights, tops))
        assert 0 <= one.centroid.top1 <= one.centroid.top5 <= 1
        assert one.neighbours.top1 == one.retrieval.recall_at_1


class TestCatalog:
    """Evaluations of a catalogue."""

    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Iterator[Catalog]:
        """Four classes of five."""
        with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
            for thing in range(4):
                made.add_class(f"thing {thing}", photos.shots(thing, 5))
            yield made

    def test_agrees_with_predictions(self, catalog: Catalog) -> None:
        """The figures are those that asking picture by picture comes to."""
        asked = [(f"thing {at}", shot) for at in range(4) for shot in photos.shots(at, 6, first=50)]
        result = catalog.evaluate([Entry(label, Picture(shot)) for label, shot in asked])
        answers = [(label, catalog.predict(shot, top=4)) for label, shot in asked]
        assert result.pictures == 24
        assert result.centroid.top1 == np.mean([a.label == label for label, a in answers])
        assert result.neighbours.top1 == np.mean(
            [answer.neighbours[0].label == label for label, answer in answers]
        )
        assert result.agreement.share == np.mean([answer.agree for _, answer in answers])
        assert result.centroid.top1 > 0.5

    def test_flattery_is_counted(self, catalog: Catalog) -> None:
        """Pictures that are items are evaluated like others, and counted, removed ones not."""
        own = [Entry("thing 1", Picture(shot)) for shot in photos.shots(1, 5)]
        new = [Entry("thing 1", Picture(shot)) for shot in photos.shots(1, 2, first=70)]
        assert catalog.evaluate([*own, *new]).in_catalogue == 5
        catalog.remove([catalog.items("thing 1")[0].id])
        result = catalog.evaluate([*own, *new])
        assert (result.in_catalogue, result.pictures) == (4, 7)

    def test_strangers_are_counted_apart(self, catalog: Catalog) -> None:
        """Pictures of classes that are not there are counted by class, and in no figure."""
        known = [Entry("thing 0", Picture(shot)) for shot in photos.shots(0, 3, first=80)]
        strange = [Entry("lamp", Picture(shot)) for shot in photos.shots(9, 2)]
        alone = catalog.evaluate(known)
        both = catalog.evaluate([*known, *strange, Entry("rug", Picture(photos.photo(8)))])
        assert both.not_in_catalogue == {"lamp": 2, "rug": 1}
        assert (both.pictures, both.classes, both.centroid) == (3, 1, alone.centroid)
        assert both.per_class == alone.per_class

    def test_names_may_be_spelt_otherwise(self, catalog: Catalog) -> None:
        """A class of the evaluated pictures is found whatever its case, under its own name."""
        result = catalog.evaluate([Entry("THING  2", Picture(photos.photo(2, 90)))])
        assert [row.label for row in result.per_class] == ["thing 2"]

    def test_places_of_mistakes(self, catalog: Catalog, tmp_path: Path) -> None:
        """A mistake says where its picture is, and which item was nearest."""
        tree = photos.draw_tree(tmp_path / "tree", ["thing 1", "thing 0"], 4, first=60)
        result = catalog.evaluate(read_manifest(tree).entries)
        assert len(result.mistakes) > 4
        items = {item.id: item.label for item in catalog.items()}
        for mistake in result.mistakes:
            assert mistake.place == str(tree / mistake.truth / Path(mistake.place or "").name)
            assert mistake.nearest_item in items
            assert mistake.predicted != mistake.truth

    def test_progress(self, catalog: Catalog) -> None:
        """Progress is told of every picture, refused and strange ones, too."""
        told: list[int] = []
        entries = [
            Entry("thing 0", Picture(photos.photo(0, 30))),
            Entry("thing 0", Picture(b"")),
            Entry("rug", Picture(photos.photo(8))),
        ]
        catalog.evaluate(entries, progress=told.append)
        assert sum(told) == 3
