"""Commands that change a catalogue."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.options import CatalogPath, Json, Move
from cli.output import pictures_bar, print_json, read_stdin, report_refusals, say

Pictures = Annotated[
    list[str],
    typer.Argument(help="Files, folders, or - for a list of paths on stdin, one a line."),
]


def init(
    path: Annotated[Path, typer.Argument(help="The catalogue file to make.")],
    backbone: Annotated[
        str | None,
        typer.Option(help="A network from `catalog model list`, or the path of one to import."),
    ] = None,
    views: Annotated[
        str, typer.Option(help="fast, standard or thorough: more views, better and slower.")
    ] = "standard",
    json: Json = False,
) -> None:
    """Make a new, empty catalogue."""
    from catalog import Catalog

    with Catalog.init(path, backbone=backbone, views=views) as made:
        info = made.info()
    if json:
        print_json(info)
        return
    typer.echo(f"{info.path}: an empty catalogue")
    typer.echo(f"  backbone  {info.backbone}")
    typer.echo(f"  views     {info.views}")
    if not info.prior:
        say(
            "note: no prior was measured for this backbone and preset; with few pictures per class "
            "answers will be less good"
        )


def add_class(
    label: Annotated[str, typer.Argument(help="Name of the new class.")],
    pictures: Pictures,
    catalog: CatalogPath,
    move: Move = False,
    json: Json = False,
) -> None:
    """Make a new class of some pictures."""
    _add("add_class", label, pictures, catalog, move=move, json=json)


def add(
    label: Annotated[str, typer.Argument(help="Name of the class.")],
    pictures: Pictures,
    catalog: CatalogPath,
    move: Move = False,
    json: Json = False,
) -> None:
    """Add pictures to a class that exists."""
    _add("add", label, pictures, catalog, move=move, json=json)


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder tree (the folder that holds a picture names its class), a CSV or JSONL "
            "file with path and label, or - for one on stdin."
        ),
    ],
    catalog: CatalogPath,
    move: Move = False,
    json: Json = False,
) -> None:
    """Add pictures of many classes; run it again to go on where it was cut short."""
    from catalog import Catalog, read_manifest

    text = read_stdin() if source == "-" else None
    listing = read_manifest(Path() if text is not None else Path(source), text)
    try:
        with (
            Catalog.open(catalog) as opened,
            pictures_bar("importing", len(listing.entries)) as progress,
        ):
            result = opened.import_(listing, move=move, progress=progress)
    except KeyboardInterrupt:
        say("stopped; what was done is kept, and the same command goes on from there")
        raise
    if json:
        print_json(result)
    else:
        new = sum(added.created for added in result.classes)
        typer.echo(
            f"{sum(added.added for added in result.classes)} pictures added, "
            f"{new} new classes, {sum(added.known for added in result.classes)} known already"
        )
    report_refusals(result.refused)
    for label, reason in result.refused_classes.items():
        say(f"refused: class {label!r}: {reason}")
    if result.others:
        say(f"{result.others} files with other endings than those of pictures were left alone")
    if result.refused or result.refused_classes:
        raise typer.Exit(5)


def remove(
    items: Annotated[list[int], typer.Argument(help="Ids of items, as `catalog items` lists.")],
    catalog: CatalogPath,
    json: Json = False,
) -> None:
    """Take items out; `catalog undo` brings them back."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        removed = opened.remove(items)
    if json:
        print_json(removed)
        return
    typer.echo(f"{removed.items} items removed")
    for label in removed.classes:
        say(f"class {label!r} has no items left, and is gone")


def remove_class(
    label: Annotated[str, typer.Argument(help="Name of the class.")],
    catalog: CatalogPath,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Take a class out with all its items; `catalog undo` brings it back."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        count = len(opened.items(label))
        if not yes:
            with contextlib.redirect_stdout(sys.stderr):  # the prompt writes a blank to stdout
                typer.confirm(f"Remove class {label!r} with {count} items?", abort=True, err=True)
        removed = opened.remove_class(label)
    if json:
        print_json(removed)
    else:
        typer.echo(f"class {removed.classes[0]!r} with {removed.items} items removed")


def undo(catalog: CatalogPath, json: Json = False) -> None:
    """Take back the last command that changed the catalogue."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        events = opened.undo()
    if json:
        print_json(events)
        return
    for event in events:
        about = ", ".join(f"{name} {value}" for name, value in event.detail.items())
        typer.echo(f"undone: {event.kind} of {event.at} ({about})")


def _add(
    call: str, label: str, places: Sequence[str], path: Path, *, move: bool, json: bool
) -> None:
    from catalog import Catalog, find_pictures

    listed = read_stdin(paths=True).split("\n") if "-" in places else []
    named = [place for place in [*places, *listed] if place not in {"", "-"}]
    pictures = list(find_pictures(named))
    with Catalog.open(path) as opened, pictures_bar(label, len(pictures)) as progress:
        added = getattr(opened, call)(label, pictures, move=move, progress=progress)
    if json:
        print_json(added)
    elif added.added or added.moved or added.known:
        moved = f", {added.moved} moved from other classes" if added.moved else ""
        known = f", {added.known} known already" if added.known else ""
        what = "new class" if added.created else "class"
        typer.echo(f"{what} {added.label!r}: {added.added} pictures added{moved}{known}")
    report_refusals(added.refused)
    if added.refused:
        if not (added.added or added.moved or added.known):
            say(f"nothing was added to {added.label!r}: every picture was refused")
        raise typer.Exit(5)
