"""PNG: the header check, what of it the decoder sees, and where it says how it is held.

Exif has a chunk of its own since 2017 (eXIf). Older writers put it into a text, as ImageMagick
does still: ``Raw profile type exif`` (or ``APP1``), in hexadecimal digits. Others write XMP. Where
the chunk says nothing of the orientation, the text is asked, and then XMP.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress

from catalog.descriptors.errors import PictureError
from catalog.embedder import exif
from catalog.embedder.header import Header, Limits, at_most, check_size, unpack

MAGIC = b"\x89PNG\r\n\x1a\n"
_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_PROFILES = frozenset({b"Raw profile type exif", b"Raw profile type APP1"})
_XMP_TEXTS = frozenset({b"XML:com.adobe.xmp", b"Raw profile type xmp"})
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\s*[\"'<]")
_LONGEST_TEXT = 2**20  # once it is inflated; an Exif block in digits has at most 131,072
_HEX = re.compile(rb"\n?[^\n]*\n\s*(\d+)\s+([0-9a-fA-F\s]*)")


def walk(data: bytes, limits: Limits) -> Header:
    """Check size and structure of a PNG, and read what a camera wrote into it.

    Raises:
        PictureError: ``too_large``, ``truncated`` or ``corrupt``.
    """
    length, name, width, height = unpack(">I4sII", data, len(MAGIC))
    if (length, name) != (13, b"IHDR"):
        raise PictureError("corrupt", "a PNG without a proper IHDR chunk at its head")
    check_size("png", width, height, limits)
    chunks = list(at_most(_chunks(data), limits))
    names = [name for name, _, _ in chunks]
    if names.count(b"IHDR") != 1 or b"IDAT" not in names:
        raise PictureError("corrupt", "a PNG of several pictures or none")
    block = next((data[s + 8 : e - 4] for name, s, e in chunks if name == b"eXIf"), b"")
    orientation, shot = exif.stated_orientation(block), exif.shot(block)
    if orientation is None or shot is None:
        profile, xmp = _texts(data[s:e] for name, s, e in chunks if name in _TEXTS)
        orientation = orientation or exif.stated_orientation(profile) or _xmp_orientation(xmp)
        shot = shot or exif.shot(profile)
    return Header("png", width, height, orientation or 1, shot)


def essence(data: bytes) -> bytes:
    """Leave a PNG with IHDR, PLTE, tRNS, IDAT and IEND.

    OpenCV 4.12 to 5.0 crashes on malformed animation chunks, and metadata only adds ways to fail.
    """
    return MAGIC + b"".join(data[s:e] for name, s, e in _chunks(data) if name in _KEPT)


def grey_key(data: bytes) -> int | None:
    """Give the grey level that a PNG without alpha channel declares transparent, if it does.

    In units of the decoded sample (0..255, or 0..65535 at 16 bits). OpenCV ignores it.
    """
    depth, colour_type = data[24], data[25]
    for name, start, end in _chunks(data):
        if name == b"tRNS" and colour_type == 0 and end - start == 12 + 2:
            (key,) = struct.unpack_from(">H", data, start + 8)
            return int(key) * (255 // (2**depth - 1)) if depth < 8 else int(key)
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of every chunk, length field and CRC included, up to IEND."""
    position = len(MAGIC)
    while position < len(data):
        length, name = unpack(">I4s", data, position)
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


def _texts(chunks: Iterable[bytes]) -> tuple[bytes, bytes]:
    """The first Exif block and the first XMP packet among texts; empty where there is none."""
    block = xmp = b""
    for chunk in chunks:
        name, content = chunk[4:8], chunk[8:-4]
        keyword, _, rest = content.partition(b"\0")
        if keyword not in _PROFILES | _XMP_TEXTS:
            continue
        text = _content(name, rest)
        if keyword.startswith(b"Raw"):
            text = _profile(text)
        if keyword in _XMP_TEXTS or text.startswith(_XMP_PREFIX):
            xmp = xmp or text
        else:
            block = block or text
    return block, xmp


def _content(name: bytes, rest: bytes) -> bytes:
    """The text behind a keyword, inflated if need be; empty if it is none, or very long."""
    if name == b"tEXt":
        return rest[:_LONGEST_TEXT]
    packed = name == b"zTXt" and rest[:1] == b"\0"
    if name == b"zTXt":
        rest = rest[1:]
    else:  # two flags, a language and the keyword translated
        packed = rest[:2] == b"\1\0"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if not packed:
        return b"" if name == b"zTXt" else rest[:_LONGEST_TEXT]
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(rest, _LONGEST_TEXT)
    return b""


def _profile(text: bytes) -> bytes:
    """The bytes of a raw profile: its name, their number, and two digits for each."""
    found = _HEX.match(text)
    if found is None:
        return b""
    digits = b"".join(found[2].split())
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))[: int(found[1][:9])]


def _xmp_orientation(xmp: bytes) -> int | None:
    found = _XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else None
