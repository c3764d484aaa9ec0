"""A catalogue kept in step with a source, whenever that changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from catalog.descriptors import Locked
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

    Args:
        source, delete, force, most_gone, class_level, group_by, made_up, progress, training: as for
            :meth:`sync`.

    Yields:
        What came of each look: of the first, and of every one that changed something or found
        something amiss. Each is a command for ``undo``.

    Raises:
        CatalogError: as :meth:`sync` does, except that it waits for another process that writes.
    """
    way = Way(delete, force, most_gone, class_level, group_by, made_up)
    first = way.listed(source)
    with way.job(catalog, first, progress) as running:
        yield bring(catalog, first, way, running, training)
        for _ in _changes(Path(source), running):
            try:
                result = bring(catalog, way.listed(source), way, running, training)
            except Locked:
                continue
            if result.command is not None or result.refused:
                yield result


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
