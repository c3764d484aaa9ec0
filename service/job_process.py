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
from typing import Any

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.machine.reading import allow_only
from catalog.reports.plain import plain
from catalog.service import logs
from catalog.service.advice import HTTP

_log = logging.getLogger("catalog.service.job_process")


def result_file(catalog: Catalog, job: int) -> Path:
    """Where the result of a job lies, as JSON."""
    return catalog.results_folder / f"{job}.json"


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
            before = _generation(opened)
            result = opened.run_job(number)
            if _forgotten_since(opened, before):
                _log.info(
                    "job %d is done; something was forgotten, so its result is not kept", number
                )
                return 0
            _keep(opened, number, result)
    except CatalogError as error:
        _log.warning("job %d has ended: %s", number, type(error).__name__)
        return error.exit_code
    _log.info("job %d is done", number)
    return 0


def _forgotten_since(catalog: Catalog, generation: int) -> bool:
    """Whether anything was forgotten since a state: a result may name it."""
    later = _generation(catalog) - generation
    return later > 0 and any(event.kind == "forget" for event in catalog.history(later))


def _generation(catalog: Catalog) -> int:
    return int(catalog.state.partition("-")[0])


def _keep(catalog: Catalog, number: int, result: Any) -> None:
    """Write what came of a job, and delete what came of jobs that the catalogue knows no more."""
    file = result_file(catalog, number)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(f".{os.getpid()}")
    content = {"began": catalog.job(number).began, "result": plain(result, HTTP)}
    beside.write_text(json.dumps(content), "utf-8")
    beside.replace(file)
    known = {result_file(catalog, job.id) for job in catalog.jobs()}
    for other in file.parent.glob("*.json"):
        if other not in known:
            other.unlink(missing_ok=True)


def command(catalogue: Path, job: int, allowed: Sequence[Path]) -> list[str]:
    """How such a process is started."""
    # What lies in the folder that the service was started in is none of its modules.
    return [sys.executable, "-P", "-m", __name__, str(catalogue), str(job), *map(str, allowed)]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
