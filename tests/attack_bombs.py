"""The largest pictures that pass the header check, in files as small as can be.

What decoding costs at most is measured on them; nothing of a picture's own size is held to write
one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import attack_bmp
import cv2
import heifs
import malformed
import numpy as np
import tiffs
from attack_bits import packed
from attack_png import SAMPLES
from malformed import jpeg_segment, png_chunk, png_of_chunks, riff


def png(
    width: int, height: int, depth: int, kind: int, *, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """Write a black PNG; ``extra`` is whole chunks to stand before the data."""
    length = height * (1 + (width * depth * SAMPLES[kind] + 7) // 8)
    if interlaced:
        length += 8 * height + length // 8
    deflater = zlib.compressobj(1)
    step = 2**20
    parts = [deflater.compress(bytes(min(step, length - at))) for at in range(0, length, step)]
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    head = malformed.PNG_MAGIC + png_chunk(b"IHDR", header) + extra
    stream = b"".join(parts) + deflater.flush()
    return head + png_chunk(b"IDAT", stream) + png_chunk(b"IEND")


def jpeg(width: int, height: int, components: int, scans: int = 0, *, apart: bool = False) -> bytes:
    """Write a grey JPEG of many components: baseline, or progressive of that many scans.

    The components of a baseline one are in one scan, or in scans of their own (``apart``).

    The scans after the first each refine all coefficients of one component, by end-of-band runs as
    long as there are: a few hundred bytes for a pass over every coefficient.
    """
    blocks = -(-width // 8) * -(-height // 8)
    names = range(1, components + 1)
    frame = struct.pack(">BHHB", 8, height, width, components)
    frame += b"".join(bytes([name, 0x11, 0]) for name in names)
    selectors = bytes([components]) + b"".join(bytes([name, 0]) for name in names)
    parts = [
        b"\xff\xd8",
        jpeg_segment(0xDB, bytes([0]) + bytes([1] * 64)),
        jpeg_segment(0xC2 if scans else 0xC0, frame),
        jpeg_segment(0xC4, bytes([0x00, 0, 0, 0, 12, *[0] * 12, *range(12)])),
    ]
    if not scans:
        parts.append(jpeg_segment(0xC4, bytes([0x10, 1, *[0] * 15, 0])))
        each = [selectors]
        if apart:
            each = [bytes([1, name, 0]) for name in names]
        for chosen in each:
            parts.append(jpeg_segment(0xDA, chosen + bytes([0, 63, 0])))
            parts.append(bytes(-(-5 * blocks * chosen[0] // 8)))
    else:
        parts.append(jpeg_segment(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0])))
        parts.append(jpeg_segment(0xDA, selectors + bytes([0, 0, 0])))
        parts.append(bytes(-(-4 * blocks * components // 8)))
        runs = packed([(2**14 - 1, 15)] * -(-blocks // 32767), first_low=False)
        stuffed = runs.replace(b"\xff", b"\xff\0")
        for scan in range(scans - 1):
            high = 13 - scan // components % 13
            name = 1 + scan % components
            selection = bytes([1, name, 0, 1, 63, high << 4 | high - 1])
            parts += [jpeg_segment(0xDA, selection), stuffed]
    return b"".join([*parts, b"\xff\xd9"])


def webp(width: int, height: int, quality: int) -> bytes:
    """Encode a black WebP; lossless above a quality of 100."""
    black = np.zeros((height, width, 3), np.uint8)
    return malformed.encode(".webp", black, cv2.IMWRITE_WEBP_QUALITY, quality)


def webp_animated(width: int, height: int) -> bytes:
    """Write an animated WebP with a small frame on a large canvas."""
    still = malformed.encode(
        ".webp", np.zeros((16, 16, 4), np.uint8), cv2.IMWRITE_WEBP_QUALITY, 101
    )
    sides = (15).to_bytes(3, "little") * 2
    frame = bytes(6) + sides + b"\x64\0\0\0" + still[12:]
    canvas = malformed.webp_canvas(width, height, 0x12)
    return riff(canvas, (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * 3)


def gif(width: int, height: int) -> bytes:
    """Write a GIF of one colour whose codes each name the longest run there is yet."""
    left, size = width * height, 3
    codes: list[tuple[int, int]] = []
    while left > 0:
        codes += [(4, size), (0, 3)]
        following, size, run = 6, 3, 1
        left -= 1
        while run < left and following < 4096:
            run += 1
            codes.append((following, size))
            left -= run
            following += 1
            size = min(12, following.bit_length())
    data = packed([*codes, (5, size)])
    cuts = range(0, len(data), 255)
    blocks = b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in cuts)
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + bytes(12)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return head + frame + b"\x02" + blocks + b"\0\x3b"


def bmp_runs(width: int, height: int) -> bytes:
    """Write a BMP of run lengths that ends at once."""
    return attack_bmp.written(width, height, 8, b"\0\1", compression=1)


def tiled(kind: str, bits: int = 8, *, alpha: bool = False) -> bytes:
    """Write a HEIC or an AVIF of 50 megapixels: tiles that are all the same noise, listed often."""
    noise = np.random.default_rng(0).integers(0, 2**bits, (500, 500, 3 + alpha))
    image = noise.astype(np.uint16 if bits > 8 else np.uint8)
    if alpha:  # libheif and libavif want one for the grid, too; a whole picture is enough here
        return heifs.avif(np.zeros((5_000, 10_000, 4), np.uint8), quality=60)
    if kind == "avif":
        tile = heifs.coded(heifs.avif(image, bits=bits, quality=60))
    else:
        tile = heifs.coded(heifs.heic(image, bits=bits, quality=30, chroma="420"))
    columns, rows = -(-10_000 // tile.size[0]), -(-5_000 // tile.size[1])
    return heifs.muxed([tile] * (columns * rows), grid=(columns, rows), size=(10_000, 5_000))


def tiff(bits: int, channels: int, photometric: int, width: int = 10_000) -> bytes:
    """Write a black TIFF of 50 megapixels in one strip, packed."""
    height = 50_000_000 // width
    length = -(-width * bits * channels // 8) * height
    deflater = zlib.compressobj(1)
    step = 2**20
    parts = [deflater.compress(bytes(min(step, length - at))) for at in range(0, length, step)]
    fields = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [8]),
        262: (3, [photometric]), 277: (3, [channels]), 278: (4, [height]),
    }  # fmt: skip
    if photometric == tiffs.RGB and channels == 4:
        fields[338] = (3, [2])
    if photometric == tiffs.PALETTE:
        fields[320] = (3, [0] * 3 * 2**bits)
    return tiffs.written(fields, [b"".join(parts) + deflater.flush()])


def parts_of_nothing(kind: str, size: int = 60 * 2**20) -> bytes:
    """Write a picture with as many empty parts as its bytes allow: work for the header check."""
    valid = malformed.valid_pictures()
    if kind == "jpeg":
        return valid["jpeg"][:2] + b"\xff\xfe\0\2" * (size // 4) + valid["jpeg"][2:]
    if kind == "png":
        chunks = malformed.png_chunks(valid["png"])
        whole = png_of_chunks(chunks[:1])
        return whole + png_chunk(b"tEXt") * (size // 12) + png_of_chunks(chunks[1:])[8:]
    if kind == "webp":
        body = b"WEBP" + valid["webp lossless"][12:] + (b"QQQQ" + bytes(4)) * (size // 8)
        return b"RIFF" + struct.pack("<I", len(body)) + body
    still = valid["gif"]
    if kind == "gif":
        return still[:-1] + b"\x21\xfe\0" * (size // 3) + b"\x3b"
    return still[:-1] + b"\x21\xfe" + b"\1\0" * (size // 2) + b"\0\x3b"


ALLOWED: dict[str, Callable[[], bytes]] = {
    "png rgb 8": lambda: png(10_000, 5_000, 8, 2),
    "png rgba 16": lambda: png(10_000, 5_000, 16, 6),
    "png rgba 16 interlaced": lambda: png(10_000, 5_000, 16, 6, interlaced=True),
    "png rgb 16 keyed": lambda: png(
        20_000, 2_500, 16, 2, extra=png_chunk(b"tRNS", bytes(6))
    ),
    "png grey 16 keyed": lambda: png(2_500, 20_000, 16, 0, extra=png_chunk(b"tRNS", bytes(2))),
    "png grey 1 interlaced": lambda: png(20_000, 2_500, 1, 0, interlaced=True),
    "jpeg baseline": lambda: jpeg(16_320, 12_240, 3),
    "jpeg baseline cmyk": lambda: jpeg(16_320, 12_240, 4),
    "jpeg baseline apart": lambda: jpeg(16_000, 10_000, 3, apart=True),
    "jpeg progressive 12 scans": lambda: jpeg(16_000, 10_000, 3, 12),
    "jpeg progressive cmyk 16 scans": lambda: jpeg(12_000, 10_000, 4, 16),
    "jpeg progressive grey 10 scans": lambda: jpeg(16_320, 12_240, 1, 10),
    "jpeg progressive 64 scans": lambda: jpeg(6_250, 5_000, 3, 64),
    "webp lossy": lambda: webp(10_000, 5_000, 80),
    "webp lossless": lambda: webp(10_000, 5_000, 101),
    "webp animated": lambda: webp_animated(10_000, 5_000),
    "gif": lambda: gif(10_000, 5_000),
    "bmp rle8": lambda: bmp_runs(10_000, 5_000),
    "bmp masks": lambda: attack_bmp.written(
        8_000, 2_000, 32, bytes(4 * 8_000 * 2_000), compression=3,
        masks=(0xFF0000, 0xFF00, 0xFF), header=108,
    ),
    "heic": lambda: tiled("heic"),
    "heic 10 bits": lambda: tiled("heic", 10),
    "avif": lambda: tiled("avif"),
    "avif 12 bits": lambda: tiled("avif", 12),
    "avif alpha": lambda: tiled("avif", alpha=True),
    "tiff rgb 8": lambda: tiff(8, 3, tiffs.RGB),
    "tiff rgba 8": lambda: tiff(8, 4, tiffs.RGB),
    "tiff rgba 16": lambda: tiff(16, 4, tiffs.RGB),
    "tiff cmyk": lambda: tiff(8, 4, tiffs.CMYK),
    "tiff palette 1": lambda: tiff(1, 1, tiffs.PALETTE, 20_000),
    "bmp 1 bit": lambda: attack_bmp.written(
        20_000, 2_500, 1, bytes((20_000 + 31) // 32 * 4 * 2_500)
    ),
}  # fmt: skip
"""The largest pictures of each kind, to be written when asked for."""
