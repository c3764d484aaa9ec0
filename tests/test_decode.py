"""The door: what is let in comes out upright and RGB, the rest is refused with its reason."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import malformed
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptors.errors import InvalidInput, PictureError
from embedder.decode import decode, read
from embedder.formats import Header, Limits, inspect

VALID = malformed.valid_pictures()
KINDS = sorted(VALID)
QUARTERS = malformed.quarters()
many = settings(max_examples=400, deadline=None)


def refusal(data: bytes) -> str:
    """Decode what must be refused, and say why it was."""
    with pytest.raises(PictureError) as refused:
        decode(data)
    return refused.value.reason


def decode_or_refuse(data: bytes, scale: int = 1) -> None:
    """Check that bytes give a proper picture or a proper refusal, and nothing else."""
    try:
        picture = decode(data, scale)
    except PictureError:
        return
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert picture.size > 0
    assert picture.flags.c_contiguous


def middles(picture: np.ndarray) -> np.ndarray:
    """Take the colour in the middle of each quarter, far from where a lossy codec blurs."""
    height, width = picture.shape[:2]
    return picture[[height // 4, 3 * height // 4]][:, [width // 4, 3 * width // 4]].astype(int)


def run_child(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code beside this process, with the project and the tests on its path."""
    tests = Path(__file__).resolve().parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENCV_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tests.parent), str(tests)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_refused_as_truncated(kind: str) -> None:
    """A file of any format that lost its tail, be it one byte, is never half a picture."""
    whole = VALID[kind]
    assert {refusal(whole[:n]) for n in range(1, len(whole))} == {"truncated"}


@many
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), progressive=st.booleans(), data=st.data()
)
def test_a_cut_jpeg_is_refused(
    height: int, width: int, *, progressive: bool, data: st.DataObject
) -> None:
    """Whatever its size and wherever it is cut, also when zeros fill the gap."""
    options = (cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive))
    whole = malformed.encode(".jpg", malformed.noise(height, width), *options)
    length = data.draw(st.integers(1, len(whole) - 1), label="length")
    assert refusal(whole[:length]) == "truncated"
    filled = whole[:length] + bytes(len(whole) - length)
    assert refusal(filled) in {"truncated", "corrupt", "unsupported"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "empty", id="no bytes"),
        pytest.param(b"this is no picture, whatever its name", "unsupported", id="text"),
        pytest.param(b"BMW makes cars, and this is a text", "unsupported", id="text with BM"),
        pytest.param(b"II*\0" + bytes(60), "unsupported", id="TIFF"),
        pytest.param(b"\0\0\0\x18ftypheic" + bytes(60), "unsupported", id="HEIC"),
        pytest.param(b"RIFF\x24\0\0\0WAVEfmt " + bytes(60), "unsupported", id="WAV"),
        pytest.param(VALID["jpeg"][:-2], "truncated", id="JPEG without EOI"),
        pytest.param(VALID["jpeg"][:2] + VALID["jpeg"], "corrupt", id="JPEG with two SOI"),
        pytest.param(VALID["jpeg"][:20] + b"\xff\xd9", "corrupt", id="JPEG without a picture"),
        pytest.param(VALID["png"][:-12], "truncated", id="PNG without IEND"),
        pytest.param(VALID["png"][:-14] + b"??" + VALID["png"][-12:], "corrupt", id="PNG CRC"),
        pytest.param(
            malformed.png(9, 8, 3, [bytes(9)]), "corrupt", id="palette PNG without a palette"
        ),
        pytest.param(malformed.riff((b"EXIF", b"")), "corrupt", id="WebP without a picture"),
        pytest.param(
            malformed.webp_with_exif(VALID["webp lossless"], 9, 9, b""),
            "corrupt",
            id="WebP larger than its canvas",
        ),
        pytest.param(malformed.gif([], screen=(4, 4)), "corrupt", id="GIF without a frame"),
        pytest.param(
            malformed.gif([((0, 0, 9, 9), [0] * 81)], screen=(4, 4)),
            "corrupt",
            id="GIF frame beyond its screen",
        ),
        pytest.param(
            malformed.gif([((0, 0, 4, 4), [0])], screen=(4, 4)), "corrupt", id="GIF of few pixels"
        ),
        pytest.param(malformed.bmp(4, 4, 24, b"\0" * 47), "truncated", id="BMP short of a byte"),
        pytest.param(malformed.bmp(0, 4, 24, b""), "corrupt", id="BMP of no width"),
        pytest.param(malformed.bmp(4, 4, 24, VALID["jpeg"], 4), "unsupported", id="JPEG in a BMP"),
        pytest.param(malformed.bmp(4, 4, 7, b"\0" * 48), "unsupported", id="BMP of 7 bits"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_their_reason(data: bytes, reason: str) -> None:
    """Each kind of bad file has one honest reason."""
    assert refusal(data) == reason


@pytest.mark.parametrize(
    ("frame", "precision", "components"), [(0xC3, 8, 3), (0xC9, 8, 3), (0xC0, 12, 3), (0xC0, 8, 2)]
)
def test_rare_jpegs_are_unsupported(frame: int, precision: int, components: int) -> None:
    """Lossless, arithmetic, 12-bit and two-component JPEGs are named, not tried."""
    jpeg = bytearray(malformed.flat_jpeg((1, 2, 3), None))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 1], jpeg[start + 4], jpeg[start + 9] = frame, precision, components
    assert refusal(bytes(jpeg)) == "unsupported"


def huge(kind: str, width: int, height: int) -> bytes:
    """Write a small file whose header claims a large picture."""
    if kind == "jpeg":
        jpeg = bytearray(malformed.flat_jpeg((1, 2, 3), None))
        struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, height, width)
        return bytes(jpeg)
    if kind == "png":
        (_, head), *rest = malformed.png_chunks(VALID["png"])
        head = struct.pack(">II", width, height) + head[8:]
        return malformed.png_of_chunks([(b"IHDR", head), *rest])
    if kind == "webp":
        still = VALID["webp lossless"]
        return malformed.riff(malformed.webp_canvas(width, height, 0), (b"VP8L", still[20:]))
    if kind == "gif":
        return malformed.gif([((0, 0, 1, 1), [0])], screen=(width, height))
    return malformed.bmp(width, height, 24, b"")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp"])
@pytest.mark.parametrize("size", [(65_000, 65_000), (12_000, 12_000), (20_001, 1), (1, 20_001)])
def test_a_huge_header_is_refused(kind: str, size: tuple[int, int]) -> None:
    """Too many pixels, or too long a side, are refused from the header of every format."""
    assert refusal(huge(kind, *size)) == "too_large"


@pytest.mark.parametrize("size", [(-1, 2**31 - 1), (2**31 - 1, -(2**31))])
def test_a_bmp_of_senseless_size_is_refused(size: tuple[int, int]) -> None:
    """Signed extremes of a BMP header neither overflow nor allocate."""
    assert refusal(malformed.bmp(*size, 24, b"")) in {"too_large", "corrupt"}


def test_a_phone_photo_of_108_megapixels_passes_as_jpeg_only() -> None:
    """JPEG is shrunk while it is decoded, so it may be larger than the others."""
    assert inspect(huge("jpeg", 12_032, 9_024)).width == 12_032
    assert refusal(huge("png", 12_032, 9_024)) == "too_large"


def test_limits_can_be_tightened() -> None:
    """Every cap is the caller's to lower."""
    caps = [{"max_bytes": 99}, {"max_side": 47}, {"max_jpeg_pixels": 1535}, {"max_scans": 0}]
    for cap in caps:
        with pytest.raises(PictureError) as refused:
            inspect(VALID["jpeg"], Limits(**cap))
        assert refused.value.reason == "too_large"


def test_a_jpeg_of_many_scans_is_refused() -> None:
    """Each scan costs a pass over all pixels, and a few bytes can ask for one."""
    jpeg = VALID["jpeg"]
    start = jpeg.index(b"\xff\xda")
    assert refusal(jpeg[:start] + jpeg[start:-2] * 65 + jpeg[-2:]) == "too_large"


def test_a_png_bomb_is_refused_before_it_is_decoded() -> None:
    """A valid PNG of 12,000 x 12,000 in about 400 kB costs a few megabytes, not 432."""
    assert not decode(malformed.black_png(100)).any()
    child = run_child("""
        import resource
        from descriptors.errors import PictureError
        from embedder.decode import decode
        from malformed import black_png
        bomb = black_png(12_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            decode(bomb)
        except PictureError as error:
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(len(bomb), error.reason, after - before)
    """)
    assert child.returncode == 0, child.stderr
    size, reason, kilobytes = child.stdout.split()
    assert 300_000 < int(size) < 500_000
    assert reason == "too_large"
    assert int(kilobytes) < 8_000


def test_malformed_apng_never_kills_the_process() -> None:
    """Damaged animation chunks, which crash the bare decoder, are cut away before it."""
    child = run_child("""
        import random
        from descriptors.errors import PictureError
        from embedder.decode import decode
        from malformed import lethal_apng, mutate_png, valid_pictures
        lethal = lethal_apng()
        print(decode(lethal).shape)
        rng, seen = random.Random(1), set()
        for whole in (valid_pictures()["png animated"], lethal):
            for _ in range(250):
                try:
                    seen.add(decode(mutate_png(whole, rng)).shape)
                except PictureError as error:
                    seen.add(error.reason)
        print("survived", (32, 48, 3) in seen, "corrupt" in seen)
    """)
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines() == ["(32, 48, 3)", "survived True True"]
    assert "[ERROR" not in child.stderr


@many
@given(
    magic=st.sampled_from(
        [b"", b"\xff\xd8\xff", malformed.PNG_MAGIC, b"GIF89a", b"RIFF\x20\0\0\0WEBPVP8X", b"BM"]
    ),
    tail=st.binary(max_size=200),
)
def test_random_bytes_decode_or_are_refused(magic: bytes, tail: bytes) -> None:
    """Noise behind the first bytes of any format raises nothing but a refusal."""
    decode_or_refuse(magic + tail)


@settings(max_examples=1500, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32), scale=st.sampled_from([1, 8]))
def test_damaged_files_decode_or_are_refused(kind: str, seed: int, scale: int) -> None:
    """A valid file of any format, spoilt anywhere, is a picture or a refusal."""
    decode_or_refuse(malformed.mutate(VALID[kind], random.Random(seed)), scale)


@many
@given(kind=st.sampled_from(["png", "png alpha"]), seed=st.integers(0, 2**32))
def test_rebuilt_pngs_decode_or_are_refused(kind: str, seed: int) -> None:
    """A PNG whose chunks were shuffled or altered, with sound CRCs, is no exception."""
    decode_or_refuse(malformed.mutate_png(VALID[kind], random.Random(seed)))


# --- reading -------------------------------------------------------------------------------------


def unreadable(source: str | os.PathLike[str], limits: Limits | None = None) -> PictureError:
    """Read what must be refused, and return the refusal."""
    with pytest.raises(PictureError) as refused:
        read(source, limits or Limits())
    assert refused.value.source == os.fspath(source)
    return refused.value


def test_read_gives_the_bytes_of_files_and_passes_bytes_on(tmp_path: Path) -> None:
    """A path, a string, a link and bytes all lead to the same bytes."""
    file, link = tmp_path / "a.txt", tmp_path / "link"
    file.write_bytes(VALID["jpeg"])
    link.symlink_to(file)
    for source in (file, str(file), link, VALID["jpeg"]):
        assert read(source) == VALID["jpeg"]


def test_missing_files_folders_and_impossible_names_are_unreadable(tmp_path: Path) -> None:
    """What is no file is refused by name."""
    assert unreadable(tmp_path / "none.jpg").reason == "unreadable"
    assert unreadable(tmp_path).reason == "unreadable"
    assert unreadable("a\0b").reason == "unreadable"
    assert unreadable("").reason == "unreadable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    """A file that may not be opened is refused, not raised through."""
    file = tmp_path / "secret.jpg"
    file.write_bytes(VALID["jpeg"])
    file.chmod(0)
    assert unreadable(file).reason == "unreadable"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    """A named pipe without a writer, or an endless device, does not hang the caller."""
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    assert unreadable(pipe).reason == "unreadable"
    assert unreadable("/dev/zero").reason == "unreadable"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files through /proc")
def test_refusals_leave_no_file_open(tmp_path: Path) -> None:
    """A service that is sent rubbish all day does not run out of file descriptors."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for source in (tmp_path, "/dev/zero", tmp_path / "none"):
        unreadable(source)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    """The byte cap holds before reading, and for bytes as well."""
    file = tmp_path / "large.jpg"
    with file.open("wb") as sparse:
        sparse.truncate(2**34)
    assert unreadable(file).reason == "too_large"
    with pytest.raises(PictureError, match="too_large"):
        read(b"12345", Limits(max_bytes=4))
    assert read(b"1234", Limits(max_bytes=4)) == b"1234"


# --- speed ---------------------------------------------------------------------------------------


def test_a_large_jpeg_decodes_faster_when_shrunk() -> None:
    """Twelve megapixels at one eighth cost less than half of the whole."""
    data = malformed.encode(".jpg", malformed.noise(3000, 4000), cv2.IMWRITE_JPEG_QUALITY, 90)

    def seconds(scale: int) -> float:
        spans = []
        for _ in range(3):
            start = time.perf_counter()
            decode(data, scale)
            spans.append(time.perf_counter() - start)
        return min(spans)

    assert decode(data, 8).shape == (375, 500, 3)
    assert seconds(8) < seconds(1) / 2
