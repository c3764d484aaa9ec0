"""What the door lets in comes out upright and RGB, by one rule for each kind of sample."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import malformed
import numpy as np
import pytest
from door import KINDS, QUARTERS, VALID, many, middles
from hypothesis import given
from hypothesis import strategies as st

from catalog.descriptors.errors import InvalidInput, PictureError
from catalog.embedder.decode import decode, read
from catalog.embedder.formats import essence, inspect
from catalog.embedder.header import Header

# --- what comes in -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_decodes_to_its_picture(kind: str) -> None:
    """Every accepted kind of file gives its size, its format and its colours."""
    header = inspect(VALID[kind])
    assert header == Header(kind.split(maxsplit=1)[0], 48, 32, 1)
    picture = decode(VALID[kind])
    assert picture.shape == (32, 48, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    expected = QUARTERS[..., :1].repeat(3, axis=2) if kind == "bmp grey" else QUARTERS
    if kind.startswith("jpeg") or kind == "webp lossy":
        assert np.abs(middles(picture) - middles(expected)).max() <= 12
    else:
        assert np.array_equal(picture, expected)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp"])
def test_a_single_pixel_is_a_picture(extension: str) -> None:
    """A picture of 1 x 1 decodes, at every scale."""
    pixel = np.full((1, 1, 3), 128, np.uint8)
    for scale in (1, 2, 4, 8):
        picture = decode(malformed.encode(extension, pixel), scale)
        assert picture.shape == (1, 1, 3)
        assert np.abs(picture.astype(int) - 128).max() <= 3


def test_a_single_pixel_gif_is_a_picture() -> None:
    """A GIF of 1 x 1 decodes."""
    assert decode(malformed.gif([((0, 0, 1, 1), [3])], screen=(1, 1))).tolist() == [
        [list(malformed.QUARTERS[3])]
    ]


@many
@given(
    height=st.integers(1, 70), width=st.integers(1, 70), scale=st.sampled_from([1, 2, 4, 8]),
    progressive=st.booleans(),
)  # fmt: skip
def test_only_jpeg_honours_scale(height: int, width: int, scale: int, *, progressive: bool) -> None:
    """A JPEG is decoded smaller, sides rounded up; a PNG is decoded whole."""
    image = malformed.noise(height, width)
    jpeg = malformed.encode(".jpg", image, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive))
    assert decode(jpeg, scale).shape == (-(-height // scale), -(-width // scale), 3)
    assert np.array_equal(decode(malformed.encode(".png", image), scale), image)


@pytest.mark.parametrize("scale", [0, 3, 16, -1])
def test_other_scales_are_a_mistake_of_the_caller(scale: int) -> None:
    """A scale that libjpeg has no fast path for is refused as invalid input."""
    with pytest.raises(InvalidInput, match="scale"):
        decode(VALID["jpeg"], scale)


def test_a_known_header_is_not_read_again() -> None:
    """Passing the header gives the same picture as leaving it out."""
    data = malformed.jpeg_with_exif(VALID["jpeg"], malformed.exif(6))
    assert np.array_equal(decode(data, 2, inspect(data)), decode(data, 2))


def test_bytes_after_the_end_are_ignored() -> None:
    """Films behind a phone's JPEG, further JPEGs of an MPO and other tails do no harm."""
    jpeg = VALID["jpeg"]
    expected = decode(jpeg)
    for tail in (b"\0" * 99, b"MotionPhoto_Data\0\0\0\x18ftypmp42", jpeg, jpeg[: len(jpeg) // 2]):
        assert np.array_equal(decode(jpeg + tail), expected)
    for kind in ("png", "webp lossless", "gif", "bmp"):
        assert np.array_equal(decode(VALID[kind] + b"tail"), QUARTERS)


@pytest.mark.parametrize("kind", ["png animated", "webp animated", "gif"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    """Frames after the first leave no trace."""
    if kind == "gif":
        boxes = [((0, 0, 2, 2), [0, 1, 2, 3]), ((0, 0, 2, 2), [3, 3, 3, 3])]
        picture = decode(malformed.gif(boxes, screen=(2, 2)))
        assert picture.reshape(4, 3).tolist() == [list(c) for c in malformed.QUARTERS]
    else:
        assert np.array_equal(decode(VALID[kind]), QUARTERS)


def test_extensions_of_a_gif_are_kept_from_the_decoder() -> None:
    """Comments, loops and unknown extensions before the frame are cut away; its control stays."""
    still = malformed.gif([((0, 0, 2, 1), [0, 3])], screen=(2, 1), transparent=3)
    start = still.index(b"\x21\xf9")
    stranger = b"\x21\xfe\x03abc\0" + b"\x21\xff\x0bNETSCAPE2.0\x03\1\0\0\0" + b"\x21\x99\x01a\0"
    crowded = still[:start] + stranger + still[start:]
    assert essence(crowded, inspect(crowded)) == still
    assert decode(crowded).tolist() == [[list(malformed.QUARTERS[0]), [255] * 3]]


def test_a_gif_frame_smaller_than_its_screen_lies_on_the_background() -> None:
    """What the first frame leaves uncovered has the background, or is white if transparent."""
    red, green, blue, yellow = (list(c) for c in malformed.QUARTERS)
    boxes = [((1, 1, 2, 1), [2, 3])]
    opaque = decode(malformed.gif(boxes, screen=(3, 2), background=1))
    assert opaque.tolist() == [[green] * 3, [green, blue, yellow]]
    veiled = decode(malformed.gif(boxes, screen=(3, 2), background=1, transparent=3))
    assert veiled.tolist() == [[[255] * 3] * 3, [[255] * 3, blue, [255] * 3]]
    assert red not in veiled.reshape(-1, 3).tolist()


# --- orientation ---------------------------------------------------------------------------------

TURNED = QUARTERS.swapaxes(0, 1)
# Stored so that row 0 and column 0 are the sides of the upright picture that Exif names.
STORED = {
    1: QUARTERS,  # top, left
    2: QUARTERS[:, ::-1],  # top, right
    3: QUARTERS[::-1, ::-1],  # bottom, right
    4: QUARTERS[::-1],  # bottom, left
    5: TURNED,  # left, top
    6: TURNED[::-1],  # right, top
    7: TURNED[::-1, ::-1],  # right, bottom
    8: TURNED[:, ::-1],  # left, bottom
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, order: str) -> None:
    """All eight orientations come out upright from JPEG, PNG and WebP, by the same rule."""
    stored = np.ascontiguousarray(STORED[orientation])
    height, width = stored.shape[:2]
    block = malformed.exif(orientation, order)
    lossless = malformed.encode(".webp", stored, cv2.IMWRITE_WEBP_QUALITY, 101)
    png = malformed.png_with_exif(malformed.encode(".png", stored), block)
    webp = malformed.webp_with_exif(lossless, width, height, block)
    jpeg = malformed.jpeg_with_exif(malformed.encode(".jpg", stored), block)
    for data in (png, webp, jpeg):
        header = inspect(data)
        assert (header.width, header.height, header.orientation) == (width, height, orientation)
    assert np.array_equal(decode(png), QUARTERS)
    assert np.array_equal(decode(webp), QUARTERS)
    assert np.abs(middles(decode(jpeg)) - middles(QUARTERS)).max() <= 12
    assert decode(jpeg).flags.c_contiguous
    assert decode(jpeg, 8).shape == (4, 6, 3)


def test_webp_exif_may_carry_the_jpeg_prefix() -> None:
    """Some writers copy the six bytes of a JPEG's Exif segment into a WebP."""
    stored = np.ascontiguousarray(STORED[6])
    lossless = malformed.encode(".webp", stored, cv2.IMWRITE_WEBP_QUALITY, 101)
    data = malformed.webp_with_exif(lossless, 32, 48, b"Exif\0\0" + malformed.exif(6))
    assert np.array_equal(decode(data), QUARTERS)


@pytest.mark.parametrize(
    "block",
    [b"", b"MM\0*", malformed.exif(0), malformed.exif(9), malformed.exif(6)[:17],
     malformed.exif(6)[:4] + b"\xff\xff\xff\xff", b"XX" + malformed.exif(6)],
)  # fmt: skip
def test_senseless_exif_means_upright(block: bytes) -> None:
    """An Exif block that is cut, empty or out of range never refuses a picture."""
    assert np.array_equal(
        decode(malformed.jpeg_with_exif(VALID["jpeg"], block)), decode(VALID["jpeg"])
    )


@many
@given(block=st.binary(max_size=60), order=st.sampled_from([b"II*\0", b"MM\0*"]))
def test_any_exif_gives_an_orientation(block: bytes, order: bytes) -> None:
    """Whatever an Exif block holds, the orientation is one of eight."""
    header = inspect(malformed.png_with_exif(VALID["png"], order + block))
    assert header.orientation in range(1, 9)


# --- samples -------------------------------------------------------------------------------------


def test_sixteen_bits_are_rounded() -> None:
    """Every 16-bit value becomes the nearest 8-bit one, in grey and in colour."""
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 257).astype(np.uint8)
    grey = decode(malformed.encode(".png", values))
    assert np.array_equal(grey, expected[..., None].repeat(3, axis=2))
    colour = np.dstack([values, values[::-1], values.T])
    picture = decode(malformed.encode(".png", colour))
    assert np.array_equal(picture, np.dstack([expected, expected[::-1], expected.T]))


def test_alpha_lies_over_white() -> None:
    """Every level under every alpha is the rounded mixture with white."""
    level, alpha = np.meshgrid(np.arange(256), np.arange(256))
    expected = np.rint((level * alpha + 255 * (255 - alpha)) / 255).astype(np.uint8)
    image = np.dstack([level, 255 - level, level, alpha]).astype(np.uint8)
    lossless = malformed.encode(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 101)
    for data in (malformed.encode(".png", image), lossless):
        picture = decode(data)
        assert np.array_equal(picture[..., 0], expected)
        assert np.array_equal(picture[..., 1], expected[:, ::-1])
    deep = malformed.encode(".png", image.astype(np.uint16) * 257)
    assert np.array_equal(decode(deep), decode(malformed.encode(".png", image)))


def test_grey_with_alpha_lies_over_white() -> None:
    """A PNG of grey and alpha is composed like any other, at 8 and at 16 bits."""
    rows = [bytes([10, 255, 10, 0, 100, 128])]
    expected = [[10] * 3, [255] * 3, [177] * 3]
    assert decode(malformed.png(3, 8, 4, rows)).tolist() == [expected]
    deep = [struct.pack(">6H", *(257 * v for v in rows[0]))]
    assert decode(malformed.png(3, 16, 4, deep)).tolist() == [expected]


@pytest.mark.parametrize(("depth", "top"), [(1, 1), (2, 3), (4, 15), (8, 255), (16, 65535)])
def test_grey_of_every_depth_fills_the_range(depth: int, top: int) -> None:
    """Grey PNGs run from black to white, and a level declared transparent is white."""
    if depth == 16:
        row = struct.pack(">2H", 0, top)
    else:
        row = bytes([0, top]) if depth == 8 else bytes([top << (8 - 2 * depth)])
    black, white = [0] * 3, [255] * 3
    assert decode(malformed.png(2, depth, 0, [row])).tolist() == [[black, white]]
    keyed = malformed.png(2, depth, 0, [row], transparency=struct.pack(">H", 0))
    assert decode(keyed).tolist() == [[white, white]]
    keyed = malformed.png(2, depth, 0, [row], transparency=struct.pack(">H", top))
    assert decode(keyed).tolist() == [[black, white]]


def test_a_colour_declared_transparent_is_white() -> None:
    """The tRNS chunk of an RGB PNG names one colour, at 8 and at 16 bits."""
    eight = malformed.png(
        2, 8, 2, [bytes([1, 2, 3, 4, 5, 6])], transparency=bytes([0, 1, 0, 2, 0, 3])
    )
    assert decode(eight).tolist() == [[[255] * 3, [4, 5, 6]]]
    row = struct.pack(">6H", 257, 514, 771, 1028, 1285, 1542)
    sixteen = malformed.png(2, 16, 2, [row], transparency=row[:6])
    assert decode(sixteen).tolist() == [[[255] * 3, [4, 5, 6]]]


def test_a_palette_is_looked_up() -> None:
    """Palette PNGs give their colours; those with a tRNS entry are composed over white."""
    palette = bytes(sum(malformed.QUARTERS, ()))
    red, green, blue, yellow = (list(c) for c in malformed.QUARTERS)
    plain = malformed.png(4, 2, 3, [bytes([0b00011011])], palette=palette)
    assert decode(plain).tolist() == [[red, green, blue, yellow]]
    veiled = malformed.png(4, 8, 3, [bytes(range(4))], palette=palette, transparency=bytes([0, 51]))
    pale = [255 - round((255 - c) * 51 / 255) for c in green]
    assert decode(veiled).tolist() == [[[255] * 3, pale, blue, yellow]]


@pytest.mark.parametrize("adobe", [None, 0])
@pytest.mark.parametrize(
    "levels", [(255, 255, 255, 255), (0, 0, 0, 0), (255, 0, 0, 255), (200, 100, 50, 128)]
)
def test_cmyk_is_read_as_adobe_writes_it(levels: tuple[int, ...], adobe: int | None) -> None:
    """The four levels of a CMYK JPEG are inverted inks: each colour is c x k / 255."""
    picture = decode(malformed.flat_jpeg(levels, adobe))
    *inks, black = levels
    expected = np.array([c * black / 255 for c in inks])
    assert picture.shape == (16, 24, 3)
    assert np.abs(picture - expected).max() <= 1.5
    assert np.abs(decode(malformed.flat_jpeg(levels, adobe), 8) - expected).max() <= 1.5


def test_ycck_is_read_as_adobe_writes_it() -> None:
    """The first three levels of a YCCK JPEG are an inverted YCbCr."""
    luma, blueness, redness, black = 120, 100, 150, 200
    inverted = np.array(
        [
            luma + 1.402 * (redness - 128),
            luma - 0.344136 * (blueness - 128) - 0.714136 * (redness - 128),
            luma + 1.772 * (blueness - 128),
        ]
    )
    picture = decode(malformed.flat_jpeg((luma, blueness, redness, black), 2))
    assert np.abs(picture - (255 - inverted) * black / 255).max() <= 2.5


def test_a_grey_jpeg_has_three_equal_channels() -> None:
    """One component is repeated into red, green and blue."""
    assert set(decode(malformed.flat_jpeg((77,), None)).ravel().tolist()) == {77}


def test_bmp_variants() -> None:
    """Palettes, 16 and 32 bits, run lengths and rows from the top come out alike."""
    red, green, blue, yellow = (list(c) for c in malformed.QUARTERS)
    rows = bytes([2, 3, 0, 0]) + bytes([0, 1, 0, 0])  # from the bottom
    expected = [[red, green], [blue, yellow]]
    assert decode(malformed.bmp(2, 2, 8, rows)).tolist() == expected
    assert decode(malformed.bmp(2, -2, 8, rows)).tolist() == expected[::-1]
    assert (
        decode(malformed.bmp(2, 2, 4, bytes([0x23, 0, 0, 0, 0x01, 0, 0, 0]))).tolist() == expected
    )
    runs = bytes([1, 2, 1, 3, 0, 0, 1, 0, 1, 1, 0, 1])
    assert decode(malformed.bmp(2, 2, 8, runs, compression=1)).tolist() == expected
    assert decode(malformed.bmp(1, 1, 16, struct.pack("<HH", 0x7C00, 0))).tolist() == [
        [[255, 0, 0]]
    ]
    assert decode(malformed.bmp(1, 1, 32, bytes([3, 2, 1, 0]))).tolist() == [[[1, 2, 3]]]


LAYOUTS = {
    "555": (16, (0x7C00, 0x03E0, 0x001F)),
    "565": (16, (0xF800, 0x07E0, 0x001F)),
    "444": (16, (0x0F00, 0x00F0, 0x000F)),
    "8880": (32, (0xFF0000, 0x00FF00, 0x0000FF)),
    "0888": (32, (0xFF000000, 0x00FF0000, 0x0000FF00)),
    "backwards": (32, (0x0000FF, 0x00FF00, 0xFF0000)),
    "10 bits": (32, (0x3FF00000, 0x000FFC00, 0x000003FF)),
}


@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_of_a_bmp_are_read_wherever_they_stand(layout: str, header: int) -> None:
    """Every header and depth: colours lie where the masks say, and fill the range."""
    bits, masks = LAYOUTS[layout]
    pixels = np.random.default_rng(header).integers(0, 2**bits, (5, 7), np.uint64)
    expected = np.empty((5, 7, 3))
    for channel, mask in enumerate(masks):
        most = mask // (mask & -mask)
        levels = (pixels & np.uint64(mask)) // np.uint64(mask & -mask)
        expected[..., channel] = np.floor(levels * 255 / most + 0.5)
    kind = np.dtype("<u2" if bits == 16 else "<u4")
    rows = np.pad(pixels.astype(kind), ((0, 0), (0, 7 % (4 // kind.itemsize))))
    options = {"compression": 3, "header": header, "masks": masks}
    assert np.array_equal(decode(malformed.bmp(7, -5, bits, rows.tobytes(), **options)), expected)
    upwards = malformed.bmp(7, 5, bits, rows[::-1].tobytes(), **options)
    assert np.array_equal(decode(upwards), expected)
    if layout == "555":
        plain = malformed.bmp(7, -5, bits, rows.tobytes(), header=header)
        assert np.array_equal(decode(plain), expected)


@pytest.mark.parametrize(
    ("bits", "masks", "reason"),
    [
        (16, (0, 0x07E0, 0x001F), "corrupt"),
        (16, (0xF80000, 0x07E0, 0x001F), "corrupt"),
        (16, (0xF801, 0x07E0, 0x001F), "corrupt"),
        (32, (0xFF00, 0x0FF0, 0x000F), "corrupt"),
        (24, (0xFF0000, 0xFF00, 0xFF), "unsupported"),
    ],
)
def test_senseless_masks_are_refused(bits: int, masks: tuple[int, ...], reason: str) -> None:
    """Masks of nothing, beyond the pixel, with gaps or over each other are no colours."""
    data = malformed.bmp(2, 2, bits, bytes(24), 3, masks=masks)
    with pytest.raises(PictureError) as refused:
        decode(data)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("bits", "compression"), [(16, 1), (16, 2), (4, 1), (8, 2), (32, 1)])
def test_run_lengths_of_other_depths_are_refused_by_name(bits: int, compression: int) -> None:
    """Runs are of 8 bits or of 4, as the compression says."""
    with pytest.raises(PictureError, match=f"{bits} bits and compression") as refused:
        decode(malformed.bmp(2, 2, bits, b"\0\1", compression))
    assert refused.value.reason == "unsupported"


@pytest.mark.parametrize("screen", [(2, 1), (0, 0), (3, 9)])
def test_a_gif_frame_beyond_its_screen_enlarges_it(screen: tuple[int, int]) -> None:
    """The screen is what it says and its first frame together, as in a browser."""
    red, green, blue, yellow = (list(c) for c in malformed.QUARTERS)
    frame = ((1, 1, 2, 1), [2, 3])
    data = malformed.gif([frame, ((0, 0, 40, 40), [0] * 1600)], screen=screen, background=1)
    width, height = max(screen[0], 3), max(screen[1], 2)
    expected = np.full((height, width, 3), green)
    expected[1, 1:3] = blue, yellow
    assert (inspect(data).width, inspect(data).height) == (width, height)
    assert np.array_equal(decode(data), expected)
    assert red not in decode(data).reshape(-1, 3).tolist()


# --- where orientation is written ----------------------------------------------------------------

XMP = b"<rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' %s/>"
EXIF_6 = b"Exif\0\0" + malformed.exif(6)
TEXTS = {
    "profile": (b"zTXt", b"Raw profile type exif\0\0", malformed.raw_profile(b"exif", EXIF_6)),
    "APP1": (b"tEXt", b"Raw profile type APP1\0", malformed.raw_profile(b"a profile", EXIF_6)),
    "bare": (b"tEXt", b"Raw profile type exif\0", malformed.raw_profile(b"exif", EXIF_6[6:])),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0", XMP % b'tiff:Orientation="6"'),
    "XMP packed": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0", XMP % b"tiff:Orientation='6'"),
    "XMP element": (
        b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0", b"<tiff:Orientation>6</tiff:Orientation>",
    ),
    "XMP profile": (
        b"zTXt", b"Raw profile type xmp\0\0",
        malformed.raw_profile(b"xmp", XMP % b'tiff:Orientation="6"'),
    ),
}  # fmt: skip


def text_chunk(name: str, content: bytes | None = None) -> tuple[bytes, bytes]:
    """Write one of :data:`TEXTS`, packed where it says so."""
    kind, head, usual = TEXTS[name]
    body = usual if content is None else content
    packed = kind == b"zTXt" or head.endswith(b"\1\0\0\0")
    return kind, head + (zlib.compress(body) if packed else body)


@pytest.mark.parametrize("name", TEXTS)
def test_a_png_says_in_a_text_how_it_is_held(name: str) -> None:
    """Raw Exif profiles and XMP turn a PNG that has no Exif chunk, and give way to one."""
    png = malformed.encode(".png", np.ascontiguousarray(STORED[6]))
    turned = malformed.png_with_text(png, text_chunk(name))
    assert np.array_equal(decode(turned), QUARTERS)
    plain = malformed.png_with_exif(turned, malformed.exif(1))
    assert np.array_equal(decode(plain), STORED[6])


@pytest.mark.parametrize("name", TEXTS)
def test_senseless_texts_mean_upright(name: str) -> None:
    """A text of nothing, of chance, or that inflates without end never refuses a PNG."""
    for content in (b"", b"\n", b"\nexif\n 99999999999\nzz", bytes(2**24), b"\xff" * 99):
        data = malformed.png_with_text(VALID["png"], text_chunk(name, content))
        assert inspect(data).orientation == 1
        kind, head, _ = TEXTS[name]
        data = malformed.png_with_text(VALID["png"], (kind, head[:-1]), (kind, head + content[:50]))
        assert np.array_equal(decode(data), QUARTERS)


def test_xmp_of_a_jpeg_and_a_webp_is_not_asked() -> None:
    """They have a place for Exif, and browsers look nowhere else."""
    packet = XMP % b'tiff:Orientation="6"'
    segment = malformed.jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    assert inspect(VALID["jpeg"][:2] + segment + VALID["jpeg"][2:]).orientation == 1
    lossless = VALID["webp lossless"]
    canvas = malformed.webp_canvas(48, 32, 4)
    data = malformed.riff(canvas, (b"VP8L", lossless[20:]), (b"XMP ", packet))
    assert inspect(data).orientation == 1


def test_a_jpeg_by_any_name_is_a_jpeg(tmp_path: Path) -> None:
    """An MPO, which is one JPEG behind another, gives its first, and no name is looked at."""
    others = malformed.encode(".jpg", malformed.noise(64, 80))
    index = malformed.jpeg_segment(0xE2, b"MPF\0II*\0" + bytes(20))
    mpo = VALID["jpeg"][:2] + index + VALID["jpeg"][2:] + bytes(7) + others
    for name in ("a.jfif", "a.jpe", "a.mpo", "a.txt"):
        (tmp_path / name).write_bytes(mpo)
        assert np.array_equal(decode(read(tmp_path / name)), decode(VALID["jpeg"]))
