"""What a catalogue promises in corners that random histories do not reach."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import malformed
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from inside import connection_of

from catalog import Catalog, Entry, Picture, read_manifest
from catalog.descriptors import Damaged, InvalidInput, NotFound, Sums
from catalog.learning.keeper import Keeper
from catalog.store.files import cache_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue lies."""
    return tmp_path / "shop.catalog"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    """A catalogue of a cup and a jug, three items each."""
    with Catalog.init(path, embedder=FakeEmbedder()) as made:
        made.add_class("cup", photos.shots(0, 3))
        made.add_class("jug", photos.shots(1, 3))
        yield made


def other(path: Path) -> Catalog:
    """The same catalogue, as another process would open it."""
    return Catalog.open(path, embedder=FakeEmbedder())


def counts(catalog: Catalog) -> dict[str, int]:
    """How many items each class has."""
    return {row.label: row.items for row in catalog.labels()}


class TestUndo:
    """Undo goes back step by step, whoever took the steps."""

    def test_a_command_in_the_middle_of_another(
        self, catalog: Catalog, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A removal between two classes of an import is undone in its turn, and all the rest."""
        before = counts(catalog)
        embed = FakeEmbedder.embed

        def remove_first(self: FakeEmbedder, picture: object) -> object:
            if len(catalog.labels()) == 3:
                monkeypatch.setattr(FakeEmbedder, "embed", embed)
                with other(path) as second:
                    second.remove([1])
            return embed(self, picture)  # type: ignore[arg-type]

        monkeypatch.setattr(FakeEmbedder, "embed", remove_first)
        monkeypatch.setattr("catalog.changes.staging._BATCH_PICTURES", 2)
        catalog.import_(
            [
                Entry(name, Picture(shot))
                for at, name in enumerate(("tea", "urn"))
                for shot in photos.shots(2 + at, 2)
            ]
        )
        assert counts(catalog) == {"cup": 2, "jug": 3, "tea": 2, "urn": 2}
        steps = []
        for _ in range(3):
            catalog.undo()
            steps.append(counts(catalog))
        assert steps == [
            {"cup": 2, "jug": 3, "tea": 2},
            {"cup": 3, "jug": 3, "tea": 2},
            before,
        ]
        assert catalog.verify().sound

    def test_places_come_and_go_with_their_pictures(self, catalog: Catalog, tmp_path: Path) -> None:
        """A picture that was removed and found elsewhere is shown there alone, until undone."""
        first, second = tmp_path / "a.jpg", tmp_path / "b.jpg"
        for file in (first, second):
            file.write_bytes(photos.photo(5))
        catalog.add("cup", [first])
        item = catalog.items("cup")[-1].id
        catalog.remove([item])
        catalog.add("cup", [second])
        assert catalog.items("cup")[-1].sources == (str(second),)
        catalog.add("cup", [first])
        assert catalog.items("cup")[-1].sources == (str(first), str(second))
        for _ in range(3):
            catalog.undo()
        assert catalog.items("cup")[-1].sources == (str(first),)
        catalog.remove([item])
        catalog.add("cup", [first])
        assert catalog.items("cup")[-1].sources == (str(first),)


class TestOneAnswer:
    """Equal states give equal answers, in evaluations too."""

    def test_ties_do_not_depend_on_history(self, tmp_path: Path) -> None:
        """The same pixels in two classes are told apart alike, whichever class came first."""
        pixels = photos.scene(0)
        twins = {"one": malformed.encode(".png", pixels), "two": malformed.encode(".bmp", pixels)}
        asked = [Entry("one", Picture(pixels)), Entry("two", Picture(pixels))]
        found = []
        for name, order in (("a", ("one", "two")), ("b", ("two", "one"))):
            with Catalog.init(tmp_path / f"{name}.catalog", embedder=FakeEmbedder()) as made:
                for label in order:
                    made.add_class(label, [twins[label], *photos.shots(3 + len(label), 2)][:1])
                result = made.evaluate(asked)
                found.append((made.info().learning_state, result.centroid, result.neighbours))
        assert found[0] == found[1]
        assert found[0][1].top1 == 0.5


class TestInterrupted:
    """What is cut short leaves nothing half done."""

    def test_catching_up(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sums that an interrupt left half caught up are not used again."""
        catalog.info()
        catalog.remove([1])
        catalog.add("cup", photos.shots(0, 2, first=7))
        add = Sums.add
        monkeypatch.setattr(Sums, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            catalog.info()
        monkeypatch.setattr(Sums, "add", add)
        state = catalog.info().learning_state
        with other(catalog.path) as fresh:
            assert fresh.info().learning_state == state
            assert fresh.verify().derived == ()

    def test_closing_a_locked_catalogue(self, catalog: Catalog, path: Path) -> None:
        """Keeping what was learnt is no reason to fail at the end of work that succeeded."""
        catalog.info()
        catalog.add("cup", photos.shots(0, 2, first=7))
        catalog.info()
        connection_of(catalog).execute("PRAGMA busy_timeout = 50")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        catalog.close()
        holder.close()


class TestMisuse:
    """A mistake of the caller is called one."""

    @pytest.mark.parametrize("pictures", ["a.jpg", b"bytes", Path("a.jpg"), photos.scene(0)])
    def test_one_picture_is_no_list(self, catalog: Catalog, pictures: object) -> None:
        """A lone path, text or array is not taken for a list of its parts."""
        with pytest.raises(InvalidInput, match="list"):
            catalog.add("cup", pictures)  # type: ignore[arg-type]

    def test_after_closing(self, catalog: Catalog) -> None:
        """Use after closing, by whatever thread, is not taken for damage."""
        catalog.close()
        for call in (catalog.labels, catalog.info, catalog.undo, catalog.audit):
            with pytest.raises(InvalidInput, match="closed"):
                call()
        with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInput, match="closed"):
            pool.submit(catalog.nearest, photos.photo(0)).result()

    def test_a_class_removed_while_pictures_are_embedded(
        self, catalog: Catalog, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Adding to a class that goes meanwhile does not bring it back."""
        embed = FakeEmbedder.embed

        def remove_first(self: FakeEmbedder, picture: object) -> object:
            monkeypatch.setattr(FakeEmbedder, "embed", embed)
            with other(path) as second:
                second.remove_class("cup")
            return embed(self, picture)  # type: ignore[arg-type]

        monkeypatch.setattr(FakeEmbedder, "embed", remove_first)
        with pytest.raises(NotFound):
            catalog.add("cup", photos.shots(0, 2, first=7))
        assert counts(catalog) == {"jug": 3}

    def test_the_callers_embedder_stays_open(self, path: Path) -> None:
        """An embedder that was handed in is left to who handed it in."""
        closed = []
        embedder = FakeEmbedder()
        embedder.close = lambda: closed.append(True)  # type: ignore[method-assign]
        Catalog.init(path, embedder=embedder).close()
        Catalog.open(path, embedder=embedder).close()
        assert closed == []


class TestFile:
    """The file stays what the format says."""

    def test_a_write_ahead_log_is_not_kept(self, catalog: Catalog, path: Path) -> None:
        """A file that another tool put into WAL mode is brought back to the rollback journal."""
        catalog.close()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        connection.close()
        with other(path) as opened:
            assert counts(opened) == {"cup": 3, "jug": 3}
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        connection.close()

    def test_a_lost_descriptor_is_damage(self, catalog: Catalog, path: Path) -> None:
        """An item without its descriptor is reported by verify, and breaks no other command."""
        catalog.info()
        catalog.close()
        connection = sqlite3.connect(path)
        connection.execute("DELETE FROM descriptor WHERE item = 2")
        connection.commit()
        connection.close()
        with other(path) as opened:
            found = opened.verify()
            assert not found.sound
            assert "1 items without a descriptor" in found.problems
            opened.remove([2])
            assert counts(opened) == {"cup": 2, "jug": 3}
            assert opened.predict(photos.photo(1)).label == "jug"

    def test_a_short_descriptor_is_damage(self, catalog: Catalog, path: Path) -> None:
        """A descriptor that lost bytes is called damage, not a mistake of the caller."""
        catalog.close()
        connection = sqlite3.connect(path)
        connection.execute("UPDATE descriptor SET value = x'0102' WHERE item = 2")
        connection.commit()
        connection.close()
        with other(path) as opened, pytest.raises(Damaged):
            opened.nearest(photos.photo(0))


class TestFolders:
    """Trees with links in them, and folders that cannot be read."""

    def test_links_are_followed_once(self, catalog: Catalog, tmp_path: Path) -> None:
        """A linked class folder is read, and a link in a circle ends."""
        photos.draw_tree(tmp_path / "tree", ["mug"], 2)
        photos.draw(tmp_path / "elsewhere" / "pot", 6, 2)
        (tmp_path / "tree" / "pot").symlink_to(tmp_path / "elsewhere" / "pot")
        (tmp_path / "tree" / "mug" / "circle").symlink_to(tmp_path / "tree")
        labels = [entry.label for entry in read_manifest(tmp_path / "tree").entries]
        assert labels == ["mug", "mug", "pot", "pot"]

    def test_names_too_long_are_not_there(self, catalog: Catalog, tmp_path: Path) -> None:
        """A name that no file can have is not found, in every place that takes one."""
        name = str(tmp_path / ("x" * 300))
        with pytest.raises(NotFound):
            Catalog.open(name)
        with pytest.raises(InvalidInput):
            read_manifest(name)
        assert catalog.add("cup", [name]).refused[0].reason == "unreadable"

    def test_spellings_of_one_name_are_one_class(self, catalog: Catalog) -> None:
        """Spaces at the end, and accents written in two ways, do not split a class."""
        names = ("Café", "Cafe\u0301 ", " Café")
        done = catalog.import_(
            [Entry(name, Picture(photos.photo(8, at))) for at, name in enumerate(names)]
        )
        assert [(added.label, added.added) for added in done.classes] == [("Café", 3)]


def test_every_class_has_its_nearest_item(catalog: Catalog) -> None:
    """As many classes are named by their nearest items as by their means, if there are as many."""
    for thing in range(2, 7):
        catalog.add_class(f"thing {thing}", photos.shots(thing, 2))
    catalog.add("cup", photos.shots(0, 120, first=20))
    found = catalog.predict(photos.photo(0), top=6)
    assert len(found.neighbours) == len(found.centroid) == 6


def test_moving_the_last_picture_says_so(catalog: Catalog) -> None:
    """A class that a move leaves without items is named."""
    assert catalog.add("jug", photos.shots(0, 3), move=True).emptied == ("cup",)
    assert counts(catalog) == {"jug": 6}


def test_a_missing_cache_folder_is_no_loss(catalog: Catalog, path: Path) -> None:
    """Where nothing derived can be kept, everything still works."""
    catalog.close()
    folder = cache_folder(path)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    with other(path) as opened:
        opened.add("cup", photos.shots(0, 1, first=9))
        assert opened.predict(photos.photo(1)).label == "jug"
        assert isinstance(opened._keeper, Keeper)
        np.testing.assert_equal(counts(opened), {"cup": 4, "jug": 3})
