"""Processors and memory."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from catalog.machine import processes
from catalog.machine.check import Check

_LEAST_MEMORY: Final = 1_000_000_000  # what TensorFlow takes while it exports a network
_MEMINFO: Final = Path("/proc/meminfo")
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def processors() -> Check:
    """How many processors this process may use."""
    return Check("processors", "ok", str(processes.processors()))


def memory() -> Check:
    """How much memory is free; little is enough to answer, but not to export a network."""
    known = _meminfo()
    total, free = known.get("MemTotal"), known.get("MemAvailable")
    if total is None or free is None:
        return Check("memory", "ok", "unknown")
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(_LIMIT.read_text()))
    free = min(free, total)
    found = f"{in_bytes(total)}, {in_bytes(free)} free"
    if free < _LEAST_MEMORY:
        advice = "`catalog model fetch` and a document training need about 1 GB"
        return Check("memory", "warning", found, advice)
    return Check("memory", "ok", found)


def in_bytes(count: int) -> str:
    """A number of bytes as people read it: ``3.2 GB``."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1000:.1f} kB"


def _meminfo() -> dict[str, int]:
    """The entries of the kernel in bytes; empty where there is no such file."""
    known = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMINFO.read_text().splitlines():
            name, _, rest = line.partition(":")
            known[name] = 1024 * int(rest.split()[0])
    return known
