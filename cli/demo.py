"""A record shop, built and asked: ``make demo``."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from catalog import Catalog, Neighbour
from catalog.cli.ending import run_to_end
from catalog.cli.output import pictures_bar, say, tell
from catalog.data import covers
from catalog.descriptors import CatalogError, Conflict
from catalog.embedder.models import STARTER
from catalog.reports import contact_sheet

RECORDS = 200
"""How many records the shop has before today."""

NEW = 5
"""How many come in today."""

_MARK = ".catalog-demo"
_SHEET = "contact-sheet.html"
_LIST = "photos.csv"
_SHOWN = 40


@dataclass(frozen=True)
class Lookup:
    """A customer's photo of a record, and what was found for it."""

    photo: Path
    title: str
    found: list[Neighbour]

    @property
    def right(self) -> bool:
        """Whether the record itself came first."""
        return self.found[0].label == self.title


def main(
    backbone: Annotated[
        str,
        typer.Option(
            envvar="CATALOG_BACKBONE", help="starter, imagenet, or as for `catalog init`."
        ),
    ] = STARTER,
    folder: Annotated[Path, typer.Option(help="Where to put it all.")] = Path("demo"),
) -> None:
    """Draw a shop of records, add today's five one by one, and look photos of all of them up."""
    began = time.monotonic()
    file = folder / "shop.catalog"
    _make_room(folder)
    with Catalog.init(file, backbone=backbone, thumbnails=True) as shop:
        network = shop.info().backbone
        tell(f"A shop of {RECORDS} records, one picture of each. Network: {network}")
        _stock(shop, folder)
        _add_new(shop, folder)
        lookups = _look_up(shop, folder)
    _report(lookups, folder)
    tell(f"All of it took {time.monotonic() - began:.0f} seconds. Ask it yourself:")
    command = Path(sys.executable).with_name("catalog")
    for asked in ("nearest", "predict"):
        tell(f"  {shlex.join([str(command), asked, str(lookups[-1].photo)])} \\")
        tell(f"    --catalog {shlex.quote(str(file))}")
    _list_photos(lookups, folder)
    tell("", f"Or by its page, in a browser, with the photos in {folder / 'photos'}:")
    served = ["serve", "--open", "--catalog", str(file), "--allow", str(folder)]
    tell(f"  {shlex.join([str(command), *served])}")
    tell(f"  (its accuracy is measured with {(folder / _LIST).absolute()})")


def _make_room(folder: Path) -> None:
    """An empty folder for the demo, its folders in it; a demo made before goes, nothing else."""
    try:
        if folder.exists():
            if not (folder / _MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise Conflict(f"{folder} is something other than a demo; name another --folder")
            shutil.rmtree(folder)
        for inner in ("covers", "photos"):
            (folder / inner).mkdir(parents=True)
        (folder / _MARK).write_text("The next `make demo` removes this folder.\n")
    except OSError as error:
        raise CatalogError(f"cannot make {folder}: {error.strerror}") from error


def _stock(shop: Catalog, folder: Path) -> None:
    with pictures_bar("covers", RECORDS) as progress:
        for number in range(RECORDS):
            shop.add_class(covers.title(number), [_draw(folder, number)])
            if progress:
                progress(1)


def _add_new(shop: Catalog, folder: Path) -> None:
    tell("", f"{NEW} new records today, added one by one:")
    for number in range(RECORDS, RECORDS + NEW):
        picture = _draw(folder, number)
        began = time.monotonic()
        added = shop.add_class(covers.title(number), [picture])
        took = 1000 * (time.monotonic() - began)
        tell(f"  {added.label:<18} {took:4.0f} ms")


def _look_up(shop: Catalog, folder: Path) -> list[Lookup]:
    """Take a photo of every record, and ask which it is."""
    numbers = range(RECORDS + NEW)
    photos = []
    with pictures_bar("photos", len(numbers)) as progress:
        for number in numbers:
            photos.append(_photograph(folder, number))
            if progress:
                progress(1)
    began = time.monotonic()
    answers = shop.nearest_many(photos, 4)
    lookups = []
    for number, photo, answer in zip(numbers, photos, answers, strict=True):
        if isinstance(answer, CatalogError):
            raise answer
        lookups.append(Lookup(photo, covers.title(number), answer))
    took = time.monotonic() - began
    tell("", f"{len(photos)} customers' photos, one of each record, in {took:.1f} s:")
    return lookups


def _report(lookups: Sequence[Lookup], folder: Path) -> None:
    """Say how many were right, name those that were not, and show both on a page."""
    wrong = [lookup for lookup in lookups if not lookup.right]
    right = len(lookups) - len(wrong)
    share = f"{right} of {len(lookups)} photos ({right / len(lookups):.1%})"
    tell(f"  {share} found their record first")
    for lookup in wrong:
        first = lookup.found[0]
        tell(
            f"  wrong: {lookup.photo}, {lookup.title}, was taken for {first.label} "
            f"({first.score:.2f})"
        )
    new = [lookup for lookup in lookups[-NEW:] if lookup.right]
    others = [lookup for lookup in lookups[:-NEW] if lookup.right]
    shown = [*wrong, *new, *others][:_SHOWN]
    heading = f"{share} found their record"
    if wrong:
        heading += f"; first the {len(wrong)} that did not, then some that did"
    page = contact_sheet.nearest_sheet(
        [lookup.photo for lookup in shown],
        [lookup.found for lookup in shown],
        truths=[lookup.title for lookup in shown],
        heading=heading,
    )
    tell("")
    contact_sheet.write_sheet(page, folder / _SHEET)
    say(f"contact sheet: {folder / _SHEET}")


def _list_photos(lookups: Sequence[Lookup], folder: Path) -> None:
    """Say in a list which record each photo is of, for `evaluate` and the page."""
    rows = [f"photos/{lookup.photo.name},{lookup.title}\n" for lookup in lookups]
    (folder / _LIST).write_text("path,label\n" + "".join(rows))


def _draw(folder: Path, number: int) -> Path:
    file = folder / "covers" / f"{covers.title(number)}.jpg"
    return _write(file, covers.cover(number), 95)


def _photograph(folder: Path, number: int) -> Path:
    file = folder / "photos" / f"{number:03}.jpg"
    return _write(file, covers.photo(number), 75)


def _write(file: Path, pixels: NDArray[np.uint8], quality: int) -> Path:
    """Write a JPEG of some quality, 0 to 100."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(file), bgr, [cv2.IMWRITE_JPEG_QUALITY, quality]):
        raise CatalogError(f"cannot write {file}")
    return file


def run() -> None:
    """Run the demo; an error becomes one line and its exit code."""
    run_to_end(lambda: typer.run(main))


if __name__ == "__main__":
    run()
