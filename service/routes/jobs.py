"""Work on many pictures, in the background."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Body, Path, Request
from starlette.responses import Response, StreamingResponse

from catalog import Job
from catalog.descriptors import CatalogError, InvalidInput, Locked
from catalog.reports.plain import plain
from catalog.service import problems
from catalog.service.advice import HTTP
from catalog.service.job_process import result_file
from catalog.service.problems import Refused, documented
from catalog.service.running import Running, Service, answer
from catalog.service.schemas import AnyJob, EvaluateAsked, Failures, JobPage, ReindexJob

router = problems.router("jobs")

Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="The id of a job.", examples=[1])]

_THERE = documented(s404="There is no such job.")
_BEGUN = documented(s404="There is no such folder or manifest.")
_LOOK_SECONDS = 0.5
_ALIVE_SECONDS = 15.0
_MOST_STREAMS = 64
_EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event": {"enum": ["progress", "end"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Job"},
        },
    },
    "required": ["event", "data"],
}
_GOING_ON = frozenset({"waiting", "running"})


@router.get("/v1/jobs", response_model=JobPage, summary="The jobs")
async def jobs(service: Running) -> Response:
    """The jobs that the catalogue knows, whoever began them, the latest last."""
    found = await service.reading(service.catalog.jobs)
    return answer(JobPage(tuple(found), tuple(map(str, service.settings.allow))))


@router.post(
    "/v1/jobs", status_code=202, response_model=Job, responses=_BEGUN, summary="Begin a job"
)
async def begin(request: Request, service: Running, wanted: Annotated[AnyJob, Body()]) -> Response:
    """Have a job done in the background, after those that wait already.

    It goes on when the service is stopped.
    """
    if isinstance(wanted, ReindexJob) and wanted.backbone is not None:
        await service.reading(_require_network, wanted.backbone)
    return await _enqueued(request, service, wanted.kind, wanted.model_dump(exclude={"kind"}))


@router.post(
    "/v1/evaluate",
    tags=["reports"],
    status_code=202,
    response_model=Job,
    responses=_BEGUN,
    summary="Measure how often the catalogue is right",
)
async def evaluate(request: Request, service: Running, wanted: EvaluateAsked) -> Response:
    """Begin a job of the kind `evaluate`; `/v1/jobs/{job}/result` has what came of it."""
    return await _enqueued(request, service, "evaluate", wanted.model_dump())


@router.get("/v1/jobs/{job:int}", response_model=Job, responses=_THERE, summary="A job")
async def job(service: Running, job: Number) -> Response:
    """How far a job is, or how it ended."""
    return answer(await service.reading(service.catalog.job, job))


@router.get(
    "/v1/jobs/{job:int}/failures",
    response_model=Failures,
    responses=_THERE,
    summary="The pictures that a job could not take",
)
async def failures(service: Running, job: Number) -> Response:
    """The pictures that a job could not take, with reasons."""
    return answer(Failures(await service.reading(service.catalog.job_failures, job)))


@router.get(
    "/v1/jobs/{job:int}/result",
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        **documented(s404="There is no such job.", s409="There is no result of it."),
    },
    response_class=Response,
    summary="What came of a job",
)
async def result(service: Running, job: Number) -> Response:
    """What the call of that name returns, of a job that a service did."""
    while service.jobs.at == job and not result_file(service.catalog, job).exists():
        if (await service.reading(service.catalog.job, job)).state in _GOING_ON:
            break
        await asyncio.sleep(_LOOK_SECONDS / 10)  # it is about to be written
    content = await service.reading(_result, service, job)
    return Response(content, media_type="application/json")


@router.get(
    "/v1/jobs/{job:int}/events",
    responses={
        200: {"content": {"text/event-stream": {"schema": _EVENT}}},
        **_THERE,
    },
    response_class=Response,
    summary="The progress of a job",
)
async def events(service: Running, job: Number) -> Response:
    """Server-sent events: `progress` whenever something has changed, and `end` at the end."""
    first = await service.reading(service.catalog.job, job)
    if service.streams >= _MOST_STREAMS:
        raise problems.busy("too many streams of events", 10)
    return StreamingResponse(
        _told(service, first), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


@router.post(
    "/v1/jobs/{job:int}/cancel",
    response_model=Job,
    responses=documented(s404="There is no such job.", s409="It has ended."),
    summary="Stop a job",
)
async def cancel(service: Running, job: Number) -> Response:
    """Ask a job to stop; it does at its next step, and what it has done is kept."""
    return answer(await service.writes.lane(service.catalog.cancel_job, job))


@router.post(
    "/v1/jobs/{job:int}/resume",
    status_code=202,
    response_model=Job,
    responses=documented(
        s404="There is no such job.", s409="It goes on, or came to its end; or cannot be resumed."
    ),
    summary="Go on with a job",
)
async def resume(request: Request, service: Running, job: Number) -> Response:
    """Have a job done again, as a new one, that did not come to its end; nothing is done twice."""
    found = await service.reading(service.catalog.job, job)
    asked = dict(found.request)
    if found.state in _GOING_ON | {"done"}:
        raise Refused(409, "conflict", f"job {job} is {found.state}, so nothing is to be taken up")
    if found.kind != "reindex" and asked.get("source") is None:
        raise Refused(409, "conflict", f"job {job} was of pictures that no folder has")
    if found.kind == "reindex" and "embedder" in asked:
        raise Refused(409, "conflict", "begin a job of the kind reindex with the same embedder")
    return await _enqueued(request, service, found.kind, asked)


async def _enqueued(
    request: Request, service: Service, kind: str, asked: dict[str, Any]
) -> Response:
    given = {name: value for name, value in asked.items() if value is not None}
    await service.jobs.require(given)
    begun, headers = await service.write(request, "enqueue_job", {"kind": kind, **given})
    service.jobs.come()
    headers = {**headers, "location": f"/v1/jobs/{begun.id}"}
    headers.pop("etag", None)  # it changes nothing that has one
    return answer(begun, 202, headers)


def _require_network(name: str) -> None:
    """Make sure that a network is one of the model cache, and not a file somewhere.

    Raises:
        InvalidInput: it is not.
    """
    from catalog.embedder import models

    names = [model.name for model in models.models()]
    if name not in names:
        raise InvalidInput(f"there is no network {name!r} here; there is {', '.join(names)}")


def _result(service: Service, job: int) -> bytes:
    found = service.catalog.job(job)
    try:
        kept = json.loads(result_file(service.catalog, job).read_text("utf-8"))
        if kept["began"] == found.began:  # and not of a job of that number in another history
            return json.dumps(kept["result"]).encode()
    except (OSError, ValueError, LookupError, TypeError):
        pass
    why = f"it is {found.state}"
    if found.outcome and "error" in found.outcome:
        why += f": {found.outcome['error']}"
    raise Refused(409, "no-result", f"there is no result of job {job}; {why}")


async def _told(service: Service, first: Job) -> AsyncIterator[bytes]:
    """The events of a job, until it has ended."""
    service.streams += 1
    try:
        before: Job | None = None
        present, silent = first, 0.0
        while True:
            if present != before:
                kind = "progress" if present.state in _GOING_ON else "end"
                said = json.dumps(plain(present, HTTP), ensure_ascii=False)
                yield f"event: {kind}\ndata: {said}\n\n".encode()
                before, silent = present, 0.0
            if present.state not in _GOING_ON or service.ending:
                return
            await asyncio.sleep(_LOOK_SECONDS)
            silent += _LOOK_SECONDS
            if silent >= _ALIVE_SECONDS:
                yield b": still going on\n\n"
                silent = 0.0
            try:
                present = await service.reading(service.catalog.job, first.id)
            except (Locked, Refused):
                continue  # it is looked at again
            except CatalogError:
                return  # it was forgotten, say
    finally:
        service.streams -= 1
