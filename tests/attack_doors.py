"""Decoders that misbehave, for a child process to be given in place of the real one."""

from __future__ import annotations

import os
import signal
import sys
import time

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog.embedder.decode import decode
from catalog.embedder.header import Header

LETHAL = b"lethal"
"""What makes a picture one to misbehave on, when it stands anywhere in the file."""


def crash(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Die as C code dies."""
    if LETHAL in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    return decode(data, scale, header)


def leave(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """End the process without a word."""
    if LETHAL in data:
        os._exit(3)
    return decode(data, scale, header)


def hang(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Never answer."""
    while LETHAL in data:
        time.sleep(0.01)
    return decode(data, scale, header)


def devour(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Take memory until there is none."""
    held = []
    while LETHAL in data:
        held.append(np.ones(2**22, np.uint8))
    return decode(data, scale, header)


def lie(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Answer with a picture of another size."""
    pixels = decode(data, scale, header)
    return np.ascontiguousarray(pixels[1:]) if LETHAL in data else pixels


def fail(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Raise what no decoder should."""
    if LETHAL in data:
        raise ZeroDivisionError
    return decode(data, scale, header)


def chatter(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Write to standard output and standard error on the way."""
    os.write(1, b"chatter on standard output")
    sys.stderr.write("chatter on standard error")
    sys.stderr.flush()
    return decode(data, scale, header)


def unguarded(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    """Hand the file to OpenCV as it is."""
    flags = cv2.IMREAD_COLOR if scale == 1 else cv2.IMREAD_REDUCED_COLOR_8
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return np.zeros((header.height, header.width, 3), np.uint8) if stored is None else (
        np.ascontiguousarray(stored, np.uint8)
    )  # fmt: skip
