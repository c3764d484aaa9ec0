"""What each descriptor is worth: top-1 and kept promises on four kinds of photos."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.photos import Remembering, shared
from benchmarks.tables import table
from catalog import Catalog, Entry, Evaluation, read_manifest, take_part
from catalog.embedder.model_cache import Model

_PRECISION = 0.98
_DRAWS = 5

HEADING = (
    "descriptor", "grocery val", "test", "42 coarse", "1 a class", "5 a class", "flowers",
    "covers, R@1", "hands", "grocery at .98", "could", "flowers at .98", "could",
)  # fmt: skip


def rows(model: Model, descriptors: Sequence[str]) -> Iterator[Sequence[str]]:
    """A row for each descriptor of a network, in the order of :data:`HEADING`."""
    for descriptor in descriptors:
        with tempfile.TemporaryDirectory() as folder:
            yield (f"{model.name} {descriptor}", *_figures(model, descriptor, Path(folder)))


def _figures(model: Model, descriptor: str, folder: Path) -> Iterator[str]:
    embedder = Remembering(model, descriptor)
    pictures = shared() / "pictures"

    def made(entries: Sequence[Entry]) -> Catalog:
        name = f"{len(list(folder.iterdir()))}.catalog"
        catalog = Catalog.init(folder / name, embedder=embedder)
        catalog.import_(entries)
        return catalog

    def listed(*parts: str) -> tuple[Entry, ...]:
        return read_manifest(pictures.joinpath(*parts)).entries

    train, test = listed("grocery", "train"), listed("grocery", "test")
    with made(train) as shop:
        yield _top1(shop.evaluate(listed("grocery", "val")))
        products = shop.evaluate(test, precision=_PRECISION)
    yield _top1(products)
    yield f"{_coarse(products):.3f}"
    for size in (1, 5):
        drawn = []
        for seed in range(_DRAWS):
            with made(_drawn(train, size, seed)) as shop:
                drawn.append(shop.evaluate(test).cross_check.top1)
        yield f"{np.mean(drawn):.3f}"
    with made(listed("flowers", "train")) as shop:
        flowers = shop.evaluate(listed("flowers", "test"), precision=_PRECISION)
    yield _top1(flowers)
    with made(listed("covers", "gallery")) as shop:
        yield f"{shop.evaluate(listed('covers', 'photos')).neighbours.top1:.3f}"
    hands = read_manifest(pictures / "rock-paper-scissors")
    split = "1188/600/400"
    with made(take_part(hands, split, "train").entries) as shop:
        yield _top1(shop.evaluate(take_part(hands, split, "test").entries))
    for found in (products, flowers):
        yield _kept(found)
        yield _best(found)


def _top1(found: Evaluation) -> str:
    return f"{found.cross_check.top1:.3f}"


def _coarse(found: Evaluation) -> float:
    """The share of answers of the right one of the 42 coarse classes."""
    with (shared() / "pictures" / "grocery" / "classes.csv").open(encoding="utf-8") as file:
        fields = list(csv.DictReader(file))
    coarse = {row["Class Name (str)"]: row["Coarse Class Name (str)"] for row in fields}
    groups = np.array([coarse[label] for label in found.confusion_matrix.labels])
    counts = np.array(found.confusion_matrix.counts)
    return float(counts[groups[:, None] == groups].sum() / counts.sum())


def _drawn(entries: Sequence[Entry], size: int, seed: int) -> list[Entry]:
    """So many of each class, at random."""
    random = np.random.default_rng(seed)
    chosen = []
    for label in sorted({entry.label for entry in entries}):
        own = [entry for entry in entries if entry.label == label]
        chosen += [own[at] for at in random.permutation(len(own))[:size]]
    return chosen


def _kept(found: Evaluation) -> str:
    """The share of photos that are called a match, how many of those are right, and expected."""
    match = found.cross_check.verdicts[0]
    right = f"{match.right / match.pictures:.3f}" if match.pictures else "-"
    expected = found.cross_check.expected_coverage or 0.0
    return f"{match.pictures / found.pictures:.3f} @ {right} ({expected:.3f})"


def _best(found: Evaluation) -> str:
    """The largest share that could be answered at the precision, by the best threshold there is."""
    points = found.cross_check.curves["cross_check"]
    return f"{max((p.coverage for p in points if p.precision >= _PRECISION), default=0.0):.3f}"


def page(models: Sequence[Model], descriptors: Sequence[str]) -> Iterator[str]:
    """The lines of ``benchmarks/DESCRIPTORS.md`` after its heading."""
    yield from table(HEADING, (row for model in models for row in rows(model, descriptors)))
    yield (
        "\nTop-1 of the cross-check, with all photos of the training parts unless said otherwise; "
        "1 and 5 photos a\nclass are drawn five times. Flowers: 89 kinds, 8 photos each, asked "
        "with 8 others. Covers: 240, one picture\neach. Hands: a random split, which flatters. "
        "*At .98*: the share called a match when .98 are promised,\nhow many of those were right, "
        "and in brackets the share that was expected; *could* is the share that the\nbest "
        "threshold on these very photos would have answered."
    )
