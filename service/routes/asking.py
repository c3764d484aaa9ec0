"""Questions about pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from catalog import PictureError
from catalog.descriptors import InvalidInput
from catalog.questions.asked import only
from catalog.service import problems
from catalog.service.bodies import Given, asked_about, given_pictures, pictures_body
from catalog.service.problems import documented
from catalog.service.running import Running, answer, require_write
from catalog.service.schemas import (
    MOST_NEIGHBOURS_AT_ONCE,
    NearestAnswers,
    NearestQuery,
    NeighboursOf,
    PredictAnswers,
    PredictionOf,
    PredictQuery,
    RefusedPicture,
)

router = problems.router("questions")

_PROBLEMS = documented(
    s404="There is no such item, or the network is not on the service's computer.",
    s409="Its descriptor was dropped; or the catalogue goes from one embedder to another.",
    s415="The body is of another type.",
    s422="The picture is refused.",
)


@router.post(
    "/v1/nearest",
    response_model=NearestAnswers,
    responses=_PROBLEMS,
    openapi_extra=pictures_body(questions=True, item=True),
    summary="The items that look most like pictures",
)
async def nearest(
    request: Request, service: Running, query: Annotated[NearestQuery, Query()]
) -> Response:
    """The items that look most like each picture, or descriptor, or like an item, best first.

    The body is one picture, or several as parts of a multipart body; or JSON that names an item or
    holds descriptors; or descriptors as float32, little-endian. Of several pictures those that are
    refused stand among the answers; a body that is refused whole is a problem.
    """
    asked = await asked_about(request, service.settings, query.box, item=True)
    if isinstance(asked, int):
        like = await service.ask([asked], lambda one: service.questions.like(one, query.k))
        return answer(NearestAnswers((NeighboursOf(None, tuple(only(like))),)))
    given = await service.rows(asked)
    if len(given) * query.k > MOST_NEIGHBOURS_AT_ONCE:
        raise InvalidInput(
            f"a request is answered with at most {MOST_NEIGHBOURS_AT_ONCE} neighbours; ask for "
            "fewer of each, or about fewer"
        )
    found = await service.ask(
        [one.asked for one in given], lambda one: service.questions.nearest(one, query.k)
    )
    return answer(
        NearestAnswers(
            tuple(
                refused_or(request, of, one, lambda near, name: NeighboursOf(name, tuple(near)))
                for of, one in zip(given, found, strict=True)
            )
        )
    )


@router.post(
    "/v1/predict",
    response_model=PredictAnswers,
    responses=_PROBLEMS,
    openapi_extra=pictures_body(questions=True),
    summary="Which class pictures are",
)
async def predict(
    request: Request, service: Running, query: Annotated[PredictQuery, Query()]
) -> Response:
    """Which class each picture, or descriptor, is: head and centroids, checked against each other.

    The body is as for `/v1/nearest`, but for an item, which has a class already.
    """
    if query.keep_unknown:
        require_write(request, "keeping what is unknown changes the catalogue")
        given = await given_pictures(request, service.settings, query.box)
        found: Sequence[Any] = await service.writes.lane(
            service.catalog.predict_many,
            [one.asked for one in given],
            query.top,
            precision=query.precision,
            keep_unknown=True,
            counts=query.counts,
        )
    else:
        asked = await asked_about(request, service.settings, query.box, item=False)
        if isinstance(asked, int):
            raise InvalidInput("an item has a class already; ask for its nearest")
        given = await service.rows(asked)
        found = await service.ask(
            [one.asked for one in given],
            lambda one: service.questions.predict(
                one, query.top, precision=query.precision, counts=query.counts
            ),
        )
    for one in found:
        if not isinstance(one, PictureError):
            service.metrics.verdict(one.verdict)
    return answer(
        PredictAnswers(
            tuple(
                refused_or(request, of, one, lambda said, name: PredictionOf(name, said))
                for of, one in zip(given, found, strict=True)
            )
        )
    )


def refused_or(request: Request, of: Given, found: Any, told: Any) -> Any:
    """What is told of a picture: the answer, or why it was refused.

    Raises:
        PictureError: it is all that the request is about.
    """
    if not isinstance(found, PictureError):
        return told(found, of.name)
    if not request.headers.get("content-type", "").startswith("multipart/"):
        raise found
    return RefusedPicture(of.name, found.reason, found.detail)
