"""Pictures for tests: valid ones in every accepted format, and ways to spoil them.

Drawn with OpenCV, NumPy and ``struct``; HEIC, AVIF and TIFF in :mod:`heifs` and :mod:`tiffs`. What
OpenCV cannot write (CMYK JPEG, palettes, tRNS, Exif, GIF of chosen colours, BMP with masks) is put
together here, chunk by chunk.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
QUARTERS = ((200, 30, 20), (20, 180, 40), (30, 40, 210), (230, 220, 30))


def quarters(height: int = 32, width: int = 48) -> Pixels:
    """Draw red, green over blue, yellow: an RGB picture that shows which way up it is."""
    image = np.empty((height, width, 3), np.uint8)
    for i, colour in enumerate(QUARTERS):
        rows = slice(None, height // 2) if i < 2 else slice(height // 2, None)
        columns = slice(width // 2, None) if i % 2 else slice(None, width // 2)
        image[rows, columns] = colour
    return image


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    """Draw a smooth random RGB picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encode(extension: str, image: NDArray[np.generic], *options: int) -> bytes:
    """Encode RGB, RGBA or grey samples with OpenCV."""
    channels = image.shape[2] if image.ndim == 3 else 1
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(channels)
    stored = image if swap is None else cv2.cvtColor(image, swap)
    return bytes(cv2.imencode(extension, stored, options)[1])


def animated_png(frames: Sequence[Pixels]) -> bytes:
    """Encode RGBA frames as an APNG, without loss."""
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(frame, cv2.COLOR_RGBA2BGRA) for frame in frames]
    animation.durations = [100] * len(frames)
    return bytes(cv2.imencodeanimation(".png", animation)[1])


def animated_webp(frames: Sequence[Pixels]) -> bytes:
    """Encode RGBA frames as an animated WebP, without loss."""
    height, width = frames[0].shape[:2]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = [webp_canvas(width, height, 0x12), (b"ANIM", bytes(6))]
    for frame in frames:
        still = encode(".webp", frame, cv2.IMWRITE_WEBP_QUALITY, 101)
        chunks.append((b"ANMF", bytes(6) + sides + b"\x64\0\0\0" + still[12:]))
    return riff(*chunks)


def exif(orientation: int, order: str = ">") -> bytes:
    """Write a TIFF structure that holds nothing but an orientation."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def camera_exif(
    taken: str | None = "2026:11:28 12:00:00",
    *,
    fraction: str | None = None,
    make: str | None = "Maker",
    model: str | None = "Model 7",
    serial: str | None = None,
    orientation: int = 6,
    order: str = ">",
) -> bytes:
    """An Exif block with a directory in a directory, as cameras write it."""
    texts: list[bytes] = []
    outer = [(0x010F, make), (0x0110, model)]
    inner = [(0x9003, taken), (0x9291, fraction), (0xA431, serial)]
    outer_count = sum(text is not None for _, text in outer) + 2
    inner_count = sum(text is not None for _, text in inner)
    inner_start = 8 + 2 + 12 * outer_count + 4
    text_start = inner_start + 2 + 12 * inner_count + 4

    def entry(tag: int, text: str) -> bytes:
        raw = text.encode() + b"\0"
        if len(raw) <= 4:
            return struct.pack(order + "HHI4s", tag, 2, len(raw), raw)
        at = text_start + sum(map(len, texts))
        texts.append(raw)
        return struct.pack(order + "HHII", tag, 2, len(raw), at)

    body = struct.pack(order + "H", outer_count)
    body += b"".join(entry(tag, text) for tag, text in outer if text is not None)
    body += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    body += struct.pack(order + "HHII", 0x8769, 4, 1, inner_start) + bytes(4)
    body += struct.pack(order + "H", inner_count)
    body += b"".join(entry(tag, text) for tag, text in inner if text is not None) + bytes(4)
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "I", 8) + body + b"".join(texts)


def jpeg_segment(code: int, content: bytes) -> bytes:
    """Frame content as a JPEG marker segment."""
    return struct.pack(">BBH", 0xFF, code, len(content) + 2) + content


def jpeg_with_exif(jpeg: bytes, block: bytes) -> bytes:
    """Put an APP1 segment with an Exif block after the SOI marker."""
    return jpeg[:2] + jpeg_segment(0xE1, b"Exif\0\0" + block) + jpeg[2:]


def flat_jpeg(levels: Sequence[int], adobe: int | None, height: int = 16, width: int = 24) -> bytes:
    """Write a baseline JPEG of one flat colour with as many components as there are levels.

    ``adobe`` is the colour transform that an Adobe marker states (0: none, 2: YCCK); None leaves
    the marker out. Levels are stored exactly: the quantisation step is 1, and a flat block has
    only its first coefficient, 8 x (level - 128). The twelve DC codes are 4 bits long, and "0"
    ends a block.
    """
    blocks = -(-height // 8) * -(-width // 8)
    bits, last = "", [128] * len(levels)
    for _ in range(blocks):
        for i, level in enumerate(levels):
            step, last[i] = 8 * (level - last[i]), level
            size = abs(step).bit_length()
            value = step if step >= 0 else step + (1 << size) - 1
            bits += f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    count = len(levels)
    frame = struct.pack(">BHHB", 8, height, width, count)
    frame += b"".join(bytes([i, 0x11, 0]) for i in range(1, count + 1))
    selectors = b"".join(bytes([i, 0]) for i in range(1, count + 1))
    marker = b"Adobe" + struct.pack(">HHHB", 100, 0, 0, adobe or 0)
    return b"".join(
        [
            b"\xff\xd8",
            b"" if adobe is None else jpeg_segment(0xEE, marker),
            jpeg_segment(0xDB, bytes([0]) + bytes([1] * 64)),
            jpeg_segment(0xC0, frame),
            jpeg_segment(0xC4, bytes([0x00, 0, 0, 0, 12, *[0] * 12, *range(12)])),
            jpeg_segment(0xC4, bytes([0x10, 1, *[0] * 15, 0])),
            jpeg_segment(0xDA, bytes([count]) + selectors + bytes([0, 63, 0])),
            scan,
            b"\xff\xd9",
        ]
    )


def png_chunk(name: bytes, content: bytes = b"") -> bytes:
    """Frame content as a PNG chunk."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png_chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Take a valid PNG apart into names and contents."""
    chunks, position = [], len(PNG_MAGIC)
    while position < len(png):
        length, name = struct.unpack_from(">I4s", png, position)
        chunks.append((name, png[position + 8 : position + 8 + length]))
        position += 12 + length
    return chunks


def png_of_chunks(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Put a PNG together from names and contents; lengths and CRCs come out right."""
    return PNG_MAGIC + b"".join(png_chunk(*chunk) for chunk in chunks)


def png(
    width: int,
    depth: int,
    colour_type: int,
    rows: Sequence[bytes],
    *,
    palette: bytes | None = None,
    transparency: bytes | None = None,
) -> bytes:
    """Write a PNG from packed rows, with a palette and a tRNS chunk if given."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0)
    optional = [(b"PLTE", palette), (b"tRNS", transparency)]
    return png_of_chunks(
        [
            (b"IHDR", header),
            *((name, content) for name, content in optional if content is not None),
            (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
            (b"IEND", b""),
        ]
    )


def black_png(side: int) -> bytes:
    """Write a valid RGB PNG of side x side black pixels in a few hundred bytes per megapixel.

    The rows of one band are deflated once and repeated, so that nothing of the picture's own size
    is ever held. ``side`` is a multiple of 20.
    """
    band, repeats = bytes(20 * (1 + 3 * side)), side // 20
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflater.compress(band) + deflater.flush(zlib.Z_FULL_FLUSH)
    checksum = 1
    for _ in range(repeats):
        checksum = zlib.adler32(band, checksum)
    stream = b"\x78\xda" + packed * repeats + b"\x03\0" + struct.pack(">I", checksum)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return png_of_chunks([(b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")])


def png_with_text(data: bytes, *texts: tuple[bytes, bytes]) -> bytes:
    """Put text chunks, given as name and content, after IHDR."""
    head, *rest = png_chunks(data)
    return png_of_chunks([head, *texts, *rest])


def raw_profile(name: bytes, content: bytes) -> bytes:
    """Write a profile as ImageMagick writes it into a text: name, length, digits in lines."""
    digits = content.hex().encode()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return b"\n" + name + b"\n%8d\n" % len(content) + b"\n".join(lines) + b"\n"


def png_with_exif(data: bytes, block: bytes) -> bytes:
    """Put an eXIf chunk after IHDR."""
    head, *rest = png_chunks(data)
    return png_of_chunks([head, (b"eXIf", block), *rest])


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Write a WebP file from its chunks."""
    body = b"WEBP"
    for name, content in chunks:
        body += name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(width: int, height: int, flags: int) -> tuple[bytes, bytes]:
    """Write the VP8X chunk that states a canvas."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def webp_with_exif(simple: bytes, width: int, height: int, block: bytes) -> bytes:
    """Extend a WebP of a single chunk by an Exif chunk."""
    picture = (simple[12:16], simple[20 : 20 + struct.unpack_from("<I", simple, 16)[0]])
    return riff(webp_canvas(width, height, 0x08), picture, (b"EXIF", block))


def gif(
    frames: Sequence[tuple[tuple[int, int, int, int], Sequence[int]]],
    *,
    screen: tuple[int, int],
    palette: bytes = bytes(sum(QUARTERS, ())),
    background: int = 0,
    transparent: int | None = None,
) -> bytes:
    """Write a GIF of at most four colours.

    A frame is its box (left, top, width, height) and its indices. The LZW stream clears the table
    before every index, so that codes stay 3 bits wide.
    """
    data = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x81, background, 0) + palette
    for box, indices in frames:
        if transparent is not None:
            data += b"\x21\xf9\x04" + bytes([1, 0, 0, transparent, 0])
        data += b"\x2c" + struct.pack("<HHHHB", *box, 0) + b"\x02" + _gif_codes(indices) + b"\0"
    return data + b"\x3b"


def _gif_codes(indices: Sequence[int]) -> bytes:
    codes = [code for index in indices for code in (4, index)] + [5]
    packed = sum(code << 3 * i for i, code in enumerate(codes))
    data = packed.to_bytes(-(-3 * len(codes) // 8), "little")
    cuts = [*range(0, len(data), 255), len(data)]
    return b"".join(bytes([b - a]) + data[a:b] for a, b in pairwise(cuts))


def bmp(
    width: int,
    height: int,
    bits: int,
    body: bytes,
    compression: int = 0,
    *,
    header: int = 40,
    masks: Sequence[int] = (),
) -> bytes:
    """Write a BMP with a header of a length and, up to 8 bits, a palette of QUARTERS.

    Masks stand behind the first 40 bytes, within a longer header or not.
    """
    palette = b"".join(bytes([b, g, r, 0]) for r, g, b in QUARTERS) if bits <= 8 else b""
    info = struct.pack(
        "<IiiHHIIiiII",
        header,
        width,
        height,
        1,
        bits,
        compression,
        len(body),
        0,
        0,
        len(palette) // 4,
        0,
    )
    info = (info + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def still_gif(width: int = 48, height: int = 32) -> bytes:
    """Draw :func:`quarters` as a GIF, exactly."""
    rows, columns = np.mgrid[:height, :width]
    indices = 2 * (rows >= height // 2) + (columns >= width // 2)
    return gif([((0, 0, width, height), indices.ravel().tolist())], screen=(width, height))


def valid_pictures(height: int = 32, width: int = 48) -> dict[str, bytes]:
    """Draw :func:`quarters` as a file of every kind; the key begins with the format's name."""
    # Here, since few of those who draw pictures draw these.
    import heifs
    import tiffs

    image = quarters(height, width)
    deep, ten = image.astype(np.uint16) * 257, np.rint(image * (1023 / 255)).astype(np.uint16)
    veiled = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    jpeg = encode(".jpg", image)
    lossless = encode(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 101)
    return {
        "jpeg": jpeg,
        "jpeg progressive": encode(".jpg", image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "jpeg restarts": encode(".jpg", image, cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
        "jpeg exif": jpeg_with_exif(jpeg, exif(1)),
        "png": encode(".png", image),
        "png alpha": encode(".png", veiled),
        "png animated": animated_png([veiled, veiled[::-1].copy(), veiled[:, ::-1].copy()]),
        "webp lossy": encode(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 90),
        "webp lossless": lossless,
        "webp exif": webp_with_exif(lossless, width, height, exif(1)),
        "webp animated": animated_webp([veiled, veiled[::-1].copy()]),
        "gif": still_gif(width, height),
        "bmp": encode(".bmp", image),
        "bmp grey": encode(".bmp", image[..., 0]),
        "heic": heifs.heic(image),
        "heic alpha": heifs.heic(veiled),
        "heic 10 bits": heifs.heic(ten, bits=10),
        "avif": heifs.avif(image),
        "avif alpha": heifs.avif(veiled),
        "avif 10 bits": heifs.avif(ten, bits=10),
        "tiff": tiffs.tiff(image, rows=8),
        "tiff alpha": tiffs.tiff(veiled, extra=2),
        "tiff 16 bits": tiffs.tiff(deep, rows=5, compression=tiffs.DEFLATE, order=">"),
        "tiff big": tiffs.tiff(image, big=True),
    }


def lethal_apng() -> bytes:
    """Write an APNG of :func:`quarters` that ends a process which hands it to ``cv2.imdecode``.

    OpenCV 4.12 to 5.0 crash at the chunk behind an animation frame that is cut short. The still
    picture in it is sound.
    """
    head, control, _, still, frame, (name, content), *_, end = png_chunks(
        valid_pictures()["png animated"]
    )
    short = (name, content[: len(content) // 2])
    return png_of_chunks([head, control, still, frame, short, (b"tEXt", bytes(26)), end])


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Spoil a file at a few random places: bytes changed, lost, repeated or added."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(spoilt) + 1)
        length = rng.randrange(1, 20)
        kind = rng.randrange(6)
        if kind == 0:
            del spoilt[at : at + length]
        elif kind == 1:
            spoilt[at:at] = spoilt[at : at + length]
        elif kind == 2:
            spoilt[at:at] = rng.randbytes(length)
        else:
            spoilt[at : at + 1] = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))])
    return bytes(spoilt)


def mutate_png(data: bytes, rng: random.Random) -> bytes:
    """Spoil the structure of a PNG: chunks lost, repeated, swapped, renamed, cut or altered.

    Lengths and CRCs are written anew, so that the damage gets past a decoder's first checks.
    """
    chunks = png_chunks(data)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        i, j = rng.randrange(len(chunks)), rng.randrange(len(chunks))
        name, content = chunks[i]
        kind = rng.randrange(6)
        if kind == 0 and len(chunks) > 1:
            del chunks[i]
        elif kind == 1:
            chunks.insert(j, (name, content))
        elif kind == 2:
            chunks[i], chunks[j] = chunks[j], chunks[i]
        elif kind == 3:
            names = (b"acTL", b"fcTL", b"fdAT", b"IDAT", b"PLTE", b"tRNS", b"IHDR", b"tEXt")
            chunks[i] = (rng.choice(names), content)
        elif kind == 4 and content:
            chunks[i] = (name, content[: rng.randrange(len(content))])
        elif content:
            altered = bytearray(content)
            altered[rng.randrange(min(len(altered), 26))] = rng.choice((0, 1, 4, 8, 16, 255))
            chunks[i] = (name, bytes(altered))
    return png_of_chunks(chunks)
