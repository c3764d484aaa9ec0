"""Commands that change a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.backbone import STARTER_NOTE, UNMEASURED_NOTE, choose_backbone
from catalog.cli.completion import among, backbone_names, class_names
from catalog.cli.options import (
    CatalogPath,
    ClassName,
    GroupBy,
    HeadName,
    Json,
    Level,
    Move,
    NoMadeUp,
    Part,
    Seed,
    Split,
    Yes,
    read_listing,
)
from catalog.cli.output import (
    counted,
    note_odd,
    pictures_bar,
    print_imported,
    print_json,
    read_paths,
    report_passed_over,
    report_refusals,
    require_yes,
    resumable,
    say,
    steps_bar,
    tell,
)

if TYPE_CHECKING:
    from catalog import Added, Listing
    from catalog.manifest import Found

Pictures = Annotated[
    list[str],
    typer.Argument(help="Files, folders, or - for a list of paths on stdin, one a line."),
]
Null = Annotated[
    bool,
    typer.Option(
        "--null", "-0", help="Paths on stdin end with NUL, as `find -print0` writes them."
    ),
]


def init(
    path: Annotated[Path, typer.Argument(help="The catalogue file to make.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            help="imagenet, starter, another from `catalog model list`, or the path of one to "
            "import. By default imagenet if it is here or may be downloaded, else starter.",
            autocompletion=backbone_names,
        ),
    ] = None,
    views: Annotated[
        str,
        typer.Option(
            help="How often the network looks at a picture: fast 1, standard 3, thorough 5 times.",
            autocompletion=among("fast", "standard", "thorough"),
        ),
    ] = "standard",
    descriptor: Annotated[
        str | None,
        typer.Option(
            help="How many numbers of several layers of the network: 512, 1280 or 2048; or pooled, "
            "the last layer alone. By default 1280, or pooled for a network that is not known.",
            autocompletion=among("512", "1280", "2048", "pooled"),
        ),
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails",
            help="Keep a small copy of each picture in the file, some 10 kB, so that it can be "
            "shown when the picture is gone, or was only sent.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make a new, empty catalogue."""
    from catalog import Catalog
    from catalog.embedder import models
    from catalog.embedder.describe import require_descriptor
    from catalog.embedder.views import preset

    preset(views)
    if descriptor is not None:
        require_descriptor(descriptor)
    Catalog.require_new(path)  # before anyone is asked about a download
    chosen = backbone or choose_backbone()
    with Catalog.init(
        path, backbone=chosen, views=views, descriptor=descriptor, thumbnails=thumbnails
    ) as made:
        info = made.info()
    if json:
        print_json(info)
    else:
        tell(f"{info.path}: an empty catalogue")
        tell(f"  backbone   {info.backbone}")
        tell(f"  views      {info.views}")
        tell(f"  descriptor {_in_words(info.descriptor)}")
        if info.thumbnails:
            tell("  thumbnails are kept")
    if backbone is None and chosen == models.STARTER:
        say(STARTER_NOTE)
    if not json and not info.prior:
        say(UNMEASURED_NOTE)


def _in_words(descriptor: str) -> str:
    if descriptor == "pooled":
        return "pooled: the last layer of the network"
    return f"{descriptor}: several layers of the network"


def add_class(
    label: Annotated[str, typer.Argument(help="Name of the new class.")],
    pictures: Pictures,
    catalog: CatalogPath,
    move: Move = False,
    head: HeadName = None,
    group_by: GroupBy = None,
    no_made_up: NoMadeUp = False,
    null: Null = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show what it would take from the other classes."),
    ] = False,
    json: Json = False,
) -> None:
    """Make a new class of some pictures."""
    from catalog import Catalog

    if dry_run:
        _preview(label, pictures, catalog, null=null, json=json)
        return
    found = _pictures_at(pictures, null=null)
    with (
        Catalog.open(catalog) as opened,
        pictures_bar(label, len(found.pictures)) as progress,
        steps_bar("training") as training,
    ):
        added = opened.add_class(
            label,
            found.pictures,
            move=move,
            head=head,
            group_by=group_by,
            made_up=not no_made_up,
            progress=progress,
            training=training,
        )
    report_passed_over(found.passed_over)
    _report_added(added, json=json, head=head)


def add(
    label: ClassName,
    pictures: Pictures,
    catalog: CatalogPath,
    move: Move = False,
    group_by: GroupBy = None,
    no_made_up: NoMadeUp = False,
    null: Null = False,
    json: Json = False,
) -> None:
    """Add pictures to a class that exists."""
    from catalog import Catalog

    found = _pictures_at(pictures, null=null)
    with (
        Catalog.open(catalog) as opened,
        pictures_bar(label, len(found.pictures)) as progress,
        steps_bar("training") as training,
    ):
        added = opened.add(
            label,
            found.pictures,
            move=move,
            group_by=group_by,
            made_up=not no_made_up,
            progress=progress,
            training=training,
        )
    report_passed_over(found.passed_over)
    _report_added(added, json=json)


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder tree (the folder that holds a picture names its class), a CSV or JSONL "
            "file with path and label (and box or group), or - for one on stdin."
        ),
    ],
    catalog: CatalogPath,
    move: Move = False,
    head: HeadName = None,
    group_by: GroupBy = None,
    no_made_up: NoMadeUp = False,
    split: Split = None,
    part: Part = None,
    seed: Seed = 0,
    class_level: Level = None,
    json: Json = False,
) -> None:
    """Add pictures of many classes; run it again to go on where it was cut short."""
    from catalog import Catalog

    listing = read_listing(source, split, part, seed, class_level, group_by=group_by)
    with (
        resumable(),
        # One bad picture among thousands must not take the rest with it.
        Catalog.open(catalog, isolate=True) as opened,
        pictures_bar("importing", len(listing.entries)) as progress,
        steps_bar("training") as training,
    ):
        result = opened.import_(
            listing,
            move=move,
            head=head,
            group_by=group_by,
            made_up=not no_made_up,
            progress=progress,
            training=training,
        )
    print_imported(result, json=json)
    for given, label in result.respelt.items():
        say(f"note: {given!r} is another spelling of class {label!r}")
    if not any(added.event for added in result.classes):
        _note_head(head)
    _note_folders(listing, Path(source))
    report_passed_over(result.passed_over)
    if result.failures:
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
    tell(f"{counted(removed.items, 'item')} removed")
    for label in removed.classes:
        say(f"class {label!r} has no items left, and is gone")


def remove_class(
    label: ClassName,
    catalog: CatalogPath,
    yes: Yes = False,
    inexact: Annotated[
        bool,
        typer.Option(
            "--inexact",
            help="Take out a class that was compacted: it is gone from answers, but its share of "
            "the metric stays, and `catalog undo` does not bring it back.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Take a class out with all its items; `catalog undo` brings it back."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        count = len(opened.items(label))
        if not yes:
            require_yes(
                f"Remove class {label!r} with {counted(count, 'item')}?",
                "nothing was removed; --yes",
            )
        removed = opened.remove_class(label, inexact=inexact)
    if json:
        print_json(removed)
    else:
        tell(f"class {removed.classes[0]!r} with {counted(removed.items, 'item')} removed")


def compact(
    catalog: CatalogPath,
    labels: Annotated[
        list[str] | None,
        typer.Argument(help="Names of classes; all by default.", autocompletion=class_names),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Drop the descriptors of classes, and keep only their sums; cannot be undone.

    Their items cannot be neighbours any more, nor be taken out. Centroids and head go on.
    """
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        if not yes:
            what = ", ".join(map(repr, labels)) if labels else "all classes"
            require_yes(f"Drop the descriptors of {what} for good?", "nothing was dropped; --yes")
        done = opened.compact(labels or None)
    if json:
        print_json(done)
    else:
        tell(
            f"descriptors of {counted(done.items, 'item')} in "
            f"{counted(len(done.labels), 'class')} dropped; their sums are kept"
        )


def undo(
    catalog: CatalogPath,
    command: Annotated[
        int | None,
        typer.Option(help="Only if it is this one, by its first number in `catalog history`."),
    ] = None,
    json: Json = False,
) -> None:
    """Take back the last command that changed the catalogue."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        events = opened.undo(command=command)
        left = opened.labels()
    if json:
        print_json(events)
        return
    kinds = ", ".join(sorted({event.kind for event in events}))
    labels = [str(event.detail["label"]) for event in events if "label" in event.detail]
    about = f" ({labels[0]!r})" if len(labels) == 1 else f" ({counted(len(labels), 'class')})"
    tell(f"undone: {kinds} of {events[-1].at}{about if labels else ''}")
    tell(f"left: {counted(sum(row.items for row in left), 'item')}, {counted(len(left), 'class')}")


def _note_folders(listing: Listing, root: Path) -> None:
    """Say where one class came from several folders, or from the folder that was imported itself.

    Two shelves may well have a folder of the same name for different things.
    """
    folders: dict[str, set[Path]] = {}
    for entry in listing.entries:
        if entry.folder is not None:
            folders.setdefault(entry.label, set()).add(entry.folder)
    for label, found in folders.items():
        if len(found) > 1:
            names = ", ".join(sorted(map(str, found)))
            say(f"note: class {label!r} is what {len(found)} folders are called: {names}")
        if root.resolve() in found:
            say(f"note: pictures that lie in {root} itself are class {label!r} now")


def _pictures_at(places: Sequence[str], *, null: bool) -> Found:
    """The pictures that are named on the command line, and on standard input for a -."""
    from catalog.manifest import look_up

    listed = read_paths(null=null) if "-" in places else []
    return look_up([*(place for place in places if place not in {"", "-"}), *listed])


def _preview(label: str, places: Sequence[str], path: Path, *, null: bool, json: bool) -> None:
    from catalog import Catalog

    pictures = _pictures_at(places, null=null).pictures
    with Catalog.open(path) as opened, pictures_bar(label, len(pictures)) as progress:
        found = opened.preview_class(label, pictures, progress=progress)
    if json:
        print_json(found)
    else:
        tell(f"class {found.label!r} would have {counted(found.pictures, 'picture')}")
        for now in found.now:
            tell(f"  {now.pictures} of them are taken for {now.label!r} now")
        for taken in found.takes:
            tell(f"  it would take {taken.pictures} of the {taken.of} of {taken.label!r}")
        if not found.takes:
            tell("  it would take nothing from other classes")
    report_refusals(found.refused)
    if found.refused:
        raise typer.Exit(5)


def _note_head(head: str | None) -> None:
    """Say that the way in which the head is trained is as it was, since nothing came in."""
    if head is not None:
        say(f"the head is trained as before; `catalog train-head --head {head}` changes that")


def _report_added(added: Added, *, json: bool, head: str | None = None) -> None:
    """Print what came of adding pictures to a class, and exit with 5 if some were refused."""
    taken = bool(added.added or added.moved or added.known)
    note_odd([added])
    if json:
        print_json(added)
    elif taken:
        _print_added(added)
    for gone in added.emptied:
        say(f"class {gone!r} has no items left, and is gone")
    report_refusals(added.refused)
    if added.refused:
        if not taken:
            say(f"nothing was added to {added.label!r}: every picture was refused")
            _note_head(head)
        raise typer.Exit(5)


def _print_added(added: Added) -> None:
    moved = f", {added.moved} moved from other classes" if added.moved else ""
    known = f", {added.known} known already" if added.known else ""
    what = "new class" if added.created else "class"
    tell(f"{what} {added.label!r}: {counted(added.added, 'picture')} added{moved}{known}")
