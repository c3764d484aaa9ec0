"""The standard streams as they may be: closed, full, with nobody who reads on, in any encoding."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TextIO

_unsaid: list[OSError] = []


class _Closed(io.TextIOBase):
    """Standard output where there is none: what is written to it is not lost in silence."""

    def write(self, _text: str) -> int:
        """Refuse it.

        Raises:
            OSError: always.
        """
        raise OSError(errno.EBADF, "it is closed", "standard output")


def prepare() -> None:
    """Make the streams such that writing fails by an ``OSError`` alone, and that with a reason.

    A file that the program opens would otherwise get the number of a stream that is closed, and
    what a library writes to standard error would land in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        sys.stdout = _Closed()


def put(text: str = "") -> None:
    """Write a text to standard output, and all that was written before.

    Raises:
        BrokenPipeError: nobody reads on.
        OSError: it cannot be written; says why.
    """
    stream = sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _drop(stream)
        raise OSError(error.errno, error.strerror or str(error), "standard output") from error


def abandon() -> None:
    """Let what cannot be written to standard output go nowhere."""
    with contextlib.suppress(OSError):  # which was said already
        put()


def note(text: str) -> None:
    """Write a text to standard error; where that cannot be, :func:`all_said` is no longer true."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError as error:
        _drop(sys.stderr)
        _unsaid.append(error)


def all_said() -> bool:
    """Whether all notes could be written."""
    return not _unsaid


def _drop(stream: TextIO) -> None:
    """Let what is left in a stream, and what comes, go nowhere, so that Python ends in peace."""
    with contextlib.suppress(OSError, ValueError):  # what is no file has nothing left
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
