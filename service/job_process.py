"""The process that does one job of a service, and goes on when the service is stopped.

``python -m catalog.service.job_process CATALOGUE JOB ALLOWED...``
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.machine.reading import allow_only
from catalog.reports.plain import plain
from catalog.service import logs
from catalog.service.advice import HTTP

_log = logging.getLogger("catalog.service.job_process")


def result_file(catalogue: Path, job: int) -> Path:
    """Where the result of a job lies, as JSON, beside what else is derived."""
    return catalogue.with_name(f"{catalogue.name}.cache") / "jobs" / f"{job}.json"


def main(catalogue: str, job: str, *allowed: str) -> int:
    """Do a job, and write what came of it.

    Args:
        catalogue: the path of its file.
        job: its id.
        allowed: the folders whose files may be read.

    Returns:
        The exit code.
    """
    logs.prepare("info")
    allow_only(allowed)
    path, number = Path(catalogue), int(job)
    try:
        with Catalog.open(path, isolate=True) as opened:
            result = opened.run_job(number)
            began = opened.job(number).began
    except CatalogError as error:
        _log.warning("job %d has ended: %s", number, type(error).__name__)
        return error.exit_code
    file = result_file(path, number)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps({"began": began, "result": plain(result, HTTP)}), "utf-8")
    beside.replace(file)
    _log.info("job %d is done", number)
    return 0


def command(catalogue: Path, job: int, allowed: Sequence[Path]) -> list[str]:
    """How such a process is started."""
    return [sys.executable, "-m", __name__, str(catalogue), str(job), *map(str, allowed)]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
