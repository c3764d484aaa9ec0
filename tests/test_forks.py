"""What was opened before a fork: the child has an answer or a plain error, and never waits."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import photos
import pytest

from catalog.embedder.model_cache import Model

SECONDS = 60
"""More than any of these takes; a child that waits for threads that it does not have waits on."""

BEGIN = """
import os, sys
import numpy as np
from catalog import Catalog, CatalogError
from catalog.embedder import MobileNetEmbedder, models

path, network, isolate = sys.argv[1], sys.argv[2], sys.argv[3] == "isolate"
rng = np.random.default_rng(0)
pictures = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
photo = open(sys.argv[4], "rb").read()
embedder = MobileNetEmbedder(models.find(network), "fast", threads=2, isolate=isolate)
shop = Catalog.init(path, embedder=embedder)
for label in range(4):
    shop.add_class(f"class {label}", pictures[10 * label : 10 * label + 10])
shop.nearest_many([*pictures, photo], 3)  # every pool of threads is at work
answer = shop.predict(photo)
for _ in range(3):  # alone, so two threads share a view
    assert shop.predict(photo) == answer

def refused(call):
    try:
        call()
    except CatalogError as error:
        return "open it again" in str(error)

def asked_again():
    shop.close()
    with Catalog.open(path, embedder=embedder) as mine:
        return mine.predict(photo) == answer and len(mine.nearest_many(pictures, 3)) == 40
"""

TOLD = """
child = os.fork()
if child == 0:
    said = False
    try:
        said = bool(eval(sys.argv[5]))
    finally:
        os._exit(0 if said else 9)
assert os.waitpid(child, 0)[1] == 0, "the child failed"
assert shop.predict(photo) == answer
shop.add("class 0", [photo])
shop.close()
assert Catalog.open(path, embedder=embedder).verify().sound
"""

POOLED = """
import multiprocessing
multiprocessing.set_start_method("fork")

def work(call):
    return refused(lambda: getattr(shop, call)(photo))

with multiprocessing.Pool(2) as pool:
    assert pool.map(work, ["predict", "nearest"]) == [True, True]
"""


def run(code: str, tmp_path: Path, network: str, decoder: str, *more: str) -> None:
    """Run a script in a process of its own, and pass on what it says when it fails."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photos.photo(0))
    arguments = [tmp_path / "shop.catalog", network, decoder, photo, *more]
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
@pytest.mark.parametrize("decoder", ["here", "isolate"])
class TestChildren:
    """A process that is forked while its parent has a catalogue open."""

    @pytest.mark.parametrize(
        "call",
        [
            "refused(lambda: shop.predict(photo))",
            "refused(lambda: shop.nearest_many(pictures, 3))",
            "refused(lambda: shop.add_class('mine', [photo]))",
            "refused(lambda: shop.labels())",
            "refused(lambda: shop.undo())",
            "asked_again()",
            "len(list(embedder.embed_many([*pictures, photo]))) == 41",
            "embedder.close() is None",
        ],
    )
    def test_a_child_ends(self, tiny_model: Model, tmp_path: Path, decoder: str, call: str) -> None:
        """It is told to open the catalogue itself, can do so, and does not disturb its parent."""
        run(TOLD, tmp_path, tiny_model.name, decoder, call)

    def test_a_pool_ends(self, tiny_model: Model, tmp_path: Path, decoder: str) -> None:
        """So are the processes of a pool that is forked, as it is by default on Linux."""
        run(POOLED, tmp_path, tiny_model.name, decoder)
