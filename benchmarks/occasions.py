"""What counts as one occasion, on sets where that is known and hard to see."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import Remembering, shared
from benchmarks.tables import table
from catalog import Catalog, Entry, Picture, find_pictures
from catalog.data.photograph import photograph
from catalog.embedder import read_picture
from catalog.embedder.decode import decode
from catalog.embedder.made_up import background
from catalog.embedder.model_cache import Model

Pixels = NDArray[np.uint8]

HEADING = ("", "pictures", "occasions", "found", ".98 kept", "told which", ".98 kept")
_FRAMES = 30


@dataclass(frozen=True)
class Set:
    """Pictures of which the occasions are known, and photos that are asked.

    Attributes:
        entries: with the occasion of each as its group.
        asked: photos taken on others.
    """

    entries: tuple[Entry, ...]
    asked: tuple[Entry, ...]


def rows(model: Model) -> Iterator[Sequence[str]]:
    """A row for each set, in the order of :data:`HEADING`."""
    embedder = Remembering(model)
    for name, one in sets().items():
        occasions = len({(entry.label, entry.group) for entry in one.entries})
        row = [name, str(len(one.entries)), str(occasions)]
        for entries in (tuple(replace(e, group=None) for e in one.entries), one.entries):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "shop.catalog"
                with Catalog.init(file, embedder=embedder) as shop:
                    shop.import_(entries)
                    found = shop.audit().found.groups
                    verdicts = shop.evaluate(one.asked).cross_check.verdicts[0]
            share = verdicts.pictures / len(one.asked)
            right = f"{verdicts.right / verdicts.pictures:.3f}" if verdicts.pictures else "-"
            row += [str(found), f"{share:.3f} @ {right}"]
        yield row


def sets() -> dict[str, Set]:
    """Flat things photographed anew, films of a thing, and classes that are nearly one."""
    folder = shared() / "pictures"
    covers = [_read(one) for one in list(find_pictures([folder / "covers" / "gallery"]))[:40]]
    scenes = [_read(one) for one in list(find_pictures([folder / "flowers" / "train"]))[::59][:12]]
    return {
        "10 flat things, 30 independent photos each": _independent(covers[:10]),
        "12 things, a film of 30 frames of each": _filmed(scenes, films=1),
        "12 things, four films of 30 frames of each": _filmed(scenes, films=4),
        "40 covers twice, in one of them a line of text": _nearly_one(covers),
    }


def _read(picture: Picture) -> Pixels:
    return decode(read_picture(str(picture.source)))


def _photo(pixels: Pixels, random: np.random.Generator) -> Picture:
    return Picture(photograph(pixels, background(random), random, fill=(0.4, 0.9), turn=15))


def _independent(things: Sequence[Pixels]) -> Set:
    random = np.random.default_rng(0)
    taken = [
        Entry(f"thing {number}", _photo(pixels, random), group=str(shot))
        for shot in range(2 * _FRAMES)
        for number, pixels in enumerate(things)
    ]
    half = len(taken) // 2
    return Set(tuple(taken[:half]), tuple(taken[half:]))


def _filmed(things: Sequence[Pixels], films: int) -> Set:
    """A camera pans over each thing, in other light and from elsewhere in each film."""
    random = np.random.default_rng(1)
    entries, asked = [], []
    for number, pixels in enumerate(things):
        label = f"thing {number}"
        for film in range(films + 1):
            frames = _pan(pixels, random)
            if film < films:
                entries += [Entry(label, Picture(frame), group=str(film)) for frame in frames]
            else:
                asked += [Entry(label, Picture(frame)) for frame in frames[:: _FRAMES // 10]]
    return Set(tuple(entries), tuple(asked))


def _pan(pixels: Pixels, random: np.random.Generator) -> list[Pixels]:
    height, width = pixels.shape[:2]
    side = round(0.6 * min(height, width))
    start, end = random.uniform(0, 1, (2, 2)) * (height - side, width - side)
    gain, offset = random.uniform(0.7, 1.3, 3), random.uniform(-20, 20)
    frames = []
    for share in np.linspace(0, 1, _FRAMES):
        top, left = (start + share * (end - start)).astype(int)
        crop = pixels[top : top + side, left : left + side]
        frames.append(np.asarray(np.clip(crop * gain + offset, 0, 255), np.uint8))
    return frames


def _nearly_one(covers: Sequence[Pixels]) -> Set:
    random = np.random.default_rng(2)
    entries, asked = [], []
    for number, pixels in enumerate(covers):
        other = pixels.copy()
        at = (round(0.05 * other.shape[1]), round(0.9 * other.shape[0]))
        size = other.shape[1] / 400
        cv2.putText(other, "second edition", at, cv2.FONT_HERSHEY_SIMPLEX, size, (240, 240, 60), 2)
        for edition, own in enumerate((pixels, other)):
            label = f"cover {number}, edition {edition}"
            entries.append(Entry(label, Picture(own), group="0"))
            asked += [Entry(label, _photo(own, random)) for _ in range(3)]
    return Set(tuple(entries), tuple(asked))


def page(model: Model) -> Iterator[str]:
    """The page about them."""
    yield (
        "How many occasions are found where it is known how many there are, by how alike pictures "
        "are alone; and what a\npromise of .98 comes to then: the share of other photos that is "
        "called a match, and how many of those are right.\nThen the same where the owner says what "
        "is of one occasion (`group`). Films are made of crops that wander over a\nphoto; the "
        "photos of flat things as photos are made up everywhere here, each before something else.\n"
    )
    yield from table(HEADING, rows(model))
