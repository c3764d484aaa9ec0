"""Which pictures go into which class: folder trees, CSV and JSONL manifests, lists."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from catalog.descriptors import Advice, InvalidInput, NotFound
from catalog.embedder import Box, Picture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})
"""Files with these endings are taken for pictures in a folder; what they hold decides."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture and the class it belongs to.

    Attributes:
        label: the class.
        picture: where the picture is.
        folder: what named the class, in a tree.
        group: what the owner calls the occasion that it was taken on; None if nothing.
    """

    label: str
    picture: Picture
    folder: Path | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found to import or evaluate.

    Attributes:
        entries: the pictures.
        others: how many files were passed over because their names are not those of pictures.
        unread: folders that could not be read.
    """

    entries: tuple[Entry, ...]
    others: int = 0
    unread: tuple[Path, ...] = ()


Labelled: TypeAlias = str | os.PathLike[str] | Listing | Iterable[Entry]
"""Pictures with their classes: a folder tree, a manifest, a listing, or entries."""


def listed(
    source: Labelled, split: str | None = None, part: str | None = None, seed: int = 0
) -> Listing:
    """List pictures with their classes, wherever they come from, or one part of them.

    Raises:
        NotFound, InvalidInput: as :func:`read_manifest` and :func:`take_part` do, or of split and
            part only one is given.
    """
    if isinstance(source, str | os.PathLike):
        source = read_manifest(source)
    listing = source if isinstance(source, Listing) else Listing(tuple(source))
    if split is None and part is None:
        return listing
    if split is None or part is None:
        raise InvalidInput("a split and a part of it go together")
    return take_part(listing, split, part, seed)


def read_manifest(source: str | os.PathLike[str], text: str | None = None) -> Listing:
    """List the pictures of a folder tree, or of a CSV or JSONL manifest, with their classes.

    In a tree the folder that holds a picture names its class. A manifest has the fields ``path``
    and ``label``, and may have ``box`` (``x,y,width,height``) and ``group``, the occasion that a
    picture was taken on; CSV starts with a line of field names. Paths are relative to the manifest.

    Args:
        source: the folder or manifest; for ``text``, what its paths are relative to.
        text: the manifest itself, if it came from elsewhere (standard input).

    Raises:
        NotFound: there is no such folder or file.
        InvalidInput: the manifest cannot be read, with the line; or it lists no pictures.
    """
    place = Path(source)
    if text is not None:
        listing = Listing(tuple(_parse(text, place, "standard input")))
    elif _is_dir(place):
        listing = _tree(place)
    else:
        try:
            content = place.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise NotFound(f"there is nothing at {place}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"{place} is not a folder, CSV or JSONL file", Advice("add single pictures")
            ) from error
        listing = Listing(tuple(_parse(content, place.parent, str(place))))
    if not listing.entries and not listing.unread:
        raise InvalidInput(
            f"there are no pictures in {source} (files ending in {', '.join(sorted(SUFFIXES))})"
        )
    return replace(listing, entries=tuple(sorted(listing.entries, key=_order)))


def take_part(listing: Listing, split: str, part: str, seed: int = 0) -> Listing:
    """One part of a listing that is split at random, always in the same way for a seed.

    Photos taken in bursts fall into all parts, so figures measured on such a split flatter.

    Args:
        listing: the pictures.
        split: the sizes of two or three parts, such as ``80/20`` or ``1188/600/400``. If they come
            to the number of pictures they are taken exactly, and otherwise as shares.
        part: ``train``, ``validation`` or ``test``; of two parts, ``train`` or ``test``.
        seed: which of the many random splits.

    Raises:
        InvalidInput: the split or the part makes no sense, or there would be nothing in it.
    """
    sound = re.fullmatch(r"[1-9][0-9]{0,8}(/[1-9][0-9]{0,8}){1,2}", split, re.ASCII)
    sizes = [int(size) for size in split.split("/")] if sound else []
    names = {2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(sizes), ())
    if not names:
        raise InvalidInput(f"a split is two or three sizes, such as 80/20, not {split!r}")
    if seed < 0:
        raise InvalidInput(f"a seed is not negative, as {seed} is")
    if part not in names:
        raise InvalidInput(f"{split} has the parts {', '.join(names)}, not {part!r}")
    count = len(listing.entries)
    ends = np.rint(np.cumsum([0, *sizes]) * (count / sum(sizes))).astype(int)
    order = np.random.default_rng(seed).permutation(count)
    at = names.index(part)
    chosen = sorted(order[ends[at] : ends[at + 1]].tolist())
    if not chosen:
        raise InvalidInput(f"{count} pictures are too few for the part {part} of {split}")
    return replace(listing, entries=tuple(listing.entries[at] for at in chosen))


def find_pictures(places: Iterable[str | os.PathLike[str]]) -> Iterator[Picture]:
    """List pictures: a file stands for itself, a folder for the pictures under it, sorted.

    A folder that cannot be read stands for itself, too, so that it is refused like a bad picture.

    Raises:
        InvalidInput: a folder has no pictures in it.
    """
    for place in map(Path, places):
        if not _is_dir(place):
            yield Picture(place)
            continue
        unread: list[Path] = []
        found = [*filter(_is_picture, _files(place, unread)), *unread]
        if not found:
            raise InvalidInput(
                f"there are no pictures in {place} (files ending in {', '.join(sorted(SUFFIXES))})"
            )
        yield from map(Picture, sorted(found))


def _tree(folder: Path) -> Listing:
    entries: list[Entry] = []
    unread: list[Path] = []
    others = 0
    for path in _files(folder.resolve(), unread):
        if _is_picture(path):
            entries.append(Entry(path.parent.name, Picture(path), path.parent))
        else:
            others += 1
    return Listing(tuple(entries), others, tuple(unread))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _files(folder: Path, unread: list[Path]) -> Iterator[Path]:
    """Every file under a folder, through links, each folder once; what cannot be read is noted."""
    seen = set()

    def note(error: OSError) -> None:
        unread.append(Path(error.filename))

    for parent, folders, names in os.walk(folder, onerror=note, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield Path(parent, name)


def _order(entry: Entry) -> tuple[str, str]:
    return entry.label, str(entry.picture.source)


def _parse(text: str, base: Path, name: str) -> Iterator[Entry]:
    text = text.removeprefix("\ufeff")  # which spreadsheets write, and standard input keeps
    rows = _jsonl(text, name) if text.lstrip().startswith("{") else _csv(text, name)
    for line, row in rows:
        path, label, box = row.get("path"), row.get("label"), row.get("box")
        if not isinstance(path, str) or not isinstance(label, str) or not path:
            raise InvalidInput(f"{name}, line {line}: needs a path and a label")
        try:
            region = Box.parse(str(box)) if box else None
        except InvalidInput as error:
            raise InvalidInput(f"{name}, line {line}: {error}") from error
        group = row.get("group")
        if group is not None and not isinstance(group, str | int):
            raise InvalidInput(f"{name}, line {line}: a group is a text or a number")
        # SQLite keeps UTF-8 alone, as with paths.
        named = str("" if group is None else group).encode("utf-8", "backslashreplace").decode()
        yield Entry(label, Picture(base / path, region), group=named or None)


def _jsonl(text: str, name: str) -> Iterator[tuple[int, dict[str, object]]]:
    for line, record in enumerate(text.split("\n"), start=1):
        if not record.strip():
            continue
        try:
            row = json.loads(record)
        except ValueError as error:
            raise InvalidInput(f"{name}, line {line}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise InvalidInput(f"{name}, line {line}: not a JSON object")
        yield line, row


def _csv(text: str, name: str) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        fields = set(reader.fieldnames or ())
    except csv.Error as error:
        raise InvalidInput(f"{name}, line 1: {error}") from error
    if not {"path", "label"} <= fields:
        raise InvalidInput(
            f"{name} must be JSON lines, or CSV (with commas) whose first line names the fields "
            "path and label",
            Advice("add a list"),
        )
    try:
        for row in reader:
            yield reader.line_num, dict(row)
    except csv.Error as error:
        raise InvalidInput(f"{name}, line {reader.line_num}: {error}") from error
