"""Calls of the C library that this process makes under a folder: listed, and made to fail at will.

Every loaded object finds ``write``, ``fsync`` and the rest through addresses that the dynamic
linker has put into its tables (the relocations ``JUMP_SLOT``, ``GLOB_DAT`` and ``64``). While
:func:`failing` is in force those addresses are those of callbacks, so that a call by SQLite, by
Python or by any other library passes here first; nothing has to be compiled. What the C library
calls within itself does not pass here, nor what an object does that is loaded meanwhile.

Formats: System V ABI, "Object Files" and "Dynamic Linking", for x86-64 and AArch64.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_ADDRESS, _GLOB_DAT, _JUMP_SLOT = {
    "x86_64": (1, 6, 7),
    "aarch64": (257, 1025, 1026),
}.get(platform.machine(), (0, 0, 0))

NOT_HERE = (
    None
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc" and _JUMP_SLOT
    else "calls are intercepted on Linux with glibc alone, on x86-64 or AArch64"
)
"""Why this platform does not allow it; None where it does."""


class Fault(Enum):
    """What befalls a call."""

    EIO = "EIO"
    """It fails, and does nothing."""
    ENOSPC = "ENOSPC"
    """There is no space for it, once."""
    FULL = "full disk"
    """There is no space for it, nor for anything after it."""
    SHORT_WRITE = "short write"
    """Half is written, and the next call goes on."""
    TORN_WRITE = "torn write"
    """Half is written, and there is no space for the next write."""
    KILL_BEFORE = "kill before"
    """The process is killed before it."""
    KILL_WITHIN = "kill within"
    """The process is killed when half is written."""
    KILL_AFTER = "kill after"
    """The process is killed after it."""


KILLS = (Fault.KILL_BEFORE, Fault.KILL_WITHIN, Fault.KILL_AFTER)
FAULTS = (Fault.EIO, Fault.ENOSPC, Fault.FULL, Fault.SHORT_WRITE, Fault.TORN_WRITE)

_HALF = {Fault.SHORT_WRITE, Fault.TORN_WRITE, Fault.KILL_WITHIN}
_SPACE = {Fault.ENOSPC, Fault.FULL}
_WRITES = {"write", "pwrite"}
_NEEDS_SPACE = {
    *_WRITES, "writev", "pwritev", "sendfile", "copy_file_range", "mkdir", "link", "symlink",
    "fallocate", "posix_fallocate", "ftruncate", "truncate", "open",
}  # fmt: skip
_READS = {"read", "pread", "close"}

_INT, _SIZE, _PATH, _POINTER = ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p
_MODE, _OFFSET, _DONE = ctypes.c_uint, ctypes.c_int64, ctypes.c_ssize_t


class _Prototype(NamedTuple):
    """How a function is called; which arguments are the file's descriptor and path."""

    name: str
    result: type[Any]
    arguments: tuple[type[Any], ...]
    descriptor: int | None = None
    path: int | None = None


@lru_cache(maxsize=1)
def _prototypes() -> dict[str, _Prototype]:
    """Every function that is intercepted, by its name in the C library."""
    plain = [
        _Prototype("open", _INT, (_PATH, _INT, _MODE), path=0),
        _Prototype("openat", _INT, (_INT, _PATH, _INT, _MODE), 0, 1),
        _Prototype("read", _DONE, (_INT, _POINTER, _SIZE), 0),
        _Prototype("pread", _DONE, (_INT, _POINTER, _SIZE, _OFFSET), 0),
        _Prototype("write", _DONE, (_INT, _POINTER, _SIZE), 0),
        _Prototype("pwrite", _DONE, (_INT, _POINTER, _SIZE, _OFFSET), 0),
        _Prototype("writev", _DONE, (_INT, _POINTER, _INT), 0),
        _Prototype("pwritev", _DONE, (_INT, _POINTER, _INT, _OFFSET), 0),
        _Prototype("sendfile", _DONE, (_INT, _INT, _POINTER, _SIZE), 0),
        _Prototype("copy_file_range", _DONE, (_INT, _POINTER, _INT, _POINTER, _SIZE, _MODE), 2),
        _Prototype("fsync", _INT, (_INT,), 0),
        _Prototype("fdatasync", _INT, (_INT,), 0),
        _Prototype("close", _INT, (_INT,), 0),
        _Prototype("ftruncate", _INT, (_INT, _OFFSET), 0),
        _Prototype("truncate", _INT, (_PATH, _OFFSET), path=0),
        _Prototype("fallocate", _INT, (_INT, _INT, _OFFSET, _OFFSET), 0),
        _Prototype("posix_fallocate", _INT, (_INT, _OFFSET, _OFFSET), 0),
        _Prototype("rename", _INT, (_PATH, _PATH), path=1),
        _Prototype("renameat", _INT, (_INT, _PATH, _INT, _PATH), 2, 3),
        _Prototype("renameat2", _INT, (_INT, _PATH, _INT, _PATH, _MODE), 2, 3),
        _Prototype("link", _INT, (_PATH, _PATH), path=1),
        _Prototype("linkat", _INT, (_INT, _PATH, _INT, _PATH, _INT), 2, 3),
        _Prototype("symlink", _INT, (_PATH, _PATH), path=1),
        _Prototype("unlink", _INT, (_PATH,), path=0),
        _Prototype("unlinkat", _INT, (_INT, _PATH, _INT), 0, 1),
        _Prototype("mkdir", _INT, (_PATH, _MODE), path=0),
        _Prototype("mkdirat", _INT, (_INT, _PATH, _MODE), 0, 1),
        _Prototype("rmdir", _INT, (_PATH,), path=0),
        _Prototype("fchmod", _INT, (_INT, _MODE), 0),
        _Prototype("chmod", _INT, (_PATH, _MODE), path=0),
        _Prototype("fchown", _INT, (_INT, _MODE, _MODE), 0),
    ]
    wide = {f"{one.name}64": one for one in plain}  # another name where offsets are wide anyway
    return {one.name: one for one in plain} | {n: p for n, p in wide.items() if _exists(n)}


class Call(NamedTuple):
    """A call: its name, without what it has behind it in variants, and the path it is about."""

    name: str
    path: str


@dataclass(slots=True)
class Calls:
    """The calls under a folder since the context was entered.

    Attributes:
        seen: each of them, in order.
        struck: those that failed on purpose.
        active: whether calls are still listed and made to fail.
    """

    seen: list[Call] = field(default_factory=list)
    struck: list[Call] = field(default_factory=list)
    active: bool = True

    def stop(self) -> None:
        """Let every call pass from now on, unlisted."""
        self.active = False


@contextlib.contextmanager
def failing(
    folder: Path,
    nth: int | None = None,
    fault: Fault = Fault.EIO,
    *,
    reading: bool = False,
    noted: Callable[[str, str, tuple[Any, ...]], object] | None = None,
) -> Iterator[Calls]:
    """Let a call under a folder fail, for as long as the context lasts.

    Args:
        folder: calls that touch nothing in it pass straight.
        nth: which of the calls that the fault can befall, from 1; None to list them alone.
        fault: what befalls it.
        reading: list, and let fail, what reads, too; otherwise only what can change a file.
        noted: told of each call that succeeded: its name, path and arguments.

    Yields:
        The calls seen so far.

    Raises:
        RuntimeError: the platform does not allow it.
    """
    if NOT_HERE:
        raise RuntimeError(NOT_HERE)
    door = _Door(folder, nth, fault, reading=reading, noted=noted)
    callbacks = {symbol: door.callback(symbol, one) for symbol, one in _prototypes().items()}
    slots = _slots(_loads())
    before = [slot.read() for slot in slots]
    _write(slots, [_address(callbacks[slot.symbol]) for slot in slots])
    try:
        yield door.calls
    finally:
        _write(slots, before)
    if door.errors:
        raise door.errors[0]


class _Door:
    """Where the calls pass.

    An exception cannot pass through C. It is kept in ``errors``, and the call fails.
    """

    def __init__(
        self,
        folder: Path,
        nth: int | None,
        fault: Fault,
        *,
        reading: bool,
        noted: Callable[[str, str, tuple[Any, ...]], object] | None,
    ) -> None:
        self.calls = Calls()
        self.errors: list[BaseException] = []
        self._folders = {str(folder.absolute()), str(folder.resolve())}
        self._nth, self._fault, self._reading, self._noted = nth, fault, reading, noted
        self._count = 0
        self._torn: str | None = None

    def __enter__(self) -> None:
        """Begin a call."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is not None:
            self.errors.append(error)
            ctypes.set_errno(errno.EIO)
        return True

    def callback(self, symbol: str, prototype: _Prototype) -> Any:
        """What is called instead of a function."""
        shape = ctypes.CFUNCTYPE(prototype.result, *prototype.arguments, use_errno=True)
        real = shape((symbol, _library()))

        def call(*arguments: Any) -> int:
            with self:
                return self._pass(prototype, real, arguments)
            return -1

        return shape(call)

    def _pass(self, prototype: _Prototype, real: Any, arguments: tuple[Any, ...]) -> int:
        path = self._path(prototype, arguments) if self.calls.active else None
        name = prototype.name.removesuffix("2").removesuffix("at")
        if path is None or not (self._reading or _changes(name, prototype, arguments)):
            return int(real(*arguments))
        self.calls.seen.append(Call(name, path))
        if not self._strikes(name, path, arguments):
            return self._done(name, path, arguments, real(*arguments))
        self.calls.struck.append(Call(name, path))
        return self._strike(name, path, real, arguments)

    def _path(self, prototype: _Prototype, arguments: tuple[Any, ...]) -> str | None:
        """The path that a call is about, if it lies in the folder."""
        place = "/"
        if prototype.descriptor is not None:
            place = _path_of(arguments[prototype.descriptor])
        if prototype.path is not None:
            name = os.fsdecode(arguments[prototype.path] or b"")
            place = name if name.startswith("/") else f"{_base(prototype, place)}/{name}"
        path = os.path.normpath(place)
        inside = any(path == own or path.startswith(f"{own}/") for own in self._folders)
        return path if inside else None

    def _strikes(self, name: str, path: str, arguments: tuple[Any, ...]) -> bool:
        """Count the call, if the fault can befall it, and say whether it is its turn."""
        if self._nth is None:
            return False
        if self._torn == path and name in _WRITES:
            return True
        if self._fault in _HALF and (name not in _WRITES or arguments[2] < 2):
            return False
        if self._fault in _SPACE and not _takes_space(name, path):
            return False
        self._count += 1
        return self._count == self._nth or (self._fault is Fault.FULL and self._count > self._nth)

    def _strike(self, name: str, path: str, real: Any, arguments: tuple[Any, ...]) -> int:
        fault = self._fault
        if fault is Fault.KILL_BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault in _HALF and self._torn is None:
            descriptor, data, size, *offset = arguments
            half = (descriptor, data, size // 2, *offset)
            done = self._done(name, path, half, real(*half))
            if fault is Fault.KILL_WITHIN:
                os.kill(os.getpid(), signal.SIGKILL)
            self._torn = path if fault is Fault.TORN_WRITE else None
            return done
        if fault is Fault.KILL_AFTER:
            real(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "close":
            real(*arguments)  # a descriptor is closed even where that fails
        self._torn = None
        code = errno.EIO if fault is Fault.EIO else errno.ENOSPC
        if name == "posix_fallocate":
            return code
        ctypes.set_errno(code)
        return -1

    def _done(self, name: str, path: str, arguments: tuple[Any, ...], result: int) -> int:
        if self._noted is not None and result >= 0:
            kept = ctypes.get_errno()
            self._noted(name, path, arguments)
            ctypes.set_errno(kept)
        return result


def _changes(name: str, prototype: _Prototype, arguments: tuple[Any, ...]) -> bool:
    """Whether a call can change a file or a folder."""
    if name == "open":
        flags = arguments[(prototype.path or 0) + 1]
        return bool(flags & (os.O_CREAT | os.O_TRUNC))
    return name not in _READS


def _takes_space(name: str, path: str) -> bool:
    return name in _NEEDS_SPACE and not (name == "open" and os.path.lexists(path))


def _base(prototype: _Prototype, place: str) -> str:
    """The folder that a relative path starts from."""
    return place if prototype.descriptor is not None else str(Path.cwd())


def _path_of(descriptor: int) -> str:
    """The path of an open file, as the kernel knows it."""
    if descriptor == -100:  # AT_FDCWD
        return str(Path.cwd())
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink()).removesuffix(" (deleted)")
    except OSError:
        return "/"


# --- the tables of the dynamic linker ------------------------------------------------------------

_PT_DYNAMIC, _PT_GNU_RELRO = 2, 0x6474E552
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 5, 6, 7, 8, 23
_SEGMENT = np.dtype(
    [("type", "<u4"), ("flags", "<u4"), ("offset", "<u8"), ("address", "<u8"), ("load", "<u8"),
     ("in_file", "<u8"), ("size", "<u8"), ("align", "<u8")]
)  # fmt: skip
_ENTRY = np.dtype([("tag", "<i8"), ("value", "<u8")])
_RELOCATION = np.dtype([("offset", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
_SYMBOL_BYTES = 24


class _LoadedObject(ctypes.Structure):
    """``struct dl_phdr_info``."""

    _fields_ = (
        ("base", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("segments", ctypes.c_void_p),
        ("count", ctypes.c_uint16),
        ("loads", ctypes.c_ulonglong),
        ("unloads", ctypes.c_ulonglong),
    )


_Visit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_LoadedObject), ctypes.c_size_t, _POINTER)


class _Slot(NamedTuple):
    """Where an object keeps the address of a function; on a page that may be read only."""

    address: int
    symbol: str
    protected: bool

    def read(self) -> int:
        """The address that is there."""
        return int(ctypes.c_uint64.from_address(self.address).value)


def _write(slots: Sequence[_Slot], addresses: Sequence[int]) -> None:
    """Put addresses into places, and leave the rights to their pages as they were."""
    pages = sorted({_page(slot.address) for slot in slots if slot.protected})
    for page in pages:
        _protect(page, mmap.PROT_READ | mmap.PROT_WRITE)
    for slot, address in zip(slots, addresses, strict=True):
        ctypes.c_uint64.from_address(slot.address).value = address
    for page in pages:
        _protect(page, mmap.PROT_READ)


def _protect(page: int, rights: int) -> None:
    if _library().mprotect(_POINTER(page), _SIZE(mmap.PAGESIZE), rights):
        raise OSError(ctypes.get_errno(), "a table of the dynamic linker stays read only")


def _page(address: int) -> int:
    return address - address % mmap.PAGESIZE


def _loads() -> int:
    """How many objects were loaded and unloaded so far."""
    found: list[int] = []

    def visit(info: Any, _size: int, _data: object) -> int:
        found.append(info.contents.loads + info.contents.unloads)
        return 1

    _library().dl_iterate_phdr(_Visit(visit), None)
    return found[0]


@lru_cache(maxsize=1)
def _slots(_loads: int) -> tuple[_Slot, ...]:
    """Every place where a loaded object keeps the address of an intercepted function."""
    slots: list[_Slot] = []
    wanted = {symbol.encode(): symbol for symbol in _prototypes()}

    def visit(info: Any, _size: int, _data: object) -> int:
        one = info.contents
        name = Path(os.fsdecode(one.name or b"")).name
        if not name.startswith(("libc.so", "ld-linux", "linux-vdso", "libpthread")):
            slots.extend(_slots_of(one, wanted))
        return 0

    _library().dl_iterate_phdr(_Visit(visit), None)
    return tuple(slots)


def _slots_of(one: _LoadedObject, wanted: dict[bytes, str]) -> Iterator[_Slot]:
    segments = _array(one.segments or 0, int(one.count) * _SEGMENT.itemsize, _SEGMENT)
    guarded = [
        (_page(one.base + int(s["address"])), _page(one.base + int(s["address"] + s["size"])))
        for s in segments[segments["type"] == _PT_GNU_RELRO]
    ]
    for segment in segments[segments["type"] == _PT_DYNAMIC]:
        entries = _array(one.base + int(segment["address"]), int(segment["size"]), _ENTRY)
        table = dict(zip(entries["tag"].tolist(), entries["value"].tolist(), strict=True))
        for address, symbol in _relocated(one.base, table, wanted):
            guard = any(start <= address < end for start, end in guarded)
            yield _Slot(address, symbol, guard)


def _relocated(
    base: int, table: dict[int, int], wanted: dict[bytes, str]
) -> Iterator[tuple[int, str]]:
    """The relocations of an object that name an intercepted function: address and symbol."""

    def there(tag: int) -> int:
        # The linker has made addresses of these, but for objects whose table it cannot write.
        value = table.get(tag, 0)
        return value if value >= base else base + value

    names: dict[int, str | None] = {}
    for start, size in ((_DT_RELA, _DT_RELASZ), (_DT_JMPREL, _DT_PLTRELSZ)):
        if start not in table or not table.get(size):
            continue
        rows = _array(there(start), table[size], _RELOCATION)
        rows = rows[np.isin(rows["type"], (_ADDRESS, _GLOB_DAT, _JUMP_SLOT)) & (rows["symbol"] > 0)]
        for index in np.unique(rows["symbol"]).tolist():
            at = there(_DT_SYMTAB) + index * _SYMBOL_BYTES
            text = there(_DT_STRTAB) + ctypes.c_uint32.from_address(at).value
            names[index] = wanted.get(ctypes.string_at(text))
        for row in rows:
            if symbol := names[int(row["symbol"])]:
                yield base + int(row["offset"]), symbol


def _array(address: int, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A copy of what is in memory at an address."""
    data = ctypes.string_at(address, size - size % dtype.itemsize)
    return np.frombuffer(data, dtype)


def _address(callback: Any) -> int:
    return int(ctypes.cast(callback, _POINTER).value or 0)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    """The C library, and all else that is loaded for everyone."""
    return ctypes.CDLL(None, use_errno=True)


def _exists(symbol: str) -> bool:
    return hasattr(_library(), symbol)


def under(calls: Iterable[Call], folder: Path) -> list[Call]:
    """Calls with their paths shortened to what they are within a folder."""
    return [Call(name, os.path.relpath(path, folder)) for name, path in calls]
