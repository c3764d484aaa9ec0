"""What the tools of the MCP server are given, and the schemas that say so."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.descriptors import InvalidInput
from catalog.embedder import Box, Picture

MOST_PICTURES: Final = 100
MOST_NEIGHBOURS: Final = 100
MOST_CANDIDATES: Final = 100
MOST_ANSWERS: Final = 1000
"""Neighbours, or candidates, of all pictures of a call together."""

MOST_ON_A_PAGE: Final = 1000
MOST_LISTED: Final = 200

Label: TypeAlias = Annotated[str, Field(description="The name of the class.", examples=["Mug"])]


class Arguments(BaseModel):
    """Arguments, of which none is passed over."""

    model_config = ConfigDict(extra="forbid")


class GivenPicture(Arguments):
    """A picture: the path of its file, or what is in that; all of it, or what is in a box."""

    path: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="The path of a file on the catalogue's computer, below a folder that may be "
        "read there.",
        examples=["/photos/1.jpg"],
    )
    base64: str | None = Field(
        None, min_length=1, description="Instead of a path: the bytes of a picture file, in base64."
    )
    box: str | None = Field(
        None,
        description="Only this part of it: x,y,width,height in pixels.",
        examples=["0,0,64,64"],
    )

    def picture(self, place: int) -> Picture:
        """It, to be asked about.

        Args:
            place: of it among those that are given, from 1 on.

        Raises:
            InvalidInput: it has no path and no bytes, or both; or one of its parts makes no sense.
        """
        if (self.path is None) == (self.base64 is None):
            raise InvalidInput(f"picture {place} is given by its path, or else as base64")
        region = Box.parse(self.box) if self.box else None
        if self.path is not None:
            return Picture(self.path, region)
        try:
            content = base64.b64decode("".join((self.base64 or "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput(f"the base64 of picture {place} is not sound") from None
        return Picture(content, region)


Pictures: TypeAlias = Annotated[
    list[GivenPicture],
    Field(min_length=1, max_length=MOST_PICTURES, description="The pictures."),
]


class Nearest(Arguments):
    """What the nearest items are asked for by."""

    pictures: Pictures | None = None
    item: int | None = Field(
        None, ge=1, le=2**63 - 1, description="Instead of pictures: the id of an item."
    )
    k: int = Field(10, ge=1, le=MOST_NEIGHBOURS, description="How many items of each.")


class Predict(Arguments):
    """What the class is asked for by."""

    pictures: Pictures
    top: int = Field(5, ge=1, le=MOST_CANDIDATES, description="How many candidates of each.")
    precision: float = Field(
        0.98, gt=0, lt=1, description="How often an answer called match is to be right."
    )
    counts: bool = Field(
        True, description="Count the verdicts, by day and class, for the audit; not the pictures."
    )


class Classes(Arguments):
    """Which classes are listed."""

    search: str = Field("", max_length=200, description="Only those whose names hold this.")
    offset: int = Field(0, ge=0, le=10**9, description="Without so many of the first.")
    limit: int = Field(100, ge=1, le=MOST_ON_A_PAGE, description="So many at most.")


class Info(Arguments):
    """Nothing."""


class Audit(Arguments):
    """How much of the audit is told."""

    limit: int = Field(
        50, ge=1, le=MOST_LISTED, description="So many at most of each list; the first matter most."
    )


class AddClass(Arguments):
    """What a class is made of."""

    label: Label
    pictures: Pictures
    move: bool = Field(
        False, description="Take pictures away from other classes instead of refusing them."
    )


class Feedback(Arguments):
    """What a picture is said to show."""

    picture: GivenPicture
    label: Label
    note_only: bool = Field(
        False,
        description="Do not take the picture in; only note whether the answer was right.",
    )


def parse(kind: type[Arguments], given: Mapping[str, Any] | None) -> Any:
    """Arguments as a tool takes them.

    Raises:
        InvalidInput: they make no sense; says which, and why.
    """
    try:
        return kind.model_validate(given or {})
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        raise InvalidInput("; ".join(map(_problem, wrong[:3]))) from None


_PROBLEMS: Final[Mapping[str, str]] = {
    "missing": "{where} is missing",
    "extra_forbidden": "there is no argument {where}",
    "greater_than_equal": "{where} is at least {ge}, not {input}",
    "less_than_equal": "{where} is at most {le}, not {input}",
    "too_long": "{where} are at most {max_length}, not {actual_length}",
    "too_short": "there are no {where}",
}
"""What some kinds of arguments that make no sense are, in our words."""


def _problem(found: Mapping[str, Any]) -> str:
    """What is wrong with an argument, in words."""
    words = _PROBLEMS.get(found["type"], "{where}: {msg}")
    where = " ".join(map(str, found["loc"]))
    return words.format(**found, **found.get("ctx", {}), where=where)


def schema(kind: type[Arguments]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, without what tells a reader nothing."""
    found = kind.model_json_schema()
    definitions = found.pop("$defs", {})
    found.pop("description", None)
    simple: dict[str, Any] = _simple(found, definitions)
    return simple


def _simple(part: Any, definitions: Mapping[str, Any]) -> Any:
    """A part of a schema with what it refers to in its place, and no titles and nulls."""
    if isinstance(part, list):
        return [_simple(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _simple(definitions[part["$ref"].rpartition("/")[2]], definitions)
    kept = {name: value for name, value in part.items() if not _is_idle(name, value)}
    kinds = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) == 1:
        del kept["anyOf"]
        kept = {**kinds[0], **kept}
    return {name: _simple(value, definitions) for name, value in kept.items()}


def _is_idle(name: str, value: Any) -> bool:
    return (name == "title" and isinstance(value, str)) or (name == "default" and value is None)
