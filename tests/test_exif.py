"""What a camera wrote into a file, as cameras write it and as nobody should."""

from __future__ import annotations

from datetime import UTC, datetime

import malformed
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from malformed import camera_exif, encode

from catalog.embedder import exif, shot_of
from catalog.embedder.exif import Shot
from catalog.embedder.header import DEFAULT_LIMITS

NOON = round(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, Shot("Maker Model 7", NOON)),
        ({"fraction": "25"}, Shot("Maker Model 7", NOON + 250)),
        ({"fraction": "0078"}, Shot("Maker Model 7", NOON + 7)),
        ({"fraction": "no"}, Shot("Maker Model 7", NOON)),
        ({"serial": "12 34"}, Shot("Maker Model 7 12 34", NOON)),
        ({"make": None, "model": "X"}, Shot("X", NOON)),
        ({"make": None, "model": None}, Shot("", NOON)),
        ({"make": "Maker" + " " * 20}, Shot("Maker Model 7", NOON)),
        ({"taken": None}, None),
        ({"taken": "0000:00:00 00:00:00"}, None),
        ({"taken": "    :  :     :  :  "}, None),
        ({"taken": "2026-11-28T12:00:00"}, None),
        ({"taken": "2026:11:28 12:00:00" * 30}, None),
    ],
)
def test_shots(said: dict[str, str | None], expected: Shot | None, order: str) -> None:
    """Camera and time are found in either byte order, and what is no time is none."""
    found = camera_exif(order=order, **said)  # type: ignore[arg-type]
    assert exif.shot(found) == exif.shot(exif.PREFIX + found) == expected
    assert exif.orientation(found) == 6


def test_in_files() -> None:
    """They are found in each format that can hold them, and in none that was refused."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    jpeg, png = encode(".jpg", pixels), encode(".png", pixels)
    expected = Shot("Maker Model 7", NOON)
    assert shot_of(malformed.jpeg_with_exif(jpeg, camera_exif())) == expected
    assert shot_of(malformed.png_with_exif(png, camera_exif())) == expected
    assert shot_of(jpeg) is shot_of(png) is shot_of(b"") is shot_of(jpeg[:300]) is None


def test_a_jpeg_is_read_up_to_its_first_scan() -> None:
    """What lies behind it is no matter of its shot, nor are more segments than may be."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    whole = malformed.jpeg_with_exif(encode(".jpg", pixels), camera_exif())
    assert shot_of(whole[: whole.rindex(b"\xff\xda") + 14]) == Shot("Maker Model 7", NOON)
    many = b"\xff\xfe\0\2" * (DEFAULT_LIMITS.max_parts + 1)
    assert shot_of(whole[:2] + many + whole[2:]) is None


@given(st.data())
@example(None)
def test_anything(data: st.DataObject | None) -> None:
    """Whatever the bytes are, they are read or not, and nothing else."""
    content = camera_exif() if data is None else data.draw(st.binary(max_size=80))
    if data is not None and data.draw(st.booleans()):
        content = bytearray(camera_exif(serial="7"))
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        content = bytes(content[: data.draw(st.integers(0, len(content)))])
    assert 1 <= exif.orientation(content) <= 8
    found = exif.shot(content)
    assert found is None or len(found.camera) < 700
