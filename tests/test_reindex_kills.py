"""Reindexing killed at random, with writes in between and questions all the time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import photos
import pytest
import soak_page
from cups_and_jugs import THINGS
from doubles import FakeEmbedder
from two_embedders import at_once, state

from catalog import Catalog
from catalog.descriptors import CatalogError

OLD, NEW = FakeEmbedder(width=16), FakeEmbedder(width=14, seed=1)

CHILD = """
import sys, time
from doubles import FakeEmbedder
from catalog import Catalog
class Slow(FakeEmbedder):
    def embed(self, picture):
        time.sleep(0.004)  # so that a kill finds it at work
        return super().embed(picture)
old, new = FakeEmbedder(width=16), Slow(width=14, seed=1)
with Catalog.open(sys.argv[1], embedder=(old, new)) as shop:
    print("begun", flush=True)
    if sys.argv[2] == "reindex":
        shop.reindex(embedder=new)
    elif shop.info().fingerprint != new.specification.fingerprint:
        shop.promote()
"""


def opened(path: Path) -> Catalog:
    """The catalogue, as another process would open it."""
    return Catalog.open(path, embedder=(OLD, NEW))


class Asking:
    """Questions without a pause, by threads of one process that has the catalogue open.

    Attributes:
        answered: how many were.
        failed: what went wrong.
    """

    def __init__(self, path: Path, threads: int = 2) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._path = path
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[n]) for n in range(threads)]

    def __enter__(self) -> Asking:
        self._catalog = opened(self._path)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._catalog.close()

    def _ask(self, thing: int) -> None:
        query = photos.photo(thing, 30)
        while not self._stop.is_set():
            try:
                found = self._catalog.nearest(query, 3)
                # Scores of the whitened picture and itself: of two embedders they would be no such.
                if not found or any(not -1.001 <= one.score <= 1.001 for one in found):
                    self.failed.append(str(found))
                if self._catalog.predict(query).label is None:
                    self.failed.append("no answer")
                self.answered += 2
            except Exception as error:  # noqa: BLE001
                self.failed.append(repr(error))
                return

    def until(self, answered: int) -> None:
        """Wait until there were so many answers."""
        while self.answered < answered and not self.failed:
            time.sleep(0.01)


def writing(shop: Catalog, folder: Path, rng: random.Random, number: int) -> str:
    """Change the catalogue in some way, from pictures that lie in files."""

    def add_class() -> object:
        return shop.add_class(f"new {number}", photos.draw(folder / f"new {number}", number, 3))

    def add() -> object:
        return shop.add("cup", photos.draw(folder / f"more {number}", 0, 2, first=100 + number))

    def remove() -> object:
        return shop.remove([rng.choice(shop.items("jug")).id])

    def forget() -> object:
        return shop.forget([rng.choice(shop.items("pan")).id])

    act: Callable[[], object] = rng.choice([add_class, add, add, remove, shop.undo, forget])
    try:
        act()
    except (CatalogError, IndexError) as error:  # there is nothing to undo, or to take
        return f"{act}: {error}"
    return ""


def killed(path: Path, folder: Path, rng: random.Random, kills: int, goal: str) -> int:
    """Reindex in processes that are killed, with a write after each; returns how many were hit."""
    places = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    command = [sys.executable, "-c", CHILD, str(path), goal]
    hit = 0
    with opened(path) as shop:
        for number in range(kills):
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": places}
            )
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(rng.uniform(0, 0.3))
            child.send_signal(signal.SIGKILL)
            hit += child.wait() == -signal.SIGKILL
            child.stdout.close()
            writing(shop, folder, rng, 10 + number)
    return hit


def trial(folder: Path, kills: int, questions: int, seed: int = 0) -> tuple[int, int]:
    """Bring another embedder in, go over, back and forth; returns kills and questions."""
    rng, path = random.Random(seed), folder / "shop.catalog"
    with Catalog.init(path, embedder=OLD) as shop:
        for thing, label in enumerate(THINGS):
            shop.add_class(label, photos.draw(folder / label, thing, 30))
    with Asking(path) as asking:
        hit = killed(path, folder / "in between", rng, kills, "reindex")
        with opened(path) as shop:
            shop.reindex(embedder=NEW)
            assert shop.promote().removed == ()
            assert state(shop) == at_once(folder / "1.catalog", shop, NEW)
            shop.back()
            assert state(shop) == at_once(folder / "2.catalog", shop, OLD)
        hit += killed(path, folder / "later", rng, max(kills // 4, 1), "promote")
        with opened(path) as shop:
            if shop.info().fingerprint != NEW.specification.fingerprint:
                shop.promote()
            assert state(shop) == at_once(folder / "3.catalog", shop, NEW)
            asking.until(questions // 2)
            for _ in range(10):
                shop.back()
                shop.promote()
            asking.until(questions)
            shop.drop_old()
            assert state(shop) == at_once(folder / "4.catalog", shop, NEW)
            assert shop.verify().sound
    assert asking.failed == []
    return hit, asking.answered


def test_killed(tmp_path: Path) -> None:
    """Killed a few times with writes in between it comes to what was made at once."""
    hit, answered = trial(tmp_path, kills=3, questions=100)
    assert hit >= 1
    assert answered >= 100


@pytest.mark.soak
def test_killed_often(tmp_path: Path) -> None:
    """The same with 20 kills at a time, and 10,000 questions of which none fails."""
    found = []
    for seed in range(3):
        (tmp_path / f"{seed}").mkdir()
        found.append(trial(tmp_path / f"{seed}", kills=20, questions=10_000, seed=seed))
    hits, answers = zip(*found, strict=True)
    soak_page.record(
        "Reindexing that is killed",
        "A catalogue of 90 pictures got another embedder while processes at it were killed at "
        "random and its pictures added to, removed, undone and forgotten in between; it went over, "
        "back and forth again, 10 times in a row, while two threads asked without a pause. After "
        "each step it was compared with one made at once.",
        {
            "trials": len(found),
            "kills": sum(hits),
            "questions": sum(answers),
            "questions that failed": 0,
            "catalogues unlike one made at once": 0,
        },
    )
    assert min(hits) >= 15
