"""A server on loopback that speaks the Hub's protocol, has Keras' file, and fails on demand."""

from __future__ import annotations

import io
import re
import tarfile
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HANDLE = "someone/tiny/feature_vector/1"
PAYLOAD = np.random.default_rng(1).bytes(300_000)
"""An archive of nothing in particular."""

KERAS = (
    "keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
)
"""Where the file of Keras applications is among the archives."""

STORE = "/store/"
SIGN_IN = "/sign-in"
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
class Portal:
    """Send to a page to sign in, as the network of a hotel does."""


@dataclass(frozen=True)
class Silence:
    """Take the request, and say nothing; or, once the headers are said, nothing more."""

    headers: bool = False


@dataclass(frozen=True)
class Slow:
    """Send the body in so many parts, with a pause before each."""

    parts: int
    pause: float


Fault: TypeAlias = Cut | Status | Page | Portal | Silence | Slow


@dataclass(frozen=True)
class Seen:
    """A request for an archive: its path, its query and its headers."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


@dataclass
class HubServer:
    """Serves ``archives`` (handle -> bytes) by a redirect to a store, as the Hub does.

    That of the key ``KERAS`` is had at its path, as at Keras applications.

    ``faults`` are used up, one per request for an archive; ``ranges`` says whether parts are given,
    ``etag`` names the version of all archives (None: unnamed), ``sized`` whether lengths are told.
    ``seen`` and ``sent`` are the store's requests, and the bytes of archives sent for each.
    """

    archives: dict[str, bytes] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    etag: str | None = '"one"'
    ranges: bool = True
    sized: bool = True
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """What ``CATALOG_HUB_URL`` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def keras(self) -> str:
        """What ``CATALOG_KERAS_URL`` is set to."""
        return f"{self.url}/{KERAS.partition('/')[0]}"


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[HubServer]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith(STORE):
            self.hub.seen.append(Seen(parts.path, parse_qs(parts.query), dict(self.headers)))
            self._store(parts.path.removeprefix(STORE))
        elif parts.path.startswith(urlsplit(self.hub.keras).path):
            self.hub.seen.append(Seen(parts.path, parse_qs(parts.query), dict(self.headers)))
            self._store(parts.path.strip("/"))
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
            case Portal():
                self._send(302, b"", Location=SIGN_IN)
            case Silence(headers=False):
                self.hub.over.wait()
            case _ if body is None:
                self._send(404, PAGE, content_type="text/html")
            case _:
                self._archive(body, fault)

    def _archive(self, body: bytes, fault: Fault | None) -> None:
        start, named = 0, {"ETag": self.hub.etag} if self.hub.etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.hub.ranges and self.headers.get("If-Range") == self.hub.etag:
            start = int(asked[1])
            if start >= len(body):
                self._send(416, b"", **{"Content-Range": f"bytes */{len(body)}"})
                return
            named["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        glance = re.fullmatch(r"bytes=0-(\d+)", self.headers.get("Range", ""))
        if glance and self.hub.ranges:
            named["Content-Range"] = f"bytes 0-{glance[1]}/{len(body)}"
            body = body[: int(glance[1]) + 1]
        cut = 0 if isinstance(fault, Silence) else fault.after if isinstance(fault, Cut) else None
        self.hub.sent.append(len(body[start:][:cut]))
        status = 206 if "Content-Range" in named else 200
        self._send(status, body[start:], fault=fault, cut=cut, **named)

    def _send(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/gzip",
        fault: Fault | None = None,
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
        if isinstance(fault, Slow):
            size = -(-len(body) // fault.parts)
            with suppress(ConnectionError):  # who asked may have had enough
                for at in range(0, len(body), size):
                    self.hub.over.wait(fault.pause)
                    self.wfile.write(body[at : at + size])
        else:
            self.wfile.write(body[:cut])
        if isinstance(fault, Silence):
            self.hub.over.wait()
        self.close_connection = True


def pack(folder: Path, top: str = ".") -> bytes:
    """A gzipped tar of a folder, as the Hub gives it (no folder at the top) or as a person does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, top)
    return packed.getvalue()
