"""Pictures on their way into the store: in order, some ahead, and nothing said before it is so."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.changes import staging
from catalog.changes.staging import Staged, Staging
from catalog.descriptors import InvalidInput, Locked
from catalog.embedder import MobileNetEmbedder, Picture, Source, content_hash
from catalog.embedder.model_cache import Model
from catalog.manifest import pictures
from catalog.manifest.pictures import HeldPicture, Refusal, hold_each
from catalog.store import failpoints

BATCH = 4
WORKERS = 2
BAD = (b"", b"text", "/nowhere/photo.jpg")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four pictures, and four that are read ahead."""
    monkeypatch.setattr(staging, "_BATCH_PICTURES", BATCH)
    monkeypatch.setattr(pictures, "_AHEAD_PICTURES", BATCH)


@pytest.fixture(params=["real", "double"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, tiny_model: Model) -> Iterator[Catalog]:
    """An empty catalogue, with the real embedder over a tiny network, and with the double."""
    embedder = (
        FakeEmbedder()
        if request.param == "double"
        else MobileNetEmbedder(tiny_model, threads=WORKERS)
    )
    with Catalog.init(tmp_path / "shop.catalog", embedder=embedder) as made:
        yield made
    embedder.close()


@pytest.fixture
def real(tmp_path: Path, tiny_model: Model) -> Iterator[Catalog]:
    """An empty catalogue with the real embedder."""
    embedder = MobileNetEmbedder(tiny_model, threads=WORKERS)
    with Catalog.init(tmp_path / "shop.catalog", embedder=embedder) as made:
        yield made
    embedder.close()


def stored(shop: Catalog) -> set[bytes]:
    """The pictures whose descriptors another connection sees."""
    with Catalog.open(shop.path, embedder=shop.embedder) as other, other._store.reading() as tx:
        return {bytes(row[0]) for row in tx.execute("SELECT content FROM item")}


def threads(name: str) -> int:
    """How many threads there are of that kind."""
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


def mixed() -> list[Source]:
    """Good pictures and bad ones, some of them twice, near and far apart."""
    good = [photos.photo(thing) for thing in range(11)]
    return [*good[:3], BAD[0], good[1], *good[3:8], *BAD, good[0], *good[8:], BAD[1], good[10]]


def test_outcomes_are_in_order_and_on_disk(shop: Catalog) -> None:
    """Each picture's outcome stands in its place, and comes when its descriptor is stored."""
    given = mixed()
    outcomes: list[Staged | Refusal] = []
    for outcome in Staging(shop).stage(given):
        if isinstance(outcome, Staged):
            assert outcome.content in stored(shop)
        outcomes.append(outcome)
    assert len(outcomes) == len(given)
    reasons = {b"": "empty", b"text": "unsupported", "/nowhere/photo.jpg": "unreadable"}
    for source, outcome in zip(given, outcomes, strict=True):
        if isinstance(outcome, Staged):
            assert isinstance(source, bytes)
            assert outcome.content == content_hash(source)
        else:
            assert not isinstance(source, np.ndarray)
            assert outcome.reason == reasons[source]  # type: ignore[index]
    descriptors = {content_hash(photos.photo(thing)) for thing in range(11)}
    assert stored(shop) == descriptors


def test_no_picture_is_embedded_twice(tmp_path: Path) -> None:
    """Not even one that is come by again before it is stored, or that was refused."""
    embedder = FakeEmbedder()
    with Catalog.init(tmp_path / "shop.catalog", embedder=embedder) as shop:
        before = embedder.embedded
        list(Staging(shop).stage([*mixed(), *mixed()]))
        list(Staging(shop).stage(mixed()))
        assert embedder.embedded == before + 11


def test_a_batch_that_is_known_waits_for_nothing(shop: Catalog) -> None:
    """Its outcomes are given before a picture behind it is embedded."""
    known = photos.shots(0, 2 * BATCH)
    list(Staging(shop).stage(known))
    with closing(Staging(shop).stage([*known, *photos.shots(1, 3 * BATCH)])) as outcomes:
        list(itertools.islice(outcomes, len(known)))
        assert len(stored(shop)) == len(known)


def test_the_next_batch_is_under_way_while_one_is_stored(real: Catalog) -> None:
    """When a batch is stored the embedder has been given more, but only a few."""
    taken = 0
    seen = []

    def endless() -> Iterator[bytes]:
        nonlocal taken
        for shot in itertools.count():
            taken += 1
            yield photos.photo(0, shot)

    with (
        failpoints.armed("staged", lambda: seen.append(taken)),
        closing(Staging(real).stage(endless())) as outcomes,
    ):
        for _ in range(5 * BATCH):
            next(outcomes)
    for number, at in enumerate(seen, 1):
        assert number * BATCH < at
        assert at <= number * BATCH + 3 * WORKERS + 2 * BATCH + 2


def test_reading_ahead_is_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large pictures fewer are read ahead."""
    monkeypatch.setattr(pictures, "_AHEAD_PICTURES", 1000)
    monkeypatch.setattr(pictures, "_READERS", 1)
    monkeypatch.setattr(pictures, "_AHEAD_BYTES", 5 * photos.scene(0).nbytes)
    hold, read = pictures.hold, threading.Semaphore(1)

    def counted(picture: Picture) -> HeldPicture:
        try:
            return hold(picture)
        finally:
            read.release()

    monkeypatch.setattr(pictures, "hold", counted)
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            assert read.acquire(timeout=60)  # no more than one is not read yet
            taken += 1
            yield photos.scene(0)

    with closing(hold_each(endless())) as held:
        for _ in range(20):
            next(held)
        assert taken < 40


@pytest.mark.parametrize("good", [0, 2, 2 * BATCH, 3 * BATCH + 1])
def test_an_error_comes_in_its_turn(shop: Catalog, good: int) -> None:
    """What is no picture at all ends it, after the outcomes of what came before it."""
    given = [*photos.shots(0, good), 7, *photos.shots(1, 3)]
    outcomes: list[Staged | Refusal] = []
    with pytest.raises(InvalidInput, match="int"):
        outcomes.extend(Staging(shop).stage(given))  # type: ignore[arg-type]
    assert len(outcomes) == good
    assert len(stored(shop)) == good


def test_an_error_of_the_listing_comes_in_its_turn(shop: Catalog) -> None:
    """So does what goes wrong where the pictures come from."""

    def listing() -> Iterator[bytes]:
        yield from photos.shots(0, BATCH + 1)
        raise OSError("the camera was unplugged")

    outcomes: list[Staged | Refusal] = []
    with pytest.raises(OSError, match="unplugged"):
        outcomes.extend(Staging(shop).stage(listing()))
    assert len(outcomes) == BATCH + 1


def ended(shop: Catalog) -> bool:
    """Whether nothing is left to do for any thread, soon."""
    for _ in range(1000):
        if not threads("reader") and not shop.embedder._workers.pool._work_queue.qsize():  # type: ignore[attr-defined]
            return True
        time.sleep(0.01)
    return False


def begun(shop: Catalog, outcomes: Generator[Staged | Refusal]) -> None:
    """Take some outcomes; there are threads then."""
    for _ in range(BATCH):
        next(outcomes)
    assert threads("reader")


def test_closing_leaves_no_thread_at_work(real: Catalog) -> None:
    """Whoever stops asking stops the work."""
    outcomes = Staging(real).stage(photos.photo(0, shot) for shot in itertools.count())
    begun(real, outcomes)
    outcomes.close()
    assert ended(real)


def test_an_interruption_leaves_no_thread_at_work(
    real: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does Ctrl-C while the store is written, even while its traceback is held on to."""
    outcomes = Staging(real).stage(photos.photo(0, shot) for shot in itertools.count())
    begun(real, outcomes)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with failpoints.armed("staged", interrupt), pytest.raises(KeyboardInterrupt) as held:
        list(outcomes)
    assert ended(real)
    del held


def test_a_store_that_cannot_be_written(real: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is raised to the caller, and nothing that is not stored was given."""

    def locked(self: object) -> None:
        raise Locked("the catalogue is busy")

    outcomes = Staging(real).stage(photos.photo(0, shot) for shot in itertools.count())
    begun(real, outcomes)
    monkeypatch.setattr(type(real._store), "writing", locked)
    with pytest.raises(Locked):
        list(outcomes)
    monkeypatch.undo()
    assert ended(real)
    assert len(stored(real)) == BATCH
