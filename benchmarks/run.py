"""Measure, and write ``benchmarks/SPEED.md`` and ``benchmarks/ACCURACY.md``: ``make bench``.

Needs the photos and the backbone that ``benchmarks.photos.shared`` names; about twenty minutes.
``python -m benchmarks.run speed`` or ``accuracy`` does one of them.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import accuracy, speed
from benchmarks.accuracy import Benchmark, Setting
from benchmarks.photos import shared
from embedder import models
from embedder.model_cache import Model

_FOLDER = Path(__file__).parent
_COUNTS = (2_640, 10_000, 100_000)


def main(wanted: Sequence[str]) -> None:
    """Run the benchmarks that are wanted, by name, or all."""
    model = models.import_model(shared() / "backbone" / "mobilenet_v2_100_224_feature_vector")
    for name, lines in (("speed", _speed), ("accuracy", _accuracy)):
        if not wanted or name in wanted:
            page = "".join(f"{line}\n" for line in lines(model))
            (_FOLDER / f"{name.upper()}.md").write_text(page, encoding="utf-8")


def _speed(model: Model) -> Iterator[str]:
    yield f"# Speed\n\n{_machine()}\n"
    yield (
        "Embedding includes reading and decoding. Beside it stands what one would write first: "
        "OpenCV, one thread, and the\nnetwork in batches; catalog decodes on every core, and only "
        "as large as the views need.\n"
    )
    timings = [*speed.embedding(model), *speed.commands(model)]
    timings += [timing for count in _COUNTS for timing in speed.search(count)]
    yield from _table(("what", "catalog", "beside it", "ratio"), timings)


def _accuracy(model: Model) -> Iterator[str]:
    yield f"# Accuracy\n\n{_machine()}\n"
    yield (
        "Top-1 of the nearest centroid / of the nearest item's class. Settings were chosen on "
        "`val`; `test` is reported.\nColumns give pictures per class; fewer are drawn five times. "
        "A random split of the hands, which were\nfilmed in bursts, flatters. Sets of views that "
        "are no preset use a preset's prior: `fast` for the full frame,\n`standard` for the others."
    )
    rows = accuracy.settings(model)
    for benchmark in accuracy.benchmarks(model):
        for title, settings in rows.items():
            yield f"\n## {benchmark.name}: {title}\n"
            yield from _accuracy_table(benchmark, settings)


def _accuracy_table(benchmark: Benchmark, settings: Sequence[Setting]) -> Iterator[str]:
    columns = [(split, size) for split in benchmark.queries for size in benchmark.sizes]
    rows = (
        [
            setting.name,
            *(
                "{:.3f} / {:.3f}".format(
                    *accuracy.mean_score(benchmark.train, benchmark.queries[split], setting, size)
                )
                for split, size in columns
            ),
        ]
        for setting in settings
    )
    return _table(["", *(f"{split}, {size or 'all'}" for split, size in columns)], rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heading)} |"
    yield f"|{'---|' * len(heading)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _machine() -> str:
    packages = ("numpy", "faiss-cpu", "opencv-python", "ai-edge-litert", "tensorflow")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    python, cores = platform.python_version(), os.cpu_count()
    return f"Made by `make bench`, with Python {python} on {cores} cores, {versions}."


if __name__ == "__main__":
    main(sys.argv[1:])
