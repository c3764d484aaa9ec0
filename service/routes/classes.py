"""Classes: listed, made, named, merged and removed."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from catalog import Added, Moved, Preview, Removed, Renamed
from catalog.reports.listing import searched
from catalog.service import problems
from catalog.service.bodies import given_pictures, pictures_body
from catalog.service.problems import documented
from catalog.service.routes.pictures import named_again, require_some
from catalog.service.running import Running, answer
from catalog.service.schemas import (
    AddClassQuery,
    ClassesQuery,
    ClassPage,
    MergeClasses,
    PreviewQuery,
    RemoveClassQuery,
    Rename,
)

router = problems.router("classes")

_NAMED = documented(
    s404="There is no such class.",
    s409="The catalogue holds something against it; or it was done already.",
    s422="The Idempotency-Key was used for another request.",
)
_MADE = documented(
    s404="The network of the catalogue is not on the service's computer.",
    s409="There is such a class; or it was done already.",
    s415="The body is of another type.",
    s422="Every picture was refused; or the Idempotency-Key was used for another request.",
)
_PREVIEWED = {**_MADE, **documented(s422="Every picture was refused.")}


@router.get(
    "/v1/classes",
    response_model=ClassPage,
    responses={304: {"description": "Nothing has changed since."}},
    summary="The classes",
)
async def classes(
    request: Request, service: Running, query: Annotated[ClassesQuery, Query()]
) -> Response:
    """The classes with their numbers of items, a page at a time."""

    async def read() -> ClassPage:
        found = searched(await service.classes(), query.search)
        return ClassPage(found[query.offset : query.offset + query.limit], len(found))

    return await service.unless_known(request, read)


@router.post(
    "/v1/classes",
    status_code=201,
    response_model=Added,
    responses=_MADE,
    openapi_extra=pictures_body(questions=False),
    summary="Make a class of pictures",
)
async def add_class(
    request: Request, service: Running, query: Annotated[AddClassQuery, Query()]
) -> Response:
    """Make a new class. Pictures that are refused are listed; if all are, no class is made."""
    service.writes.lane.require_room()
    given = await given_pictures(request, service.settings, query.box)
    added, headers = await service.write(
        request,
        "add_class",
        {
            "label": query.label,
            "pictures": [one.asked for one in given],
            "move": query.move,
            "head": query.head,
            "made_up": query.made_up,
        },
    )
    require_some(service, added, given)
    return answer(named_again(added, given), 201, headers)


@router.post(
    "/v1/classes/preview",
    response_model=Preview,
    responses=_PREVIEWED,
    openapi_extra=pictures_body(questions=False),
    summary="What a class would take from the others",
)
async def preview_class(
    request: Request, service: Running, query: Annotated[PreviewQuery, Query()]
) -> Response:
    """What making a class would do to the others; none of them is changed.

    The descriptors are kept, so that making it afterwards takes no time, which needs a key to
    write.
    """
    service.reporting.require_room()
    given = await given_pictures(request, service.settings, query.box)
    found = await service.reporting(
        service.catalog.preview_class, query.label, [one.asked for one in given]
    )
    return answer(replace(found, refused=named_again(found, given).refused))


@router.post(
    "/v1/classes/rename", response_model=Renamed, responses=_NAMED, summary="Rename a class"
)
async def rename_class(request: Request, service: Running, wanted: Rename) -> Response:
    """Give a class another name."""
    done, headers = await service.write(
        request, "rename_class", {"label": wanted.label, "name": wanted.name}
    )
    return answer(done, headers=headers)


@router.post(
    "/v1/classes/merge", response_model=Moved, responses=_NAMED, summary="Make one class of several"
)
async def merge_classes(request: Request, service: Running, wanted: MergeClasses) -> Response:
    """Make one class of several."""
    done, headers = await service.write(
        request, "merge_classes", {"labels": wanted.labels, "into": wanted.into}
    )
    return answer(done, headers=headers)


@router.delete("/v1/classes", response_model=Removed, responses=_NAMED, summary="Remove a class")
async def remove_class(
    request: Request, service: Running, query: Annotated[RemoveClassQuery, Query()]
) -> Response:
    """Take a class out with all its items; `/v1/undo` brings it back."""
    done, headers = await service.write(
        request, "remove_class", {"label": query.label, "inexact": query.inexact}
    )
    return answer(done, headers=headers)
