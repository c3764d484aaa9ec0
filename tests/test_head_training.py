"""The head of a catalogue: four ways to train it, widened with each class, undone to the bit."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import photos
import pytest
from doubles import FakeEmbedder
from head_shop import (
    ASKED,
    NAMES,
    InProcess,
    answers,
    assert_alike,
    filled,
    journal,
    logits,
    opened,
    state,
    stored,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from inside import connection_of

from catalog import Catalog, Entry, Picture, Prediction
from catalog.descriptors import CatalogError, Conflict, Damaged, InvalidInput
from catalog.store.files import cache_folder


def _refuse(*_: object) -> None:
    raise Conflict("refused")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue lies."""
    return tmp_path / "shop.catalog"


class TestFrozen:
    """Old columns stay identical to the last bit, whatever comes and goes."""

    def test_old_columns_and_logits(self, path: Path) -> None:
        """A new class changes no bit of the stored columns or logits, and the journal shows it."""
        with filled(path, head="frozen") as catalog:
            columns, (classes, before) = stored(catalog), logits(catalog)
            catalog.add_class("tea", photos.shots(3, 3))
            assert stored(catalog)[: len(columns)] == columns
            widened, after = logits(catalog)
            assert widened[: len(classes)] == classes
            assert len(widened) == len(classes) + 1
            assert after[: len(before)] == before
            kind, _, detail = journal(catalog)[-1]
            assert (kind, detail["label"]) == ("add", "tea")
            assert detail["head"]["training"] == "frozen"
            assert detail["head"]["columns"] == 3
            assert detail["head"]["before"] == detail["head"]["after"]
            assert len(detail["head"]["before"]) == 64

    def test_it_tells_the_classes_apart(self, path: Path) -> None:
        """Classes that came before the head was frozen and after it are named by it alike."""
        with filled(path) as catalog:
            catalog.train_head("frozen")
            for thing in (3, 4):
                catalog.add_class(NAMES[thing], photos.shots(thing, 3))
            found = catalog.predict_many(ASKED[:5])
        named = [one.head[0].label for one in found if isinstance(one, Prediction)]
        assert named == list(NAMES)

    @pytest.mark.parametrize("cache", ["kept", "deleted"])
    def test_reopening(self, path: Path, cache: str) -> None:
        """No bit of any answer changes by reopening, with the cache folder or without it."""
        with filled(path, head="frozen") as catalog:
            said = answers(catalog)
        if cache == "deleted":
            shutil.rmtree(cache_folder(path))
        with opened(path) as catalog:
            assert answers(catalog) == said

    def test_a_class_that_comes_back(self, path: Path) -> None:
        """Undo of a removal brings the column back; a class made anew gets a column of its own."""
        with filled(path) as catalog:
            catalog.train_head("frozen")
            columns, said = stored(catalog), answers(catalog)
            catalog.remove_class("jug")
            assert {c.label for c in catalog.predict(ASKED[1], 9).head} == {"cup", "pan"}
            catalog.undo()
            assert (stored(catalog), answers(catalog)) == (columns, said)
            catalog.remove_class("jug")
            catalog.add_class("jug", photos.shots(4, 3))
            assert stored(catalog)[: len(columns)] == columns
            head = journal(catalog)[-1][2]["head"]
            assert (head["columns"], head["before"]) == (2, head["after"])
            assert catalog.predict(ASKED[4], 9).head[0].label == "jug"
            assert len(catalog.predict(ASKED[4], 9).head) == 3
            for _ in range(2):
                catalog.undo()
            assert (stored(catalog), answers(catalog)) == (columns, said)

    def test_more_pictures_change_no_column(self, path: Path) -> None:
        """Pictures for an old class move its centroid, but not the head."""
        with filled(path, head="frozen") as catalog:
            columns, (_, before) = stored(catalog), logits(catalog)
            catalog.add("cup", photos.shots(0, 3, first=20))
            assert (stored(catalog), logits(catalog)[1]) == (columns, before)

    @settings(max_examples=12)
    @given(st.lists(st.tuples(st.sampled_from(["add", "remove", "undo"]), st.integers(0, 4))))
    def test_any_history(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
    ) -> None:
        """No step but undo ever changes a stored column, and undo brings all back to the bit."""
        catalog = Catalog.init(
            tmp_path_factory.mktemp("any") / "shop.catalog", embedder=FakeEmbedder(16)
        )
        with catalog:
            catalog.train_head("frozen")
            past = []
            for step, thing in steps[:8]:
                live = {row.label for row in catalog.labels()}
                now = (stored(catalog), answers(catalog), catalog.labels())
                if step == "undo" and past:
                    catalog.undo()
                    assert (stored(catalog), answers(catalog), catalog.labels()) == past.pop()
                    continue
                if step == "add" and NAMES[thing] not in live:
                    catalog.add_class(NAMES[thing], photos.shots(thing, 2))
                elif step == "remove" and NAMES[thing] in live:
                    catalog.remove_class(NAMES[thing])
                else:
                    continue
                past.append(now)
                assert stored(catalog)[: len(now[0])] == now[0]
            assert catalog.verify().sound

    @pytest.mark.parametrize("begun", ["exact", "none"])
    def test_switching_to_it(self, path: Path, begun: str) -> None:
        """It begins as the exact head, with a column for every class, and answers alike."""
        with filled(path) as catalog:
            exact = catalog.predict(ASKED[0])
            if begun == "none":
                catalog.train_head("none")
            trained = catalog.train_head("frozen")
            assert (trained.training, trained.columns, trained.curves) == ("frozen", 3, None)
            assert_alike(exact, catalog.predict(ASKED[0]))


class TestWhole:
    """A class and its column land together or not at all, and go together."""

    @pytest.mark.parametrize("call", ["add_class", "import", "feedback"])
    def test_cut_short(self, path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        """Cut short between class and column, there is neither; the call can be made again."""

        def act(catalog: Catalog) -> object:
            if call == "add_class":
                return catalog.add_class("tea", photos.shots(3, 2))
            if call == "feedback":
                return catalog.feedback(photos.photo(3), "tea")
            return catalog.import_([Entry("tea", Picture(photos.photo(3)))])

        with filled(path, head="frozen") as catalog:
            before, said = state(catalog), answers(catalog)
            with monkeypatch.context() as patch:
                patch.setattr(
                    "catalog.store.heads.append", lambda *_: (_ for _ in ()).throw(MemoryError)
                )
                with pytest.raises(MemoryError):
                    act(catalog)
            assert (state(catalog), answers(catalog)) == (before, said)
            with opened(path) as other:
                assert state(other) == before
                assert other.verify().sound
            act(catalog)
            assert [row.label for row in catalog.labels()] == list(NAMES[:4])
            assert len(stored(catalog)) == 4

    @pytest.mark.parametrize("head", ["exact", "frozen"])
    def test_undo_to_the_bit(self, path: Path, head: str) -> None:
        """Undo of a class brings back head and answers to the bit, here and after reopening."""
        with filled(path, head=head) as catalog:
            said, columns = answers(catalog), stored(catalog)
            catalog.add_class("tea", photos.shots(3, 3))
            assert answers(catalog) != said
            catalog.undo()
            assert (answers(catalog), stored(catalog)) == (said, columns)
        with opened(path) as catalog:
            assert answers(catalog) == said

    def test_switch_and_class_are_one_command(self, path: Path) -> None:
        """Another way to train the head, asked for with a class, is undone with it."""
        with filled(path) as catalog:
            before = state(catalog)[1:]
            catalog.add_class("tea", photos.shots(3, 2), head="frozen")
            assert (catalog.info().head, len(stored(catalog))) == ("frozen", 4)
            assert {event.kind for event in catalog.undo()} == {"train-head", "add"}
            assert state(catalog)[1:] == before

    def test_a_refused_class_switches_nothing(self, path: Path) -> None:
        """Where every picture was refused, the head is trained as before."""
        with filled(path) as catalog:
            before = state(catalog)
            assert catalog.add_class("tea", [b"no picture"], head="frozen").event is None
            assert state(catalog) == before

    def test_pictures_of_another_class_switch_nothing(self, path: Path) -> None:
        """Where every picture is in another class already, the head is trained as before."""
        with filled(path) as catalog:
            before = state(catalog)
            cups = photos.shots(0, 2)
            added = catalog.add_class("tea", cups, head="none")
            assert (added.event, len(added.refused)) == (None, 2)
            imported = catalog.import_([Entry("tea", Picture(cup)) for cup in cups], head="frozen")
            assert len(imported.refused) == 2
            assert state(catalog) == before

    def test_known_pictures_come_first(self, path: Path, tmp_path: Path) -> None:
        """Places of pictures that are known are no reason to switch; the next class is one."""
        with filled(path) as catalog:
            known = [Entry(NAMES[0], Picture(p)) for p in photos.draw(tmp_path / "again", 0, 2)]
            new = [Entry("tea", Picture(p)) for p in photos.draw(tmp_path / "tea", 3, 2)]
            catalog.import_([*known, *new], head="frozen")
            assert catalog.info().head == "frozen"
            catalog.undo()
            assert catalog.info().head == "exact"

    def test_a_switch_lands_with_its_class(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the class cannot land, the head is trained as before."""
        with filled(path) as catalog:
            before = state(catalog)
            monkeypatch.setattr("catalog.store.journal.amend", _refuse)
            for call in (
                lambda: catalog.add_class("tea", photos.shots(3, 2), head="frozen"),
                lambda: catalog.import_([Entry("tea", Picture(photos.photo(3)))], head="none"),
            ):
                with pytest.raises(Conflict, match="refused"):
                    call()
                assert state(catalog) == before

    def test_an_existing_class_switches_nothing(self, path: Path) -> None:
        """Where the class exists, the head is trained as before."""
        with filled(path) as catalog:
            before = state(catalog)
            with pytest.raises(CatalogError):
                catalog.add_class("cup", photos.shots(7, 1), head="none")
            assert state(catalog) == before

    def test_import_with_a_way(self, path: Path) -> None:
        """An import can choose the way, and is undone with that in one step."""
        entries = [
            Entry(NAMES[at], Picture(photos.photo(at, s))) for at in range(3) for s in (0, 1)
        ]
        with Catalog.init(path, embedder=FakeEmbedder()) as catalog:
            catalog.import_(entries, head="frozen")
            assert (catalog.info().head, len(stored(catalog))) == ("frozen", 3)
            catalog.undo()
            assert (catalog.info().head, stored(catalog), catalog.labels()) == ("exact", [], [])


class TestExact:
    """The head that is a function of what the catalogue holds."""

    def test_any_order(self, tmp_path: Path) -> None:
        """However a catalogue came to be, its answers are the same."""
        said = []
        for at, order in enumerate(permutations(range(3))):
            with Catalog.init(tmp_path / f"{at}.catalog", embedder=FakeEmbedder()) as catalog:
                for thing in order:
                    catalog.add_class(NAMES[thing], photos.shots(thing, 3))
                    catalog.predict(ASKED[0])
                said.append([catalog.predict(asked, 9) for asked in ASKED])
        for others in said[1:]:
            for one, other in zip(said[0], others, strict=True):
                assert_alike(one, other)

    def test_detours(self, path: Path, tmp_path: Path) -> None:
        """Adding, removing and undoing leave no trace in the answers."""
        with filled(tmp_path / "plain.catalog") as plain, filled(path) as catalog:
            catalog.predict(ASKED[0])
            catalog.add_class("tea", photos.shots(3, 3))
            catalog.predict(ASKED[0])
            catalog.undo()
            catalog.add_class("urn", photos.shots(4, 3))
            catalog.predict(ASKED[0])
            catalog.remove_class("urn")
            for asked in ASKED:
                assert_alike(plain.predict(asked, 9), catalog.predict(asked, 9))

    def test_the_cache_folder_is_no_loss(self, path: Path) -> None:
        """Deleting everything derived changes no answer."""
        with filled(path) as catalog:
            said = [catalog.predict(asked, 9) for asked in ASKED]
        shutil.rmtree(cache_folder(path))
        with opened(path) as catalog:
            for one, asked in zip(said, ASKED, strict=True):
                assert_alike(one, catalog.predict(asked, 9))

    def test_the_journal_has_checksums(self, path: Path) -> None:
        """A class that came after an answer was given is a widening with equal checksums."""
        with filled(path) as catalog:
            assert journal(catalog)[-1][2]["head"] == {"training": "exact", "columns": 0}
            catalog.predict(ASKED[0])
            catalog.add_class("tea", photos.shots(3, 2))
            head = journal(catalog)[-1][2]["head"]
            assert (head["training"], head["columns"]) == ("exact", 3)
            assert head["before"] == head["after"]


class TestNone:
    """A catalogue can do without a head, and come back to it."""

    def test_no_head_in_answers(self, path: Path) -> None:
        """Answers are by centroids and items alone."""
        with filled(path) as catalog:
            catalog.train_head("none")
            found = catalog.predict(ASKED[1])
            assert (found.label, found.head, catalog.info().head) == ("jug", (), "none")
            assert catalog.evaluate([Entry("jug", Picture(ASKED[1]))]).head is None
            catalog.add_class("tea", photos.shots(3, 2))
            assert journal(catalog)[-1][2]["head"] == {"training": "none"}
            assert catalog.predict(ASKED[3]).head == ()

    @pytest.mark.parametrize("back", ["undo", "exact"])
    def test_back_to_exact(self, path: Path, back: str) -> None:
        """Undo and training bring back the very answers that were."""
        with filled(path) as catalog:
            said = answers(catalog)
            catalog.train_head("none")
            assert answers(catalog) != said
            if back == "undo":
                catalog.undo()
            else:
                catalog.train_head("exact")
            assert answers(catalog) == said


class TestMisuse:
    """What makes no sense is a typed error, and changes nothing."""

    @pytest.mark.parametrize(
        ("head", "options"),
        [
            ("exact", {"epochs": 3}),
            ("frozen", {"replay": "stored"}),
            ("none", {"seed": 0}),
            ("best", {}),
            ("", {}),
            ("document", {"epochs": 0}),
            ("document", {"dropout": 1.0}),
            ("document", {"replay": "some"}),
            ("document", {"start": "ones"}),
            ("document", {"learning_rate": -1.0}),
        ],
    )
    def test_options(self, path: Path, head: str, options: dict[str, Any]) -> None:
        """An unknown way, an option out of range or of another way is refused."""
        with filled(path) as catalog:
            before = state(catalog)
            with pytest.raises(InvalidInput):
                catalog.train_head(head, **options)
            assert state(catalog) == before

    def test_unknown_way_for_a_class(self, path: Path) -> None:
        """So it is where a class or an import asks for it, before anything is embedded."""
        embedder = FakeEmbedder()
        with Catalog.init(path, embedder=embedder) as catalog:
            embedder.embedded = 0
            with pytest.raises(InvalidInput):
                catalog.add_class("cup", photos.shots(0, 1), head="best")
            with pytest.raises(InvalidInput):
                catalog.import_([Entry("cup", Picture(photos.photo(0)))], head="best")
            assert (embedder.embedded, catalog.labels()) == (0, [])

    def test_an_empty_catalogue(self, path: Path) -> None:
        """The head of an empty catalogue can be switched; classes get their columns later."""
        with Catalog.init(path, embedder=FakeEmbedder()) as catalog:
            assert catalog.train_head("frozen").columns == 0
            catalog.add_class("cup", photos.shots(0, 2))
            assert catalog.predict(ASKED[0]).label == "cup"
            catalog.add_class("jug", photos.shots(1, 2))
            assert len(stored(catalog)) == 2
            assert catalog.predict(ASKED[1]).head[0].label == "jug"


class TestDamage:
    """A stored head that lost something is called damaged, and can be made anew."""

    @pytest.mark.parametrize(
        "harm",
        [
            "UPDATE head SET metric = NULL",
            "UPDATE head SET metric = x''",
            "UPDATE head SET metric = x'0102'",
            "UPDATE head SET metric = x'0102030405060708'",
            "UPDATE head SET options = 'x'",
            "UPDATE head SET training = 'x'",
            "UPDATE head_column SET weights = x''",
            "UPDATE head_column SET weights = x'0102' WHERE position = 0",
            "UPDATE head_column SET bias = 'x'",
            "UPDATE head_column SET bias = 1e999",
        ],
    )
    def test_lost_parts(self, path: Path, harm: str) -> None:
        """Answers end in a typed error, and training the head again makes it whole."""
        with filled(path, head="frozen") as catalog:
            catalog.predict(ASKED[0])
        connection = sqlite3.connect(path)
        connection.execute(harm)
        connection.commit()
        connection.close()
        with opened(path) as catalog:
            before = catalog.labels()
            with pytest.raises(CatalogError):
                catalog.predict(ASKED[0])
            with pytest.raises(CatalogError):
                catalog.add_class("tea", photos.shots(3, 2))
            assert catalog.labels() == before
            assert catalog.nearest(ASKED[0])[0].label == "cup"
            catalog.train_head("exact")
            assert catalog.predict(ASKED[0]).head[0].label == "cup"

    def test_verify_finds_it(self, path: Path) -> None:
        """The check of the file says that the head has lost a part."""
        with filled(path, head="frozen") as catalog:
            assert catalog.verify().sound
            connection_of(catalog).execute("UPDATE head SET metric = x'0102'")
            catalog._keeper.discard()
            assert not catalog.verify().sound

    def test_another_embedder(self, path: Path) -> None:
        """A head of longer descriptors is damage, not an answer."""
        with filled(path, head="frozen") as catalog:
            column = b"\0" * 4 * 128
            connection_of(catalog).execute("UPDATE head_column SET weights = ?", (column,))
        with opened(path) as catalog, pytest.raises(Damaged):
            catalog.predict(ASKED[0])


WITHOUT = """
import sys
from pathlib import Path
import photos
from doubles import FakeEmbedder
from catalog import Catalog, Entry, Picture
with Catalog.init(Path(sys.argv[1]), embedder=FakeEmbedder()) as shop:
    for way in ("exact", "frozen", "none"):
        shop.add_class(way, photos.shots(len(way), 3), head=way)
        shop.predict(photos.photo(0), keep_unknown=True)
        shop.feedback(photos.photo(len(way), 7), way)
        shop.preview_class("new", photos.shots(20, 1))
        shop.evaluate([Entry(way, Picture(photos.photo(len(way), 8)))])
        shop.train_head(way)
        shop.audit()
    shop.compact(["exact"])
    shop.train_head("frozen")
    shop.predict(photos.photo(0))
    shop.undo()
print(sorted({"tensorflow", "keras"} & set(sys.modules)), len(shop._bounds) > 0)
"""


def test_no_tensorflow(tmp_path: Path) -> None:
    """Without a document head TensorFlow is never imported."""
    folder = Path(__file__).parent
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "shop.catalog")],
        env={**kept, "PYTHONPATH": os.pathsep.join([str(folder), str(folder.parent)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[] True\n"), done.stderr


def test_the_command(in_process: InProcess, shop: Path, tmp_path: Path) -> None:
    """The command switches the head, keeps it for the next class, and says which it is."""
    call = ("--catalog", shop, "--json")
    code, out, _ = in_process("train-head", "--head", "frozen", *call)
    assert (code, json.loads(out)["columns"]) == (0, 3)
    lids = photos.draw(tmp_path / "lids", 6, 2)
    code, out, _ = in_process("add-class", "lid", *lids, *call)
    assert (code, json.loads(out)["created"]) == (0, True)
    assert json.loads(in_process("info", *call)[1])["head"] == "frozen"
    assert in_process("add-class", "pot", *lids, "--head", "best", *call)[0] == 2
    code, out, _ = in_process("predict", lids[0], *call)
    assert len(json.loads(out)[0]["prediction"]["head"]) == 4
    assert in_process("train-head", "--head", "exact", "--epochs", "2", "--catalog", shop)[0] == 2
