"""Manifests of other programs: annotations of COCO, and lists for Product Search."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from catalog.descriptors import InvalidInput
from catalog.embedder import Picture
from catalog.manifest.entries import BadRow, Entry, Listing, PassedOver
from catalog.manifest.sheets import box_of, path_below

_COLUMNS: Final = 8
"""Of a list for Product Search: image-uri, image-id, product-set-id, product-id, product-category,
product-display-name, labels, bounding-poly, without a line of names."""

_BESIDE: Final = (".", "images", "..", "../images")
"""Where the pictures of annotations lie, seen from their file: the first that has one is taken."""


def coco(text: str, base: Path, name: str) -> Listing | None:
    """The boxes of annotations in COCO's form, each a picture of its category.

    Args:
        text: of the file: an object of ``images``, ``annotations`` and ``categories``.
        base: the folder that it lies in.
        name: of it, for messages.

    Returns:
        The listing; None where it is something else.
    """
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return None
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None  # lines of JSON, perhaps
    if not isinstance(found, dict) or not {"images", "annotations", "categories"} <= found.keys():
        return None
    files = {one.get("id"): one.get("file_name") for one in _objects(found["images"])}
    categories = {one.get("id"): one.get("name") for one in _objects(found["categories"])}
    folder = _folder_of(base, (str(file) for file in files.values()))
    entries: list[Entry] = []
    bad_rows: list[BadRow] = []
    used = set()
    crowds: list[str] = []
    for number, one in enumerate(_objects(found["annotations"]), start=1):
        if one.get("iscrowd"):
            crowds.append(str(one.get("id", number)))
            continue
        try:
            entries.append(_annotated(one, files, categories, folder))
            used.add(one.get("image_id"))
        except InvalidInput as error:
            bad_rows.append(BadRow(f"{name}, annotation {one.get('id', number)}", str(error)))
    bare = [str(file) for image, file in files.items() if image not in used]
    passed = (("pictures", "without annotations", bare), ("annotations", "of crowds", crowds))
    over = [PassedOver(what, why, len(some), tuple(some[:3])) for what, why, some in passed if some]
    return Listing(tuple(entries), tuple(over), bad_rows=tuple(bad_rows))


def _annotated(
    one: Mapping[str, Any], files: Mapping[Any, Any], categories: Mapping[Any, Any], folder: Path
) -> Entry:
    file, label = files.get(one.get("image_id")), categories.get(one.get("category_id"))
    if not isinstance(file, str) or not isinstance(label, str):
        raise InvalidInput("its image_id or category_id is not in the file")
    box = one.get("bbox")
    region = box_of(box) if isinstance(box, list) and box else None
    return Entry(label, Picture(path_below(folder, file), region))


def product_search(text: str, base: Path, name: str) -> Listing | None:
    """The pictures of a list for Product Search, each of the product that it names.

    A product goes by its display name, and by its id where it has none; where two products have
    one display name, the id is added to it.

    Args:
        text: of the list.
        base: the folder that it lies in; an address in a bucket is that of a file below it.
        name: of it, for messages.

    Returns:
        The listing; None where it is something else.

    Raises:
        InvalidInput: a line cannot be read.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        first = next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
    except csv.Error:
        return None
    if not (len(first) >= _COLUMNS - 1 and "://" in first[0]):
        return None
    lines = [(reader.line_num, first)]
    try:
        lines += [(reader.line_num, cells) for cells in reader if any(c.strip() for c in cells)]
    except csv.Error as error:
        raise InvalidInput(f"{name}, line {reader.line_num}: {error}") from error
    ids: defaultdict[str, set[str]] = defaultdict(set)
    padded = [
        (line, [*map(str.strip, cells), *[""] * _COLUMNS][:_COLUMNS]) for line, cells in lines
    ]
    for _, (_, _, _, product, _, shown, _, _) in padded:
        ids[shown or product].add(product)
    entries: list[Entry] = []
    bad_rows: list[BadRow] = []
    for line, (uri, _, _, product, _, shown, _, poly) in padded:
        label = shown or product
        if len(ids[label]) > 1:
            label = f"{label} ({product})"
        if not uri or not product:
            bad_rows.append(BadRow(f"{name}, line {line}", "needs an image-uri and a product-id"))
            continue
        try:
            entries.append(Entry(label, Picture(_in_bucket(base, uri), _around(poly))))
        except InvalidInput as error:
            bad_rows.append(BadRow(f"{name}, line {line}", str(error)))
    return Listing(tuple(entries), bad_rows=tuple(bad_rows))


def _around(poly: str) -> Any:
    """The box around a polygon x1,y1,x2,y2,...; None for none."""
    if not poly:
        return None
    try:
        numbers = [float(number) for number in poly.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) < 4 or len(numbers) % 2:
        raise InvalidInput(f"a bounding-poly is x1,y1,x2,y2,... in pixels, not {poly!r}")
    across, down = numbers[::2], numbers[1::2]
    left, top = min(across), min(down)
    return box_of([left, top, max(across) - left, max(down) - top])


def _in_bucket(base: Path, uri: str) -> Path:
    """The file of an address: under its path in the bucket, or directly beside the list."""
    path = uri.partition("://")[2].partition("/")[2] or uri
    below, beside = base / path, base / Path(path).name
    return beside if beside.is_file() and not below.is_file() else below


def _folder_of(base: Path, files: Iterator[str]) -> Path:
    """The folder that the first of some files is in."""
    first = next(files, "")
    places = (base / beside for beside in _BESIDE)
    return next((place for place in places if (place / first).is_file()), base)


def _objects(value: Any) -> list[dict[Any, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
