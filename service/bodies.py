"""Bodies of requests: pictures as they are or as parts of one body, and descriptors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictInt, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from catalog.descriptors import InvalidInput
from catalog.embedder import Box, Picture
from catalog.service.problems import Refused
from catalog.service.settings import Settings
from catalog.text import written

DESCRIPTORS_TYPE: Final = "application/vnd.catalog.descriptors"
"""Descriptors as they lie in memory: float32, little-endian, one after another."""

_LONGEST_NAME: Final = 255
_OCTETS: Final = "application/octet-stream"
_PARTS: Final = "multipart/form-data"
_JSON: Final = "application/json"


class AskedByJson(BaseModel):
    """What is asked about, where it is no picture."""

    model_config = ConfigDict(extra="forbid")

    item: StrictInt | None = Field(
        None,
        description="The id of an item, for more like it; for /v1/nearest alone.",
        examples=[1],
    )
    descriptors: Annotated[list[list[FiniteFloat]], Field(min_length=1, max_length=1000)] | None = (
        Field(None, description="Descriptors that the catalogue's embedder made, of equal length.")
    )


@dataclass(frozen=True, slots=True)
class Given:
    """A picture or a descriptor that came with a request.

    Attributes:
        name: of the file, as the client called it; it is never used as a path.
        asked: the picture, or the descriptor float32 (D,).
    """

    name: str | None
    asked: Picture | NDArray[np.float32]


async def given_pictures(
    request: Request, settings: Settings, box: str | None, *, questions: bool = False
) -> list[Given]:
    """The pictures of a request: its body, or the parts of it.

    Args:
        request: that has them.
        settings: of the service.
        box: of each picture.
        questions: whether something else than pictures could have been sent.

    Raises:
        Refused: it is of another kind, or has none, too many, or something else besides.
        InvalidInput: the box is none.
    """
    region = Box.parse(box) if box else None
    kind = _kind(request)
    if kind.startswith("image/") or kind == _OCTETS:
        return [Given(None, Picture(await request.body(), region))]
    if kind == _PARTS:
        return await _parts(request, settings, region)
    wanted = f"image/*, {_OCTETS} or {_PARTS}"
    raise _unknown(kind, f"{wanted}; or {_JSON} or {DESCRIPTORS_TYPE}" if questions else wanted)


async def asked_about(
    request: Request, settings: Settings, box: str | None, *, item: bool
) -> list[Given] | bytes | int:
    """What a question is about: pictures, descriptors, descriptors as bytes, or an item's id.

    Args:
        request: the question.
        settings: of the service.
        box: of each picture.
        item: whether an item may be asked about.

    Raises:
        Refused, InvalidInput: as :func:`given_pictures`.
    """
    kind = _kind(request)
    if kind == DESCRIPTORS_TYPE:
        _refuse_box(box)
        return await request.body()
    if kind == _JSON:
        _refuse_box(box)
        return await _by_json(request, settings, item=item)
    return await given_pictures(request, settings, box, questions=True)


async def _by_json(request: Request, settings: Settings, *, item: bool) -> list[Given] | int:
    content = await request.body()
    try:
        asked = AskedByJson.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = " ".join(map(str, ("body", *first["loc"])))
        raise Refused(400, "invalid-input", f"{where}: {first['msg']}") from None
    if (asked.item is None) == (asked.descriptors is None):
        raise Refused(400, "invalid-input", "the body has to have an item or descriptors")
    if asked.descriptors is not None:
        require_few(len(asked.descriptors), settings.most_pictures)
        with np.errstate(over="ignore"):  # what is too large is infinite then, and refused
            return [Given(None, np.asarray(row, np.float32)) for row in asked.descriptors]
    if not item:
        raise Refused(400, "invalid-input", "an item has a class already; ask for its nearest")
    return asked.item or 0


async def _parts(request: Request, settings: Settings, box: Box | None) -> list[Given]:
    most = settings.most_pictures
    found: list[Given] = []
    async with _form(request, most) as form:
        for field, part in form.multi_items():
            if not isinstance(part, UploadFile):
                raise Refused(
                    400,
                    "invalid-input",
                    f"the part {field!r} is no file: pictures are sent as files, as by curl -F "
                    "a=@photo.jpg, and values stand in the address",
                )
            content = await part.read()
            found.append(Given(_name(part.filename), Picture(content, box)))
    if not found:
        raise Refused(400, "invalid-input", "the body has no pictures")
    return found


@asynccontextmanager
async def _form(request: Request, most: int) -> AsyncIterator[FormData]:
    """The parts of a body.

    Raises:
        Refused: it is no such body, or has too many.
    """
    try:
        form = await request.form(max_files=most, max_fields=most, max_part_size=1024)
    except Refused:
        raise
    except HTTPException as error:
        said = "the body is not sound: " + str(error.detail)
        if "Too many" in said:
            said = f"a body has at most {most} pictures, as --most-pictures of the service says"
        raise Refused(400, "invalid-input", said) from None
    try:
        yield form
    finally:
        await form.close()


def _name(name: str | None) -> str | None:
    return written(name)[:_LONGEST_NAME] if name else None


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unknown(kind: str, wanted: str) -> Refused:
    given = f"of the type {kind[:100]!r}" if kind else "without a type"
    return Refused(415, "unsupported-media-type", f"the body is {given}, and is to be {wanted}")


def _refuse_box(box: str | None) -> None:
    if box is not None:
        raise InvalidInput("a box is of a picture, and there is none")


def rows_of(content: bytes, width: int, most: int) -> list[NDArray[np.float32]]:
    """Descriptors of one length that were sent as they lie in memory.

    Raises:
        InvalidInput: they are none, not whole, or too many.
    """
    if not content or len(content) % (4 * width):
        raise InvalidInput(f"descriptors here are {width} numbers of 4 bytes each")
    require_few(len(content) // (4 * width), most)
    rows: Any = np.frombuffer(content, "<f4").reshape(-1, width)
    return list(rows.astype(np.float32))


def require_few(count: int, most: int) -> None:
    """Make sure that not too much is asked at once.

    Raises:
        InvalidInput: it is.
    """
    if count > most:
        raise InvalidInput(f"a request has at most {most} pictures or descriptors, not {count}")


def pictures_body(*, questions: bool, item: bool = False) -> dict[str, Any]:
    """The request body of pictures, for the OpenAPI.

    Args:
        questions: whether descriptors may be sent instead.
        item: whether an item may be named instead.
    """
    binary = {"type": "string", "format": "binary"}
    content: dict[str, Any] = {
        "image/jpeg": {"schema": binary},
        "image/*": {"schema": binary},
        _OCTETS: {"schema": binary},
        _PARTS: {
            "schema": {
                "type": "object",
                "properties": {"picture": {"type": "array", "items": binary, "minItems": 1}},
                "required": ["picture"],
            }
        },
    }
    if questions:
        schema = AskedByJson.model_json_schema()
        if not item:
            del schema["properties"]["item"]
        content[_JSON] = {"schema": schema}
        content[DESCRIPTORS_TYPE] = {"schema": binary}
    return {"requestBody": {"required": True, "content": content}}
