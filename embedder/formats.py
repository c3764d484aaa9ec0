"""What a picture file says of itself, read without decoding a single pixel.

Eight formats pass, told apart by their first bytes and never by a file name: JPEG, PNG, WebP, GIF,
BMP, HEIC, AVIF and TIFF. :func:`inspect` walks the structure of a file from end to end, so what it
accepts is of bearable size and has not lost its tail. A refusal is a :class:`PictureError`:

- ``empty``: no bytes.
- ``unsupported``: another format, or a variant that no decoder here reads, or reads right; each by
  its name. ``docs/pictures.md`` lists them.
- ``too_large``: beyond :class:`Limits`.
- ``truncated``: the structure runs past the last byte. JPEG: no EOI marker after the scans. PNG:
  no IEND. WebP: fewer bytes than RIFF states. GIF: no trailer. BMP: fewer bytes than the rows take.
  HEIC, AVIF: an item's bytes are not all there. TIFF: nor those of a strip, or of the directory.
- ``corrupt``: the structure contradicts itself.

Bytes after the end are ignored: phones put films there, and MPO files more JPEGs. What cannot be
seen without decoding stays unseen: a JPEG that lost bytes from its middle and kept its EOI passes.

How a picture is held is read from Exif in JPEG, PNG and WebP, and from its own fields in HEIC, AVIF
and TIFF. XMP is asked in PNG alone, which long had no place for Exif: in JPEG and WebP browsers
look at Exif only, and so does this module. A GIF is as large as its screen and its first frame
together, as browsers show it.

Layouts: ITU-T T.81 annex B (JPEG), the PNG and GIF89a specifications, RFC 9649 (WebP), CIPA DC-008
(Exif); those of the other formats in the modules that walk them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Generator, Iterator
from typing import Literal

from catalog.descriptors.errors import PictureError
from catalog.embedder import bmp, exif, heif, png, tiff
from catalog.embedder.exif import Shot
from catalog.embedder.header import DEFAULT_LIMITS, Header, Limits, at_most, check_size, unpack


def inspect(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Tell format, size and orientation of a picture file, or refuse it.

    Raises:
        PictureError: ``empty``, ``unsupported``, ``too_large``, ``truncated`` or ``corrupt``.
    """
    if len(data) > limits.max_bytes:
        raise PictureError("too_large", f"{len(data):,} bytes; the cap is {limits.max_bytes:,}")
    return _walker(data)(data, limits)


def shot_of(data: bytes) -> Shot | None:
    """When a camera took the picture of a file; None where it does not say, or is refused.

    Of a JPEG only what stands before its first scan is looked at, where Exif has its place: to walk
    to its end, as a refusal may take, is left to who decodes it.
    """
    try:
        if data.startswith(_JPEG_MAGIC):
            return exif.shot(_jpeg_exif(data))
        return inspect(data).shot
    except PictureError:
        return None


def is_picture(beginning: bytes) -> bool:
    """Whether a file is a picture, of a format that is read here or of another; films are none.

    Args:
        beginning: its first 18 bytes, or all there are.
    """
    try:
        _walker(beginning)
    except PictureError:
        return beginning.startswith(tuple(_FOREIGN_MAGICS)) or heif.is_foreign(beginning)
    return True


def essence(data: bytes, header: Header) -> bytes:
    """Cut an inspected file to the part that the decoder should see.

    Metadata and further pictures only add ways to fail. What each format keeps is said in the
    module that walks it; a GIF keeps its first frame and what controls it, on a screen that holds
    it. JPEG, WebP and BMP are returned as they are.
    """
    cut = {"png": png.essence, "gif": _gif_first_frame, "heic": heif.essence, "avif": heif.essence,
           "tiff": tiff.essence}.get(header.format)  # fmt: skip
    return cut(data) if cut else data


_JPEG_MAGIC = b"\xff\xd8\xff"
_FOREIGN_MAGICS = {
    b"IIRO": "a raw photo of a camera",
    b"IIU\0": "a raw photo of a camera",
    b"FUJIFILM": "a raw photo of a camera",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x4f\xff\x51": "a JPEG 2000",
    b"8BPS": "a Photoshop file",
}
_GIF_TRAILER, _GIF_FRAME, _GIF_EXTENSION = b"\x3b", b"\x2c", b"\x21"
_GIF_CONTROL = b"\x21\xf9"


def _walker(data: bytes) -> Callable[[bytes, Limits], Header]:
    if not data:
        raise PictureError("empty", "there are no bytes")
    for is_one, walk in (
        (data.startswith(_JPEG_MAGIC), _jpeg),
        (data.startswith(png.MAGIC), png.walk),
        (data.startswith((b"GIF87a", b"GIF89a")), _gif),
        (data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp),
        (data.startswith(b"BM") and data[14:18] in bmp.HEADERS, bmp.walk),
        (heif.is_still(data), heif.walk),
        (data.startswith(tiff.MAGICS), tiff.walk),
    ):
        if is_one:
            return walk
    raise PictureError(*_foreign(data))


def _foreign(data: bytes) -> tuple[Literal["truncated", "unsupported"], str]:
    magics = (_JPEG_MAGIC, png.MAGIC, b"GIF87a", b"GIF89a", b"RIFF", b"BM", *tiff.MAGICS)
    within_riff = data.startswith(b"RIFF") and len(data) < 12
    within_bmp = data.startswith(b"BM") and len(data) < 18
    within = within_riff or within_bmp or heif.is_beginning(data)
    if within or any(magic.startswith(data) for magic in magics):
        return "truncated", "it ends within its header"
    for magic, name in _FOREIGN_MAGICS.items():
        if data.startswith(magic):
            return "unsupported", f"{name}; convert it to JPEG"
    if heif.is_foreign(data):
        return "unsupported", "a raw photo of a camera; convert it to JPEG"
    if data[4:8] == b"ftyp":
        return "unsupported", "a film; take a picture out of it"
    return "unsupported", "not a JPEG, PNG, WebP, GIF, BMP, HEIC, AVIF or TIFF"


# A marker is FF and a code; FF 00 is data, D0 to D7 are restarts within data, FF FF is padding.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_STANDALONE, _JPEG_START, _JPEG_END, _JPEG_SCAN, _JPEG_APP1 = 0x01, 0xD8, 0xD9, 0xDA, 0xE1
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_PROGRESSIVE = 0xC2


def _jpeg(data: bytes, limits: Limits) -> Header:
    frame = block = b""
    several = False
    scans = 0
    for code, start, end in at_most(_jpeg_segments(data), limits):
        if code in _JPEG_FRAMES:
            if frame:
                raise PictureError("corrupt", "a JPEG with two frame headers")
            frame = data[start:end]
            check_size("jpeg", *_jpeg_size(code, frame), limits)
            several = code == _JPEG_PROGRESSIVE
        elif code == _JPEG_APP1 and not block and data.startswith(exif.PREFIX, start, end):
            block = data[start:end]
        elif code == _JPEG_SCAN:
            scans += 1
            several = several or data[start : start + 1] != frame[5:6]
            if scans > limits.max_scans:
                raise PictureError("too_large", f"a JPEG of more than {limits.max_scans} scans")
    if not frame or not scans:
        raise PictureError("corrupt", "a JPEG without a picture")
    height, width = struct.unpack_from(">HH", frame, 1)
    if scans * width * height > limits.max_scan_pixels:
        raise PictureError("too_large", f"a JPEG of {scans} scans of {width:,} x {height:,}")
    samples = _jpeg_samples(frame)
    if several and samples > limits.max_jpeg_samples:
        raise PictureError("too_large", f"a JPEG in several scans, of {samples:,} samples")
    return Header("jpeg", width, height, exif.orientation(block), exif.shot(block))


def _jpeg_exif(data: bytes) -> bytes:
    """The Exif block of a JPEG, which is empty if there is none before the first scan."""
    for code, start, end in at_most(_jpeg_segments(data), DEFAULT_LIMITS):
        if code == _JPEG_SCAN:
            break
        if code == _JPEG_APP1 and data.startswith(exif.PREFIX, start, end):
            return data[start:end]
    return b""


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield code, start and end of the content of every marker, up to the EOI marker."""
    position = 2
    while found := _JPEG_MARKER.search(data, position):
        code, position = found.group()[1], found.end()
        if code == _JPEG_END:
            return
        if code == _JPEG_START:
            raise PictureError("corrupt", "a JPEG that begins twice")
        if code == _JPEG_STANDALONE:
            yield code, position, position
            continue
        (length,) = unpack(">H", data, position)
        if length < 2:
            raise PictureError("corrupt", "a JPEG segment of impossible length")
        if position + length > len(data):
            break
        yield code, position + 2, position + length
        position += length
    raise PictureError("truncated", "a JPEG without its end marker")


def _jpeg_size(code: int, frame: bytes) -> tuple[int, int]:
    if len(frame) < 6:
        raise PictureError("corrupt", "a JPEG frame header of impossible length")
    precision, height, width, components = struct.unpack_from(">BHHB", frame)
    if code not in _JPEG_DECODED_FRAMES or precision != 8:
        raise PictureError("unsupported", "a lossless, arithmetic or 12-bit JPEG")
    if components not in {1, 3, 4}:
        raise PictureError("unsupported", f"a JPEG of {components} components")
    return width, height


def _jpeg_samples(frame: bytes) -> int:
    """Samples of all components, whole blocks of 8 x 8 of them.

    What a decoder keeps of a JPEG until its last scan is in proportion to them.
    """
    height, width, components = struct.unpack_from(">HHB", frame, 1)
    factors = [(byte >> 4, byte & 15) for byte in frame[7 : 6 + 3 * components : 3]]
    across, down = (max((pair[i] for pair in factors), default=1) or 1 for i in (0, 1))
    columns, rows = -(-width // (8 * across)), -(-height // (8 * down))
    return sum(64 * columns * h * rows * v for h, v in factors)


def _webp(data: bytes, limits: Limits) -> Header:
    end = 8 + int(unpack("<I", data, 4)[0])
    if end > len(data):
        raise PictureError("truncated", f"a WebP of {end:,} bytes has {len(data):,}")
    chunks = list(at_most(_webp_chunks(data[:end]), limits))
    if not chunks or not any(n in {b"VP8 ", b"VP8L", b"ANMF"} for n, _ in chunks):
        raise PictureError("corrupt", "a WebP without a picture")
    size = _webp_size(*chunks[0])
    check_size("webp", *size, limits)
    block = next((body for name, body in chunks if name == b"EXIF"), b"")
    return Header("webp", *size, exif.orientation(block), exif.shot(block))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if position + length > len(data):
            raise PictureError("corrupt", "a WebP chunk reaches beyond the file it is part of")
        yield name, data[position : position + length]
        position += length + length % 2


def _webp_size(name: bytes, body: bytes) -> tuple[int, int]:
    if name == b"VP8X" and len(body) >= 10:
        return (
            1 + int.from_bytes(body[4:7], "little"),
            1 + int.from_bytes(body[7:10], "little"),
        )
    if name == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if name == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise PictureError("corrupt", "a WebP whose first chunk is no picture header")


def _gif(data: bytes, limits: Limits) -> Header:
    width, height = unpack("<HH", data, 6)
    if width and height:
        check_size("gif", width, height, limits)
    frame = None
    for kind, start, _ in at_most(_gif_parts(data), limits):
        if kind == _GIF_FRAME and frame is None:
            frame = start
    if frame is not None:
        width, height = _gif_screen(data, frame)
    check_size("gif", width, height, limits)
    if frame is None:
        raise PictureError("corrupt", "a GIF without a picture")
    return Header("gif", width, height)


def _gif_screen(data: bytes, frame: int) -> tuple[int, int]:
    """Width and height of the screen, enlarged to hold the frame at a place."""
    width, height = struct.unpack_from("<HH", data, 6)
    left, top, across, down = unpack("<4H", data, frame + 1)
    return max(width, left + across), max(height, top + down)


def _gif_first_frame(data: bytes) -> bytes:
    kept = []
    screen = data[6:10]
    for kind, start, end in _gif_parts(data):
        if kind == _GIF_FRAME or data.startswith(_GIF_CONTROL, start):
            kept.append(data[start:end])
        if kind == _GIF_FRAME:
            screen = struct.pack("<HH", *_gif_screen(data, start))
            break
    head = data[:6] + screen + data[10 : 13 + _gif_palette(data[10])]
    return head + b"".join(kept) + _GIF_TRAILER


def _gif_parts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of every block up to the trailer.

    Before each its sub-blocks are yielded, whose kind is empty.
    """
    position = 13 + _gif_palette(unpack("<B", data, 10)[0])
    while position < len(data):
        kind, start = data[position : position + 1], position
        if kind == _GIF_TRAILER:
            return
        if kind == _GIF_EXTENSION:
            position += 2
        elif kind == _GIF_FRAME:
            position += 11 + _gif_palette(unpack("<B", data, position + 9)[0])
        else:
            raise PictureError("corrupt", "a GIF block of unknown kind")
        position = yield from _gif_sub_blocks(data, position)
        yield kind, start, position
    raise PictureError("truncated", "a GIF without its trailer")


def _gif_palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_sub_blocks(data: bytes, position: int) -> Generator[tuple[bytes, int, int], None, int]:
    while position < len(data):
        start, length = position, data[position]
        position += 1 + length
        if not length:
            return position
        yield b"", start, position
    raise PictureError("truncated", "a GIF without its trailer")
