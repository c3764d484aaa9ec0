"""How a catalogue behaves as it grows: many items, and many classes added one by one."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import shared
from benchmarks.speed import Timing
from benchmarks.stand_ins import StandIn
from catalog import Catalog, Entry, Picture, find_pictures
from catalog.embedder import MobileNetEmbedder, Source, Specification
from catalog.embedder.model_cache import Model

_ITEMS, _CLASSES = 10_000, 500
_MANY = 10_000
_MARKS = (1_000, 10_000)
_COMMAND = [sys.executable, "-m", "catalog"]


class Synthetic(StandIn):
    """Descriptors made up from a picture's bytes, ``class number`` and ``picture number``.

    Those of a class lie about a direction of its own, as real ones do.
    """

    def __init__(self, specification: Specification, probes: NDArray[np.float32]) -> None:
        super().__init__(specification, probes)
        self._common = np.abs(np.random.default_rng(0).normal(size=specification.width))

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of ``b"class picture"``."""
        source = picture.source if isinstance(picture, Picture) else picture
        label, number = map(int, bytes(source).split())  # type: ignore[arg-type]
        width = self.specification.width
        own = np.random.default_rng([1, label]).exponential(size=width)
        noise = np.random.default_rng([2, label, number]).exponential(size=width)
        mixed = self._common + own + noise
        return np.asarray(mixed / np.linalg.norm(mixed), np.float32)


def large(model: Model) -> Iterator[Timing]:
    """Whole processes on a catalogue of 10,000 items in 500 classes, start-up included."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.catalog"
        _fill(file, stand_in(model))
        photos = shared() / "pictures"
        query = next(find_pictures([photos / "grocery" / "test"])).source
        asked = ["predict", str(query), "--catalog", str(file)]
        yield _timing("first `catalog predict` of all, which measures how sure it may be", asked)
        yield _timing("`catalog predict`, later", asked)
        adds, firsts = [], []
        for part in range(5):
            new = list(find_pictures([photos / "rock-paper-scissors"]))[20 * part : 20 * part + 20]
            names = [str(picture.source) for picture in new]
            add = ["add-class", f"new {part}", *names, "--catalog", str(file)]
            adds.append(_process(add))
            firsts.append(_process(asked))
        about = f"{_ITEMS:,} items, {_CLASSES} classes"
        yield Timing(f"`catalog add-class` with 20 photos, {about}", _median(adds), "", "")
        yield Timing("the next `catalog predict`", _median(firsts), "", "")


def many_classes(model: Model) -> Iterator[Timing]:
    """10,000 classes of made-up descriptors, added one at a time in one process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.catalog"
        took = []
        with Catalog.init(file, embedder=stand_in(model)) as made:
            for label in range(_MANY):
                start = time.perf_counter()
                made.add_class(f"class {label}", [f"{label} 0".encode()])
                took.append(time.perf_counter() - start)
            for mark in _MARKS:
                seconds = float(np.median(took[mark - 100 : mark]))
                yield Timing(
                    f"`add_class`, the {mark:,}th class", f"{1000 * seconds:.1f} ms", "", ""
                )
            for name in ("first", "second"):
                start = time.perf_counter()
                made.predict(b"7 1")
                seconds = time.perf_counter() - start
                what = f"`predict` among {_MANY:,} classes, the {name} one"
                yield Timing(what, f"{seconds:.2f} s", "", "")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        yield Timing("memory of that process at most", f"{peak:.1f} GiB", "", "")


def stand_in(model: Model) -> Synthetic:
    """What makes up descriptors in the place of a network."""
    with closing(MobileNetEmbedder(model)) as real:
        return Synthetic(real.specification, real.probe())


def _fill(file: Path, embedder: Synthetic) -> None:
    entries = [
        Entry(f"class {number % _CLASSES}", Picture(f"{number % _CLASSES} {number}".encode()))
        for number in range(_ITEMS)
    ]
    with Catalog.init(file, embedder=embedder) as made:
        made.import_(entries)


def _timing(what: str, arguments: list[str]) -> Timing:
    return Timing(what, f"{_process(arguments):.2f} s", "", "")


def _median(seconds: list[float]) -> str:
    return f"{float(np.median(seconds)):.2f} s ({max(seconds):.2f} s at most in {len(seconds)})"


def _process(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([*_COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
