"""Commands that keep a catalogue in order over the years."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.completion import class_names
from catalog.cli.options import CatalogPath, ClassName, Json, Move, Yes
from catalog.cli.output import (
    counted,
    pictures_bar,
    print_imported,
    print_json,
    require_yes,
    resumable,
    say,
    steps_bar,
    tell,
)

if TYPE_CHECKING:
    from catalog import Forgotten, LabelCount, Moved

Replace = Annotated[
    bool, typer.Option("--replace", help="Put it in place of an older one of that name.")
]


def move(
    label: ClassName,
    items: Annotated[
        list[int],
        typer.Argument(
            help="Ids of items (`catalog items`), or of unknown photos (`catalog audit`)."
        ),
    ],
    catalog: CatalogPath,
    new: Annotated[
        bool, typer.Option("--new", help="Make the class; without it, it must exist.")
    ] = False,
    json: Json = False,
) -> None:
    """Take items, or unknown photos that were kept, to a class; `catalog undo` takes them back."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened, steps_bar("training") as training:
        moved = opened.move(items, label, new=new, training=training)
    _print_moved(moved, json=json)


def rename_class(
    label: ClassName,
    name: Annotated[str, typer.Argument(help="Its name from now on.")],
    catalog: CatalogPath,
    json: Json = False,
) -> None:
    """Give a class another name; `catalog undo` takes it back."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        renamed = opened.rename_class(label, name)
    if json:
        print_json(renamed)
    elif renamed.event is None:
        tell(f"class {renamed.label!r} has that name already")
    else:
        tell(f"class {renamed.before!r} is {renamed.label!r} now")


def merge_classes(
    labels: Annotated[
        list[str], typer.Argument(help="Names of classes.", autocompletion=class_names)
    ],
    into: Annotated[str, typer.Option(help="The class that stays.", autocompletion=class_names)],
    catalog: CatalogPath,
    json: Json = False,
) -> None:
    """Make one class of several; `catalog undo` takes it back."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened, steps_bar("training") as training:
        moved = opened.merge_classes(labels, into, training=training)
    _print_moved(moved, json=json)


def forget(
    catalog: CatalogPath,
    items: Annotated[
        list[int] | None, typer.Argument(help="Ids of items, as `catalog items` lists.")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="A class, with all its items and every name it had; more than once for several.",
            autocompletion=class_names,
        ),
    ] = None,
    pictures: Annotated[
        list[Path] | None,
        typer.Option(
            "--picture", help="An item or a photo that was kept, by its file; also several times."
        ),
    ] = None,
    staged: Annotated[
        bool,
        typer.Option(
            "--staged",
            help="All that is in no class: what was removed or undone, and photos that were kept.",
        ),
    ] = False,
    rewrite: Annotated[
        bool,
        typer.Option(
            "--rewrite",
            help="Finish what was cut short, or what other processes were in the way of.",
        ),
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete pictures and classes so that nothing of them stays in the file; cannot be undone.

    Neither can what came before. A frozen or document head that was trained on them is dropped.
    """
    from catalog import Catalog

    items, labels, pictures = items or [], labels or [], pictures or []
    with Catalog.open(catalog) as opened:
        named = _named(items, pictures, labels, opened.labels(), staged=staged)
        if named and not yes:
            require_yes(f"Forget {', '.join(named)} for good?", "nothing was forgotten; --yes")
        done = opened.forget(
            items, labels=labels, pictures=pictures, staged=staged, rewrite=rewrite
        )
    if json:
        print_json(done)
    else:
        _print_forgotten(done)
    _note_remains(done)


def forget_places(
    catalog: CatalogPath,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which places these are.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also if more than half of all places are gone."),
    ] = False,
    json: Json = False,
) -> None:
    """Forget places where nothing lies any more, or another picture; the items stay.

    Cannot be undone. To have the new places of pictures that were moved, import them again.
    """
    from catalog import Catalog

    with Catalog.open(catalog) as opened, pictures_bar("looking", None) as progress:
        done = opened.forget_places(dry_run=dry_run, force=force, progress=progress)
    if json:
        print_json(done)
        return
    for what, places in (("nothing lies at", done.gone), ("another picture lies at", done.another)):
        for place in places:
            say(f"{what} {place}")
    lost, (be, have) = len(done.gone) + len(done.another), ("", "have")
    if dry_run:
        be, have = "would be ", "would have"
    tell(
        f"{lost} of {counted(done.checked, 'place')} {be}forgotten; "
        f"{counted(done.items, 'item')} {have} none left"
    )


def merge(
    other: Annotated[Path, typer.Argument(help="A catalogue of the same embedder.")],
    catalog: CatalogPath,
    move: Move = False,
    json: Json = False,
) -> None:
    """Take over the items of another catalogue; run it again to go on where it was cut short."""
    from catalog import Catalog

    with (
        resumable(),
        Catalog.open(catalog) as opened,
        pictures_bar("merging", None) as progress,
        steps_bar("training") as training,
    ):
        result = opened.merge(other, move=move, progress=progress, training=training)
    print_imported(result, json=json)
    if result.refused or result.refused_classes:
        raise typer.Exit(5)


def backup(
    path: Annotated[Path, typer.Argument(help="The copy to make.")],
    catalog: CatalogPath,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Copy a catalogue, whoever else is using it, and check the copy."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        made = opened.backup(path, replace=replace)
    if json:
        print_json(made)
    else:
        size = f"{made.bytes / 1e6:,.1f} MB"
        tell(f"{made.path}: {counted(made.items, 'item')}, {size}, checked")


def restore(
    source: Annotated[Path, typer.Argument(help="A backup.")],
    catalog: CatalogPath,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Bring a catalogue back to what a backup holds, once that is checked; cannot be undone.

    Processes that have the catalogue open go on with what was restored.
    """
    from catalog import Catalog

    if os.path.exists(catalog) and not yes:  # noqa: PTH110 (a path's own raises for a long name)
        require_yes(
            f"Give up all that was done to {catalog} since {source} was made?",
            "nothing was restored; --yes",
        )
    restored = Catalog.restore(source, catalog)
    if json:
        print_json(restored)
    else:
        items = counted(restored.items, "item")
        tell(f"{restored.path}: {items} of generation {restored.generation} restored")


def _named(
    items: Sequence[int],
    pictures: Sequence[Path],
    labels: Sequence[str],
    classes: Sequence[LabelCount],
    *,
    staged: bool,
) -> list[str]:
    """What is to be forgotten, each in words; of a label also how many items its class has."""
    counts = {row.label: row.items for row in classes}
    return [
        *(f"item {item}" for item in items),
        *(str(picture) for picture in pictures),
        *(["everything that is in no class"] if staged else []),
        *(f"class {label!r} with {counted(counts.get(label, 0), 'item')}" for label in labels),
    ]


def _print_forgotten(done: Forgotten) -> None:
    about = f" and {counted(done.classes, 'class')}" if done.classes else ""
    tell(f"{counted(done.pictures, 'picture')}{about} forgotten")
    if done.event:
        say("backups that were made before still have it")


def _note_remains(done: Forgotten) -> None:
    """Say what the file still has of what was forgotten, and that its head is another now."""
    for label in done.emptied:
        say(f"class {label!r} has no items left; `catalog forget --label` forgets its name, too")
    if done.in_metric:
        say(
            f"{counted(done.in_metric, 'picture')} of these had been in a class that was removed "
            "inexactly: what they added to the metric stays, and only a new catalogue is without it"
        )
    if done.head:
        say(
            "the head had been trained on what was forgotten, so it was dropped; it is "
            f"{done.head} now, and `catalog train-head` trains another"
        )
    if not done.rewritten:
        say(
            "the file could not be written anew, since other processes are using it or the disk is "
            "full: traces may be left in its free space; `catalog forget --rewrite` finishes it"
        )


def _print_moved(moved: Moved, *, json: bool) -> None:
    if json:
        print_json(moved)
    else:
        what = "new class" if moved.created else "class"
        known = f", {moved.known} there already" if moved.known else ""
        tell(f"{what} {moved.label!r}: {counted(moved.moved, 'item')} moved to it{known}")
    for gone in moved.emptied:
        say(f"class {gone!r} has no items left, and is gone")
