"""An import killed at any moment loses nothing that was acknowledged, and is finished later."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import photos
import pytest
import soak_page
from doubles import FakeEmbedder
from malformed import black_png
from tiny_network import NAME, command, environment, run

from catalog import Catalog, read_manifest
from catalog.changes import staging
from catalog.jobs import import_

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.process import BaseProcess
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from catalog import Added
    from catalog.embedder import Picture, Source

CLASSES, PICTURES = 30, 10
PAUSE_SECONDS = 0.002
LABELS = [f"thing {number:02}" for number in range(CLASSES)]


class Diary:
    """A file that gets a line for everything that happened; a line is there once written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: str) -> None:
        """Add a line, in one write that a kill cannot split."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def read(self) -> list[str]:
        """Every line so far."""
        return self._path.read_text().splitlines() if self._path.exists() else []


class SlowEmbedder(FakeEmbedder):
    """Takes a while for a picture, and writes down which it has embedded."""

    def __init__(self, diary: Diary) -> None:
        super().__init__()
        self._diary = diary

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of one picture, after a pause."""
        time.sleep(PAUSE_SECONDS)
        descriptor = super().embed(picture)
        source = getattr(picture, "source", picture)
        if isinstance(source, bytes):
            self._diary.write(f"embedded {sha256(source).hexdigest()}")
        return descriptor


def import_slowly(path: Path, tree: Path, diary_path: Path) -> None:
    """Import a tree, and write down each class once the call that lands it has come back."""
    diary = Diary(diary_path)
    land = import_.land

    def land_and_tell(*arguments: Any, **options: Any) -> Added:
        added = land(*arguments, **options)
        if added.added:
            diary.write(f"landed {added.label}")
        return added

    import_.land = land_and_tell
    with Catalog.open(path, embedder=SlowEmbedder(diary)) as catalog:
        catalog.import_(read_manifest(tree).entries)
    diary.write("finished")


def learnt_and_counted(path: Path) -> tuple[str, dict[str, int]]:
    """What a sound catalogue has learnt, and how many items each class has."""
    with Catalog.open(path, embedder=FakeEmbedder()) as catalog:
        assert catalog.verify().problems == ()
        counts = {row.label: row.items for row in catalog.labels()}
        return catalog.info().learning_state, counts


def stored(path: Path) -> set[str]:
    """The hashes of the pictures whose descriptors a catalogue file holds."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT hex(content) FROM item JOIN descriptor ON descriptor.item = item.id"
        )
        return {content.lower() for (content,) in rows}


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty classes of ten photos, no two of them the same."""
    return photos.draw_tree(tmp_path_factory.mktemp("kills") / "tree", LABELS, PICTURES)


@pytest.fixture(scope="session")
def undisturbed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The learning state after an import that nobody killed."""
    path = tmp_path_factory.mktemp("undisturbed") / "shop.catalog"
    with Catalog.init(path, embedder=FakeEmbedder()) as catalog:
        catalog.import_(read_manifest(tree).entries)
    state, counts = learnt_and_counted(path)
    assert counts == dict.fromkeys(LABELS, PICTURES)
    return state


class Ordeal:
    """One catalogue, and the import that is killed and started again until it is through."""

    def __init__(self, folder: Path, tree: Path) -> None:
        folder.mkdir()
        self.path, self._tree = folder / "shop.catalog", tree
        self.diary = Diary(folder / "diary")
        self._diary_path = folder / "diary"
        self.kills = 0
        Catalog.init(self.path, embedder=FakeEmbedder()).close()

    def start(self) -> BaseProcess:
        """Begin the import, or go on with it, in a process of its own."""
        process = get_context("spawn").Process(
            target=import_slowly, args=(self.path, self._tree, self._diary_path)
        )
        process.start()
        return process

    def kill(self, rng: random.Random) -> None:
        """Start the import, and kill it a random number of pictures and moments later."""
        before = self.diary.read()
        held = stored(self.path)
        enough = len(before) + rng.randrange(1, 2 * staging._BATCH_PICTURES)
        process = self.start()
        while process.is_alive() and len(self.diary.read()) < enough:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.join()
        self.kills += process.exitcode == -signal.SIGKILL
        self._check(before, held)

    def finish(self) -> None:
        """Run the import to its end."""
        before, held = self.diary.read(), stored(self.path)
        process = self.start()
        process.join()
        assert process.exitcode == 0
        self._check(before, held)

    def _check(self, before: Sequence[str], held: set[str]) -> None:
        lines = self.diary.read()
        again = held & {line.removeprefix("embedded ") for line in lines[len(before) :]}
        assert not again, "embedded again although the descriptor was stored"
        _, counts = learnt_and_counted(self.path)
        assert set(counts.values()) <= {PICTURES}, "a part of a class"
        landed = {line.removeprefix("landed ") for line in lines if line.startswith("landed ")}
        assert landed <= counts.keys(), "an acknowledged class is gone"


def endure(folder: Path, tree: Path, kills: int, seed: int, undisturbed: str) -> None:
    """Kill imports so many times, each until it is through, and compare with a quiet one."""
    rng = random.Random(seed)
    folder.mkdir()
    total, number = 0, 0
    while total < kills:
        ordeal = Ordeal(folder / str(number), tree)
        while total + ordeal.kills < kills and ordeal.diary.read()[-1:] != ["finished"]:
            ordeal.kill(rng)
        ordeal.finish()
        assert learnt_and_counted(ordeal.path) == (undisturbed, dict.fromkeys(LABELS, PICTURES))
        times = Counter(line for line in ordeal.diary.read() if line.startswith("embedded "))
        assert len(times) == CLASSES * PICTURES
        spare = times.total() - CLASSES * PICTURES
        assert spare <= ordeal.kills * staging._BATCH_PICTURES
        landings = Counter(line for line in ordeal.diary.read() if line.startswith("landed "))
        assert set(landings.values()) == {1}
        total += ordeal.kills
        number += 1


def test_four_kills(tree: Path, undisturbed: str, tmp_path: Path) -> None:
    """After each of four kills the file is sound, classes are whole, and none is done twice."""
    endure(tmp_path / "ordeal", tree, 4, 1, undisturbed)


@pytest.mark.soak
def test_two_hundred_kills(tree: Path, undisturbed: str, tmp_path: Path) -> None:
    """Two hundred kills leave no more behind than four do."""
    endure(tmp_path / "ordeal", tree, 200, 2, undisturbed)
    soak_page.record(
        "Imports killed from outside",
        f"Imports of {CLASSES} classes of {PICTURES} photos were killed at random moments, and "
        "started again until they were through.",
        {
            "kills": 200,
            "acknowledged classes that were lost": 0,
            "classes of which a part was found": 0,
            "photos embedded again although their descriptors were stored": 0,
        },
    )


def test_ctrl_c(tiny_cache: Path, tmp_path: Path) -> None:
    """Ctrl-C ends the command in one line with a sound catalogue, and the next run finishes it."""
    shop = tmp_path / "shop.catalog"
    big = black_png(1000)  # slow to decode, and the bytes behind its end make another file of it
    for number in range(400):
        file = tmp_path / "tree" / f"class {number // 40:02}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(big + number.to_bytes(2))
    run("init", shop, "--backbone", NAME, cache=tiny_cache)
    arguments = ("import", tmp_path / "tree", "--catalog", shop)
    # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command(*arguments), stderr=subprocess.PIPE, text=True, env=environment(tiny_cache)
    ) as process:
        while process.poll() is None and not stored_now(shop):
            time.sleep(0.01)
        signal.signal(signal.SIGINT, before)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert said.splitlines() == [said.strip()]
    assert said.startswith("stopped; what was done is kept")
    held = stored(shop)
    assert 0 < len(held) < 400
    info, whole = (run(name, "--catalog", shop, cache=tiny_cache) for name in ("verify", "labels"))
    assert (info.returncode, info.stderr) == (0, "")
    assert all(line.split()[0] == "40" for line in whole.stdout.splitlines())
    again = run(*arguments, "--json", cache=tiny_cache)
    assert (again.returncode, again.stderr) == (0, "")
    assert len(stored(shop)) == 400


def stored_now(path: Path) -> set[str]:
    """As :func:`stored`, while another process may be in the middle of a commit."""
    with contextlib.suppress(sqlite3.OperationalError):
        return stored(path)
    return set()
