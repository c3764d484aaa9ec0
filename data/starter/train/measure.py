"""Measure networks on photos that none was trained on: ``python -m data.starter.train.measure``.

Top-1 of whitened centroids and of the nearest item, by the benchmarks' own rules, on the photos of
grocery products, and of hands; nothing of the training is chosen by them.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import Setting, mean_score
from benchmarks.photos import Photos, shared
from catalog import read_manifest
from descriptors import Prior, unit_rows
from embedder import read_picture
from embedder.decode import decode
from embedder.formats import inspect
from embedder.litert import LiteRTNetwork
from embedder.models import find
from embedder.views import View, jpeg_scale, take_views

VIEWS: Final[tuple[View, ...]] = (0.0, 0.75, 0.45)
"""Views of a picture that its descriptor is the mean of."""

SIZES: Final = (1, 5, None)
"""Pictures per class; None for all."""

_TIMED: Final = 200


@dataclass(frozen=True)
class Described(Photos):
    """Photos whose views are averaged already: ``views`` is float32 (N, D)."""

    def descriptors(
        self,
        chosen: tuple[View, ...],  # noqa: ARG002 - these were chosen before
        *,
        mirrored: bool = False,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """The descriptors, float32 (N, D)."""
        return self.views

    def __getitem__(self, rows: NDArray[np.int64]) -> Described:
        return Described(self.views[rows], self.labels[rows])


class Colours:
    """What is beaten easily: how much there is of each of 512 colours.

    Attributes:
        input_size: side of a view in pixels.
        width: length of a descriptor.
    """

    input_size = 96
    width = 512

    def __call__(self, views: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Square roots of the shares, float32 (V, 512), of views uint8 (V, S, S, 3)."""
        colours = (views.reshape(len(views), -1, 3) // 32).astype(np.int64) @ [64, 8, 1]
        counts = [np.bincount(one, minlength=self.width) for one in colours]
        return np.asarray(np.sqrt(np.array(counts) / colours.shape[1]), np.float32)


Network: TypeAlias = LiteRTNetwork | Colours


def describe(network: Network, folder: Path) -> Described:
    """Describe every picture of a labelled folder tree."""
    entries = read_manifest(folder).entries

    def one(source: str) -> NDArray[np.float32]:
        data = read_picture(source)
        header = inspect(data)
        scale = jpeg_scale((header.width, header.height), VIEWS, network.input_size)
        views = take_views(decode(data, scale, header), VIEWS, network.input_size)
        return np.asarray(unit_rows(network(views)).mean(axis=0), np.float32)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        vectors = list(pool.map(one, [str(entry.picture.source) for entry in entries]))
    return Described(unit_rows(np.stack(vectors)), np.array([entry.label for entry in entries]))


def grocery(network: Network, asked: str) -> tuple[Described, Described]:
    """Photos of 81 grocery products to learn from, and to ask about (``val`` or ``test``)."""
    folder = shared() / "pictures" / "grocery"
    return describe(network, folder / "train"), describe(network, folder / asked)


def hands(network: Network, asked: str) -> tuple[Described, Described]:
    """Photos of hands that play rock, paper, scissors, split as the benchmarks split them."""
    photos = describe(network, shared() / "pictures" / "rock-paper-scissors")
    order = np.random.default_rng(0).permutation(len(photos.labels))
    train, val, test = np.split(order, [1188, 1788])
    return photos[train], photos[val if asked == "val" else test]


_SETS: Final = {"grocery": grocery, "rock-paper-scissors": hands}


def row(name: str, network: Network, on: str, asked: str) -> str:
    """One line of the table: top-1 at every size, and views a second on one thread."""
    train, queries = _SETS[on](network, asked)
    setting = Setting(name, prior=Prior.isotropic(network.width))
    scores = [mean_score(train, queries, setting, size) for size in SIZES]
    cells = [cell for one in scores for cell in (f"{one.centroid:.3f}", f"{one.neighbour:.3f}")]
    return f"| {name} | {network.input_size} | {' | '.join(cells)} | {_pace(network):.0f} |"


def named(name: str) -> tuple[str, Network]:
    """The network of a flatbuffer's path or a name in the model cache, or ``colours``."""
    if name == "colours":
        return name, Colours()
    file = Path(name)
    content = file.read_bytes() if file.is_file() else find(name).read()
    return file.stem, LiteRTNetwork(content)


def _pace(network: Network) -> float:
    """Views a second of processor time, on one thread."""
    side = network.input_size
    views = np.random.default_rng(0).integers(0, 256, (_TIMED, side, side, 3), np.uint8)
    network(views[:10])
    began = time.thread_time()
    network(views)
    return _TIMED / (time.thread_time() - began)


def main() -> None:
    """Print a table for each set of photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "networks", nargs="+", help="flatbuffers, names in the model cache, or `colours`"
    )
    parser.add_argument("--on", nargs="+", default=["grocery"], choices=_SETS)
    parser.add_argument("--asked", default="test", choices=("val", "test"))
    given = parser.parse_args()
    sizes = [f"{size or 'all'}: centroid | item" for size in SIZES]
    for on in given.on:
        print(f"\n| {on} | side | {' | '.join(sizes)} | views/s |")
        print("|---" * (3 + 2 * len(SIZES)) + "|")
        for reference in given.networks:
            print(row(*named(reference), on, given.asked), flush=True)


if __name__ == "__main__":
    main()
