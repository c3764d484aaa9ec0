"""Measure networks on photos that none was trained on: ``python -m recipes.starter.measure``.

Top-1 of whitened centroids and of the nearest item, by the benchmarks' own rules, on the photos of
grocery products, and of hands. Without arguments it prints the tables of the starter's README; what
is to be chosen by photos (a size of input, a preset) is compared with ``--asked val``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import Setting, mean_score
from benchmarks.photos import Photos, shared
from catalog import read_manifest
from catalog.data import prior_for
from catalog.descriptors import Prior, unit_rows
from catalog.embedder import DEFAULT_PRESET, PRESETS, MobileNetEmbedder, read_picture
from catalog.embedder.decode import decode
from catalog.embedder.models import find, starter

SIZES: Final = (1, 5, None)
"""Pictures per class; None for all."""

UNTRAINED: Final = "untrained"
COLOURS: Final = "colours"

_TIMED: Final = 300


class Describing(Protocol):
    """What is measured: anything that describes pictures.

    Attributes:
        prior: what its metric starts from.
    """

    prior: Prior

    def embed_many(self, pictures: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """A descriptor for each picture, float32 (D,)."""

    def pace(self) -> float | None:
        """Views a second on one thread; None if it has no views."""

    def close(self) -> None:
        """Let go of threads."""


class Network(MobileNetEmbedder):
    """A network by its name in the model cache or its path, with the prior known for it."""

    def __init__(self, reference: str, views: str) -> None:
        super().__init__(find(reference), views, "pooled")
        self.prior = prior_for(self.probe()) or Prior.isotropic(self.specification.width)

    def pace(self) -> float:
        """Views a second on one thread, of pictures that need no decoding."""
        side = self.specification.input_size
        pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        self.embed(pixels)
        began = time.thread_time()
        for _ in range(_TIMED):
            self.embed(pixels)
        return _TIMED * len(self.specification.views) / (time.thread_time() - began)


class Colours:
    """What is beaten easily: how much of a picture has each of 512 colours."""

    prior = Prior.isotropic(512)

    def embed_many(self, pictures: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Square roots of the shares, float32 (512,)."""
        for picture in pictures:
            colours = decode(read_picture(picture), 4).reshape(-1, 3) // 32 @ np.array([64, 8, 1])
            yield np.sqrt(np.bincount(colours, minlength=512) / len(colours)).astype(np.float32)

    def pace(self) -> None:
        """It has no views."""

    def close(self) -> None:
        """Nothing to let go of."""


class Described(Photos):
    """Photos whose views are averaged already: ``views`` is float32 (N, D)."""

    def descriptors(
        self,
        chosen: tuple[float, ...],  # noqa: ARG002 - these were chosen before
        *,
        mirrored: bool = False,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """The descriptors, float32 (N, D)."""
        return self.views

    def __getitem__(self, rows: NDArray[np.int64]) -> Described:
        return Described(self.views[rows], self.labels[rows])


def describe(network: Describing, folder: Path) -> Described:
    """Describe every picture of a labelled folder tree."""
    entries = read_manifest(folder).entries
    vectors = list(network.embed_many(str(entry.picture.source) for entry in entries))
    return Described(unit_rows(np.stack(vectors)), np.array([entry.label for entry in entries]))


def grocery(network: Describing, asked: str) -> tuple[Described, Described]:
    """Photos of 81 grocery products to learn from, and to ask about (``val`` or ``test``)."""
    folder = shared() / "pictures" / "grocery"
    return describe(network, folder / "train"), describe(network, folder / asked)


def hands(network: Describing, asked: str) -> tuple[Described, Described]:
    """Photos of hands that play rock, paper, scissors, split as the benchmarks split them."""
    photos = describe(network, shared() / "pictures" / "rock-paper-scissors")
    order = np.random.default_rng(0).permutation(len(photos.labels))
    train, val, test = np.split(order, [1188, 1788])
    return photos[train], photos[val if asked == "val" else test]


_SETS: Final = {"grocery": grocery, "rock-paper-scissors": hands}


def row(name: str, network: Describing, on: str, asked: str) -> str:
    """One line of a table: top-1 at every size, and views a second on one thread."""
    train, queries = _SETS[on](network, asked)
    setting = Setting(name, prior=network.prior)
    scores = [mean_score(train, queries, setting, size) for size in SIZES]
    cells = [f"{one.centroid:.3f} / {one.neighbour:.3f}" for one in scores]
    pace = network.pace()
    return f"| {name} | {' | '.join(cells)} | {f'{pace:.0f}' if pace else ''} |"


def named(name: str, views: str, scratch: Path) -> Describing:
    """A network by its name, a flatbuffer's path, ``colours``, or ``untrained``."""
    if name == COLOURS:
        return Colours()
    if name == UNTRAINED:
        # TensorFlow, which the rest does without.
        from recipes.starter.export import half_flatbuffer, untrained

        file = scratch / f"{UNTRAINED}.tflite"
        if not file.exists():
            file.write_bytes(half_flatbuffer(untrained(starter().input_size)))
        with patch.dict(os.environ, CATALOG_CACHE=str(scratch)):  # it is of no other use
            return Network(str(file), views)
    return Network(name, views)


def main() -> None:
    """Print a table for each set of photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "networks",
        nargs="*",
        default=["starter", "imagenet", UNTRAINED, COLOURS],
        help="flatbuffers, names in the model cache, `untrained` or `colours`",
    )
    parser.add_argument("--on", nargs="+", default=list(_SETS), choices=_SETS)
    parser.add_argument("--asked", default="test", choices=("val", "test"))
    parser.add_argument("--views", default=DEFAULT_PRESET, choices=PRESETS)
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        for on in given.on:
            sizes = " | ".join(f"{size or 'all'} a class" for size in SIZES)
            print(f"\n| {on}, {given.asked} | {sizes} | views/s |")
            print("|---" * (2 + len(SIZES)) + "|")
            for name in given.networks:
                with closing(named(name, given.views, Path(scratch))) as network:
                    print(row(Path(name).stem, network, on, given.asked), flush=True)


if __name__ == "__main__":
    main()
