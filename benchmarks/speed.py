"""How long things take, beside what else one could do, in one run on one machine."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.photos import shared
from catalog import Catalog, find_pictures, read_manifest
from catalog.descriptors import Prior, Sums, fit, to_floats, to_integers, unit_rows
from catalog.embedder import DEFAULT_PRESET, PRESETS, MobileNetEmbedder, read_picture
from catalog.embedder.decode import decode
from catalog.embedder.model_cache import Model
from catalog.index import FlatIndex, ItemIndex

_WIDTH = 1280


class Timing(NamedTuple):
    """A figure and what it is compared with; ``ratio`` is how many times better ours is."""

    what: str
    ours: str
    other: str
    ratio: str


def embedding(model: Model, pictures: int = 400) -> Iterator[Timing]:
    """Pictures per second with each preset, against one view through Keras-style batches of 32."""
    places = list(find_pictures([shared() / "pictures" / "grocery" / "test"]))[:pictures]
    other = _tensorflow_rate([str(picture.source) for picture in places])
    for name in PRESETS:
        embedder = MobileNetEmbedder(model, name)
        list(islice(embedder.embed_many(places), 8))  # threads and interpreters are made
        start = time.perf_counter()
        embedded = sum(1 for _ in embedder.embed_many(places))
        seconds = time.perf_counter() - start
        embedder.close()
        rate = embedded / seconds
        views = len(PRESETS[name])
        yield Timing(
            f"embed photos, `{name}` ({views} views)",
            f"{rate:.0f}/s ({rate * views:.0f} views/s)",
            f"{other:.0f}/s, one view, TensorFlow in batches of 32",
            f"{rate * views / other:.1f} per view",
        )


def commands(model: Model) -> Iterator[Timing]:
    """Whole processes on a catalogue of 81 classes and 2,640 items, start-up included."""
    photos = shared() / "pictures"
    command = [sys.executable, "-m", "catalog"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "grocery.catalog"
        with Catalog.init(file, backbone=model.sha256) as made:
            listing = read_manifest(photos / "grocery" / "train")
            seconds = _seconds(lambda: made.import_(listing))
            items = made.info().items
        rate = f"{len(listing.entries) / seconds:.0f}/s"
        yield Timing(f"import {items} photos, `{DEFAULT_PRESET}`", rate, "", "")
        new = list(find_pictures([photos / "rock-paper-scissors"]))
        query = next(find_pictures([photos / "grocery" / "test"])).source
        add, first, later = [], [], []
        for turn in range(7):
            twenty = [str(p.source) for p in new[turn * 20 : turn * 20 + 20]]
            here = ["--catalog", str(file)]
            add.append(_run([*command, "add-class", f"new {turn}", *twenty, *here]))
            first.append(_run([*command, "nearest", str(query), *here]))
            later.append(_run([*command, "nearest", str(query), *here]))
    for what, times in (
        ("`catalog add-class` with 20 photos", add),
        ("`catalog nearest`, the first after a change", first),
        ("`catalog nearest`, later", later),
    ):
        worst = f"{max(times):.2f} s at most in {len(times)}"
        yield Timing(what, f"{statistics.median(times):.2f} s", worst, "")


def search(count: int) -> Iterator[Timing]:
    """Exact search by FAISS against NumPy among so many items, and what a moved metric costs."""
    random = np.random.default_rng(0)
    rows = unit_rows(random.normal(size=(count, _WIDTH)).astype(np.float32))
    stored = to_integers(rows)
    sums = Sums(_WIDTH)
    sums.add(np.arange(count) % 100, stored)
    prior = Prior.isotropic(_WIDTH)
    metric = fit(sums, range(100), prior)
    ids = np.arange(count)
    white, query = metric.whiten(to_floats(stored)), rows[:1]
    built = ItemIndex(metric, FlatIndex(ids, white))
    ours = _median(lambda: built.search(query, 10))
    other = _median(lambda: np.argsort(-(white @ metric.whiten(query)[0]))[:10])
    yield Timing(
        f"10 nearest of {count:,} items, one query",
        f"{1000 * ours:.1f} ms",
        f"{1000 * other:.1f} ms, NumPy",
        f"{other / ours:.1f}",
    )
    learn = _median(lambda: fit(sums, range(100), prior), 3)
    whiten = _median(lambda: FlatIndex(ids, metric.whiten(to_floats(stored))), 1)
    what = f"learn the metric anew; whiten {count:,} items anew"
    yield Timing(what, f"{learn:.2f} s; {whiten:.2f} s", "", "")


def _tensorflow_rate(places: list[str]) -> float:
    """Pictures per second by hub.load and batches of 32, decoding and resizing included."""
    import cv2
    import tensorflow as tf
    import tensorflow_hub as hub

    network = hub.load(str(shared() / "backbone" / "mobilenet_v2_100_224_feature_vector"))
    function = tf.function(network)

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, len(places), 32):
            pixels = [decode(read_picture(place)) for place in places[start : start + 32]]
            resized = [cv2.resize(p, (224, 224), interpolation=cv2.INTER_AREA) for p in pixels]
            yield np.stack(resized).astype(np.float32) / 255

    function(next(batches()))
    seconds = _seconds(lambda: [function(batch).numpy() for batch in batches()])
    return len(places) / seconds


def _run(command: list[str]) -> float:
    return _seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def _median(function: Callable[[], object], times: int = 9) -> float:
    return statistics.median(_seconds(function) for _ in range(times))


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
