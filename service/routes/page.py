"""The page: files that come with the program, the same for everyone, which need no key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import Request
from starlette.responses import Response

from catalog.service import problems
from catalog.service.problems import Refused

router = problems.router("page")

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}

_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
"""What the page may load and run: its own files, and pictures that it was given."""

_HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the page, its type, and its ETag."""

    content: bytes
    kind: str
    tag: str


def is_page(path: str) -> bool:
    """Whether an address is one of the page's, which has nothing of the catalogue in it."""
    return path == "/" or path.startswith("/page/")


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The page itself."""
    return _answer(request, "index.html")


@router.get("/page/{name:path}", include_in_schema=False)
async def file(request: Request, name: str) -> Response:
    """A file that the page is made of."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    found = _files().get(name)
    if found is None:
        raise Refused(404, "not-found", "there is no such file of the page")
    headers = {**_HEADERS, "etag": found.tag}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=found.kind)


@cache
def _files() -> dict[str, _File]:
    """The files by their names, with slashes between folders; nothing else is ever looked for."""
    found: dict[str, _File] = {}

    def gather(folder: Traversable, before: str) -> None:
        for one in folder.iterdir():
            if one.is_dir():
                gather(one, f"{before}{one.name}/")
            elif kind := _TYPES.get(one.name.rpartition(".")[2]):
                content = one.read_bytes()
                tag = hashlib.sha256(content).hexdigest()[:24]
                found[before + one.name] = _File(content, kind, f'"{tag}"')

    gather(files("catalog.service") / "page", "")
    return found
