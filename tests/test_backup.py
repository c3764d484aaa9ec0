"""Backups of a catalogue that is in use, and the way back from them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import photos
import pytest
from cups_and_jugs import THINGS, counts, fill, reopen
from doubles import FakeEmbedder

from catalog import Catalog, Entry, Picture
from catalog.descriptors import CatalogError, Conflict, Damaged, InvalidInput, Locked, NotFound
from catalog.index import items
from catalog.store import copying
from catalog.store.failpoints import armed
from catalog.store.files import cache_folder


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Cups, jugs and pans."""
    with fill(tmp_path / "shop.catalog") as made:
        yield made


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where a backup goes."""
    return tmp_path / "backups" / "monday.catalog"


def damage(path: Path) -> None:
    """Change a stored descriptor behind the catalogue's back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE descriptor SET value = zeroblob(length(value)) WHERE id = 2")
        connection.commit()


class TestBackup:
    """A backup is of one state, is checked, and appears whole or not at all."""

    def test_it_is_the_catalogue(self, catalog: Catalog, copy: Path) -> None:
        """A backup says what the catalogue said, and goes its own way afterwards."""
        copy.parent.mkdir()
        made = catalog.backup(copy)
        assert (made.path, made.items) == (copy, 9)
        assert (made.generation, made.bytes) == (3, copy.stat().st_size)
        catalog.remove_class("cup")
        with reopen(copy) as second:
            assert counts(second) == dict.fromkeys(THINGS, 3)
            assert second.predict(photos.photo(0, 9)).label == "cup"
            second.remove_class("pan")
            second.undo()
        assert counts(catalog) == {"jug": 3, "pan": 3}
        assert [file.name for file in copy.parent.iterdir() if file.is_file()] == [copy.name]

    def test_while_another_process_writes(self, catalog: Catalog, copy: Path) -> None:
        """Backups made beside a writer each hold whole classes and are sound."""
        copy.parent.mkdir()
        done = threading.Event()

        def write() -> None:
            with reopen(catalog.path) as second:
                for thing in range(3, 15):
                    second.add_class(f"thing {thing}", photos.shots(thing, 3))
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        seen = []
        while not done.is_set() or not seen:
            made = catalog.backup(copy, replace=True)
            with reopen(copy) as second:
                assert second.verify().sound
                assert set(counts(second).values()) == {3}
                assert second.info().generation == made.generation
            seen.append(made.generation)
        writer.join()
        assert seen == sorted(seen)
        assert catalog.backup(copy, replace=True).generation == 15

    def test_what_is_there_stays(self, catalog: Catalog, tmp_path: Path) -> None:
        """Neither another file nor an older backup is overwritten unasked."""
        older, letter = tmp_path / "older.catalog", tmp_path / "letter.txt"
        letter.write_text("Dear Sir or Madam")
        catalog.backup(older)
        before = older.read_bytes()
        for taken in (older, letter):
            with pytest.raises(Conflict, match="exists already"):
                catalog.backup(taken)
        with pytest.raises(Conflict, match="is a folder; name the file"):
            catalog.backup(tmp_path, replace=True)
        with pytest.raises(InvalidInput, match="not a catalogue"):
            catalog.backup(letter, replace=True)
        with pytest.raises(Conflict, match="is the catalogue itself"):
            catalog.backup(catalog.path, replace=True)
        with pytest.raises(NotFound, match="no folder"):
            catalog.backup(tmp_path / "nowhere" / "a.catalog")
        assert (older.read_bytes(), letter.read_text()) == (before, "Dear Sir or Madam")

    def test_a_damaged_catalogue(self, catalog: Catalog, tmp_path: Path) -> None:
        """A damaged catalogue is no backup, and does not replace a sound one."""
        copy = tmp_path / "copy.catalog"
        catalog.backup(copy)
        before = copy.read_bytes()
        damage(catalog.path)
        with pytest.raises(Damaged, match=r"shop.catalog is not sound.*checksum"):
            catalog.backup(copy, replace=True)
        assert copy.read_bytes() == before

    def test_a_writer_that_does_not_end(
        self, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A backup waits for a writer, but not for ever, and leaves nothing behind."""
        monkeypatch.setattr(copying, "BUSY_SECONDS", 0.3)
        with closing(sqlite3.connect(catalog.path, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Locked, match="in use by another process"):
                catalog.backup(tmp_path / "copy.catalog")
            writer.rollback()
        assert not list(tmp_path.glob("*copy*"))
        assert not list(tmp_path.glob(".*copy*"))


class TestRestore:
    """A catalogue goes back to what a backup holds, in one step."""

    def test_all_is_as_it_was(self, catalog: Catalog, copy: Path) -> None:
        """Whoever has the catalogue open goes on with what was restored, and can add to it."""
        copy.parent.mkdir()
        before = (catalog.labels(), catalog.items(), catalog.info().learning_state)
        catalog.backup(copy)
        with reopen(catalog.path) as second:
            second.remove_class("cup")
            second.add_class("urn", photos.shots(7, 3))
            assert second.predict(photos.photo(7, 9)).label == "urn"
            restored = Catalog.restore(copy, catalog.path)
            assert (restored.items, restored.generation) == (9, 3)
            assert second.predict(photos.photo(0, 9)).label == "cup"
            assert {near.label for near in second.nearest(photos.photo(7, 9), 9)} == set(THINGS)
            after = (second.labels(), second.items(), second.info().learning_state)
            assert after == before
            second.add_class("urn", photos.shots(7, 2))
        assert counts(catalog)["urn"] == 2
        assert catalog.verify().sound

    def test_where_there_is_none(self, catalog: Catalog, tmp_path: Path) -> None:
        """A backup becomes a catalogue under a new name, also of a file of the first format."""
        copy, anew = tmp_path / "copy.catalog", tmp_path / "anew.catalog"
        catalog.backup(copy)
        copy.chmod(0o444)
        before = copy.read_bytes()
        Catalog.restore(copy, anew)
        assert copy.read_bytes() == before
        with reopen(anew) as second:
            assert counts(second) == dict.fromkeys(THINGS, 3)
        with pytest.raises(NotFound, match="no folder"):
            Catalog.restore(copy, tmp_path / "nowhere" / "a.catalog")

    @pytest.mark.parametrize("harm", ["a descriptor", "the head of the file", "all of it"])
    def test_a_damaged_catalogue(self, catalog: Catalog, tmp_path: Path, harm: str) -> None:
        """However damaged the catalogue is, its backup brings it back."""
        copy = tmp_path / "copy.catalog"
        catalog.backup(copy)
        catalog.close()
        if harm == "a descriptor":
            damage(catalog.path)
        else:
            size = 60 if harm == "the head of the file" else catalog.path.stat().st_size - 100
            data = bytearray(catalog.path.read_bytes())
            data[100 : 100 + size] = bytes(size)
            catalog.path.write_bytes(data)
        Catalog.restore(copy, catalog.path)
        with reopen(catalog.path) as second:
            assert counts(second) == dict.fromkeys(THINGS, 3)
            assert second.verify().sound

    def test_a_damaged_backup(self, catalog: Catalog, tmp_path: Path) -> None:
        """A backup that is not sound replaces nothing."""
        copy, letter = tmp_path / "copy.catalog", tmp_path / "letter.txt"
        catalog.backup(copy)
        damage(copy)
        letter.write_text("Dear Sir or Madam")
        before = catalog.path.read_bytes()
        with pytest.raises(Damaged, match=r"copy.catalog is not sound.*checksum"):
            Catalog.restore(copy, catalog.path)
        with pytest.raises(InvalidInput, match=r"letter\.txt is not a catalogue"):
            Catalog.restore(letter, catalog.path)
        with pytest.raises(NotFound, match="no backup"):
            Catalog.restore(tmp_path / "none.catalog", catalog.path)
        with pytest.raises(Conflict, match="is the backup itself"):
            Catalog.restore(catalog.path, catalog.path)
        assert catalog.path.read_bytes() == before

    def test_what_is_no_catalogue_of_its_own(self, catalog: Catalog, tmp_path: Path) -> None:
        """Neither another catalogue nor another file is overwritten."""
        copy, letter = tmp_path / "copy.catalog", tmp_path / "letter.txt"
        catalog.backup(copy)
        letter.write_text("Dear Sir or Madam")
        with fill(tmp_path / "other.catalog") as other:
            with pytest.raises(Conflict, match="backup of another catalogue"):
                Catalog.restore(copy, other.path)
            assert counts(other) == dict.fromkeys(THINGS, 3)
        with pytest.raises(InvalidInput, match=r"letter\.txt is not a catalogue"):
            Catalog.restore(copy, letter)
        assert letter.read_text() == "Dear Sir or Madam"

    def test_while_another_process_writes(
        self, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It waits for a writer, but not for ever; then nothing was replaced."""
        copy = tmp_path / "copy.catalog"
        catalog.backup(copy)
        catalog.remove_class("cup")
        monkeypatch.setattr(copying, "BUSY_SECONDS", 0.3)
        with closing(sqlite3.connect(catalog.path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(Locked, match="in use by another process"):
                Catalog.restore(copy, catalog.path)
            writer.rollback()
        assert counts(catalog) == {"jug": 3, "pan": 3}
        Catalog.restore(copy, catalog.path)
        assert counts(catalog) == dict.fromkeys(THINGS, 3)

    def test_what_was_forgotten_since_stays_forgotten_in_the_cache(
        self, catalog: Catalog, tmp_path: Path
    ) -> None:
        """Derived files of a state that is no more are not believed."""
        copy = tmp_path / "copy.catalog"
        catalog.backup(copy)
        catalog.add_class("urn", photos.shots(7, 3))
        catalog.predict(photos.photo(7, 9))
        catalog.close()
        assert list(cache_folder(catalog.path).glob("metric"))
        Catalog.restore(copy, catalog.path)
        with reopen(catalog.path) as second:
            assert second.predict(photos.photo(7, 9)).label != "urn"


def test_a_folder_that_cannot_be_written(catalog: Catalog, tmp_path: Path) -> None:
    """A copy that cannot be made is a plain error that names the file."""
    folder = tmp_path / "folder"
    folder.mkdir()
    long = folder / ("n" * 240)
    with pytest.raises(CatalogError, match="cannot copy to"):
        catalog.backup(long)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("end", ["-journal", "-wal"])
def test_a_journal_of_a_catalogue_that_is_gone(catalog: Catalog, tmp_path: Path, end: str) -> None:
    """SQLite would roll it into the new file, so it has to go first."""
    copy, gone = tmp_path / "copy.catalog", tmp_path / "gone.catalog"
    catalog.backup(copy)
    stale = gone.with_name(gone.name + end)
    stale.write_bytes(bytes(512))
    for attempt in (
        lambda: Catalog.restore(copy, gone),
        lambda: catalog.backup(gone),
        lambda: Catalog.init(gone, embedder=FakeEmbedder()),
    ):
        with pytest.raises(Conflict, match="left of a catalogue that is gone"):
            attempt()
    assert stale.exists()
    assert not gone.exists()


def test_a_backup_that_is_in_use(catalog: Catalog, tmp_path: Path) -> None:
    """Whoever has an older backup open sees the newer one; another catalogue is not replaced."""
    copy = tmp_path / "copy.catalog"
    catalog.backup(copy)
    catalog.add_class("urn", photos.shots(7, 2))
    with reopen(copy) as second:
        catalog.backup(copy, replace=True)
        assert counts(second) == {**dict.fromkeys(THINGS, 3), "urn": 2}
    with fill(tmp_path / "other.catalog") as other:
        with pytest.raises(Conflict, match="backup of another catalogue"):
            catalog.backup(other.path, replace=True)
        other.remove([1])
        with pytest.raises(Conflict, match="is a catalogue"):
            catalog.export(other.path, format="npz", replace=True)
        assert other.verify().sound


def test_a_file_without_its_head(catalog: Catalog, tmp_path: Path) -> None:
    """A catalogue that does not even look like one is restored, if its cache folder is there."""
    copy = tmp_path / "copy.catalog"
    catalog.backup(copy)
    catalog.predict(photos.photo(0, 9))
    catalog.close()
    catalog.path.write_bytes(b"")
    Catalog.restore(copy, catalog.path)
    with reopen(catalog.path) as second:
        assert counts(second) == dict.fromkeys(THINGS, 3)


def test_an_import_across_a_restore(catalog: Catalog, tmp_path: Path) -> None:
    """An import that finds its beginning undone by a restore says so, and the file stays sound."""
    copy = tmp_path / "copy.catalog"
    catalog.backup(copy)
    catalog.rename_class("cup", "mug")
    entries = [Entry(f"thing {thing}", Picture(photos.photo(thing))) for thing in range(5, 8)]
    times = iter("x")

    def restore_once() -> None:
        if next(times, None):
            Catalog.restore(copy, catalog.path)

    with armed("next class", restore_once), pytest.raises(Conflict, match="run it again"):
        catalog.import_(entries)
    assert catalog.verify().sound
    catalog.import_(entries)
    catalog.undo()
    assert counts(catalog) == dict.fromkeys(THINGS, 3)


def test_names_that_are_too_long(catalog: Catalog, tmp_path: Path) -> None:
    """A path that no file can have is a plain error, whichever argument it is."""
    long = tmp_path / ("n" * 300)
    for attempt in (
        lambda: catalog.backup(long),
        lambda: Catalog.restore(long, catalog.path),
        lambda: Catalog.restore(catalog.path, long),
        lambda: catalog.merge(long),
        lambda: catalog.export(long, format="npz"),
    ):
        with pytest.raises(CatalogError):
            attempt()


def test_back_to_where_an_epoch_began(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was added under the metric of the state that is restored is gone from the index, too."""
    monkeypatch.setattr(items, "RENEW_ROWS", 0)
    monkeypatch.setattr(items, "RENEW_SHARE", 2.0)
    copy = tmp_path / "copy.catalog"
    before = catalog.predict(photos.photo(0, 9))
    catalog.backup(copy)
    catalog.add_class("urn", photos.shots(7, 3))
    catalog.nearest(photos.photo(7, 9))
    Catalog.restore(copy, catalog.path)
    assert catalog.audit().kept == 0
    assert catalog.predict(photos.photo(0, 9)) == before
