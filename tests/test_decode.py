"""What the door lets in comes out upright and RGB, by one rule for each kind of sample."""

from __future__ import annotations

import struct

import cv2
import malformed
import numpy as np
import pytest
from door import KINDS, QUARTERS, VALID, many, middles
from hypothesis import given
from hypothesis import strategies as st

from catalog.descriptors.errors import InvalidInput
from catalog.embedder.decode import decode
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
    assert decode(malformed.bmp(1, 1, 16, struct.pack("<HH", 0x7C00, 0)))[0, 0, 0] >= 248
    assert decode(malformed.bmp(1, 1, 32, bytes([3, 2, 1, 0]))).tolist() == [[[1, 2, 3]]]
