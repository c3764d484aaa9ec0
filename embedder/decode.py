"""The door to the outside: a source becomes bytes, and bytes an upright RGB picture, or a refusal.

One rule for each kind of sample, whatever the format:

- **Orientation** is taken from Exif (JPEG, PNG, WebP) and applied here, never by the decoder.
- **16 bits** are rounded to 8: ``round(v / 257)``.
- **Grey** is repeated into three channels; a **palette** is looked up.
- **Alpha** (a channel, a palette's tRNS, a colour declared transparent) is composed over white, in
  8 bits, rounded: ``255 - round((255 - c) * a / 255)``. The fourth byte of a BMP is not alpha: most
  writers leave it at zero.
- **CMYK** (and YCCK) in a JPEG is read as Adobe writes it, inverted: red is ``c * k / 255``, and so
  on, give or take one.
- **Animations** give their first frame; what it leaves uncovered has the background colour, or is
  transparent where the frame has transparency.
- **Colour profiles** and gamma are ignored: the samples are taken for sRGB.

``imread`` is never called: it returns a grey-filled picture for a truncated JPEG. ``libpng`` and
``libjpeg`` may still print a line about a bad file to standard error; no call turns that off, but
:mod:`catalog.embedder.isolation` sends it nowhere.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from catalog.descriptors.errors import InvalidInput, PictureError
from catalog.embedder.formats import DEFAULT_LIMITS, Header, Limits, essence, inspect, png_grey_key

# OpenCV reads these once, while it is imported. The first is a second line of defence behind the
# header check; the second keeps its log of bad files off the caller's terminal. A value that the
# user has set wins.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**27))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from numpy.typing import NDArray

_COLOUR_FLAGS: Final = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
NO_MEMORY: Final = "decoding it takes more memory than there is"
"""What is said of a picture, allowed in itself, that does not fit."""


def read(source: str | os.PathLike[str] | bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Get the bytes of a picture from a file, or pass bytes on, within ``limits.max_bytes``.

    Only regular files (and links to them) are read: a pipe or a device could block for ever.

    Raises:
        PictureError: ``too_large`` before anything is read, or ``unreadable``.
    """
    if isinstance(source, bytes):
        _check_weight(len(source), limits)
        return source
    try:
        return _read_regular(source, limits)
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


def _read_regular(source: str | os.PathLike[str], limits: Limits) -> bytes:
    # O_NONBLOCK: opening a pipe that nobody writes to would wait. O_BINARY exists on Windows only.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    name = os.fspath(source)
    descriptor = os.open(name, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise PictureError("unreadable", what, name)
        _check_weight(status.st_size, limits, name)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limits.max_bytes + 1)
    finally:
        os.close(descriptor)
    _check_weight(len(data), limits, name)  # it may have grown
    return data


def _pixels(data: bytes, scale: int, header: Header) -> NDArray[np.uint8]:
    if header.format in {"jpeg", "bmp"}:
        flags = _COLOUR_FLAGS[scale] | cv2.IMREAD_IGNORE_ORIENTATION
    else:
        flags = cv2.IMREAD_UNCHANGED  # which leaves the orientation alone, too
    stored = cv2.imdecode(np.frombuffer(essence(data, header), np.uint8), flags)
    if stored is None:
        raise PictureError("corrupt", "the decoder gave up")
    if stored.shape[:2] != (-(-header.height // scale), -(-header.width // scale)):
        raise PictureError("corrupt", "its picture has another size than its header says")
    key = png_grey_key(data) if header.format == "png" else None
    return np.ascontiguousarray(_upright(_rgb(stored, key), header.orientation), np.uint8)


def _rgb(stored: MatLike, grey_key: int | None) -> MatLike:
    seen = None if grey_key is None else stored != grey_key
    image = stored if stored.dtype == np.uint8 else cv2.convertScaleAbs(stored, alpha=1 / 257)
    if image.ndim == 2:
        grey = image if seen is None else np.where(seen, image, 255).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    blue, green, red, alpha = cv2.split(image)
    ink = (cv2.multiply(cv2.bitwise_not(c), alpha, scale=1 / 255) for c in (red, green, blue))
    return cv2.merge([cv2.bitwise_not(i) for i in ink])


def _upright(image: MatLike, orientation: int) -> MatLike:
    if orientation in {5, 6, 7, 8}:
        image = cv2.transpose(image)
    mirror = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if mirror is None else cv2.flip(image, mirror)
