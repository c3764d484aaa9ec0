"""A folder of small pictures that changes as folders do."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from hypothesis import strategies as st

from catalog import Catalog

CLASSES = ("cup", "jug", "pan")
NAMES = ("a.png", "b.png", "c.png")
_TICK = 1_000_000_007
"""Nanoseconds between one change of a file and the next; no two files have one time by chance."""


def stocked(root: Path) -> Path:
    """A folder of three classes of three pictures."""
    for at, label in enumerate(CLASSES):
        for number in range(3):
            write(root / label / f"{number}.png", 10 * at + number)
    return root


def write(path: Path, seed: int, time: int | None = None) -> None:
    """Draw a picture that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", pixels)
    assert done
    path.write_bytes(data.tobytes())
    if time is not None:
        os.utime(path, ns=(time, time))


@dataclass(frozen=True)
class Step:
    """Something that happens to a folder.

    Attributes:
        what: ``write``, ``move``, ``remove``, ``copy``, ``touch``, ``link``, ``away`` or ``spoil``.
        of: which file, of those that there could be.
        to: likewise.
        clock: what the clock says then, in ticks; it may jump.
    """

    what: str
    of: tuple[str, str]
    to: tuple[str, str]
    clock: int


_places = st.tuples(st.sampled_from(CLASSES), st.sampled_from(NAMES))
steps = st.builds(
    Step,
    st.sampled_from(
        ("write", "write", "write", "move", "remove", "copy", "touch", "link", "away", "spoil")
    ),
    _places,
    _places,
    st.integers(1, 2_000_000),
)
"""What may happen to a folder."""


class Folder:
    """A folder in which every picture that is written is another one.

    Args:
        root: where it is to lie.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.elsewhere = root.parent / "elsewhere"
        self.elsewhere.mkdir(parents=True)
        root.mkdir()
        self._taken = 0

    def take(self, step: Step) -> None:
        """Let something happen; what makes no sense now does not."""
        here, there = (self.root / name / file for name, file in (step.of, step.to))
        there.parent.mkdir(exist_ok=True)
        self._taken += 1
        time = step.clock * _TICK + self._taken
        if step.what == "write":
            here.unlink(missing_ok=True)
            write(here, self._taken, time)
        elif here.exists() and here != there:
            getattr(self, f"_{step.what}")(here, there, time)

    def mend(self) -> None:
        """Take away what is no picture, links to nothing, and pictures of a second class."""
        classes: dict[bytes, str] = {}
        for file in sorted(self.root.rglob("*.png")):
            content = file.read_bytes() if file.exists() else b""
            own = classes.setdefault(content, file.parent.name)
            if content in {b"", b"no picture"} or own != file.parent.name:
                file.unlink()

    def _remove(self, here: Path, _there: Path, _time: int) -> None:
        here.unlink()

    def _touch(self, here: Path, _there: Path, time: int) -> None:
        os.utime(here, ns=(time, time))

    def _spoil(self, here: Path, _there: Path, _time: int) -> None:
        here.unlink()
        here.write_bytes(b"no picture")

    def _away(self, here: Path, _there: Path, time: int) -> None:
        """It goes elsewhere, and is linked: it counts by the name of the link."""
        if not here.is_symlink():
            here.rename(self.elsewhere / str(time))
            here.symlink_to(self.elsewhere / str(time))

    def _move(self, here: Path, there: Path, _time: int) -> None:
        here.rename(there)

    def _copy(self, here: Path, there: Path, _time: int) -> None:
        if here.parent == there.parent:  # a picture is in one class at a time
            there.unlink(missing_ok=True)
            shutil.copy2(here, there)

    def _link(self, here: Path, there: Path, _time: int) -> None:
        if not there.exists():
            there.unlink(missing_ok=True)
            there.symlink_to(here)


def contents(catalog: Catalog) -> list[tuple[str, str, tuple[str, ...]]]:
    """Class, content and places of every item, in an order of their own."""
    return sorted((item.label, item.content, item.sources) for item in catalog.items())
