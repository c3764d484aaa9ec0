"""What lies in folders: pictures, by what they hold, and what is passed over.

A file with the ending of a picture is taken for one, so that it is refused by name where it is
none. Any other file is one if its first bytes are those of a picture.

A folder that is linked from elsewhere is entered once: under its own name if it lies in the tree
itself, else under that of the link.
"""

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog.descriptors import InvalidInput
from catalog.embedder import Picture, is_picture
from catalog.machine import locked_files
from catalog.machine.reading import require_allowed
from catalog.manifest.entries import PassedOver

SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp"),
        *(".heic", ".heif", ".hif", ".avif", ".tif", ".tiff"),
    }
)
"""Files with these endings are taken for pictures in a folder, whatever they hold."""

LEFT_OUT: Final = {
    "@eadir": "thumbnails of a Synology NAS",
    "#recycle": "the bin of a Synology NAS",
    "#snapshot": "older states of a Synology NAS",
    "@recycle": "the bin of a QNAP NAS",
    "@recently-snapshot": "older states of a QNAP NAS",
    "$recycle.bin": "the bin of Windows",
    "recycler": "the bin of Windows",
    "system volume information": "what Windows keeps on a disk",
    "lost+found": "what a check of the disk found",
    "~snapshot": "older states of a file server",
    "__macosx": "what macOS adds to an archive",
    "thumbs.db": "thumbnails of Windows",
    "ehthumbs.db": "thumbnails of Windows",
    "desktop.ini": "settings of a folder of Windows",
}
"""Names, in small letters, that systems give to what is not the owner's, and what it is.

They are the names that the makers' own manuals use. Others begin with a dot, as ``.thumbnails``,
``.Trash-1000``, ``.@__thumb`` and ``._IMG_1.JPG`` do: what is hidden is left out, too.
"""

_EXAMPLES: Final = 3
_BEGINNING: Final = 32  # bytes by which a picture is told


@dataclass(frozen=True, slots=True)
class Found:
    """Pictures that were named, or lie in folders that were.

    Attributes:
        pictures: in the order of the names, those of a folder sorted.
        passed_over: what else lies in the folders, by kind.
    """

    pictures: tuple[Picture, ...]
    passed_over: tuple[PassedOver, ...]


class Walk:
    """A look at all that lies under a folder.

    Attributes:
        pictures: their paths, sorted within a folder, folders in order.
        unread: folders that cannot be read, and files of which it cannot be told what they are.
    """

    def __init__(self, root: Path) -> None:
        self._pictures: list[str] = []
        self.unread: list[Path] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._entered: dict[str, Path] = {}  # real paths, and by which each was entered
        self._linked_folders: list[str] = []
        self._linked_files: list[str] = []
        self._enter(root)
        while self._linked_folders:
            self._follow(Path(self._linked_folders.pop(0)))
        listed = set(self._pictures)
        for file in self._linked_files:
            real = Path(os.path.realpath(file))
            own = self._entered.get(str(real.parent))
            if own is not None and str(own / real.name) in listed:
                self.pass_over(file, "links", f"to pictures that are listed, as {own / real.name}")
            else:
                self._pictures.append(file)
        self._pictures.sort(key=lambda path: path.split("/"))
        self.pictures = [Path(path) for path in self._pictures]

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """What was not taken for a picture, by kind."""
        return tuple(
            PassedOver(*kind, count, tuple(self._examples[kind]))
            for kind, count in sorted(self._counts.items())
        )

    def pass_over(self, path: Path | str, what: str, why: str) -> None:
        """Note that something was not taken."""
        self._counts[what, why] += 1
        if len(self._examples[what, why]) < _EXAMPLES:
            self._examples[what, why].append(str(path))

    def _follow(self, link: Path) -> None:
        """Enter a folder by a link, unless it was entered by its own name."""
        real = os.path.realpath(link)
        own = self._entered.get(real)
        if own is not None:
            self.pass_over(link, "links", f"to a folder that is listed, as {own}")
        elif any(Path(one).is_relative_to(real) for one in self._entered):
            self.pass_over(link, "links", "to a folder that they lie in")
        else:
            self._enter(link)

    def _enter(self, root: Path) -> None:
        folders = [str(root)]
        while folders:
            here = folders.pop()
            real = os.path.realpath(here)
            if real in self._entered:
                continue
            try:
                require_allowed(here)
                with os.scandir(here) as scan:
                    entries = sorted(scan, key=lambda entry: entry.name)
            except OSError:
                self.unread.append(Path(here))
                continue
            self._entered[real] = Path(here)
            inside = [entry for entry in entries if _is_folder(entry)]
            wanted = [entry.path for entry in inside if self._is_to_enter(entry)]
            folders += reversed(wanted)
            within = set(inside)
            for entry in entries:
                if entry not in within:
                    self._see(entry)

    def _is_to_enter(self, folder: os.DirEntry[str]) -> bool:
        if why := _left_out(folder.name):
            what = "hidden folders" if folder.name.startswith(".") else f"{folder.name} folders"
            self.pass_over(folder.path, what, why)
            return False
        if folder.is_symlink():
            self._linked_folders.append(folder.path)
            return False
        return True

    def _see(self, file: os.DirEntry[str]) -> None:
        if why := _left_out(file.name):
            what = "hidden files" if file.name.startswith(".") else f"{file.name} files"
            self.pass_over(file.path, what, why)
        elif (shows := _shows_a_picture(file.path)) is None:
            self.unread.append(Path(file.path))
        elif not shows:
            ending = os.path.splitext(file.name)[1].lower()  # noqa: PTH122
            self.pass_over(file.path, f"{ending or 'unnamed'} files", "not pictures")
        elif file.is_symlink():
            self._linked_files.append(file.path)
        else:
            self._pictures.append(file.path)


def look_up(places: Iterable[str | os.PathLike[str]]) -> Found:
    """List pictures, and what was passed over: as :func:`find_pictures` does.

    Raises:
        InvalidInput: a folder has no pictures in it.
    """
    pictures: list[Picture] = []
    passed_over: list[PassedOver] = []
    for place in map(Path, places):
        if not is_folder(place):
            pictures.append(Picture(place))
            continue
        walk = Walk(place)
        # A folder that cannot be read stands for itself, so that it is refused like a bad picture.
        found = [*walk.pictures, *walk.unread]
        if not found:
            raise none_in(place, walk.passed_over)
        pictures += map(Picture, sorted(found))
        passed_over += walk.passed_over
    return Found(tuple(pictures), tuple(passed_over))


def find_pictures(places: Iterable[str | os.PathLike[str]]) -> Iterator[Picture]:
    """List pictures: a file stands for itself, a folder for the pictures under it, sorted.

    A folder that cannot be read stands for itself, too, so that it is refused like a bad picture.

    Raises:
        InvalidInput: a folder has no pictures in it.
    """
    return iter(look_up(places).pictures)


def none_in(place: str | os.PathLike[str], passed_over: Iterable[PassedOver]) -> InvalidInput:
    """What to raise of a place without pictures: with what is there instead."""
    others = ", ".join(f"{one.count} {one.what} ({one.why})" for one in passed_over)
    return InvalidInput(f"there are no pictures in {place}{f': {others}' if others else ''}")


def is_folder(path: Path) -> bool:
    """Whether a path is that of a folder, and false where that cannot be told."""
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _left_out(name: str) -> str | None:
    """Why what has that name is left out; None where it is not."""
    return "hidden" if name.startswith(".") else LEFT_OUT.get(name.lower())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _shows_a_picture(path: str) -> bool | None:
    """Whether a file is to be taken for a picture; None where that cannot be told."""
    if os.path.splitext(path)[1].lower() in SUFFIXES:  # noqa: PTH122
        return True
    file = Path(path)
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # opening a pipe would wait
            return False
        require_allowed(file)
        return is_picture(locked_files.beginning(file, _BEGINNING))
    except OSError:  # a link to a disk that is away, say
        return None
