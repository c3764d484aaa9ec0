"""The head of a catalogue trained as the documents do: kept, replayed, and undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from head_shop import (
    ASKED,
    NAMES,
    answers,
    filled,
    journal,
    logits,
    opened,
    state,
    stored,
)
from inside import computed

from catalog import Catalog, Entry, Picture
from catalog.descriptors import InvalidInput
from catalog.head import GanOptions
from catalog.learning import generators
from catalog.learning.learning import Learning
from catalog.store import heads


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue lies."""
    return tmp_path / "shop.catalog"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A catalogue of two classes whose head was trained as the documents do, and how that went."""
    path = tmp_path_factory.mktemp("document") / "shop.catalog"
    told: list[tuple[int, int]] = []
    with filled(path, classes=2, shots=4) as catalog:
        done = catalog.train_head(
            "document",
            epochs=2,
            batch=2,
            start="random",
            seed=3,
            training=lambda at, of: told.append((at, of)),
        )
    return path, {"done": done, "told": told}


@pytest.fixture
def document(trained: tuple[Path, dict[str, Any]], path: Path) -> Iterator[Catalog]:
    """That catalogue, to change."""
    shutil.copy(trained[0], path)
    with opened(path) as catalog:
        yield catalog


class TestDocument:
    """The documents' training, from a class that is added to a head that knows it."""

    def test_curves(self, trained: tuple[Path, dict[str, Any]], document: Catalog) -> None:
        """Curves of every batch and epoch are handed back and kept; each batch is told of."""
        done, told = trained[1]["done"], trained[1]["told"]
        assert (done.training, done.columns) == ("document", 2)
        assert len(done.curves.validation_loss) == 2
        assert len(done.curves.loss) == len(told)
        assert told == [(at + 1, len(told)) for at in range(len(told))]
        with document._store.reading() as tx:
            kept = heads.curves(tx, heads.current(tx))
        assert kept is not None
        for name, values in kept.items():
            np.testing.assert_array_equal(values, getattr(done.curves, name))
        kind, _, detail = journal(document)[-1]
        assert (kind, detail["training"], detail["columns"]) == ("train-head", "document", 2)

    def test_the_next_class(self, document: Catalog) -> None:
        """A new class is trained with the same options, and undone with its training to the bit."""
        before, said = state(document)[1:], answers(document)
        told: list[int] = []
        document.add_class("pan", photos.shots(2, 4), training=lambda at, _: told.append(at))
        with document._store.reading() as tx:
            record = heads.current(tx)
            kept = heads.curves(tx, record)
        assert told
        assert kept is not None
        assert len(kept["validation_loss"]) == 2
        wanted = {"epochs": 2, "batch": 2, "start": "random", "seed": 3}
        assert wanted.items() <= record.options.items()
        assert [kind for kind, *_ in journal(document)[-2:]] == ["add", "train-head"]
        widening = journal(document)[-2][2]["head"]
        assert (widening["columns"], widening["before"]) == (2, widening["after"])
        assert len(document.predict(ASKED[0]).head) == 3
        document.undo()
        assert (state(document)[1:], answers(document)) == (before, said)

    def test_training_again(self, document: Catalog) -> None:
        """Training goes on from the head that is there, with the options it had; and is undone."""
        before, said = state(document)[1:], answers(document)
        document.train_head("document", epochs=1)
        with document._store.reading() as tx:
            options = heads.current(tx).options
        assert (options["epochs"], options["batch"], options["seed"]) == (1, 2, 3)
        assert answers(document) != said
        document.undo()
        assert (state(document)[1:], answers(document)) == (before, said)

    def test_reopening(self, document: Catalog) -> None:
        """No bit of any answer changes by reopening."""
        with opened(document.path) as other:
            assert answers(other) == answers(document)

    def test_gaussian_replay(self, document: Catalog) -> None:
        """Old classes whose descriptors are gone are drawn from their sums, and not forgotten."""
        document.compact(["cup", "jug"])
        document.train_head("document", epochs=8, batch=32, replay="gaussian", learning_rate=0.05)
        document.add_class("pan", photos.shots(2, 4))
        named = [document.predict(asked).head[0].label for asked in ASKED[:3]]
        assert named == list(NAMES[:3])

    def test_forgetting_takes_force(self, document: Catalog) -> None:
        """Training on new classes alone is refused unless forced; what was forced is remembered."""
        document.train_head("frozen")
        document.add_class("pan", photos.shots(2, 3))
        document.train_head("document", epochs=1)
        document.train_head("document", epochs=1, replay="none")  # forgets nothing: none is new
        document.add_class("tea", photos.shots(3, 3))
        assert document.predict(ASKED[3]).label == "tea"
        with document._store.reading() as tx:
            assert heads.current(tx).options["replay"] == "none"

    def test_refused_without_force(
        self, document: Catalog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A class whose training was cut short is not trained alone without force."""
        with monkeypatch.context() as patch:
            patch.setattr("catalog.learning.training.train", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                document.add_class("pan", photos.shots(2, 3))
        assert len(stored(document)) == 3
        before = state(document)
        with pytest.raises(InvalidInput, match="force"):
            document.train_head("document", replay="none")
        assert state(document) == before
        assert document.train_head("document", replay="none", epochs=1, force=True).columns == 3

    def test_switching_keeps_the_columns(self, document: Catalog) -> None:
        """A frozen head begins as the one that was trained, and answers as it did."""
        classes, before = logits(document)
        document.train_head("frozen")
        assert logits(document) == (classes, before)
        document.add_class("pan", photos.shots(2, 3))
        assert logits(document)[1][: len(before)] == before

    @pytest.mark.parametrize("classes", [0, 1])
    @pytest.mark.parametrize("shots", [1, 3])
    def test_too_little_to_train(self, path: Path, classes: int, shots: int) -> None:
        """With one class, or none, nothing can be trained, and nothing is lost."""
        with filled(path, classes=classes, shots=shots) as catalog:
            before = state(catalog)
            with pytest.raises(InvalidInput):
                catalog.train_head("document", epochs=1)
            assert state(catalog) == before

    def test_from_the_first_class(self, path: Path) -> None:
        """Asked for with the first class, the training begins with the second."""
        with Catalog.init(path, embedder=FakeEmbedder()) as catalog:
            catalog.add_class("cup", photos.shots(0, 1), head="document")
            assert (catalog.info().head, catalog.predict(ASKED[0]).label) == ("document", "cup")
            catalog.add_class("jug", photos.shots(1, 1))
            assert {c.label for c in catalog.predict(ASKED[0]).head} == {"cup", "jug"}
            catalog.undo()
            assert (catalog.info().head, len(catalog.labels())) == ("document", 1)
            catalog.undo()
            assert (catalog.info().head, catalog.labels()) == ("exact", [])

    def test_import_that_brings_nothing(self, path: Path) -> None:
        """An import that finds everything known changes nothing, the way of training neither."""
        with filled(path, classes=2) as catalog:
            before = state(catalog)
            catalog.import_([Entry("cup", Picture(photos.photo(0)))], head="document")
            assert (catalog.info().head, state(catalog)) == ("exact", before)

    def test_generative_replay(self, document: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """The network that draws old classes is kept with the head, widened, and goes by undo."""
        monkeypatch.setattr(
            generators, "GanOptions", lambda steps=0, seed=0: GanOptions(steps=2, seed=seed)
        )

        def drawn() -> list[int] | None:
            learnt = computed(document, Learning.head)
            assert learnt is not None
            with document._store.reading() as tx:
                kept = generators.load(tx, learnt.metric)
            return None if kept is None else kept.classes.tolist()

        document.train_head("document", epochs=1, replay="gan")
        first = drawn()
        document.add_class("pan", photos.shots(2, 3))
        widened = drawn()
        assert widened is not None
        assert len(widened) >= 2
        document.undo()
        assert drawn() == first
        document.compact(["cup"])
        kept = drawn()
        assert kept is not None
        assert len(kept) == 2
        document.add_class("pan", photos.shots(2, 3))
        assert {c.label for c in document.predict(ASKED[0]).head} == {"cup", "jug", "pan"}
        assert document.verify().sound
