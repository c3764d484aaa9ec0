"""What the door refuses, and for which reason; no damage gets past it or harms the process."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import heifs
import malformed
import photos
import pytest
import tiffs
from door import KINDS, QUARTERS, VALID, decode_or_refuse, many, refusal, run_child
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.descriptors.errors import PictureError
from catalog.embedder import decode as decode_module
from catalog.embedder.decode import decode, read
from catalog.embedder.formats import inspect
from catalog.embedder.header import Limits

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
        pytest.param(b"II*\0" + bytes(60), "corrupt", id="TIFF without a directory"),
        pytest.param(b"\0\0\0\x18ftypheic" + bytes(60), "truncated", id="HEIC of its brand"),
        pytest.param(b"\0\0\0\x18ftypisom" + bytes(60), "unsupported", id="film"),
        pytest.param(b"\0\0\0\x18ftypcrx " + bytes(60), "unsupported", id="CR3"),
        pytest.param(b"\0\0\0\x0cJXL \r\n" + bytes(60), "unsupported", id="JPEG XL"),
        pytest.param(b"RIFF\x24\0\0\0WAVEfmt " + bytes(60), "unsupported", id="WAV"),
        pytest.param(VALID["jpeg"][:-2], "truncated", id="JPEG without EOI"),
        pytest.param(VALID["jpeg"][:2] + VALID["jpeg"], "corrupt", id="JPEG with two SOI"),
        pytest.param(VALID["jpeg"][:20] + b"\xff\xd9", "corrupt", id="JPEG without a picture"),
        pytest.param(VALID["png"][:-12], "truncated", id="PNG without IEND"),
        pytest.param(VALID["png"][:-14] + b"??" + VALID["png"][-12:], "corrupt", id="PNG CRC"),
        pytest.param(
            malformed.png(9, 8, 3, [bytes(9)]), "corrupt", id="palette PNG without a palette"
        ),
        pytest.param(
            malformed.png(2, 0, 0, [b"\0"], transparency=b"\0\0"), "corrupt", id="PNG of no depth"
        ),
        pytest.param(malformed.riff((b"EXIF", b"")), "corrupt", id="WebP without a picture"),
        pytest.param(
            malformed.webp_with_exif(VALID["webp lossless"], 9, 9, b""),
            "corrupt",
            id="WebP larger than its canvas",
        ),
        pytest.param(malformed.gif([], screen=(4, 4)), "corrupt", id="GIF without a frame"),
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
    if kind in {"heic", "avif"}:
        return heifs.muxed([heifs.coded(VALID[kind])], size=(width, height))
    draw = {
        "gif": lambda: malformed.gif([((0, 0, 1, 1), [0])], screen=(width, height)),
        "tiff": lambda: tiffs.tiff(QUARTERS, more={256: (4, [width]), 257: (4, [height])}),
        "bmp": lambda: malformed.bmp(width, height, 24, b""),
    }[kind]
    return draw()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp", "heic", "avif", "tiff"])
@pytest.mark.parametrize("size", [(65_000, 65_000), (15_000, 15_000), (20_001, 1), (1, 20_001)])
def test_a_huge_header_is_refused(kind: str, size: tuple[int, int]) -> None:
    """Too many pixels, or too long a side, are refused from the header of every format."""
    assert refusal(huge(kind, *size)) == "too_large"


@pytest.mark.parametrize("size", [(-1, 2**31 - 1), (2**31 - 1, -(2**31))])
def test_a_bmp_of_senseless_size_is_refused(size: tuple[int, int]) -> None:
    """Signed extremes of a BMP header neither overflow nor allocate."""
    assert refusal(malformed.bmp(*size, 24, b"")) in {"too_large", "corrupt"}


@pytest.mark.parametrize("size", [(12_032, 9_024), (16_320, 12_240)])
def test_phone_photos_of_many_megapixels_pass_as_jpeg_only(size: tuple[int, int]) -> None:
    """JPEG is shrunk while it is decoded, so it may be larger than the others."""
    assert inspect(huge("jpeg", *size)).width == size[0]
    for kind in ("png", "heic", "avif", "tiff"):
        assert refusal(huge(kind, *size)) == "too_large"


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
        from catalog.descriptors.errors import PictureError
        from catalog.embedder.decode import decode
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
        from catalog.descriptors.errors import PictureError
        from catalog.embedder.decode import decode
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


@settings(max_examples=1500)
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


def test_a_file_without_permission_is_unreadable(unprivileged: Path) -> None:
    """A file that may not be opened is refused, not raised through."""
    file = unprivileged / "secret.jpg"
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


@contextlib.contextmanager
def piped(data: bytes) -> Iterator[str]:
    """A path, as a shell's ``<(...)`` is, through which bytes come, slowly."""
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            for start in range(0, len(data), 100_000):
                stream.write(data[start : start + 100_000])
                stream.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        writer.join()


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no files for descriptors here")
class TestPipes:
    """What a shell puts where a file would be."""

    def test_all_that_comes_is_read(self) -> None:
        """However slowly, until its writer is through."""
        data = bytes(range(256)) * 5000
        with piped(data) as path:
            assert read(path) == data

    def test_no_more_than_the_cap_is_read(self) -> None:
        """An endless pipe is refused once it is too much."""
        with piped(bytes(2_000_000)) as path:
            assert unreadable(path, Limits(max_bytes=1_000_000)).reason == "too_large"

    def test_silence_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A writer that says nothing is not waited for for ever."""
        monkeypatch.setattr(decode_module, "_PIPE_SECONDS", 0.1)
        reading, writing = os.pipe()
        try:
            assert unreadable(f"/dev/fd/{reading}").reason == "timeout"
        finally:
            os.close(reading)
            os.close(writing)

    def test_it_is_no_place(self, tmp_path: Path) -> None:
        """A picture from a pipe is taken in like one from memory: nothing lies there later."""
        with Catalog.init(tmp_path / "x.catalog", embedder=FakeEmbedder()) as shop:
            with piped(photos.photo(1)) as path:
                assert shop.add_class("cup", [path]).added == 1
            (item,) = shop.items()
            assert item.sources == ()
            assert shop.nearest(photos.photo(1))[0].item == item.id


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
