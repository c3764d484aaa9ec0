"""Measure everything and write ``benchmarks/RESULTS.md``: ``make bench``.

Needs the photos and the backbone that ``benchmarks.photos.shared`` names; about fifteen minutes.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import accuracy, speed
from benchmarks.accuracy import Benchmark, Setting
from benchmarks.photos import shared
from embedder import models

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Run every benchmark and write the page."""
    model = models.import_model(shared() / "backbone" / "mobilenet_v2_100_224_feature_vector")
    tables = ["# Measured\n", _machine(), "\n## Speed\n"]
    timings = [
        *speed.embedding(model),
        *speed.commands(model),
        *(t for n in (2_640, 10_000, 100_000) for t in speed.search(n)),
    ]
    tables += _table(("what", "catalog", "beside it", "ratio"), timings)
    tables.append(
        "\n## Accuracy\n\nTop-1 of the nearest centroid / of the nearest item's class. Settings "
        "were chosen on `val`; `test` is reported. Columns give pictures per class; fewer than "
        "all are drawn five times. A random split of the hands, which were filmed in bursts, "
        "flatters.\n"
    )
    rows = accuracy.settings(model)
    for benchmark in accuracy.benchmarks(model):
        for title, wanted in rows.items():
            tables.append(f"\n### {benchmark.name}: {title}\n")
            tables += _accuracy_table(benchmark, wanted)
            RESULTS.write_text("\n".join(tables) + "\n", encoding="utf-8")
            print(f"{benchmark.name}: {title} done", flush=True)


def _accuracy_table(benchmark: Benchmark, wanted: Sequence[Setting]) -> Iterator[str]:
    splits = list(benchmark.queries)
    heading = [f"{s}, {n or 'all'}" for s in splits for n in benchmark.sizes]
    cells = (
        [
            setting.name,
            *(
                "{:.3f} / {:.3f}".format(
                    *accuracy.mean_score(benchmark.train, benchmark.queries[s], setting, n)
                )
                for s in splits
                for n in benchmark.sizes
            ),
        ]
        for setting in wanted
    )
    return _table(["", *heading], cells)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heading)} |"
    yield f"|{'---|' * len(heading)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _machine() -> str:
    packages = ("numpy", "faiss-cpu", "opencv-python", "ai-edge-litert", "tensorflow")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    cores = os.cpu_count()
    return f"Python {platform.python_version()}, {cores} cores, {versions}. Made by `make bench`."


if __name__ == "__main__":
    main()
