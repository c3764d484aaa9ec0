"""Connections that nobody can hold open for nothing, before there is a request to look at.

Where so much is asked already that a question would be told to come again, it is told so here, at a
small part of what it takes to look at it: who is asked more than can be answered spends no time on
saying so that the answers need.
"""

from __future__ import annotations

import json
from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from catalog.service.guard import Guard

HEADER_SECONDS: Final = 10.0
"""How long the head of a request may take to come."""

HEADER_BYTES: Final = 32 * 1024
"""How long it may be."""

REST_SECONDS: Final = 5.0
"""How long the rest of a body may go on coming that was answered already.

It is read and dropped: a connection that is closed while the client is sending takes the answer
with it.
"""

UNREAD_SECONDS: Final = 30.0
"""How long a client may leave unread what it is sent."""

MOST_AHEAD: Final = 16
"""How many requests a client may send ahead of their answers."""

MOST_CONNECTIONS: Final = 512
"""How many connections there may be at a time."""


def _problem(status: int, kind: str, detail: str, *fields: str) -> bytes:
    """A whole response that closes the connection."""
    title = HTTPStatus(status).phrase
    told = {"type": f"urn:catalog:{kind}", "title": title, "status": status, "detail": detail}
    body = json.dumps(told)
    lines = [
        f"HTTP/1.1 {status} {title}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "connection: close",
        *fields,
    ]
    return "\r\n".join([*lines, "", body]).encode()


_FULL: Final = _problem(503, "busy", "too many connections at a time", "retry-after: 1")
_TOO_LONG: Final = _problem(431, "head-too-long", f"a head has at most {HEADER_BYTES} bytes")
_NONSENSE: Final = _problem(400, "no-http", "this is no request of HTTP/1.1")


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1, with a limit on how long a request's head may be, and how long it may take."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: TimerHandle | None = None
        self._rest_timer: TimerHandle | None = None
        self._unread_timer: TimerHandle | None = None
        self._turned_away = False  # what comes of the present request is dropped

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        if len(self.connections) >= MOST_CONNECTIONS:
            transport.write(_FULL)
            transport.close()
        super().connection_made(transport)
        self._await_head()

    def pause_writing(self) -> None:
        """Note that the client does not read what it is sent."""
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it reads again."""
        self._stop_unread()
        super().resume_writing()

    def _stop_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection."""
        self._stop_waiting()
        self._end_rest()
        self._stop_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes of a request."""
        if self._in_head:
            self._head_bytes += len(data)
            self._await_head()
        super().data_received(data)
        # What came with the end of a head belongs to its body, and was counted for nothing.
        if self._in_head and self._head_bytes > HEADER_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()

    def send_400_response(self, _: str) -> None:
        """Say that it is no request."""
        self.transport.write(_NONSENSE)
        self.transport.close()

    def on_message_begin(self) -> None:
        """Begin the head of a request."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the head of a request."""
        self._in_head, self._head_bytes = False, 0
        self._stop_waiting()
        if self._turn_away():
            return
        super().on_headers_complete()
        if len(self.pipeline) > MOST_AHEAD:
            self.transport.abort()
            raise RuntimeError("too many requests ahead of their answers")

    def _turn_away(self) -> bool:
        """Tell a question at once to come again, if there is no room for it."""
        is_free = self.cycle is None or self.cycle.response_complete
        guard = self.app
        if not (isinstance(guard, Guard) and is_free and self.parser.should_keep_alive()):
            return False
        answer = guard.turned_away(self.parser.get_method(), self.url)
        if answer is None:
            return False
        self._turned_away = True
        self._rest_timer = self.loop.call_later(REST_SECONDS, self._give_up)
        self.transport.write(answer)
        return True

    def on_body(self, body: bytes) -> None:
        """Take some bytes of a body."""
        if not self._turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_head, self._head_bytes = True, 0
        self._end_rest()
        if self._turned_away:
            self._turned_away = False
            self._await_head()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """End a response, which may be before the request's body has come."""
        if not self._in_head and self._rest_timer is None:
            self._rest_timer = self.loop.call_later(REST_SECONDS, self._give_up)
        super().on_response_complete()
        if self.pipeline:  # the server reads on as soon as one of them is answered
            self.flow.pause_reading()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_rest(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.transport.get_write_buffer_size():  # to close would wait for it to be read
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.close()
