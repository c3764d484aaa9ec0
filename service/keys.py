"""Keys: who may read, and who may write.

A key is 32 random bytes, so its plain SHA-256 tells nothing about it, and is all that is kept: one
line a key in a text file, ``NAME read|write SHA-256``. The file is read again when it has changed,
so that a key can be taken back while the service runs.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from catalog.descriptors import CatalogError, Conflict, InvalidInput, NotFound

Scope: TypeAlias = Literal["read", "write"]
"""What a key is good for; ``write`` is good for reading, too."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_LOOKED_AT_EVERY: Final = 1.0
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PREFIX: Final = "catalog_"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without what would let anyone use it.

    Attributes:
        name: whose it is.
        scope: what it is good for.
        digest: its SHA-256, 64 hexadecimal digits.
    """

    name: str
    scope: Scope
    digest: str


def read_keys(file: Path) -> list[Key]:
    """The keys of a file.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a line is not one of a key.
        CatalogError: it cannot be read.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file of keys at {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"the file of keys {file} cannot be read: {error}") from error
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].split()
        if content:
            keys.append(_parsed(content, f"line {number} of {file}"))
    if len({key.name for key in keys}) < len(keys):
        raise InvalidInput(f"{file} has two keys of one name")
    return keys


def _parsed(content: list[str], where: str) -> Key:
    match content:
        case [name, scope, digest] if (
            _NAME.fullmatch(name) and scope in SCOPES and re.fullmatch("[0-9a-f]{64}", digest)
        ):
            return Key(name, scope, digest)
    raise InvalidInput(f"{where} is not a name, read or write, and the SHA-256 of a key")


def add_key(file: Path, name: str, scope: str) -> str:
    """Make a key, and note its hash in a file, which is made if there is none.

    Returns:
        The key, which is not kept.

    Raises:
        InvalidInput: that is no name, or no scope; or the file is not one of keys.
        Conflict: there is a key of that name.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"a key's name is made of letters, digits, '.', '_' and '-': {name!r}")
    if scope not in SCOPES:
        raise InvalidInput(f"a key is good to read or write, not to {scope!r}")
    keys = read_keys(file) if file.exists() else []
    if name in {key.name for key in keys}:
        raise Conflict(f"{file} has a key of the name {name!r}")
    key = _PREFIX + secrets.token_urlsafe(32)
    _write(file, [*keys, Key(name, scope, digest_of(key))])
    return key


def remove_key(file: Path, name: str) -> None:
    """Take a key back.

    Raises:
        NotFound: there is none of that name, or no such file.
        InvalidInput: the file is not one of keys.
    """
    keys = read_keys(file)
    left = [key for key in keys if key.name != name]
    if len(left) == len(keys):
        raise NotFound(f"{file} has no key of the name {name!r}")
    _write(file, left)


def _write(file: Path, keys: list[Key]) -> None:
    """Write a file of keys anew, for its owner's eyes alone."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.writelines(f"{key.name} {key.scope} {key.digest}\n" for key in keys)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CatalogError(f"the file of keys {file} cannot be written: {error}") from error


def digest_of(key: str) -> str:
    """The SHA-256 of a key, in hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Keys:
    """The keys of a file, as it is at present; for any number of threads.

    Raises:
        NotFound, InvalidInput, CatalogError: as :func:`read_keys` does.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looking = threading.Lock()
        self._stamp = _stamp(file)  # first: what changes meanwhile is read again
        self._keys = read_keys(file)
        self._looked = time.monotonic()

    def find(self, given: str) -> Key | None:
        """The key that was given, if there is one; told in a time that says nothing about it."""
        digest, found = digest_of(given), None
        for key in self._present():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _present(self) -> list[Key]:
        """The keys; none where the file has become unreadable, so that nobody is let in by it."""
        with self._looking:
            if time.monotonic() - self._looked >= _LOOKED_AT_EVERY:
                self._looked = time.monotonic()
                stamp = _stamp(self._file)
                if stamp != self._stamp:
                    self._stamp = stamp
                    try:
                        self._keys = read_keys(self._file)
                    except CatalogError as error:
                        _log.error("no key is good any more: %s", error)
                        self._keys, self._stamp = [], ()  # and it is read again
            return self._keys


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
