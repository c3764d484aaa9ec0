"""Folders that are written to: whether they can be, what room there is, and where they are."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from catalog.machine.check import Check
from catalog.machine.computer import in_bytes

_MOUNTS: Final = Path("/proc/self/mounts")
_REMOTE: Final = re.compile(r"nfs\d?|cifs|smb\w*|9p|fuse(\..*)?|ceph|glusterfs|lustre|afs|ncpfs")
_LEAST_ROOM: Final = 10_000_000


def folder(name: str, path: Path, wanted: int = 0) -> Iterator[Check]:
    """Whether files can be made in a folder, and whether there is room for them.

    Args:
        name: what it is.
        path: of the folder; where it is not there yet, its nearest parent is looked at.
        wanted: how many bytes should be free.
    """
    there = nearest(path)
    found = str(path) if there == path else f"{path}, to be made in {there}"
    fault = _fault(there)
    if fault:
        advice = f"make {there} a folder that you can write to, or use another one"
        yield Check(name, "bad", f"{found}: {fault}", advice)
        return
    kind = file_system(there)
    if kind and _REMOTE.fullmatch(kind):
        advice = (
            "locks may not hold on such a file system; let one process at a time write, or keep "
            "the catalogue on a disk of this computer"
        )
        yield Check(name, "warning", f"{found} ({kind})", advice)
    else:
        yield Check(name, "ok", found)
    yield _room(name, there, wanted)


def nearest(path: Path) -> Path:
    """A folder, or if it is not there, the nearest of those above it that is."""
    for one in (path, *path.parents):
        with contextlib.suppress(OSError):
            if one.is_dir():
                return one
    return Path(path.anchor)


def size_of(path: Path) -> int:
    """How many bytes a file has; 0 if that cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def file_system(path: Path) -> str | None:
    """The type of the file system that a folder is on, as Linux names it; None if unknown."""
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
        place = path.resolve()
    except OSError:
        return None
    best, kind = -1, None
    for line in lines:
        _, point, type_, *_ = [*line.split(" "), "", "", ""]
        # The kernel writes blanks and the like as three octal digits.
        mounted = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point))
        if point and place.is_relative_to(mounted) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), type_
    return kind


def _fault(there: Path) -> str | None:
    """Make a file, sync it and remove it; what went wrong, or None."""
    probe = there / f".catalog-doctor.{secrets.token_hex(6)}"
    try:
        with probe.open("xb") as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return None


def _room(name: str, there: Path, wanted: int) -> Check:
    name = f"room in {name}"
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Check(name, "warning", f"unknown: {error.strerror}")
    if free < max(wanted, _LEAST_ROOM):
        advice = f"make room: {in_bytes(max(wanted, _LEAST_ROOM))} should be free"
        return Check(name, "warning", f"{in_bytes(free)} free", advice)
    return Check(name, "ok", f"{in_bytes(free)} free")
