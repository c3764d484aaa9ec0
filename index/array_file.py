"""Files of arrays that can be computed again, and that are never believed without a check.

One file holds a few arrays and a small ``key`` that says what they were derived from. Its layout,
little-endian::

    8 bytes   b"CATDERIV"
    4 bytes   length of the header
    4 bytes   CRC-32 of the header
    header    JSON: kind, key, and for each array its name, dtype, shape and block checksums
    payload   the arrays one after another, each C-contiguous

A file is written under a temporary name, synced and renamed, so that a reader finds the old one or
the new one and never a part. A file that fails any check reads as absent: it costs time, not data.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Key: TypeAlias = Mapping[str, str | int]

_MAGIC = b"CATDERIV"
_PREFIX = struct.Struct("<8sII")
_BLOCK = 1 << 20
_STALE_SECONDS = 3600


class _UnsoundError(Exception):
    """Why a file is not to be believed."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What such a file holds: what it was made from, and its arrays by name."""

    key: Key
    arrays: dict[str, NDArray[Any]]


def write(path: Path, kind: str, key: Key, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write such a file, replacing whatever was there in one step.

    Args:
        path: of the file; its folder is made if need be.
        kind: what sort of file this is; :func:`read` asks for it again.
        key: what the arrays were derived from.
        arrays: by name, of any fixed-size dtype.

    Raises:
        OSError: the folder cannot be written, or the disk is full; what was there remains.
    """
    parts = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    described = [
        {"name": name, "dtype": part.dtype.str, "shape": part.shape, "crc": _checksums(part)}
        for name, part in parts.items()
    ]
    header = json.dumps({"kind": kind, "key": dict(key), "arrays": described}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    # Not tempfile, which would keep other users who share the catalogue from reading it.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(_PREFIX.pack(_MAGIC, len(header), zlib.crc32(header)))
            file.write(header)
            for part in parts.values():
                file.write(part.reshape(-1).view(np.uint8).data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read(path: Path, kind: str) -> Contents | None:
    """Read such a file, checking every byte of it.

    Returns:
        What it holds, or None if it is absent, damaged, or of another kind.
    """
    try:
        return _read(path, kind)
    except (OSError, _UnsoundError):
        return None


def fault(path: Path, kind: str) -> str | None:
    """Say in words what is wrong with such a file, or None if it is sound or absent."""
    try:
        _read(path, kind)
    except FileNotFoundError:
        return None
    except (OSError, _UnsoundError) as error:
        return f"{path.name}: {error}"
    return None


def _read(path: Path, kind: str) -> Contents:
    try:
        return _parse(path, kind)
    except (KeyError, TypeError, ValueError) as error:
        raise _UnsoundError("is laid out in another way") from error


def _parse(path: Path, kind: str) -> Contents:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file.read(_PREFIX.size), size, file.read)
        if not isinstance(header["key"], dict):
            raise _UnsoundError("says nothing of what it was made from")
        if header["kind"] != kind:
            raise _UnsoundError(f"holds {header['kind']}, not {kind}")
        arrays = {part["name"]: _read_array(file, part, size) for part in header["arrays"]}
        if file.read(1):
            raise _UnsoundError("has bytes after its end")
    return Contents(header["key"], arrays)


def _read_header(prefix: bytes, size: int, read: Callable[[int], bytes]) -> dict[str, Any]:
    if len(prefix) < _PREFIX.size:
        raise _UnsoundError("is too short")
    magic, length, checksum = _PREFIX.unpack(prefix)
    if magic != _MAGIC:
        raise _UnsoundError("is not a file of arrays")
    if length > size:  # or a flipped bit would ask for gigabytes
        raise _UnsoundError("is too short")
    header = read(length)
    if zlib.crc32(header) != checksum:
        raise _UnsoundError("the checksum of its header does not match")
    parsed: dict[str, Any] = json.loads(header)
    return parsed


def _read_array(file: BufferedReader, part: Mapping[str, Any], size: int) -> NDArray[Any]:
    """The array that comes next, each block checked while it is at hand."""
    dtype, shape, expected = np.dtype(part["dtype"]), part["shape"], part["crc"]
    length = math.prod(shape) * dtype.itemsize
    if length > size:
        raise _UnsoundError("is too short")
    array = np.empty(shape, dtype)
    data = array.reshape(-1).view(np.uint8).data
    starts = range(0, length, _BLOCK)
    if len(expected) != len(starts):
        raise _UnsoundError(f"lacks a checksum of {part['name']}")
    for start, checksum in zip(starts, expected, strict=True):
        block = data[start : start + _BLOCK]
        if file.readinto(block) != len(block):
            raise _UnsoundError("is too short")
        if zlib.crc32(block) != checksum:
            raise _UnsoundError(f"the checksum of {part['name']} does not match")
    return array


def _checksums(array: NDArray[Any]) -> list[int]:
    data = array.reshape(-1).view(np.uint8).data
    return [zlib.crc32(data[start : start + _BLOCK]) for start in range(0, len(data), _BLOCK)]


def _sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left behind.

    A clock that was put right may make them seem to come from the future. One that another process
    is still writing costs it that file, which it can do without.
    """
    for leftover in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):
            if abs(time.time() - leftover.stat().st_mtime) > _STALE_SECONDS:
                leftover.unlink()
