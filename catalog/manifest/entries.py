"""What is listed: pictures with their classes, and what was left out on the way."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from catalog.embedder import Picture


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
class PassedOver:
    """Files or folders of one kind that were not taken for pictures of a class.

    Attributes:
        what: the kind: ``.txt files``, ``@eaDir folders``, ``links``.
        why: it was passed over.
        count: how many there are.
        examples: paths of the first few.
    """

    what: str
    why: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a manifest that names no picture of a class.

    Attributes:
        place: the manifest, and the line.
        detail: what is wrong with it.
    """

    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found to import or evaluate.

    Attributes:
        entries: the pictures.
        passed_over: what else was there, by kind.
        unread: folders that could not be read, and files without the ending of a picture.
        bad_rows: rows of a manifest that could not be used.
        shared: folders of one name, those of each name together, where it was not said which level
            of folders names the classes.
        notes: what else there is to say, in sentences.
        source: the folder, or the file that lists them, by its absolute path; None where it is
            neither.
    """

    entries: tuple[Entry, ...]
    passed_over: tuple[PassedOver, ...] = ()
    unread: tuple[Path, ...] = ()
    bad_rows: tuple[BadRow, ...] = ()
    shared: tuple[tuple[Path, ...], ...] = ()
    notes: tuple[str, ...] = ()
    source: str | None = None


Labelled: TypeAlias = str | os.PathLike[str] | Listing | Iterable[Entry]
"""Pictures with their classes: a folder tree, a manifest, a listing, or entries."""
