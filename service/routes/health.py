"""Whether the service is up, whether it is ready, and what it has counted."""

from __future__ import annotations

from starlette.responses import Response

from catalog.descriptors import CatalogError
from catalog.service import metrics as exposition
from catalog.service import problems
from catalog.service.running import Running, answer
from catalog.service.schemas import Healthy, Ready

router = problems.router("health")


@router.get("/healthz", response_model=Healthy, summary="Whether the service is up")
async def healthz() -> Response:
    """That the service takes requests; nothing else is looked at, and no key is needed."""
    return answer(Healthy())


@router.get(
    "/readyz",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "Not yet, or not any more."}},
    summary="Whether the service answers at once",
)
async def readyz(service: Running) -> Response:
    """Whether the catalogue can be read, its network is loaded, and answers were prepared once.

    After a change the next answer computes what it needs; `state` and `prepared` say whether that
    was done. No key is needed.
    """
    trouble = service.readiness.trouble
    try:
        state = await service.reading(lambda: service.catalog.state)
    except CatalogError:
        state, trouble = None, "the catalogue cannot be read"
    prepared = service.readiness.prepared
    ready = state is not None and prepared is not None
    told = Ready(ready, state, prepared, "not ready" if trouble else None)
    return answer(told, 200 if ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    summary="What was counted, for Prometheus",
)
async def metrics(service: Running) -> Response:
    """Requests, latencies by stage, queues and verdicts, in the format of Prometheus."""
    state = await service.reading(lambda: service.catalog.state)
    told = service.metrics.told(int(state.partition("-")[0]))
    return Response(told, media_type=exposition.MEDIA_TYPE)
