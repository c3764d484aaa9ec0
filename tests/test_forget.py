"""What is forgotten is in none of the catalogue's files, shown by a search of their bytes."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from cups_and_jugs import THINGS, counts, fill, reopen
from doubles import FakeEmbedder
from inside import keep

from catalog import Catalog, Picture
from catalog.changes.staging import stage_for
from catalog.descriptors import Conflict, InvalidInput, NotFound
from catalog.store.failpoints import armed
from catalog.store.files import cache_folder

SECRET = "Geheimnis Ünïque"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Cups 1 to 3, jugs 4 to 6 and pans 7 to 9; then something that is to be forgotten."""
    with fill(tmp_path / "shop.catalog") as made:
        yield made


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Three pictures with a telling path."""
    return photos.draw(tmp_path / "telling path", 5, 3)


def traces(catalog: Catalog, pictures: list[Path], names: tuple[str, ...] = ()) -> list[str]:
    """What the catalogue's files still hold of some pictures and names."""
    files = [catalog.path, *cache_folder(catalog.path).glob("*")]
    held = b"".join(file.read_bytes() for file in files)
    wanted = {name: name.encode() for name in names}
    wanted |= {f"escaped {name}": json.dumps(name)[1:-1].encode() for name in names}
    for picture in pictures:
        data = picture.read_bytes()
        descriptor = FakeEmbedder().embed(data)
        stored = np.round(descriptor * 16384).astype("<i2")
        wanted |= {
            f"hash of {picture.name}": sha256(data).digest(),
            f"path of {picture.name}": str(picture).encode(),
            f"descriptor of {picture.name}": stored[:24].tobytes(),
            f"end of the descriptor of {picture.name}": stored[-24:].tobytes(),
        }
    return [what for what, content in wanted.items() if content in held]


def use(catalog: Catalog) -> None:
    """Ask, so that everything is derived, and keep it."""
    catalog.predict(photos.photo(0, 9))
    catalog.nearest(photos.photo(0, 9))
    with reopen(catalog.path) as second:
        second.predict(photos.photo(5, 9))


def test_a_class(catalog: Catalog, pictures: list[Path], tmp_path: Path) -> None:
    """Pictures, paths, descriptors and every name of a class are gone, the removed ones too."""
    before = catalog.info().learning_state
    added = catalog.add_class(SECRET, pictures)
    catalog.rename_class(SECRET, "Krypton")
    catalog.feedback(photos.photo(5, 8), "Krypton", note_only=True)
    catalog.remove([item.id for item in catalog.items("Krypton")][:1])
    use(catalog)
    assert len(traces(catalog, pictures, (SECRET, "Krypton"))) >= 12
    done = catalog.forget(labels=["Krypton"])
    assert (done.pictures, done.classes, done.head, done.rewritten) == (3, 1, None, True)
    assert traces(catalog, pictures, (SECRET, "Krypton")) == []
    use(catalog)
    assert traces(catalog, pictures, (SECRET, "Krypton")) == []
    assert added.created
    assert catalog.info().learning_state == before
    assert catalog.verify().sound
    assert counts(catalog) == dict.fromkeys(THINGS, 3)


def test_an_item(catalog: Catalog, pictures: list[Path]) -> None:
    """One item of a class is forgotten, and the others stay; so does the class's name."""
    catalog.add("cup", pictures)
    use(catalog)
    (item,) = [i.id for i in catalog.items() if i.sources == (str(pictures[1]),)]
    done = catalog.forget([item])
    assert (done.pictures, done.classes, done.emptied) == (1, 0, ())
    assert traces(catalog, [pictures[1]]) == []
    assert len(traces(catalog, [pictures[0], pictures[2]])) == 8
    assert counts(catalog)["cup"] == 5
    again = catalog.add("cup", [pictures[1]])
    assert again.added == 1


def test_a_picture_by_itself(catalog: Catalog, pictures: list[Path]) -> None:
    """An item and a photo that was kept are found by the picture; an unknown one is named."""
    catalog.add("cup", pictures[:1])
    keep(catalog, [pictures[1]])
    with pytest.raises(NotFound, match=r"knows nothing of .*002\.jpg"):
        catalog.forget(pictures=pictures)
    assert catalog.forget(pictures=pictures[:2]).pictures == 2
    assert traces(catalog, pictures) == []
    pixels = photos.scene(6)
    catalog.add("cup", [pixels])
    assert catalog.forget(pictures=[Picture(pixels)]).pictures == 1


def test_all_that_is_staged(catalog: Catalog, pictures: list[Path]) -> None:
    """Pictures that were removed and photos that were kept are forgotten, and nothing else."""
    catalog.add("cup", pictures[:1])
    catalog.undo()
    keep(catalog, [pictures[1]])
    assert catalog.info().staged == 2
    assert catalog.forget(staged=True).pictures == 2
    assert catalog.info().staged == 0
    assert traces(catalog, pictures) == []
    assert catalog.forget(staged=True).pictures == 0


def test_it_is_the_past_s_end(catalog: Catalog) -> None:
    """Neither forgetting nor what came before it can be undone; what comes after can."""
    catalog.forget([1])
    with pytest.raises(Conflict, match="for good"):
        catalog.undo()
    catalog.remove([2])
    catalog.undo()
    assert counts(catalog) == {"cup": 2, "jug": 3, "pan": 3}


def test_the_last_item_leaves_a_name(catalog: Catalog) -> None:
    """A class that lost its last item so is named, and its name can be forgotten afterwards."""
    assert catalog.forget([4, 5, 6]).emptied == ("jug",)
    assert traces(catalog, [], ("jug",))
    assert catalog.forget(labels=["jug"]).classes == 1
    assert traces(catalog, [], ("jug",)) == []


@pytest.mark.parametrize("head", ["frozen", "none"])
def test_a_head_that_was_trained_on_it(tmp_path: Path, pictures: list[Path], head: str) -> None:
    """Weights remember: a stored head goes, and the answer says how it is trained from now on."""
    with fill(tmp_path / "own.catalog", head=head) as catalog:
        catalog.add_class(SECRET, pictures)
        done = catalog.forget(labels=[SECRET])
        assert done.head == ("exact" if head == "frozen" else None)
        assert catalog.info().head == ("exact" if head == "frozen" else "none")
        with closing(sqlite3.connect(catalog.path)) as connection:
            assert connection.execute("SELECT count(*) FROM head_column").fetchone() == (0,)
        assert catalog.predict(photos.photo(1, 9)).label == "jug"


def test_a_head_that_never_saw_it(tmp_path: Path, pictures: list[Path]) -> None:
    """A photo that was only kept has taught a head nothing, so the head stays."""
    with fill(tmp_path / "own.catalog", head="frozen") as catalog:
        before = catalog.predict(photos.photo(1, 9)).head
        keep(catalog, pictures)
        assert catalog.forget(pictures=pictures).head is None
        assert catalog.predict(photos.photo(1, 9)).head == before


def test_another_process_lets_go_of_it(catalog: Catalog, pictures: list[Path]) -> None:
    """A catalogue that is open elsewhere answers without it, and writes nothing of it again."""
    catalog.add_class(SECRET, pictures)
    with reopen(catalog.path) as second:
        assert second.predict(pictures[0]).label == SECRET
        second.nearest(pictures[0])
        catalog.forget(labels=[SECRET])
    assert traces(catalog, pictures, (SECRET,)) == []
    with reopen(catalog.path) as second:
        assert second.predict(pictures[0]).label != SECRET
        second.nearest(pictures[0])
        catalog.add_class(SECRET, pictures)
        second.nearest(pictures[0])
        catalog.forget(labels=[SECRET])
        assert {near.label for near in second.nearest(pictures[0], 20)} == set(THINGS)
    assert traces(catalog, pictures, (SECRET,)) == []


def test_while_another_process_reads(
    catalog: Catalog, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is forgotten at once; the file is written anew later, when nobody reads it."""
    catalog.add_class(SECRET, pictures)
    monkeypatch.setattr(catalog._store, "_busy_seconds", 0.1)
    rewrite = catalog._store.rewrite

    def while_reading() -> bool:
        with reopen(catalog.path) as second, second._store.reading() as tx:
            tx.execute("SELECT count(*) FROM item").fetchone()
            return rewrite()

    monkeypatch.setattr(catalog._store, "rewrite", while_reading)
    done = catalog.forget(labels=[SECRET])
    assert (done.pictures, done.rewritten) == (3, False)
    monkeypatch.undo()
    assert catalog.forget(rewrite=True).rewritten
    assert traces(catalog, pictures, (SECRET,)) == []


def test_while_another_thread_learns(catalog: Catalog, pictures: list[Path]) -> None:
    """What is forgotten waits for it when all is written, so that no other process does."""
    catalog.add_class(SECRET, pictures)
    learning, written = threading.Event(), threading.Event()

    def learn(*_: object) -> None:
        learning.set()
        assert written.wait(60)

    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(catalog._keeper.compute, learn)
        assert learning.wait(60)
        forgetting = pool.submit(catalog.forget, labels=[SECRET])
        with reopen(catalog.path) as second:
            while SECRET in counts(second):
                assert not forgetting.done()
            second.rename_class("cup", "mug")  # which would be locked out
        written.set()
        busy.result()
        assert forgetting.result().classes == 1
    assert traces(catalog, pictures, (SECRET,)) == []


def test_refusals(catalog: Catalog) -> None:
    """Nothing named, nothing there, and sums that cannot be told apart any more."""
    with pytest.raises(InvalidInput, match="nothing was named"):
        catalog.forget()
    with pytest.raises(NotFound, match="no item 99"):
        catalog.forget([1, 99])
    with pytest.raises(NotFound, match="no class 'cúp'"):
        catalog.forget(labels=["cúp"])
    with pytest.raises(InvalidInput, match="as a list"):
        catalog.forget(labels="cup")
    catalog.compact(["pan"])
    with pytest.raises(Conflict, match="sums cannot be taken out"):
        catalog.forget(labels=["pan"])
    with pytest.raises(Conflict, match="item 7 was dropped"):
        catalog.forget([7])
    assert counts(catalog) == dict.fromkeys(THINGS, 3)


def test_names_that_were_undone(catalog: Catalog) -> None:
    """A name that a class had for a while, and that was taken back, is forgotten, too."""
    catalog.rename_class("cup", SECRET)
    catalog.undo()
    assert traces(catalog, [], (SECRET,))
    catalog.forget(labels=["cup"])
    assert traces(catalog, [], (SECRET, "cup")) == []


def test_a_name_that_only_the_journal_says(catalog: Catalog) -> None:
    """A class that was named in a note and never made can be forgotten by its name."""
    catalog.feedback(photos.photo(5), SECRET, note_only=True)
    done = catalog.forget(labels=[SECRET])
    assert (done.pictures, done.classes) == (0, 1)
    assert traces(catalog, [], (SECRET,)) == []


def test_what_is_said_of_others_stays(catalog: Catalog) -> None:
    """Words of the journal that happen to be a name stay, and so does what bore it since."""
    catalog.add_class("confirmed", photos.shots(6, 2))
    catalog.feedback(photos.photo(0, 8), "cup")
    catalog.rename_class("cup", "mug")
    catalog.add_class("cup", photos.shots(7, 2))
    before = {event.id: dict(event.detail) for event in catalog.history()}
    catalog.forget(labels=["mug", "confirmed"])
    after = {event.id: dict(event.detail) for event in catalog.history()}
    assert after[5]["outcome"] == "confirmed"
    assert after[7] == before[7]
    assert after[1]["label"] == after[4]["label"] == after[6]["label"] == "(forgotten)"


def test_a_metric_without_columns(tmp_path: Path) -> None:
    """What a head was whitened with remembers, too, after its columns were dropped."""
    with fill(tmp_path / "own.catalog", head="frozen") as catalog:
        catalog.train_head("exact")
        catalog.compact(["pan"])
        catalog.forget([1])
        with closing(sqlite3.connect(catalog.path)) as connection:
            assert connection.execute("SELECT count(metric) FROM head").fetchone() == (0,)
        assert catalog.info().head == "exact"


def test_a_share_of_the_metric(catalog: Catalog) -> None:
    """What a class left in the metric when it was removed inexactly is told."""
    catalog.compact(["pan"])
    catalog.remove_class("pan", inexact=True)
    assert catalog.forget(labels=["pan"]).in_metric == 3


def test_a_kill_before_the_file_is_written_anew(catalog: Catalog, pictures: list[Path]) -> None:
    """What was cut short is finished by asking for that alone, and loses nothing else."""
    catalog.add_class(SECRET, pictures)
    keep(catalog, photos.draw(pictures[0].parent, 6, 1, first=50))
    use(catalog)

    def kill() -> None:
        raise KeyboardInterrupt

    with armed("rewriting", kill), pytest.raises(KeyboardInterrupt):
        catalog.forget(labels=[SECRET])
    done = catalog.forget(rewrite=True)
    assert (done.pictures, done.event, done.rewritten) == (0, None, True)
    assert traces(catalog, pictures, (SECRET,)) == []
    assert catalog.audit().kept == 1


def test_a_link_to_the_file(catalog: Catalog, pictures: list[Path]) -> None:
    """Whoever opens the catalogue by a link has the same cache folder."""
    catalog.add_class(SECRET, pictures)
    link = catalog.path.with_name("link.catalog")
    link.symlink_to(catalog.path)
    with reopen(link) as second:
        second.nearest(pictures[0])
    assert not link.with_name("link.catalog.cache").exists()


def test_a_photo_that_is_being_judged(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo that another process forgets between its embedding and its use is a plain error."""

    def and_forget(*arguments: Any, **options: Any) -> Any:
        found = stage_for(*arguments, **options)
        with reopen(catalog.path) as second:
            second.forget(staged=True)
        return found

    for call in ("feedback", "add"):
        monkeypatch.setattr(f"catalog.changes.{call}.stage_for", and_forget)
    for ask in (
        lambda: catalog.feedback(photos.photo(8), "cup"),
        lambda: catalog.add("cup", [photos.photo(8)]),
    ):
        with pytest.raises(Conflict, match="forgotten meanwhile"):
            ask()
