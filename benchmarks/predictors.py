"""What head, centroid, nearest item and the cross-check of them are worth on real photos."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import Remembering, shared
from benchmarks.tables import table
from catalog import Catalog, Entry, Evaluation, read_manifest, take_part
from catalog.descriptors import Metric
from catalog.embedder.model_cache import Model
from catalog.head import solve
from catalog.judging.cross_check import VERDICTS
from catalog.judging.ranking import first_best
from catalog.learning.learning import Learning
from catalog.store.moment import Moment

_FIRST = 70
_STRANGERS = 20
_PRECISIONS = (0.98, 0.95)
_SPLIT = "1188/600/400"

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "`exact` (default)": ("exact", {}),
    "`frozen`": ("frozen", {}),
    "`document`, stored descriptors": ("document", {}),
    "`document`, `--start random`": ("document", {"start": "random"}),
    "`document`, Gaussian draws": ("document", {"replay": "gaussian"}),
    "`document`, generative network": ("document", {"replay": "gan"}),
    "`document`, no replay (forced)": ("document", {"replay": "none", "force": True}),
}
"""Ways to train the head, and how they are asked for."""


class Row(NamedTuple):
    """Top-1 of the head on the first classes before and after, on the new ones, and on all."""

    before: str
    after: str
    new: str
    all: str
    cross_check: str
    per_class: str


class Bench:
    """The photos and the embedder, which remembers them."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.embedder = Remembering(model)
        self._folder = folder
        grocery = shared() / "pictures" / "grocery"
        self.train = read_manifest(grocery / "train").entries
        self.val = read_manifest(grocery / "val").entries
        self.test = read_manifest(grocery / "test").entries
        self.labels = sorted({entry.label for entry in self.train})

    def catalogue(self, name: str, entries: Sequence[Entry]) -> Catalog:
        """A new catalogue of some photos."""
        made = Catalog.init(self._folder / f"{name}.catalog", embedder=self.embedder)
        made.import_(entries)
        return made

    def growth(self, name: str, way: str, options: dict[str, Any]) -> Row:
        """70 classes, then the other 11 one at a time: accuracy before and after."""
        old = set(self.labels[:_FIRST])
        with self.catalogue(name, [e for e in self.train if e.label in old]) as shop:
            if way != "exact":
                shop.train_head(way, **options)
            asked = [e for e in self.test if e.label in old]
            before = shop.evaluate(asked)
            start = time.perf_counter()
            for label in self.labels[_FIRST:]:
                shop.add_class(label, [e.picture for e in self.train if e.label == label])
            seconds = (time.perf_counter() - start) / (len(self.labels) - _FIRST)
            old_ones = shop.evaluate(asked)
            new_ones = shop.evaluate([e for e in self.test if e.label not in old])
            every = shop.evaluate(self.test)
        heads = [f"{e.head.top1:.3f}" for e in (before, old_ones, new_ones, every) if e.head]
        return Row._make([*heads, f"{every.cross_check.top1:.3f}", f"{seconds:.1f} s"])

    def closed_form(self) -> Iterator[tuple[str, ...]]:
        """The head by how many steps it is solved with; one is the closed form."""
        with self.catalogue("steps", self.train) as shop:
            for steps in (1, 2, 3, 5, 12, 40):
                yield (
                    f"{steps}",
                    *(self._solved(shop, asked, steps) for asked in (self.val, self.test)),
                )

    def coverage(self) -> Iterator[tuple[str, ...]]:
        """Promised and reached precision, and coverage; and the best any threshold could do."""
        with self.catalogue("coverage", self.train) as shop:
            both = [shop.evaluate(self.test, precision=precision) for precision in _PRECISIONS]
        promised = [_kept(found) for found in both]
        yield ("cross-check, as promised", *(cell for cells in promised for cell in cells))
        for name in both[0].cross_check.curves:
            best = [_best(both[0], name, precision) for precision in _PRECISIONS]
            yield (f"{name}, best threshold", *(cell for cells in best for cell in cells))
        reliability = both[0].cross_check.reliability
        error = f"{reliability.error:.3f}" if reliability else "-"
        yield ("calibration error", error, "", "", "", "", "")

    def strangers(self) -> Iterator[tuple[str, ...]]:
        """Verdicts where 20 classes are left out, on photos of those and of the others."""
        for seed in range(3):
            drawn = np.random.default_rng(seed).permutation(self.labels)[:_STRANGERS].tolist()
            kept = [e for e in self.train if e.label not in drawn]
            with self.catalogue(f"strangers {seed}", kept) as shop:
                for precision in _PRECISIONS:
                    found = shop.evaluate(self.test, precision=precision)
                    yield (f"{seed}", f"{precision}", *_verdicts(found))

    def hands(self) -> Iterator[tuple[str, ...]]:
        """Rock, paper, scissors on a random split, which flatters."""
        entries = read_manifest(shared() / "pictures" / "rock-paper-scissors")
        train = take_part(entries, _SPLIT, "train").entries
        test = take_part(entries, _SPLIT, "test").entries
        for way in ("exact", "document"):
            with self.catalogue(f"hands {way}", train) as shop:
                if way != "exact":
                    shop.train_head(way)
                found = shop.evaluate(test)
                head = found.head
                if head is None:
                    raise ValueError("a catalogue with a head gave none")
                yield (
                    f"`{way}`",
                    f"{head.top1:.4f}",
                    f"{head.loss:.3f}",
                    f"{found.centroid.top1:.4f}",
                    f"{found.cross_check.top1:.4f}",
                )

    def _solved(self, shop: Catalog, entries: Sequence[Entry], steps: int) -> str:
        rows, positions, metric = self._gallery(shop)
        head = solve(metric.whiten(rows), positions, range(len(self.labels)), steps=steps)
        logits = head.logits(metric.whiten(self._descriptors(entries)))
        return f"{np.mean(first_best(logits) == self._truth(entries)):.3f}"

    def _gallery(self, shop: Catalog) -> tuple[NDArray[np.float32], NDArray[np.int64], Metric]:
        def gather(
            learning: Learning, moment: Moment
        ) -> tuple[NDArray[np.float32], NDArray[np.int64], Metric]:
            rows = shop._rows.floats(moment.items)  # noqa: SLF001
            return rows, moment.class_places, learning.metric(moment)[0]

        return shop._keeper.compute(gather)  # noqa: SLF001

    def _descriptors(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        found = self.embedder.embed_each(entry.picture for entry in entries)
        return np.stack([row for row in found if isinstance(row, np.ndarray)])

    def _truth(self, entries: Sequence[Entry]) -> NDArray[np.int64]:
        return np.array([self.labels.index(entry.label) for entry in entries], np.int64)


def pages(model: Model) -> Iterator[str]:
    """The lines of ``benchmarks/PREDICTORS.md`` after its heading."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(model, Path(folder))
        yield "\n## The head, solved with so many steps (Grocery Store, top-1)\n"
        yield from table(("steps", "val", "test"), bench.closed_form())
        yield "\nOne step is the closed form. Twelve are made where there is time for them."
        yield "\n## 70 classes, then the other 11 one at a time (Grocery Store, test)\n"
        rows = (
            (what, *bench.growth(f"growth {at}", way, options))
            for at, (what, (way, options)) in enumerate(WAYS.items())
        )
        yield from table(("head", *Row._fields), rows)
        yield (
            "\nColumns: the head's top-1 on the first 70 classes before and after, on the 11 new "
            "ones, and on all\n81; then the cross-check's; then the time that adding a class took."
        )
        yield "\n## Precision promised and reached, and coverage (Grocery Store, test)\n"
        parts = ("expected", "covered", "right")
        yield from table(
            ("", *(f"{part} at {p:.0%}" for p in _PRECISIONS for part in parts)), bench.coverage()
        )
        yield (
            "\nThe first row is what a catalogue does by itself. The others show how much of the "
            "test photos each\nwitness could have answered at that precision, had its threshold "
            "been chosen on them."
        )
        yield "\n## 20 of the 81 classes left out (Grocery Store, test)\n"
        verdicts = [f"{who}: {v}" for who in ("known", "strangers") for v in VERDICTS]
        yield from table(("draw", "promised", *verdicts), bench.strangers())
        yield f"\n## Rock, paper, scissors, split {_SPLIT} by seed 0\n"
        yield from table(("head", "top-1", "loss", "centroid", "cross-check"), bench.hands())
        yield (
            "\nThe tutorial reports .9675 and a loss of .149 on its own photos of hands. A random "
            "split of photos\nthat were taken in bursts flatters."
        )


def _kept(found: Evaluation) -> tuple[str, str, str]:
    """The coverage expected and reached by matches, and the share of them that was right."""
    match = found.cross_check.verdicts[0]
    right = f"{match.right / match.pictures:.3f}" if match.pictures else "-"
    expected = found.cross_check.expected_coverage or 0.0
    return f"{expected:.3f}", f"{match.pictures / found.pictures:.3f}", right


def _best(found: Evaluation, name: str, precision: float) -> tuple[str, str, str]:
    """The largest coverage with which a witness could have kept a precision on these photos."""
    points = [p for p in found.cross_check.curves[name] if p.precision >= precision]
    if not points:
        return "", "0", "-"
    return "", f"{points[-1].coverage:.3f}", f"{points[-1].precision:.3f}"


def _verdicts(found: Evaluation) -> Iterator[str]:
    for counts in (found.cross_check.verdicts, found.strangers):
        total = sum(count.pictures for count in counts)
        for count in counts:
            yield f"{count.pictures / total:.3f}"
