"""A server on loopback that speaks the Hub's protocol, and fails on demand."""

from __future__ import annotations

import io
import re
import tarfile
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HANDLE = "someone/tiny/feature_vector/1"
PAYLOAD = np.random.default_rng(1).bytes(300_000)
"""An archive of nothing in particular."""

STORE = "/store/"
PAGE = b"<!DOCTYPE html><title>Sign in</title>"


@dataclass(frozen=True)
class Cut:
    """Break the connection after so many bytes of the body."""

    after: int


@dataclass(frozen=True)
class Status:
    """Answer with a status and no archive."""

    code: int


@dataclass(frozen=True)
class Page:
    """Answer with a web page, as a sign-in page does, under any content type."""

    content_type: str = "text/html"


@dataclass(frozen=True)
class Seen:
    """A request for an archive: its path, its query and its headers."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


@dataclass
class HubServer:
    """Serves ``archives`` (handle -> bytes) by a redirect to a store, as the Hub does.

    ``faults`` are used up, one per request to the store; ``ranges`` says whether parts are given,
    ``etag`` names the version of all archives (None: unnamed), ``sized`` whether lengths are told.
    ``seen`` and ``sent`` are the store's requests, and the bytes of archives sent for each.
    """

    archives: dict[str, bytes] = field(default_factory=dict)
    faults: deque[Cut | Status | Page] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    etag: str | None = '"one"'
    ranges: bool = True
    sized: bool = True

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """What ``CATALOG_HUB_URL`` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[HubServer]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith(STORE):
            self.hub.seen.append(Seen(parts.path, parse_qs(parts.query), dict(self.headers)))
            self._store(parts.path.removeprefix(STORE))
        elif parse_qs(parts.query).get("tf-hub-format") == ["compressed"]:
            self._send(302, b"", Location=f"{STORE}{parts.path.strip('/')}")
        else:
            self._send(200, PAGE, content_type="text/html")

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests look at ``seen``."""

    def _store(self, handle: str) -> None:
        fault = self.hub.faults.popleft() if self.hub.faults else None
        body = self.hub.archives.get(handle)
        match fault:
            case Status(code):
                self._send(code, b"no")
            case Page(content_type):
                self._send(200, PAGE, content_type=content_type)
            case _ if body is None:
                self._send(404, PAGE, content_type="text/html")
            case _:
                self._archive(body, fault.after if fault else None)

    def _archive(self, body: bytes, cut: int | None) -> None:
        start, named = 0, {"ETag": self.hub.etag} if self.hub.etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.hub.ranges and self.headers.get("If-Range") == self.hub.etag:
            start = int(asked[1])
            if start >= len(body):
                self._send(416, b"", **{"Content-Range": f"bytes */{len(body)}"})
                return
            named["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self.hub.sent.append(len(body[start:][:cut]))
        self._send(206 if "Content-Range" in named else 200, body[start:], cut=cut, **named)

    def _send(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/gzip",
        cut: int | None = None,
        **headers: str,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if self.hub.sized or status not in {200, 206}:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True


def pack(folder: Path, top: str = ".") -> bytes:
    """A gzipped tar of a folder, as the Hub gives it (no folder at the top) or as a person does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, top)
    return packed.getvalue()
