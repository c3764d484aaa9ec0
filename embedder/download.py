"""Fetch a network's archive from where it is, and unpack archives.

Proxies are taken from the environment, as everywhere in Python's ``urllib``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import ssl
import tarfile
import time
import zlib
from contextlib import contextmanager
from hashlib import sha256
from http.client import HTTPException
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from catalog.descriptors.advice import Advice
from catalog.descriptors.errors import BackboneError, CatalogError, NoSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from http.client import HTTPResponse
    from pathlib import Path

    Progress = Callable[[int, int | None], None]

_LOCAL_COPY: Final = Advice("get network from a copy")
MAX_ARCHIVE: Final = 1 << 30
MAX_UNPACKED: Final = 2 << 30
MAX_MEMBERS: Final = 2_000
PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before each further try."""

TIMEOUT: Final = 30.0
"""Seconds to wait for anything at all; in so many, ``LEAST`` bytes must come."""

LEAST: Final = 1_000

_CHUNK: Final = 1 << 16
_GLANCE: Final = 64
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_UNREACHABLE: Final = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
_PARTIAL: Final = 206
_RANGE_REFUSED: Final = 416
_NOT_THERE: Final = {404, 410}
_TRY_AGAIN: Final = {408, 425, 429, 500, 502, 503, 504}


@contextmanager
def archive(
    url: str,
    folder: Path,
    *,
    progress: Progress | None = None,
    pauses: Sequence[float] = PAUSES,
) -> Iterator[Path]:
    """Download an archive for the length of a ``with`` block; it is deleted after it.

    It grows in ``<sha256 of url>.part``. A broken transfer is taken up again where it broke, if the
    server names the version of its file (ETag or Last-Modified) and gives ranges; else from the
    start. Interrupted (Ctrl-C, a kill, no more tries), the part stays, and the next call goes on.

    Args:
        url: where it is.
        folder: where the part is kept; made if need be.
        progress: called with the bytes so far (never fewer than before) and the total or None.
        pauses: seconds before each further try after a reset, a short read or a busy server.

    Raises:
        BackboneError: no network, no such archive, a web page in its place, or over 1 GiB; the
            message says what to do.
        CatalogError: it cannot be written here; NoSpace if the disk is full.
    """
    transfer = _Transfer(url, folder, progress)
    transfer.run(pauses)
    try:
        yield transfer.part
    except CatalogError:
        transfer.discard()
        raise
    transfer.discard()


def discard(url: str, folder: Path) -> None:
    """Delete what a download that was interrupted has left in a folder."""
    _Transfer(url, folder, None).discard()


def look(url: str) -> None:
    """Ask a server for the first bytes of an archive, once, and take no more than a few.

    Raises:
        BackboneError: the archive cannot be had now; the message says why.
    """
    try:
        with _asked(url, {"Range": f"bytes=0-{_GLANCE - 1}"}) as response:
            next(_content(url, response), b"")
    except (HTTPError, _Interrupted) as error:
        raise BackboneError(f"{urlsplit(url).netloc}: {error}", _LOCAL_COPY) from error


def unpack(packed: Path, folder: Path, called: str | None = None) -> Path:
    """Unpack a tar, compressed or not, of a SavedModel.

    Args:
        packed: the archive, from anyone: members that leave the folder, links, devices, too many
            members and too many bytes are refused.
        folder: an empty folder.
        called: what messages call the archive; None for its file name.

    Returns:
        The folder in it that holds ``saved_model.pb``.

    Raises:
        BackboneError: not a tar, damaged, refused, or no SavedModel in it.
        NoSpace: the disk is full.
    """
    called = called or packed.name
    try:
        with tarfile.open(packed) as tar:
            _extract(tar, folder)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise _unwritable(folder, error) from error
        raise BackboneError(f"{called} is no tar archive, or damaged or unsafe: {error}") from error
    found = sorted(folder.rglob("saved_model.pb"), key=lambda file: len(file.parts))
    if not found:
        raise BackboneError(f"there is no saved_model.pb in {called}: not a SavedModel")
    return found[0].parent


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    size = 0
    for count, member in enumerate(tar, 1):
        size += member.size
        if count > MAX_MEMBERS or size > MAX_UNPACKED:
            raise tarfile.TarError(
                f"over {MAX_MEMBERS} members or {MAX_UNPACKED >> 30} GiB unpacked"
            )
        if not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is neither file nor folder")
        tar.extract(member, folder, filter="data")


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes: two writers of one part would spoil it.

    Args:
        folder: made if need be.

    Raises:
        BackboneError: it cannot be made, or another process is downloading to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise BackboneError(
            f"cannot keep downloads in {folder}: {error.strerror}; set CATALOG_CACHE to another"
        ) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BackboneError(f"another process is downloading to {folder}; wait for it") from error
    except OSError:  # some network file systems lock no folders: the archive's checksum must do
        return


class _Interrupted(Exception):
    """The transfer stopped for a reason that may pass."""


class _Resume(NamedTuple):
    start: int
    version: str


class _Transfer:
    """One archive on its way from a URL to its part file."""

    def __init__(self, url: str, folder: Path, progress: Progress | None) -> None:
        self.part = folder / f"{sha256(url.encode()).hexdigest()}.part"
        self._version = self.part.with_suffix(".version")
        self._url = url
        self._host = urlsplit(url).netloc
        self._progress = progress
        self._most = 0

    def run(self, pauses: Sequence[float]) -> None:
        """Try until all is there; BackboneError once the tries are used up."""
        for pause in (*pauses, None):
            try:
                self._attempt()
            except _Interrupted as stop:
                if pause is None:
                    raise BackboneError(
                        f"{self._host}: {stop}, and so it went {len(pauses) + 1} times. Try again "
                        "later (what came is kept)",
                        _LOCAL_COPY,
                    ) from stop
                time.sleep(pause)
            else:
                return

    def discard(self) -> None:
        """Delete the part, and what is known of it."""
        self.part.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)

    def _attempt(self) -> None:
        resume = self._resumable()
        headers = {}
        if resume:
            headers = {"Range": f"bytes={resume.start}-", "If-Range": resume.version}
        try:
            with _asked(self._url, headers) as response:
                self._receive(response, resume)
        except HTTPError as error:
            self._refused(error, resume)

    def _resumable(self) -> _Resume | None:
        """Where to go on, if a part and its version are here."""
        try:
            return _Resume(self.part.stat().st_size, self._version.read_text("ascii"))
        except (OSError, UnicodeDecodeError):
            return None

    def _too_large(self) -> BackboneError:
        self.discard()
        return BackboneError(f"{self._url} is over {MAX_ARCHIVE >> 30} GiB: refused")

    def _receive(self, response: HTTPResponse, resume: _Resume | None) -> None:
        start, total = _extent(response)
        if start != (resume.start if resume and response.status == _PARTIAL else 0):
            self.discard()
            raise _Interrupted("the server gave another range than it was asked for")
        if (total or 0) > MAX_ARCHIVE:
            raise self._too_large()
        content = _content(self._url, response, start)
        done = self._save(response, content, start, total)
        if total is not None and done != total:
            raise _Interrupted(f"the transfer ended after {done:,} of {total:,} bytes")

    def _save(
        self, response: HTTPResponse, chunks: Iterator[bytes], done: int, total: int | None
    ) -> int:
        try:
            with self.part.open("r+b" if done else "wb") as file:
                file.seek(done)
                self._remember(response)
                self._report(done, total)
                for chunk in chunks:
                    done += len(chunk)
                    if done > MAX_ARCHIVE:
                        raise self._too_large()
                    file.write(chunk)
                    self._report(done, total)
        except OSError as error:
            raise _unwritable(self.part, error) from error
        return done

    def _remember(self, response: HTTPResponse) -> None:
        """Note the version of the file that the part is of; without one it cannot be resumed."""
        if response.status == _PARTIAL:
            return
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or "W/"
        if version.startswith("W/"):  # a weak tag allows other bytes
            self._version.unlink(missing_ok=True)
        else:
            self._version.write_text(version, "ascii", "replace")

    def _report(self, done: int, total: int | None) -> None:
        self._most = max(self._most, done)
        if self._progress:
            self._progress(self._most, total)

    def _refused(self, error: HTTPError, resume: _Resume | None) -> None:
        """Read the status of a range that is not there: all is here, or another try."""
        if resume is None:
            raise BackboneError(f"{self._host}: {error}", _LOCAL_COPY) from error
        if error.headers.get("Content-Range", "").endswith(f"/{resume.start}"):
            self._report(resume.start, resume.start)  # all of it was here before
            return
        self.discard()
        raise _Interrupted("what was kept of it does not fit the server's file")


def _asked(url: str, headers: Mapping[str, str]) -> HTTPResponse:
    """The answer to a request, before its content.

    Raises:
        HTTPError: there is no such range.
        BackboneError: the server cannot be reached, refuses, or leads to an unsafe place.
        _Interrupted: the connection failed for a reason that may pass.
    """
    host = urlsplit(url).netloc
    try:
        # Only http and https come here: the sources have no others.
        request = Request(url, headers={"User-Agent": "catalog", **headers})  # noqa: S310
        response: HTTPResponse = urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except HTTPError as error:
        error.close()
        if error.code == _RANGE_REFUSED:
            raise
        raise _refusal(url, error) from error
    except (URLError, TimeoutError) as error:
        raise _unreachable(host, getattr(error, "reason", error)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _Interrupted(f"the connection broke off ({_plain(error)})") from error
    if urlsplit(response.url).scheme in {"https", urlsplit(url).scheme}:
        return response
    response.close()
    raise BackboneError(
        f"{host} leads from https to {response.url}, which anyone on the way can change: refused",
        _LOCAL_COPY,
    )


def _content(url: str, response: HTTPResponse, start: int = 0) -> Iterator[bytes]:
    """The content of an answer piece by piece; BackboneError if it is a web page."""
    chunks = _chunks(response)
    first = next(chunks, b"")
    page = "text/html" in response.headers.get("Content-Type", "")
    if page or (start == 0 and first.lstrip().startswith(b"<")):
        raise BackboneError(
            f"{urlsplit(url).netloc} answered with a web page instead of an archive: a sign-in "
            f"page of this network, or nothing of that name. Open {url} in a browser to see",
            _LOCAL_COPY,
        )
    return chain([first], chunks)


def _refusal(url: str, error: HTTPError) -> Exception:
    """The error for a status that is no success: final, or worth another try."""
    if error.code in _TRY_AGAIN:
        return _Interrupted(f"the server is not ready (status {error.code})")
    if error.code in _NOT_THERE:
        return BackboneError(f"there is nothing at {url} (status {error.code})", _LOCAL_COPY)
    return BackboneError(
        f"{urlsplit(url).netloc} refuses {url} (status {error.code} {error.reason})", _LOCAL_COPY
    )


def _unreachable(host: str, reason: str | BaseException) -> Exception:
    """The error for a server that could not be reached: final, or worth another try."""
    if isinstance(reason, socket.gaierror):
        why = "its name is not found (is there a network?)"
    elif isinstance(reason, ConnectionRefusedError):
        why = "nothing answers there"
    elif isinstance(reason, TimeoutError):
        why = f"it said nothing for {TIMEOUT:.0f} s"
    elif isinstance(reason, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted ({reason.verify_message})"
    elif isinstance(reason, OSError) and reason.errno not in _UNREACHABLE:
        return _Interrupted(f"the connection failed ({_plain(reason)})")
    else:
        why = f"is there a network? {_plain(reason)}"
    return BackboneError(
        f"cannot reach {host}: {why}. Set https_proxy if you need a proxy", _LOCAL_COPY
    )


def _unwritable(path: Path, error: OSError) -> CatalogError:
    """The error for a disk that takes no more, which no other source could mend."""
    if error.errno in _FULL:
        return NoSpace(f"no space left on the disk of {path}; make some, and try again")
    return CatalogError(f"cannot write {path}: {error.strerror}")


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Where a response begins in the file, and the file's size if it says so."""
    if response.status == _PARTIAL:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None:
            return -1, None
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    """What comes, as it comes; a line that is slow goes on, one that has all but stopped breaks."""
    since, came = time.monotonic(), 0
    try:
        while chunk := response.read1(_CHUNK):
            yield chunk
            came += len(chunk)
            if time.monotonic() - since > TIMEOUT:
                if came < LEAST:
                    raise _Interrupted(f"no more than {came} bytes came in {TIMEOUT:.0f} s")
                since, came = time.monotonic(), 0
    except (OSError, HTTPException) as error:
        raise _Interrupted(f"the transfer broke off ({_plain(error)})") from error


def _plain(error: str | BaseException) -> str:
    return str(error) or type(error).__name__
