"""Errors as HTTP says them: a status, and JSON of the type ``application/problem+json``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from catalog.descriptors import (
    CatalogError,
    EmbedderMismatch,
    LabelConflict,
    Locked,
    PictureError,
)
from catalog.reports.plain import plain
from catalog.service.advice import HTTP, said

MEDIA_TYPE: Final = "application/problem+json"

_SHOWN: Final[Mapping[type[CatalogError], tuple[str, ...]]] = {
    PictureError: ("reason",),
    LabelConflict: ("existing",),
    EmbedderMismatch: ("own", "other"),
}
"""What an error of a kind carries that is worth a member of its own."""


class BadParameter(BaseModel):
    """A parameter, or a part of a JSON body, that cannot be used."""

    where: str = Field(description="`query k`, or `body items 2`.")
    problem: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(description="The kind, which programs can rely on: `urn:catalog:not-found`.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The status of the response.")
    detail: str = Field(description="What is wrong, and what can be done about it.")
    request: str | None = Field(None, description="The number of the request, as in X-Request-Id.")
    reason: str | None = Field(None, description="Why a picture was refused, in a word.")
    existing: str | None = Field(None, description="The class that is there already.")
    own: str | None = Field(None, description="The fingerprint of the catalogue's embedder.")
    other: str | None = Field(None, description="The fingerprint of the other embedder.")
    errors: list[BadParameter] | None = Field(None, description="Parameters that cannot be used.")
    refused: list[dict[str, Any]] | None = Field(None, description="Pictures that were refused.")
    event: int | None = Field(None, description="The journal's entry of what was done already.")


class Refused(HTTPException):
    """What the service refuses by itself, before the catalogue is asked.

    Args:
        status: of the response.
        kind: the last part of the problem's type.
        detail: what is wrong, and what can be done about it.
        headers: of the response.
        more: further members of the problem.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.kind = kind
        self.more = more


def busy(detail: str, seconds: int = 1) -> Refused:
    """That there is too much to do at present."""
    return Refused(503, "busy", detail, headers={"retry-after": str(seconds)})


def response(
    request: str | None,
    status: int,
    kind: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A problem as a response."""
    problem = {
        "type": f"urn:catalog:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request": request,
        **{name: value for name, value in more.items() if value is not None},
    }
    content = json.dumps(plain(problem, HTTP), ensure_ascii=False).encode()
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


def of_catalogue(request: Request, error: Exception) -> Response:
    """An error of the catalogue as a response."""
    if not isinstance(error, CatalogError):
        raise error
    kind = re.sub("(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
    headers = {"retry-after": "1"} if isinstance(error, Locked) else {}
    names = next((names for of, names in _SHOWN.items() if isinstance(error, of)), ())
    more = {name: getattr(error, name) or None for name in names}
    return response(number_of(request), error.http_status, kind, said(error), headers, **more)


def of_service(request: Request, error: Exception) -> Response:
    """What the service refuses by itself, or a framework does for it, as a response."""
    if not isinstance(error, HTTPException):
        raise error
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    detail = str(error.detail)
    if isinstance(error, Refused):
        kind, more = error.kind, error.more
    else:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        more = {}
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # of a route, not of an address
        headers["allow"] = ", ".join(request.app.state.methods(request.url.path))
        detail = f"what is at this address takes {headers['allow']}"
    elif not isinstance(error, Refused) and error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this address; /v1/openapi.json says what there is"
    return response(number_of(request), error.status_code, kind, detail, headers, **more)


_PLAIN: Final[Mapping[str, str]] = {
    "extra_forbidden": "there is no parameter of this name; /v1/openapi.json has those there are",
    "string_pattern_mismatch": "it is to be x,y,width,height in pixels",
    "union_tag_not_found": 'it lacks its "kind": import, sync, reindex or evaluate',
    "missing": "it is missing",
    "string_too_short": "it is empty",
}
"""What some kinds of parameters that make no sense are, in our words."""


def of_parameters(request: Request, error: Exception) -> Response:
    """Parameters that make no sense as a response."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        {"where": " ".join(map(str, one["loc"])), "problem": _PLAIN.get(one["type"], one["msg"])}
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['where']}: {one['problem']}" for one in errors[:3])
    return response(number_of(request), 400, "invalid-input", detail, errors=errors[:20])


def of_fault(request: Request, _error: Exception) -> Response:
    """A fault of the program as a response: what it is, is in the log under the same number."""
    detail = "the service failed at this; its log says more, under the number of the request"
    return response(number_of(request), 500, "fault", detail)


def number_of(request: Request) -> str | None:
    """The number of a request."""
    number = request.scope.get("state", {}).get("number")
    return None if number is None else str(number)


DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": words, "content": {MEDIA_TYPE: {"schema": {"$ref": ref}}}}
    for ref in ("#/components/schemas/Problem",)
    for status, words in {
        400: "A parameter or the body makes no sense.",
        401: "A key is needed, or the one that was given is not good.",
        403: "The key is good for reading alone, or the request came from another site's page.",
        408: "The body came too slowly.",
        413: "The body is too large.",
        431: "The head of the request is too long.",
        500: "The service failed.",
        503: "There is too much to do, or another process is writing; try again.",
    }.items()
}
"""The problems that any request may meet."""


def router(tag: str) -> APIRouter:
    """What takes the routes of one kind, all of which may meet these problems."""
    return APIRouter(tags=[tag], responses=DOCUMENTED)


def documented(**words: str) -> dict[int | str, dict[str, Any]]:
    """Problems that some requests may meet besides, by ``s404`` and so on, for the OpenAPI."""
    content = DOCUMENTED[400]["content"]
    return {
        int(status[1:]): {"description": said_of_it, "content": content}
        for status, said_of_it in words.items()
    }
