"""Threads that help each other, and never wait for one that does not come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from catalog.embedder.workers import Workers

COUNT = 3


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Three threads."""
    made = Workers(COUNT, isolate=False)
    yield made
    made.close()


def test_idle_threads_take_part(workers: Workers) -> None:
    """Three things that wait for each other are done, by three threads, in order."""
    together = threading.Barrier(COUNT)

    def do(thing: int) -> tuple[int, str]:
        together.wait(60)
        return thing, threading.current_thread().name

    with workers.busy():
        found = workers.share(do, range(COUNT))
    assert [thing for thing, _ in found] == [0, 1, 2]
    assert len({name for _, name in found}) == COUNT


@pytest.mark.parametrize("busy", [COUNT, COUNT + 2])
def test_no_one_else_does_where_all_are_busy(workers: Workers, busy: int) -> None:
    """Then the calling thread does everything."""
    with ExitStack() as held:
        for _ in range(busy):
            held.enter_context(workers.busy())
        names = workers.share(lambda _: threading.current_thread().name, range(9))
    assert set(names) == {threading.current_thread().name}
    assert workers.free == COUNT + 1


def test_tasks_of_the_pool_may_share(workers: Workers) -> None:
    """Far more of them than there are threads, each with more to do: none waits for ever."""

    def task(number: int) -> list[int]:
        with workers.busy():
            return workers.share(lambda thing: number + thing, range(5))

    with ThreadPoolExecutor(COUNT) as others:
        asked = [pool.submit(task, at) for at in range(200) for pool in (workers.pool, others)]
        found = [one.result(60) for one in asked]
    assert found == [[at + thing for thing in range(5)] for at in range(200) for _ in range(2)]


def test_an_error_is_raised_by_whoever_asked(workers: Workers) -> None:
    """Be it in its own thread or in another, and the threads go on."""
    own = threading.current_thread()
    met = threading.Barrier(2)

    def do(fails: str) -> None:
        met.wait(60)
        if (threading.current_thread() is own) == (fails == "own"):
            raise ValueError("a fault")

    for fails in ("own", "other"):
        with workers.busy(), pytest.raises(ValueError, match="fault"):
            workers.share(do, [fails, fails])
    with workers.busy():
        assert workers.share(abs, [-1, -2]) == [1, 2]
