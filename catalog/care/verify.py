"""Whether a catalogue file and what is derived from it are sound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.care.places import gone_places
from catalog.index import array_file
from catalog.learning.bound import OTHERS
from catalog.learning.kinds import KINDS
from catalog.learning.opened import Opened
from catalog.store import DatabaseError, checks, files, inventory, journal


@dataclass(frozen=True, slots=True)
class Verification:
    """What :meth:`Catalog.verify` found.

    Attributes:
        problems: what is wrong with the catalogue file, in words; none if it is sound.
        derived: what was wrong with derived files; they were deleted, and will be made again.
        generation: of the state that was checked.
        items: how many items it has.
        gone: places of items where nothing lies any more, which is nothing wrong with the file.
    """

    problems: tuple[str, ...]
    derived: tuple[str, ...]
    generation: int
    items: int
    gone: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether the catalogue file is as it should be."""
        return not self.problems


def verify(catalog: Opened) -> Verification:
    """Check the file, its journal, and everything derived from it.

    Unsound derived files are deleted; they will be made again. So is what processes that were
    killed left beside the file.
    """
    files.sweep(catalog.path)
    with catalog._store.reading() as tx:
        problems = checks.problems_of_file(tx)
        try:
            state = journal.version(tx).generation, inventory.count(tx)
        except (DatabaseError, AttributeError, TypeError):  # which the problems name
            state = 0, 0
        places = {} if problems else inventory.all_places(tx)
    caches = [catalog._cache, *sorted(catalog._cache.glob(OTHERS))]
    faults = [fault for cache in caches for fault in _unsound(cache)]
    if not problems and not catalog._keeper.check():
        faults.append("sums: not those of the descriptors")
    return Verification(problems, tuple(faults), *state, gone_places(places))


def _unsound(cache: Path) -> Iterator[str]:
    for kind in KINDS:
        if fault := array_file.fault(cache / kind, kind):
            with contextlib.suppress(OSError):
                (cache / kind).unlink()
            yield fault
