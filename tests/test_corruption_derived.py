"""Derived files with bits flipped or their ends cut off: noticed, and made again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soak_page
from damage import flipped, opened, rounded, spoilt, unpacked
from golden import make

from catalog.index import array_file
from catalog.learning.kinds import KINDS
from catalog.store.files import cache_folder

pytest_plugins = ["trial_fixtures"]


class Learnt:
    """A catalogue with every derived file beside it, and what it answers."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.catalog"
        unpacked("format-5-exact", self.path)
        self.expected = self.ask()
        self.files = {kind: (cache_folder(self.path) / kind).read_bytes() for kind in KINDS}

    def ask(self) -> dict[str, Any]:
        """What it answers, opened anew."""
        with opened(self.path) as catalog:
            said: dict[str, Any] = rounded(make.answers(catalog))
        return said

    def spoil(self, kind: str, content: bytes) -> Path:
        """Put a damaged file in place of a derived one."""
        file = cache_folder(self.path) / kind
        file.write_bytes(content)
        return file

    def endure(self, kind: str, content: bytes) -> None:
        """Check that a damaged file is found by name, changes no answer, and is made again."""
        file = self.spoil(kind, content)
        assert array_file.read(file, kind) is None
        assert (array_file.fault(file, kind) or "").startswith(f"{kind}: ")
        assert self.ask() == self.expected
        assert file.read_bytes() == self.files[kind]


def endure_damage(folder: Path, times: int, seed: int) -> Counter[str]:
    """Damage derived files so many times, and ask the catalogue each time; how often which."""
    learnt, rng, done = Learnt(folder), random.Random(seed), Counter[str]()
    for number in range(times):
        kind = KINDS[number % len(KINDS)]
        learnt.endure(kind, spoilt(learnt.files[kind], rng))
        done[kind] += 1
    return done


def read_every_flip(folder: Path, step: int) -> Counter[str]:
    """Flip one bit in so many of every derived file, and cut off every length; how often which."""
    learnt, done = Learnt(folder), Counter[str]()
    for kind, content in learnt.files.items():
        file = cache_folder(learnt.path) / kind
        for bit in range(0, 8 * len(content), step):
            file.write_bytes(flipped(content, *divmod(bit, 8)))
            assert array_file.read(file, kind) is None, f"{kind}, bit {bit}"
            done[kind] += 1
        for length in range(0, len(content), step):
            file.write_bytes(content[:length])
            assert array_file.read(file, kind) is None, f"{kind}, cut to {length}"
            done[kind] += 1
    return done


def test_damaged_derived_files_change_no_answer(room: Path) -> None:
    """A damaged derived file is as good as absent: answers stay, and it is made again."""
    endure_damage(room, 40, 1)


def test_flips_of_derived_files_are_noticed(room: Path) -> None:
    """Wherever a bit of a real derived file is flipped, it reads as absent."""
    read_every_flip(room, 97)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_flip_of_derived_files(room: Path) -> None:
    """Every bit and every length of every derived file, and ten thousand ways through answers."""
    (room / "read").mkdir()
    (room / "asked").mkdir()
    read = read_every_flip(room / "read", 1)
    done = endure_damage(room / "asked", 10_000, 2)
    soak_page.record(
        "Damaged derived files",
        "Bits of `sums`, `metric`, `items`, `head` and `calibration` were flipped and their ends "
        "cut off: every bit and every length read once, and others at random while a catalogue was "
        "asked all it can be asked. Each was noticed, no answer changed, and the file was made "
        "again to the last byte.",
        {
            "flips and lengths read": read.total(),
            "of these noticed": read.total(),
            "damaged files under a catalogue that was asked": done.total(),
            "of these noticed, with the same answers": done.total(),
        },
    )


@pytest.mark.parametrize("kind", KINDS)
def test_verify_names_a_damaged_derived_file(room: Path, kind: str) -> None:
    """Verify says which file is damaged, deletes it, and still calls the catalogue sound."""
    learnt = Learnt(room)
    content = learnt.files[kind]
    file = learnt.spoil(kind, flipped(content, len(content) // 2, 3))
    with opened(learnt.path) as catalog:
        found = catalog.verify()
        assert found.sound
        assert [fault.split(":")[0] for fault in found.derived] == [kind]
        assert not file.exists()
        assert rounded(make.answers(catalog)) == learnt.expected
    assert file.read_bytes() == learnt.files[kind]


def test_a_flipped_length_asks_for_no_memory(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that claims gigabytes is refused before they are asked for."""
    file = room / "sums"
    array_file.write(file, "sums", {}, {"numbers": np.arange(9)})
    file.write_bytes(flipped(file.read_bytes(), 11, 7))
    wanted: list[int] = []
    unwatched = array_file._read_header

    def watched(prefix: bytes, size: int, read: Callable[[int], bytes]) -> dict[str, Any]:
        return unwatched(prefix, size, lambda count: (wanted.append(count), read(count))[1])

    monkeypatch.setattr(array_file, "_read_header", watched)
    assert array_file.read(file, "sums") is None
    assert not wanted
