"""Changes: done one way whoever asks for them, and once however often a request for one comes."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from catalog import Catalog, CatalogError, Event, Picture
from catalog.reports.plain import plain
from catalog.service.advice import HTTP
from catalog.service.lanes import Lane
from catalog.service.problems import Refused

_REMEMBERED: Final = 10_000
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that was asked for.

    Attributes:
        call: of the catalogue, by its name.
        arguments: by the names of that call.
        who: asks, by the name of the key; empty where there are none.
        once: the key by which a request is known that comes again; None without.
    """

    call: str
    arguments: Mapping[str, Any]
    who: str = ""
    once: str | None = None

    @property
    def known_by(self) -> str | None:
        """What two requests have in common that come with one key; None without."""
        if self.once is None:
            return None
        return hashlib.sha256(f"{self.who}\n{self.once}".encode()).hexdigest()[:32]

    @property
    def mark(self) -> str | None:
        """What its events are marked with: by what it is known, and what it asks for."""
        known_by = self.known_by
        return None if known_by is None else f"{known_by}.{self.digest[:32]}"

    @property
    def digest(self) -> str:
        """What is the same for two that ask for the same."""
        told = json.dumps([self.call, _told(self.arguments)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a change.

    Attributes:
        result: of the call.
        state: of the catalogue afterwards; None where it could not be read.
        again: whether it was done for an earlier request.
    """

    result: Any
    state: str | None
    again: bool = False


class Writes:
    """Does the changes of one catalogue.

    A request that comes with an ``Idempotency-Key`` is done once: as long as this process lives,
    its result is given again; afterwards the journal tells that it was done.

    Args:
        catalog: that is changed.
        most: how many changes may wait.
    """

    def __init__(self, catalog: Catalog, most: int) -> None:
        self.lane = Lane("a change", 2, most)
        self._catalog = catalog
        self._known: OrderedDict[str, tuple[str, asyncio.Future[Any]]] = OrderedDict()

    async def __call__(self, asked: Asked) -> Done:
        """Have a change done.

        Raises:
            CatalogError: as the call does.
            Refused: too much waits; or the request's key was used for another one, or for one that
                was done already, and whose result is lost.
        """
        known_by = asked.known_by
        if known_by is None:
            return Done(*await self.lane(self._do, asked))
        require_key(asked.once)
        again = known_by in self._known
        if again:
            digest, task = self._known[known_by]
            if digest != asked.digest:
                raise _key_used()
        else:
            task = self._begin(asked, known_by)
        result, state = await asyncio.shield(task)
        return Done(result, state, again)

    def _begin(self, asked: Asked, known_by: str) -> asyncio.Future[Any]:
        self.lane.require_room()
        task = asyncio.ensure_future(self.lane(self._do_once, asked, known_by))
        self._known[known_by] = asked.digest, task
        task.add_done_callback(lambda done: self._forget_failure(known_by, done))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return task

    def close(self) -> None:
        """Finish what is under way."""
        self.lane.close()

    def _forget_failure(self, known_by: str, task: asyncio.Future[Any]) -> None:
        """Let a request that has failed be tried again."""
        if task.cancelled() or task.exception() is not None:
            self._known.pop(known_by, None)

    def _do_once(self, asked: Asked, known_by: str) -> Any:
        events: list[Event] = self._catalog.marked(known_by)
        if events and events[0].detail["mark"] != asked.mark:
            raise _key_used()
        if events:
            event = events[0].id
            raise Refused(
                409,
                "already-done",
                f"this was done before, as event {event}; what came of it is lost, since the "
                "service was started anew meanwhile",
                event=event,
            )
        return self._do(asked)

    def _do(self, asked: Asked) -> tuple[Any, str | None]:
        """What came of it, and the state it led to: what is done is said, whatever fails then."""
        if _trains(self._catalog, asked):
            with ProcessPoolExecutor(1, get_context("spawn")) as child:
                result = child.submit(_do_here, self._catalog.path, asked).result()
        else:
            result = _done(self._catalog, asked)
        with suppress(CatalogError):
            return result, self._catalog.state
        return result, None


def _key_used() -> Refused:
    return Refused(422, "key-used", "this Idempotency-Key was used for another request")


def require_key(key: str | None) -> None:
    """Make sure that a request can be known by a key.

    Raises:
        Refused: it cannot.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(
            400, "invalid-input", "an Idempotency-Key has 1 to 255 letters that can be seen"
        )


def _trains(catalog: Catalog, asked: Asked) -> bool:
    """Whether a ``document`` head will be trained, which brings TensorFlow, and takes long."""
    if "training" not in inspect.signature(getattr(Catalog, asked.call)).parameters:
        return False
    wanted = asked.arguments.get("head")
    return "document" in {wanted, None if wanted else catalog.head}


def _do_here(path: Path, asked: Asked) -> Any:
    """Do a change in a process of its own."""
    with Catalog.open(path, isolate=True) as catalog:
        return _done(catalog, asked)


def _done(catalog: Catalog, asked: Asked) -> Any:
    call: Callable[..., Any] = getattr(catalog, asked.call)
    with ExitStack() as stack:
        if asked.mark is not None:
            stack.enter_context(catalog.marking(asked.mark))
        return call(**asked.arguments)


def _told(value: Any) -> Any:
    """Arguments as JSON values: pictures by their content."""
    if isinstance(value, Picture):
        content = value.source if isinstance(value.source, bytes) else str(value.source).encode()
        return [hashlib.sha256(content).hexdigest(), str(value.box)]
    if isinstance(value, Mapping):
        return {str(name): _told(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_told(part) for part in value]
    return plain(value, HTTP)
