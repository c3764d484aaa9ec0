"""Another embedder brought in beside the one in use, gone over to, gone back from, and dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import photos
import pytest
from cups_and_jugs import counts
from doubles import FakeEmbedder
from inside import keep
from numpy.typing import NDArray
from two_embedders import NEW, OLD, at_once, drawn, made, opened, state

from catalog import (
    Catalog,
    Conflict,
    NotFound,
    Prediction,
)
from catalog.descriptors import EmbedderMismatch, Switched
from catalog.store.files import cache_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three classes with four photos each."""
    return drawn(tmp_path / "tree")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue is to be."""
    return tmp_path / "shop.catalog"


@pytest.fixture
def shop(folder: Path, path: Path) -> Iterator[Catalog]:
    """A catalogue of it."""
    with made(path, folder) as catalog:
        yield catalog


Answers: TypeAlias = tuple[list[tuple[str, float]], tuple[object, ...]]


def answers(catalog: Catalog, query: NDArray[np.uint8]) -> Answers:
    """What is said of a picture, but for rounding."""
    near, said = catalog.nearest(query, 5), catalog.predict(query)
    return (
        [(one.content, round(one.score, 4)) for one in near],
        (said.label, said.verdict, said.agree, len(said.head), said.surer),
    )


class TestBringingIn:
    """What is embedded anew, and what goes on meanwhile."""

    def test_nothing_changes_before_the_switch(self, shop: Catalog, path: Path) -> None:
        """Answers, state and history stay what they are; `info` tells of the other embedder."""
        before = shop.nearest(photos.photo(0, 30), 3), state(shop), shop.history()
        done = shop.reindex(embedder=NEW)
        assert (done.embedded, done.items, done.unreadable) == (12, 12, ())
        assert (shop.nearest(photos.photo(0, 30), 3), state(shop), shop.history()) == before
        other = shop.info().other
        assert other is not None
        assert (other.items, other.was_used) == (12, False)
        assert shop.verify().sound

    def test_what_is_there_is_not_embedded_again(self, shop: Catalog, folder: Path) -> None:
        """A second run embeds what has come since, and nothing else."""
        shop.reindex(embedder=NEW)
        assert shop.reindex(embedder=NEW).embedded == 0
        before = NEW.embedded
        shop.add("cup", photos.draw(folder.parent / "more", 0, 2, first=20))
        assert NEW.embedded == before + 2  # at once, by both
        assert shop.reindex(embedder=NEW).embedded == 0

    def test_what_comes_meanwhile_need_not_lie_anywhere(self, shop: Catalog) -> None:
        """Pictures that are given as pixels meanwhile are embedded by both."""
        shop.reindex(embedder=NEW)
        shop.add_class("pot", photos.shots(7, 3))
        shop.feedback(photos.photo(7, 9), "pot")
        assert shop.promote().removed == ()
        assert counts(shop)["pot"] == 4

    def test_a_job(self, shop: Catalog) -> None:
        """It is a job, which says how far it came, and can be taken up."""
        done = shop.reindex(embedder=NEW)
        (job,) = [job for job in shop.jobs() if job.kind == "reindex"]
        assert (job.id, job.state, job.failures) == (done.job, "done", 0)
        assert job.outcome == {"embedded": 12, "refused": 0}

        def stop(*_: int) -> None:
            raise KeyboardInterrupt

        shop.drop_new()
        with pytest.raises(KeyboardInterrupt):
            shop.reindex(embedder=NEW, progress=stop)
        last = shop.jobs()[-1]
        assert last.state == "cancelled"
        again = shop.resume_job(last.id)
        assert (again.embedded, again.items) == (0, 12)  # type: ignore[union-attr]

    def test_from_the_places_where_they_lie_now(self, shop: Catalog, folder: Path) -> None:
        """A picture that was moved and seen again is read where it lies now."""
        (folder / "cup").rename(folder / "cups")
        shop.sync(folder)
        assert shop.reindex(embedder=NEW).unreadable == ()

    def test_kept_photos(self, shop: Catalog, folder: Path) -> None:
        """Photos that were kept unknown are among those that are embedded anew."""
        strange = photos.draw(folder.parent / "strange", 9, 2)
        keep(shop, strange)
        shop.reindex(embedder=NEW)
        shop.promote()
        assert shop.audit().kept == 2

    def test_made_up_photos(self, shop: Catalog, folder: Path, tmp_path: Path) -> None:
        """Photos that were made up of a lone picture are made up of it by the other, too."""
        lone = photos.draw(folder.parent / "lone", 5, 1)
        shop.add_class("lone", lone)
        shop.reindex(embedder=NEW)
        shop.add_class("later", photos.draw(folder.parent / "later", 6, 1))
        shop.promote()
        learnt = at_once(tmp_path / "once.catalog", shop)
        assert state(shop) == learnt

        def evidence(catalog: Catalog) -> list[bytes]:
            with catalog._store.reading() as tx:
                rows = tx.execute(
                    "SELECT value FROM made_up WHERE embedder = ? ORDER BY value",
                    (catalog._bound.binding.id,),
                )
                return [value for (value,) in rows]

        with Catalog.open(tmp_path / "once.catalog", embedder=NEW) as once:
            assert len(evidence(once)) == 2
            assert evidence(shop) == evidence(once)

    def test_derived_files(self, shop: Catalog, path: Path) -> None:
        """Without another embedder all that is derived is made anew, and nothing else."""
        shop.predict(photos.photo(0, 30))
        shop.close()
        kept = {file.name for file in cache_folder(path).iterdir()}
        with opened(path) as catalog:
            before = state(catalog), catalog.history()
            derived = [file for file in cache_folder(path).iterdir() if file.suffix != ".lock"]
            for file in derived:
                file.write_bytes(b"spoilt")
            done = catalog.reindex()
            assert (done.embedded, done.items, done.job) == (0, 12, None)
            assert (state(catalog), catalog.history()) == before
        assert kept <= {file.name for file in cache_folder(path).iterdir()}
        assert not any(file.read_bytes() == b"spoilt" for file in derived)


class TestUnreadable:
    """Pictures that are gone, or others by now."""

    @pytest.fixture
    def half(self, shop: Catalog, folder: Path) -> Catalog:
        """A catalogue whose sources are partly gone."""
        cup, other, *_ = sorted((folder / "cup").iterdir())
        cup.unlink()
        other.write_bytes(sorted((folder / "pan").iterdir())[0].read_bytes())
        shop.add_class("pot", photos.shots(7, 2))
        return shop

    def test_they_are_told(self, half: Catalog, folder: Path) -> None:
        """Each is listed with its place and the reason, also as a failure of the job."""
        done = half.reindex(embedder=NEW)
        assert (done.embedded, done.is_ready) == (10, False)
        assert sorted(one.label for one in done.unreadable) == ["cup", "cup", "pot", "pot"]
        why = {one.label: one.detail for one in done.unreadable}
        assert "bytes or pixels" in why["pot"]
        assert any("another picture" in one.detail for one in done.unreadable)
        assert len(half.job_failures(done.job or 0)) == 4

    def test_the_switch_is_refused(self, half: Catalog) -> None:
        """They are asked about, not dropped: nothing is changed."""
        half.reindex(embedder=NEW)
        before = state(half), half.history()
        with pytest.raises(Conflict, match="4 items cannot be read again"):
            half.promote()
        assert (state(half), half.history()) == before

    def test_unless_they_are_to_go(self, half: Catalog) -> None:
        """Taken out with the switch, they come back with its undoing."""
        half.reindex(embedder=NEW)
        before = state(half), counts(half)
        done = half.promote(without_unreadable=True)
        assert len(done.removed) == 4
        assert counts(half) == {"cup": 2, "jug": 4, "pan": 4}
        assert half.verify().sound
        assert [event.kind for event in half.undo()] == ["switch-embedder"]
        assert (state(half), counts(half)) == before
        assert half.verify().sound

    def test_found_again(self, half: Catalog, folder: Path) -> None:
        """What lies there again is embedded by the next run, or by the switch itself."""
        half.reindex(embedder=NEW)
        half.remove_class("pot")
        for at, file in enumerate(photos.draw(folder.parent / "again", 0, 4)):
            (folder / "cup" / sorted(f.name for f in (folder / "jug").iterdir())[at]).write_bytes(
                file.read_bytes()
            )
        assert half.promote().removed == ()
        assert counts(half)["cup"] == 4

    def test_what_was_taken_out_before(self, half: Catalog) -> None:
        """An undo that would bring back what the embedder cannot know is refused, and says so."""
        half.remove_class("pot")
        half.reindex(embedder=NEW)
        half.promote(without_unreadable=True)
        half.undo()
        assert half.promote(without_unreadable=True).removed
        half.drop_old()
        with pytest.raises(Conflict, match="for good"):
            half.undo()


class TestSwitch:
    """Going over, back, and forth again."""

    def test_equal_to_one_made_at_once(self, shop: Catalog, tmp_path: Path) -> None:
        """After the switch the catalogue is as one made of the same pictures by that embedder."""
        shop.reindex(embedder=NEW)
        shop.promote()
        assert state(shop) == at_once(tmp_path / "once.catalog", shop)
        with Catalog.open(tmp_path / "once.catalog", embedder=NEW) as once:
            for query in (photos.photo(0, 30), photos.photo(1, 31)):
                assert answers(shop, query) == answers(once, query)

    def test_there_and_back_and_forth(self, shop: Catalog, tmp_path: Path, path: Path) -> None:
        """With writes in between each switch leads to what a catalogue at once would be."""
        shop.reindex(embedder=NEW)
        shop.promote()
        shop.add_class("pot", photos.draw(tmp_path / "pot", 7, 3))
        shop.remove([shop.items("cup")[0].id])
        shop.back()
        assert state(shop) == at_once(tmp_path / "old.catalog", shop, OLD)
        shop.add_class("ewer", photos.draw(tmp_path / "ewer", 8, 3))
        shop.promote()
        assert state(shop) == at_once(tmp_path / "new.catalog", shop)
        assert [e.kind for e in shop.history()].count("switch-embedder") == 3
        shop.close()
        with opened(path) as again:
            assert again.verify().sound
            assert state(again) == at_once(tmp_path / "again.catalog", again)

    def test_undo_takes_a_switch_back(self, shop: Catalog) -> None:
        """One after another, in order, like any other command."""
        states = [state(shop)]
        shop.reindex(embedder=NEW)
        shop.promote()
        states.append(state(shop))
        shop.add_class("pot", photos.shots(7, 3))
        shop.back()
        shop.undo()
        shop.undo()
        assert state(shop) == states[1]
        shop.undo()
        assert state(shop) == states[0]
        assert shop.info().fingerprint == OLD.specification.fingerprint

    @pytest.mark.parametrize("way", ["exact", "frozen", "document", "none"])
    def test_the_head_follows(self, shop: Catalog, way: str) -> None:
        """The head is trained anew in the way it was, and is that of before after an undo."""
        options = {"epochs": 2} if way == "document" else {}
        shop.train_head(way, **options)  # type: ignore[arg-type]
        query = photos.photo(0, 30)
        before = answers(shop, query)
        shop.reindex(embedder=NEW)
        shop.promote()
        assert shop.info().head == way
        assert bool(shop.predict(query).head) == (way != "none")
        shop.add_class("pot", photos.shots(7, 3))
        assert "pot" in {one.label for one in shop.predict(photos.photo(7, 9), top=9).centroid}
        assert shop.verify().sound
        shop.undo()
        shop.undo()
        assert answers(shop, query) == before
        assert shop.verify().sound

    def test_an_empty_catalogue(self, path: Path) -> None:
        """Nothing is needed for a catalogue without items to go over."""
        with Catalog.init(path, embedder=OLD) as catalog:
            assert catalog.reindex(embedder=NEW).items == 0
            catalog.promote()
            catalog.add_class("cup", photos.shots(0, 3))
            assert len(catalog.embed(photos.photo(0))) == 48

    def test_another_open_catalogue_follows(self, shop: Catalog, path: Path) -> None:
        """Whoever has it open answers by the new embedder at once, and writes by both."""
        with opened(path) as other:
            before = other.nearest(photos.photo(0, 30), 3)
            shop.reindex(embedder=NEW)
            other.add_class("pot", photos.shots(7, 3))
            shop.promote()
            assert other.nearest(photos.photo(0, 30), 3) == shop.nearest(photos.photo(0, 30), 3)
            assert other.nearest(photos.photo(0, 30), 3) != before
            other.add_class("ewer", photos.shots(8, 3))
            assert other.nearest(photos.photo(8, 0), 1)[0].label == "ewer"
            shop.back()
            assert len(other.embed(photos.photo(0))) == 64
            assert counts(other)["ewer"] == 3


class TestDropping:
    """One of the two goes for good."""

    def test_the_old_one(self, shop: Catalog, path: Path, tmp_path: Path) -> None:
        """Its descriptors are gone from the file, and there is no way back, nor any undo."""
        shop.reindex(embedder=NEW)
        with pytest.raises(Conflict, match="older embedder is the one in use"):
            shop.drop_old()
        shop.promote()
        large = path.stat().st_size
        done = shop.drop_old()
        assert (done.fingerprint, done.items) == (OLD.specification.fingerprint, 12)
        assert path.stat().st_size <= large
        with pytest.raises(NotFound, match="one embedder alone"):
            shop.back()
        with pytest.raises(Conflict, match="for good"):
            shop.undo()
        assert shop.info().other is None
        assert shop.verify().sound
        assert state(shop) == at_once(tmp_path / "once.catalog", shop)
        shop.close()
        with Catalog.open(path, embedder=NEW) as again:
            again.add_class("pot", photos.shots(7, 3))
            again.undo()

    def test_whoever_is_at_work_with_it(self, shop: Catalog) -> None:
        """Whoever reads of one that is dropped is told so, also where another one has come."""
        shop.reindex(embedder=NEW)
        _, late = shop._every_bound()
        items = np.array([item.id for item in shop.items()], np.int64)
        assert len(late.rows.of(items)) == 12
        for third in (None, FakeEmbedder(width=48, seed=2)):
            shop.drop_new() if third is None else shop.reindex(embedder=third)
            with pytest.raises(Switched):
                late.rows.of(items)

    def test_the_new_one(self, shop: Catalog) -> None:
        """One that was never in use leaves no trace: not even an event."""
        before = shop.history()
        shop.reindex(embedder=NEW)
        shop.drop_new()
        assert shop.history() == before
        assert shop.info().other is None
        third = FakeEmbedder(width=40, seed=2)
        assert shop.reindex(embedder=third).embedded == 12
        shop.promote()
        assert len(shop.embed(photos.photo(0))) == 40

    def test_two_at_most(self, shop: Catalog) -> None:
        """A third embedder is refused, and so is the one in use."""
        assert shop.reindex(embedder=OLD).in_use
        shop.reindex(embedder=NEW)
        with pytest.raises(Conflict, match="descriptors of another embedder"):
            shop.reindex(embedder=FakeEmbedder(width=40, seed=2))
        shop.drop_new()
        with pytest.raises(NotFound, match="one embedder alone"):
            shop.promote()

    def test_compacted_classes(self, shop: Catalog) -> None:
        """DroppedEmbedder descriptors cannot be had by another embedder, nor dropped of two."""
        shop.reindex(embedder=NEW)
        with pytest.raises(Conflict, match="two embedders"):
            shop.compact(["cup"])
        shop.drop_new()
        shop.compact(["cup"])
        with pytest.raises(Conflict, match="dropped by `compact`"):
            shop.reindex(embedder=NEW)

    def test_an_embedder_that_is_not_given(self, shop: Catalog, path: Path) -> None:
        """Opened with another embedder than the one in use it is refused."""
        shop.reindex(embedder=NEW)
        shop.promote()
        with pytest.raises(EmbedderMismatch):
            Catalog.open(path, embedder=OLD)

    def test_a_network_that_is_not_here(self, shop: Catalog, path: Path) -> None:
        """What comes is embedded by the one in use alone, which is said, and made up for later."""
        shop.reindex(embedder=NEW)
        pictures = photos.draw(path.parent / "pot", 7, 3)
        with (
            Catalog.open(path, embedder=OLD) as poor,
            pytest.warns(UserWarning, match="not embedded by embedder"),
        ):
            poor.add_class("pot", pictures)
        assert shop.promote().removed == ()
        assert counts(shop)["pot"] == 3


class TestForgetting:
    """What is forgotten is forgotten by both."""

    def test_by_both(self, shop: Catalog, path: Path) -> None:
        """Nothing of a forgotten picture is left in the file or beside it, whoever embedded it."""
        shop.reindex(embedder=NEW)
        shop.promote()
        shop.predict(photos.photo(0, 30))
        item = shop.items("cup")[0]
        with shop._store.reading() as tx:
            values = [
                value
                for (value,) in tx.execute(
                    "SELECT value FROM descriptor WHERE item = ?", (item.id,)
                )
            ]
        assert len(values) == 2
        shop.forget([item.id])
        shop.close()
        files = [path, *(file for file in cache_folder(path).rglob("*") if file.is_file())]
        assert not any(value in file.read_bytes() for value in values for file in files)

    def test_not_brought_back(self, shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """A picture that is forgotten while it is being embedded anew stays forgotten."""
        item = shop.items("cup")[0]
        embed_each = NEW.embed_each
        calls = []

        def forgetting(pictures):  # type: ignore[no-untyped-def]
            for row in embed_each(pictures):
                if not calls:
                    calls.append(shop.forget([item.id]))
                yield row

        monkeypatch.setattr(NEW, "embed_each", forgetting)
        shop.reindex(embedder=NEW)
        with shop._store.reading() as tx:
            (found,) = tx.execute("SELECT count(*) FROM item WHERE id = ?", (item.id,)).fetchone()
        assert found == 0
        assert shop.verify().sound


class TestWhileOthersAsk:
    """Questions meanwhile."""

    @pytest.mark.parametrize("way", ["exact", "frozen"])
    def test_none_fails_and_none_mixes(self, shop: Catalog, way: str) -> None:
        """Each answer is one embedder's whole, whatever is switched meanwhile."""
        query = photos.photo(0, 30)
        shop.train_head(way)
        shop.reindex(embedder=NEW)
        known = []
        for turn in (shop.promote, shop.back):
            known.append(answers(shop, query))
            turn()
        wrong: list[object] = []
        asked: list[bool] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    near, said = answers(shop, query)
                except Exception as error:  # noqa: BLE001
                    wrong.append(error)
                    return
                asked.append(near == known[0][0])
                if near not in [one[0] for one in known] or said not in [one[1] for one in known]:
                    wrong.append((near, said))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(6):
            shop.promote()
            shop.back()
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong
        assert set(asked) == {True, False}

    def test_while_it_is_embedded(self, shop: Catalog) -> None:
        """Questions and writes go on while pictures are embedded anew."""
        said: list[Prediction] = []

        def look(*_: int) -> None:
            said.append(shop.predict(photos.photo(0, 30)))
            shop.add("cup", [photos.photo(0, 100 + len(said))])

        shop.reindex(embedder=NEW, progress=look)
        assert said
        assert shop.promote().removed == ()
        assert counts(shop)["cup"] == 4 + len(said)
