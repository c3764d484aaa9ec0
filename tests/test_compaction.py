"""Compaction: descriptors are dropped, and what is answered rests on exact sums."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from inside import computed, connection_of

from catalog import Catalog, Entry, Picture
from catalog.descriptors import Conflict, InvalidInput, NotFound
from catalog.learning.learning import Learning
from catalog.store.files import cache_folder

NAMES = ("cup", "jug", "pan")
ASKED = tuple(photos.photo(thing, 40) for thing in range(4))

InProcess = Callable[..., tuple[int, str, str]]


def opened(path: Path) -> Catalog:
    """The catalogue, as another process would open it."""
    return Catalog.open(path, embedder=FakeEmbedder())


def filled(path: Path) -> Catalog:
    """A new catalogue of three classes, three items each."""
    made = Catalog.init(path, embedder=FakeEmbedder())
    for thing, name in enumerate(NAMES):
        made.add_class(name, photos.shots(thing, 3))
    return made


def counts(catalog: Catalog) -> dict[str, int]:
    """How many items each class has."""
    return {row.label: row.items for row in catalog.labels()}


def centroids(catalog: Catalog) -> list[dict[str, float]]:
    """What centroids say of some pictures."""
    return [{one.label: one.score for one in catalog.predict(asked, 9).centroid} for asked in ASKED]


def assert_alike(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> None:
    """The same scores for the same classes, but for rounding."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_allclose([one[name] for name in other], list(other.values()), atol=1e-6)


def near(catalog: Catalog) -> set[str]:
    """The classes of all items that can be found."""
    return {one.label for asked in ASKED for one in catalog.nearest(asked, 99)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue lies."""
    return tmp_path / "shop.catalog"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    """A catalogue of three classes, three items each."""
    with filled(path) as made:
        yield made


class TestAnswers:
    """What is known of a class outlives its descriptors."""

    @pytest.mark.parametrize("labels", [["cup"], ["cup", "pan"], None])
    def test_centroids(self, catalog: Catalog, labels: list[str] | None) -> None:
        """Centroids answer as before, here and after reopening; equal states stay equal."""
        said, before = centroids(catalog), catalog.info()
        done = catalog.compact(labels)
        assert done.labels == tuple(labels or NAMES)
        assert done.items == 3 * len(done.labels)
        assert done.event == before.generation + 1
        assert_alike(centroids(catalog), said)
        assert catalog.info().learning_state == before.learning_state
        assert catalog.verify().problems == catalog.verify().derived == ()
        with opened(catalog.path) as other:
            assert_alike(centroids(other), said)
            assert other.info().learning_state == before.learning_state

    def test_as_many_neighbours_as_asked_for(self, catalog: Catalog) -> None:
        """A class without items leaves its place among the nearest ones to the next."""
        catalog.compact(["cup"])
        said = catalog.predict(ASKED[0], 2)
        assert said.centroid[0].label == "cup"
        assert {one.label for one in said.neighbours} == {"jug", "pan"}

    def test_the_exact_head(self, catalog: Catalog) -> None:
        """The head, solved anew, still names every class."""
        catalog.compact(["cup", "pan"])
        named = [catalog.predict(asked).head[0].label for asked in ASKED[:3]]
        assert named == list(NAMES)

    @pytest.mark.parametrize("thing", [6, 10])
    def test_a_frozen_head(self, catalog: Catalog, thing: int) -> None:
        """A column for a new class does not take what is of classes that were compacted."""
        catalog.train_head("frozen")
        catalog.compact()
        catalog.add_class("tea", photos.shots(thing, 3))
        found = [catalog.predict(asked) for asked in (*ASKED[:3], photos.photo(thing, 40))]
        assert [one.head[0].label for one in found] == [*NAMES, "tea"]

    def test_items_are_no_neighbours(self, catalog: Catalog) -> None:
        """Items whose descriptors were dropped are found by no question, but are listed."""
        assert near(catalog) == set(NAMES)
        catalog.compact(["cup"])
        assert near(catalog) == {"jug", "pan"}
        assert len(catalog.items("cup")) == 3
        with opened(catalog.path) as other:
            assert near(other) == {"jug", "pan"}

    def test_another_process_is_told(self, catalog: Catalog) -> None:
        """Who had the catalogue open finds no dropped item any more, and writes none back."""
        with opened(catalog.path) as other:
            assert near(other) == set(NAMES)
            catalog.compact(["cup"])
            assert near(other) == {"jug", "pan"}
            assert other.predict(ASKED[0]).label == "cup"
        with opened(catalog.path) as third:
            assert near(third) == {"jug", "pan"}

    def test_what_another_process_left(self, catalog: Catalog) -> None:
        """What was written to the cache folder by who had not seen the compaction is not used."""
        other = opened(catalog.path)
        near(other)
        catalog.compact(["cup"])
        other.close()
        with opened(catalog.path) as third:
            assert near(third) == {"jug", "pan"}
            assert third.verify().problems == third.verify().derived == ()

    def test_everything(self, catalog: Catalog) -> None:
        """With no descriptor left, every question still has an answer."""
        catalog.compact()
        assert near(catalog) == set()
        assert [catalog.predict(asked).label for asked in ASKED[:3]] == list(NAMES)
        result = catalog.evaluate(
            [Entry("cup", Picture(ASKED[0])), Entry("jug", Picture(ASKED[1]))]
        )
        assert result.centroid.top1 == 1.0
        report = catalog.audit()
        assert (report.found.items, report.found.mislabelled) == (0, ())
        assert catalog.preview_class("tea", photos.shots(8, 2)).takes == ()
        catalog.add_class("tea", photos.shots(8, 2))
        assert catalog.predict(photos.photo(8, 40)).label == "tea"


class TestGone:
    """What was dropped is nowhere to be found."""

    def test_bytes(self, catalog: Catalog, path: Path) -> None:
        """Neither the file nor the cache folder holds a descriptor of the class any more."""
        items = [item.id for item in catalog.items("cup")]
        near(catalog)
        with catalog._store.reading() as tx:
            packed = [row.tobytes() for row in catalog._stored.of(tx, items)]
        flat = computed(catalog, Learning.items).items.rows.to_arrays()
        white = [row.tobytes() for row in flat["rows"][np.isin(flat["keys"], items)]]
        catalog.close()

        def found(wanted: list[bytes]) -> list[int]:
            files = [path, *cache_folder(path).iterdir()]
            contents = [file.read_bytes() for file in files]
            return [sum(one in content for content in contents) for one in wanted]

        assert all(found(packed))
        assert all(found(white))
        with opened(path) as again:
            again.compact(["cup"])
            near(again)
            assert not any(found([*packed, *white]))
        assert not any(found([*packed, *white]))

    def test_trainings_of_before(self, catalog: Catalog) -> None:
        """Columns kept for the undo of an earlier training are dropped; the head is not."""
        catalog.train_head("frozen")
        catalog.train_head("frozen")
        said = catalog.predict(ASKED[0]).head
        catalog.compact(["cup"])
        heads = connection_of(catalog).execute("SELECT DISTINCT head FROM head_column")
        assert len(heads.fetchall()) == 1
        assert catalog.predict(ASKED[0]).head == said


class TestFinal:
    """Nothing of a compacted class can be taken out exactly."""

    def test_items_stay(self, catalog: Catalog) -> None:
        """An item whose descriptor was dropped cannot be removed, nor with others."""
        catalog.compact(["cup"])
        dropped, stored = catalog.items("cup")[0].id, catalog.items("jug")[0].id
        before = catalog.info()
        with pytest.raises(Conflict):
            catalog.remove([stored, dropped])
        with pytest.raises(Conflict):
            catalog.remove_class("cup")
        assert catalog.info() == before
        assert catalog.add("jug", photos.shots(0, 1), move=True).refused[0].reason == "conflict"
        assert catalog.info() == before
        catalog.remove([stored])
        catalog.remove_class("pan")
        assert counts(catalog) == {"cup": 3, "jug": 2}

    def test_undo_stops_there(self, catalog: Catalog) -> None:
        """What came after can be undone, and nothing further back."""
        catalog.compact(["cup"])
        catalog.add_class("tea", photos.shots(8, 2))
        catalog.undo()
        before = catalog.info()
        with pytest.raises(Conflict):
            catalog.undo()
        assert catalog.info() == before

    def test_inexact_removal(self, catalog: Catalog) -> None:
        """A class can be taken out of all answers, for good."""
        catalog.compact(["cup"])
        removed = catalog.remove_class("cup", inexact=True)
        assert (removed.items, removed.classes) == (3, ("cup",))
        assert counts(catalog) == {"jug": 3, "pan": 3}
        with opened(catalog.path) as other:
            for one in (catalog, other):
                assert all(said.keys() == {"jug", "pan"} for said in centroids(one))
                assert {c.label for c in one.predict(ASKED[0], 9).head} == {"jug", "pan"}
                assert near(one) == {"jug", "pan"}
            assert other.info().learning_state == catalog.info().learning_state
        assert catalog.verify().problems == catalog.verify().derived == ()
        with pytest.raises(Conflict):
            catalog.undo()
        with pytest.raises(NotFound):
            catalog.remove_class("cup", inexact=True)

    def test_inexact_removal_of_what_is_exact(self, catalog: Catalog) -> None:
        """Where nothing was dropped it is an exact removal, and can be undone."""
        before = catalog.info().learning_state
        catalog.remove_class("cup", inexact=True)
        catalog.undo()
        assert catalog.info().learning_state == before

    @pytest.mark.parametrize("label", ["cup", "mug"])
    def test_back_after_an_inexact_removal(self, catalog: Catalog, label: str) -> None:
        """The same pictures can come back, and what is learnt does not depend on who asks."""
        catalog.compact(["cup"])
        catalog.info()
        catalog.remove_class("cup", inexact=True)
        assert catalog.add_class(label, photos.shots(0, 3)).added == 3
        assert catalog.predict(ASKED[0]).label == label
        with opened(catalog.path) as other:
            shutil.rmtree(cache_folder(catalog.path))
            assert other.info().learning_state == catalog.info().learning_state
            assert_alike(centroids(other), centroids(catalog))
        assert catalog.verify().derived == ()


class TestGoingOn:
    """A class goes on after it was compacted."""

    def test_the_same_pictures(self, catalog: Catalog) -> None:
        """Pictures whose descriptors were dropped are known, and not embedded again."""
        catalog.compact(["cup"])
        before, embedder = catalog.info(), catalog.embedder
        assert isinstance(embedder, FakeEmbedder)
        embedder.embedded = 0
        entries = [Entry("cup", Picture(shot)) for shot in photos.shots(0, 3)]
        done = catalog.import_(entries)
        assert [(one.added, one.known) for one in done.classes] == [(0, 3)]
        assert (embedder.embedded, catalog.info()) == (0, before)

    def test_new_pictures(self, catalog: Catalog, tmp_path: Path) -> None:
        """New photos count as they do where nothing was ever dropped."""
        with filled(tmp_path / "plain.catalog") as plain:
            catalog.compact(["cup"])
            for one in (catalog, plain):
                one.add("cup", photos.shots(0, 2, first=20))
                one.add_class("tea", photos.shots(8, 2))
            assert catalog.info().learning_state == plain.info().learning_state
            assert_alike(centroids(catalog), centroids(plain))
            catalog.compact(["cup"])
            assert catalog.info().learning_state == plain.info().learning_state
        assert catalog.compact(["cup"]).items == 0
        assert catalog.verify().sound

    @settings(max_examples=12)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "compact", "remove", "undo", "reopen"]),
                st.integers(0, 2),
                st.integers(0, 5),
            ),
            max_size=6,
        )
    )
    def test_any_history(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
    ) -> None:
        """Whatever is done, what is learnt is what is learnt where nothing is ever dropped."""
        folder = tmp_path_factory.mktemp("any")
        ours, plain = filled(folder / "a.catalog"), filled(folder / "b.catalog")
        for step, thing, shot in steps:
            name = NAMES[thing]
            if step == "add":
                for one in (ours, plain):
                    one.import_([Entry(name, Picture(photos.photo(thing, 10 + shot)))])
            elif step == "compact" and name in counts(ours):
                ours.compact([name])
            elif step == "reopen":
                ours.close()
                ours = opened(folder / "a.catalog")
            elif step in {"undo", "remove"}:
                try:
                    act(ours, step, name, shot)
                except (Conflict, NotFound):
                    continue
                act(plain, step, name, shot)
            assert ours.info().learning_state == plain.info().learning_state
            assert ours.labels() == plain.labels()
        assert_alike(centroids(ours), centroids(plain))
        assert ours.verify().problems == ours.verify().derived == ()
        ours.close()
        plain.close()

    def test_preview(self, catalog: Catalog) -> None:
        """A picture whose descriptor was dropped is refused by a preview as by the class."""
        catalog.compact(["cup"])
        found = catalog.preview_class("tea", [photos.photo(0), photos.photo(8)])
        assert (found.pictures, len(found.refused)) == (1, 1)
        assert found.refused[0].reason == "conflict"


def act(catalog: Catalog, step: str, name: str, at: int) -> None:
    """Undo, or remove an item of a class, unless it is the last one."""
    if step == "undo":
        catalog.undo()
        return
    items = catalog.items(name)
    if len(items) > 1:
        catalog.remove([items[at % len(items)].id])


class TestMisuse:
    """What makes no sense drops nothing."""

    def test_names(self, catalog: Catalog) -> None:
        """A class that is not there is refused, and nothing is dropped."""
        before = catalog.info()
        with pytest.raises(NotFound):
            catalog.compact(["cup", "tea"])
        assert catalog.info() == before
        assert near(catalog) == set(NAMES)

    def test_no_class_at_all(self, catalog: Catalog) -> None:
        """A list of no classes is not taken for all of them, nor a name for a list."""
        with pytest.raises(InvalidInput):
            catalog.compact([])
        with pytest.raises(InvalidInput):
            catalog.compact("cup")
        assert near(catalog) == set(NAMES)

    def test_a_name_given_twice(self, catalog: Catalog) -> None:
        """A class that is named twice is compacted once."""
        assert catalog.compact(["cup", "cup"]).labels == ("cup",)
        assert catalog.verify().sound

    def test_cut_short(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """Cut short before its end, nothing was dropped."""
        before = catalog.info()
        with monkeypatch.context() as patch:
            patch.setattr("catalog.changes.compact.journal.record", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                catalog.compact(["cup"])
        assert catalog.info() == before
        assert near(catalog) == set(NAMES)
        assert catalog.verify().sound


def test_the_command(in_process: InProcess, shop: Path) -> None:
    """The command drops what it is told to, and takes out inexactly only if told so."""
    call = ("--catalog", shop)
    code, out, _ = in_process("compact", "cup", "--yes", "--json", *call)
    assert (code, json.loads(out)["items"]) == (0, 4)
    code, _, err = in_process("remove-class", "cup", "--yes", *call)
    assert code == 1
    assert "--inexact" in err
    code, out, _ = in_process("remove-class", "cup", "--yes", "--inexact", "--json", *call)
    assert (code, json.loads(out)["items"]) == (0, 4)
    assert in_process("undo", *call)[0] == 1
    assert in_process("verify", *call)[0] == 0
