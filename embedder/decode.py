"""The door to the outside: a source becomes bytes, and bytes an upright RGB picture, or a refusal.

OpenCV decodes, but for HEIC (libheif, through ``pi_heif``), AVIF and TIFF of up to 8 bits (Pillow),
and BMP with masks (:mod:`catalog.embedder.bmp`). ``pi_heif`` and Pillow are imported when such a
picture comes. OpenCV 4.12 to 5.0 could decode AVIF and TIFF, but tells an AVIF by its first 500
bytes, which not all grids pass, and gives what memory held before for some TIFFs.

One rule for each kind of sample, whatever the format:

- **Orientation** is that of the header, and applied here, never by the decoder. A HEIC has none
  left: its turns, mirrors and crops are part of how it is coded.
- **16 bits** are rounded to 8: ``round(v / 257)``. 10 and 12 bits (HEIC, AVIF) likewise:
  ``round(255 * v / 1023)``, ``round(255 * v / 4095)``.
- **Grey** is repeated into three channels; a **palette** is looked up.
- **Alpha** (a channel, a palette's tRNS, a colour declared transparent) is composed over white, in
  8 bits, rounded: ``255 - round((255 - c) * a / 255)``; where colours are stored multiplied by
  alpha already, ``c + 255 - a``. The fourth byte of a BMP is not alpha: most writers leave it at
  zero. Nor is a fourth sample of a TIFF that is not declared to be.
- **CMYK** (and YCCK) in a JPEG is read as Adobe writes it, inverted: red is ``c * k / 255``, and so
  on, give or take one. In a TIFF it is read the same way after inverting it.
- **Animations** give their first frame, sequences their primary picture, TIFFs their first page.
  What the first frame of a GIF leaves uncovered has the background colour, or is transparent where
  the frame has transparency.
- **Colour profiles** and gamma are ignored: the samples are taken for sRGB.

``imread`` is never called: it returns a grey-filled picture for a truncated JPEG. ``libpng`` and
``libjpeg`` may still print a line about a bad file to standard error; no call turns that off, but
:mod:`catalog.embedder.isolation` sends it nowhere.
"""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from catalog.descriptors.errors import InvalidInput, PictureError
from catalog.embedder import bmp, png, tiff
from catalog.embedder.formats import essence, inspect
from catalog.embedder.header import DEFAULT_LIMITS, Header, Limits
from catalog.machine import locked_files
from catalog.machine.reading import require_allowed

# OpenCV reads these once, while it is imported. The first is a second line of defence behind the
# header check; the second keeps its log of bad files off the caller's terminal. A value that the
# user has set wins.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from numpy.typing import NDArray
    from PIL.Image import Image

_COLOUR_FLAGS: Final = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_THREADS: Final[dict[str, int]] = {}
_PIPE_SECONDS: Final = 30
NO_MEMORY: Final = "decoding it takes more memory than there is"
"""What is said of a picture, allowed in itself, that does not fit."""


def read(source: str | os.PathLike[str] | bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Get the bytes of a picture from a file, or pass bytes on, within ``limits.max_bytes``.

    Files (and links to them) are read, and pipes, as of ``<(...)`` in a shell; a device or a socket
    could go on for ever.

    Raises:
        PictureError: ``too_large`` before more is read, ``unreadable``, or ``timeout`` of a pipe
            through which nothing comes.
    """
    if isinstance(source, bytes):
        _check_weight(len(source), limits)
        return source
    try:
        return _read_file(source, limits)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise PictureError("unreadable", reason or str(error), os.fspath(source)) from error


def decode(data: bytes, scale: int = 1, header: Header | None = None) -> NDArray[np.uint8]:
    """Decode a picture file into upright RGB, by the rules at the head of this module.

    Args:
        data: The file.
        scale: 1, 2, 4 or 8: how much smaller a JPEG is decoded (by its DCT, sides rounded up).
            The other formats are always decoded whole.
        header: What :func:`inspect` said of ``data``; it is asked where this is not given.

    Returns:
        C-contiguous uint8 (H, W, 3).

    Raises:
        InvalidInput: ``scale`` is another number.
        PictureError: ``empty``, ``unsupported``, ``too_large``, ``truncated`` or ``corrupt``.
    """
    check_scale(scale)
    header = header or inspect(data)
    try:
        return _pixels(data, scale if header.format == "jpeg" else 1, header)
    except MemoryError as error:
        raise PictureError("too_large", NO_MEMORY) from error
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem or "bad_alloc" in str(error):
            raise PictureError("too_large", NO_MEMORY) from error
        raise PictureError("corrupt", f"the decoder gave up: {error.err or error}") from error


def check_scale(scale: int) -> None:
    """Refuse a scale that libjpeg has no fast path for.

    Raises:
        InvalidInput: it is not 1, 2, 4 or 8.
    """
    if scale not in _COLOUR_FLAGS:
        raise InvalidInput(f"a JPEG can be decoded at scale 1, 2, 4 or 8, not {scale}")


def _check_weight(size: int, limits: Limits, source: str | None = None) -> None:
    if size > limits.max_bytes:
        detail = f"{size:,} bytes; the cap is {limits.max_bytes:,}"
        raise PictureError("too_large", detail, source)


def _read_file(source: str | os.PathLike[str], limits: Limits) -> bytes:
    # O_NONBLOCK: opening a pipe that nobody writes to would wait. O_BINARY exists on Windows only.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    name = os.fspath(source)
    require_allowed(name)
    with locked_files.opened(name, flags) as descriptor:  # it may be an open catalogue
        status = os.fstat(descriptor)
        if stat.S_ISFIFO(status.st_mode):
            data = _read_pipe(descriptor, limits.max_bytes + 1, name)
            _check_weight(len(data), limits, name)
            return data
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise PictureError("unreadable", what, name)
        _check_weight(status.st_size, limits, name)
        data = locked_files.read(descriptor, limits.max_bytes + 1)
    _check_weight(len(data), limits, name)  # it may have grown
    return data


def _read_pipe(descriptor: int, most: int, name: str) -> bytes:
    """At most so many bytes of a pipe that does not block, until its writer closes it."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    parts: list[bytes] = []
    while most > 0:
        try:
            part = os.read(descriptor, min(most, 2**20))
        except BlockingIOError:  # nothing yet
            if not waiting.poll(_PIPE_SECONDS * 1000):
                late = f"nothing came through the pipe for {_PIPE_SECONDS} s"
                raise PictureError("timeout", late, name) from None
            continue
        if not part:
            break
        parts.append(part)
        most -= len(part)
    if not parts:
        raise PictureError("unreadable", "nobody writes to this pipe", name)
    return b"".join(parts)


def one_thread() -> None:
    """Have the libraries decode in one thread each, where other processes are at work as well."""
    cv2.setNumThreads(1)
    _THREADS["most"] = 1


def _pixels(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    decoder = {"heic": _heic, "avif": _avif, "tiff": _tiff}.get(header.format)
    if decoder:
        image = decoder(data, header)
    elif header.format == "bmp" and bmp.is_masked(data):
        image = bmp.masked_pixels(data)
    else:
        stored = _by_opencv(data, scale, header)
        image = _rgb(stored, grey_key=png.grey_key(data) if header.format == "png" else None)
    if image.shape[:2] != (-(-header.height // scale), -(-header.width // scale)):
        raise PictureError("corrupt", "its picture has another size than its header says")
    return np.ascontiguousarray(_upright(image, header.orientation), np.uint8)


def _by_opencv(data: bytes, scale: int, header: Header) -> MatLike:
    """Samples as stored: grey, BGR, or BGR and alpha."""
    if header.format in {"jpeg", "bmp"}:
        flags = _COLOUR_FLAGS[scale] | cv2.IMREAD_IGNORE_ORIENTATION
    else:
        flags = cv2.IMREAD_UNCHANGED  # which leaves the orientation alone, too
    stored = cv2.imdecode(np.frombuffer(essence(data, header), np.uint8), flags)
    if stored is None:
        raise PictureError("corrupt", "the decoder gave up")
    return stored


def _heic(data: bytes, header: Header) -> MatLike:
    """By libheif within its limits, which makes crops, turns and mirrors itself.

    ``pi_heif`` 1.4 takes the depth that the header states for that of the samples. Where rows are
    to be moved together it overwrites what lies behind them if that is a lie (so they are not), and
    grey of more than 8 bits is the one kind of which the samples themselves could be others.
    """
    import pi_heif

    if _THREADS:
        pi_heif.options.DECODE_THREADS = _THREADS["most"]
    with _giving_up():
        found = pi_heif.open_heif(
            essence(data, header),
            convert_hdr_to_8bit=False,
            hdr_to_16bit=False,
            remove_stride=False,
        )
        kind, _, bits = found.mode.partition(";")
        if bits and not kind.startswith("RGB"):
            raise PictureError("unsupported", "a grey HEIC of more than 8 bits")
        rows = np.frombuffer(found.data, np.uint8).reshape(-1, found.stride)
        channels, sample = max(1, len(kind)), np.dtype("<u2" if bits else "u1")
        width, height = found.size
        used = rows[:, : width * channels * sample.itemsize]
        stored = used.copy().view(sample).reshape(height, width, channels)
    swap = {1: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[channels]
    image = stored[..., 0] if swap is None else cv2.cvtColor(stored, swap)
    return _rgb(image, 2 ** int(bits or 8) - 1, premultiplied=kind.endswith("a"))


def _avif(data: bytes, header: Header) -> MatLike:
    """By Pillow, which rounds what has more bits to 8, and makes no turns."""
    from PIL import AvifImagePlugin

    if not AvifImagePlugin.SUPPORTED:
        raise PictureError("unsupported", "an AVIF, and Pillow is installed without its decoder")
    if _THREADS:
        AvifImagePlugin.DEFAULT_MAX_THREADS = _THREADS["most"]
    with _giving_up(), AvifImagePlugin.AvifImageFile(io.BytesIO(essence(data, header))) as image:
        return _rgb(_of_pillow(image))


def _tiff(data: bytes, header: Header) -> MatLike:
    """16 bits by OpenCV, which keeps them; what has fewer by Pillow, which knows more of it."""
    from PIL.TiffImagePlugin import TiffImageFile

    page = tiff.page(data)
    if page.bits == 16:
        stored = _by_opencv(data, 1, header)
        stored = cv2.bitwise_not(stored) if page.from_white else stored
    else:
        with _giving_up(), TiffImageFile(io.BytesIO(essence(data, header))) as image:
            stored = _of_pillow(image)
    if page.alpha == "ignored" and stored.ndim == 3:
        stored = np.ascontiguousarray(stored[..., :3])
    return _rgb(stored, premultiplied=page.alpha == "premultiplied")


@contextmanager
def _giving_up() -> Iterator[None]:
    """Say of a picture that its decoder, a library of Python, raised something."""
    try:
        yield
    except (MemoryError, PictureError):
        raise
    except Exception as error:
        raise PictureError("corrupt", f"the decoder gave up: {error}") from error


def _of_pillow(image: Image) -> MatLike:
    """Samples of 8 bits, as OpenCV would give them: grey, BGR, or BGR and alpha."""
    if image.mode == "CMYK":
        *inks, black = cv2.split(cv2.bitwise_not(np.asarray(image)))
        return cv2.merge([cv2.multiply(ink, black, scale=1 / 255) for ink in reversed(inks)])
    mode = {"1": "L", "L": "L", "LA": "RGBA", "RGBA": "RGBA"}.get(image.mode, "RGB")
    pixels = np.asarray(image.convert(mode))
    swap = {"RGB": cv2.COLOR_RGB2BGR, "RGBA": cv2.COLOR_RGBA2BGRA}.get(mode)
    return pixels if swap is None else cv2.cvtColor(pixels, swap)


def _rgb(
    stored: MatLike, most: int = 65535, *, grey_key: int | None = None, premultiplied: bool = False
) -> MatLike:
    """RGB over white, from grey or BGR and perhaps alpha; ``most`` is full, if it is not 255."""
    seen = None if grey_key is None else stored != grey_key
    image = stored if stored.dtype == np.uint8 else cv2.convertScaleAbs(stored, alpha=255 / most)
    if image.ndim == 2:
        grey = image if seen is None else np.where(seen, image, 255).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    blue, green, red, alpha = cv2.split(image)
    if premultiplied:
        return cv2.merge([cv2.add(c, cv2.bitwise_not(alpha)) for c in (red, green, blue)])
    ink = (cv2.multiply(cv2.bitwise_not(c), alpha, scale=1 / 255) for c in (red, green, blue))
    return cv2.merge([cv2.bitwise_not(i) for i in ink])


def _upright(image: MatLike, orientation: int) -> MatLike:
    if orientation in {5, 6, 7, 8}:
        image = cv2.transpose(image)
    mirror = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if mirror is None else cv2.flip(image, mirror)
