"""Pictures as they come in: where they were found, what they hold, and the hash they go by."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Advice, PictureError, RefusalReason
from catalog.embedder import Box, Picture, Source, as_picture, content_hash, read_picture
from catalog.text import unwritten, written

Progress: TypeAlias = Callable[[int], None]
"""Called with how many more pictures are done."""

_Outcome = TypeVar("_Outcome")

# One disk needs one or two; several hide the time that a file takes to come over a network.
_READERS = 4
_AHEAD_PICTURES = 64
_AHEAD_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Refusal:
    """A picture that was not taken in, and why.

    Attributes:
        place: where it was found, in the form of an item's sources; None for bytes and arrays.
        reason: a :data:`RefusalReason`, or ``conflict`` for a picture of another class.
        detail: the reason in words.
        advice: what can be done about it, if there is more to say than that.
        content: the SHA-256 that the picture goes by, 64 hexadecimal digits, by which bytes and
            arrays can be told apart; None where it is not known.
    """

    place: str | None
    reason: RefusalReason | str
    detail: str
    advice: Advice | None = None
    content: str | None = None


@dataclass(frozen=True, slots=True)
class HeldPicture:
    """A picture that was read, so that what is hashed is what is embedded.

    Attributes:
        place: where it was found, or None for bytes, arrays and pipes.
        picture: its bytes or pixels, with the box.
        content: its SHA-256, 32 bytes.
        size: of the bytes or pixels that are held.
        modified: the time that its file had before it was read, in nanoseconds since 1970; None
            for bytes and arrays.
    """

    place: str | None
    picture: Picture
    content: bytes
    size: int
    modified: int | None = None


def hold(source: Source | Picture) -> HeldPicture:
    """Read a picture, and hash it.

    Raises:
        PictureError: it cannot be read.
    """
    picture = as_picture(source)
    status = status_of(picture.source)
    place = None if status and stat.S_ISFIFO(status.st_mode) else place_of(picture)
    modified = status.st_mtime_ns if status and place else None
    if isinstance(picture.source, np.ndarray):
        data: bytes | NDArray[np.uint8] = picture.source
        size = picture.source.nbytes
    else:
        data = read_picture(picture.source)
        size = len(data)
    content = content_hash(data, picture.box)
    return HeldPicture(place, Picture(data, picture.box), content, size, modified)


def hold_each(pictures: Iterable[Source | Picture]) -> Generator[HeldPicture | Refusal]:
    """Read and hash many pictures, some at once and a bounded number ahead of what is asked for.

    They are taken up in the thread that asks, and read in others, which end with the generator.

    Yields:
        What was read of each, in order, or why it could not be.

    Raises:
        InvalidInput: one is no picture at all; this, like any other error of ``pictures``, comes
            after what was read before it.
    """
    readers = ThreadPoolExecutor(_READERS, "reader")
    waiting: deque[_Held] = deque()
    weight = _Weight()
    try:
        for one in _read_by(readers, pictures):
            waiting.append(one)
            one.add_done_callback(weight.add)
            while len(waiting) > _AHEAD_PICTURES or weight.bytes > _AHEAD_BYTES:
                yield weight.less(waiting.popleft())
        while waiting:
            yield weight.less(waiting.popleft())
    finally:
        # Not waited for: a file on a disk that does not answer should not hold up Ctrl-C.
        readers.shutdown(wait=False, cancel_futures=True)


_Held: TypeAlias = Future[HeldPicture | Refusal]


def _read_by(readers: ThreadPoolExecutor, pictures: Iterable[Source | Picture]) -> Generator[_Held]:
    try:
        for picture in pictures:
            yield readers.submit(_held, as_picture(picture))
    except Exception as error:  # noqa: BLE001 - raised in its turn, by who asks for the result
        failed: _Held = Future()
        failed.set_exception(error)
        yield failed


def _held(picture: Picture) -> HeldPicture | Refusal:
    try:
        return hold(picture)
    except PictureError as error:
        return Refusal(place_of(picture), error.reason, error.detail)


class _Weight:
    """The bytes of pictures that have been read and not been taken, counted by who reads them."""

    def __init__(self) -> None:
        self.bytes = 0
        self._counting = threading.Lock()

    def add(self, one: _Held) -> None:
        """Count one that has been read, or could not be."""
        self._change(one, 1)

    def less(self, one: _Held) -> HeldPicture | Refusal:
        """Take one, when it has been read."""
        held = one.result()
        self._change(one, -1)
        return held

    def _change(self, one: _Held, sign: int) -> None:
        if one.cancelled() or one.exception() is not None:
            return
        held = one.result()
        if isinstance(held, HeldPicture):
            with self._counting:
                self.bytes += sign * held.size


def status_of(source: Source) -> os.stat_result | None:
    """What is known of a file before it is read: changed meanwhile, it has a later time."""
    if isinstance(source, bytes | np.ndarray):
        return None
    try:
        return os.stat(source)  # noqa: PTH116
    except (OSError, ValueError):  # reading it says what is wrong
        return None


def place_of(source: Source | Picture) -> str | None:
    """The absolute path of a picture, with the box behind it, if any; None for bytes and arrays."""
    picture = as_picture(source)
    if isinstance(picture.source, bytes | np.ndarray):
        return None
    # A link stays the link that the user wrote.
    path = os.path.abspath(os.fspath(picture.source))  # noqa: PTH100
    path = written(path)  # SQLite keeps UTF-8 alone
    return f"{path}#{picture.box}" if picture.box else path


def picture_at(place: str) -> Picture:
    """The picture that a place, as :func:`place_of` words it, is of."""
    place = unwritten(place)
    boxed = re.fullmatch(r"(.*)#(\d+,\d+,[1-9]\d*,[1-9]\d*)", place, re.DOTALL)
    return Picture(boxed[1], Box.parse(boxed[2])) if boxed else Picture(place)


def counted(outcomes: Iterable[_Outcome], progress: Progress | None) -> Iterator[_Outcome]:
    """Pass outcomes on, and tell ``progress`` of each."""
    for outcome in outcomes:
        if progress is not None:
            progress(1)
        yield outcome
