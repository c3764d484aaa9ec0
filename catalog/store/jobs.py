"""The rows of jobs: what was asked, how far it is, which process is at it, and how it ended."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from catalog.descriptors import Advice, Conflict, Damaged, NotFound
from catalog.machine.processes import Process
from catalog.store.store import now

MOST = 200
"""How many jobs that have ended are kept."""


class Failure(NamedTuple):
    """A picture that a job could not take: where it lies, the reason in a word, and in words."""

    place: str | None
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the file has it; see the table ``job``."""

    id: int
    kind: str
    request: Mapping[str, Any]
    state: str
    began: str
    seen: str
    ended: str | None
    stage: str
    since: str
    done: int
    total: int | None
    process: Process
    cancel: bool
    outcome: Mapping[str, Any] | None
    failures: int


_FIELDS = (
    "id, kind, request, state, began, seen, ended, stage, since, done, total, machine, process, "
    "started, cancel, outcome, (SELECT count(*) FROM job_failure WHERE job_failure.job = job.id)"
)


def begin(tx: sqlite3.Connection, kind: str, request: Mapping[str, Any], process: Process) -> int:
    """Note that a process begins a job; the oldest that have ended make room for it.

    Returns:
        The job's id.
    """
    cursor = tx.execute(
        "INSERT INTO job (kind, request, state, began, seen, stage, since, done, machine, process, "
        "started, cancel) VALUES (?, ?, 'running', ?, ?, 'reading', ?, 0, ?, ?, ?, 0)",
        (kind, json.dumps(request, sort_keys=True), now(), now(), now(), *process),
    )
    old = "SELECT id FROM job WHERE ended IS NOT NULL ORDER BY id DESC LIMIT -1 OFFSET ?"
    tx.execute(f"DELETE FROM job_failure WHERE job IN ({old})", (MOST,))  # noqa: S608
    tx.execute(f"DELETE FROM job WHERE id IN ({old})", (MOST,))  # noqa: S608
    return int(cursor.lastrowid or 0)


def enqueue(tx: sqlite3.Connection, kind: str, request: Mapping[str, Any], process: Process) -> int:
    """Note a job that is to be done later, by whoever takes it up.

    Returns:
        The job's id.
    """
    job = begin(tx, kind, request, process)
    tx.execute("UPDATE job SET state = 'waiting', stage = 'waiting' WHERE id = ?", (job,))
    return job


def take_up(tx: sqlite3.Connection, job: int, request: Mapping[str, Any], process: Process) -> None:
    """Note that a process begins a job that waits.

    Raises:
        NotFound: there is none of that id.
        Conflict: it does not wait any more.
    """
    found = one(tx, job)
    if found.state != "waiting":
        raise Conflict(f"job {job} is {found.state}, and does not wait any more")
    tx.execute(
        "UPDATE job SET state = 'running', request = ?, stage = 'reading', since = ?, seen = ?, "
        "machine = ?, process = ?, started = ? WHERE id = ?",
        (json.dumps(request, sort_keys=True), now(), now(), *process, job),
    )


def note(tx: sqlite3.Connection, job: int, stage: str, done: int, total: int | None) -> bool:
    """Note how far a job is.

    Returns:
        Whether it is to go on, as :func:`goes_on` has it.
    """
    tx.execute(
        "UPDATE job SET since = CASE WHEN stage = :stage THEN since ELSE :now END, stage = :stage, "
        "done = :done, total = :total, seen = :now WHERE id = :job",
        {"stage": stage, "done": done, "total": total, "now": now(), "job": job},
    )
    return goes_on(tx, job)


def goes_on(tx: sqlite3.Connection, job: int) -> bool:
    """Whether a job is to go on: nobody asked it to stop, and it was not forgotten."""
    found = tx.execute("SELECT 1 FROM job WHERE id = ? AND cancel = 0", (job,)).fetchone()
    return found is not None


def fail(tx: sqlite3.Connection, job: int, failures: Iterable[Failure]) -> None:
    """Note what a job could not take, in place of what was noted before."""
    tx.execute("DELETE FROM job_failure WHERE job = ?", (job,))
    tx.executemany(
        "INSERT INTO job_failure (job, place, reason, detail) VALUES (?, ?, ?, ?)",
        [(job, *failure) for failure in failures],
    )


def end(
    tx: sqlite3.Connection, job: int, state: str, outcome: Mapping[str, Any] | None = None
) -> None:
    """Note how a job ended."""
    tx.execute(
        "UPDATE job SET state = ?, ended = ?, outcome = ? WHERE id = ?",
        (state, now(), None if outcome is None else json.dumps(outcome), job),
    )


def cancel(tx: sqlite3.Connection, job: int) -> None:
    """Ask a job to stop."""
    tx.execute("UPDATE job SET cancel = 1 WHERE id = ?", (job,))


def every(tx: sqlite3.Connection) -> list[JobRow]:
    """All jobs that the file knows, the oldest first.

    Raises:
        Damaged: one cannot be read.
    """
    return [_row(row) for row in tx.execute(f"SELECT {_FIELDS} FROM job ORDER BY id")]  # noqa: S608


def running(tx: sqlite3.Connection) -> list[JobRow]:
    """The jobs that have not been seen to end.

    Raises:
        Damaged: one cannot be read.
    """
    rows = tx.execute(f"SELECT {_FIELDS} FROM job WHERE state = 'running' ORDER BY id")  # noqa: S608
    return [_row(row) for row in rows]


def one(tx: sqlite3.Connection, job: int) -> JobRow:
    """A job.

    Raises:
        NotFound: there is none of that id.
        Damaged: it cannot be read.
    """
    row = None
    if abs(job) < 2**63:  # SQLite has no larger ids
        row = tx.execute(f"SELECT {_FIELDS} FROM job WHERE id = ?", (job,)).fetchone()  # noqa: S608
    if row is None:
        raise NotFound(f"there is no job {job}", Advice("list jobs"))
    return _row(row)


def failures(tx: sqlite3.Connection, job: int) -> list[Failure]:
    """The pictures that a job could not take, in the order in which they came."""
    rows = tx.execute(
        "SELECT place, reason, detail FROM job_failure WHERE job = ? ORDER BY id", (job,)
    )
    return [Failure(*row) for row in rows]


def forget(tx: sqlite3.Connection) -> None:
    """Drop all that is known of jobs that have ended, and of what others could not take."""
    tx.execute("DELETE FROM job_failure")
    tx.execute("DELETE FROM job WHERE ended IS NOT NULL")


def _row(row: tuple[Any, ...]) -> JobRow:
    try:
        request = dict(json.loads(row[2]))
        outcome = None if row[15] is None else dict(json.loads(row[15]))
    except (RecursionError, TypeError, ValueError) as error:
        raise Damaged(f"job {row[0]} cannot be read", Advice("verify")) from error
    return JobRow(
        id=row[0],
        kind=row[1],
        request=request,
        state=row[3],
        began=row[4],
        seen=row[5],
        ended=row[6],
        stage=row[7],
        since=row[8],
        done=row[9],
        total=row[10],
        process=Process(*row[11:14]),
        cancel=bool(row[14]),
        outcome=outcome,
        failures=row[16],
    )
