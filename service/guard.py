"""What each request passes before the service looks at it, and what is said of it afterwards.

In this order: it gets a number; where there are no keys, it must not come from another site's page;
where there are, its key must be good for what it asks; its body must be neither too long nor too
slow. A body is not read before the key was looked at.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.service import problems
from catalog.service.keys import Key, Keys
from catalog.service.problems import Refused
from catalog.service.routes.page import is_page
from catalog.service.running import Service
from catalog.service.settings import Settings

OPEN: Final = frozenset({"/healthz", "/readyz"})
"""What needs no key: it says whether the service is up, and nothing else."""

_QUESTIONS: Final = frozenset({"/v1/nearest", "/v1/predict"})
"""What reads although it is posted."""

_SLOWEST: Final = 100_000
"""How many bytes a second a body has to bring once its time is up."""

_HELD: Final = 4
"""How many bodies of the largest size may be held at a time."""

_MOST_JSON: Final = 4_000_000
_LONGEST_PATH: Final = 500
_SEND_SECONDS: Final = 30.0
_NUMBER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_log = logging.getLogger(__name__)

_BUSY_BODY: Final = (
    b'{"type": "urn:catalog:busy", "title": "Service Unavailable", "status": 503, '
    b'"detail": "too many questions at a time", "request": "%b"}'
)
_BUSY_HEAD: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nretry-after: 1\r\ncache-control: no-store\r\nx-request-id: %b\r\n"
    b"x-content-type-options: nosniff\r\ncross-origin-resource-policy: same-origin\r\n"
    b"content-security-policy: default-src 'none'\r\n\r\n"
)
"""What a question is told for which there is no room, as :func:`problems.busy` would say it."""


def reads_only(method: str, path: str) -> bool:
    """Whether a request is a question, so that a key to read is enough."""
    return method in {"GET", "HEAD", "OPTIONS"} or (method == "POST" and path in _QUESTIONS)


class Guard:
    """An ASGI application around another.

    Args:
        app: the other.
        settings: of the service.
        keys: that are good; None where none are asked for.
        service: what the routes share.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, keys: Keys | None, service: Service
    ) -> None:
        self.app = app
        self._service = service
        self._settings = settings
        self._keys = keys
        self._held = 0  # bytes of bodies

    def end(self) -> None:
        """Let what would go on for ever come to an end: the service does."""
        self._service.ending = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection's event, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()

    def turned_away(self, method: bytes, url: bytes) -> bytes | None:
        """A whole response to a question for which there is no room; None if there is, or may be.

        Args:
            method: of the request.
            url: as it was sent, a path and parameters.
        """
        if method != b"POST" or not self._service.is_full:
            return None
        path = url.partition(b"?")[0].decode("latin-1")
        if path not in _QUESTIONS:
            return None
        number = secrets.token_hex(8)
        self._service.metrics.answered("POST", path, HTTPStatus.SERVICE_UNAVAILABLE, 0.0)
        body = _BUSY_BODY % number.encode()
        return _BUSY_HEAD % (len(body), number.encode()) + body

    def admit(self, scope: Scope, headers: Headers) -> Key | None:
        """Let a request in, and say with which key.

        Raises:
            Refused: it is not let in.
        """
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._settings.most_bytes:
            raise self.too_long()
        if len(scope["path"]) > _LONGEST_PATH:
            raise Refused(404, "not-found", "there is nothing at this address")
        key = None
        if is_page(scope["path"]):
            return None
        if self._keys is None:
            self._require_own_page(headers)
        elif scope["path"] not in OPEN:
            key = self._with_key(self._keys, scope, headers)
        if scope["path"] in _QUESTIONS:
            self._service.require_room()  # before any more is done for it
        return key

    def _with_key(self, keys: Keys, scope: Scope, headers: Headers) -> Key:
        kind, _, given = headers.get("authorization", "").partition(" ")
        key = keys.find(given.strip()) if kind.lower() == "bearer" else None
        if key is None:
            raise Refused(
                401,
                "unauthorized",
                "this key is not known, or not any more; ask whoever runs the service"
                if given
                else "a key is needed: Authorization: Bearer KEY",
                headers={"www-authenticate": 'Bearer realm="catalog"'},
            )
        if key.scope != "write" and not reads_only(scope["method"], scope["path"]):
            raise Refused(403, "forbidden", "this key is good for reading alone")
        return key

    def _require_own_page(self, headers: Headers) -> None:
        """Make sure that no other site's page asks, through the browser of who may ask.

        Raises:
            Refused: it does, or the name by which this computer was asked is not its own.
        """
        host, origin = headers.get("host", ""), headers.get("origin")
        own = {*_LOCAL, self._settings.host}
        if host and self._settings.is_local and _name_in(host) not in own:
            raise Refused(
                403,
                "forbidden",
                "without keys this service answers to the names localhost and 127.0.0.1 alone",
            )
        from_elsewhere = headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
        if from_elsewhere or (origin is not None and origin.partition("://")[2] != (host or "-")):
            raise Refused(403, "forbidden", "pages of other sites may not ask")

    def take(self, count: int) -> None:
        """Hold some more bytes of bodies.

        Raises:
            Refused: those of all requests together are too many.
        """
        self._held += count
        if self._held > _HELD * self._settings.most_bytes:
            raise problems.busy("too many large bodies at a time")

    def give_back(self, count: int) -> None:
        """Hold so many bytes less."""
        self._held -= count

    def too_long(self) -> Refused:
        """That a body is too long."""
        most = self._settings.most_megabytes
        return Refused(413, "too-large", f"a body may have {most} MB")

    @property
    def body_seconds(self) -> float:
        """How long a body may take to come."""
        return self._settings.body_seconds

    @property
    def most_bytes(self) -> int:
        """How long a body may be."""
        return self._settings.most_bytes

    def note(self, scope: Scope, status: int, seconds: float, received: int) -> None:
        """Count a request that was answered, and write it down: never what was in it."""
        route = scope.get("route")
        path = getattr(route, "path_format", None) or "other"
        self._service.metrics.answered(scope["method"], path, status, seconds)
        level = logging.ERROR if status == HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
        if not _log.isEnabledFor(level):
            return
        state = scope["state"]
        _log.log(
            level,
            "request",
            extra={
                "fields": {
                    "request": state["number"],
                    "key": None if state.get("key") is None else state["key"].name,
                    "method": scope["method"],
                    "route": path,
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                    "bytes": received,
                    "peer": scope["client"][0] if scope.get("client") else None,
                }
            },
        )


def _name_in(host: str) -> str | None:
    """The name in a header ``Host``, without the port; None where there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class _Exchange:
    """One request and its response."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard = guard
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = Headers(scope=scope)
        self._is_json = self._headers.get("content-type", "").startswith("application/json")
        if scope["method"] == "HEAD":  # the server leaves the body out; the rest is as for GET
            self._scope = {**scope, "method": "GET"}
        given = self._headers.get("x-request-id", "")
        self._number = given if _NUMBER.fullmatch(given) else secrets.token_hex(8)
        self._began = time.monotonic()
        self._received = 0
        self._whole = False  # whether the body has come to its end
        self._status = 0

    async def run(self) -> None:
        """Have it answered."""
        guard, state = self._guard, self._scope.setdefault("state", {})
        state["number"] = self._number
        try:
            try:
                state["key"] = guard.admit(self._scope, self._headers)
            except Refused as refused:
                await self._refuse(refused)
            else:
                await guard.app(self._scope, self.receive, self.send)
        except Exception:  # noqa: BLE001 -- whatever it is, it is answered, and logged
            _log.exception("fault", extra={"fields": {"request": self._number}})
            if not self._status:
                fault = "the service failed at this; its log says more"
                await self._refuse(Refused(500, "fault", fault))
        finally:
            guard.give_back(self._received)
            guard.note(
                self._scope, self._status or 499, time.monotonic() - self._began, self._received
            )

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            Refused: it is too long, or too slow.
        """
        if self._whole:
            return await self._receive()
        time_left = (
            self._began + self._guard.body_seconds + self._received / _SLOWEST - time.monotonic()
        )
        try:
            async with asyncio.timeout(max(0.0, time_left)):
                message = await self._receive()
        except TimeoutError:
            raise Refused(
                408, "too-slow", "the body came too slowly", headers={"connection": "close"}
            ) from None
        self._take(message)
        if self._received > self._guard.most_bytes:
            raise self._guard.too_long()
        if self._received > _MOST_JSON and self._is_json:
            raise Refused(413, "too-large", f"a body of JSON may have {_MOST_JSON // 10**6} MB")
        return message

    def _take(self, message: Message) -> None:
        if message["type"] != "http.request":
            self._whole = True
            return
        count = len(message.get("body", b""))
        self._received += count
        self._whole = not message.get("more_body", False)
        self._guard.take(count)

    async def send(self, message: Message) -> None:
        """Send the next part of the response."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._number
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
            headers["cross-origin-resource-policy"] = "same-origin"
            headers.setdefault("content-security-policy", "default-src 'none'")
        async with asyncio.timeout(_SEND_SECONDS):
            await self._send(message)

    async def _refuse(self, refused: Refused) -> None:
        """Answer at once; the protocol lets the rest of the body come, for a while."""
        answer = problems.response(
            self._number,
            refused.status_code,
            refused.kind,
            str(refused.detail),
            refused.headers,
            **refused.more,
        )
        await answer(self._scope, self.receive, self.send)
