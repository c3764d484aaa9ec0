"""The service under load, beside the bare pipeline in one process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np

from benchmarks.growth import stand_in
from benchmarks.load import Load
from benchmarks.speed import Timing
from catalog import Catalog, Entry, Picture
from catalog.embedder import models
from catalog.embedder.model_cache import Model
from catalog.service.bodies import DESCRIPTORS_TYPE

_SECONDS = 15.0
_STARTS = 5
_LARGE, _LARGE_CLASSES = 100_000, 2_000
_CONNECTIONS = 32
_MANY = 400
_BATCH = 200


def page(model: Model) -> Iterator[Timing]:
    """All rows.

    Args:
        model: whose descriptors the large catalogue is to have.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        demo = [sys.executable, "-m", "catalog.cli.demo", "--folder", str(folder / "demo")]
        subprocess.run(demo, check=True, capture_output=True)
        shop = folder / "demo" / "shop.catalog"
        photos = sorted((folder / "demo" / "photos").glob("*.jpg"))
        yield _start("ready, on the demo's 205 records", shop)
        rows = _rows(shop, photos, folder)
        yield from _under_load("photos", shop, "image/jpeg", photos, _photos(shop, photos))
        yield from _under_load("descriptors", shop, DESCRIPTORS_TYPE, rows, _rows_bare(shop, rows))
        large = folder / "large.catalog"
        _fill(large, model)
        yield _start(f"ready, on {_LARGE:,} items in {_LARGE_CLASSES:,} classes", large)


def _fill(file: Path, model: Model) -> None:
    entries = (
        Entry(f"class {number % _LARGE_CLASSES}",
              Picture(f"{number % _LARGE_CLASSES} {number}".encode()))
        for number in range(_LARGE)
    )  # fmt: skip
    with Catalog.init(file, embedder=stand_in(model)) as made:
        made.import_(entries)
        made.prepare()


@contextmanager
def served(shop: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service of a catalogue, and its address."""
    command = [sys.executable, "-m", "catalog", "serve", "--port", "0", "--log", "warning"]
    running = subprocess.Popen(
        [*command, "--catalog", str(shop)], stderr=subprocess.PIPE, text=True
    )
    try:
        if running.stderr is None:
            raise RuntimeError("nothing can be read of what it says")
        found = None
        for line in running.stderr:
            if found := re.search(r"serving at (http://\S+);", line):
                break
        if found is None:
            raise RuntimeError("the service does not start")
        yield running, found[1]
    finally:
        running.terminate()
        running.wait(60)


def ready(address: str) -> None:
    """Wait until a service is ready."""
    while True:
        try:
            with urllib.request.urlopen(f"{address}/readyz") as said:  # noqa: S310
                if said.status == 200:
                    return
        except HTTPError:
            pass
        time.sleep(0.01)


def _start(what: str, shop: Path) -> Timing:
    took = []
    for _ in range(_STARTS):
        began = time.perf_counter()
        with served(shop) as (_, address):
            ready(address)
            took.append(time.perf_counter() - began)
    return Timing(what, f"{np.median(took):.2f} s", f"{max(took):.2f} s at most in {_STARTS}", "")


def _rows(shop: Path, photos: Sequence[Path], folder: Path) -> list[Path]:
    """Files of one descriptor each."""
    files = []
    with Catalog.open(shop) as catalog:
        for number, row in enumerate(catalog.embed_many(photos)):
            file = folder / f"{number}.row"
            file.write_bytes(np.asarray(row, "<f4").tobytes())
            files.append(file)
    return files


def _photos(shop: Path, photos: Sequence[Path]) -> float:
    """How many photos a second one process judges that has them in a list."""
    with Catalog.open(shop) as catalog:
        catalog.predict_many(photos)
        return _rate(lambda: catalog.predict_many(list(islice(cycle(photos), _MANY))), _MANY)


def _rows_bare(shop: Path, rows: Sequence[Path]) -> float:
    """How many descriptors a second one process judges, one after another."""
    with Catalog.open(shop) as catalog:
        descriptors = [np.frombuffer(file.read_bytes(), "<f4") for file in rows]
        catalog.predict(descriptors[0])

        def ask() -> None:
            for row in islice(cycle(descriptors), _BATCH):
                catalog.predict(row)

        return _rate(ask, _BATCH)


def _rate(work: Callable[[], object], count: int) -> float:
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < _SECONDS / 2:
        work()
        done += count
    return done / took


def _under_load(
    what: str, shop: Path, kind: str, bodies: Sequence[Path], bare: float
) -> Iterator[Timing]:
    with served(shop) as (running, address):
        ready(address)

        def load(**how: Any) -> Any:
            asked = Load(
                f"{address}/v1/predict", kind, tuple(map(str, bodies)), seconds=_SECONDS, **how
            )
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.load"],
                input=json.dumps(asdict(asked)),
                capture_output=True,
                text=True,
                check=True,
            )
            return json.loads(done.stdout)

        load(connections=_CONNECTIONS)  # what starts when it is first needed
        full = load(connections=_CONNECTIONS)
        rate = full["statuses"]["200"] / full["took"]
        yield Timing(
            f"{what} a second, {_CONNECTIONS} callers",
            f"{rate:.0f}",
            f"{bare:.0f}, one process with all of them at hand",
            f"{rate / bare:.2f}",
        )
        half = load(connections=4 * _CONNECTIONS, rate=rate / 2)
        yield Timing(f"... at half of that, {rate / 2:.0f} a second", _times(half, "200"), "", "")
        before = _resident(running.pid)
        much = load(connections=8 * _CONNECTIONS, rate=5 * rate, from_due=False)
        after = _resident(running.pid)
        taken, refused = (much["statuses"].get(status, 0) for status in ("200", "503"))
        yield Timing(
            f"... at five times it, {5 * rate:.0f} a second",
            f"{taken / much['took']:.0f} a second answered: {_times(much, '200')}",
            f"{refused:,} told to come again: {_times(much, '503')}; {much['errors']} errors",
            f"{taken / much['took'] / rate:.2f}",
        )
        yield Timing("... memory of the service", f"{after:.0f} MB", f"{before:.0f} MB before", "")


def _times(outcome: Any, status: str) -> str:
    seconds = outcome["seconds"].get(status)
    if not seconds:
        return "none"
    half, most = (1000 * np.quantile(seconds, share) for share in (0.5, 0.99))
    return f"p50 {half:.1f} ms, p99 {most:.1f} ms"


def _resident(pid: int) -> float:
    """Megabytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Print the rows, with the starter network."""
    for row in page(models.starter()):
        print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main()
