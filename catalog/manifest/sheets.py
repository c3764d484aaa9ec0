"""Manifests in rows: CSV as spreadsheets write it, and JSON lines."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from catalog.descriptors import Advice, InvalidInput
from catalog.embedder import Box, Picture, is_picture
from catalog.manifest.entries import BadRow, Entry, Listing
from catalog.text import written

_DELIMITERS: Final = ",;\t|"
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # of Excel, LibreOffice and Numbers
_LONGEST_FIELD: Final = 1_000_000  # characters; csv refuses more than 131,072 by itself

CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
"""Fields of a box by its corners."""

SIDES: Final = ("x", "y", "width", "height")
"""Fields of a box by its corner and its sides."""


def decoded(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """The text of a manifest, in whatever encoding spreadsheets write.

    That is UTF-8, UTF-16 (as "Unicode text"), and else Windows-1252.

    Args:
        data: of the file.
        name: of it, for messages.

    Returns:
        The text, and what is to be said of it.

    Raises:
        InvalidInput: it is no text, or in none of these encodings.
    """
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return _decode(data, encoding, name), ()
    if is_picture(data[:32]):
        raise no_manifest(name)
    if data.startswith(_WORKBOOKS):
        raise InvalidInput(
            f"{name} is a spreadsheet as its program keeps it; save it there as CSV UTF-8, and "
            "give that"
        )
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # without its mark
        if len(data) > 16 and not any(data[first:16:2]):
            return _decode(data, encoding, name), ()
    if b"\0" in data:
        raise no_manifest(name)
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    note = (
        f"{name} is not UTF-8 (line {line}) and was read as Windows-1252; where names look wrong, "
        "save it as CSV UTF-8"
    )
    return _decode(data, "cp1252", name), (note,)


def _decode(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        words = "neither UTF-8, UTF-16 nor Windows-1252" if encoding == "cp1252" else "damaged"
        raise InvalidInput(f"{name}, line {line}: the text is {words}; save it as UTF-8") from error


def no_manifest(name: str) -> InvalidInput:
    """What to raise of a file that is no manifest at all."""
    return InvalidInput(f"{name} is not a folder, CSV or JSONL file", Advice("add single pictures"))


def rows(text: str, base: Path, name: str) -> Listing:
    """The pictures of a manifest in rows; a row that cannot be used is listed.

    Args:
        text: of the manifest.
        base: what its paths are relative to.
        name: of the manifest, for messages.

    Raises:
        InvalidInput: it is neither JSON lines nor CSV with the fields that it takes.
    """
    found = _jsonl(text, name) if text.lstrip()[:1] in {"{", "["} else _csv(text, name)
    entries: list[Entry] = []
    bad_rows: list[BadRow] = []
    for line, row in found:
        place = f"{name}, line {line}"
        if isinstance(row, InvalidInput):
            bad_rows.append(BadRow(place, str(row)))
            continue
        try:
            entries.append(_entry(row, base))
        except InvalidInput as error:
            bad_rows.append(BadRow(place, str(error)))
    return Listing(tuple(entries), bad_rows=tuple(bad_rows))


def path_below(base: Path, written: str) -> Path:
    """Where a path of a manifest leads; one of Windows is read with either slash."""
    path = base / written
    if os.sep == "/" and "\\" in written and not path.is_file():
        turned = base / written.replace("\\", "/")
        return turned if turned.is_file() else path
    return path


def box_of(numbers: list[Any]) -> Box:
    """The box of x, y, width and height, which may be fractions of a pixel, or texts of them.

    Raises:
        InvalidInput: they are not four numbers that make a box in pixels.
    """
    written = ",".join(map(str, numbers))
    try:
        x, y, width, height = (float(number) for number in numbers)
        left, top = math.floor(x), math.floor(y)
        right, bottom = math.ceil(x + width), math.ceil(y + height)
    except (OverflowError, TypeError, ValueError):  # infinite, or no numbers
        raise InvalidInput(f"a box is x,y,width,height in pixels, not {written!r}") from None
    if 0 < width <= 1 and 0 < height <= 1 and (width < 1 or height < 1):
        raise InvalidInput(f"the box {written} is in shares of the picture; pixels are asked for")
    return Box(left, top, right - left, bottom - top)


def _entry(row: Mapping[str, Any], base: Path) -> Entry:
    """The picture of a row.

    Raises:
        InvalidInput: the row names none, or no class.
    """
    path, label, group = row.get("path"), _text_of(row.get("label")) or "", row.get("group")
    if not isinstance(path, str) or not path.strip() or not label.strip():
        raise InvalidInput("needs a path and a label")
    named = _text_of(group)
    if group is not None and named is None:
        raise InvalidInput("a group is a text or a number")
    named = written(named or "")  # SQLite keeps UTF-8 alone, as with paths
    return Entry(label, Picture(path_below(base, path), _box(row)), group=named or None)


def _text_of(value: object) -> str | None:
    """A text, or a number as it is written; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _box(row: Mapping[str, Any]) -> Box | None:
    """The box of a row, in any of the forms that it may have; None where it has none."""
    box = row.get("box")
    if isinstance(box, list):
        return box_of(box)
    if box not in {None, ""}:
        return box_of(str(box).split(","))
    for names in (SIDES, CORNERS):
        given = [row.get(name) for name in names]
        given = [value for value in given if value not in {None, ""}]
        if given and len(given) < len(names):
            raise InvalidInput(f"of {', '.join(names)} some are missing")
        if given and names == SIDES:
            return box_of(given)
        if given:
            try:
                left, top, right, bottom = (float(str(value)) for value in given)
            except ValueError:
                raise InvalidInput(f"{', '.join(names)} are numbers, not {given}") from None
            return box_of([left, top, right - left, bottom - top])
    return None


def _jsonl(text: str, name: str) -> Iterator[tuple[int, dict[str, Any] | InvalidInput]]:
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("["):
        yield from _json_list(text, name)
        return
    for line, record in enumerate(text.split("\n"), start=1):
        if not record.strip():
            continue
        try:
            row = json.loads(record)
        except ValueError as error:
            yield line, InvalidInput(f"not JSON: {error}")
            continue
        yield line, row if isinstance(row, dict) else InvalidInput("not a JSON object")


def _json_list(text: str, name: str) -> Iterator[tuple[int, dict[str, Any] | InvalidInput]]:
    """The objects of one JSON list; they are counted where lines would be."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name} is not JSON: {error}") from error
    for number, row in enumerate(found, start=1):
        yield number, row if isinstance(row, dict) else InvalidInput("not a JSON object")


def _csv(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    text = text.removeprefix("\ufeff")
    begins = 0
    first = text.partition("\n")[0].strip()
    if first.lower().startswith("sep=") and len(first) == 5:  # which Excel reads, and writes
        text, begins = text.partition("\n")[2], 1
    lines = text.splitlines()
    blank = next((number for number, line in enumerate(lines) if line.strip()), 0)
    delimiter, fields = _header(lines[blank] if lines else "", name, begins + blank + 1)
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if reader.line_num > blank + 1 and any(cell.strip() for cell in cells):
                yield begins + reader.line_num, dict(zip(fields, cells, strict=False))
    except csv.Error as error:
        raise InvalidInput(f"{name}, line {begins + reader.line_num}: {error}") from error


def _header(line: str, name: str, number: int) -> tuple[str, list[str]]:
    """What parts the fields, and their names in small letters.

    Raises:
        InvalidInput: they are not those that a manifest has.
    """
    seen: list[str] = []
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            raise InvalidInput(f"{name}, line {number}: {error}") from error
        fields = [cell.strip().lower() for cell in cells]
        if {"path", "label"} <= set(fields):
            return delimiter, fields
        seen = seen if len(seen) >= len(cells) else cells
    raise InvalidInput(
        f"{name} must be JSON lines, or CSV whose first line names the fields path and label; its "
        f"first line is {line[:80]!r}",
        Advice("add a list"),
    )
