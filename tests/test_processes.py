"""Many processes and one file: readers never err and never see half a class; writers take turns."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import photos
import pytest
from doubles import FakeEmbedder

from catalog import Catalog, read_manifest
from catalog.descriptors import LabelConflict, Locked

if TYPE_CHECKING:
    from collections.abc import Iterator

READERS = 8
SHOTS = 4
CLASSES = 24


def opened(path: Path) -> Catalog:
    """Open a catalogue with the embedder it belongs to."""
    return Catalog.open(path, embedder=FakeEmbedder())


def read_until(path: Path, stop: Path, reader: int) -> int:
    """Ask a catalogue everything, again and again, and check what it says; how many times.

    Every second round opens it anew, so that derived files are read and written all the time.
    """
    rounds, generation = 0, 0
    catalog = opened(path)
    while True:
        last = stop.exists()
        generation = check(catalog, generation)
        rounds += 1
        stop.with_name(f"ready {reader}").touch()
        if last:
            catalog.close()
            return rounds
        if rounds % 2:
            catalog.close()
            catalog = opened(path)


def check(catalog: Catalog, generation: int) -> int:
    """Ask once; ValueError if an answer cannot be one of a whole state of the catalogue."""
    counts = {row.label: row.items for row in catalog.labels()}
    info = catalog.info()
    neighbours = catalog.nearest(photos.photo(0, 99), k=CLASSES * SHOTS)
    near = Counter(neighbour.label for neighbour in neighbours)
    prediction = catalog.predict(photos.photo(0, 99))
    if not set(counts.values()) | set(near.values()) <= {SHOTS}:
        raise ValueError(f"half a class: {counts}, {dict(near)}")
    if info.items != SHOTS * info.classes or info.generation < generation:
        raise ValueError(f"no state of this catalogue: {info} after {generation}")
    if prediction.label is None or len({c.label for c in prediction.centroid}) < 2:
        raise ValueError(f"an answer of no state of this catalogue: {prediction}")
    return info.generation


def write_classes(path: Path, first: int) -> list[str]:
    """Add ten classes one by one; the names of those that were acknowledged."""
    landed = []
    with opened(path) as catalog:
        for thing in range(first, first + 10):
            try:
                added = catalog.add_class(f"thing {thing}", photos.shots(thing, SHOTS))
            except Locked:
                continue
            landed.append(added.label)
    return landed


def import_tree(path: Path, tree: Path) -> tuple[int, int]:
    """Import a tree; how many pictures were added, and how many were there already."""
    with opened(path) as catalog:
        classes = catalog.import_(read_manifest(tree).entries).classes
    return sum(one.added for one in classes), sum(one.known for one in classes)


def make_class(path: Path, writer: int) -> str:
    """Make a class that others are making, too; what came of it."""
    with opened(path) as catalog:
        try:
            catalog.add_class("thing", photos.shots(writer, SHOTS))
        except LabelConflict as error:
            return type(error).__name__
    return "made"


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Eight processes, none of them forked."""
    with ProcessPoolExecutor(READERS, get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An empty catalogue."""
    path = tmp_path / "shop.catalog"
    Catalog.init(path, embedder=FakeEmbedder()).close()
    return path


def test_eight_read_while_one_writes(
    processes: ProcessPoolExecutor, shop: Path, tmp_path: Path
) -> None:
    """While classes come and go no reader errs, and none sees a part of a class."""
    stop = tmp_path / "stop"
    with opened(shop) as catalog:
        for thing in range(2):
            catalog.add_class(f"thing {thing}", photos.shots(thing, SHOTS))
        readers = [processes.submit(read_until, shop, stop, at) for at in range(READERS)]
        try:
            wait_for(readers, [tmp_path / f"ready {at}" for at in range(READERS)])
            come_and_go(catalog)
        finally:
            stop.touch()
        rounds = [reader.result() for reader in readers]
        assert min(rounds) > 1
        assert catalog.verify().sound
        removed = sum(thing % 3 == 0 and thing % 6 != 0 for thing in range(2, CLASSES))
        assert len(catalog.labels()) == CLASSES - removed


def come_and_go(catalog: Catalog) -> None:
    """Add classes, remove every third, and take back every second removal."""
    for thing in range(2, CLASSES):
        catalog.add_class(f"thing {thing}", photos.shots(thing, SHOTS))
        if thing % 3 == 0:
            catalog.remove_class(f"thing {thing - 1}")
        if thing % 6 == 0:
            catalog.undo()


def wait_for(readers: list[Future[int]], files: list[Path]) -> None:
    """Wait until every file is there, or a reader has ended before its time."""
    while not all(file.exists() for file in files):
        time.sleep(0.01)
        for reader in readers:
            if reader.done():
                reader.result()


def test_two_writers_take_turns(processes: ProcessPoolExecutor, shop: Path) -> None:
    """Two that add classes at once lose nothing that was acknowledged, and mix nothing up."""
    writers = [processes.submit(write_classes, shop, first) for first in (0, 10)]
    landed = [label for writer in writers for label in writer.result()]
    assert landed
    with opened(shop) as catalog:
        assert {row.label: row.items for row in catalog.labels()} == dict.fromkeys(landed, SHOTS)
        assert catalog.verify().sound
        for label in landed:
            thing = int(label.removeprefix("thing "))
            hashes = {item.content for item in catalog.items(label)}
            assert hashes == {sha256(shot).hexdigest() for shot in photos.shots(thing, SHOTS)}


def test_two_imports_of_one_tree(
    processes: ProcessPoolExecutor, shop: Path, tmp_path: Path
) -> None:
    """Two imports of the same tree at once come to what one alone comes to."""
    labels = [f"thing {number}" for number in range(15)]
    tree = photos.draw_tree(tmp_path / "tree", labels, 10)
    alone = tmp_path / "alone.catalog"
    Catalog.init(alone, embedder=FakeEmbedder()).close()
    assert import_tree(alone, tree) == (150, 0)
    both = [processes.submit(import_tree, shop, tree) for _ in range(2)]
    added, known = (sum(counts) for counts in zip(*(one.result() for one in both), strict=True))
    assert (added, known) == (150, 150)
    with opened(shop) as catalog, opened(alone) as other:
        assert catalog.info().learning_state == other.info().learning_state
        assert catalog.verify().sound


def test_two_add_the_same_class(processes: ProcessPoolExecutor, shop: Path) -> None:
    """Of eight that make the same class at once one succeeds, and the others are told it exists."""
    attempts = [processes.submit(make_class, shop, at) for at in range(READERS)]
    outcomes = sorted(attempt.result() for attempt in attempts)
    assert outcomes == ["LabelConflict"] * (READERS - 1) + ["made"]
    with opened(shop) as catalog:
        assert [(row.label, row.items) for row in catalog.labels()] == [("thing", SHOTS)]
        assert catalog.verify().sound
