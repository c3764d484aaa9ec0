"""The description of the API, made of what the results say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from catalog.service.guard import OPEN
from catalog.service.problems import Problem

_TAGS: Final = (
    ("questions", "What a picture shows, and what looks like it."),
    ("classes", "The classes of the catalogue."),
    ("items", "The pictures of the classes."),
    ("journal", "What was said, done and taken back."),
    ("reports", "What the catalogue is, and how well."),
    ("jobs", "Work on many pictures, in the background."),
    ("health", "Whether the service is up."),
)


def describe(app: FastAPI, *, keys: bool) -> dict[str, Any]:
    """The OpenAPI of the service.

    Args:
        app: with its routes.
        keys: whether keys are asked for.
    """
    found = get_openapi(
        title="catalog",
        version=app.version,
        summary="Which of our things is this photo?",
        description=app.description,
        routes=app.routes,
        tags=[{"name": name, "description": words} for name, words in _TAGS],
    )
    schemas = found["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas["Problem"].pop("$defs")
    schemas["Advice"] = {"type": "string", "description": "What can be done about it."}
    for schema in schemas.values():
        _by_attributes(schema)
    for path, operation in _operations(found):
        operation["responses"].pop("422", None) if _is_made_up(operation) else None
        if path in OPEN:
            for status in ("401", "403", "408", "413"):
                operation["responses"].pop(status, None)
        elif keys:
            operation["security"] = [{"key": []}]
        if "requestBody" not in operation:
            for status in ("408", "413"):
                operation["responses"].pop(status, None)
        _with_headers(operation)
    if keys:
        scheme = {"type": "http", "scheme": "bearer", "description": "A key to read, or to write."}
        found["components"]["securitySchemes"] = {"key": scheme}
    return found


def methods_at(described: dict[str, Any], path: str) -> list[str]:
    """The methods that an address takes, by the description of the API."""
    for template, methods in described["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", r"\\d+", template), path):
            return [method.upper() for method in methods]
    return []


def _operations(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in found["paths"].items():
        for operation in methods.values():
            yield path, operation


def _with_headers(operation: dict[str, Any]) -> None:
    """Describe the headers that go with states, and with changes that are sent again."""
    parameters = operation.setdefault("parameters", [])
    responses = operation["responses"]
    tag = {"description": "The state of the catalogue.", "schema": {"type": "string"}}
    if "304" in responses:
        parameters.append(_header("If-None-Match", "The state that is known: an ETag.", ""))
        responses["200"].setdefault("headers", {})["ETag"] = tag
    if "Idempotency-Key" in responses.get("422", {}).get("description", ""):
        parameters.append(
            _header(
                "Idempotency-Key",
                "With one the change is done once, however often it is sent.",
                "^[!-~]{1,255}$",
            )
        )
        for status in {"200", "201"} & set(responses):
            responses[status].setdefault("headers", {})["ETag"] = tag
    if "503" in responses:
        after = {"description": "In how many seconds to come again.", "schema": {"type": "string"}}
        responses["503"] = {**responses["503"], "headers": {"Retry-After": after}}


def _header(name: str, words: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", **({"pattern": pattern} if pattern else {})}
    return {"name": name, "in": "header", "required": False, "description": words, "schema": schema}


def _is_made_up(operation: dict[str, Any]) -> bool:
    """Whether a response 422 is the framework's, which is 400 here."""
    content = operation["responses"].get("422", {}).get("content", {})
    return "HTTPValidationError" in str(content)


def _by_attributes(schema: dict[str, Any]) -> None:
    """Take what a docstring says of attributes to the properties themselves."""
    head, _, rest = schema.get("description", "").partition("\n\nAttributes:\n")
    if not rest:
        return
    schema["description"] = head
    properties = schema.get("properties", {})
    for name, words in re.findall(r"^ {4}(\w+): ((?:.|\n {8})+)", rest, re.MULTILINE):
        if name in properties:
            plain = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", re.sub(r"\s+", " ", words))
            properties[name]["description"] = plain.replace("``", "`")
