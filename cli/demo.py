"""A small record shop, built and asked: ``make demo``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import cv2
import typer

from catalog import Catalog, NotFound, Picture, contact_sheet
from catalog.store import cache_folder
from cli.output import pictures_bar, say, write_page
from data import covers
from descriptors import CatalogError, Conflict

_RECORDS = 24
_NEWEST = 5
_SHEET = "contact-sheet.html"


def main(
    backbone: Annotated[
        str | None,
        typer.Option(envvar="CATALOG_BACKBONE", help="As for `catalog init`."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where to put it all.")] = Path("demo"),
) -> None:
    """Draw a shop of records, add today's five one by one, and look photos of them up."""
    file = folder / "shop.catalog"
    _clear(folder, file)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        shop = Catalog.init(file, backbone=backbone)
    except NotFound as error:
        say(f"The demo needs a network: {error}")
        raise typer.Exit(error.exit_code) from None
    with shop:
        typer.echo(f"a shop of {_RECORDS} records, one picture each ({shop.info().backbone})")
        with pictures_bar("covers", _RECORDS) as progress:
            for seed in range(_RECORDS):
                shop.add_class(covers.title(seed), [_save(folder / "covers", seed)])
                if progress:
                    progress(1)
        for seed in range(_RECORDS, _RECORDS + _NEWEST):
            added = shop.add_class(covers.title(seed), [_save(folder / "covers", seed)])
            typer.echo(f"new today: {added.label}")
        _ask(shop, folder)
    command = Path(sys.executable).with_name("catalog")
    typer.echo(
        f"ask it yourself: {command} nearest {folder / 'photos' / '00.jpg'} --catalog {file}"
    )


def _clear(folder: Path, file: Path) -> None:
    """Remove the demo of last time; anything else in that place is left alone."""
    if folder.exists() and any(folder.iterdir()) and not file.exists():
        raise Conflict(f"{folder} holds something other than a demo; name another --folder")
    for made in (file, folder / _SHEET):
        made.unlink(missing_ok=True)
    for made in (cache_folder(file), folder / "covers", folder / "photos"):
        shutil.rmtree(made, ignore_errors=True)


def _ask(shop: Catalog, folder: Path) -> None:
    seeds = range(_RECORDS + _NEWEST)
    photos = [_photograph(folder / "photos", seed) for seed in seeds]
    answers = shop.nearest_many(photos, 4)
    right = 0
    for seed, answer in zip(seeds, answers, strict=True):
        if isinstance(answer, CatalogError):
            raise answer
        wanted, found = covers.title(seed), answer[0].label
        right += wanted == found
        if wanted != found:
            typer.echo(f"wrong: a photo of {wanted} was taken for {found}")
    typer.echo(f"{right} of {len(photos)} photos found their record")
    write_page(folder / _SHEET, contact_sheet.nearest_sheet(photos, answers))


def _save(folder: Path, seed: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{covers.title(seed)}.jpg"
    cv2.imwrite(str(file), cv2.cvtColor(covers.cover(seed), cv2.COLOR_RGB2BGR))
    return file


def _photograph(folder: Path, seed: int) -> Picture:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{seed:02}.jpg"
    photo = covers.photo(seed)
    cv2.imwrite(str(file), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    return Picture(file)


def run() -> None:
    """Run the demo; an error becomes one line and its exit code."""
    try:
        typer.run(main)
    except CatalogError as error:
        say(f"error: {error}")
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    run()
