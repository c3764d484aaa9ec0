"""A folder tree or a manifest becomes a listing."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from catalog.descriptors import Advice, InvalidInput, NotFound
from catalog.embedder import Picture
from catalog.machine import locked_files
from catalog.machine.reading import require_allowed
from catalog.manifest import foreign, sheets
from catalog.manifest.entries import Entry, Labelled, Listing
from catalog.manifest.folders import Walk, is_folder, none_in
from catalog.manifest.splits import take_part
from catalog.text import written

ClassLevel: TypeAlias = int | Literal["last"]
"""Which folders of a tree name classes: those so many levels below it, or those with pictures."""


def level_for(class_level: ClassLevel | None, group_by: str | None) -> ClassLevel | None:
    """The level of folders that names classes, where it may not have been said.

    Pictures that are grouped by folder lie in several of one name, and that is clear then.
    """
    return "last" if class_level is None and group_by == "folder" else class_level


def listed(
    source: Labelled,
    split: str | None = None,
    part: str | None = None,
    seed: int = 0,
    class_level: ClassLevel | None = None,
) -> Listing:
    """List pictures with their classes, wherever they come from, or one part of them.

    Raises:
        NotFound, InvalidInput: as :func:`read_manifest` and :func:`take_part` do; of split and
            part only one is given; or several folders have one name, and it was not said whether
            they are of one class.
    """
    if isinstance(source, str | os.PathLike):
        source = read_manifest(source, class_level=class_level)
    listing = source if isinstance(source, Listing) else Listing(tuple(source))
    if class_level is None:
        _require_one_meaning(listing)
    listing = replace(listing, shared=())  # it is said now
    if split is None and part is None:
        return listing
    if split is None or part is None:
        raise InvalidInput("a split and a part of it go together")
    return take_part(listing, split, part, seed)


def read_manifest(
    source: str | os.PathLike[str],
    text: str | bytes | None = None,
    *,
    class_level: ClassLevel | None = None,
    may_be_empty: bool = False,
) -> Listing:
    """List the pictures of a folder tree, or of a manifest, with their classes.

    In a tree the folder that holds a picture names its class. A manifest is CSV, or JSON lines,
    with the fields ``path`` and ``label``; it may have ``group``, the occasion that a picture was
    taken on, and ``box`` (``x,y,width,height``), or the sides of a box in four fields. Annotations
    of COCO and lists for Product Search are manifests, too. Paths are relative to the manifest.

    Args:
        source: the folder or manifest; for ``text``, what its paths are relative to.
        text: the manifest itself, if it came from elsewhere (standard input).
        class_level: which folders of a tree name classes: 1 for those that lie in it, 2 for those
            in these, and so on; ``last`` for those that hold pictures, which is the default, but
            then listings say where several folders have one name.
        may_be_empty: list nothing, instead of raising an error, where there are no pictures.

    Raises:
        NotFound: there is no such folder or file.
        InvalidInput: the manifest cannot be read, with the line; or it lists no pictures.
    """
    place = Path(source)
    origin: str | None = None
    if not (class_level in {None, "last"} or (isinstance(class_level, int) and class_level >= 1)):
        raise InvalidInput(f"a level of folders is 1, 2, ... or last, not {class_level!r}")
    if text is not None:
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        listing = _manifest(data, place, "standard input")
    elif is_folder(place):
        listing, origin = _tree(place, class_level), written(os.path.realpath(place))
    else:
        try:
            require_allowed(place)
            content = locked_files.content(place)
        except FileNotFoundError:
            raise NotFound(f"there is nothing at {place}") from None
        except OSError as error:
            raise sheets.no_manifest(str(place)) from error
        listing = _manifest(content, place.parent, str(place))
        origin = written(os.path.realpath(place))
    if not listing.entries and listing.bad_rows:
        first, *others = listing.bad_rows
        more = f" (and {len(others)} more rows are no better)" if others else ""
        raise InvalidInput(f"{first.place}: {first.detail}{more}")
    if not (listing.entries or listing.unread or may_be_empty):
        raise none_in(source, listing.passed_over)
    return replace(listing, entries=tuple(sorted(listing.entries, key=_order)), source=origin)


def _require_one_meaning(listing: Listing) -> None:
    """Make sure that no two folders of one name are taken for one class unasked.

    Raises:
        InvalidInput: there are some.
    """
    if not listing.shared:
        return
    first, *others = (
        f"{folders[0].name!r} ({', '.join(map(str, folders))})" for folders in listing.shared
    )
    more = f", and {len(others)} more names" if others else ""
    raise InvalidInput(
        f"several folders are called {first}{more}, and it was not said whether they are one class",
        Advice("class level"),
    )


def _manifest(data: bytes, base: Path, name: str) -> Listing:
    text, notes = sheets.decoded(data, name)
    listing = foreign.coco(text, base, name) or foreign.product_search(text, base, name)
    return replace(listing or sheets.rows(text, base, name), notes=notes)


def _tree(folder: Path, class_level: ClassLevel | None) -> Listing:
    root = folder.resolve()
    walk = Walk(root)
    level = class_level if isinstance(class_level, int) else None
    entries: list[Entry] = []
    naming: dict[str, Path | None] = {}  # of the folder of a picture, the one that names its class
    for path in walk.pictures:
        parent = os.path.dirname(path)  # noqa: PTH120
        if parent not in naming:
            naming[parent] = _naming(Path(parent), root, level)
        folder_of_class = naming[parent]
        if folder_of_class is None:
            walk.pass_over(path, "pictures", f"above level {level}, whose folders name classes")
        else:
            entries.append(Entry(folder_of_class.name, Picture(path), folder_of_class))
    shared = _shared(entries) if class_level is None else ()
    return Listing(tuple(entries), walk.passed_over, tuple(walk.unread), shared=shared)


def _naming(folder: Path, root: Path, level: int | None) -> Path | None:
    """The folder that names the class of what lies in one; None for what lies above that level."""
    if level is None:
        return folder
    parts = folder.relative_to(root).parts
    return None if len(parts) < level else root.joinpath(*parts[:level])


def _shared(entries: list[Entry]) -> tuple[tuple[Path, ...], ...]:
    """The folders that have one name, in whatever case, those of each name together."""
    folders: defaultdict[str, dict[Path, None]] = defaultdict(dict)
    for entry in entries:
        if entry.folder is not None:
            folders[" ".join(entry.label.split()).casefold()][entry.folder] = None
    return tuple(tuple(sorted(found)) for found in folders.values() if len(found) > 1)


def _order(entry: Entry) -> tuple[str, str]:
    return entry.label, str(entry.picture.source)
