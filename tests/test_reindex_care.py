"""A second embedder where things come at an unlucky moment: others at work, and what is lacking."""

from __future__ import annotations

import sqlite3
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from cups_and_jugs import THINGS, counts
from doubles import FakeEmbedder
from inside import computed, keep
from two_embedders import NEW, OLD, drawn, made, state

import catalog.changes.merge as merging
import catalog.jobs.promote as promoting
from catalog import Catalog, Conflict, Damaged, NotFound
from catalog.descriptors import PictureError, Switched
from catalog.learning import keeper as keeper_module
from catalog.learning import kinds, training
from catalog.store.files import cache_folder

TWIN, THIRD = FakeEmbedder(width=64, seed=1), FakeEmbedder(width=64, seed=5)


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


@pytest.fixture
def large(shop: Catalog, path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """The same, where all that is learnt takes long enough to be saved at once."""
    monkeypatch.setattr(keeper_module, "UNSAVED_SECONDS", 0.0)
    keep(shop, photos.draw(path.parent / "strange", 9, 2))
    return shop


def hide(folder: Path) -> tuple[Path, Path]:
    """Take a file away; where it lay, and where it lies now."""
    file = sorted((folder / "cup").iterdir())[0]
    return file, file.rename(folder.parent / "hidden.png")


def poor_add(path: Path, label: str, pictures: Any) -> None:
    """Add a class on a machine that has not got the newer network."""
    with warnings.catch_warnings(), Catalog.open(path, embedder=OLD) as poor:
        warnings.simplefilter("ignore")
        poor.add_class(label, pictures)


def once(act: Callable[[], object]) -> Callable[..., None]:
    """A progress that does something at its first call."""
    done: list[object] = []

    def call(*_: object) -> None:
        if not done:
            done.append(None)
            act()

    return call


class TestMixing:
    """Descriptors of one are never stored as the other's, nor asked as such."""

    def test_merge_through_a_switch(
        self, shop: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a merge takes over is stored as whose it is, or refused, through a switch."""
        with Catalog.init(tmp_path / "two.catalog", embedder=OLD) as two:
            two.add_class("pot", photos.draw(tmp_path / "pot", 7, 2))
        shop.reindex(embedder=TWIN)
        real, switch = merging.compacted_classes, once(shop.promote)
        monkeypatch.setattr(merging, "compacted_classes", lambda tx: (switch(), real(tx))[1])
        try:
            shop.merge(tmp_path / "two.catalog")
        except Conflict:
            return
        pots = shop.items("pot")
        stored = shop._bound.rows.floats(np.array([one.id for one in pots], np.int64))
        meant = [shop.embedder.embed(one.sources[0]) for one in pots]
        assert np.allclose(stored, meant, atol=1e-3)

    @pytest.mark.parametrize("other", [TWIN, NEW])
    def test_head_of_the_former(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, other: FakeEmbedder
    ) -> None:
        """A head never keeps the metric of an embedder that is not active any more."""
        with Catalog.init(path, embedder=OLD) as shop:
            shop.reindex(embedder=other)
            real, switch = training.prepare_switch, once(shop.promote)
            monkeypatch.setattr(
                training, "prepare_switch", lambda *a, **k: (real(*a, **k), switch())[0]
            )
            try:
                shop.add_class("cup", photos.shots(0, 3), head="document")
            except Conflict:
                return
            with shop._store.reading() as tx:
                (stored,) = tx.execute("SELECT metric FROM head ORDER BY id DESC").fetchone()
            metric = computed(shop, lambda learning, moment: learning.metric(moment).metric)
            assert stored == training.heads.packed(metric)

    def test_number_that_is_used_again(self, shop: Catalog, path: Path) -> None:
        """After a restore another embedder may get the number of one that is asked."""
        shop.backup(path.with_name("before"))
        shop.reindex(embedder=TWIN)
        shop.promote()
        with Catalog.open(path, embedder=(OLD, TWIN, THIRD)) as other:
            late = other._bound
            Catalog.restore(path.with_name("before"), path)
            shop.reindex(embedder=THIRD)
            shop.promote()
            with pytest.raises(Switched):
                late.keeper.nearest(lambda snapshot: len(snapshot.moment))


class TestLacking:
    """What is learnt while descriptors are lacking is not taken for what is there later."""

    def test_compare_before_it_is_complete(self, large: Catalog, folder: Path) -> None:
        """What could not be read when the two were compared is found when it is there again."""
        file, hidden = hide(folder)
        large.reindex(embedder=NEW)
        large.compare()
        hidden.rename(file)
        assert large.reindex(embedder=NEW).unreadable == ()
        large.promote()
        assert large.nearest(file, 1)[0].sources == (str(file),)

    def test_class_that_was_unreadable(self, large: Catalog, folder: Path) -> None:
        """The same where a whole class was lacking."""
        away = (folder / "cup").rename(folder.parent / "away")
        large.reindex(embedder=NEW)
        large.compare()
        away.rename(folder / "cup")
        assert large.reindex(embedder=NEW).unreadable == ()
        large.promote()
        large.predict(photos.photo(0, 30))

    def test_promote_cut_short(
        self, shop: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same after a kill between what is made ready and the switch."""

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        file, hidden = hide(folder)
        shop.reindex(embedder=NEW)
        with monkeypatch.context() as patch:
            patch.setattr(promoting, "_switched", killed)
            with pytest.raises(KeyboardInterrupt):
                shop.promote(without_unreadable=True)
        hidden.rename(file)
        shop.promote()
        before = state(shop)
        shop.reindex()
        assert state(shop) == before

    @pytest.mark.parametrize("way", ["compare", "promote"])
    def test_more_than_ten_thousand_items(
        self, large: Catalog, path: Path, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """An item that has no descriptor yet is no damage, however many there are."""
        monkeypatch.setattr("catalog.index.items.RENEW_ROWS", 1)
        monkeypatch.setattr("catalog.index.items.RENEW_SHARE", 0.9)
        large.reindex(embedder=NEW)
        large.compare()
        poor_add(path, "pot", photos.shots(7, 2))
        if way == "compare":
            large.compare()
        else:
            assert len(large.promote(without_unreadable=True).removed) == 2


class TestForgetting:
    """What `forget` leaves: nothing, wherever it was learnt."""

    def test_folder_of_an_embedder_that_is_not_there(self, shop: Catalog, path: Path) -> None:
        """What was learnt of an embedder that a restore took away goes with it."""
        shop.backup(path.with_name("before"))
        shop.reindex(embedder=NEW)
        shop.promote()
        shop.predict(photos.photo(0, 30))
        shop.close()
        Catalog.restore(path.with_name("before"), path)
        with Catalog.open(path, embedder=OLD) as again:
            again.forget([again.items("cup")[0].id])
            again.verify()
        assert not list(cache_folder(path).glob("embedder-*/items"))

    def test_folder_that_came_back(self, shop: Catalog, path: Path) -> None:
        """Whoever closes after an embedder was dropped keeps nothing of it."""
        shop.reindex(embedder=NEW)
        with Catalog.open(path, embedder=(OLD, NEW)) as other:
            shop.promote()
            other.predict(photos.photo(0, 30))
            shop.undo()
            shop.drop_new()
        shop.forget([shop.items("cup")[0].id])
        assert not list(cache_folder(path).glob("embedder-*/items"))

    def test_place_among_the_failures(self, shop: Catalog, folder: Path) -> None:
        """A picture that is forgotten while a job goes on is not among its failures afterwards."""
        file, _ = hide(folder)
        (item,) = (one.id for one in shop.items("cup") if one.sources == (str(file),))
        done = shop.reindex(embedder=NEW, progress=once(lambda: shop.forget([item])))
        assert str(file) not in [one.place for one in shop.job_failures(done.job or 0)]


class TestTakenOut:
    """Only what cannot be read is taken out, and it comes back with its file."""

    def test_what_came_meanwhile(self, shop: Catalog, path: Path, tmp_path: Path) -> None:
        """What comes while the switch embeds is embedded, too, and not taken out."""
        shop.reindex(embedder=NEW)
        poor_add(path, "pot", photos.draw(tmp_path / "pot", 7, 2))
        second = photos.draw(tmp_path / "vat", 8, 2)
        come = once(lambda: poor_add(path, "vat", second))
        assert shop.promote(without_unreadable=True, progress=come).removed == ()

    def test_refused_for_what_came_meanwhile(
        self, shop: Catalog, path: Path, tmp_path: Path
    ) -> None:
        """Nor is the switch refused for it."""
        shop.reindex(embedder=NEW)
        poor_add(path, "pot", photos.draw(tmp_path / "pot", 7, 2))
        second = photos.draw(tmp_path / "vat", 8, 2)
        shop.promote(progress=once(lambda: poor_add(path, "vat", second)))

    def test_sync_brings_them_back(self, path: Path, folder: Path) -> None:
        """What lies there again comes back with the next `sync`: nobody removed it by hand."""
        with Catalog.init(path, embedder=OLD) as shop:
            shop.sync(folder)
            file, hidden = hide(folder)
            shop.reindex(embedder=NEW)
            shop.promote(without_unreadable=True)
            hidden.rename(file)
            assert shop.sync(folder).by_hand == ()
            assert counts(shop)["cup"] == 4


class TestHeads:
    """Stored heads, and ways of training."""

    def test_undo_after_drop_new(self, shop: Catalog) -> None:
        """What was never in use is dropped without a trace: heads can be undone to as before."""
        shop.train_head("frozen")
        shop.train_head("exact")
        shop.reindex(embedder=NEW)
        shop.drop_new()
        shop.undo()
        assert shop.info().head == "frozen"

    def test_document_head_of_a_class_that_is_left(self, path: Path, tmp_path: Path) -> None:
        """Where one class alone can be read, its head waits for another, as in a new catalogue."""
        with Catalog.init(path, embedder=OLD) as shop:
            shop.add_class("cup", photos.draw(tmp_path / "cup", 0, 3))
            shop.add_class("jug", photos.shots(1, 3))
            shop.train_head("document", epochs=1)
            shop.reindex(embedder=NEW)
            assert len(shop.promote(without_unreadable=True).removed) == 3
            assert shop.info().head == "document"
            shop.add_class("pan", photos.shots(2, 3))
            assert len(shop.predict(photos.photo(2, 9), 9).head) == 2
            assert shop.verify().sound

    @pytest.mark.parametrize("end", ["killed", "changed"])
    def test_document_head_is_lost(self, shop: Catalog, end: str) -> None:
        """A training that is cut short, or overtaken, loses neither the way nor the catalogue."""

        def act() -> None:
            if end == "killed":
                raise KeyboardInterrupt
            shop.add_class("pot", photos.shots(7, 3))

        shop.train_head("document", epochs=2)
        shop.reindex(embedder=NEW)
        if end == "killed":
            with pytest.raises(KeyboardInterrupt):
                shop.promote(training=once(act))
        else:
            shop.promote(training=once(act))
            assert len(shop.predict(photos.photo(7, 9), 9).head) == 4
        assert shop.info().head == "document"
        assert (shop.info().other or shop.info()).fingerprint != shop.info().fingerprint


class TestSwitch:
    """What a switch costs, and what it needs."""

    def test_network_is_not_here(self, shop: Catalog, path: Path) -> None:
        """A switch to a network that is not on this machine is refused."""
        shop.reindex(embedder=NEW)
        with Catalog.open(path, embedder=OLD) as poor:
            with pytest.raises(NotFound):
                poor.promote()
            poor.predict(photos.photo(0, 30))

    def test_ready_for_the_first_question(
        self, shop: Catalog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The head that was solved before the switch is not solved again after it."""
        shop.reindex(embedder=NEW)
        shop.promote()
        solved: list[None] = []
        real = kinds.solve_blocks
        monkeypatch.setattr(
            kinds, "solve_blocks", lambda *a, **k: (solved.append(None), real(*a, **k))[1]
        )
        shop.predict(photos.photo(0, 30))
        assert not solved

    def test_memory_of_the_former(self, shop: Catalog) -> None:
        """Whoever follows a switch does not keep what was learnt by the former in memory."""
        shop.predict(photos.photo(0, 30))
        former = shop._bound
        shop.reindex(embedder=NEW)
        shop.promote()
        shop.predict(photos.photo(0, 30))
        assert former.keeper._latest is None


class TestMemory:
    """Memory."""

    def test_photos_that_are_asked_about(self, shop: Catalog, tmp_path: Path) -> None:
        """With keep_unknown photos are not held until the last is answered."""
        shop.predict(photos.photo(0, 30))
        noise = np.random.default_rng(0)
        files = [tmp_path / f"{at}.bmp" for at in range(60)]
        for file in files:
            photos.cv2.imwrite(str(file), noise.integers(0, 255, (600, 600, 3), np.uint8))
        peaks = []
        for some in (files[:20], files):
            tracemalloc.start()
            shop.predict_many(some, keep_unknown=True)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] - peaks[0] < 20 * 2**20  # 40 more of a megabyte each


class TestMeanwhile:
    """Others at work through a switch."""

    def test_import_through_a_switch(self, tmp_path: Path, path: Path) -> None:
        """Pictures that were staged before a switch land after it."""
        photos.draw(tmp_path / "big" / "cup", 0, 70)
        with Catalog.init(path, embedder=OLD) as shop:

            def switch() -> None:
                shop.reindex(embedder=NEW)
                shop.promote()

            shop.import_(tmp_path / "big", progress=once(switch))
            assert counts(shop)["cup"] == 70

    def test_merge_through_a_drop(
        self, shop: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A merge through a drop is refused in words."""
        with Catalog.init(tmp_path / "two.catalog", embedder=OLD) as two:
            two.add_class("pot", photos.draw(tmp_path / "pot", 7, 2))
        shop.reindex(embedder=NEW)

        def drop() -> None:
            shop.promote()
            shop.drop_old()

        real, switch = merging._stage, once(drop)
        monkeypatch.setattr(merging, "_stage", lambda *a: (switch(), real(*a))[1])
        with pytest.raises(Conflict) as error:
            shop.merge(tmp_path / "two.catalog")
        assert "FOREIGN KEY" not in str(error.value)

    def test_restored_to_fewer_descriptors(self, shop: Catalog, path: Path, tmp_path: Path) -> None:
        """Whoever reads of one that is not active any more is not told of damage that is none."""
        shop.reindex(embedder=NEW)
        poor_add(path, "pot", photos.draw(tmp_path / "pot", 7, 2))
        shop.backup(path.with_name("before"))
        shop.promote()
        late = shop._bound
        items = np.array([one.id for one in shop.items("pot")], np.int64)
        Catalog.restore(path.with_name("before"), path)
        with pytest.raises((Switched, Conflict)):
            late.rows.of(items)

    def test_merge_of_two_with_two(self, shop: Catalog, tmp_path: Path) -> None:
        """Where both catalogues have both embedders, what the other has of either is taken over."""
        with Catalog.init(tmp_path / "two.catalog", embedder=OLD) as two:
            two.reindex(embedder=NEW)
            two.add_class("vat", photos.shots(8, 2))
        shop.reindex(embedder=NEW)
        shop.merge(tmp_path / "two.catalog")
        assert shop.reindex(embedder=NEW).unreadable == ()


class TestRefill:
    """What cannot be embedded anew."""

    def test_photos_that_cannot_be_made_up(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A picture of which no photos can be made up does not stop the others."""
        with Catalog.init(path, embedder=OLD) as shop:
            for thing, label in enumerate(THINGS):
                shop.add_class(label, photos.draw(tmp_path / label, thing, 1))

            def refuse(*_: object) -> None:
                raise PictureError("timeout", "it took too long")

            monkeypatch.setattr(NEW, "made_up", refuse)
            assert shop.reindex(embedder=NEW).items == 3

    def test_place_of_what_is_refused(
        self, shop: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The place that is named is that of the picture that was tried."""
        file = sorted((folder / "cup").iterdir())[0]
        copy = folder.parent / "copy.jpg"
        copy.write_bytes(file.read_bytes())
        shop.add("cup", [copy])
        copy.unlink()
        real = NEW.embed

        def embed(picture: Any) -> Any:
            if isinstance(picture, np.ndarray):
                return real(picture)
            raise PictureError("timeout", "it took too long")

        monkeypatch.setattr(NEW, "embed", embed)
        done = shop.reindex(embedder=NEW)
        assert str(copy) not in [one.place for one in shop.job_failures(done.job or 0)]


class TestMessages:
    """What is said."""

    def test_backup_whose_format_is_damaged(self, shop: Catalog, path: Path) -> None:
        """A backup that says it has format 0 is damaged."""
        copy = path.with_name("copy")
        shop.backup(copy)
        with sqlite3.connect(copy) as damaged:
            damaged.execute("PRAGMA user_version = 0")
        damaged.close()
        with pytest.raises(Damaged):
            Catalog.restore(copy, path)

    def test_nightly_after_the_switch(self, shop: Catalog) -> None:
        """A job that brings an embedder in has nothing to do once that is the one in use."""
        shop.reindex(embedder=NEW)
        shop.promote()
        assert shop.reindex(embedder=NEW).embedded == 0
