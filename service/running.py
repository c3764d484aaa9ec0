"""A service while it runs: the catalogue, and all that asks and changes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.responses import Response

from catalog import Catalog, LabelCount, PictureError
from catalog.questions.shared import SharedQuestions
from catalog.reports.plain import plain
from catalog.service import bodies, problems
from catalog.service.advice import HTTP
from catalog.service.bodies import Given
from catalog.service.job_runner import JobRunner
from catalog.service.lanes import Lane
from catalog.service.metrics import Metrics
from catalog.service.problems import Refused
from catalog.service.readiness import Readiness
from catalog.service.settings import Settings
from catalog.service.writes import Asked, Writes

_Answer = TypeVar("_Answer")
_Asked = TypeVar("_Asked")

_READERS = 4
_MOST_READING = 256
_MOST_REPORTS = 8


class Service:
    """What the routes of one service share.

    Args:
        catalog: that is asked and changed; it is the caller's to close, after this.
        settings: how the service is run.

    Attributes:
        reading: does what looks something up.
        thumbnails: finds them, or makes them.
        reporting: does what takes long and changes nothing.
        questions: those of all callers about pictures.
        writes: does the changes.
        jobs: does the jobs.
        readiness: keeps it ready.
        metrics: what is counted.
        streams: how many streams of events are open.
        ending: whether the service comes to its end.
    """

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self.catalog = catalog
        self.settings = settings
        self.metrics = Metrics()
        self.reading = Lane("a look", _READERS, _MOST_READING)
        self.reporting = Lane("a report", 1, _MOST_REPORTS)
        self.thumbnails = Lane("a thumbnail", 1, _MOST_READING)
        self.writes = Writes(catalog, settings.write_queue)
        self.jobs = JobRunner(catalog, settings)
        self.readiness = Readiness(catalog)
        self.questions = SharedQuestions(catalog, timed=self.metrics.stage)
        self.streams = 0
        self.ending = False
        self._coming = 0  # questions that are about to be asked
        self._classes: tuple[str, tuple[LabelCount, ...]] = ("", ())
        for name, count in {
            "questions": lambda: self.questions.under_way,
            "looks": lambda: self.reading.under_way,
            "reports": lambda: self.reporting.under_way,
            "changes": lambda: self.writes.lane.under_way,
        }.items():
            self.metrics.watch(name, count)

    def close(self) -> None:
        """Finish what is under way; what is acknowledged is done."""
        self.readiness.close()
        self.jobs.close()
        self.questions.close()
        self.writes.close()
        self.reporting.close()
        self.thumbnails.close()
        self.reading.close()

    @property
    def is_full(self) -> bool:
        """Whether so much is asked that more is told to come again."""
        return self.questions.under_way + self._coming >= self.settings.queue

    def require_room(self) -> None:
        """Make sure that more can be asked.

        Raises:
            Refused: too much is under way.
        """
        if self.is_full:
            raise problems.busy("too many questions at a time")

    async def rows(self, asked: list[Given] | bytes) -> list[Given]:
        """What is asked about, once descriptors that came as bytes are told apart."""
        if not isinstance(asked, bytes):
            return asked
        self.require_room()  # while its body came, others were faster
        self._coming += 1
        try:
            width = await self.reading(lambda: self.catalog.width)
        finally:
            self._coming -= 1
        return [
            Given(None, row) for row in bodies.rows_of(asked, width, self.settings.most_pictures)
        ]

    async def ask(
        self,
        asked: Sequence[_Asked],
        ask: Callable[[_Asked], Future[_Answer]],
    ) -> list[_Answer | PictureError]:
        """Ask about several pictures, descriptors or items at once.

        Returns:
            The answers in order, or why a picture was refused.

        Raises:
            Refused: too much is under way.
            CatalogError: anything else went wrong.
        """
        self.require_room()
        under_way = self.questions.under_way
        if under_way and under_way + len(asked) > self.settings.queue:
            raise problems.busy("too many questions at a time")
        futures = [asyncio.wrap_future(ask(one)) for one in asked]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        found: list[_Answer | PictureError] = []
        for answer in answers:
            if isinstance(answer, PictureError):
                self.metrics.refused(answer.reason)
                found.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        return found

    async def classes(self) -> tuple[LabelCount, ...]:
        """The classes, of the state that stands or a later one; read once for each state."""
        state = await self.reading(lambda: self.catalog.state)
        if self._classes[0] != state:
            self._classes = state, tuple(await self.reading(self.catalog.labels))
        return self._classes[1]

    async def unless_known(self, request: Request, read: Callable[[], Awaitable[Any]]) -> Response:
        """What is read, with the state as its ETag; or that it is what the client has."""
        state = await self.reading(lambda: self.catalog.state)
        tag = f'"{state}"'
        known = [one.strip().removeprefix("W/") for one in
                 request.headers.get("if-none-match", "").split(",")]  # fmt: skip
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if tag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return answer(await read(), headers=headers)

    async def write(
        self, request: Request, call: str, arguments: Mapping[str, Any]
    ) -> tuple[Any, dict[str, str]]:
        """Have a change done.

        Returns:
            What came of it, and headers that say what state it led to.
        """
        key = request.scope["state"].get("key")
        done = await self.writes(
            Asked(
                call,
                arguments,
                "" if key is None else key.name,
                request.headers.get("idempotency-key"),
            )
        )
        headers = {} if done.state is None else {"etag": f'"{done.state}"'}
        if done.again:
            headers["idempotency-replayed"] = "true"
        return done.result, headers


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A result as a response, as the command prints it with ``--json``."""
    content = json.dumps(plain(value, HTTP), ensure_ascii=False, separators=(",", ":"))
    return Response(content.encode(), status, dict(headers or {}), "application/json")


def may_write(request: Request) -> bool:
    """Whether the key of a request is good for changes, or none is needed."""
    key = request.scope["state"].get("key")
    return key is None or key.scope == "write"


def require_write(request: Request, what: str) -> None:
    """Make sure that a request may change something.

    Raises:
        Refused: its key is good for reading alone.
    """
    if not may_write(request):
        raise Refused(403, "forbidden", f"this key is good for reading alone, and {what}")


async def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


Running = Annotated[Service, Depends(_service)]
"""The service, as a parameter of a route."""
