"""Which files this process may read, where that is not for the system alone to say.

A service reads what others name. Where it is told by :func:`allow_only` which folders are theirs to
name, nothing else is opened, whatever a manifest or a link leads to.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

_allowed: tuple[str, ...] | None = None


def allow_only(folders: Iterable[str | os.PathLike[str]] | None) -> None:
    """Let this process read files of pictures, and lists of them, below some folders alone.

    Args:
        folders: the folders; None lets it read all that the system does.
    """
    global _allowed  # noqa: PLW0603 -- it holds for the process
    _allowed = None if folders is None else tuple(os.path.realpath(one) for one in folders)


def require_allowed(path: str | os.PathLike[str]) -> None:
    """Make sure that a file, where its links lead to, may be read.

    Raises:
        PermissionError: it may not, whether it exists or not.
    """
    if _allowed is None:
        return
    real = os.path.realpath(path)
    if not any(real == one or real.startswith(one.rstrip("/") + "/") for one in _allowed):
        said = "it lies outside of the folders that may be read here"
        raise PermissionError(errno.EACCES, said, os.fspath(path))
