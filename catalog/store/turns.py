"""A lock whose waiters get it in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """Lets one thread in at a time, first come first served.

    A plain lock goes to whichever thread is quickest when it is let go, so one that writes again
    and again may keep another out for as long as it likes.
    """

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()  # each is let go when its turn has come

    def acquire(self, seconds: float) -> bool:
        """Wait for one's turn; False if it did not come in so many seconds."""
        with self._looking:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=seconds):
            return True
        with self._looking:
            if turn not in self._waiting:  # it came while this thread gave up
                return True
            self._waiting.remove(turn)
            return False

    def release(self) -> None:
        """End one's turn; the next in the line has it at once, and nobody who comes later."""
        with self._looking:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
