"""Standard input that ends when we say so, and not only when the other side does."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 2**16


class Input:
    """What comes on standard input, until that ends, or :meth:`end` is called.

    Nothing wakes a thread that waits for what may never come, such as the one that reads the
    protocol. So it gets its lines through a socket, which can be ended, and the thread that waits
    is one that a process need not wait for.
    """

    def __init__(self) -> None:
        self._near, far = socket.socketpair()
        self._given = os.dup(0)
        os.dup2(far.fileno(), 0, inheritable=False)
        far.close()
        threading.Thread(target=self._pass_on, daemon=True).start()

    def _pass_on(self) -> None:
        with suppress(OSError):  # it was ended, or cannot be read
            while content := os.read(self._given, _CHUNK):
                self._near.sendall(content)
        self.end()

    def end(self) -> None:
        """Let nothing more come."""
        with suppress(OSError):  # it has ended before
            self._near.shutdown(socket.SHUT_WR)


@contextmanager
def input_until_told() -> Iterator[Input]:
    """Standard input, which Ctrl-C and SIGTERM end; when told again, they end the process."""
    given = Input()

    def end(number: int, _frame: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        given.end()

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield given
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
