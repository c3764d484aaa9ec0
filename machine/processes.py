"""Processes, told apart for as long as the computer runs; and the processors they may use."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_NUMBERS: Final = Path("/proc/self/ns/pid")
_STARTED: Final = 19  # of the fields of /proc/N/stat behind the name, which are two less


class Process(NamedTuple):
    """A process, told from every other one.

    Attributes:
        machine: the computer's name, its present start, and the namespace of process numbers, as
            far as the system tells them.
        number: of the process there.
        started: when it began, in ticks since the computer started: numbers are used again. 0 where
            the system does not tell.
    """

    machine: str
    number: int
    started: int


def this_process() -> Process:
    """The process that asks."""
    return Process(_machine(), os.getpid(), _started(os.getpid()) or 0)


def is_running(process: Process) -> bool | None:
    """Whether a process is still there; None if that cannot be told from here.

    It cannot of one on another computer, or in another container.
    """
    if process.machine != _machine():
        return None
    try:
        os.kill(process.number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    started = _started(process.number)
    return started is None or process.started in {0, started}


def _machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(_BOOT.read_text().strip())
    with suppress(OSError):
        parts.append(str(_NUMBERS.readlink()))
    return " ".join(parts)


def _started(number: int) -> int | None:
    """When a process began, in ticks; None where the system does not tell."""
    try:
        about = Path(f"/proc/{number}/stat").read_text(errors="replace")
        return int(about.rpartition(")")[2].split()[_STARTED])
    except (OSError, ValueError, IndexError):
        return None


def processors() -> int:
    """How many processors this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
