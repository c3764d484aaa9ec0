"""TIFFs come out as they were drawn: every depth and kind of colours, or a refusal by name."""

from __future__ import annotations

import io
import struct
import zlib
from datetime import UTC, datetime

import malformed
import numpy as np
import pytest
import tiffs
from door import QUARTERS, VALID, refusal
from PIL import Image
from tiffs import CMYK, GREY, PALETTE, RGB, WHITE, tiff

from catalog.descriptors.errors import PictureError
from catalog.embedder import shot_of
from catalog.embedder.decode import decode
from catalog.embedder.exif import Shot
from catalog.embedder.formats import essence, inspect
from catalog.embedder.header import Limits

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (13, 19, 3)).astype(np.uint16)
PHOTO = malformed.noise(21, 30)
VEIL = RNG.integers(0, 256, (21, 30, 1), np.uint8)


def rounded(samples: np.ndarray) -> np.ndarray:
    """Round 16 bits to 8."""
    return np.rint(samples / 257).astype(np.uint8)


def tripled(grey: np.ndarray) -> np.ndarray:
    """Repeat grey into three channels."""
    return grey[..., None].repeat(3, axis=2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("compression", [1, tiffs.DEFLATE])
@pytest.mark.parametrize("predictor", [1, 2])
def test_sixteen_bits_are_rounded(
    order: str, compression: int, predictor: int, *, big: bool
) -> None:
    """Grey, RGB and RGBA of 16 bits become the nearest 8-bit values, however they are stored."""
    options = {"order": order, "big": big, "rows": 4, "compression": compression}
    if compression > 1:
        options["predictor"] = predictor
    assert np.array_equal(decode(tiff(DEEP, **options)), rounded(DEEP))
    grey = DEEP[..., 0].copy()
    assert np.array_equal(decode(tiff(grey, GREY, **options)), tripled(rounded(grey)))
    assert np.array_equal(decode(tiff(grey, WHITE, **options)), tripled(255 - rounded(grey)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_and_palettes_of_every_depth(bits: int) -> None:
    """Grey fills its range from black or from white, and a palette is looked up."""
    levels = RNG.integers(0, 2**bits, (13, 19)).astype(np.uint8)
    grey = levels * (255 // (2**bits - 1))
    assert np.array_equal(decode(tiff(levels, GREY, bits=bits)), tripled(grey))
    assert np.array_equal(decode(tiff(levels, WHITE, bits=bits)), tripled(255 - grey))
    colours = RNG.integers(0, 256, (3, 2**bits))
    palette = (257 * colours).ravel().tolist()
    looked_up = decode(tiff(levels, PALETTE, bits=bits, palette=palette))
    assert np.array_equal(looked_up, colours.T[levels])


@pytest.mark.parametrize("planes", [False, True], ids=["pixels", "planes"])
def test_rgb_lies_in_pixels_or_planes(*, planes: bool) -> None:
    """Eight bits of RGB, in strips and either layout, come out exactly."""
    assert np.array_equal(decode(tiff(PHOTO, rows=8, planes=planes)), PHOTO)


def test_tiles_are_put_together() -> None:
    """Tiles are cut at the edges of the picture."""
    fields = {256: (4, [30]), 257: (4, [21]), 258: (3, [8] * 3), 259: (3, [1]), 262: (3, [2]),
              277: (3, [3]), 322: (4, [16]), 323: (4, [16])}  # fmt: skip
    padded = np.pad(PHOTO, ((0, 11), (0, 2), (0, 0)))
    tiles = [padded[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
    assert np.array_equal(decode(tiffs.written(fields, tiles, tiled=True)), PHOTO)
    deep = fields | {258: (3, [16] * 3)}
    tiles = [
        (padded[y : y + 16, x : x + 16].astype("<u2") * 257).tobytes()
        for y in (0, 16) for x in (0, 16)
    ]  # fmt: skip
    assert np.array_equal(decode(tiffs.written(deep, tiles, tiled=True)), PHOTO)


@pytest.mark.parametrize(("tag", "value"), [(322, 2**24), (323, 2**24), (322, 16), (324, 8)])
def test_half_a_tile_is_refused(tag: int, value: int) -> None:
    """One field of tiles makes libtiff read tiles: of a bit of fax code, sixteen million rows."""
    data = tiff(np.zeros((21, 30), np.uint8), photometric=1, more={tag: (4, [value])})
    assert refusal(data) == "corrupt"


def test_tiles_far_beyond_the_edges_are_refused() -> None:
    """A row of many pixels in tiles of many rows would take the decoder for ever."""
    fields = {256: (4, [20_000]), 257: (4, [1]), 258: (3, [8]), 259: (3, [8]), 262: (3, [1]),
              277: (3, [1]), 322: (4, [16]), 323: (4, [19_984])}  # fmt: skip
    tiles = [zlib.compress(bytes(16))] * 1250
    assert refusal(tiffs.written(fields, tiles, tiled=True)) == "too_large"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("extra", "name"), [(0, "ignored"), (1, "multiplied"), (2, "straight")])
def test_alpha_is_what_it_is_declared_to_be(bits: int, extra: int, name: str) -> None:
    """A fourth sample is alpha only if it says so; multiplied colours lack only their white."""
    alpha = VEIL.astype(int)
    colours = PHOTO * alpha // 255 if extra == 1 else PHOTO.astype(int)
    stored = np.concatenate([colours, alpha], axis=2).astype(np.uint8)
    if bits == 16:
        stored = stored.astype(np.uint16) * 257
    expected = {
        "ignored": PHOTO,
        "multiplied": colours + 255 - alpha,
        "straight": 255 - np.rint((255 - PHOTO.astype(int)) * alpha / 255),
    }[name]
    assert np.array_equal(decode(tiff(stored, extra=extra)), expected)
    assert np.array_equal(decode(tiff(stored, extra=extra, order=">", rows=4)), expected)


def test_grey_with_alpha_lies_over_white() -> None:
    """Grey and alpha are composed like any other."""
    stored = np.array([[[10, 255], [10, 0], [100, 128]]], np.uint8)
    expected = [[[10] * 3, [255] * 3, [177] * 3]]
    assert decode(tiff(stored, GREY, extra=2)).tolist() == expected


def test_cmyk_is_inks() -> None:
    """Each colour is what its ink and black leave of white."""
    inks = RNG.integers(0, 256, (13, 19, 4), np.uint8)
    left = 255.0 - inks
    expected = left[..., :3] * left[..., 3:] / 255
    assert np.abs(decode(tiff(inks, CMYK)) - expected).max() <= 0.5


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", "group3", "group4"]
)
def test_compressions(compression: str) -> None:
    """What Pillow writes in every compression is read."""
    fax = compression.startswith("group")
    image = Image.fromarray(QUARTERS).convert("1") if fax else Image.fromarray(QUARTERS)
    written = io.BytesIO()
    image.save(written, "TIFF", compression=compression)
    found = decode(written.getvalue())
    if compression == "jpeg":
        assert np.abs(found.astype(int) - QUARTERS).mean() < 6
    else:
        assert np.array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation: int, bits: int) -> None:
    """All eight orientations come out upright, by either decoder."""
    turned = QUARTERS.swapaxes(0, 1)
    stored = np.ascontiguousarray({
        1: QUARTERS, 2: QUARTERS[:, ::-1], 3: QUARTERS[::-1, ::-1], 4: QUARTERS[::-1],
        5: turned, 6: turned[::-1], 7: turned[::-1, ::-1], 8: turned[:, ::-1],
    }[orientation])  # fmt: skip
    samples = stored if bits == 8 else stored.astype(np.uint16) * 257
    for order in "<>":
        data = tiff(samples, orientation=orientation, order=order)
        assert inspect(data).orientation == orientation
        assert np.array_equal(decode(data), QUARTERS)


def test_the_first_page_is_read() -> None:
    """Further pages are kept from the decoder."""
    pages = [Image.fromarray(QUARTERS), Image.fromarray(PHOTO)]
    written = io.BytesIO()
    pages[0].save(written, "TIFF", save_all=True, append_images=pages[1:])
    data = written.getvalue()
    assert np.array_equal(decode(data), QUARTERS)
    assert getattr(Image.open(io.BytesIO(essence(data, inspect(data)))), "n_frames", 1) == 1


def test_camera_and_time_are_read() -> None:
    """The Exif directory that a TIFF leads to says when a camera took it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Model 7"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:28 12:00:00"
    written = io.BytesIO()
    Image.fromarray(QUARTERS).save(written, "TIFF", exif=exif.tobytes()[6:])
    noon = round(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()) * 1000
    assert shot_of(written.getvalue()) == Shot("Maker Model 7", noon)
    assert shot_of(VALID["tiff"]) is None


REFUSED = {
    "floats": (np.zeros((4, 4), np.float32), GREY, {339: (3, [3])}, "floats"),
    "signed": (np.zeros((4, 4), np.uint8), GREY, {339: (3, [2])}, "sign"),
    "32 bits": (np.zeros((4, 4), np.uint32), GREY, {}, "32 bits"),
    "old JPEG": (PHOTO, RGB, {259: (3, [6])}, "compression 6"),
    "JPEG 2000": (PHOTO, RGB, {259: (3, [34712])}, "compression 34712"),
    "Lab": (PHOTO, 8, {}, "photometric interpretation 8"),
    "raw photo": (PHOTO, RGB, {50706: (1, [1, 4, 0, 0])}, "raw photo"),
    "thumbnail": (PHOTO, RGB, {254: (4, [1])}, "thumbnail"),
    "16-bit CMYK": (np.zeros((4, 4, 4), np.uint16), CMYK, {}, "16 bits"),
    "16-bit grey and alpha": (np.zeros((4, 4, 2), np.uint16), GREY, {338: (3, [2])}, "2 samples"),
    "five samples": (np.zeros((4, 4, 5), np.uint8), RGB, {}, "5 samples"),
    "16-bit palette": (np.zeros((4, 4), np.uint16), PALETTE, {}, "16 bits"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_variants_are_refused_by_name(kind: str) -> None:
    """What no decoder here reads right is named, not tried."""
    samples, photometric, more, name = REFUSED[kind]
    with pytest.raises(PictureError, match=name) as refused:
        decode(tiff(samples, photometric, more=more))
    assert refused.value.reason == "unsupported"


def test_sixteen_bits_in_planes_are_refused_by_name() -> None:
    """OpenCV would give what memory held before."""
    with pytest.raises(PictureError, match="planes") as refused:
        decode(tiff(DEEP, planes=True))
    assert refused.value.reason == "unsupported"


def test_places_are_checked() -> None:
    """Strips that are not there, past the end, or of no rows are refused before they are read."""
    assert refusal(tiff(PHOTO, more={278: (4, [4])})) == "corrupt"
    assert refusal(tiff(PHOTO, more={278: (4, [0])})) == "corrupt"
    assert refusal(tiff(PHOTO, more={257: (4, [22]), 278: (4, [22])})) == "corrupt"
    far = tiff(PHOTO)
    at = far.index(struct.pack("<HHII", 279, 4, 1, PHOTO.nbytes))
    assert refusal(far[: at + 8] + struct.pack("<I", 2**31) + far[at + 12 :]) == "truncated"
    with pytest.raises(PictureError, match="parts") as refused:
        inspect(tiff(PHOTO, rows=1), Limits(max_parts=20))
    assert refused.value.reason == "too_large"
