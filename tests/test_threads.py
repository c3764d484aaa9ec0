"""One catalogue asked by many threads at once, while others change it."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import photos
import pytest
import soak_page
from doubles import FakeEmbedder

from catalog import Catalog, Entry, Neighbour, Picture, Prediction
from catalog.descriptors import Conflict, LabelConflict, NotFound
from catalog.judging import calibration, cross_fit
from catalog.learning import keeper
from catalog.learning.kinds import KINDS
from catalog.learning.learning import Learning
from catalog.store.files import cache_folder
from catalog.store.moment import Moment

CLASSES, SHOTS = 8, 3
WANDERING = 20
"""The thing whose pictures go to and fro between two classes, all of them in one command."""

ASKERS = 8


def opened(path: Path) -> Catalog:
    """Open the shop."""
    return Catalog.open(path, embedder=FakeEmbedder())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """Eight classes, and one whose pictures wander."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        made.import_(
            Entry(f"thing {thing}", Picture(content))
            for thing in (*range(CLASSES), WANDERING)
            for content in photos.shots(thing, SHOTS)
        )
        yield made


CONTENTS = {sha256(content).hexdigest() for content in photos.shots(WANDERING, SHOTS)}


def wander(path: Path, stop: Path) -> int:
    """Move the wandering pictures to and fro in a process of its own; how often."""
    moves = 0
    with opened(path) as catalog:
        while not stop.exists():
            present = catalog.items()
            label = next(item.label for item in present if item.content in CONTENTS)
            items = [item.id for item in present if item.label == label]
            with contextlib.suppress(LabelConflict):  # if an undo has brought them back already
                catalog.move(items, "elsewhere" if label == "thing 20" else "thing 20", new=True)
                moves += 1
    return moves


def change(catalog: Catalog, stop: threading.Event) -> int:
    """Add a class, undo it, add and remove pictures, train; how often."""
    rounds = 0
    while not stop.is_set():
        catalog.add_class("passing", photos.shots(40 + rounds % 9, 2))
        catalog.add("passing", photos.shots(40 + rounds % 9, 1, first=5))
        catalog.undo()
        with contextlib.suppress(NotFound):  # if the undone command was the first one
            catalog.remove_class("passing")
        if rounds % 5 == 0:
            with contextlib.suppress(Conflict):  # someone changed it while the head was solved
                catalog.train_head("frozen" if rounds % 10 == 0 else "exact")
        rounds += 1
    return rounds


def ask(catalog: Catalog, number: int, times: int) -> int:
    """Ask, and check each answer; how many were given."""
    asked = photos.photo(WANDERING, 7)
    for time in range(times):
        near = catalog.nearest(asked, 200)
        check_whole(near)
        answer = catalog.predict(photos.photo(time % CLASSES, 8))
        assert isinstance(answer, Prediction)
        assert answer.label is not None
        assert len({one.label for one in answer.centroid}) == len(answer.centroid)
        if time % 10 == 0:
            check_own(catalog, f"mine {number} {time}", photos.photo(60 + number, 100 + time))
    return times


def check_own(catalog: Catalog, label: str, picture: bytes) -> None:
    """What one has written is in one's next answer, unless someone has undone it meanwhile."""
    catalog.add_class(label, [picture])
    found = catalog.nearest(picture, 1)[0]
    if (found.label, found.score > 0.9999) != (label, True):
        assert undone(catalog, "add", label)
        return
    try:
        catalog.remove_class(label)
    except NotFound:
        assert undone(catalog, "add", label)
        return
    if label in {one.label for one in catalog.nearest(picture, 200)}:
        assert undone(catalog, "remove-class", label)


def undone(catalog: Catalog, kind: str, label: str) -> bool:
    """Whether what was done to a class was taken back."""
    return any(
        (one.kind, one.detail.get("label")) == (kind, label) and one.undone_by
        for one in catalog.history()
    )


def check_whole(near: list[Neighbour]) -> None:
    """Every state has the wandering pictures in one class, and each item once."""
    items = [one.item for one in near]
    assert len(set(items)) == len(items)
    homes = {one.label for one in near} & {"elsewhere", "thing 20"}
    assert len(homes) == 1
    assert sum(one.label in homes for one in near) == SHOTS


def contend(shop: Catalog, times: int) -> dict[str, int]:
    """Eight threads ask while a thread and a process write."""
    stop, halt = threading.Event(), shop.path.with_name("halt")
    with (
        get_context("spawn").Pool(1) as other,
        ThreadPoolExecutor(ASKERS + 1) as pool,
    ):
        wandering = other.apply_async(wander, (shop.path, halt))
        try:
            changing = pool.submit(change, shop, stop)
            askers = [pool.submit(ask, shop, number, times) for number in range(ASKERS)]
            answers = sum(asker.result() for asker in askers)
        finally:
            stop.set()
            halt.touch()
        found = {
            "answers": 2 * answers,
            "rounds of a thread": changing.result(),
            "moves of a process": wandering.get(60),
        }
    assert shop.verify().sound
    return found


def test_eight_threads_ask_while_others_write(shop: Catalog) -> None:
    """No error, every answer of one state, and one's own writes always in it."""
    found = contend(shop, 15)
    assert all(found.values())


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_questions(shop: Catalog) -> None:
    """The same with a thousand questions a thread."""
    found = contend(shop, 1000)
    soak_page.record(
        "Threads",
        "Eight threads ask one open catalogue, a ninth adds, undoes, removes and trains, another "
        "process moves pictures to and fro. No error; every answer is of one state; what a "
        "thread has just written is in its next answer.",
        found,
    )


def in_threads(count: int, call: Callable[[], object]) -> list[object]:
    """What comes of a call that so many threads make at the same moment."""
    together = threading.Barrier(count)

    def run() -> object:
        together.wait(60)
        return call()

    with ThreadPoolExecutor(count) as pool:
        running: list[Future[object]] = [pool.submit(run) for _ in range(count)]
        return [one.result() for one in running]


def test_all_ask_one_snapshot(shop: Catalog) -> None:
    """Threads that ask at once get one snapshot, built once."""
    shop.add("thing 0", photos.shots(0, 1, first=9))
    found = in_threads(8, lambda: shop._keeper.judge(lambda snapshot: snapshot))
    assert len({id(one) for one in found}) == 1


def test_answers_are_those_of_one_thread(shop: Catalog) -> None:
    """What eight threads are told at once is what one is told."""
    alone = [shop.predict(photos.photo(thing, 8)) for thing in range(CLASSES)]
    found = in_threads(
        8, lambda: [shop.predict(photos.photo(thing, 8)) for thing in range(CLASSES)]
    )
    assert all(one == alone for one in found)


def test_a_writer_does_not_wait_for_a_calibration(
    shop: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an answer is being computed, the catalogue is written, by this process or another."""
    learn, computing, written = calibration.learn, threading.Event(), threading.Event()

    def slowly(held_out: object) -> object:
        computing.set()
        assert written.wait(60)
        return learn(held_out)  # type: ignore[arg-type]

    monkeypatch.setattr(calibration, "learn", slowly)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(shop.predict, photos.photo(0, 8))
        assert computing.wait(60)
        shop.add("thing 0", photos.shots(0, 1, first=9))
        with opened(shop.path) as other:
            other.add("thing 1", photos.shots(1, 1, first=9))
        written.set()
        assert asking.result().label == "thing 0"
    assert len(shop.items("thing 0")) == SHOTS + 1


@pytest.mark.parametrize("way", ["exact", "frozen"])
def test_a_catalogue_that_never_stands_still(
    shop: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """Questions are answered though a class is added whenever something is learnt for them.

    Each answer is of one state: a stored head has the classes that it is asked about.
    """
    shop.train_head(way)
    things = itertools.count(30)
    added = threading.local()

    def grow_first(name: str) -> None:
        learn = getattr(Learning, name)

        def grown(self: Learning, moment: Moment) -> object:
            if not getattr(added, "now", False):
                added.now = True
                with opened(shop.path) as other:
                    other.add_class(
                        f"thing {next(things)}", photos.shots(30, 1, first=next(things))
                    )
                added.now = False
            return learn(self, moment)

        monkeypatch.setattr(Learning, name, grown)

    for name in ("head", "state", "metric"):
        grow_first(name)
    for _ in range(3):
        held = shop._keeper.judge(lambda snapshot: snapshot)
        assert held.head is not None
        assert set(held.head.head.classes.tolist()) == set(held.moment.order)
        before = next(things)
        info = shop.info()
        assert info.classes == info.generation - 1  # each is an event, and so is the training
        assert shop.predict(photos.photo(0, 8)).label == "thing 0"
        shop.export(tmp_path / f"{before}.npz")
        assert next(things) > before + 4  # it did move meanwhile


def test_what_took_long_is_saved_at_once(shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed after an answer has not computed in vain."""
    monkeypatch.setattr(keeper, "UNSAVED_SECONDS", 0)
    shop.predict(photos.photo(0, 8))
    assert {file.name for file in cache_folder(shop.path).iterdir()} >= set(KINDS)
    monkeypatch.setattr(cross_fit.Pool, "cross_fit", lambda _: pytest.fail("measured again"))
    with opened(shop.path) as other:
        assert other.predict(photos.photo(0, 8)) == shop.predict(photos.photo(0, 8))


def test_a_snapshot_is_asked_after_the_store_has_moved(shop: Catalog) -> None:
    """What one holds is not changed by what is written later: it goes on giving its answers."""
    held = shop._keeper.nearest(lambda snapshot: snapshot)
    items, rows = held.moment.items.copy(), held.index.rows.to_arrays()["rows"].copy()
    shop.add_class("new", photos.shots(30, 3))
    shop.remove_class("thing 0")
    shop.nearest(photos.photo(0))
    np.testing.assert_array_equal(held.moment.items, items)
    np.testing.assert_array_equal(held.index.rows.to_arrays()["rows"], rows)
    assert shop._keeper.nearest(lambda snapshot: snapshot) is not held


@pytest.mark.parametrize("final", ["compact", "forget"])
def test_descriptors_that_go_while_they_are_read(
    shop: Catalog, monkeypatch: pytest.MonkeyPatch, final: str
) -> None:
    """What is learnt of a state whose descriptors were dropped meanwhile is learnt anew."""
    blocks, done = type(shop._rows).blocks, threading.Event()

    def drop_first(self: object, items: object) -> object:
        if not done.is_set():
            done.set()
            with opened(shop.path) as other:
                if final == "compact":
                    other.compact(["thing 0"])
                else:
                    other.forget(labels=["thing 0"])
        return blocks(self, items)  # type: ignore[arg-type]

    shop._keeper.discard()
    monkeypatch.setattr(type(shop._rows), "blocks", drop_first)
    near = shop.nearest(photos.photo(1, 8), 200)
    assert done.is_set()
    assert "thing 0" not in {one.label for one in near}
    assert len(near) == CLASSES * SHOTS
