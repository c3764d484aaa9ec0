"""JPEGs under attack: tables, frames, scans, restarts and Exif that lie, within sound framing."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from random import Random

import cv2
import malformed
import numpy as np
from attack_bits import (
    Mutation,
    damaged,
    exif_trap,
    odd_byte,
    odd_word,
    on_parts,
    resized,
    small_side,
)

_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
EOI, SOS, DHT, DQT, DRI, DNL, DAC = 0xD9, 0xDA, 0xC4, 0xDB, 0xDD, 0xDC, 0xCC
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


@dataclass
class Segment:
    """A marker segment, and the entropy-coded data behind it where it begins a scan."""

    code: int
    content: bytes
    data: bytes = b""

    def written(self) -> bytes:
        """Frame it, with the length it has."""
        length = struct.pack(">H", min(len(self.content) + 2, 65535))
        return bytes([0xFF, self.code]) + length + self.content + self.data


def seeds() -> dict[str, bytes]:
    """Draw a JPEG of every kind that passes the door."""
    photo, tiny = malformed.noise(37, 53, 1), malformed.noise(3, 5, 2)
    sampling = {"444": 0x111111, "422": 0x211111, "420": 0x221111, "440": 0x121111, "411": 0x411111}
    drawn = {
        f"jpeg {name}": malformed.encode(".jpg", photo, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor)
        for name, factor in sampling.items()
    }
    progressive = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    restarts = malformed.encode(".jpg", photo, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    return drawn | {
        "jpeg progressive": malformed.encode(".jpg", photo, *progressive),
        "jpeg progressive tiny": malformed.encode(".jpg", tiny, *progressive),
        "jpeg progressive restarts": malformed.encode(
            ".jpg", photo, *progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, 1
        ),
        "jpeg tiny": malformed.encode(".jpg", tiny),
        "jpeg grey": malformed.encode(".jpg", photo[..., 0].copy()),
        "jpeg optimised": malformed.encode(".jpg", photo, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
        "jpeg restarts": restarts,
        "jpeg cmyk": malformed.flat_jpeg((200, 100, 50, 128), None),
        "jpeg cmyk adobe": malformed.flat_jpeg((200, 100, 50, 128), 0, 40, 33),
        "jpeg ycck": malformed.flat_jpeg((120, 100, 150, 200), 2, 24, 24),
        "jpeg exif": malformed.jpeg_with_exif(restarts, malformed.exif(6)),
        "jpeg black": malformed.encode(".jpg", np.zeros((64, 64, 3), np.uint8)),
    }


def parse(data: bytes) -> list[Segment]:
    """Take a JPEG apart, as far as it makes sense."""
    segments: list[Segment] = []
    position = 2
    while (found := _NEXT.search(data, position)) and found.group()[1] != EOI:
        code, at = found.group()[1], found.end()
        length = int.from_bytes(data[at : at + 2], "big")
        end = at + max(length, 2)
        following = _NEXT.search(data, end)
        tail = data[end : following.start() if following else len(data)]
        segments.append(Segment(code, data[at + 2 : end], tail if code == SOS else b""))
        position = end
    return segments


def assemble(segments: list[Segment]) -> bytes:
    """Put a JPEG together, from SOI to EOI."""
    return b"\xff\xd8" + b"".join(segment.written() for segment in segments) + b"\xff\xd9"


def boundaries(data: bytes) -> list[int]:
    """Find where segments begin and end."""
    return sorted({at for found in _NEXT.finditer(data) for at in found.span()})


def _first(segments: list[Segment], rng: Random, *codes: int) -> Segment:
    """Take one of the segments of these kinds, or a stranger that changes nothing."""
    found = [segment for segment in segments if segment.code in (codes or _FRAMES)]
    return rng.choice(found) if found else Segment(0xFE, bytes(80))


def _place(segments: list[Segment], rng: Random, segment: Segment) -> None:
    segments.insert(rng.randrange(len(segments) + 1), segment)


def huffman_counts(segments: list[Segment], rng: Random) -> None:
    """Tables over-full, empty, or of counts that contradict the symbols."""
    table = _first(segments, rng, DHT)
    counts = list(table.content[1:17].ljust(16, b"\0"))
    for _ in range(rng.randrange(1, 4)):
        counts[rng.randrange(len(counts))] = rng.choice((0, 1, 2, 3, 128, 255, odd_byte(rng)))
    symbols = table.content[17:]
    if rng.random() < 0.6:
        symbols = (symbols + rng.randbytes(300))[: min(sum(counts), 256)]
    table.content = table.content[:1] + bytes(counts) + symbols


def huffman_symbols(segments: list[Segment], rng: Random) -> None:
    """Symbols that no coefficient has."""
    table = _first(segments, rng, DHT)
    table.content = table.content[:17] + damaged(table.content[17:], rng)


def huffman_slots(segments: list[Segment], rng: Random) -> None:
    """Table classes and numbers beyond what there is."""
    table = _first(segments, rng, DHT)
    slot = rng.choice((0, 1, 2, 3, 4, 0x10, 0x13, 0x14, 0x20, 0xFF))
    table.content = bytes([slot]) + table.content[1:]


def tables_missing(segments: list[Segment], rng: Random) -> None:
    """Huffman or quantisation tables left out."""
    gone = _first(segments, rng, *rng.choice(((DHT,), (DQT,), (DHT, DQT))))
    segments[:] = [segment for segment in segments if segment is not gone]


def quantisation_values(segments: list[Segment], rng: Random) -> None:
    """Steps of zero, steps of 16 bits, tables too short."""
    table = _first(segments, rng, DQT)
    kind = rng.randrange(5)
    if kind == 0:
        table.content = table.content[:1] + bytes(len(table.content[1:]))
    elif kind == 1:
        table.content = bytes([odd_byte(rng) | 0x10]) + table.content[1:]
    elif kind == 2:
        table.content = bytes([0x10 | rng.randrange(4)]) + b"\xff\xff" * 64
    elif kind == 3:
        table.content = bytes([odd_byte(rng)]) + table.content[1:]
    else:
        table.content = resized(table.content, rng)


def sampling(segments: list[Segment], rng: Random) -> None:
    """Sampling factors from 0 to 15 each way."""
    frame = _first(segments, rng)
    content = bytearray(frame.content)
    for at in range(7, len(content), 3):
        if rng.random() < 0.6:
            content[at] = rng.choice((0x11, 0x12, 0x21, 0x22, 0x31, 0x41, 0x44, odd_byte(rng)))
    frame.content = bytes(content)


def components(segments: list[Segment], rng: Random) -> None:
    """Counts, names and table numbers of components mixed up, with or without their bytes."""
    frame = _first(segments, rng)
    content = bytearray(frame.content)
    kind = rng.randrange(4)
    if kind == 0 and len(content) > 5:
        content[5] = rng.choice((0, 1, 2, 3, 4, 5, 10, 255))
    elif kind == 1 and len(content) > 5:
        count = rng.choice((1, 3, 4))
        content[5] = count
        content = content[:6] + (content[6:] * 4)[: 3 * count]
    elif len(content) > 8:
        at = 6 + 3 * rng.randrange((len(content) - 6) // 3) + (0 if kind == 2 else 2)
        content[at] = rng.choice((0, 1, 2, 3, 4, 255))
    frame.content = bytes(content)


def size(segments: list[Segment], rng: Random) -> None:
    """A size that the data does not have."""
    frame = _first(segments, rng)
    sides = struct.pack(">HH", small_side(rng), small_side(rng))
    frame.content = frame.content[:1] + sides + frame.content[5:]


def frame_kind(segments: list[Segment], rng: Random) -> None:
    """Baseline data called progressive, progressive called baseline, arithmetic, lossless."""
    frame = _first(segments, rng)
    if rng.random() < 0.6:
        frame.code = rng.choice((0xC0, 0xC1, 0xC2))
    else:
        frame.code = rng.choice(sorted(_FRAMES))
        _place(segments, rng, Segment(DAC, bytes([0, 0x10, 0x10, 5])))


def precision(segments: list[Segment], rng: Random) -> None:
    """Other than eight bits a sample."""
    frame = _first(segments, rng)
    frame.content = bytes([rng.choice((0, 1, 7, 9, 12, 16))]) + frame.content[1:]


def spectral(segments: list[Segment], rng: Random) -> None:
    """Spectral selection and successive approximation out of range or order."""
    scan = _first(segments, rng, SOS)
    selection = (
        rng.choice((0, 1, 2, 5, 63, 64, 255)),
        rng.choice((0, 1, 5, 62, 63, 64, 255)),
        rng.choice((0x00, 0x01, 0x10, 0x12, 0x21, 0x0D, 0xD0, 0xED, 0xFF, odd_byte(rng))),
    )
    kept = bytes(
        new if rng.random() < 0.5 else old
        for new, old in zip(selection, scan.content[-3:].ljust(3, b"\0"), strict=True)
    )
    scan.content = scan.content[:-3] + kept


def scan_components(segments: list[Segment], rng: Random) -> None:
    """Scans of no, too many, repeated or unknown components, with tables that are not there."""
    scan = _first(segments, rng, SOS)
    kind = rng.randrange(3)
    if kind == 0:
        scan.content = bytes([rng.choice((0, 1, 2, 3, 4, 5, 255))]) + scan.content[1:]
    elif kind == 1:
        names = [rng.choice((0, 1, 1, 2, 3, 4, 255)) for _ in range(rng.randrange(5))]
        body = b"".join(bytes([name, rng.choice((0, 0x11, 0x22, 0xFF))]) for name in names)
        scan.content = bytes([len(names)]) + body + scan.content[-3:]
    else:
        scan.content = damaged(scan.content, rng)


def many_scans(segments: list[Segment], rng: Random) -> None:
    """The same scan over and over."""
    scan = _first(segments, rng, SOS)
    if scan.code == SOS:
        segments.extend([scan] * rng.choice((1, 2, 10, 40, 70)))


def scans_shuffled(segments: list[Segment], rng: Random) -> None:
    """Scans in another order, or some of them lost."""
    scans = [segment for segment in segments if segment.code == SOS]
    others = [segment for segment in segments if segment.code != SOS]
    rng.shuffle(scans)
    segments[:] = others + scans[: rng.randrange(1, len(scans) + 1) if scans else 0]


def restart_interval(segments: list[Segment], rng: Random) -> None:
    """Restart intervals that the data does not have."""
    interval = struct.pack(">H", rng.choice((0, 1, 2, 3, 5, odd_word(rng))))
    if rng.random() < 0.5:
        _first(segments, rng, DRI).content = resized(interval, rng)
    else:
        _place(segments, rng, Segment(DRI, interval))


def restart_markers(segments: list[Segment], rng: Random) -> None:
    """Restart markers out of order, in excess or gone."""
    scan = _first(segments, rng, SOS)
    marker = bytes([0xFF, 0xD0 + rng.randrange(8)])
    kind = rng.randrange(3)
    if kind == 0:
        at = rng.randrange(len(scan.data) + 1)
        scan.data = scan.data[:at] + marker * rng.choice((1, 1, 2, 9)) + scan.data[at:]
    elif kind == 1:
        scan.data = scan.data.replace(marker, b"")
    else:
        scan.data = scan.data.replace(marker, bytes([0xFF, 0xD0 + rng.randrange(8)]))


def lines_defined_later(segments: list[Segment], rng: Random) -> None:
    """A height of zero, to be told by a DNL segment behind the scan."""
    frame = _first(segments, rng)
    if rng.random() < 0.7:
        frame.content = frame.content[:1] + b"\0\0" + frame.content[3:]
    segments.append(Segment(DNL, struct.pack(">H", small_side(rng))))


def entropy_damage(segments: list[Segment], rng: Random) -> None:
    """Coded data with bytes changed."""
    scan = _first(segments, rng, SOS)
    scan.data = damaged(scan.data, rng)


def entropy_length(segments: list[Segment], rng: Random) -> None:
    """Coded data too short, too long, or none."""
    scan = _first(segments, rng, SOS)
    scan.data = resized(scan.data, rng)


def entropy_random(segments: list[Segment], rng: Random) -> None:
    """Coded data of pure chance, or of one byte."""
    scan = _first(segments, rng, SOS)
    noise = rng.randbytes(rng.choice((1, 10, 200, 2000)))
    data = rng.choice((noise, b"\0" * 400, b"\x55" * 400, b"\xfe" * 400))
    scan.data = data.replace(b"\xff", b"\xff\0")


def exif(segments: list[Segment], rng: Random) -> None:
    """Exif blocks with loops and offsets past their end."""
    segments.insert(0, Segment(0xE1, b"Exif\0\0" + exif_trap(rng)))


def application_segments(segments: list[Segment], rng: Random) -> None:
    """JFIF, Adobe, ICC and other segments of odd content."""
    adobe = b"Adobe" + struct.pack(">HHHB", 100, 0, 0, rng.choice((0, 1, 2, 3, 255)))
    profile = b"ICC_PROFILE\0" + bytes([odd_byte(rng), odd_byte(rng)]) + rng.randbytes(40)
    jfif = b"JFIF\0\1\2" + rng.randbytes(7) + rng.randbytes(rng.choice((0, 30)))
    code, content = rng.choice(((0xEE, adobe), (0xEE, adobe[:-1]), (0xE2, profile), (0xE0, jfif)))
    segments.insert(rng.randrange(3) if len(segments) > 3 else 0, Segment(code, content))


def segments_moved(segments: list[Segment], rng: Random) -> None:
    """Segments lost, repeated or in another order."""
    kind = rng.randrange(3)
    if segments and kind == 0:
        del segments[rng.randrange(len(segments))]
    elif segments and kind == 1:
        _place(segments, rng, rng.choice(segments))
    elif segments:
        first, second = rng.randrange(len(segments)), rng.randrange(len(segments))
        segments[first], segments[second] = segments[second], segments[first]


def segments_resized(segments: list[Segment], rng: Random) -> None:
    """Segments shorter or longer than what they should hold."""
    segment = _first(segments, rng, *{segment.code for segment in segments})
    segment.content = resized(segment.content, rng)


def two_starts(data: bytes, rng: Random) -> bytes:
    """A second SOI, or a second picture inside."""
    at = rng.choice(boundaries(data) or [2])
    return data[:at] + rng.choice((b"\xff\xd8", data, data[:-2])) + data[at:]


def length_lies(data: bytes, rng: Random) -> bytes:
    """A segment that claims another length: none at all, one byte more, to the end."""
    segments = parse(data)
    if not segments:
        return data
    target = rng.choice(segments)
    written = target.written()
    claimed = rng.choice((0, 1, 2, 3, len(target.content) + 1, len(target.content) + 3, 65535))
    lie = written[:2] + struct.pack(">H", min(claimed, 65535)) + written[4:]
    return assemble(segments).replace(written, lie, 1)


def padding(data: bytes, rng: Random) -> bytes:
    """Fill bytes and lone markers between segments."""
    at = rng.choice(boundaries(data) or [2])
    return data[:at] + rng.choice((b"\xff" * 9, b"\xff\x01", b"\xff\xd3", b"\0" * 5)) + data[at:]


MUTATIONS: dict[str, Mutation] = {
    change.__name__: on_parts(parse, change, assemble)
    for change in (
        huffman_counts, huffman_symbols, huffman_slots, tables_missing, quantisation_values,
        sampling, components, size, frame_kind, precision, spectral, scan_components, many_scans,
        scans_shuffled, restart_interval, restart_markers, lines_defined_later, entropy_damage,
        entropy_length, entropy_random, exif, application_segments, segments_moved,
        segments_resized,
    )
} | {change.__name__: change for change in (two_starts, length_lies, padding)}  # fmt: skip
