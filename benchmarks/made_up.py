"""What photos that are made up promise, and keep, where there is one picture of each thing."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import Remembering, shared
from benchmarks.tables import table
from catalog import Catalog, Entry, Picture, answers, read_manifest
from catalog.embedder import made_up, read_picture
from catalog.embedder.decode import decode
from catalog.embedder.model_cache import Model
from catalog.judging import calibration
from catalog.judging.calibration import Calibrations
from catalog.judging.cross_check import judge
from catalog.judging.cross_fit import HeldOut
from catalog.judging.witnesses import Witnesses

_PRECISIONS = (0.98, 0.95, 0.9)
_SIZES = (1, 2, 3, 5, 10, 20)
_DRAWS = 4


@dataclass(frozen=True)
class Kind:
    """Pictures of things, one of each, and photos that are asked.

    Attributes:
        gallery: one picture of each thing.
        asked: photos that settings are chosen by.
        test: photos that are reported.
    """

    gallery: tuple[Entry, ...]
    asked: tuple[Entry, ...]
    test: tuple[Entry, ...]


@dataclass(frozen=True)
class Said:
    """What was said of photos: by the witnesses, and what was held out.

    Attributes:
        held_out: what a calibration is learnt from.
        witnesses: of the photos.
        truth: int64 (Q,), the place of the class of each.
        order: the ids of the classes.
    """

    held_out: HeldOut | None
    witnesses: Witnesses
    truth: NDArray[np.int64]
    order: Sequence[int]

    def learnt(self) -> Calibrations | None:
        """How sure answers may be."""
        return calibration.learn(self.held_out)


def kinds() -> dict[str, Kind]:
    """Four kinds of pictures: flat things, shop pictures, single photos of products and flowers."""

    def listed(*parts: str) -> tuple[Entry, ...]:
        return read_manifest(shared().joinpath("pictures", *parts)).entries

    train, test = listed("grocery", "train"), listed("grocery", "test")
    flowers, photos = listed("flowers", "train"), listed("covers", "photos")
    one, first = _one_each(train), _one_each(flowers)
    both = (*train, *listed("grocery", "val"))
    return {
        "covers": Kind(listed("covers", "gallery"), photos, photos),
        "shop pictures of groceries": Kind(_shop_pictures(), both, test),
        "a photo of each of the groceries": Kind(one, listed("grocery", "val"), test),
        "a photo of each flower": Kind(
            first, tuple(each for each in flowers if each not in first), listed("flowers", "test")
        ),
    }


def _shop_pictures() -> tuple[Entry, ...]:
    folder = shared() / "pictures" / "grocery"
    with (folder / "classes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        Entry(
            row["Class Name (str)"],
            Picture(folder / row["Iconic Image Path (str)"].strip().lstrip("/")),
        )
        for row in rows
    )


def _one_each(entries: Sequence[Entry], size: int = 1, seed: int = 0) -> tuple[Entry, ...]:
    """So many entries of each class, drawn at random."""
    random = np.random.default_rng(seed)
    by_class: dict[str, list[Entry]] = {}
    for entry in entries:
        by_class.setdefault(entry.label, []).append(entry)
    return tuple(
        own[at] for own in by_class.values() for at in random.permutation(len(own))[:size].tolist()
    )


def say(embedder: Remembering, gallery: Sequence[Entry], asked: Sequence[Entry]) -> Said:
    """Ask a catalogue of some pictures about photos."""
    with tempfile.TemporaryDirectory() as folder:
        with Catalog.init(Path(folder) / "shop.catalog", embedder=embedder) as shop:
            shop.import_(gallery)
            described = embedder.embed_each(entry.picture for entry in asked)
            rows = np.stack([row for row in described if isinstance(row, np.ndarray)])
            held_out = shop._keeper.compute(  # noqa: SLF001
                lambda learning, moment: learning.pool(moment, with_head=True).cross_fit()
            )
            snapshot = shop._keeper.judge(lambda snapshot: snapshot)  # noqa: SLF001
            witnesses = answers.testify(snapshot, rows, 5, shop._rows.floats)  # noqa: SLF001
        names = [snapshot.moment.names[slot] for slot in snapshot.moment.order]
        truth = np.array([names.index(entry.label) for entry in asked], np.int64)
        return Said(held_out, witnesses, truth, snapshot.moment.order)


def kept(said: Said) -> Iterator[str]:
    """What is called a match, how much of it is right, and how much of it was foretold."""
    found = said.learnt()
    for precision in _PRECISIONS:
        if found is None:
            yield "-"
            continue
        witnesses = replace(said.witnesses, made_up=found.stands_in(said.order))
        judgement = judge(witnesses, found, precision)
        match = np.array([verdict == "match" for verdict in judgement.verdicts])
        right = judgement.chosen == said.truth
        share = f"{right[match].mean():.3f}" if match.any() else "-"
        yield f"{match.mean():.3f} @ {share} ({judgement.coverage:.2f})"


def page(model: Model) -> Iterator[str]:
    """The page about them."""
    embedder = Remembering(model)
    every = kinds()
    heading = ("", *(f"{precision:g} promised" for precision in _PRECISIONS))
    yield (
        "One picture of each thing, and photos of it asked. A cell says which share of them is "
        "called a match, how many of\nthose are right, and, in brackets, which share was foretold. "
        "Nothing but the pictures themselves is known: what is\npromised rests on "
        f"{made_up.PHOTOS} photos made up of each. On covers photos are like that; the others "
        "are asked with photos\nof other things of their kind, which nothing that can be made up "
        "is like, and there the promise has to be kept, too.\n"
    )
    said = {name: say(embedder, kind.gallery, kind.asked) for name, kind in every.items()}
    yield "## Strangers, and what is too unlike\n"
    yield (
        "*Doubt* is how many strangers are counted as mistakes beside each photo; *like* the share "
        "of photos that a picture has\nto be as like its class as, to have a probability.\n"
    )
    settings = [(0, 0), (0, 0.5), (3, 0.5), (5, 0.5), (7, 0.5), (9, 0), (9, 0.25), (9, 0.5)]
    settings += [(9, 0.6), (20, 0.5)]
    rows = (
        [f"doubt {doubt:g}, like {like:g}: {name}", *cells]
        for doubt, like in settings
        for name, cells in _under(said, {"DOUBT": float(doubt), "LIKE_SHARE": like})
    )
    yield from table(heading, rows)
    yield "\n## Which photos\n"
    yield from table(heading, _recipes(embedder, every))
    yield "\n## Photos that nothing was chosen by\n"
    yield "Those of the test parts; of covers there are no others than above.\n"
    tested = {name: say(embedder, kind.gallery, kind.test) for name, kind in every.items()}
    yield from table(heading, ([name, *kept(one)] for name, one in tested.items()))
    yield "\n## More pictures\n"
    yield (
        f"Top-1 of the cross-check on the groceries' `val`, pictures drawn {_DRAWS} times: what "
        "more pictures of a class are worth.\n"
    )
    yield from table([str(size) for size in _SIZES], [[*_by_size(embedder)]])


def _under(
    said: Mapping[str, Said], settings: Mapping[str, float]
) -> Iterator[tuple[str, list[str]]]:
    with ExitStack() as stack:
        for name, value in settings.items():
            stack.enter_context(patch.object(calibration, name, value))
        for name, one in said.items():
            yield name, [*kept(one)]


def _recipes(embedder: Remembering, every: Mapping[str, Kind]) -> Iterator[list[str]]:
    """Other photos made up, with the settings as they are."""
    others: dict[str, dict[str, Any]] = {
        "as it is": {},
        "2 photos": {"PHOTOS": 2},
        "4 photos": {"PHOTOS": 4},
        "larger: .55 to 1.05 of the frame, 20 degrees": {"FILL": (0.55, 1.05), "TURN": 20.0},
        "smaller: .3 to .7, 20 degrees": {"FILL": (0.3, 0.7), "TURN": 20.0},
        "of any size: .3 to 1, 30 degrees": {"FILL": (0.3, 1.0), "TURN": 30.0},
    }
    for what, changes in others.items():
        for name, kind in every.items():
            with ExitStack() as stack:
                for constant, value in changes.items():
                    stack.enter_context(patch.object(made_up, constant, value))
                said = say(embedder, kind.gallery, kind.asked)
            yield [f"{what}: {name}", *kept(said)]
    for name, kind in every.items():
        with patch.object(made_up, "background", _Others(kind.gallery)):
            said = say(embedder, kind.gallery, kind.asked)
        yield [f"before another picture of the catalogue: {name}", *kept(said)]


class _Others:
    """Backgrounds that are other pictures."""

    def __init__(self, gallery: Sequence[Entry]) -> None:
        pictures = [decode(read_picture(str(entry.picture.source))) for entry in gallery]
        self._small = [
            np.asarray(cv2.resize(one, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)
            for one in pictures
        ]

    def __call__(self, random: np.random.Generator) -> NDArray[np.uint8]:
        return self._small[int(random.integers(len(self._small)))]


def _by_size(embedder: Remembering) -> Iterator[str]:
    pictures = shared() / "pictures" / "grocery"
    train, val = (read_manifest(pictures / part).entries for part in ("train", "val"))
    for size in _SIZES:
        found = []
        for seed in range(_DRAWS):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "shop.catalog"
                with Catalog.init(file, embedder=embedder) as shop:
                    shop.import_(_one_each(train, size, seed), made_up=False)
                    found.append(shop.evaluate(val).cross_check.top1)
        yield f"{np.mean(found):.3f}"
