"""Threads that write one catalogue take turns, first come first served."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from catalog.store.turns import Turns

PATIENT = 30.0


def wait_for(turns: Turns, waiting: int) -> None:
    """Wait until so many threads are in the line."""
    for _ in range(30_000):
        if len(turns._waiting) == waiting:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{len(turns._waiting)} wait, not {waiting}")


def test_first_come_first_served() -> None:
    """The order is that of coming, however many wait."""
    turns, served = Turns(), list[int]()

    def come(number: int) -> None:
        assert turns.acquire(PATIENT)
        served.append(number)
        turns.release()

    assert turns.acquire(PATIENT)
    with ThreadPoolExecutor(16) as pool:
        for number in range(16):
            pool.submit(come, number)
            wait_for(turns, number + 1)
        turns.release()
    assert served == list(range(16))


def test_whoever_comes_again_is_last() -> None:
    """A thread that lets go and comes again at once does not pass by one that waits."""
    turns, let_in = Turns(), threading.Event()

    def come() -> None:
        assert turns.acquire(PATIENT)
        let_in.set()
        turns.release()

    assert turns.acquire(PATIENT)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(come)
        wait_for(turns, 1)
        turns.release()
        assert turns.acquire(PATIENT)
        assert let_in.is_set()
        turns.release()


def test_one_that_gives_up_is_passed_over() -> None:
    """Its turn goes to the next, and none is lost, however many give up."""
    turns, inside, most = Turns(), 0, 0

    def come(number: int) -> bool:
        nonlocal inside, most
        if not turns.acquire(0.0001 * (number % 7)):
            return False
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.0002)
        inside -= 1
        turns.release()
        return True

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(come, range(2000)))
    assert most == 1
    assert any(came)
    assert turns.acquire(0)  # nobody holds it
    turns.release()
