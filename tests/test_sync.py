"""A catalogue kept in step with a folder: the same as one that is made of it at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
import soak_page
from doubles import FakeEmbedder
from folders import Folder, Step, contents, steps, stocked, write
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog, Coming, Conflict, InvalidInput, NotFound, Synced
from catalog.manifest import pictures
from catalog.store.failpoints import armed

PLACES = ("staged", "landing", "landed", "next class", "settling", "settled")


class Killed(BaseException):
    """What ends a run where it is, as a kill would."""


def kill() -> None:
    """Be killed."""
    raise Killed


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three classes of three pictures."""
    return stocked(tmp_path / "photos")


@pytest.fixture
def shop(tmp_path: Path, tree: Path) -> Catalog:
    """A catalogue that is in step with them."""
    made = Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder())
    made.sync(tree)
    return made


def at_once(folder: Path, path: Path) -> Catalog:
    """A catalogue made of a folder at once."""
    made = Catalog.init(path, embedder=FakeEmbedder())
    made.sync(folder)
    return made


def brought(shop: Catalog, folder: Path) -> Synced:
    """Keep a catalogue in step, whatever is gone."""
    return shop.sync(folder, delete=True, force=True)


histories = st.lists(
    st.tuples(st.lists(steps, max_size=8), st.sampled_from((None, *PLACES))), max_size=5
)
"""What becomes of a folder between one run and the next, and where each run is cut short."""

History: TypeAlias = Sequence[tuple[Sequence[Step], str | None]]


@settings(max_examples=25)
@given(histories)
def test_any_history(history: History) -> None:
    """Whatever became of a folder, and wherever runs were cut short, it ends as made at once."""
    endure(history)


def test_there_and_back() -> None:
    """A picture goes to another class, and back to where a third one has been meanwhile."""
    own, other = ("jug", "a.png"), ("cup", "b.png")
    endure(
        [
            ([Step("write", own, own, 1)], None),
            ([Step("move", own, other, 1), Step("write", own, own, 1)], None),
            ([Step("move", other, own, 1)], None),
        ]
    )


@pytest.mark.soak
def test_many_histories() -> None:
    """A thousand histories more."""
    seen: Counter[str] = Counter()

    @settings(max_examples=1000)
    @given(histories)
    def many(history: History) -> None:
        endure(history)
        seen["histories"] += 1
        seen["changes of files"] += sum(len(changes) for changes, _ in history)
        seen["runs that were cut short"] += sum(cut is not None for _, cut in history)

    many()
    soak_page.record(
        "Folders kept in step with",
        "A folder changed at random (pictures were written, replaced, moved, copied, removed, "
        "spoilt, linked, taken elsewhere; clocks jumped), a catalogue was kept in step with it, "
        "and runs were cut short at a named place. In the end it was compared with one that "
        "was made of the folder at once: what is learnt, items and places.",
        {**seen, "that ended otherwise": 0},
    )


def endure(history: History) -> None:
    """Let a folder change and a catalogue follow it; in the end it is as one made at once."""
    with TemporaryDirectory() as place:
        folder = Folder(Path(place) / "photos")
        with Catalog.init(Path(place) / "shop.catalog", embedder=FakeEmbedder()) as shop:
            for changes, cut in history:
                for step in changes:
                    folder.take(step)
                cut_short(shop, folder.root, cut)
            folder.mend()
            brought(shop, folder.root)
            again = brought(shop, folder.root)
            with at_once(folder.root, Path(place) / "new.catalog") as new:
                assert shop.info().learning_state == new.info().learning_state
                assert contents(shop) == contents(new)
            assert again.command is None
            assert not [*again.new, *again.changed, *again.moved, *again.relabelled, *again.gone]
            assert shop.verify().sound


def cut_short(shop: Catalog, folder: Path, where: str | None) -> None:
    """Keep a catalogue in step, but for a kill somewhere, if that is reached."""
    with suppress(Killed), armed(where, kill) if where else nullcontext():
        brought(shop, folder)


class TestChanges:
    """What happens to files, one thing at a time."""

    def test_nothing(self, shop: Catalog, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder in which nothing has changed is not read, and the catalogue stays as it is."""
        generation = shop.info().generation

        def opened(*_: object) -> None:
            pytest.fail("a picture was read")

        monkeypatch.setattr("catalog.manifest.pictures.read_picture", opened)
        done = shop.sync(tree)
        assert (done.unchanged, done.command) == (9, None)
        assert shop.info().generation == generation

    def test_a_touched_file(
        self, shop: Catalog, tree: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is read once, and known by its new time from then on; that is nothing to undo."""
        before = shop.info().generation
        (tree / "cup" / "0.png").touch()
        read: list[object] = []
        real = pictures.read_picture
        monkeypatch.setattr(
            "catalog.manifest.pictures.read_picture", lambda one: (read.append(one), real(one))[1]
        )
        for _ in range(2):
            done = shop.sync(tree)
            assert (done.unchanged, done.command) == (9, None)
        assert len(read) == 1
        assert shop.info().generation == before
        assert [event.kind for event in shop.undo()] == ["add", "add", "add"]

    def test_moved_within_its_class(self, shop: Catalog, tree: Path) -> None:
        """Nothing is embedded; the item lies at its new place alone."""
        (tree / "cup" / "0.png").rename(tree / "cup" / "9.png")
        embedded = shop.embedder.embedded  # type: ignore[attr-defined]
        done = shop.sync(tree)
        assert done.moved == (str(tree / "cup" / "9.png"),)
        assert (done.new, done.gone) == ((), ())
        assert shop.embedder.embedded == embedded  # type: ignore[attr-defined]
        assert shop.items("cup")[0].sources == (str(tree / "cup" / "9.png"),)

    def test_moved_to_another_class(self, shop: Catalog, tree: Path) -> None:
        """The item goes there, and is the same one."""
        (tree / "cup" / "0.png").rename(tree / "jug" / "9.png")
        done = shop.sync(tree)
        assert done.relabelled == (Coming(str(tree / "jug" / "9.png"), "jug", "cup"),)
        assert [item.id for item in shop.items("jug")] == [1, 4, 5, 6]

    def test_two_that_change_places(self, shop: Catalog, tree: Path, tmp_path: Path) -> None:
        """Each goes to the class of the other."""
        one, other = tree / "cup" / "0.png", tree / "jug" / "0.png"
        one.rename(tmp_path / "x")
        other.rename(one)
        (tmp_path / "x").rename(other)
        done = shop.sync(tree)
        assert (len(done.relabelled), done.new, done.gone) == (2, (), ())
        assert shop.items("cup")[0].content != shop.items("jug")[0].content
        assert [item.id for item in shop.items("cup")] == [2, 3, 4]

    def test_replaced_in_place(self, shop: Catalog, tree: Path) -> None:
        """The new picture is an item; the old one is gone, and removed if asked for."""
        write(tree / "cup" / "0.png", 99)
        done = shop.sync(tree)
        assert (
            done.changed == tuple(one.place for one in done.new) == (str(tree / "cup" / "0.png"),)
        )
        assert [one.item for one in done.gone] == [1]
        assert done.gone[0].replaced
        assert len(shop) == 10
        again = shop.sync(tree, delete=True)
        assert (again.removed, len(shop)) == (1, 9)

    def test_gone(self, shop: Catalog, tree: Path) -> None:
        """What is gone is listed each time, and removed only if asked for; a class goes with it."""
        for file in (tree / "pan").iterdir():
            file.unlink()
        for _ in range(2):
            assert [one.label for one in shop.sync(tree).gone] == ["pan"] * 3
        done = shop.sync(tree, delete=True, most_gone=0.5)
        assert (done.removed, done.emptied) == (3, ("pan",))
        assert not shop.sync(tree).gone

    def test_gone_and_back(self, shop: Catalog, tree: Path) -> None:
        """A picture that was removed since it was gone comes back when its file does."""
        (tree / "cup" / "0.png").rename(tree.parent / "aside")
        shop.sync(tree, delete=True)
        (tree.parent / "aside").rename(tree / "cup" / "0.png")
        assert [one.place for one in shop.sync(tree).new] == [str(tree / "cup" / "0.png")]
        assert len(shop) == 9

    def test_in_two_classes_at_once(self, shop: Catalog, tree: Path) -> None:
        """A copy under another class is refused, with the place that it is a copy of."""
        copy = tree / "pan" / "copy.png"
        copy.write_bytes((tree / "cup" / "0.png").read_bytes())
        for _ in range(2):
            (refused,) = shop.sync(tree).refused
            assert (refused.place, refused.reason) == (str(copy), "conflict")
            assert str(tree / "cup" / "0.png") in refused.detail
        assert len(shop) == 9

    def test_what_cannot_be_read_stays(self, shop: Catalog, tree: Path) -> None:
        """A file that is no picture any more is refused; what was learnt of it is not removed."""
        (tree / "cup" / "0.png").write_bytes(b"half a picture")
        done = shop.sync(tree, delete=True)
        assert [one.place for one in done.refused] == [str(tree / "cup" / "0.png")]
        assert (done.gone, len(shop)) == ((), 9)

    def test_undo(self, shop: Catalog, tree: Path) -> None:
        """A run is one command, with all that it added, moved and removed."""
        before = contents(shop)
        state = shop.info().learning_state
        (tree / "cup" / "0.png").rename(tree / "jug" / "9.png")
        (tree / "cup" / "1.png").unlink()
        (tree / "cup" / "2.png").rename(tree / "cup" / "8.png")
        write(tree / "fork" / "0.png", 99)
        shop.sync(tree, delete=True)
        shop.undo()
        assert shop.info().learning_state == state
        assert contents(shop) == before
        assert shop.sync(tree, delete=True).removed == 1

    def test_from_elsewhere_too(self, shop: Catalog, tree: Path, tmp_path: Path) -> None:
        """A picture that was added from elsewhere, too, is neither gone nor moved."""
        write(tmp_path / "own.png", 0)
        shop.add("cup", [tmp_path / "own.png"])
        (tree / "cup" / "0.png").rename(tree / "pan" / "9.png")
        done = shop.sync(tree, delete=True)
        assert [one.reason for one in done.refused] == ["conflict"]
        (tree / "pan" / "9.png").unlink()
        assert shop.sync(tree, delete=True).removed == 0
        assert shop.items("cup")[0].sources == (str(tmp_path / "own.png"),)

    def test_replaced_and_put_back(self, shop: Catalog, tree: Path) -> None:
        """A picture that was removed since another took its file is new again when it is back."""
        file = tree / "cup" / "0.png"
        first = file.read_bytes()
        for seed in (97, 98):
            write(file, seed)
            shop.sync(tree, delete=True)
            file.write_bytes(first)
            shop.sync(tree, delete=True)
            assert len(shop) == 9
            assert shop.sync(tree).by_hand == ()


class TestMeanwhile:
    """Another process writes between the look at the folder and what comes of it."""

    def test_found_elsewhere(self, shop: Catalog, tree: Path, tmp_path: Path) -> None:
        """A picture that another folder has by now is not removed."""
        other = tmp_path / "other" / "cup"
        other.mkdir(parents=True)
        (tree / "cup" / "0.png").rename(other / "0.png")
        write(tree / "cup" / "9.png", 99)

        def elsewhere() -> None:
            with Catalog.open(shop.path, embedder=FakeEmbedder()) as another:
                another.sync(other.parent)

        with armed("landed", elsewhere):
            assert shop.sync(tree, delete=True).removed == 0
        assert shop.items("cup")[0].sources == (
            str(other / "0.png"),
            str(tree / "cup" / "0.png"),
        )
        assert shop.sync(tree, delete=True).removed == 0

    def test_moved_by_hand(self, shop: Catalog, tree: Path) -> None:
        """A picture that someone moved stays where it was moved to."""
        write(tree / "cup" / "9.png", 99)
        (tree / "cup" / "0.png").rename(tree / "pan" / "9.png")

        def move() -> None:
            with Catalog.open(shop.path, embedder=FakeEmbedder()) as another:
                another.move([1], "jug")

        with armed("next class", move):
            done = shop.sync(tree)
        assert [one.place for one in done.refused] == [str(tree / "pan" / "9.png")]
        assert "meanwhile" in done.refused[0].detail
        assert 1 in [item.id for item in shop.items("jug")]


class TestByHand:
    """What someone told the catalogue stays, for as long as the folder says nothing new."""

    def test_moved(self, shop: Catalog, tree: Path) -> None:
        """An item that was moved stays where it was moved to, also if its file is renamed."""
        shop.move([1], "jug")
        done = shop.sync(tree)
        assert [(one.said, one.label) for one in done.by_hand] == [("cup", "jug")]
        (tree / "cup" / "0.png").rename(tree / "cup" / "9.png")
        shop.sync(tree)
        assert [item.id for item in shop.items("jug")] == [1, 4, 5, 6]
        assert shop.items("jug")[0].sources == (str(tree / "cup" / "9.png"),)

    def test_until_the_folder_says_another_thing(self, shop: Catalog, tree: Path) -> None:
        """Then the folder counts."""
        shop.move([1], "jug")
        (tree / "cup" / "0.png").rename(tree / "pan" / "9.png")
        assert len(shop.sync(tree).relabelled) == 1
        assert [item.id for item in shop.items("pan")] == [1, 7, 8, 9]

    def test_removed(self, shop: Catalog, tree: Path) -> None:
        """An item that was removed does not come back."""
        shop.remove([1])
        done = shop.sync(tree)
        assert [(one.said, one.label) for one in done.by_hand] == [("cup", None)]
        assert len(shop) == 8

    def test_renamed(self, shop: Catalog, tree: Path) -> None:
        """New pictures of a class that was renamed, or merged into another, go there."""
        shop.rename_class("cup", "Mug")
        shop.merge_classes(["pan"], "jug")
        write(tree / "cup" / "9.png", 97)
        write(tree / "pan" / "9.png", 98)
        done = shop.sync(tree)
        assert dict(done.renamed) == {"cup": "Mug", "pan": "jug"}
        assert {row.label: row.items for row in shop.labels()} == {"Mug": 4, "jug": 7}
        assert not done.by_hand


class TestWhatIsNotKnown:
    """Nothing is removed of which it is not known that it is gone."""

    def test_too_much_is_gone(self, shop: Catalog, tree: Path) -> None:
        """As where a disk is not mounted: nothing is changed, unless forced."""
        for file in tree.rglob("*.png"):
            file.unlink()
        write(tree / "cup" / "new.png", 99)
        with pytest.raises(Conflict, match=r"9 of the 9 items .* a disk not mounted"):
            shop.sync(tree, delete=True)
        assert len(shop) == 9
        assert shop.jobs()[-1].state == "failed"
        assert shop.sync(tree, delete=True, force=True).removed == 9

    def test_an_empty_folder(self, shop: Catalog, tree: Path) -> None:
        """It is one in which everything is gone."""
        for file in tree.rglob("*.png"):
            file.unlink()
        assert len(shop.sync(tree).gone) == 9
        with pytest.raises(Conflict):
            shop.sync(tree, delete=True)

    def test_a_disk_that_is_away(self, shop: Catalog, tree: Path, tmp_path: Path) -> None:
        """A folder, or a file without an ending, that is linked from there is not gone."""
        write(tmp_path / "disk" / "mug" / "0.png", 90)
        write(tmp_path / "disk" / "1", 91)
        (tree / "mug").symlink_to(tmp_path / "disk" / "mug")
        (tree / "cup" / "1").symlink_to(tmp_path / "disk" / "1")
        assert len(shop.sync(tree).new) == 2
        (tmp_path / "disk").rename(tmp_path / "away")
        done = shop.sync(tree, delete=True)
        assert sorted(done.unread) == [tree / "cup" / "1", tree / "mug"]
        assert [one.place for one in done.failures] == [str(path) for path in done.unread]
        assert (done.gone, len(shop)) == ((), 11)
        assert len(shop.job_failures(done.job or 0)) == 2

    def test_a_link_to_a_hidden_file(self, shop: Catalog, tree: Path) -> None:
        """It is a picture by the name of the link."""
        (tree / "cup" / "0.png").rename(tree / "cup" / ".0.png")
        (tree / "cup" / "0.png").symlink_to(tree / "cup" / ".0.png")
        assert shop.sync(tree, delete=True).unchanged == 9

    def test_no_folder(self, shop: Catalog, tree: Path) -> None:
        """It is said to be none."""
        tree.rename(tree.parent / "aside")
        with pytest.raises(NotFound):
            shop.sync(tree, delete=True, force=True)

    def test_rows_that_cannot_be_used(self, tmp_path: Path, tree: Path) -> None:
        """One of them may be of a picture that seems to be gone."""
        rows = [f"{file},{file.parent.name}" for file in sorted(tree.rglob("*.png"))]
        listed = tmp_path / "list.csv"
        listed.write_text("\n".join(["path,label", *rows]))
        with Catalog.init(tmp_path / "listed.catalog", embedder=FakeEmbedder()) as shop:
            shop.sync(listed)
            listed.write_text("\n".join(["path,label", *rows[1:], "nothing"]))
            done = shop.sync(listed, delete=True)
            assert (len(done.gone), done.removed, len(done.bad_rows)) == (1, 0, 1)
            listed.write_text("\n".join(["path,label", *rows[1:]]))
            assert shop.sync(listed, delete=True).removed == 1

    def test_sense(self, shop: Catalog, tree: Path) -> None:
        """What cannot be kept in step with, and a share that is none, are refused."""
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            shop.sync(tree, most_gone=25)
        with pytest.raises(InvalidInput, match="grouped by folder"):
            shop.sync(tree, group_by="colour")


class TestTrial:
    """What would be done is told, and nothing done."""

    def test_tells_what_comes(self, shop: Catalog, tree: Path) -> None:
        """A trial and the run after it say the same, but for what only the run can know."""
        (tree / "cup" / "0.png").rename(tree / "jug" / "9.png")
        (tree / "cup" / "1.png").unlink()
        write(tree / "fork" / "0.png", 99)
        before = shop.path.read_bytes()
        tried = shop.sync(tree, delete=True, dry_run=True)
        assert shop.path.read_bytes() == before
        done = shop.sync(tree, delete=True)
        for name in ("new", "changed", "moved", "relabelled", "unchanged", "gone", "by_hand"):
            assert getattr(tried, name) == getattr(done, name)
        assert (tried.dry_run, tried.command, tried.job) == (True, None, None)
