"""Evaluations of a catalogue: as its answers are, with what is counted beside the figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog, Entry, Picture, read_manifest
from catalog.descriptors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        assert result.cross_check.top1 == np.mean([a.label == label for label, a in answers])
        assert result.centroid.top1 == np.mean(
            [answer.centroid[0].label == label for label, answer in answers]
        )
        assert result.head is not None
        assert result.head.top1 == np.mean(
            [answer.head[0].label == label for label, answer in answers]
        )
        for row in result.cross_check.verdicts:
            same = [label == a.label for label, a in answers if a.verdict == row.verdict]
            assert (row.pictures, row.right) == (len(same), sum(same))
        assert result.neighbours.top1 == np.mean(
            [answer.neighbours[0].label == label for label, answer in answers]
        )
        assert result.agreement.share == np.mean([answer.agree for _, answer in answers])
        assert result.centroid.top1 > 0.5
        wrong = [(label, shot) for label, shot in asked if catalog.predict(shot).label != label]
        assert [
            (mistake.truth, mistake.predicted, mistake.nearest_item, mistake.probability)
            for mistake in result.mistakes
        ] == [
            (
                label,
                catalog.predict(shot).label,
                catalog.nearest(shot, 1)[0].item,
                catalog.predict(shot).probability,
            )
            for label, shot in wrong
        ]
        assert result.retrieval.recall_at_1 == np.mean(
            [catalog.nearest(shot, 1)[0].label == label for label, shot in asked]
        )

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
        assert sum(row.pictures for row in both.strangers) == 3
        assert sum(row.right for row in both.strangers) == 0
        assert alone.strangers == ()

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
            assert mistake.verdict in {"ambiguous", "disagree"}
            assert mistake.probability is None

    def test_measured_on_its_own_pictures(self, tmp_path: Path) -> None:
        """A catalogue of enough pictures has probabilities, and says what a match is worth."""
        with Catalog.init(tmp_path / "large.catalog", embedder=FakeEmbedder()) as catalog:
            for at in range(6):
                unlike = [photos.photo(thing, 1) for thing in range(at, 90, 6)]
                catalog.add_class(f"thing {at}", unlike)
            asked = [Entry(f"thing {at}", Picture(photos.photo(at, 90))) for at in range(6)]
            strange = [Entry("lamp", Picture(shot)) for shot in photos.shots(9, 4)]
            result = catalog.evaluate([*asked, *strange], precision=0.8)
            check = result.cross_check
            assert check.precision == 0.8
            assert check.reliability is not None
            assert sum(each.pictures for each in check.reliability.bins) == 6
            assert sum(row.pictures for row in result.strangers) == 4
            answers = [catalog.predict(entry.picture, precision=0.8) for entry in asked]
            for row in check.verdicts:
                assert row.pictures == sum(a.verdict == row.verdict for a in answers)
            assert {a.coverage for a in answers} == {check.expected_coverage}

    @pytest.mark.parametrize("precision", [0, 1, -1, float("nan")])
    def test_precisions_that_are_refused(self, catalog: Catalog, precision: float) -> None:
        """A precision that is not between 0 and 1 is refused before any picture is read."""
        told: list[int] = []
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            catalog.evaluate(
                [Entry("thing 0", Picture(photos.photo(0)))],
                precision=precision,
                progress=told.append,
            )
        assert told == []

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
