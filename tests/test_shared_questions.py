"""Questions of many callers at once: the answers are those of one caller alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
import two_embedders
from doubles import FakeEmbedder
from numpy.testing import assert_allclose

from catalog import Catalog, Entry, Neighbour, Picture, PictureError, Prediction
from catalog.descriptors import Conflict, InvalidInput, NotFound
from catalog.questions.shared import MOST_AT_ONCE, SharedQuestions

CLASSES = 12


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """Twelve classes of four photos."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        made.import_(
            Entry(f"thing {thing}", Picture(content))
            for thing in range(CLASSES)
            for content in photos.shots(thing, 4)
        )
        yield made


@pytest.fixture
def shared(shop: Catalog) -> Iterator[SharedQuestions]:
    """Its questions, shared."""
    questions = SharedQuestions(shop)
    yield questions
    questions.close()


def same(one: Any, other: Any) -> None:
    """Two answers are the same, but for rounding."""
    if isinstance(one, float):
        assert_allclose(one, other, atol=1e-5)
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif isinstance(one, Neighbour | Prediction) or hasattr(one, "__slots__"):
        for name in one.__slots__:
            same(getattr(one, name), getattr(other, name))
    else:
        assert one == other


def test_the_answers_are_those_of_one_caller(shop: Catalog, shared: SharedQuestions) -> None:
    """Pictures and descriptors, asked in several ways at once, by many threads."""
    asked = [photos.photo(thing, 40) for thing in range(CLASSES)]
    rows = [shop.embed(one) for one in asked]
    ways: list[tuple[str, Any, dict[str, Any]]] = []
    for one in (*asked, *rows):
        ways += [("nearest", one, {"k": k}) for k in (1, 5)]
        ways += [("predict", one, {"top": top, "counts": False}) for top in (1, 4)]
        ways += [("predict", one, {"precision": 0.9, "counts": False})]
    with ThreadPoolExecutor(8) as pool:
        futures = list(pool.map(lambda w: getattr(shared, w[0])(w[1], **w[2]), ways * 3))
    for (name, one, keywords), future in zip(ways * 3, futures, strict=True):
        same(future.result(60), getattr(shop, name)(one, **keywords))
    assert shared.under_way == 0


def test_those_that_wait_are_looked_up_together(
    shop: Catalog, shared: SharedQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one batch is looked up, what comes meanwhile makes the next, of one way each."""
    row = shop.embed(photos.photo(0, 40))
    shared.nearest(row).result(60)
    sizes, go_on = list[int](), threading.Event()
    keeper = shop._bound.keeper
    ask = keeper.nearest

    def slow(question: Any) -> Any:
        found = ask(question)
        sizes.append(len(found))
        go_on.wait(60)
        return found

    monkeypatch.setattr(keeper, "nearest", slow)
    first = shared.nearest(row, 3)
    while not sizes:
        go_on.wait(0.001)
    later = [shared.nearest(row, 4) for _ in range(MOST_AT_ONCE + 5)] + [shared.nearest(row, 5)]
    assert shared.under_way == len(later) + 1
    go_on.set()
    for future in (first, *later):
        assert future.result(60)
    assert sizes == [1, MOST_AT_ONCE, 5, 1]


def test_one_that_fails_fails_alone(shop: Catalog, shared: SharedQuestions) -> None:
    """A picture or a descriptor that is refused takes no other with it."""
    row = shop.embed(photos.photo(0, 40))
    good = [shared.predict(row, counts=False) for _ in range(5)]
    bad = shared.predict(row[:-1], counts=False)
    zero = shared.predict(np.zeros_like(row), counts=False)
    spoilt = shared.predict(b"no picture", counts=False)
    good += [shared.predict(photos.photo(0, 41), counts=False) for _ in range(5)]
    labels = [shop.predict(one).label for one in (row, photos.photo(0, 41))]
    assert [future.result(60).label for future in good] == [labels[0]] * 5 + [labels[1]] * 5
    for future in (bad, zero):
        with pytest.raises(InvalidInput):
            future.result(60)
    with pytest.raises(PictureError):
        spoilt.result(60)
    with pytest.raises(InvalidInput):
        shared.nearest(row, 0).result(60)
    with pytest.raises(InvalidInput):
        shared.predict(row, precision=2)


def test_what_was_written_before_is_in_the_answer(shop: Catalog, shared: SharedQuestions) -> None:
    """However many ask meanwhile, a question sees what was written before it."""
    stop = threading.Event()

    def ask_on() -> int:
        asked = 0
        while not stop.is_set():
            shared.predict(photos.photo(asked % CLASSES, 50), counts=False).result(60)
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(ask_on) for _ in range(4)]
        try:
            for number in range(12):
                picture = photos.photo(60, 100 + number)
                shop.add_class(f"new {number}", [picture])
                assert shared.nearest(picture, 1).result(60)[0].label == f"new {number}"
                shop.remove_class(f"new {number}")
                found = shared.nearest(picture, 200).result(60)
                assert f"new {number}" not in {one.label for one in found}
        finally:
            stop.set()
        assert all(other.result() for other in others)


def test_verdicts_are_counted(shop: Catalog, shared: SharedQuestions) -> None:
    """As they are for one caller, unless that is not wanted."""
    row = shop.embed(photos.photo(0, 40))
    for counts in (True, True, True, False):
        shared.predict(row, counts=counts).result(60)
    shop._asked.write()
    assert shop.audit().asked == 3


def test_nobody_waits_for_what_is_cancelled(shop: Catalog, shared: SharedQuestions) -> None:
    """A question that nobody waits for any more harms no other."""
    futures = [shared.nearest(photos.photo(thing % CLASSES, 40)) for thing in range(40)]
    for future in futures[::2]:
        future.cancel()
    assert all(future.result(60) for future in futures if not future.cancelled())
    assert shared.under_way == 0


def test_like_an_item(shop: Catalog, shared: SharedQuestions) -> None:
    """An item is asked about as a picture is, and what is wrong with it comes with the answer."""
    first, second, third = (item.id for item in shop.items()[:3])
    for k in (1, 5, 100):
        same(shared.like(second, k).result(60), shop.nearest(item=second, k=k))
    shop.remove([third])
    assert third not in {near.item for near in shared.like(first, 100).result(60)}
    shop.compact([shop.item(first).label])
    with pytest.raises(Conflict, match="was dropped"):
        shared.like(first).result(60)
    for unknown in (third, 10**6, -1):
        with pytest.raises(NotFound):
            shared.like(unknown).result(60)
    with pytest.raises(InvalidInput):
        shared.like("1")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        shared.like(shop.items("thing 5")[0].id, 0).result(60)
    assert shared.under_way == 0


def test_asked_while_it_is_closed(shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes while what was asked is finished is refused, and what was begun is answered."""
    questions, begun, go_on = SharedQuestions(shop), threading.Event(), threading.Event()
    embed = FakeEmbedder.embed

    def slowly(self: FakeEmbedder, picture: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return embed(self, picture)

    monkeypatch.setattr(FakeEmbedder, "embed", slowly)
    first = questions.nearest(photos.photo(0, 40))
    assert begun.wait(60)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(questions.close)
        while not questions._embedding._shutdown:
            assert not closing.done()
        for asked in (photos.photo(1, 40), np.ones(64, np.float32)):
            with pytest.raises(InvalidInput, match="closed"):
                questions.nearest(asked)
        go_on.set()
        closing.result(60)
    assert first.result().pop().label
    assert questions.under_way == 0


def test_closed(shop: Catalog) -> None:
    """What was asked is answered; then there are no more."""
    questions = SharedQuestions(shop)
    futures = [questions.predict(photos.photo(thing, 40)) for thing in range(CLASSES)]
    questions.close()
    assert all(future.done() for future in futures)
    for thing, future in enumerate(futures):
        assert future.result().label == shop.predict(photos.photo(thing, 40)).label
    with pytest.raises(InvalidInput):
        questions.nearest(photos.photo(0, 40))


def test_another_embedder_takes_over(tmp_path: Path) -> None:
    """While many ask, the catalogue goes to and fro; no answer mixes the two, and none fails."""
    folder = two_embedders.drawn(tmp_path / "photos")
    two_embedders.made(tmp_path / "shop.catalog", folder).close()
    with two_embedders.opened(tmp_path / "shop.catalog") as shop:
        shop.reindex(embedder=two_embedders.NEW)
        pictures = {item.id: Path(item.sources[0]).read_bytes() for item in shop.items()}
        questions, stop = SharedQuestions(shop), threading.Event()

        def ask_on() -> int:
            asked = 0
            while not stop.is_set():
                for number, picture in pictures.items():
                    (near,) = questions.nearest(picture, 1).result(60)
                    assert (near.item, near.score > 0.9999) == (number, True)
                    asked += 1
            return asked

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask_on) for _ in range(4)]
            try:
                for _ in range(10):
                    shop.promote()
                    stop.wait(0.05)
                    shop.back()
            finally:
                stop.set()
            assert all(one.result() for one in asking)
        questions.close()
