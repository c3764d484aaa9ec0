"""What the catalogue is, and how well."""

from __future__ import annotations

from starlette.responses import Response

from catalog import AuditReport, Info
from catalog.service import problems
from catalog.service.problems import documented
from catalog.service.running import Running, answer

router = problems.router("reports")


@router.get("/v1/info", response_model=Info, summary="What the catalogue is")
async def info(service: Running) -> Response:
    """Its size, its embedder, and the hash of what it has learnt."""
    return answer(await service.reporting(service.catalog.info))


@router.get(
    "/v1/audit",
    response_model=AuditReport,
    responses=documented(s409="Descriptors were dropped meanwhile; ask again."),
    summary="What is wrong in the catalogue, and what it lacks",
)
async def audit(service: Running) -> Response:
    """Pictures that look the same in two classes, items that are likely mislabelled, and so on."""
    return answer(await service.reporting(service.catalog.audit))
