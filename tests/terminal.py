"""What a program writes to a terminal."""

from __future__ import annotations

import errno
import os


def read_terminal(descriptor: int) -> str:
    """Everything that is written to a terminal until its other end is closed."""
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError as error:  # how Linux says that nobody holds the other end any more
        if error.errno != errno.EIO:
            raise
    finally:
        os.close(descriptor)
    return b"".join(parts).decode()
