"""Items: listed, shown, added, moved and removed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.responses import Response

from catalog import Added, Item, Moved, Removed
from catalog.service import problems
from catalog.service.bodies import given_pictures, pictures_body
from catalog.service.problems import Refused, documented
from catalog.service.routes.pictures import named_again, require_some
from catalog.service.running import Running, answer
from catalog.service.schemas import (
    AddQuery,
    ItemPage,
    ItemsQuery,
    Move,
    RemoveItemsQuery,
    ThumbnailQuery,
)

router = problems.router("items")

Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="The id of an item.", examples=[1])]

_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Nothing has changed since."}}
_THERE = documented(s404="There is no such item, or class.")
_MOVED = documented(
    s404="There is no such item, or class.",
    s409="The catalogue holds something against it; or it was done already.",
    s422="The Idempotency-Key was used for another request.",
)
_ADDED = documented(
    s404="There is no such class, or the network is not on the service's computer.",
    s409="It was done already.",
    s415="The body is of another type.",
    s422="Every picture was refused; or the Idempotency-Key was used for another request.",
)


@router.get(
    "/v1/items", response_model=ItemPage, responses=_THERE | _UNCHANGED, summary="The items"
)
async def items(
    request: Request, service: Running, query: Annotated[ItemsQuery, Query()]
) -> Response:
    """The items, of one class or of all, a page at a time."""

    async def read() -> ItemPage:
        found = await service.reading(
            service.catalog.items, query.label, after=query.after, limit=query.limit
        )
        return ItemPage(tuple(found), found[-1].id if len(found) == query.limit else None)

    return await service.unless_known(request, read)


@router.get(
    "/v1/items/{item:int}", response_model=Item, responses=_THERE | _UNCHANGED, summary="An item"
)
async def item(request: Request, service: Running, item: Number) -> Response:
    """One item, by its id."""
    return await service.unless_known(request, lambda: service.reading(service.catalog.item, item))


@router.get(
    "/v1/items/{item:int}/thumbnail",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(s404="There is no such item, or its picture is not where it was found."),
    },
    summary="A small copy of an item's picture",
)
async def thumbnail(
    service: Running, item: Number, query: Annotated[ThumbnailQuery, Query()]
) -> Response:
    """The picture that was learnt, small: kept, or made of what the service may read."""
    shown = await service.thumbnails(service.catalog.thumbnail, item, query.side)
    if shown is None:
        raise Refused(
            404,
            "no-picture",
            f"there is no picture of item {item}: it was sent and not kept, or does not lie any "
            "more where it was found, or lies outside of the folders that --allow names",
        )
    return Response(
        shown, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"}
    )


@router.post(
    "/v1/items",
    status_code=201,
    response_model=Added,
    responses=_ADDED,
    openapi_extra=pictures_body(questions=False),
    summary="Add pictures to a class",
)
async def add(request: Request, service: Running, query: Annotated[AddQuery, Query()]) -> Response:
    """Add pictures to a class that exists. Those that are refused are listed."""
    service.writes.lane.require_room()
    given = await given_pictures(request, service.settings, query.box)
    added, headers = await service.write(
        request,
        "add",
        {
            "label": query.label,
            "pictures": [one.asked for one in given],
            "move": query.move,
            "made_up": query.made_up,
        },
    )
    require_some(service, added, given)
    return answer(named_again(added, given), 201, headers)


@router.post(
    "/v1/items/move", response_model=Moved, responses=_MOVED, summary="Move items to another class"
)
async def move(request: Request, service: Running, wanted: Move) -> Response:
    """Take items to another class."""
    done, headers = await service.write(
        request, "move", {"items": wanted.items, "label": wanted.label, "new": wanted.new}
    )
    return answer(done, headers=headers)


@router.delete("/v1/items", response_model=Removed, responses=_MOVED, summary="Remove items")
async def remove(
    request: Request, service: Running, query: Annotated[RemoveItemsQuery, Query()]
) -> Response:
    """Take items out, as if they had never been there; `/v1/undo` brings them back."""
    done, headers = await service.write(request, "remove", {"items": query.item})
    return answer(done, headers=headers)
