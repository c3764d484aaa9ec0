"""The index when the metric has moved: how many candidates it takes, and what an answer costs."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.growth import Synthetic
from benchmarks.photos import shared
from benchmarks.stand_ins import StandIn
from catalog import Catalog, Entry, Picture, Prediction, read_manifest
from catalog.embedder import MobileNetEmbedder, Source, Specification
from catalog.embedder.model_cache import Model

_KINDS = {
    "groceries": ("grocery/train", 2640),
    "flowers": ("flowers/train", 1500),
    "hands": ("rock-paper-scissors", 800),
}
_CHOICES = ((1, 1), (2, 1), (4, 1), (4, 2), (8, 2), (20, 20))
"""How many times k are ranked anew, and how many times as many voters are looked at."""

_LATE = (
    0.047  # of the items; more than .05 of those that were there before, and the index is renewed
)
_ITEMS, _CLASSES = 100_000, 2_000
_SMALL, _SMALL_CLASSES = 2_640, 81
_ASKED = 40
"""How many descriptors each thread asks about, where memory is measured."""


class Looked(StandIn):
    """Gives pictures, which are numbers, descriptors that were computed before."""

    def __init__(self, real: MobileNetEmbedder, rows: NDArray[np.float32]) -> None:
        super().__init__(real.specification, real.probe())
        self._rows = rows

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The row of ``b"number"``."""
        source = picture.source if isinstance(picture, Picture) else picture
        row: NDArray[np.float32] = self._rows[int(bytes(source))]  # type: ignore[arg-type]
        return row


def candidates(model: Model) -> Iterator[Sequence[str]]:
    """What answers lose that rest on few candidates, kind by kind."""
    for kind, (folder, most) in _KINDS.items():
        entries = list(read_manifest(shared() / "pictures" / folder).entries)
        chosen = np.random.default_rng(0).permutation(len(entries))[:most]
        entries = [entries[at] for at in chosen.tolist()]
        real = MobileNetEmbedder(model)
        rows = np.stack(list(real.embed_many(entry.picture for entry in entries)))
        embedder = Looked(real, rows)
        real.close()
        order = np.random.default_rng(1).permutation(len(entries)).tolist()
        asked, rest = order[: len(order) // 8], order[len(order) // 8 :]
        late = round(_LATE * len(rest))

        def of(numbers: Sequence[int], entries: list[Entry] = entries) -> list[Entry]:
            return [Entry(entries[n].label, Picture(str(n).encode())) for n in numbers]

        with tempfile.TemporaryDirectory() as scratch:
            fresh, aged = (
                Catalog.init(Path(scratch, name), embedder=embedder) for name in ("fresh", "aged")
            )
            with fresh, aged:
                fresh.import_(of(rest))
                with patch("catalog.index.items.RENEW_ROWS", 0):
                    aged.import_(of(rest[late:]))
                    aged.nearest(rows[asked[0]])
                    aged.import_(of(rest[:late]))
                    if aged._keeper.nearest(lambda snapshot: snapshot.is_exact):  # noqa: SLF001
                        raise ValueError(f"{kind}: the index was renewed: there is nothing to see")
                    expected = _said(fresh, rows[asked])
                    for reranked, drift in _CHOICES:
                        with (
                            patch("catalog.learning.candidates._RERANKED", reranked),
                            patch("catalog.learning.candidates._DRIFT", drift),
                        ):
                            alike = _alike(expected, _said(aged, rows[asked]))
                        yield (kind, str(reranked), str(drift), *alike)


def _said(catalog: Catalog, rows: NDArray[np.float32]) -> list[tuple[list[str], Prediction]]:
    """Contents of the ten nearest items, and the prediction, of each descriptor."""
    contents: dict[int, str] = {item.id: item.content for item in catalog.items()}
    near, answers = catalog.nearest_many(rows), catalog.predict_many(rows)
    return [
        ([contents[one.item] for one in found], answer)
        for found, answer in zip(near, answers, strict=True)
        if isinstance(found, list) and isinstance(answer, Prediction)
    ]


def _alike(one: list[tuple[list[str], Prediction]], other: list[Any]) -> Iterator[str]:
    """What share of answers is the same: first item, first ten, label, verdict, neighbours."""
    pairs = list(zip(one, other, strict=True))
    yield f"{np.mean([a[0][0] == b[0][0] for a, b in pairs]):.4f}"
    yield f"{np.mean([len({*a[0]} & {*b[0]}) / len(a[0]) for a, b in pairs]):.4f}"
    verdicts = [[(answer.label, answer.verdict) for _, answer in said] for said in (one, other)]
    yield f"{np.mean([a == b for a, b in zip(*verdicts, strict=True)]):.4f}"
    names = [[[c.label for c in answer.neighbours] for _, answer in said] for said in (one, other)]
    yield f"{np.mean([a == b for a, b in zip(*names, strict=True)]):.4f}"


def large() -> Iterator[Sequence[str]]:
    """One process that asks a catalogue of 100,000 items, against FAISS alone."""
    embedder = _embedder()
    with tempfile.TemporaryDirectory() as scratch:
        path = _made(Path(scratch, "large.catalog"), _ITEMS, _CLASSES)
        asked = [f"{label} 999".encode() for label in range(3, _CLASSES, 97)]
        with Catalog.open(path, embedder=embedder) as shop:
            yield "the very first `nearest`", _seconds(lambda: shop.nearest(asked[0])), ""
            flat = _scan(shop)
            warm = _median(shop.nearest, asked)
            yield "FAISS's flat scan alone, one thread", f"{1000 * flat:.1f} ms", ""
            yield "`nearest`, later", f"{1000 * warm:.1f} ms", f"{warm / flat:.2f}"
            shop.add_class("new", [f"{_CLASSES} {number}".encode() for number in range(20)])
            yield (
                "`nearest`, the first after an added class",
                _seconds(lambda: shop.nearest(asked[1])),
                "",
            )
            moved = _median(shop.nearest, asked)
            what = "`nearest`, later, under a metric that has moved"
            yield what, f"{1000 * moved:.1f} ms", f"{moved / flat:.2f}"
            yield "the very first `predict`", _seconds(lambda: shop.predict(asked[0])), ""
            yield "`predict`, later", f"{1000 * _median(shop.predict, asked):.1f} ms", ""
            shop.undo()
            yield (
                "`predict`, the first after that was undone",
                _seconds(lambda: shop.predict(asked[1])),
                "",
            )
        with Catalog.open(path, embedder=embedder) as again:
            yield (
                "`nearest`, the first of another process",
                _seconds(lambda: again.nearest(asked[2])),
                "",
            )


def memory() -> Iterator[Sequence[str]]:
    """The most memory of processes that do nothing but ask, by descriptor."""
    with tempfile.TemporaryDirectory() as scratch:
        for items, classes in ((_SMALL, _SMALL_CLASSES), (_ITEMS, _CLASSES)):
            path = _made(Path(scratch, f"{items}.catalog"), items, classes)
            first = _apart(_first_memory, path)
            what = f"{items:,} items"
            yield f"{what}: opened", f"{first[0]:.0f} MB", ""
            yield "... after the very first `nearest`", f"{first[1]:.0f} MB", ""
            yield "... after the very first `predict`", f"{first[2]:.0f} MB", ""
            one, eight = (_apart(_threads_memory, path, threads)[1] for threads in (1, 8))
            yield f"{what}, in the cache already: one thread asks both", f"{one:.0f} MB", ""
            yield "... eight threads", f"{eight:.0f} MB", f"{eight / one:.2f}"
            before, swapped = _apart(_threads_memory, path, 8, grow=True)
            yield (
                "... eight threads, while a class is added",
                f"{swapped:.0f} MB",
                f"{swapped - before:.0f} MB more; rows of a snapshot: {items * 5120 / 1e6:.0f} MB",
            )


def _embedder() -> Synthetic:
    specification = Specification("0" * 64, 224, 1280, (0.0,))
    return Synthetic(specification, np.eye(4, 1280, dtype=np.float32))


def _made(path: Path, items: int, classes: int) -> Path:
    """A catalogue of made-up descriptors."""
    with Catalog.init(path, embedder=_embedder()) as made:
        made.import_(
            Entry(f"class {label}", Picture(f"{label} {number}".encode()))
            for label in range(classes)
            for number in range(-(-items // classes))
        )
    return path


def _apart(measure: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a process of its own measures."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, given, named)


def _first_memory(path: Path) -> tuple[float, float, float]:
    """The most memory so far, in MB: opened, after the first look-up, after the first answer."""
    asked = [f"{label} 999".encode() for label in range(3)]
    with Catalog.open(path, embedder=_embedder()) as shop:
        row = shop.embed(asked[0])
        found = [_most()]
        for call in (shop.nearest, shop.predict):
            call(row)
            found.append(_most())
    return found[0], found[1], found[2]


def _threads_memory(path: Path, threads: int, *, grow: bool = False) -> tuple[float, float]:
    """The most memory so far, in MB, of threads that ask; and then, while a class is added."""
    with Catalog.open(path, embedder=_embedder()) as shop, ThreadPoolExecutor(threads) as pool:
        rows = [shop.embed(f"{label} 999".encode()) for label in range(_ASKED)]
        ready = threading.Barrier(threads)

        def ask(_: int) -> None:
            ready.wait()
            for row in rows:
                shop.nearest(row)
                shop.predict(row)

        list(pool.map(ask, range(threads)))
        before = _most()
        if grow:
            asking = [pool.submit(ask, number) for number in range(threads)]
            shop.add_class("new", [f"{10**6} {number}".encode() for number in range(20)])
            for one in asking:
                one.result()
    return before, _most()


def _most() -> float:
    """The most memory that this process has had, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("this system does not say how much memory a process has had")


def _scan(shop: Catalog) -> float:
    """How long FAISS takes to go through as many rows on one thread."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(1280)
    rows = np.random.default_rng(0).normal(size=(10_000, 1280)).astype(np.float32)
    for _ in range(len(shop) // len(rows)):
        index.add(rows)
    took = _median(lambda query: index.search(query, 10), [rows[at : at + 1] for at in range(20)])
    faiss.omp_set_num_threads(before)
    return took


def _seconds(call: Callable[[], object]) -> str:
    began = time.perf_counter()
    call()
    return f"{time.perf_counter() - began:.2f} s"


def _median(call: Callable[[Any], object], given: Sequence[Any]) -> float:
    times = []
    for one in given:
        began = time.perf_counter()
        call(one)
        times.append(time.perf_counter() - began)
    return statistics.median(times)
