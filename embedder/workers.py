"""The threads that pictures are embedded in, and where pictures are decoded."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from catalog.embedder.isolation import IsolatedDecoder, decode_guarded

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")


class Workers:
    """Threads to embed in, and where pictures are decoded; they start when there is work.

    A process that is forked has none of the threads of its parent, although it has the pool that
    waits for them, so it gets workers of its own.

    Args:
        count: how many threads may be at work at once.
        isolate: decode in processes of their own, as many as threads.
    """

    def __init__(self, count: int, *, isolate: bool) -> None:
        self.count = count
        self._isolate = isolate
        self._start()

    def here(self) -> Workers:
        """The same, once its threads are those of this process."""
        if self._process != os.getpid():
            self._start()
        return self

    def _start(self) -> None:
        self.pool = ThreadPoolExecutor(self.count, "embedder")
        self._isolated = IsolatedDecoder(self.count) if self._isolate else None
        self.decode = self._isolated.decode if self._isolated else decode_guarded
        self._counting = threading.Lock()
        self._busy = 0
        self._process = os.getpid()  # last, since another thread may look meanwhile

    def close(self) -> None:
        """Stop them once what they are at is done; those of another process are not touched."""
        if self._process == os.getpid():
            self.pool.shutdown(cancel_futures=True)
            if self._isolated:
                self._isolated.close()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count the calling thread, of the pool or not, among those that are at work."""
        with self._counting:
            self._busy += 1
        try:
            yield
        finally:
            with self._counting:
                self._busy -= 1

    @property
    def free(self) -> int:
        """How many threads may be at work for a picture that one is at work for already."""
        return max(1, 1 + self.count - self._busy)

    def share(
        self, function: Callable[[_Thing], _Result], things: Sequence[_Thing]
    ) -> list[_Result]:
        """Apply a function to a few things, in this thread and in those that are idle.

        Nothing waits for a thread to become idle: the calling thread, which may be one of the pool,
        takes one thing after another itself, and waits only for what others are at already. Where
        all are busy it does everything.

        Returns:
            The results, in the order of the things.
        """
        results: dict[int, _Result] = {}
        left = deque(enumerate(things))

        def work() -> None:
            while left:
                try:
                    place, thing = left.popleft()
                except IndexError:  # another thread was faster
                    return
                results[place] = function(thing)

        helpers = [self.pool.submit(work) for _ in range(min(self.free, len(things)) - 1)]
        try:
            work()
        finally:
            left.clear()  # after an error
            begun = [helper for helper in helpers if not helper.cancel()]
            for helper in begun:
                helper.exception()
        for helper in begun:
            helper.result()
        return [results[place] for place in range(len(things))]
