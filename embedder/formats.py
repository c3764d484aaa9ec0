"""What a picture file says of itself, read without decoding a single pixel.

Five formats pass, told apart by their first bytes and never by a file name: JPEG, PNG, WebP, GIF
and BMP. :func:`inspect` walks the structure of a file from end to end, so what it accepts is of
bearable size and has not lost its tail. A refusal is a :class:`PictureError`:

- ``empty``: no bytes.
- ``unsupported``: another format, or a variant that the decoder is not trusted with (JPEG other
  than 8-bit Huffman; BMP holding a JPEG).
- ``too_large``: beyond :class:`Limits`.
- ``truncated``: the structure runs past the last byte. JPEG: no EOI marker after the scans. PNG:
  no IEND. WebP: fewer bytes than RIFF states. GIF: no trailer. BMP: fewer bytes than the rows take.
- ``corrupt``: the structure contradicts itself.

Bytes after the end are ignored: phones put films there, and MPO files more JPEGs. What cannot be
seen without decoding stays unseen: a JPEG that lost bytes from its middle and kept its EOI passes.

Layouts: ITU-T T.81 annex B (JPEG), the PNG and GIF89a specifications, RFC 9649 (WebP), the
BITMAPINFOHEADER family of Microsoft (BMP), CIPA DC-008 (Exif).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from catalog.descriptors.errors import PictureError
from catalog.embedder import exif
from catalog.embedder.exif import Shot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_Part = TypeVar("_Part")
Format = Literal["jpeg", "png", "webp", "gif", "bmp"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may weigh before it is refused as ``too_large``.

    Attributes:
        max_bytes: Size of the file in bytes.
        max_side: Width or height in pixels; phone panoramas reach 16,382.
        max_pixels: Width x height; the decoder needs up to 8 bytes for each.
        max_jpeg_pixels: The same for JPEG, which is shrunk while it is decoded, so that the
            108-megapixel photos of phones pass.
        max_scans: Scans of a JPEG; encoders write about ten, and each costs a pass over all pixels.
        max_scan_pixels: Scans x width x height of a JPEG: ten scans of the largest one. A scan of a
            hundred bytes can keep the decoder at work on every pixel.
        max_parts: Segments, chunks or blocks of a file, of which the smallest has two bytes. The
            blocks of a GIF as heavy as may be are about 262,000.
    """

    max_bytes: int = 64 * 2**20
    max_side: int = 20_000
    max_pixels: int = 50_000_000
    max_jpeg_pixels: int = 120_000_000
    max_scans: int = 64
    max_scan_pixels: int = 1_200_000_000
    max_parts: int = 300_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        format: One of the five formats.
        width: Pixels per row as stored, before ``orientation`` is applied.
        height: Rows as stored.
        orientation: Exif orientation, 1 (upright) to 8.
        shot: when a camera took it, and which one; None where that is not said.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1
    shot: Shot | None = None


def inspect(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Tell format, size and orientation of a picture file, or refuse it.

    Raises:
        PictureError: ``empty``, ``unsupported``, ``too_large``, ``truncated`` or ``corrupt``.
    """
    if len(data) > limits.max_bytes:
        raise PictureError("too_large", f"{len(data):,} bytes; the cap is {limits.max_bytes:,}")
    return _walker(data)(data, limits)


def shot_of(data: bytes) -> Shot | None:
    """When a camera took the picture of a file; None where it does not say, or is refused."""
    try:
        return inspect(data).shot
    except PictureError:
        return None


def is_picture(beginning: bytes) -> bool:
    """Whether a file is a picture, of a format that is read here or of another.

    Args:
        beginning: its first 18 bytes, or all there are.
    """
    try:
        _walker(beginning)
    except PictureError:
        return beginning.startswith(_FOREIGN_MAGICS) or beginning[4:8] == b"ftyp"
    return True


def essence(data: bytes, header: Header) -> bytes:
    """Cut an inspected file to the part that the decoder should see.

    PNG keeps IHDR, PLTE, tRNS, IDAT and IEND: OpenCV 4.12 to 5.0 crashes on malformed animation
    chunks, and metadata only adds ways to fail. GIF keeps its first frame and what controls it. The
    others are returned as they are.
    """
    if header.format == "png":
        kept = (data[s:e] for name, s, e in _png_chunks(data) if name in _PNG_KEPT)
        return _PNG_MAGIC + b"".join(kept)
    if header.format == "gif":
        return _gif_first_frame(data)
    return data


def png_grey_key(data: bytes) -> int | None:
    """Give the grey level that a PNG without alpha channel declares transparent, if it does.

    In units of the decoded sample (0..255, or 0..65535 at 16 bits). OpenCV ignores it.
    """
    depth, colour_type = data[24], data[25]
    for name, start, end in _png_chunks(data):
        if name == b"tRNS" and colour_type == 0 and end - start == 12 + 2:
            (key,) = struct.unpack_from(">H", data, start + 8)
            return int(key) * (255 // (2**depth - 1)) if depth < 8 else int(key)
    return None


_JPEG_MAGIC = b"\xff\xd8\xff"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# TIFF and the raw formats of cameras, JPEG XL, JPEG 2000, Photoshop.
_FOREIGN_MAGICS = (
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIRO", b"IIU\0", b"FUJIFILM"),
    *(b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"8BPS"),
)
_GIF_TRAILER, _GIF_FRAME, _GIF_EXTENSION = b"\x3b", b"\x2c", b"\x21"
_GIF_CONTROL = b"\x21\xf9"


def _walker(data: bytes) -> Callable[[bytes, Limits], Header]:
    if not data:
        raise PictureError("empty", "there are no bytes")
    if data.startswith(_JPEG_MAGIC):
        return _jpeg
    if data.startswith(_PNG_MAGIC):
        return _png
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _gif
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp
    if data.startswith(b"BM") and data[14:18] in _BMP_HEADERS:
        return _bmp
    raise PictureError(*_foreign(data))


def _foreign(data: bytes) -> tuple[Literal["truncated", "unsupported"], str]:
    magics = (_JPEG_MAGIC, _PNG_MAGIC, b"GIF87a", b"GIF89a", b"RIFF", b"BM")
    within_riff = data.startswith(b"RIFF") and len(data) < 12
    within_bmp = data.startswith(b"BM") and len(data) < 18
    if within_riff or within_bmp or any(magic.startswith(data) for magic in magics):
        return "truncated", "it ends within its header"
    if data[4:8] == b"ftyp":
        return "unsupported", "HEIC, AVIF or a film; convert it to JPEG"
    return "unsupported", "not a JPEG, PNG, WebP, GIF or BMP"


def _check_size(kind: Format, width: int, height: int, limits: Limits) -> None:
    allowed = limits.max_jpeg_pixels if kind == "jpeg" else limits.max_pixels
    if min(width, height) < 1:
        raise PictureError("corrupt", f"its size is {width} x {height}")
    if max(width, height) > limits.max_side or width * height > allowed:
        raise PictureError(
            "too_large",
            f"{width:,} x {height:,} pixels; a {kind.upper()} may have {allowed:,}, "
            f"and {limits.max_side:,} along a side",
        )


def _at_most(parts: Iterator[_Part], limits: Limits) -> Iterator[_Part]:
    for count, part in enumerate(parts):
        if count == limits.max_parts:
            raise PictureError("too_large", f"a file of more than {count:,} parts")
        yield part


def _unpack(layout: str, data: bytes, offset: int) -> tuple[Any, ...]:
    if offset + struct.calcsize(layout) > len(data):
        raise PictureError("truncated", "it ends within a header")
    return struct.unpack_from(layout, data, offset)


# A marker is FF and a code; FF 00 is data, D0 to D7 are restarts within data, FF FF is padding.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_STANDALONE, _JPEG_START, _JPEG_END, _JPEG_SCAN, _JPEG_APP1 = 0x01, 0xD8, 0xD9, 0xDA, 0xE1
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2})


def _jpeg(data: bytes, limits: Limits) -> Header:
    size: tuple[int, int] | None = None
    block = b""
    scans = 0
    for code, start, end in _at_most(_jpeg_segments(data), limits):
        if code in _JPEG_FRAMES:
            if size is not None:
                raise PictureError("corrupt", "a JPEG with two frame headers")
            size = _jpeg_size(code, data[start:end])
            _check_size("jpeg", *size, limits)
        elif code == _JPEG_APP1 and not block and data.startswith(exif.PREFIX, start, end):
            block = data[start:end]
        elif code == _JPEG_SCAN:
            scans += 1
            if scans > limits.max_scans:
                raise PictureError("too_large", f"a JPEG of more than {limits.max_scans} scans")
    if size is None or not scans:
        raise PictureError("corrupt", "a JPEG without a picture")
    if scans * size[0] * size[1] > limits.max_scan_pixels:
        raise PictureError("too_large", f"a JPEG of {scans} scans of {size[0]:,} x {size[1]:,}")
    return Header("jpeg", *size, exif.orientation(block), exif.shot(block))


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
        (length,) = _unpack(">H", data, position)
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


def _png(data: bytes, limits: Limits) -> Header:
    length, name, width, height = _unpack(">I4sII", data, len(_PNG_MAGIC))
    if (length, name) != (13, b"IHDR"):
        raise PictureError("corrupt", "a PNG without a proper IHDR chunk at its head")
    _check_size("png", width, height, limits)
    chunks = list(_at_most(_png_chunks(data), limits))
    names = [name for name, _, _ in chunks]
    if names.count(b"IHDR") != 1 or b"IDAT" not in names:
        raise PictureError("corrupt", "a PNG of several pictures or none")
    block = next((data[s + 8 : e - 4] for name, s, e in chunks if name == b"eXIf"), b"")
    return Header("png", width, height, exif.orientation(block), exif.shot(block))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of every chunk, length field and CRC included, up to IEND."""
    position = len(_PNG_MAGIC)
    while position < len(data):
        length, name = _unpack(">I4s", data, position)
        if length >= 2**31 or not name.isalpha():
            raise PictureError("corrupt", "a PNG chunk of impossible length or name")
        end = position + 12 + length
        if end > len(data):
            break
        yield name, position, end
        if name == b"IEND":
            return
        position = end
    raise PictureError("truncated", "a PNG without its IEND chunk")


def _webp(data: bytes, limits: Limits) -> Header:
    end = 8 + int(_unpack("<I", data, 4)[0])
    if end > len(data):
        raise PictureError("truncated", f"a WebP of {end:,} bytes has {len(data):,}")
    chunks = list(_at_most(_webp_chunks(data[:end]), limits))
    if not chunks or not any(n in {b"VP8 ", b"VP8L", b"ANMF"} for n, _ in chunks):
        raise PictureError("corrupt", "a WebP without a picture")
    size = _webp_size(*chunks[0])
    _check_size("webp", *size, limits)
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
    width, height = _unpack("<HH", data, 6)
    _check_size("gif", width, height, limits)
    kinds = {kind for kind, _, _ in _at_most(_gif_parts(data), limits)}
    if _GIF_FRAME not in kinds:
        raise PictureError("corrupt", "a GIF without a picture")
    return Header("gif", width, height)


def _gif_first_frame(data: bytes) -> bytes:
    kept = [data[: 13 + _gif_palette(data[10])]]
    for kind, start, end in _gif_parts(data):
        if kind == _GIF_FRAME or data.startswith(_GIF_CONTROL, start):
            kept.append(data[start:end])
        if kind == _GIF_FRAME:
            break
    return b"".join(kept) + _GIF_TRAILER


def _gif_parts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of every block up to the trailer.

    Before each its sub-blocks are yielded, whose kind is empty.
    """
    position = 13 + _gif_palette(_unpack("<B", data, 10)[0])
    while position < len(data):
        kind, start = data[position : position + 1], position
        if kind == _GIF_TRAILER:
            return
        if kind == _GIF_EXTENSION:
            position += 2
        elif kind == _GIF_FRAME:
            position += 11 + _gif_palette(_unpack("<B", data, position + 9)[0])
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


_BMP_CORE = 12
_BMP_HEADERS = frozenset(struct.pack("<I", n) for n in (_BMP_CORE, 40, 52, 56, 64, 108, 124))
_BMP_RLE = frozenset({1, 2})
_BMP_PLAIN = frozenset({0, 3, 6})


def _bmp(data: bytes, limits: Limits) -> Header:
    offset, header = _unpack("<II", data, 10)
    compression = size = 0
    if header == _BMP_CORE:
        width, height, _, bits = _unpack("<HHHH", data, 18)
    else:
        width, height, _, bits, compression, size = _unpack("<iiHHII", data, 18)
        height = abs(height)  # negative: rows run from top to bottom
    if bits not in {1, 4, 8, 16, 24, 32} or compression not in _BMP_RLE | _BMP_PLAIN:
        raise PictureError("unsupported", f"a BMP of {bits} bits and compression {compression}")
    _check_size("bmp", width, height, limits)
    if compression in _BMP_PLAIN:
        size = (width * bits + 31) // 32 * 4 * height
    if offset + size > len(data):
        raise PictureError("truncated", f"a BMP of {offset + size:,} bytes has {len(data):,}")
    return Header("bmp", width, height)
