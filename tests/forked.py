"""Forks of this process to work in, processes that can be forked, and a folder in memory."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn, TypeAlias

import pytest

Tell: TypeAlias = Callable[[str], object]
"""Hands a line to the parent; once it returns, no kill takes the line back."""

SECONDS = 60
"""How long a child may take."""


def in_child(work: Callable[[Tell], object]) -> tuple[list[str], int]:
    """Do something in a fork of this process: the lines that it told, and its wait status.

    An exception is a line, too: ``raised`` and what.
    """
    if threads := [
        one for one in Path("/proc/self/task").iterdir() if one.name != str(os.getpid())
    ]:
        raise RuntimeError(f"a process with {len(threads) + 1} threads is not to be forked")
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        signal.alarm(SECONDS)
        _work(work, lambda line: os.write(sender, f"{' '.join(line.split())}\n".encode()))
    os.close(sender)
    with open(receiver, encoding="utf-8") as lines:  # noqa: PTH123
        told = lines.read().splitlines()
    return told, os.waitpid(child, 0)[1]


def _work(work: Callable[[Tell], object], tell: Tell) -> NoReturn:
    """Work, and end the process, whatever is raised."""
    try:
        work(tell)
    finally:
        if error := sys.exc_info()[1]:
            place = traceback.extract_tb(error.__traceback__)[-1]
            tell(f"raised {type(error).__name__}: {error} ({place.name}:{place.lineno})")
        os._exit(0)


def succeed(work: Callable[[Tell], object]) -> list[str]:
    """Do something in a child that is to succeed: the lines that it told.

    Raises:
        RuntimeError: it did not.
    """
    told, status = in_child(work)
    if status or any(line.startswith("raised ") for line in told):
        raise RuntimeError(f"a child ended with status {status}: {told}")
    return told


def memory_folder() -> TemporaryDirectory[str]:
    """A folder in memory, where there is one, since every commit syncs."""
    memory = Path("/dev/shm")
    return TemporaryDirectory(dir=memory if memory.is_dir() else None)


ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The environment of a process that is to have no threads."""


@contextmanager
def forkers() -> Iterator[ProcessPoolExecutor]:
    """Processes that have no threads, so that they can be forked; this one may have some."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ALONE.items():
            patch.setenv(name, value)
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            yield pool
