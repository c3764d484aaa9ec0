"""Turns at writing: among the threads of a process, and among processes.

SQLite lets in whoever happens to try when the file is free. One that writes without a pause is
there then, while the others sleep between their tries, and may keep them out as long as it likes.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

LOCKS: Final = ("next.lock", "writing.lock")
"""The files, beside what is derived, by whose locks processes take turns."""

_TRY_SECONDS = 0.002  # between two looks at a lock that someone has


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
        try:
            if turn.acquire(timeout=seconds):
                return True
        except BaseException:  # Ctrl-C, for one
            if not self._give_up(turn):
                self.release()
            raise
        return not self._give_up(turn)

    def _give_up(self, turn: threading.Lock) -> bool:
        """Leave the line; False if one's turn has come in the meantime."""
        with self._looking:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True

    def release(self) -> None:
        """End one's turn; the next in the line has it at once, and nobody who comes later."""
        with self._looking:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


@contextmanager
def among_processes(folder: Path, seconds: float) -> Iterator[None]:
    """Wait for one's turn among the processes that write, and have it while the block lasts.

    Two locks on files make the turns: whoever waits for the one has the other, which everyone needs
    to begin to wait. So one who comes again at once is behind whoever waits already. The system
    drops the locks of a process that ends.

    It is a courtesy, and no more: SQLite's own locks keep writers apart. When it takes longer, or
    where files cannot be locked, the block is entered all the same.

    Args:
        folder: where the two files are; made if it is not there.
        seconds: how long to wait at most.
    """
    end = time.monotonic() + seconds
    with ExitStack() as held:
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            coming, writing = (folder / name for name in LOCKS)
            with _locked(coming, end):
                held.enter_context(_locked(writing, end))
        yield


@contextmanager
def _locked(path: Path, end: float) -> Iterator[None]:
    """Have a lock on a file while the block lasts.

    Raises:
        TimeoutError: someone else had it until then.
        OSError: the file cannot be opened or locked.
    """
    file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(_TRY_SECONDS)
        yield
    finally:
        # Closing alone would leave it to a process that was forked meanwhile.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)
