"""What was said, done and taken back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from catalog import Feedback
from catalog.service import problems
from catalog.service.bodies import given_pictures, pictures_body
from catalog.service.problems import Refused, documented
from catalog.service.running import Running, answer
from catalog.service.schemas import Events, FeedbackQuery, HistoryQuery, UndoQuery

router = problems.router("journal")


@router.post(
    "/v1/feedback",
    response_model=Feedback,
    responses=documented(
        s404="The network of the catalogue is not on the service's computer.",
        s409="The picture is an item of another class; or it was done already.",
        s415="The body is of another type.",
        s422="The picture is refused; or the Idempotency-Key was used for another request.",
    ),
    openapi_extra=pictures_body(questions=False),
    summary="Say what a picture shows",
)
async def feedback(
    request: Request, service: Running, query: Annotated[FeedbackQuery, Query()]
) -> Response:
    """Confirm or correct an answer, and let the catalogue learn from it."""
    service.writes.lane.require_room()
    given = await given_pictures(request, service.settings, query.box)
    if len(given) != 1:
        raise Refused(400, "invalid-input", f"one picture is expected here, and not {len(given)}")
    done, headers = await service.write(
        request,
        "feedback",
        {"picture": given[0].asked, "label": query.label, "note_only": query.note_only},
    )
    return answer(done, headers=headers)


@router.post(
    "/v1/undo",
    response_model=Events,
    responses=documented(
        s404="There is nothing to undo.",
        s409="The last command is another one, or cannot be undone; or it was done already.",
        s422="The Idempotency-Key was used for another request.",
    ),
    summary="Take back the last command",
)
async def undo(
    request: Request, service: Running, query: Annotated[UndoQuery, Query()]
) -> Response:
    """Take back the last command that changed the catalogue and was not undone yet."""
    events, headers = await service.write(request, "undo", {"command": query.command})
    return answer(Events(tuple(events)), 200, headers)


@router.get(
    "/v1/history",
    response_model=Events,
    responses={304: {"description": "Nothing has changed since."}},
    summary="What was done",
)
async def history(
    request: Request, service: Running, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """What was done to the catalogue, the latest last."""

    async def read() -> Events:
        return Events(tuple(await service.reading(service.catalog.history, query.last)))

    return await service.unless_known(request, read)
