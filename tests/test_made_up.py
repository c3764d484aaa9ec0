"""Photos made up of lone pictures: when there are some, what they say, and where they go."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from inside import computed

from catalog import Catalog, Entry, Picture, Prediction
from catalog.descriptors import CatalogError, PictureError
from catalog.embedder import MobileNetEmbedder
from catalog.embedder import made_up as recipe
from catalog.embedder.model_cache import Model
from catalog.judging.calibration import Calibrations
from catalog.store import made_up
from catalog.store.inventory import contents

CLASSES = 24


def opened(path: Path) -> Catalog:
    """Open a shop."""
    return Catalog.open(path, embedder=FakeEmbedder())


def made(path: Path) -> Catalog:
    """A shop without anything in it."""
    return Catalog.init(path, embedder=FakeEmbedder())


def stock(catalog: Catalog, things: range, *, made_up: bool = True) -> None:
    """One picture of each of some things."""
    entries = [Entry(f"thing {thing}", Picture(photos.photo(thing))) for thing in things]
    catalog.import_(entries, made_up=made_up)


def holders(catalog: Catalog) -> set[str]:
    """The content hashes of the pictures that photos were made up of."""
    with catalog._store.reading() as tx:
        items = made_up.holders(tx, catalog._stored).tolist()
        return {content.hex() for content in contents(tx, items).values()}


def of_classes(catalog: Catalog) -> list[str]:
    """The classes of these pictures; pictures in no class left out."""
    there = holders(catalog)
    return sorted(item.label for item in catalog.items() if item.content in there)


def measured(catalog: Catalog) -> Calibrations | None:
    """How sure answers may be."""
    return computed(catalog, lambda learning, moment: learning.calibration(moment))


class TestRecipe:
    """The photos themselves."""

    def test_same_seed_same_photos(self) -> None:
        """They hang on picture and seed alone, and show the picture otherwise each time."""
        pixels = photos.scene(3)
        one, again, other = (list(recipe.photos(pixels, seed)) for seed in (7, 7, 8))
        assert len(one) == recipe.PHOTOS
        for first, second, third in zip(one, again, other, strict=True):
            assert (first.shape, first.dtype) == ((224, 224, 3), np.uint8)
            np.testing.assert_array_equal(first, second)
            assert (first != third).mean() > 0.5
        assert (one[0] != one[1]).mean() > 0.5

    def test_the_background_is_like_a_photo(self) -> None:
        """Neighbours are alike, and those further away less: as in photos, and unlike noise."""
        random = np.random.default_rng(0)
        for _ in range(5):
            seen = recipe.background(random).astype(float)
            assert seen.shape == (224, 224, 3)
            steps = [np.abs(seen[:, by:] - seen[:, :-by]).mean() for by in (1, 8, 64)]
            assert steps[0] < steps[1] < steps[2]
            assert steps[0] < 0.5 * steps[2]


class TestWhen:
    """A class has photos made up while it has nothing to hold out."""

    def test_a_lone_picture(self, tmp_path: Path) -> None:
        """Every way to add one makes them up; a class that is given more has none."""
        with made(tmp_path / "shop.catalog") as catalog:
            assert catalog.add_class("one", [photos.photo(1)]).made_up == 1
            assert catalog.feedback(photos.photo(2), "two").label == "two"
            found = catalog.import_(
                [Entry("three", Picture(photos.photo(3)))]
                + [Entry("many", Picture(content)) for content in photos.shots(4, 3)]
            )
            assert [added.made_up for added in found.classes] == [0, 1]
            assert catalog.add_class("none", [photos.photo(5)], made_up=False).made_up == 0
            assert of_classes(catalog) == ["one", "three", "two"]
            assert catalog.verify().problems == ()

    def test_it_is_made_good(self, tmp_path: Path) -> None:
        """A picture that came without is given them when it is given again, as an event."""
        with made(tmp_path / "shop.catalog") as catalog:
            stock(catalog, range(3), made_up=False)
            before = catalog.info().generation
            stock(catalog, range(3))
            assert of_classes(catalog) == ["thing 0", "thing 1", "thing 2"]
            assert catalog.info().generation == before + 3
            stock(catalog, range(3))
            assert catalog.info().generation == before + 3

    def test_a_picture_that_changed_meanwhile(self, tmp_path: Path) -> None:
        """No photos are made up of a file that is another picture by the time."""
        file = tmp_path / "thing.jpg"

        class Slow(FakeEmbedder):
            """While it embeds, files change."""

            def embed(self, picture: object) -> object:  # type: ignore[override]
                file.write_bytes(photos.photo(2))
                return super().embed(picture)  # type: ignore[arg-type]

        with Catalog.init(tmp_path / "shop.catalog", embedder=Slow()) as catalog:
            file.write_bytes(photos.photo(1))
            added = catalog.add_class("thing", [file])
            assert (added.added, added.made_up) == (1, 0)
            assert not holders(catalog)

    @settings(max_examples=8)
    @given(st.data())
    def test_the_order_does_not_matter(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """However pictures come, one by one or together, the same stand in for the same classes."""
        shots = [(thing, shot) for thing in range(4) for shot in range(1 + thing % 2)]
        wanted = data.draw(st.permutations(shots))
        folder = tmp_path_factory.mktemp("order")
        with made(folder / "one.catalog") as one, made(folder / "all.catalog") as whole:
            for thing, shot in wanted:
                one.import_([Entry(f"thing {thing}", Picture(photos.photo(thing, shot)))])
            whole.import_(
                Entry(f"thing {thing}", Picture(photos.photo(thing, shot))) for thing, shot in shots
            )
            found = []
            for catalog in (one, whole):
                pool = computed(
                    catalog, lambda learning, moment: learning.pool(moment, with_head=False)
                )
                held = pool.cross_fit()
                assert held is not None
                found.append((held.truth.tolist(), held.witnesses.centroid, held.groups))
            assert found[0][0] == found[1][0]
            np.testing.assert_array_equal(found[0][1], found[1][1])
            assert found[0][2] == found[1][2]


class TestWhatTheySay:
    """Evidence for one picture a class."""

    def test_a_probability(self, tmp_path: Path) -> None:
        """A shop with one picture of each thing has probabilities, and says what they rest on."""
        with made(tmp_path / "shop.catalog") as catalog:
            stock(catalog, range(CLASSES), made_up=False)
            assert measured(catalog) is None
            assert catalog.predict(photos.photo(3)).probability is None
            stock(catalog, range(CLASSES))
            found = catalog.predict(photos.photo(3))
            assert (found.label, found.evidence) == ("thing 3", "made up")
            assert found.probability is not None
            far = catalog.predict(255 - photos.scene(3))
            assert (far.probability, far.evidence) == (None, None)
            assert far.verdict != "match"

    def test_they_are_no_items(self, tmp_path: Path) -> None:
        """Nothing else knows of them: not the sums, the metric, the index, nor the neighbours."""
        with made(tmp_path / "a.catalog") as one, made(tmp_path / "b.catalog") as other:
            stock(one, range(CLASSES))
            stock(other, range(CLASSES), made_up=False)
            assert one.info().learning_state == other.info().learning_state
            assert [i.content for i in one.items()] == [i.content for i in other.items()]
            query = photos.photo(5, 9)
            assert one.nearest(query) == other.nearest(query)
            assert one.predict(query).centroid == other.predict(query).centroid

    def test_strangers_stay_unknown(self, tmp_path: Path) -> None:
        """One class of a single picture does not keep strangers that look like it from notice."""
        with made(tmp_path / "shop.catalog") as catalog:
            for thing in range(6):
                pictures = [photos.photo(thing + 100 * shot, shot) for shot in range(12)]
                entries = [
                    Entry(f"thing {thing}", Picture(content), group=str(at))
                    for at, content in enumerate(pictures)
                ]
                catalog.import_(entries)
            random = np.random.default_rng(0)
            strangers = [random.integers(0, 255, (9, 9, 3)).astype(np.uint8) for _ in range(60)]
            before = catalog.predict_many(strangers)
            assert catalog.add_class("new", [random.integers(0, 255, (9, 9, 3)).astype(np.uint8)])
            assert of_classes(catalog) == ["new"]
            after = catalog.predict_many(strangers)
            alone = [one for one in after if isinstance(one, Prediction) and one.label == "new"]
            assert alone
            for said in (before, alone):
                unknown = [one.verdict == "unknown" for one in said if isinstance(one, Prediction)]
                assert np.mean(unknown) > 0.5

    def test_a_second_occasion_takes_their_place(self, tmp_path: Path) -> None:
        """What can be held out is; without it the photos count again."""
        with made(tmp_path / "shop.catalog") as catalog:
            stock(catalog, range(CLASSES))
            before = measured(catalog)
            assert before is not None
            assert before.pictures == (0, pytest.approx(CLASSES))
            catalog.add("thing 3", [photos.photo(41)])
            after = measured(catalog)
            assert after is not None
            assert after.pictures == (pytest.approx(2), pytest.approx(CLASSES - 1))
            catalog.undo()
            again = measured(catalog)
            assert again is not None
            assert again.to_arrays().keys() == before.to_arrays().keys()
            for name, array in before.to_arrays().items():
                np.testing.assert_array_equal(again.to_arrays()[name], array)


class TestWhereTheyGo:
    """They go with their picture, and nowhere else."""

    def test_removed_and_forgotten(self, tmp_path: Path) -> None:
        """A removed picture keeps them for undo; of a forgotten one nothing is left in the file."""
        with made(tmp_path / "shop.catalog") as catalog:
            stock(catalog, range(3))
            everything = holders(catalog)
            catalog.remove_class("thing 1")
            assert of_classes(catalog) == ["thing 0", "thing 2"]
            assert holders(catalog) == everything
            catalog.undo()
            assert of_classes(catalog) == ["thing 0", "thing 1", "thing 2"]
            with catalog._store.reading() as tx:
                rows = made_up.of(tx, catalog._stored, catalog.items("thing 1")[0].id)
            assert rows is not None
            catalog.forget(labels=["thing 1"])
            assert of_classes(catalog) == ["thing 0", "thing 2"]
            assert rows.astype("<i2").tobytes() not in catalog.path.read_bytes()
            assert catalog.verify().problems == ()

    def test_undone(self, tmp_path: Path) -> None:
        """They come with a command, and go with it."""
        with made(tmp_path / "shop.catalog") as catalog:
            stock(catalog, range(CLASSES), made_up=False)
            stock(catalog, range(CLASSES))
            assert measured(catalog) is not None
            catalog.undo()
            assert not holders(catalog)
            assert measured(catalog) is None

    def test_compacted(self, tmp_path: Path) -> None:
        """They are descriptors of a picture, and dropped with its own."""
        with made(tmp_path / "shop.catalog") as catalog:
            stock(catalog, range(3))
            catalog.compact(["thing 1"])
            assert of_classes(catalog) == ["thing 0", "thing 2"]
            assert catalog.add("thing 1", [photos.photo(1, 1)]).made_up == 0
            assert catalog.verify().problems == ()

    def test_merged(self, tmp_path: Path) -> None:
        """They come along when a catalogue is taken over, and nothing is embedded."""
        with made(tmp_path / "a.catalog") as one, made(tmp_path / "b.catalog") as other:
            stock(one, range(3))
            stock(other, range(2, 6))
            one.merge(other.path)
            assert of_classes(one) == [f"thing {thing}" for thing in range(6)]

    def test_merged_into_what_was_compacted(self, tmp_path: Path) -> None:
        """An item whose descriptor was dropped takes none again, and nothing is said to be done."""
        with made(tmp_path / "shop.catalog") as catalog:
            stock(catalog, range(3))
            catalog.backup(tmp_path / "copy.catalog")
            catalog.compact(["thing 1"])
            merged = catalog.merge(tmp_path / "copy.catalog")
            assert [(one.made_up, one.event) for one in merged.classes] == 3 * [(0, None)]
            assert of_classes(catalog) == ["thing 0", "thing 2"]

    def test_damaged(self, tmp_path: Path) -> None:
        """What is wrong with them is found by verify, and by whoever asks how sure an answer is."""
        path = tmp_path / "shop.catalog"
        with made(path) as catalog:
            stock(catalog, range(CLASSES))
        for change in ("zeroblob(length(value))", "substr(value, 1, length(value) - 1)", "x''"):
            copy = tmp_path / "copy.catalog"
            copy.write_bytes(path.read_bytes())
            with closing(sqlite3.connect(copy)) as connection, connection:
                connection.execute(f"UPDATE made_up SET value = {change} WHERE id = 2")
            with opened(copy) as catalog:
                assert any("made-up photos" in one for one in catalog.verify().problems)
                with pytest.raises(CatalogError, match="made up of item"):
                    catalog.predict(photos.photo(3))


def test_through_the_network(tiny_model: Model, tmp_path: Path) -> None:
    """The real embedder makes the same of a picture by path, bytes and pixels."""
    embedder = MobileNetEmbedder(tiny_model)
    file = tmp_path / "thing.png"
    file.write_bytes(photos.photo(1, extension=".png"))
    by_path = embedder.made_up(file, 5)
    assert by_path.shape == (recipe.PHOTOS, embedder.specification.width)
    np.testing.assert_allclose(np.linalg.norm(by_path, axis=1), 1, atol=1e-5)
    for source in (file.read_bytes(), photos.scene(1)):
        np.testing.assert_array_equal(by_path, embedder.made_up(source, 5))
    assert not np.array_equal(by_path, embedder.made_up(file, 6))
    with pytest.raises(PictureError):
        embedder.made_up(b"", 5)
    embedder.close()
