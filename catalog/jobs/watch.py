"""A catalogue kept in step with a source, whenever that changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from catalog.descriptors import Conflict, InvalidInput, Locked, NotFound
from catalog.jobs.running import JobProgress, Running
from catalog.jobs.sync import MOST_GONE, Synced, Way, bring
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.manifest import ClassLevel

_QUIET = 1_000
"""For how many milliseconds nothing may change in a folder before it is looked at: a picture that
is being copied is not read half."""

_LOOK = 60.0
"""After how many seconds a folder is looked at in any case: not every disk says what changes."""

_ASK = 1_000
"""How often, in milliseconds, it is asked whether the job is to stop."""


def watch(
    catalog: Opened,
    source: str | PathLike[str],
    *,
    delete: bool = False,
    force: bool = False,
    most_gone: float = MOST_GONE,
    class_level: ClassLevel | None = None,
    group_by: str | None = None,
    made_up: bool = True,
    progress: JobProgress | None = None,
    training: TrainingProgress | None = None,
) -> Iterator[Synced]:
    """Keep a catalogue in step with a folder or manifest for as long as it is listened to.

    It goes on where the source is away for a while, where too much of it is gone, and where another
    process writes: nothing is done then until the next look, and that is said once.

    Args:
        source, delete, force, most_gone, class_level, group_by, made_up, progress, training: as for
            :meth:`sync`.

    Yields:
        What came of each look: of the first, and of every one that changed something, or found
        something amiss that was not so before; ``notes`` say why nothing was done. Each is a
        command for ``undo``.

    Raises:
        CatalogError: as :meth:`sync` does, where there is nothing to watch, or the catalogue fails.
    """
    way = Way(delete, force, most_gone, class_level, group_by, made_up)
    place = Path(source)
    amiss: object = None
    with way.job(catalog, way.listed(source), progress) as running:
        for _ in _looks(place, running):
            try:
                result = bring(catalog, way.listed(source), way, running, training)
            except (Conflict, InvalidInput, Locked, NotFound) as error:
                result = Synced(str(place), notes=(f"nothing was done: {error.fact}",))
            now = (result.notes, result.failures)
            if amiss is None or result.command is not None or now != amiss:
                yield result
            amiss = now


def _looks(source: Path, running: Running) -> Iterator[None]:
    """At once, and whenever something changed in a folder or a file, and is quiet again."""
    yield
    yield from _changes(source, running)


def _changes(source: Path, running: Running) -> Iterator[None]:
    """Whenever something changed in a folder or a file, and is quiet again."""
    from watchfiles import watch as changes

    running.at("watching")
    looked = time.monotonic() - _LOOK  # what changed before the watch began is seen at once
    for found in changes(
        source if source.is_dir() else source.parent,
        recursive=source.is_dir(),
        watch_filter=None,
        step=_QUIET,
        rust_timeout=_ASK,
        yield_on_timeout=True,
        raise_interrupt=True,
    ):
        running.wait()
        if found or time.monotonic() - looked >= _LOOK:
            yield
            running.at("watching")
            looked = time.monotonic()
