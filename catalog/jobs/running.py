"""A job while it goes on: noted in the catalogue's file, for whoever asks how far it is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from itertools import compress
from pathlib import Path
from typing import Any, TypeAlias

from catalog.descriptors import Advice, Cancelled, CatalogError, Locked
from catalog.machine.processes import is_running, this_process
from catalog.manifest.pictures import Refusal
from catalog.store import ItemId, Transaction, inventory, jobs
from catalog.store.jobs import Failure, JobRow
from catalog.store.store import Store

JobProgress: TypeAlias = Callable[[int, int], None]
"""Called with how many pictures are done, and of how many."""

_EVERY = 2.0
"""How many seconds lie between two notes of how far a job is; each is a write to the disk."""

_WAITING = 120.0
"""The same while it waits for something to do."""

_ELSEWHERE = 600.0
"""After how many seconds without a sign of life a job on another computer counts as dead."""


_HERE: set[tuple[Path, int]] = set()
"""The jobs that this process is at: the catalogue, whatever link leads to it, and the number."""

_TAKEN_UP: ContextVar[int | None] = ContextVar("taken up", default=None)
"""The job that waits, and that the next one of this thread is."""


class Running:
    """A job that this process is at. For the thread that does the work.

    Args:
        store: of the catalogue.
        number: of the job.
        progress: told of each picture, beside the file.

    Attributes:
        outcome: what came of it, in numbers.
    """

    def __init__(self, store: Store, number: int, progress: JobProgress | None = None) -> None:
        self.id = number
        self.outcome: Counter[str] = Counter()
        self._store = store
        self._progress = progress
        self._stage, self._done = "reading", 0
        self._total: int | None = None
        self._noted = time.monotonic()
        self._has_failures = False

    def at(self, stage: str) -> None:
        """Begin a stage.

        Raises:
            Cancelled: someone asked the job to stop.
        """
        self._stage, self._done, self._total = stage, 0, None
        self._note()

    def report(self, done: int, total: int) -> None:
        """Say how many pictures are done, and of how many. To be called outside transactions.

        Raises:
            Cancelled: someone asked the job to stop.
        """
        if self._progress is not None:
            self._progress(done, total)
        self.advance(done, total)

    def advance(self, done: int, total: int) -> None:
        """Note how far a stage is that takes no time worth a bar; else as :meth:`report`."""
        self._done, self._total = done, total
        if time.monotonic() - self._noted >= _EVERY:
            self._note()

    def count(self, **numbers: int) -> None:
        """Count what came of it, on top of what was counted before."""
        self.outcome.update(numbers)

    def wait(self) -> None:
        """Note now and then that it goes on, while there is nothing to do.

        Raises:
            Cancelled: someone asked the job to stop.
        """
        if time.monotonic() - self._noted >= _WAITING:
            self._note()
        with self._store.reading() as tx:
            goes_on = jobs.goes_on(tx, self.id)
        if not goes_on:
            raise self._cancelled()

    def fail(self, refused: Sequence[Refusal], items: Sequence[ItemId] = ()) -> None:
        """Note what could not be taken, in place of what could not before.

        Args:
            refused: what it is, and why.
            items: whose pictures these are, if they are items: of one that was forgotten meanwhile
                nothing is noted.
        """
        if refused or self._has_failures:
            self._has_failures = bool(refused)
            with self._store.writing() as tx:
                if items:
                    there = [inventory.exists(tx, item) for item in items]
                    refused = list(compress(refused, there))
                jobs.fail(tx, self.id, [Failure(r.place, r.reason, r.detail) for r in refused])

    def note_last(self, tx: Transaction) -> None:
        """Note how far it came in the end, which is further than when that was noted last."""
        jobs.note(tx, self.id, self._stage, self._done, self._total)

    def _note(self) -> None:
        goes_on = True
        with suppress(Locked), self._store.writing() as tx:  # it is not worth failing for
            goes_on = jobs.note(tx, self.id, self._stage, self._done, self._total)
        self._noted = time.monotonic()
        if not goes_on:
            raise self._cancelled()

    def _cancelled(self) -> Cancelled:
        return Cancelled(f"job {self.id} was cancelled; what it has done is kept")


@contextmanager
def job(
    store: Store,
    kind: str,
    request: Mapping[str, Any],
    *,
    about: str | None = None,
    progress: JobProgress | None = None,
) -> Iterator[Running]:
    """Do work as a job of the catalogue: begun when the block begins, and ended with it.

    Args:
        store: of the catalogue.
        kind: of the job.
        request: what was asked, as JSON values: enough to do it again.
        about: the part of the request that no two jobs of a kind may be at, at a time; None where
            they may.
        progress: told of each picture, beside the file.

    Raises:
        Locked: another process is at the same; the message names it.
    """
    noted = _TAKEN_UP.get()
    with store.writing() as tx:
        for other in jobs.running(tx):
            if other.id == noted:
                continue
            if not is_alive(store.path, other):
                jobs.end(tx, other.id, "died")
            elif about and other.kind == kind and other.request.get(about) == request[about]:
                raise Locked(
                    f"process {other.process.number} is at the same {kind}, job {other.id}, since "
                    f"{other.began}",
                    Advice("list jobs"),
                    holder=str(other.process.number),
                )
        if noted is None:
            number = jobs.begin(tx, kind, request, this_process())
        else:
            number = noted
            jobs.take_up(tx, noted, request, this_process())
        running = Running(store, number, progress)
    here = (store.path.resolve(), running.id)
    _HERE.add(here)
    try:
        yield running
    except GeneratorExit:  # whoever listens to a watch has enough
        with store.writing() as tx:
            jobs.end(tx, running.id, "done", running.outcome)
        raise
    except BaseException as error:
        stopped = isinstance(error, Cancelled | KeyboardInterrupt)
        reason = error.fact if isinstance(error, CatalogError) else str(error)
        outcome = {**running.outcome, "error": reason or ("stopped" if stopped else repr(error))}
        with suppress(CatalogError), store.writing() as tx:  # what went wrong first is told
            jobs.end(tx, running.id, "cancelled" if stopped else "failed", outcome)
        raise
    else:
        with suppress(Locked), store.writing() as tx:  # what it was to do is done
            running.note_last(tx)
            jobs.end(tx, running.id, "done", running.outcome)
    finally:
        _HERE.discard(here)


@contextmanager
def taking_up(job: int) -> Iterator[None]:
    """Let the job that this thread begins meanwhile be one that waits."""
    token = _TAKEN_UP.set(job)
    try:
        yield
    finally:
        _TAKEN_UP.reset(token)


def is_taken_up() -> bool:
    """Whether what this thread begins is a job that waited."""
    return _TAKEN_UP.get() is not None


def is_alive(catalogue: Path, row: JobRow) -> bool:
    """Whether a process is still at a job of a catalogue."""
    if row.process == this_process():  # how it ended may not have been written
        return (catalogue.resolve(), row.id) in _HERE
    running = is_running(row.process)
    if running is not None:
        return running
    return age(row.seen) < _ELSEWHERE


def age(moment: str) -> float:
    """How many seconds ago a time of the file was."""
    return time.time() - datetime.fromisoformat(moment).timestamp()
