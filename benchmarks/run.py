"""Measure, and write ``SPEED.md``, ``ACCURACY.md`` and their like: ``make bench``.

Needs the photos and the backbone that ``benchmarks.photos.shared`` names; about an hour.
``python -m benchmarks.run speed``, ``accuracy``, ``descriptors``, ``made_up``, ``occasions``,
``promises``, ``predictors``, ``neighbours``, ``sync``, ``pipeline``, ``service``, ``page`` or
``rivals`` does one of them.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    accuracy,
    browsing,
    descriptors,
    growth,
    keras_job,
    made_up,
    neighbours,
    occasions,
    pipeline,
    predictors,
    promises,
    retrained,
    service,
    speed,
    sync,
)
from benchmarks.accuracy import Benchmark, Setting
from benchmarks.photos import shared
from benchmarks.tables import table
from catalog.embedder import DESCRIPTORS, models
from catalog.embedder.model_cache import Model

_FOLDER = Path(__file__).parent
_BACKBONE = "mobilenet_v2_100_224_feature_vector"
_COUNTS = (2_640, 10_000, 100_000)


def main(wanted: Sequence[str]) -> None:
    """Run the benchmarks that are wanted, by name, or all."""
    model = models.import_model(shared() / "backbone" / _BACKBONE)
    every = (
        ("speed", _speed),
        ("accuracy", _accuracy),
        ("descriptors", _descriptors),
        ("made_up", _made_up),
        ("occasions", _occasions),
        ("promises", _promises),
        ("predictors", _predictors),
        ("neighbours", _neighbours),
        ("sync", _sync),
        ("pipeline", _pipeline),
        ("service", _service),
        ("page", _page),
        ("rivals", _rivals),
    )
    for name, lines in every:
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
    timings += [*growth.large(model), *growth.many_classes(model)]
    yield from table(("what", "catalog", "beside it", "ratio"), timings)


def _predictors(model: Model) -> Iterator[str]:
    yield f"# Head, centroid and the cross-check\n\n{_machine()}\n"
    yield (
        "Settings were chosen on `val` and on held-out photos of `train`; `test` is reported. A\n"
        "photo that is called a `match` is to be right as often as promised; what is *expected*\n"
        "was measured on the catalogue's own photos."
    )
    yield from predictors.pages(model)


def _descriptors(model: Model) -> Iterator[str]:
    yield f"# Descriptors\n\n{_machine()}\n"
    yield from descriptors.page([model, models.starter()], DESCRIPTORS)


def _made_up(model: Model) -> Iterator[str]:
    yield f"# Photos that are made up\n\n{_machine()}\n"
    yield from made_up.page(model)


def _occasions(model: Model) -> Iterator[str]:
    yield f"# Occasions\n\n{_machine()}\n"
    yield from occasions.page(model)


def _promises(model: Model) -> Iterator[str]:
    yield f"# What may be promised on few pictures\n\n{_machine()}\n"
    yield from promises.page(model)


def _neighbours(model: Model) -> Iterator[str]:
    yield f"# Neighbours\n\n{_machine()}\n"
    yield "## When the metric has moved\n"
    yield (
        "The last 4.7 % of the items came after the index was made, as many as there may be.\n"
        "What is the same as in an index made anew, for an eighth of the photos, which are not in\n"
        "it: the nearest item, the ten nearest, label and verdict, classes by nearest item.\n"
    )
    heading = ("", "ranked anew, times k", "voters, times", "first", "ten", "answer", "classes")
    yield from table(heading, neighbours.candidates(model))
    yield "\n## 100,000 items in 2,000 classes\n"
    yield "One process; made-up descriptors of 1,280 components.\n"
    yield from table(("what", "time", "times FAISS's scan"), neighbours.large())
    yield "\n## Memory\n"
    yield "The most that a process of its own has had that asks by descriptor.\n"
    yield from table(("what", "memory", ""), neighbours.memory())


def _sync(model: Model) -> Iterator[str]:
    yield f"# A folder kept in step with\n\n{_machine()}\n"
    yield "One process, unless a command is named; descriptors are made up: nothing is embedded.\n"
    yield from table(("what", "catalog", "beside it", "ratio"), sync.folder_of_many(model))


def _pipeline(model: Model) -> Iterator[str]:
    yield f"# From files to stored descriptors\n\n{_machine()}\n"
    yield from pipeline.page(model)


def _service(model: Model) -> Iterator[str]:
    yield f"# The service\n\n{_machine()}\n"
    yield (
        "A process of its own, on the demo's record shop and the starter network, the quickest "
        "there is, beside\nwhich HTTP weighs most. The load comes from another process on the same "
        "processors (`benchmarks/load.py`). A\n*photo* is a customer's, 640 pixels wide, and "
        "judged by three views; a *descriptor* comes as bytes. Callers send\nthe next when the "
        "last was answered; where a rate is named, requests are begun at that rate, and times\n"
        "count from when they were due; at five times it, from when they were sent.\n"
    )
    yield from table(("what", "catalog", "beside it", "ratio"), service.page(model))


def _page(model: Model) -> Iterator[str]:
    yield f"# The page\n\n{_machine()}\n"
    yield (
        "Chromium without a window, driven by Playwright, beside the service on the same "
        "processors. A photo is dropped, and\nthe time counts until the answer is painted.\n"
    )
    yield from table(("what", "catalog", "beside it", "ratio"), browsing.page(model))


def _rivals(model: Model) -> Iterator[str]:
    yield f"# What one would write or install instead\n\n{_machine()}\n"
    yield "*Ahead* says who is, in every row; what one would write or install is *the other*."
    yield from keras_job.page(model, shared() / "backbone" / _BACKBONE)
    yield from retrained.page([model, models.starter()])


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
    return table(["", *(f"{split}, {size or 'all'}" for split, size in columns)], rows)


def _machine() -> str:
    packages = ("numpy", "faiss-cpu", "opencv-python", "ai-edge-litert", "tensorflow")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    python, cores = platform.python_version(), os.cpu_count()
    return (
        f"Made by `make bench`, with Python {python} on {cores} cores ({_processor()}), {versions}."
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if "model name" in line:
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main(sys.argv[1:])
