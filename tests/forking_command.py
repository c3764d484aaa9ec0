"""The command, run many times with streams of any condition, by a process that has imported it.

Run as a program it reads jobs as JSON from standard input and prints how each ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

from forked import ALONE
from tiny_network import environment
from typer.main import get_command

IMPORTED = (
    *("catalog.catalog", "catalog.cli.demo", "rich.cells", "rich.progress"),
    *("ai_edge_litert.interpreter", "faiss", "cv2"),
)
"""What commands import when they need it; a fork has it."""


@dataclass
class Job:
    """A command line, and what it finds when it begins.

    Attributes:
        words: the arguments.
        stdin: a file to read, or ``closed``.
        stdout: ``kept``, ``full``, ``closed`` or ``broken``.
        stderr: ``kept``, ``full`` or ``closed``.
        encoding: of the streams.
        cwd: the working folder; it is deleted first if ``gone`` is true.
        gone: see there.
        variables: of the environment.
    """

    words: Sequence[str]
    stdin: str = os.devnull
    stdout: str = "kept"
    stderr: str = "kept"
    encoding: str = "utf-8"
    cwd: str = "/"
    gone: bool = False
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, and what it wrote where that was kept."""

    code: int
    out: str
    err: str


def run_jobs(jobs: Sequence[Job], cache: Path, folder: Path) -> list[Outcome]:
    """Run commands one after the other, each in a fork; what they write is kept in a folder.

    Raises:
        CalledProcessError: the process that forks failed.
    """
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        input=json.dumps([asdict(job) for job in jobs]),
        env=environment(cache, **ALONE),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [Outcome(**one) for one in json.loads(done.stdout)]


def _serve(folder: Path) -> None:
    for name in IMPORTED:
        import_module(name)
    entry: Any = import_module("catalog.cli.main")
    entry.app = get_command(entry.app)  # which Typer would do in each fork
    sys.argv = ["catalog", "labels", "--help"]
    with redirect_stdout(StringIO()), suppress(SystemExit):
        entry.main()  # so that what Typer imports when it is called is here
    jobs = [Job(**given) for given in json.load(sys.stdin)]
    outcomes: list[dict[str, Any]] = []
    for at, job in enumerate(jobs):
        out, err = folder / f"{at}.out", folder / f"{at}.err"
        child = os.fork()
        if child == 0:
            _become(job, out, err)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        written = [one.read_bytes().decode(job.encoding, "replace") for one in (out, err)]
        outcomes.append(asdict(Outcome(code, *written)))
    print(json.dumps(outcomes))  # noqa: T201


def _become(job: Job, out: Path, err: Path) -> NoReturn:
    """Run a command in this process, which is as one that was started with those streams."""
    from catalog.cli.main import main

    for file in (out, err):
        file.write_bytes(b"")
    os.environ.update(job.variables)
    os.chdir(job.cwd)
    if job.gone:
        Path(job.cwd).rmdir()
    _point(0, job.stdin, None)
    _point(1, job.stdout, out)
    _point(2, job.stderr, err)
    sys.stdin, sys.stdout, sys.stderr = (
        _stream(number, mode, job.encoding) for number, mode in enumerate("rww")
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = ["catalog", *map(os.fsdecode, job.words)]
    main()
    raise AssertionError("main returned")


def _point(number: int, what: str, kept: Path | None) -> None:
    if what == "closed":
        os.close(number)
        return
    if what == "broken":
        unread, end = os.pipe()
        os.close(unread)
    elif kept is None:
        end = os.open(what, os.O_RDONLY)
    else:
        end = os.open("/dev/full" if what == "full" else kept, os.O_WRONLY)
    os.dup2(end, number)
    os.close(end)


def _stream(number: int, mode: str, encoding: str) -> Any:
    """A stream as Python makes it when it starts: None where it is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    errors = "backslashreplace" if number == 2 else "strict"
    return open(number, mode, encoding=encoding, errors=errors, closefd=False)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
