"""An evaluation that goes on as a job."""

from __future__ import annotations

from itertools import count

from catalog.jobs.running import JobProgress, job
from catalog.judging.cross_check import PRECISION
from catalog.learning.opened import Opened
from catalog.manifest import ClassLevel, listed
from catalog.reports.evaluate import evaluate
from catalog.reports.evaluation import Evaluation


def evaluate_job(
    catalog: Opened,
    source: str,
    *,
    precision: float = PRECISION,
    split: str | None = None,
    part: str | None = None,
    seed: int = 0,
    class_level: ClassLevel | None = None,
    progress: JobProgress | None = None,
) -> Evaluation:
    """As :meth:`Catalog.evaluate`, and noted as a job, with its most important figures.

    Raises:
        NotFound, InvalidInput, Conflict: as that does.
        Cancelled: it was asked to stop.
    """
    listing = listed(source, split, part, seed, class_level)
    request = {
        "source": source, "precision": precision, "split": split, "part": part, "seed": seed,
        "class_level": class_level,
    }  # fmt: skip
    with job(catalog._store, "evaluate", request, progress=progress) as running:
        running.at("evaluating")
        done, total = count(1), len(listing.entries)
        found = evaluate(
            catalog,
            listing,
            precision=precision,
            progress=lambda _: running.report(next(done), total),
        )
        running.fail(found.refused)
        running.outcome.update(pictures=found.pictures, refused=len(found.refused))
        running.outcome["top1"] = round(found.cross_check.top1, 4)  # type: ignore[assignment]
    return found
