"""Four ways in to a catalogue, with the same operations: Python, the command, HTTP and MCP."""

# ruff: noqa: D102 -- each method is the operation of its name

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from assistant import Assistant, ToolError
from served import JPEG

from catalog import Catalog, CatalogError, Picture, PictureError
from catalog.embedder import Box
from catalog.reports.plain import plain
from catalog.service.advice import HTTP

Run: TypeAlias = Callable[..., tuple[int, str, str]]
"""Runs the command."""


class Refusal(Exception):
    """An error: its exit code, by which all faces name its kind."""


class Python:
    """The calls."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            try:
                return plain(getattr(self._catalog, name)(*given, **named), HTTP)
            except CatalogError as error:
                raise Refusal(error.exit_code) from error

        return call

    def nearest(self, picture: Path, k: int, box: str | None = None) -> Any:
        region = Box.parse(box) if box else None
        return self.__getattr__("nearest")(Picture(picture, region), k)

    def like(self, item: int, k: int) -> Any:
        return self.__getattr__("nearest")(k=k, item=item)

    def predict(self, pictures: Sequence[Path], top: int, precision: float) -> Any:
        found = self._catalog.predict_many(pictures, top, precision=precision)
        return [
            {"refused": one.reason, "detail": one.detail}
            if isinstance(one, PictureError)
            else {"prediction": plain(one, HTTP)}
            for one in found
        ]

    def items(self, label: str | None, after: int, limit: int) -> Any:
        return self.__getattr__("items")(label, after=after, limit=limit)


class Command:
    """The command, in this process."""

    def __init__(self, path: Path, run: Run) -> None:
        self._path = path
        self._run = run

    def _told(self, name: str, *given: Any) -> Any:
        code, out, _ = self._run(name, *map(str, given), "--json", "--catalog", self._path)
        if code and not out:
            raise Refusal(code)
        return json.loads(out)

    def nearest(self, picture: Path, k: int, box: str | None = None) -> Any:
        within = ("--box", box) if box else ()
        (said,) = self._told("nearest", picture, "-k", k, *within)
        if "refused" in said:
            raise Refusal(5)
        return said["neighbours"]

    def like(self, item: int, k: int) -> Any:
        return self._told("nearest", "--item", item, "-k", k)[0]["neighbours"]

    def predict(self, pictures: Sequence[Path], top: int, precision: float) -> Any:
        return self._told("predict", *pictures, "--top", top, "--precision", precision)

    def labels(self) -> Any:
        return self._told("labels")

    def items(self, label: str | None, after: int, limit: int) -> Any:
        of = ("--label", label) if label else ()
        return self._told("items", *of, "--after", after, "--limit", limit)

    def info(self) -> Any:
        return self._told("info")

    def history(self, last: int) -> Any:
        return self._told("history", "--last", last)

    def audit(self) -> Any:
        return self._told("audit")

    def evaluate(self, source: Path) -> Any:
        return self._told("evaluate", source)

    def add_class(self, label: str, pictures: Sequence[Path]) -> Any:
        return self._told("add-class", label, *pictures)

    def preview_class(self, label: str, pictures: Sequence[Path]) -> Any:
        return self._told("add-class", label, *pictures, "--dry-run")

    def add(self, label: str, pictures: Sequence[Path], *, move: bool = False) -> Any:
        return self._told("add", label, *pictures, *(("--move",) if move else ()))

    def feedback(self, picture: Path, label: str, *, note_only: bool = False) -> Any:
        only = ("--note-only",) if note_only else ()
        return self._told("feedback", picture, "--label", label, *only)

    def rename_class(self, label: str, name: str) -> Any:
        return self._told("rename-class", label, name)

    def merge_classes(self, labels: Sequence[str], into: str) -> Any:
        return self._told("merge-classes", *labels, "--into", into)

    def move(self, items: Sequence[int], label: str, *, new: bool = False) -> Any:
        return self._told("move", label, *items, *(("--new",) if new else ()))

    def remove(self, items: Sequence[int]) -> Any:
        return self._told("remove", *items)

    def remove_class(self, label: str) -> Any:
        return self._told("remove-class", label, "--yes")

    def undo(self) -> Any:
        return self._told("undo")

    def import_(self, source: Path) -> Any:
        return self._told("import", source)

    def sync(self, source: Path) -> Any:
        return self._told("sync", source)


CODES = {400: 2, 404: 3, 409: 1, 422: 5, 503: 6}
"""The exit codes of errors that HTTP has a status for."""


class Http:
    """The service."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def _told(self, method: str, address: str, **request: Any) -> Any:
        said = self._client.request(method, address, **request)
        if said.is_error:
            raise Refusal(CODES[said.status_code])
        return said.json()

    def _with(self, address: str, pictures: Sequence[Path], **query: Any) -> Any:
        parts = [("picture", (p.name, p.read_bytes(), "image/jpeg")) for p in pictures]
        return self._told("POST", address, params=query, files=parts)

    def _done(self, **job: Any) -> Any:
        begun = self._told("POST", "/v1/jobs", json=job)
        with self._client.stream("GET", f"/v1/jobs/{begun['id']}/events") as events:
            events.read()
        told = self._told("GET", f"/v1/jobs/{begun['id']}")
        assert told["state"] == "done", told
        return self._told("GET", f"/v1/jobs/{begun['id']}/result")

    def nearest(self, picture: Path, k: int, box: str | None = None) -> Any:
        query = {"k": k} | ({"box": box} if box else {})
        said = self._told(
            "POST", "/v1/nearest", params=query, content=picture.read_bytes(), headers=JPEG
        )
        return said["answers"][0]["neighbours"]

    def like(self, item: int, k: int) -> Any:
        said = self._told("POST", "/v1/nearest", params={"k": k}, json={"item": item})
        return said["answers"][0]["neighbours"]

    def predict(self, pictures: Sequence[Path], top: int, precision: float) -> Any:
        return self._with("/v1/predict", pictures, top=top, precision=precision)["answers"]

    def labels(self) -> Any:
        return self._told("GET", "/v1/classes")["classes"]

    def items(self, label: str | None, after: int, limit: int) -> Any:
        query = {"after": after, "limit": limit} | ({"label": label} if label else {})
        return self._told("GET", "/v1/items", params=query)["items"]

    def info(self) -> Any:
        return self._told("GET", "/v1/info")

    def history(self, last: int) -> Any:
        return self._told("GET", "/v1/history", params={"last": last})["events"]

    def audit(self) -> Any:
        return self._told("GET", "/v1/audit")

    def evaluate(self, source: Path) -> Any:
        return self._done(kind="evaluate", source=str(source))

    def add_class(self, label: str, pictures: Sequence[Path]) -> Any:
        return self._with("/v1/classes", pictures, label=label)

    def preview_class(self, label: str, pictures: Sequence[Path]) -> Any:
        return self._with("/v1/classes/preview", pictures, label=label)

    def add(self, label: str, pictures: Sequence[Path], *, move: bool = False) -> Any:
        return self._with("/v1/items", pictures, label=label, move=move)

    def feedback(self, picture: Path, label: str, *, note_only: bool = False) -> Any:
        return self._with("/v1/feedback", [picture], label=label, note_only=note_only)

    def rename_class(self, label: str, name: str) -> Any:
        return self._told("POST", "/v1/classes/rename", json={"label": label, "name": name})

    def merge_classes(self, labels: Sequence[str], into: str) -> Any:
        return self._told("POST", "/v1/classes/merge", json={"labels": labels, "into": into})

    def move(self, items: Sequence[int], label: str, *, new: bool = False) -> Any:
        body = {"items": items, "label": label, "new": new}
        return self._told("POST", "/v1/items/move", json=body)

    def remove(self, items: Sequence[int]) -> Any:
        return self._told("DELETE", "/v1/items", params={"item": items})

    def remove_class(self, label: str) -> Any:
        return self._told("DELETE", "/v1/classes", params={"label": label})

    def undo(self) -> Any:
        return self._told("POST", "/v1/undo")["events"]

    def import_(self, source: Path) -> Any:
        return self._done(kind="import", source=str(source))

    def sync(self, source: Path) -> Any:
        return self._done(kind="sync", source=str(source))


KINDS = {
    "invalid-input": 2,
    "invalid-label": 2,
    "not-found": 3,
    "conflict": 1,
    "label-conflict": 1,
    "picture-error": 5,
}
"""The exit codes of errors by the kinds that tools tell."""


class Mcp(Command):
    """The tools of an assistant; what they lack is done by the command, which they must see."""

    def __init__(self, path: Path, run: Run, assistant: Assistant) -> None:
        super().__init__(path, run)
        self._assistant = assistant

    def _called(self, tool: str, **arguments: Any) -> Any:
        try:
            return self._assistant.call(tool, **arguments)
        except ToolError as error:
            raise Refusal(KINDS[error.kind]) from error

    def nearest(self, picture: Path, k: int, box: str | None = None) -> Any:
        given = {"path": str(picture)} | ({"box": box} if box else {})
        return self._called("nearest", pictures=[given], k=k)["answers"][0]["neighbours"]

    def like(self, item: int, k: int) -> Any:
        return self._called("nearest", item=item, k=k)["answers"][0]["neighbours"]

    def predict(self, pictures: Sequence[Path], top: int, precision: float) -> Any:
        given = [{"path": str(one)} for one in pictures]
        return self._called("predict", pictures=given, top=top, precision=precision)["answers"]

    def labels(self) -> Any:
        return self._called("classes")["classes"]

    def info(self) -> Any:
        return self._called("info")

    def audit(self) -> Any:
        return self._called("audit")

    def add_class(self, label: str, pictures: Sequence[Path]) -> Any:
        given = [{"path": str(one)} for one in pictures]
        return self._called("add_class", label=label, pictures=given)

    def feedback(self, picture: Path, label: str, *, note_only: bool = False) -> Any:
        given = {"path": str(picture)}
        return self._called("feedback", picture=given, label=label, note_only=note_only)


Face: TypeAlias = Python | Command | Http
"""A way in."""
