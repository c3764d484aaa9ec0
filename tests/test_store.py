"""One file that is the truth: made whole or not at all, changed whole or not at all."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import photos
import pytest
from cups_and_jugs import bare, fill, reopen
from doubles import FakeEmbedder
from inside import connection_of

from catalog import Catalog, Entry, Picture
from catalog.descriptors import (
    CatalogError,
    Conflict,
    Damaged,
    InvalidInput,
    Locked,
    NewerFormat,
    NotFound,
)
from catalog.store import binding
from catalog.store.files import cache_folder
from catalog.store.schema import APPLICATION_ID, FORMAT_VERSION
from catalog.store.store import Store, create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# Another process takes the write lock, says so, and keeps it until its stdin is closed.
HOLD = """
import sys
from pathlib import Path
from catalog.store.store import Store
with Store(Path(sys.argv[1])).writing():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalogue of three classes with five items each, and nothing derived beside it."""
    return bare(tmp_path / "shop.catalog")


def altered(path: Path, statement: str) -> Path:
    """Change a catalogue file behind its back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
    return path


class TestCreation:
    """A new file appears whole, and only where there was none."""

    @pytest.mark.parametrize("content", [b"", b"not a catalogue"], ids=["empty", "text"])
    def test_an_existing_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        """What lies at the path is neither opened nor changed, and the message names it."""
        path = tmp_path / "shop.catalog"
        path.write_bytes(content)
        with pytest.raises(Conflict, match=r"shop\.catalog exists already"):
            Catalog.init(path, embedder=FakeEmbedder())
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]

    def test_an_existing_catalogue_is_refused(self, shop: Path) -> None:
        """A catalogue is never overwritten by a new one."""
        before = shop.read_bytes()
        with pytest.raises(Conflict, match="exists already"):
            create(shop, binding.record(FakeEmbedder()))
        assert shop.read_bytes() == before
        assert list(shop.parent.iterdir()) == [shop]

    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        """If the file cannot be filled, no part of it stays under any name."""
        with pytest.raises(CatalogError, match="cannot make"):
            create(tmp_path / "shop.catalog", {"fingerprint": "and no more"})
        assert list(tmp_path.iterdir()) == []

    def test_one_of_many_makes_it(self, tmp_path: Path) -> None:
        """Of eight that make the same file at once, one succeeds and the others are told."""
        path = tmp_path / "shop.catalog"
        row = binding.record(FakeEmbedder())

        def attempt(_: int) -> bool:
            try:
                create(path, row)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(8))) == 1
        assert list(tmp_path.iterdir()) == [path]
        with reopen(path) as catalog:
            assert catalog.verify().sound

    def test_folders_are_not_made(self, tmp_path: Path) -> None:
        """A folder that is not there may be a slip of the pen: it is named, and nothing is made."""
        Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()).close()
        for folder in (tmp_path / "a" / "b", tmp_path / "shop.catalog"):
            with pytest.raises(NotFound, match="there is no folder"):
                Catalog.init(folder / "other.catalog", embedder=FakeEmbedder())
        assert not (tmp_path / "a").exists()
        with pytest.raises(CatalogError, match="cannot make"):
            Catalog.init(tmp_path / ("long" * 90), embedder=FakeEmbedder())


class TestOpening:
    """What is not a catalogue of this version is told apart, each in its own words."""

    @pytest.mark.parametrize(
        ("content", "error", "words"),
        [
            (b"PNG, or any other text that is long enough to be looked at" * 40, InvalidInput, ""),
            (b"short", InvalidInput, ""),
            (b"", InvalidInput, "not a catalogue"),
        ],
        ids=["text", "short text", "empty"],
    )
    def test_not_a_database(
        self, tmp_path: Path, content: bytes, error: type[CatalogError], words: str
    ) -> None:
        """Any other file is refused by name, and left as it is."""
        path = tmp_path / "shop.catalog"
        path.write_bytes(content)
        with pytest.raises(error, match=rf"shop\.catalog is .*{words}"):
            reopen(path)
        assert path.read_bytes() == content

    def test_another_database(self, tmp_path: Path) -> None:
        """A database of another program is refused, whatever its tables are called."""
        path = altered(tmp_path / "other.db", "CREATE TABLE item (id)")
        with pytest.raises(InvalidInput, match="is a database, but not a catalogue"):
            reopen(path)

    def test_nothing_there(self, tmp_path: Path) -> None:
        """A missing file and a folder are not found, and the message says how to begin."""
        for path in (tmp_path / "shop.catalog", tmp_path):
            with pytest.raises(NotFound, match=r"Catalog\.init"):
                reopen(path)

    def test_a_file_that_was_taken_away(self, shop: Path) -> None:
        """Who goes on with a connection of their own is told so, and no other file is made."""
        with closing(Store(shop)) as store, ThreadPoolExecutor(1) as pool:
            with store._connections.taken():  # so that the other thread gets a new one
                shop.rename(shop.with_name("elsewhere"))
                with pytest.raises(NotFound, match="taken away"):
                    pool.submit(count_labels, store).result()
                with pytest.raises(NotFound, match="taken away"):
                    pool.submit(insert_labels, store, "lid").result()
            assert not shop.exists()

    def test_another_file_in_its_place(self, shop: Path, tmp_path: Path) -> None:
        """What is written goes into neither, and that is said as it is."""
        other = shutil.copy(shop, tmp_path / "copy")
        before = other.read_bytes()
        with closing(Store(shop)) as store:
            other.replace(shop)
            with pytest.raises(NotFound, match="another file was put there"):
                insert_labels(store, "lid")
        assert shop.read_bytes() == before

    @pytest.mark.parametrize("content", [b"", b"SQLite format 3\0"])
    def test_a_file_that_became_none(self, shop: Path, content: bytes) -> None:
        """One that was emptied is not taken for a catalogue of a format that never was."""
        with closing(Store(shop)) as store, ThreadPoolExecutor(1) as pool:
            with store._connections.taken():
                shop.write_bytes(content)
                with pytest.raises(CatalogError):
                    pool.submit(insert_labels, store, "lid").result()
            assert shop.read_bytes() == content

    def test_a_newer_format(self, shop: Path) -> None:
        """A file of a later version is refused with both versions and what to do."""
        altered(shop, f"PRAGMA user_version = {FORMAT_VERSION + 1}")
        with pytest.raises(NewerFormat, match=rf"has format {FORMAT_VERSION + 1}.*pip install -U"):
            reopen(shop)

    def test_the_application_id_decides(self, shop: Path) -> None:
        """A catalogue says so in its application id; without it, it is taken for none."""
        with closing(sqlite3.connect(shop)) as connection:
            assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        altered(shop, "PRAGMA application_id = 7")
        with pytest.raises(InvalidInput, match="not a catalogue"):
            reopen(shop)

    def test_a_truncated_file(self, shop: Path) -> None:
        """A file that lost its tail is damaged, and the message says what to do."""
        content = shop.read_bytes()
        shop.write_bytes(content[: len(content) // 3])
        with (
            pytest.raises(Damaged, match=r"is damaged.*restore it from a backup"),
            reopen(shop) as catalog,
        ):
            catalog.info()


class TestDamage:
    """Bytes that changed on the disk are found, and never trusted where they are descriptors."""

    def test_every_descriptor_is_covered(self, shop: Path) -> None:
        """One flipped bit in any stored descriptor is found by verify, and by who asks for it."""
        sound = shop.read_bytes()
        with closing(sqlite3.connect(shop)) as connection:
            values = [row[0] for row in connection.execute("SELECT value FROM descriptor")]
        assert len(values) == 15
        rng = random.Random(1)
        for value in values:
            at = sound.index(value) + rng.randrange(len(value))
            spoilt = bytearray(sound)
            spoilt[at] ^= 1 << rng.randrange(8)
            shop.write_bytes(spoilt)
            with reopen(shop) as catalog:
                found = catalog.verify()
            assert found.problems == ("1 descriptors do not match their checksums",)
            assert not found.sound
            with reopen(shop) as catalog, pytest.raises(Damaged, match="descriptor of item"):
                catalog.nearest(photos.photo(0, 9))

    @pytest.mark.parametrize("seed", range(8))
    def test_damage_has_a_name(self, shop: Path, seed: int) -> None:
        """Whatever bytes of a file are changed, what comes of it is an answer or a typed error."""
        sound = shop.read_bytes()
        rng = random.Random(seed)
        for _ in range(12):
            spoilt = bytearray(sound)
            for _ in range(rng.choice((1, 1, 4, 64))):
                spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
            assert use(shop, bytes(spoilt)) in {"sound", "found", "refused"}

    def test_a_lost_page_is_found(self, shop: Path) -> None:
        """A page that reads as zeros never passes for sound, wherever in the file it is."""
        sound = shop.read_bytes()
        with closing(sqlite3.connect(shop)) as connection:
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        for start in range(0, len(sound), size):
            spoilt = sound[:start] + bytes(size) + sound[start + size :]
            assert use(shop, spoilt) in {"found", "refused"}, f"page {start // size + 1}"

    @pytest.mark.parametrize(
        ("statement", "problem"),
        [
            ("UPDATE item SET label = 1 WHERE label = 2", "5 items whose class is not what"),
            ("DELETE FROM descriptor WHERE item = 3", "1 items without a descriptor"),
            (
                "UPDATE descriptor SET value = x'00' WHERE item = 3",
                "1 descriptors of a wrong length",
            ),
            ("UPDATE event SET detail = '{' WHERE id = 1", "event 1 cannot be read"),
            ("UPDATE item SET label = 99 WHERE id = 1", "row 1 of item refers to a label"),
            ("UPDATE source SET item = 99 WHERE item = 3", "1 sources without an item"),
        ],
    )
    def test_verify_names_what_does_not_fit(
        self, shop: Path, statement: str, problem: str, tmp_path: Path
    ) -> None:
        """Rows that contradict each other are named and counted."""
        with reopen(shop) as catalog:
            catalog.add("cup", photos.draw(tmp_path / "more", 0, 1, first=9))
            items = [item.id for item in catalog.items() if item.sources]
        assert items == [16]
        altered(shop, statement.replace("WHERE item = 3", "WHERE item = 16"))
        with reopen(shop) as catalog:
            problems = catalog.verify().problems
        assert any(problem in one for one in problems), problems


def use(path: Path, content: bytes) -> str:
    """What comes of using a file of these bytes: sound, found (by verify) or refused (typed)."""
    path.write_bytes(content)
    shutil.rmtree(cache_folder(path), ignore_errors=True)
    try:
        with reopen(path) as catalog:
            verification = catalog.verify()
            catalog.labels()
            catalog.items()
            catalog.info()
            catalog.predict(photos.photo(0))
    except CatalogError:
        return "refused"
    return "sound" if verification.sound else "found"


def insert_labels(store: Store, *names: str, after: Callable[[], object] = bool) -> None:
    """Write rows in one transaction, and do something else in it."""
    with store.writing() as tx:
        tx.executemany(
            "INSERT INTO label (name, key) VALUES (?, ?)", [(name, name) for name in names]
        )
        after()


def count_labels(store: Store) -> int:
    """How many rows a reader sees."""
    with store.reading() as tx:
        return int(tx.execute("SELECT count(*) FROM label").fetchone()[0])


class TestTransactions:
    """A change takes effect whole, or not at all."""

    def test_an_exception_leaves_nothing(self, shop: Path) -> None:
        """What raises inside a writing block is passed on, and what it wrote is gone."""
        with closing(Store(shop)) as store:
            with pytest.raises(ZeroDivisionError):
                insert_labels(store, "lid", "pot", after=lambda: 1 / 0)
            assert count_labels(store) == 3
            insert_labels(store, "lid")
            assert count_labels(store) == 4
        assert not (cache_folder(shop) / "writer.json").exists()

    def test_none_within_another(self, shop: Path) -> None:
        """Whoever writes within a transaction is told so at once, and the outer one goes on."""
        with closing(Store(shop)) as store:
            with store.reading(), pytest.raises(InvalidInput, match="open already"):
                insert_labels(store, "lid")
            with store.writing():
                with pytest.raises(InvalidInput, match="open already"):
                    insert_labels(store, "lid")
                assert count_labels(store) == 3

    def test_a_constraint_is_a_conflict(self, shop: Path) -> None:
        """A row that the schema forbids is a typed error, and the transaction leaves nothing."""
        with closing(Store(shop)) as store:
            with pytest.raises(Conflict):
                insert_labels(store, "lid", "lid")
            assert count_labels(store) == 3

    def test_a_reader_sees_one_state(self, shop: Path) -> None:
        """While a read transaction is open nobody's commit can change what it sees."""
        with (
            closing(Store(shop)) as one,
            closing(Store(shop, busy_seconds=0.05)) as other,
            one.reading() as tx,
            one.reading() as inner,
        ):
            assert tx is inner
            assert count_labels(one) == 3
            # With a rollback journal the commit waits for the reader, and here in vain.
            with pytest.raises(Locked):
                insert_labels(other, "lid")
            assert count_labels(one) == 3

    def test_a_full_disk(self, shop: Path) -> None:
        """Where there is no space, the error says so, nothing is half there, and work goes on."""
        with reopen(shop) as catalog:
            before = (catalog.info(), catalog.items())
            connection = connection_of(catalog)
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
            crowd = [photos.scene(0, shot) for shot in range(100, 400)]
            with pytest.raises(CatalogError, match=r"no space left on the disk of .*shop\.catalog"):
                catalog.add_class("lid", crowd)
            assert (catalog.info().learning_state, catalog.items()) == (
                before[0].learning_state,
                before[1],
            )
            assert catalog.verify().sound
            connection.execute(f"PRAGMA max_page_count = {100 * pages}")
            assert catalog.add_class("lid", crowd).added == 300
            assert catalog.verify().sound


class TestLock:
    """One writer at a time, and whoever waits in vain is told for whom."""

    @pytest.fixture
    def holder(self, shop: Path) -> Iterator[subprocess.Popen[str]]:
        """Another process that holds the write lock."""
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(shop)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
            process.kill()

    def test_the_holder_is_named(self, shop: Path, holder: subprocess.Popen[str]) -> None:
        """The message has the number, the command and the start of the process that writes."""
        with (
            closing(Store(shop, busy_seconds=0.05)) as store,
            pytest.raises(Locked, match=rf"written by process {holder.pid} \(-c .*, since 2"),
            store.writing(),
        ):
            pass

    def test_readers_go_on(self, shop: Path, holder: subprocess.Popen[str]) -> None:
        """A transaction that has not committed yet does not keep anyone from reading."""
        with reopen(shop) as catalog:
            assert [row.items for row in catalog.labels()] == [5, 5, 5]
            assert catalog.predict(photos.photo(0)).label == "cup"

    def test_a_killed_holder_holds_nothing(self, shop: Path, holder: subprocess.Popen[str]) -> None:
        """The lock of a process that was killed is free at once, though its word lies there yet."""
        holder.kill()
        holder.wait()
        assert (cache_folder(shop) / "writer.json").exists()
        with closing(Store(shop, busy_seconds=0.05)) as store:
            insert_labels(store, "lid")
            assert count_labels(store) == 4
        assert not (cache_folder(shop) / "writer.json").exists()

    @pytest.mark.parametrize("word", ["", "[]", "{}", '{"pid": 1}', "\0"])
    def test_an_unreadable_word(self, shop: Path, word: str) -> None:
        """Whatever lies where the writer leaves its word, the lock is still reported."""
        cache_folder(shop).mkdir(exist_ok=True)
        (cache_folder(shop) / "writer.json").write_text(word)
        with closing(sqlite3.connect(shop, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with (
                closing(Store(shop, busy_seconds=0.05)) as store,
                pytest.raises(Locked, match="written by another process"),
                store.writing(),
            ):
                pass


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: shop.remove_class("cup"),
        lambda shop: shop.add("cup", photos.shots(0, 1, first=9)),
        lambda shop: shop.import_([Entry("new", Picture(photos.photo(7)))]),
        lambda shop: shop.move([shop.items("cup")[0].id], "pan"),
        lambda shop: shop.rename_class("cup", "mug"),
        lambda shop: shop.merge_classes(["cup"], "pan"),
        lambda shop: shop.undo(),
    ],
    ids=["remove_class", "add", "import", "move", "rename_class", "merge_classes", "undo"],
)
def test_a_change_that_is_committed_is_done(
    tmp_path: Path, change: Callable[[Catalog], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However soon another process takes the file for itself, a commit is not called a failure."""
    path = tmp_path / "shop.catalog"
    fill(path).close()
    commit = Store._commit
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        Catalog(Store(path, busy_seconds=0.05), FakeEmbedder()) as shop,
    ):
        (last,) = other.execute("SELECT max(id) FROM event").fetchone()

        def commit_and_lose(self: Store, tx: sqlite3.Connection) -> None:
            commit(self, tx)
            (present,) = other.execute("SELECT max(id) FROM event").fetchone()
            if present > last:
                other.execute("BEGIN EXCLUSIVE")

        monkeypatch.setattr(Store, "_commit", commit_and_lose)
        change(shop)
        assert other.in_transaction
        other.rollback()
    with Catalog.open(path, embedder=FakeEmbedder()) as shop:
        assert shop.history()[-1].id == last + 1
        assert shop.verify().problems == ()
