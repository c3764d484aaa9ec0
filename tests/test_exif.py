"""What a camera wrote into a file, as cameras write it and as nobody should."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import malformed
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from malformed import encode

from catalog.embedder import exif, shot_of
from catalog.embedder.exif import Shot

NOON = round(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()) * 1000


def block(
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
    found = block(order=order, **said)  # type: ignore[arg-type]
    assert exif.shot(found) == exif.shot(exif.PREFIX + found) == expected
    assert exif.orientation(found) == 6


def test_in_files() -> None:
    """They are found in each format that can hold them, and in none that was refused."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    jpeg, png = encode(".jpg", pixels), encode(".png", pixels)
    expected = Shot("Maker Model 7", NOON)
    assert shot_of(malformed.jpeg_with_exif(jpeg, block())) == expected
    assert shot_of(malformed.png_with_exif(png, block())) == expected
    assert shot_of(jpeg) is shot_of(png) is shot_of(b"") is shot_of(jpeg[:300]) is None


@given(st.data())
@example(None)
def test_anything(data: st.DataObject | None) -> None:
    """Whatever the bytes are, they are read or not, and nothing else."""
    content = block() if data is None else data.draw(st.binary(max_size=80))
    if data is not None and data.draw(st.booleans()):
        content = bytearray(block(serial="7"))
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        content = bytes(content[: data.draw(st.integers(0, len(content)))])
    assert 1 <= exif.orientation(content) <= 8
    found = exif.shot(content)
    assert found is None or len(found.camera) < 700
