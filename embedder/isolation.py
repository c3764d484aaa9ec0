"""Decoding in processes of its own, so that no picture can crash, stop or fill the caller's.

The libraries that decode pictures are large, written in C, and fed by strangers.
:class:`IsolatedDecoder` gives the pixels that :func:`decode.decode` gives, but computes them in
child processes, each with a limit on time and on memory. What a picture does to its child becomes a
:class:`PictureError`:

- ``timeout``: it was not decoded in time. The child is killed, be it stopped or busy.
- ``corrupt``: the decoder crashed on it, and once more in a new child: a child can be killed
  for other reasons than its picture.
- ``too_large``: decoding it takes more memory than is allowed.

A child is a new interpreter, never a fork, and imports what decoding needs. It belongs to a process
group of its own, so Ctrl-C at the terminal reaches the caller alone, and it ends when the caller's
end of their socket is closed, however the caller ended. An alarm ends one that is busy by then.

Both ends of the conversation are a fixed head (``struct``) and raw bytes. The caller checks what
comes back against what the header promised, so a child that was taken over cannot make it
allocate or believe more than a picture of the announced size.

POSIX only: the socket is the child's standard input.
"""

from __future__ import annotations

import math
import os
import pkgutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from queue import LifoQueue
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.errors import CatalogError, InvalidInput, PictureError, RefusalReason
from catalog.embedder.decode import NO_MEMORY, check_scale, decode, one_thread
from catalog.embedder.formats import inspect
from catalog.embedder.header import Format, Header
from catalog.embedder.picture import Box

Door: TypeAlias = Callable[[bytes, int, Header], NDArray[np.uint8]]
"""What decodes: bytes of a file, scale and header in, uint8 (H, W, 3) out."""

Work: TypeAlias = Callable[[bytes, int, Header, Box | None], NDArray[Any]]
"""What a child does: bytes of a file, a number, header and box in, an array out."""

SECONDS: Final = 20.0
"""How long a picture may take; the slowest that pass the header check take about half of it."""

MEMORY: Final = 2 * 2**30
"""How many bytes a child may hold; the widest that pass the header check take about 1.4 GiB."""

Isolation: TypeAlias = bool | Literal["embedding"]
"""What is done in processes of its own: nothing, decoding, or embedding, too."""

_RECYCLED: Final = 50_000
"""After how many pictures a child makes room for another."""

_ALWAYS_APART: Final = frozenset({"heic"})
_START_SECONDS: Final = 60.0
_LAST_SECONDS: Final = 0.25
_SLICE: Final = 1.0
_DETAIL: Final = 4096
# Format, width, height, orientation, number, box (of no width where there is none), bytes.
_REQUEST: Final = struct.Struct("<BIIBB4IQ")
_REPLY: Final = struct.Struct("<BQ")  # 0 or 1 + reason, bytes
_READY: Final = b"R"
_FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_REASONS: Final[tuple[RefusalReason, ...]] = get_args(RefusalReason)
_PROGRAM: Final = (
    "import sys; sys.path[:] = sys.argv[5:]; from catalog.embedder.isolation import serve;"
    " serve(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])"
)


class Isolated:
    """Has something done with pictures in child processes: each gives an array or a refusal, soon.

    Children start when there is work for them, and one that ended is replaced by the next picture;
    so is one that has had many, since memory that libraries lose does not come back otherwise.
    Safe to call from many threads; a thread waits while all children are busy.

    Args:
        workers: how many pictures are at work at once, at most.
        seconds: how long a picture may take, start of a child not counted.
        memory: how many bytes a child may hold, its libraries included (about 100 MB).
        work: what the children call, as ``module:function``.
        given: if this is not empty, ``work`` makes of it what the children call: a :data:`Work`.

    Raises:
        InvalidInput: a limit is not positive.
    """

    def __init__(
        self, workers: int, *, seconds: float, memory: int, work: str, given: str = ""
    ) -> None:
        if workers < 1 or not 0 < seconds < math.inf or memory < 1:
            raise InvalidInput("a decoder needs at least one worker, some time and some memory")
        command = [
            *(sys.executable, "-c", _PROGRAM, work, str(seconds), str(memory), given),
            *sys.path,
        ]
        self._workers = [_Worker(command, seconds) for _ in range(workers)]
        # Last in, first out: one caller after another keeps to one child.
        self._idle: LifoQueue[_Worker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._closing = threading.Lock()
        self._finalizer = weakref.finalize(self, _end, self._workers)

    @property
    def busy(self) -> int:
        """How many children are at work."""
        return len(self._workers) - self._idle.qsize()

    def start(self) -> None:
        """Start the children now; the first pictures need not wait for it then."""
        for worker in self._workers:
            worker.start()

    def do(self, task: Task) -> NDArray[Any]:
        """Have something done.

        Raises:
            PictureError: what the child says, or one of the three at the head of this module.
            CatalogError: no process can be started.
        """
        worker = self._idle.get()
        try:
            return worker.do(task)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the children, once what they are at is done."""
        with self._closing:
            taken = [self._idle.get() for _ in self._workers]
            _end(taken)
            for worker in taken:
                self._idle.put(worker)


class IsolatedDecoder(Isolated):
    """Decodes pictures in child processes: any picture gives pixels or a refusal, soon.

    Args:
        workers: how many pictures are decoded at once, at most.
        seconds: how long a picture may take, start of a child not counted.
        memory: how many bytes a child may hold, its libraries included (about 100 MB).
        door: what the children call, as ``module:function``: a :data:`Door`.

    Raises:
        InvalidInput: a limit is not positive.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        door: str = "catalog.embedder.decode:decode",
    ) -> None:
        super().__init__(workers, seconds=seconds, memory=memory, work=door)

    def decode(
        self, data: bytes, scale: int = 1, header: Header | None = None
    ) -> NDArray[np.uint8]:
        """Decode a picture file into upright RGB, as :func:`catalog.embedder.decode.decode` does.

        Args:
            data: the file.
            scale: 1, 2, 4 or 8: how much smaller a JPEG is decoded.
            header: what :func:`inspect` said of ``data``; it is asked where this is not given.

        Returns:
            C-contiguous uint8 (H, W, 3).

        Raises:
            InvalidInput: ``scale`` is another number.
            PictureError: what the decoder says, or one of the three at the head of this module.
            CatalogError: no process can be started.
        """
        check_scale(scale)
        header = header or inspect(data)
        shape = (*_promised(header, scale), 3)
        return self.do(Task(data, scale, header, None, shape, np.dtype(np.uint8)))


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a child is asked.

    Attributes:
        data: the bytes of a file.
        number: one that the work makes sense of, 0 to 255.
        header: of the file.
        box: of the picture.
        shape: of the array that is to come back.
        dtype: likewise.
    """

    data: bytes
    number: int
    header: Header
    box: Box | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def decode_guarded(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Decode a picture in this process, but a HEIC by an :class:`IsolatedDecoder`.

    What decodes HEIC is younger than what decodes the other formats, and has crashed on malformed
    pictures.

    Raises:
        PictureError: as decoders do.
    """
    if header.format in _ALWAYS_APART:
        return _apart(os.getpid()).decode(data, scale, header)
    return decode(data, scale, header)


@lru_cache(maxsize=1)
def _apart(_: int) -> IsolatedDecoder:
    """The decoder of a process, by its number: one that was forked has none of its parent's."""
    return IsolatedDecoder()


class _Worker:
    """The caller's side of one child, which may not have started yet. For one thread at a time."""

    def __init__(self, command: list[str], seconds: float) -> None:
        self._command = command
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._owner = 0
        self._is_ready = False
        self._done = 0

    def do(self, task: Task) -> NDArray[Any]:
        """Ask the child, and once more a new child where it dies without an answer."""
        if self._done >= _RECYCLED:
            self.end()
        try:
            return self._ask(task)
        except ConnectionError:
            pass
        try:
            return self._ask(task)
        except ConnectionError as death:
            raise PictureError("corrupt", f"the decoder crashed on it ({death})") from death

    def end(self) -> None:
        """End the child, if there is one."""
        process, channel = self._process, self._channel
        self._process = self._channel = None
        if channel is not None:
            channel.close()
        if process is not None and self._owner == os.getpid():
            process.kill()  # also ends one that is stopped
            process.wait()

    def start(self) -> None:
        """Start the child, unless there is one; it need not be ready yet."""
        # After a fork the child is the parent's: two who ask would read each other's answers.
        if self._channel is None or self._owner != os.getpid():
            self.end()
            self._start()

    def _ask(self, task: Task) -> NDArray[Any]:
        channel = self._ready()
        self._done += 1
        try:
            answer = _converse(channel, _Patience(self._seconds), task)
        except TimeoutError:
            self.end()
            detail = f"not decoded within {self._seconds:g} s"
            raise PictureError("timeout", detail) from None
        except OSError:
            raise ConnectionError(self._last_words()) from None
        except MemoryError:
            self.end()
            raise PictureError("too_large", NO_MEMORY) from None
        except BaseException:  # Ctrl-C: what the child may still say answers no other question
            self.end()
            raise
        if isinstance(answer, PictureError):
            raise answer
        return answer

    def _last_words(self) -> str:
        """End a child that gave no answer, and say how it died."""
        process = self._process
        if process is None:  # the interpreter shuts down, and has ended it
            return "ended"
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_SECONDS)
        self.end()
        status = process.returncode
        return f"exit status {status}" if status >= 0 else signal.Signals(-status).name

    def _ready(self) -> socket.socket:
        self.start()
        channel = cast("socket.socket", self._channel)
        if not self._is_ready:
            self._await(channel)
        return channel

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603
                    self._command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                    process_group=0,
                )
            except OSError as error:
                ours.close()
                raise CatalogError(f"cannot start a process to decode in: {error}") from error
        self._channel, self._owner = ours, os.getpid()
        self._is_ready, self._done = False, 0

    def _await(self, channel: socket.socket) -> None:
        """Wait until a child that was started is ready."""
        try:
            _receive(channel, memoryview(bytearray(len(_READY))), _Patience(_START_SECONDS))
        except OSError:
            detail = f"the process to decode in does not start: {self._last_words()}"
            raise CatalogError(detail) from None
        except BaseException:
            self.end()
            raise
        self._is_ready = True


class _Patience:
    """How long is left to wait. Time in which the caller itself was stopped does not count."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def wait(
        self, channel: socket.socket, step: Callable[[memoryview], int], view: memoryview
    ) -> int:
        """Send or receive something of ``view``, and say how many bytes.

        Raises:
            TimeoutError: nothing is left.
        """
        if self._left <= 0:
            raise TimeoutError
        slice_ = min(self._left, _SLICE)
        channel.settimeout(slice_)
        started = time.monotonic()
        try:
            return step(view)
        except TimeoutError:
            return 0
        finally:
            self._left -= min(time.monotonic() - started, slice_)


def _send(channel: socket.socket, content: bytes, patience: _Patience) -> None:
    view = memoryview(content)
    while view:
        view = view[patience.wait(channel, channel.send, view) :]


def _receive(channel: socket.socket, view: memoryview, patience: _Patience) -> None:
    def step(rest: memoryview) -> int:
        if not (count := channel.recv_into(rest)):
            raise ConnectionError("the other end is closed")
        return count

    while view:
        view = view[patience.wait(channel, step, view) :]


def _converse(
    channel: socket.socket, patience: _Patience, task: Task
) -> NDArray[Any] | PictureError:
    """Send a picture, and take the answer to it.

    Raises:
        TimeoutError: no whole answer in time.
        ConnectionError: no whole answer at all, or one that makes no sense.
    """
    header, box = task.header, task.box
    region = (box.x, box.y, box.width, box.height) if box else (0, 0, 0, 0)
    request = _REQUEST.pack(
        _FORMATS.index(header.format), header.width, header.height, header.orientation,
        task.number, *region, len(task.data),
    )  # fmt: skip
    _send(channel, request, patience)
    _send(channel, task.data, patience)
    head = bytearray(_REPLY.size)
    _receive(channel, memoryview(head), patience)
    kind, length = _REPLY.unpack(head)
    if kind == 0 and length == math.prod(task.shape) * task.dtype.itemsize:
        found = np.empty(task.shape, task.dtype)
        _receive(channel, found.data.cast("B"), patience)
        return found
    if not 1 <= kind <= len(_REASONS) or length > _DETAIL:
        raise ConnectionError("not an answer")
    text = bytearray(length)
    _receive(channel, memoryview(text), patience)
    return PictureError(_REASONS[kind - 1], text.decode(errors="replace"))


def _promised(header: Header, scale: int) -> tuple[int, int]:
    """Height and width of the upright picture."""
    scale = scale if header.format == "jpeg" else 1
    height, width = -(-header.height // scale), -(-header.width // scale)
    return (width, height) if header.orientation >= 5 else (height, width)


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.end()


def serve(work: str, seconds: float, memory: int, given: str) -> None:
    """Answer one picture after another, until standard input is closed: the child's whole life."""
    one_thread()  # as many children as processors are at work already
    _confine(memory)
    do = _work(work, given)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the caller may have had it ignored
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # libpng and libjpeg cannot be told to be quiet
    with socket.socket(fileno=0) as channel:
        channel.sendall(_READY)
        while head := channel.recv(_REQUEST.size, socket.MSG_WAITALL):
            kind, width, height, orientation, number, *region, length = _REQUEST.unpack(head)
            data = channel.recv(length, socket.MSG_WAITALL) if length else b""
            header = Header(_FORMATS[kind], width, height, orientation)
            box = Box(*region) if region[2] else None
            # Nobody may be left to kill this process; by default an alarm ends it.
            signal.alarm(math.ceil(seconds) + 1)
            answer = _answer(do, data, number, header, box)
            signal.alarm(0)
            for part in answer:
                channel.sendall(part)


def _work(work: str, given: str) -> Work:
    """What a child does."""
    named = pkgutil.resolve_name(work)
    if given:
        return cast("Work", named(given))
    decode: Door = named
    return lambda data, scale, header, _: decode(data, scale, header)


def _answer(
    do: Work, data: bytes, number: int, header: Header, box: Box | None
) -> tuple[bytes, bytes | memoryview]:
    try:
        found = do(data, number, header, box)
    except MemoryError:
        return _refusal("too_large", NO_MEMORY)
    except PictureError as error:
        return _refusal(error.reason, error.detail)
    return _REPLY.pack(0, found.nbytes), np.ascontiguousarray(found).data.cast("B")


def _refusal(reason: RefusalReason, detail: str) -> tuple[bytes, bytes]:
    text = detail.encode()[:_DETAIL]
    return _REPLY.pack(1 + _REASONS.index(reason), len(text)), text


def _confine(memory: int) -> None:
    """Limit the memory of this process, and leave no core dumps of it."""
    import resource

    for limit, value in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):  # the system knows no such limit, or a lower one holds
            resource.setrlimit(limit, (value, value))
