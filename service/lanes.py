"""Lines of work that other threads do, so that the event loop never waits; each of them bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from catalog.service import problems

_Result = TypeVar("_Result")


class Lane:
    """Does one kind of work by threads of its own, first come first served.

    Args:
        name: of the work.
        threads: how many do it.
        most: how much of it may be under way; what comes beyond is refused.
    """

    def __init__(self, name: str, threads: int, most: int) -> None:
        self.name = name
        self.under_way = 0
        self._most = most
        self._pool = ThreadPoolExecutor(threads, name)

    def require_room(self) -> None:
        """Make sure that more can be taken.

        Raises:
            Refused: too much is under way.
        """
        if self.under_way >= self._most:
            raise problems.busy(f"too many requests that wait for {self.name}")

    async def __call__(self, work: Callable[..., _Result], *given: Any, **named: Any) -> _Result:
        """Have something done. What was begun is brought to its end, whoever still waits for it.

        Raises:
            Refused: too much is under way.
        """
        self.require_room()
        self.under_way += 1
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, partial(work, *given, **named))
        future.add_done_callback(self._end)
        return await asyncio.shield(future)

    def _end(self, future: asyncio.Future[Any]) -> None:
        self.under_way -= 1
        if not future.cancelled():
            future.exception()  # it may be that nobody waits for it any more

    def close(self) -> None:
        """Finish what is under way."""
        self._pool.shutdown()
