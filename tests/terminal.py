"""What a program writes to a terminal."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
from collections.abc import Mapping, Sequence


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


def answered(answer: str, command: Sequence[str], env: Mapping[str, str]) -> tuple[str, int]:
    """Run a command on a terminal where someone types an answer.

    Returns:
        All that appears there, and the exit code.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        seen = read_terminal(ours)
    return seen, process.returncode
