"""Jobs from outside: what is going on, how far it is, how it ended; to be stopped, or taken up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from catalog.changes.landing import Imported
from catalog.descriptors import CatalogError, Conflict, InvalidInput, Locked
from catalog.jobs.evaluating import evaluate_job
from catalog.jobs.import_ import import_
from catalog.jobs.reindex import Reindexed, reindex, resume
from catalog.jobs.running import JobProgress, age, is_alive, taking_up
from catalog.jobs.sync import Synced, sync
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.machine.processes import this_process
from catalog.manifest import read_manifest
from catalog.manifest.pictures import Progress, Refusal
from catalog.reports.evaluation import Evaluation
from catalog.store import jobs as rows
from catalog.store.jobs import JobRow
from catalog.text import unwritten


@dataclass(frozen=True, slots=True)
class Job:
    """Work on many pictures.

    Attributes:
        id: its number.
        kind: ``import``, ``sync``, ``reindex`` or ``evaluate``.
        state: ``waiting`` until it is taken up, ``running``, ``done``, ``failed``, ``cancelled``,
            or ``died``, where the process that was at it is no more.
        request: what was asked, by the names of the call's arguments.
        began: when, UTC, ISO 8601.
        ended: when; None while it goes on, and of one that died unseen.
        seen: the last sign of life.
        stage: what it is at, or was at last.
        done: how many pictures of the stage are done.
        total: of how many; None where that is not known.
        rate: pictures a second in that stage; None where that cannot be told.
        left: seconds until the stage is done, at that rate; None likewise.
        process: the number of the process.
        machine: the computer that it runs on.
        outcome: how it ended: counts, or the error.
        failures: how many pictures could not be taken.
    """

    id: int
    kind: str
    state: str
    request: Mapping[str, Any]
    began: str
    ended: str | None
    seen: str
    stage: str
    done: int
    total: int | None
    rate: float | None
    left: float | None
    process: int
    machine: str
    outcome: Mapping[str, Any] | None
    failures: int


_CALLS: Final[Mapping[str, Callable[..., Any]]] = {
    "import": import_,
    "sync": sync,
    "reindex": reindex,
    "evaluate": evaluate_job,
}
"""What does the jobs of a kind."""

_NOT_ASKED: Final = frozenset({"catalog", "embedder", "progress", "training", "dry_run"})
"""What these calls take beside what a job can be told."""


def jobs(catalog: Opened) -> tuple[Job, ...]:
    """The jobs that the catalogue knows, the oldest first."""
    with catalog._store.reading() as tx:
        found = rows.every(tx)
    return tuple(_told(catalog, row) for row in found)


def job(catalog: Opened, job: int) -> Job:
    """One of them, by its id.

    Args:
        job: its id.

    Raises:
        NotFound: there is no such job.
    """
    with catalog._store.reading() as tx:
        return _told(catalog, rows.one(tx, job))


def job_failures(catalog: Opened, job: int) -> tuple[Refusal, ...]:
    """The pictures that a job could not take, with reasons.

    Args:
        job: its id.

    Raises:
        NotFound: there is no such job.
    """
    with catalog._store.reading() as tx:
        rows.one(tx, job)
        return tuple(Refusal(*failure) for failure in rows.failures(tx, job))


def cancel_job(catalog: Opened, job: int, *, because: str | None = None) -> Job:
    """Ask a job to stop. It does at its next step; what it has done is kept.

    Args:
        job: its id.
        because: why one that waits cannot be done, if it cannot; then it has failed.

    Raises:
        NotFound: there is no such job.
        Conflict: it has ended.
    """
    with catalog._store.writing() as tx:
        found = rows.one(tx, job)
        if found.state == "waiting":
            if because is None:
                rows.end(tx, job, "cancelled")
            else:
                rows.end(tx, job, "failed", {"error": because})
        elif found.state != "running":
            raise Conflict(f"job {job} has ended ({found.state})")
        elif is_alive(catalog.path, found):
            rows.cancel(tx, job)
        else:
            rows.end(tx, job, "died")
        return _told(catalog, rows.one(tx, job))


def enqueue_job(catalog: Opened, kind: str, **request: Any) -> Job:
    """Note a job that is to be done later; :meth:`resume_job` does it, in any process.

    Args:
        kind: ``import``, ``sync``, ``reindex`` or ``evaluate``.
        request: arguments of the call of that name, as JSON values; ``source`` is a path.

    Raises:
        InvalidInput: there is no such kind, or no such argument.
    """
    call = _CALLS.get(kind)
    if call is None:
        raise InvalidInput(f"a job is of the kind {', '.join(_CALLS)}, not {kind!r}")
    known = inspect.signature(call).parameters
    if unknown := [name for name in request if name in _NOT_ASKED or name not in known]:
        raise InvalidInput(f"a job of the kind {kind} is not told {unknown[0]!r}")
    with catalog._store.writing() as tx:
        number = rows.enqueue(tx, kind, request, this_process())
        return _told(catalog, rows.one(tx, number))


def resume_job(
    catalog: Opened,
    job: int,
    *,
    progress: JobProgress | None = None,
    training: TrainingProgress | None = None,
) -> Imported | Synced | Reindexed | Evaluation:
    """Do what a job was asked that waits, or did not come to its end; nothing is done twice.

    Args:
        job: its id.
        progress: told how many pictures are done, and of how many.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound: there is no such job.
        Conflict: it goes on, or came to its end; or it was of pictures that no file lists.
        CatalogError: as the call of its kind does.
    """
    with catalog._store.reading() as tx:
        found = _told(catalog, rows.one(tx, job))
    if found.state in {"running", "done"}:
        raise Conflict(f"job {job} is {found.state}, so there is nothing to take up")
    if found.state == "waiting":
        return run_job(catalog, job, progress=progress, training=training)
    if found.kind == "reindex" and "embedder" in found.request:  # it was told one, so it began
        return resume(catalog, found.request["embedder"], progress)
    if found.kind in {"import", "sync"} and found.request.get("source") is None:
        raise Conflict(
            f"job {job} was of pictures that no folder or manifest has, so give them again"
        )
    return _call(catalog, found.kind, found.request, progress, training)


def run_job(
    catalog: Opened,
    job: int,
    *,
    progress: JobProgress | None = None,
    training: TrainingProgress | None = None,
) -> Imported | Synced | Reindexed | Evaluation:
    """Do what a job that waits was asked.

    Args:
        job: its id.
        progress: told how many pictures are done, and of how many.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound: there is no such job.
        Conflict: it does not wait any more.
        CatalogError: as the call of its kind does.
    """
    with catalog._store.reading() as tx:
        row = rows.one(tx, job)
    if row.state != "waiting":
        raise Conflict(f"job {job} is {row.state}, and does not wait any more")
    try:
        with taking_up(job):
            result = _call(catalog, row.kind, row.request, progress, training)
    except Locked:  # it waits on, if it had not begun
        raise
    except BaseException as error:
        _end(catalog, job, "failed", {"error": str(error) or repr(error)})
        raise
    _end(catalog, job, "done", {})
    return result


def _call(
    catalog: Opened,
    kind: str,
    request: Mapping[str, Any],
    progress: JobProgress | None,
    training: TrainingProgress | None,
) -> Imported | Synced | Reindexed | Evaluation:
    """Make the call of a job's kind with what the job was asked."""
    asked = dict(request)
    if (source := asked.pop("source", None)) is not None:
        asked["source"] = unwritten(source)
    if kind == "sync":
        return sync(catalog, **asked, progress=progress, training=training)
    if kind == "import":
        listing = read_manifest(asked.pop("source"), class_level=asked.get("class_level"))
        told = _counting(progress, len(listing.entries)) if progress else None
        return import_(catalog, listing, **asked, progress=told, training=training)
    made: Reindexed | Evaluation = _CALLS[kind](catalog, **asked, progress=progress)
    return made


def _end(catalog: Opened, job: int, state: str, outcome: Mapping[str, Any]) -> None:
    """Note how a job ended that came to its end before it began."""
    with suppress(CatalogError), catalog._store.writing() as tx:
        if rows.one(tx, job).state == "waiting":
            rows.end(tx, job, state, outcome)


def _counting(progress: JobProgress, total: int) -> Progress:
    """Tells how many there are by now of each that is told of."""
    done = count(1)
    return lambda _: progress(next(done), total)


def _told(catalog: Opened, row: JobRow) -> Job:
    """A job as it is told of: one whose process is no more has died."""
    state = row.state
    if state == "running" and not is_alive(catalog.path, row):
        state = "died"
    seconds = age(row.since) - age(row.seen)
    rate = row.done / seconds if row.done and seconds > 0 else None
    left = (row.total - row.done) / rate if rate and row.total is not None else None
    return Job(
        id=row.id,
        kind=row.kind,
        state=state,
        request=row.request,
        began=row.began,
        ended=row.ended,
        seen=row.seen,
        stage=row.stage,
        done=row.done,
        total=row.total,
        rate=None if rate is None else round(rate, 1),
        left=None if left is None or state != "running" else round(left),
        process=row.process.number,
        machine=row.process.machine.split()[0],
        outcome=row.outcome,
        failures=row.failures,
    )
