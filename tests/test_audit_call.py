"""What a catalogue says of itself: previews of a class, photos kept as unknown, and its audit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import photos
import pytest
from doubles import FakeEmbedder
from malformed import encode
from sure_shop import CLASSES, PLACES, learn, seen

from catalog import Catalog, NotFound, PictureError, Prediction, Share
from catalog.descriptors import InvalidInput, LabelConflict

InProcess = Callable[..., tuple[int, str, str]]


def write(folder: Path, thing: int, places: range) -> list[Path]:
    """Write photos of a thing into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{thing}-{place}.png" for place in places]
    for file, place in zip(files, places, strict=True):
        file.write_bytes(encode(".png", seen(thing, place)))
    return files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue lies."""
    return tmp_path / "shop.catalog"


@pytest.fixture
def empty(path: Path) -> Iterator[Catalog]:
    """A catalogue of nothing."""
    with Catalog.init(path, embedder=FakeEmbedder()) as made:
        yield made


@pytest.fixture
def sure(empty: Catalog) -> Catalog:
    """A catalogue that knows how sure it is."""
    return learn(empty)


def verdicts(catalog: Catalog, pictures: list[Path], *, keep: bool = True) -> set[str]:
    """What the catalogue makes of some photos, which it keeps if it does not know them."""
    found = catalog.predict_many(pictures, keep_unknown=keep)
    return {one.verdict for one in found if isinstance(one, Prediction)}


class TestPreview:
    """What a class would do, before it is made."""

    def test_nothing_changes(self, empty: Catalog) -> None:
        """A preview leaves everything as it was, and what it embedded is not embedded again."""
        empty.add_class("cup", photos.shots(0, 3))
        empty.add_class("jug", photos.shots(1, 3))
        before, embedder = empty.info(), empty.embedder
        said = empty.predict(photos.photo(1, 9))
        found = empty.preview_class(" pan ", photos.shots(2, 3))
        after = empty.info()
        assert (found.label, found.pictures, found.refused) == ("pan", 3, ())
        assert (after.generation, after.learning_state) == (
            before.generation,
            before.learning_state,
        )
        assert (after.classes, after.items, after.staged) == (2, 6, before.staged + 3)
        assert empty.predict(photos.photo(1, 9)) == said
        assert isinstance(embedder, FakeEmbedder)
        embedder.embedded = 0
        assert empty.add_class("pan", photos.shots(2, 3)).added == 3
        assert embedder.embedded == 0

    def test_what_it_takes_is_what_happens(self, empty: Catalog) -> None:
        """Items that are said to be nearer to the new class are, once it is made."""
        empty.add_class("cup", photos.shots(0, 4))
        empty.add_class("mixed", [*photos.shots(1, 4), *photos.shots(2, 3)])
        found = empty.preview_class("pan", photos.shots(2, 4, first=20))
        assert found.now[0].label == "mixed"
        assert (found.now[0].pictures, found.now[0].of) == (4, 4)
        assert found.takes == (Share("mixed", 3, 7),)
        empty.add_class("pan", photos.shots(2, 4, first=20))
        for label, own in (("cup", photos.shots(0, 4)), ("mixed", photos.shots(1, 4))):
            named = {empty.predict(one).centroid[0].label for one in own}
            assert named == {label}
        lost = {empty.predict(one).centroid[0].label for one in photos.shots(2, 3)}
        assert lost == {"pan"}

    def test_a_class_apart_takes_nothing(self, empty: Catalog) -> None:
        """What looks like none of the classes takes nothing from them."""
        empty.add_class("cup", photos.shots(0, 4))
        empty.add_class("jug", photos.shots(1, 4))
        assert empty.preview_class("pan", photos.shots(2, 4)).takes == ()

    def test_refused(self, empty: Catalog) -> None:
        """Pictures that the class would not get are listed, those of other classes among them."""
        empty.add_class("cup", photos.shots(0, 2))
        asked = [photos.photo(0), b"no picture", photos.photo(5)]
        found = empty.preview_class("pan", asked)
        added = empty.add_class("pan", asked)
        assert found.pictures == added.added == 1
        assert sorted(one.reason for one in found.refused) == sorted(
            one.reason for one in added.refused
        )

    def test_all_refused(self, empty: Catalog) -> None:
        """With no picture left there is nothing to say but that."""
        found = empty.preview_class("pan", [b"no picture"])
        assert (found.pictures, found.now, found.takes, len(found.refused)) == (0, (), (), 1)

    def test_an_empty_catalogue(self, empty: Catalog) -> None:
        """The first class takes nothing from any other; a picture given twice counts once."""
        found = empty.preview_class("cup", [*photos.shots(0, 2), photos.photo(0)])
        assert (found.pictures, found.now, found.takes) == (2, (), ())

    def test_errors_are_those_of_the_class(self, empty: Catalog) -> None:
        """A class that could not be made cannot be previewed."""
        empty.add_class("cup", photos.shots(0, 2))
        with pytest.raises(LabelConflict):
            empty.preview_class("CUP", photos.shots(1, 1))
        with pytest.raises(LabelConflict):
            empty.preview_class("cup", photos.shots(1, 1))
        with pytest.raises(InvalidInput):
            empty.preview_class("jug", [])


class TestKept:
    """Photos of things that are not there are kept, and proposed as classes."""

    def test_proposed(self, sure: Catalog, tmp_path: Path) -> None:
        """Unknown photos are kept once, brought together by thing, and gone when they are in."""
        strange = {thing: write(tmp_path / "new", thing, range(30, 34)) for thing in (40, 41)}
        both = [*strange[40], *strange[41]]
        before = sure.info()
        assert verdicts(sure, both) == {"unknown"}
        embedder = sure.embedder
        assert isinstance(embedder, FakeEmbedder)
        embedded = embedder.embedded
        assert verdicts(sure, both) == {"unknown"}
        assert embedder.embedded == embedded + len(both)  # once each: what was judged is kept
        report = sure.audit()
        assert (report.kept, report.alone) == (8, 0)
        assert [one.pictures for one in report.proposed] == [4, 4]
        wanted = {frozenset(map(str, files)) for files in strange.values()}
        assert {frozenset(one.places) for one in report.proposed} == wanted
        assert all(-1 <= one.cosine <= 1 for one in report.proposed)
        after = sure.info()
        assert (after.generation, after.learning_state) == (
            before.generation,
            before.learning_state,
        )
        assert after.staged == before.staged + 8
        sure.add_class("forty", strange[40])
        left = sure.audit()
        assert left.kept == 4
        assert [set(one.places) for one in left.proposed] == [set(map(str, strange[41]))]
        assert sure.predict(strange[40][0]).label == "forty"

    def test_undo_keeps_them(self, sure: Catalog, tmp_path: Path) -> None:
        """A class made of kept photos leaves them to be proposed again when it is undone."""
        strange = write(tmp_path / "new", 40, range(30, 34))
        verdicts(sure, strange)
        sure.add_class("forty", strange)
        assert sure.audit().kept == 0
        sure.undo()
        assert sure.audit().kept == 4

    def test_named_in_one_step(self, sure: Catalog, tmp_path: Path) -> None:
        """A proposed class is made of its photos as if they had been added, and undone."""
        strange = write(tmp_path / "new", 40, range(30, 34))
        verdicts(sure, strange)
        before = sure.info()
        (proposed,) = sure.audit().proposed
        moved = sure.move(proposed.items, "forty", new=True)
        assert (moved.created, moved.moved, moved.emptied) == (True, 4, ())
        made = sure.items("forty")
        assert {one.id for one in made} == set(proposed.items)
        assert {one.sources for one in made} == {(str(file),) for file in strange}
        assert sure.audit().kept == 0
        assert sure.predict(strange[0]).label == "forty"
        learnt = sure.info().learning_state
        assert sure.verify().sound
        sure.undo()
        assert sure.info().learning_state == before.learning_state
        assert sure.audit().proposed == (proposed,)
        sure.add_class("forty", strange)
        assert sure.info().learning_state == learnt

    def test_what_was_only_looked_at_has_no_class(self, sure: Catalog) -> None:
        """A picture whose descriptor is stored, but which was not kept, is no item."""
        sure.preview_class("forty", [seen(40, 30), seen(40, 31)])
        staged = max(one.id for one in sure.items()) + 1
        with pytest.raises(NotFound):
            sure.move([staged], "forty", new=True)

    def test_only_if_asked_to(self, sure: Catalog, tmp_path: Path) -> None:
        """Nothing is kept of photos by default, nor of those that are known or refused."""
        strange = write(tmp_path / "new", 40, range(30, 32))
        before = sure.info()
        assert verdicts(sure, strange, keep=False) == {"unknown"}
        known = sure.predict_many([seen(0, 20), b"no picture"], keep_unknown=True)
        assert [type(one) for one in known] == [Prediction, PictureError]
        assert (sure.audit().kept, sure.info()) == (0, before)

    def test_bytes_have_no_place(self, sure: Catalog) -> None:
        """Arrays and bytes are kept and counted, though they were found nowhere."""
        strange = [seen(40, place) for place in range(30, 34)]
        sure.predict_many(strange, keep_unknown=True)
        (proposed,) = sure.audit().proposed
        assert (proposed.pictures, proposed.places) == (4, ())

    def test_one_alone(self, sure: Catalog) -> None:
        """A photo like no other is kept, and makes no class."""
        sure.predict(seen(40, 30), keep_unknown=True)
        report = sure.audit()
        assert (report.kept, report.proposed, report.alone) == (1, (), 1)

    def test_feedback_takes_it_in(self, sure: Catalog, tmp_path: Path) -> None:
        """A kept photo that someone names is kept no more."""
        strange = write(tmp_path / "new", 40, range(30, 32))
        verdicts(sure, strange)
        assert sure.feedback(strange[0], "forty").verdict == "unknown"
        assert sure.audit().kept == 1

    def test_reopening(self, sure: Catalog, tmp_path: Path) -> None:
        """What was kept is in the file."""
        verdicts(sure, write(tmp_path / "new", 40, range(30, 34)))
        report = sure.audit()
        with Catalog.open(sure.path, embedder=FakeEmbedder()) as other:
            assert other.audit() == report
            assert other.verify().sound


class TestAudit:
    """What is wrong with the items and classes."""

    def test_an_empty_catalogue(self, empty: Catalog) -> None:
        """Nothing is wrong with nothing."""
        report = empty.audit()
        assert (report.found.items, report.found.classes, report.kept) == (0, (), 0)
        assert (report.proposed, report.alone) == ((), 0)

    @pytest.mark.parametrize("shots", [1, 3])
    def test_one_class(self, empty: Catalog, shots: int) -> None:
        """With one class, nothing can be in the wrong one."""
        empty.add_class("cup", photos.shots(0, shots))
        found = empty.audit().found
        assert (found.items, found.mislabelled, found.confusable) == (shots, (), ())
        assert [(one.label, one.items) for one in found.classes] == [("cup", shots)]

    def test_classes_of_one_item(self, empty: Catalog) -> None:
        """Classes of one picture each need more; none of them can be judged."""
        for thing in range(3):
            empty.add_class(f"thing {thing}", photos.shots(thing, 1))
        found = empty.audit().found
        assert (found.items, found.judged, found.share_right) == (3, 0, None)
        assert {one.needs for one in found.classes} == {"few"}

    def test_mislabelled(self, sure: Catalog) -> None:
        """A photo in the wrong class is found, and the class that it is of is proposed."""
        assert sure.audit().found.mislabelled == ()
        sure.add("thing 0", [seen(1, 50)])
        (found,) = sure.audit().found.mislabelled
        assert (found.item, found.label, found.proposed) == (37, "thing 0", "thing 1")
        sure.remove([found.item])
        assert sure.audit().found.mislabelled == ()

    def test_one_picture_in_two_classes(self, sure: Catalog) -> None:
        """The same pixels in another file are a duplicate."""
        item = sure.items("thing 1")[0].id
        sure.add("thing 0", [encode(".png", seen(1, 0))])
        pairs = {frozenset((one.item, one.other_item)) for one in sure.audit().found.duplicates}
        assert frozenset((item, 37)) in pairs

    def test_a_compacted_class(self, sure: Catalog) -> None:
        """Of a class whose descriptors were dropped nothing is listed, and nothing breaks."""
        sure.add("thing 0", [seen(1, 50)])
        sure.compact(["thing 0"])
        found = sure.audit().found
        assert found.mislabelled == ()
        assert found.items == PLACES * (CLASSES - 1)
        assert sure.predict(seen(2, 20)).label == "thing 2"

    @pytest.mark.parametrize("head", ["exact", "frozen", "none"])
    def test_it_does_not_depend_on_the_head(self, sure: Catalog, head: str) -> None:
        """Items are judged by centroids and nearest items, however the head is trained."""
        report = sure.audit()
        sure.train_head(head)
        assert sure.audit() == report


def test_the_command(in_process: InProcess, shop: Path, tmp_path: Path) -> None:
    """The command previews and audits as the calls do, and makes no class by a preview."""
    lids = photos.draw(tmp_path / "lids", 6, 3)
    call = ("--catalog", shop, "--json")
    code, out, _ = in_process("add-class", "lid", *lids, "--dry-run", *call)
    assert (code, json.loads(out)["pictures"]) == (0, 3)
    code, out, _ = in_process("labels", *call)
    assert len(json.loads(out)) == 3
    code, out, _ = in_process("predict", lids[0], "--keep-unknown", *call)
    assert code == 0
    code, out, _ = in_process("audit", *call)
    assert (code, json.loads(out)["found"]["items"]) == (0, 12)
