"""HEIC and AVIF come out as they were drawn: whole or in tiles, turned once, over white."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import cv2
import heifs
import malformed
import numpy as np
import pillow_heif
import pytest
from door import refusal
from heifs import Property, coded, cropped, mirrored, muxed, turned
from PIL import Image

from catalog.descriptors.errors import PictureError
from catalog.embedder import shot_of
from catalog.embedder.decode import decode
from catalog.embedder.exif import Shot
from catalog.embedder.formats import essence, inspect, is_picture
from catalog.embedder.header import Limits

ENCODERS: dict[str, Callable[..., bytes]] = {"heic": heifs.heic, "avif": heifs.avif}
every_kind = pytest.mark.parametrize("kind", ENCODERS)


def whole(kind: str, height: int = 64, width: int = 72) -> heifs.Coded:
    """Code a picture without loss."""
    return coded(ENCODERS[kind](malformed.noise(height, width)))


@every_kind
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_every_depth_is_rounded_to_eight_bits(kind: str, bits: int) -> None:
    """Each level of 8, 10 and 12 bits becomes the nearest of 256."""
    most = 2**bits - 1
    levels = np.linspace(0, most, 64 * 64).astype(np.uint16 if bits > 8 else np.uint8)
    image = np.dstack([levels.reshape(64, 64), levels[::-1].reshape(64, 64)] * 2)[..., :3].copy()
    expected = np.rint(image * (255 / most))
    assert np.array_equal(decode(ENCODERS[kind](image, bits=bits)), expected)


@every_kind
def test_grey_is_repeated(kind: str) -> None:
    """A picture of luminance alone has three equal channels."""
    grey = malformed.noise(40, 48)[..., 0].copy()
    picture = decode(ENCODERS[kind](grey))
    assert np.abs(picture - grey[..., None].astype(int)).max() <= 1
    assert np.array_equal(picture[..., 0], picture[..., 2])


@every_kind
def test_alpha_lies_over_white(kind: str) -> None:
    """An alpha channel, which is a picture of its own, is composed as in any other format."""
    level, alpha = np.meshgrid(np.arange(256), np.arange(256))
    image = np.dstack([level, 255 - level, level, alpha]).astype(np.uint8)
    expected = np.rint((level * alpha + 255 * (255 - alpha)) / 255)
    assert np.array_equal(decode(ENCODERS[kind](image))[..., 0], expected)


def test_colours_multiplied_by_alpha_are_not_multiplied_again() -> None:
    """A HEIC that says so stores colours that lack only the white behind them."""
    image = np.full((16, 16, 4), (60, 30, 0, 100), np.uint8)
    assert decode(heifs.heic(image, mode="RGBa"))[0, 0].tolist() == [215, 185, 155]


@every_kind
def test_tiles_make_a_picture(kind: str) -> None:
    """A grid of tiles, as phones write it, is put together and cut to its size."""
    parts = [malformed.noise(64, 64, seed) for seed in range(6)]
    data = muxed([coded(ENCODERS[kind](part)) for part in parts], grid=(3, 2), size=(180, 120))
    expected = np.vstack([np.hstack(parts[:3]), np.hstack(parts[3:])])[:120, :180]
    assert inspect(data).width == 180
    assert np.array_equal(decode(data), expected)


# What each does to the picture, by NumPy.
CHANGES: dict[str, tuple[Sequence[Property], Callable[[np.ndarray], np.ndarray]]] = {
    "nothing": ([], lambda image: image),
    "quarter": ([turned(1)], lambda image: np.rot90(image, 1)),
    "half": ([turned(2)], lambda image: np.rot90(image, 2)),
    "three quarters": ([turned(3)], lambda image: np.rot90(image, 3)),
    "upside down": ([mirrored(0)], np.flipud),
    "mirrored": ([mirrored(1)], np.fliplr),
    "quarter, mirrored": ([turned(1), mirrored(0)], lambda image: np.flipud(np.rot90(image, 1))),
    "three, mirrored": ([turned(3), mirrored(1)], lambda image: np.fliplr(np.rot90(image, 3))),
}


@every_kind
@pytest.mark.parametrize("change", CHANGES)
def test_turns_and_mirrors_are_made_once(kind: str, change: str) -> None:
    """What the file says is done to the picture, and Exif, which says it again, is not asked."""
    properties, apply = CHANGES[change]
    picture = malformed.noise(64, 72)
    data = muxed([whole(kind)], changes=properties, exif=malformed.exif(6))
    assert np.array_equal(decode(data), apply(picture))
    header = inspect(data)
    upright = (header.height, header.width) if header.orientation >= 5 else (
        header.width, header.height,
    )  # fmt: skip
    assert upright == decode(data).shape[1::-1]


def test_a_heic_is_cropped_before_it_is_turned() -> None:
    """A crop, which writers of odd sizes make, is part of the picture's size."""
    picture = malformed.noise(64, 72)
    crop = cropped(40, 30, (-8, 1), (5, 1))  # the middle is 8 to the left and 5 further down
    expected = picture[22:52, 8:48]
    assert np.array_equal(decode(muxed([whole("heic")], changes=[crop])), expected)
    both = muxed([whole("heic")], changes=[crop, turned(1)])
    assert (inspect(both).width, inspect(both).height) == (30, 40)
    assert np.array_equal(decode(both), np.rot90(expected))
    odd = malformed.noise(31, 45)
    assert np.array_equal(decode(heifs.heic(odd)), odd)


def test_an_avif_with_a_crop_is_refused_by_name() -> None:
    """Its decoder would not crop it."""
    crop = cropped(40, 30, (-8, 1), (5, 1))
    with pytest.raises(PictureError, match="crop") as refused:
        decode(muxed([whole("avif")], changes=[crop]))
    assert refused.value.reason == "unsupported"


@every_kind
def test_camera_and_time_are_read(kind: str) -> None:
    """The Exif block of a HEIF says when the picture was taken, and with what."""
    noon = round(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()) * 1000
    for prefix in (b"", b"Exif\0\0"):
        data = muxed([whole(kind)], exif=prefix + malformed.camera_exif())
        assert shot_of(data) == Shot("Maker Model 7", noon)
    assert shot_of(muxed([whole(kind)])) is None


@every_kind
def test_of_a_sequence_the_primary_picture_is_read(kind: str) -> None:
    """Whatever the brand, and whatever else the file holds, its primary picture is decoded."""
    for brand in (b"mif1", b"msf1", b"avis" if kind == "avif" else b"hevc"):
        data = muxed(
            [whole(kind)], brand=brand, behind=heifs.box(b"moov", bytes(40)) + b"SEFT tail"
        )
        assert inspect(data).format == kind
        assert b"moov" not in essence(data, inspect(data))
        assert np.array_equal(decode(data), malformed.noise(64, 72))
    frames = [Image.fromarray(malformed.noise(64, 72, seed)) for seed in (0, 1)]
    if kind == "avif":
        written = io.BytesIO()
        frames[0].save(written, "AVIF", save_all=True, append_images=frames[1:], quality=95)
    else:
        written = io.BytesIO()
        file = pillow_heif.from_pillow(frames[0])
        file.add_from_pillow(frames[1])
        file.save(written, quality=95, chroma="444")
    close = np.abs(decode(written.getvalue()) - malformed.noise(64, 72).astype(int))
    assert close.mean() < 3


def test_lossy_pictures_agree_with_other_decoders() -> None:
    """Halved colours of limited range come out as OpenCV and a newer libheif give them."""
    image = malformed.noise(120, 160)
    avif = heifs.avif(image, quality=60)
    other = cv2.cvtColor(cv2.imdecode(np.frombuffer(avif, np.uint8), -1), cv2.COLOR_BGR2RGB)
    assert np.abs(decode(avif).astype(int) - other).max() <= 3
    heic = heifs.heic(image, quality=60, chroma="420", matrix_coefficients=1, full_range_flag=0)
    other = np.asarray(pillow_heif.open_heif(heic))
    assert np.abs(decode(heic).astype(int) - other).max() <= 3
    assert np.abs(decode(heic).astype(int) - image).mean() < 4


@every_kind
def test_sizes_that_contradict_the_pixels_are_refused(kind: str) -> None:
    """Grids without their tiles, of others' sizes, or uncovered, and lies about a size."""
    tile = coded(ENCODERS[kind](malformed.noise(64, 64)))
    assert refusal(muxed([tile] * 3, grid=(2, 2))) == "corrupt"
    assert refusal(muxed([tile] * 4, grid=(2, 2), size=(129, 128))) == "corrupt"
    assert refusal(muxed([tile] * 4, grid=(2, 2), size=(64, 128))) == "corrupt"
    assert refusal(muxed([tile, tile, tile, whole(kind)], grid=(2, 2))) == "corrupt"
    if kind == "heic":  # where these differ, libavif scales
        assert refusal(muxed([tile], size=(32, 32))) == "corrupt"


def test_a_lie_about_the_depth_does_no_harm() -> None:
    """Samples of 8 bits that are said to have 15 are refused, before they are taken for such."""
    grey = heifs.heic(malformed.noise(40, 48)[..., 0].copy())
    at = grey.index(b"hvcC") + 4 + 17
    assert grey[at] == 0xF8
    for lie in range(0xF9, 0x100):
        with pytest.raises(PictureError, match="grey HEIC") as refused:
            decode(grey[:at] + bytes([lie]) + grey[at + 1 :])
        assert refused.value.reason == "unsupported"


@every_kind
def test_other_items_are_refused_by_name(kind: str) -> None:
    """A primary picture that is derived, or coded otherwise, is not guessed at."""
    data = muxed([whole(kind)])
    for other in (b"iovl", b"iden", b"jpeg", b"vvc1"):
        spoilt = data.replace(b"\0\0" + whole(kind).kind, b"\0\0" + other, 1)
        with pytest.raises(PictureError, match=other.decode()) as refused:
            decode(spoilt)
        assert refused.value.reason == "unsupported"
    with pytest.raises(PictureError, match="sequence") as refused:
        decode(data.replace(b"pitm", b"free", 1))
    assert refused.value.reason == "unsupported"


@every_kind
def test_parts_are_counted(kind: str) -> None:
    """Boxes by the million are refused before they are all walked."""
    data = muxed([whole(kind)], behind=heifs.box(b"free") * 2000)
    assert decode(data).shape == (64, 72, 3)
    with pytest.raises(PictureError, match="parts") as refused:
        inspect(data, Limits(max_parts=1000))
    assert refused.value.reason == "too_large"


@every_kind
def test_tiles_that_share_their_bytes_weigh_as_often_as_they_are_decoded(kind: str) -> None:
    """A small file cannot list one tile for a lot of work."""
    tile = coded(ENCODERS[kind](malformed.noise(64, 64)))
    data = muxed([tile] * 40, grid=(8, 5))
    assert decode(data).shape == (320, 512, 3)
    with pytest.raises(PictureError, match="together") as refused:
        inspect(data, Limits(max_bytes=len(data) + 10))
    assert refused.value.reason == "too_large"


def test_what_is_a_picture() -> None:
    """Formats that are read, and those that are known and not read, are pictures; films are not."""
    for data in malformed.valid_pictures().values():
        assert is_picture(data[:18])
    for brand in (b"heic", b"mif1", b"avis", b"crx "):
        assert is_picture(b"\0\0\0\x18ftyp" + brand + bytes(6))
    for brand in (b"isom", b"mp42", b"qt  ", b"M4V ", b"3gp4"):
        assert not is_picture(b"\0\0\0\x18ftyp" + brand + bytes(6))
    for magic in (b"\xff\x0a", b"8BPS\0\1", b"FUJIFILM", b"IIRO"):
        assert is_picture(magic + bytes(12))
    assert not is_picture(b"RIFF....AVI LIST..")
