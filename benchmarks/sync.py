"""How long it takes to keep in step with a folder of 100,000 pictures."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.growth import stand_in
from benchmarks.speed import Timing
from catalog import Catalog
from catalog.embedder.model_cache import Model

_CLASSES, _EACH = 1_000, 100
_NEW = 100


def folder_of_many(model: Model) -> Iterator[Timing]:
    """A folder of 100,000 files in 1,000 classes; their descriptors are made up.

    Args:
        model: whose descriptors the catalogue is to have.
    """
    with tempfile.TemporaryDirectory() as place:
        photos, file = Path(place) / "photos", Path(place) / "large.catalog"
        for label in range(_CLASSES):
            _write(photos / f"class {label}", label, range(_EACH))
        with Catalog.init(file, embedder=stand_in(model)) as made:
            first = _seconds(lambda: made.sync(photos, made_up=False))
            again = _seconds(lambda: made.import_(photos, made_up=False))
            unchanged = [_seconds(lambda: made.sync(photos)) for _ in range(3)]
            _write(photos / "class new", _CLASSES, range(_NEW))
            new = _seconds(lambda: made.sync(photos, made_up=False))
        command = [sys.executable, "-m", "catalog", "sync", str(photos), "--catalog", str(file)]
        whole = [_seconds(lambda: _run(command)) for _ in range(3)]
        found = ["find", str(photos), "-type", "f", "-printf", "%s %T@ %p\\n"]
        listed = [_seconds(lambda: _run(found)) for _ in range(3)]
    count = _CLASSES * _EACH
    yield Timing(f"`sync` of {count:,} new files", f"{first:.0f} s", "", "")
    quick, slow = statistics.median(unchanged), again
    yield Timing(
        "`sync` of the same folder, unchanged",
        f"{quick:.1f} s",
        f"{slow:.1f} s, `import` of it, which reads every file",
        f"{slow / quick:.1f}",
    )
    yield Timing(f"`sync` with {_NEW} new files", f"{new:.1f} s", "", "")
    command_line, names = statistics.median(whole), statistics.median(listed)
    yield Timing(
        "`catalog sync` of the unchanged folder, start-up included",
        f"{command_line:.1f} s",
        f"{names:.1f} s, `find -printf` of sizes and times",
        f"{names / command_line:.2f}",
    )


def _write(folder: Path, label: int, numbers: range) -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / f"{number}.jpg").write_bytes(b"%d %d" % (label, number))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
