"""Run an exported network with LiteRT: no TensorFlow, 4 ms a view on one core."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections import deque
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from catalog.descriptors.errors import BackboneError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_INPUT_RANK: Final = 4
_COLOURS: Final = 3
_NOTICE: Final = b"Created TensorFlow Lite XNNPACK delegate for CPU."
_first_load: Final = threading.Lock()  # taken by the first load and never released


class LiteRTNetwork:
    """A frozen network: views of a picture in, raw descriptors out.

    Each thread gets its own interpreter on first use (9 ms, 16 MB), since one interpreter must not
    be shared. A view is one invocation, by one thread or two: each number of it is computed by one
    of them, in one order, so the same view gives the same bits whatever else is asked for. Safe to
    call from many threads.

    Args:
        source: path or bytes of a flatbuffer that takes [1, S, S, 3] float32 in [0, 1] and gives
            [1, width] float32, and may give maps [1, H, W, C] beside it.

    Attributes:
        input_size: S, the side of a view in pixels.
        width: length of the vector that it gives.

    Raises:
        BackboneError: the file cannot be read, or is no such network.
    """

    input_size: int
    width: int

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        self._content = source if isinstance(source, bytes) else _read(Path(source))
        self._threads = threading.local()
        self._wide: dict[int, deque[Any]] = {}  # by process, those that are not in use
        with _without_notice():
            interpreter = self._interpreter()
        self.input_size, self.width = _shape(interpreter)

    def __call__(self, views: NDArray[np.uint8], *, wide: bool = False) -> NDArray[np.float32]:
        """Compute one raw descriptor per view.

        Args:
            views: (V, S, S, 3) uint8 RGB; scaled to [0, 1] here.
            wide: as for :meth:`outputs`.

        Returns:
            (V, width) float32, as the network gives them, not normalised.

        Raises:
            InvalidInput: another shape or type.
        """
        descriptors = np.empty((len(views), self.width), np.float32)
        for (vector, *_), descriptor in zip(
            self.outputs(views, wide=wide), descriptors, strict=True
        ):
            descriptor[:] = vector
        return descriptors

    def outputs(
        self, views: NDArray[np.uint8], *, wide: bool = False
    ) -> Iterator[list[NDArray[np.float32]]]:
        """All that each view gives: the vector (width,), then the maps (H, W, C), float32.

        Args:
            views: as for a call.
            wide: have another thread take part, where a processor is idle: the same bits in two
                thirds of the time.

        Raises:
            InvalidInput: another shape or type.
        """
        expected = (self.input_size, self.input_size, _COLOURS)
        if views.ndim != _INPUT_RANK or views.shape[1:] != expected or views.dtype != np.uint8:
            raise InvalidInput(
                f"the network takes uint8 views of shape (V, {', '.join(map(str, expected))}), "
                f"not {views.dtype} of shape {views.shape}"
            )
        with self._wide_interpreter() if wide else nullcontext(self._interpreter()) as interpreter:
            pixels = interpreter.get_input_details()[0]["index"]
            outputs = [one["index"] for one in interpreter.get_output_details()]
            for view in views:
                interpreter.set_tensor(pixels, np.divide(view[np.newaxis], 255, dtype=np.float32))
                interpreter.invoke()
                yield [interpreter.get_tensor(one)[0] for one in outputs]

    @contextmanager
    def _wide_interpreter(self) -> Iterator[Any]:
        """One of two threads, for as long as the context lasts; at first, one of one thread.

        A command that asks about one picture would wait longer for it than it saves.
        """
        # A process that was forked has not got the second threads of its parent's.
        idle = self._wide.get(os.getpid())
        if idle is None:
            self._wide[os.getpid()] = deque()
            yield self._interpreter()
            return
        try:
            interpreter = idle.pop()
        except IndexError:
            interpreter = _load(self._content, 2)
        try:
            yield interpreter
        finally:
            idle.append(interpreter)

    def _interpreter(self) -> Any:
        interpreter = getattr(self._threads, "interpreter", None)
        if interpreter is None:
            interpreter = self._threads.interpreter = _load(self._content, 1)
        return interpreter


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BackboneError(f"cannot read the network {path}: {error.strerror}") from error


def _load(content: bytes, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BackboneError(f"LiteRT cannot load the network: {error}") from error
    return interpreter


def _shape(interpreter: Any) -> tuple[int, int]:
    """Side of the input and width of the vector, once they are seen to be what can be run."""
    match interpreter.get_input_details(), interpreter.get_output_details():
        case [{"dtype": np.float32, "shape": taken}], [
            {"dtype": np.float32, "shape": given},
            *more,
        ]:
            match taken.tolist(), given.tolist(), [one["shape"].tolist() for one in more]:
                case [1, height, width, 3], [1, length], maps if (
                    height == width and length > 1 and all(len(one) == 4 for one in maps)
                ):
                    return height, length
    raise BackboneError(
        "the network must take one picture, [1, S, S, 3] float32, and give one vector, [1, width] "
        "float32, first; this one does not"
    )


@contextmanager
def _without_notice() -> Iterator[None]:
    """Drop the line that XNNPACK prints to stderr, once in a process, when it first starts.

    No setting silences it. It is written through C's ``stderr``; that pointer alone is turned to a
    memory stream meanwhile, so Python's stderr, other processes and the file descriptor are left
    alone, and whatever else is written through it is passed on. The stream is never closed: another
    thread may still hold it.
    """
    pointer = _c_stderr()
    if pointer is None or not _first_load.acquire(blocking=False):
        yield
        return
    libc = ctypes.CDLL(None)
    libc.open_memstream.restype = ctypes.c_void_p
    text, length = ctypes.c_void_p(), ctypes.c_size_t()
    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(length)))
    terminal, pointer.value = pointer.value, stream.value
    try:
        yield
    finally:
        pointer.value = terminal
        libc.fflush(stream)
        written = ctypes.string_at(text.value or 0, length.value)
        for line in written.splitlines(keepends=True):
            if _NOTICE not in line:
                libc.fputs(line, ctypes.c_void_p(terminal))


def _c_stderr() -> ctypes.c_void_p | None:
    """The variable ``stderr`` of the C library, where it is one that may be set (glibc)."""
    if sys.platform != "linux" or not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
        return None
    return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
