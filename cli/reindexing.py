"""The command that makes anew what is derived, and brings in another embedder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.options import CatalogPath, Html, Json, Level, Precision, Replace, Yes, level_of
from catalog.cli.output import (
    counted,
    pictures_bar,
    print_json,
    print_table,
    report_refusals,
    require_yes,
    resumable,
    say,
    steps_bar,
    tell,
)

if TYPE_CHECKING:
    from catalog import (
        Catalog,
        Compared,
        ComparedAnswer,
        ComparedEmbedder,
        DroppedEmbedder,
        Promoted,
        Reindexed,
        Unreadable,
    )

_SHOWN = 20

_NEXT = (
    "`catalog reindex --compare` shows what changes, `catalog reindex --promote` goes over to it"
)


def reindex(
    catalog: CatalogPath,
    backbone: Annotated[
        str | None,
        typer.Option(help="Embed every picture anew by this network, as for `catalog init`."),
    ] = None,
    descriptor: Annotated[
        str | None,
        typer.Option(help="The same by another descriptor: 512, 1280, 2048 or pooled."),
    ] = None,
    views: Annotated[
        str | None,
        typer.Option(help="The same by another view preset: fast, standard or thorough."),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Show what changes if the other embedder is gone over to."),
    ] = False,
    queries: Annotated[
        str | None,
        typer.Option(
            help="With --compare: a folder tree, CSV or JSONL file of pictures to ask both about; "
            "by default the photos that were kept by --keep-unknown."
        ),
    ] = None,
    promote: Annotated[
        bool,
        typer.Option("--promote", help="Go over to the embedder that was brought in."),
    ] = False,
    back: Annotated[
        bool,
        typer.Option("--back", help="Go back to the one before, with all that has come since."),
    ] = False,
    without_unreadable: Annotated[
        bool,
        typer.Option(
            "--without-unreadable",
            help="With --promote or --back: take items out whose pictures cannot be read again.",
        ),
    ] = False,
    drop_old: Annotated[
        bool,
        typer.Option("--drop-old", help="Drop the former embedder for good: there is no way back."),
    ] = False,
    drop_new: Annotated[
        bool, typer.Option("--drop-new", help="Drop the embedder that was brought in for good.")
    ] = False,
    precision: Precision = 0.98,
    class_level: Level = None,
    html: Html = None,
    replace: Replace = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make anew what is derived; or bring in another network, descriptor or view preset.

    The catalogue goes on answering and taking in pictures by the one in use, until --promote. Run
    the same command again to go on where it was cut short. `catalog undo` takes --promote back.
    """
    from catalog import Catalog, InvalidInput

    wanted = [backbone or descriptor or views, compare, promote, back, drop_old, drop_new]
    if sum(map(bool, wanted)) > 1:
        raise typer.BadParameter(
            "one at a time: another embedder, --compare, --promote, --back, --drop-old, --drop-new"
        )
    if (queries or html) and not compare:
        raise InvalidInput("--queries and --html go with --compare")
    if without_unreadable and not (promote or back):
        raise InvalidInput("--without-unreadable goes with --promote or --back")
    # One bad picture among thousands must not take the rest with it.
    with resumable(), Catalog.open(catalog, isolate=True) as opened:
        if compare:
            _compare(opened, queries, precision, class_level, html, replace=replace, json=json)
        elif promote or back:
            _switch(opened, back=back, without_unreadable=without_unreadable, json=json)
        elif drop_old or drop_new:
            _drop(opened, old=drop_old, yes=yes, json=json)
        else:
            _reindex(opened, backbone, descriptor, views, json=json)


def _reindex(
    opened: Catalog, backbone: str | None, descriptor: str | None, views: str | None, *, json: bool
) -> None:
    with steps_bar("embedding") as progress:
        done = opened.reindex(
            backbone=backbone, descriptor=descriptor, views=views, progress=progress
        )
    print_reindexed(done, json=json)


def print_reindexed(done: Reindexed, *, json: bool) -> None:
    """Print what came of reindexing, and list the items that cannot be read again.

    Raises:
        typer.Exit: there are some.
    """
    if json:
        print_json(done)
    elif done.in_use:
        tell("that is what the catalogue answers by already")
    elif done.job is None:
        tell(f"what is derived from the descriptors of {counted(done.items, 'item')} is made anew")
    else:
        _print_embedded(done)
    if done.unreadable:
        raise typer.Exit(5)


def _print_embedded(done: Reindexed) -> None:
    tell(
        f"{counted(done.embedded, 'picture')} embedded by {done.fingerprint[:12]}, which has "
        f"{counted(done.items, 'item')} now; the catalogue answers as before"
    )
    if done.unreadable:
        _say_unread(done.unreadable)
        say(
            f"{counted(len(done.unreadable), 'item')} cannot be read again, and would be lost: see "
            "that they lie where they were and run this again; or leave them out: `catalog reindex "
            "--promote --without-unreadable`"
        )
    else:
        tell(_NEXT)


def _say_unread(unread: tuple[Unreadable, ...]) -> None:
    for one in unread[:_SHOWN]:
        where = one.places[0] if one.places else "no place"
        say(f"item {one.item} of class {one.label!r}, {where}: {one.detail}")
    if len(unread) > _SHOWN:
        say(f"and {len(unread) - _SHOWN} more; --json lists all")


def _switch(opened: Catalog, *, back: bool, without_unreadable: bool, json: bool) -> None:
    go: Callable[..., Promoted] = opened.back if back else opened.promote
    with steps_bar("embedding") as progress, steps_bar("training") as training:
        done = go(without_unreadable=without_unreadable, progress=progress, training=training)
    if json:
        print_json(done)
        return
    found = opened.info()
    now = f"{found.backbone}, {found.views}, {found.descriptor}"
    tell(f"the catalogue answers by {now} now")
    if done.removed:
        _say_unread(done.removed)
        tell(f"{counted(len(done.removed), 'item')} removed, which could not be read again")
    tell(
        "`catalog undo` takes that back; `catalog reindex --promote` goes forth again"
        if back
        else "`catalog reindex --back` goes back, with what has come since; `catalog reindex "
        "--drop-old` makes room, once that is not wanted any more"
    )


def _drop(opened: Catalog, *, old: bool, yes: bool, json: bool) -> None:
    if not yes:
        which = "former embedder" if old else "embedder that was brought in"
        require_yes(f"Drop the {which} for good?", "nothing was dropped; --yes")
    done: DroppedEmbedder = opened.drop_old() if old else opened.drop_new()
    if json:
        print_json(done)
    else:
        what = counted(done.items, "descriptor")
        tell(f"embedder {done.fingerprint[:12]} dropped, with {what}")
        if not done.rewritten:
            say("note: the file is in use, so it will be smaller only when it is next written anew")


def _compare(
    opened: Catalog,
    queries: str | None,
    precision: float,
    class_level: str | None,
    html: Path | None,
    *,
    replace: bool,
    json: bool,
) -> None:
    from catalog.reports import contact_sheet

    if html is not None:
        contact_sheet.require_writable(html, replace=replace)
    level = level_of(class_level)
    with pictures_bar("asking", None) as progress:
        found = opened.compare(queries, precision=precision, class_level=level, progress=progress)
    if html is not None:
        contact_sheet.write_sheet(contact_sheet.comparison_sheet(found), html, replace=replace)
        say(f"contact sheet: {html}")
    if json:
        print_json(found)
    else:
        _print_compared(found, precision)
    report_refusals(found.refused)
    if found.refused:
        raise typer.Exit(5)


def _print_compared(found: Compared, precision: float) -> None:
    rows = [("in use", *_row(found.before)), ("the other", *_row(found.after))]
    headings = ("", "network", "views", "descriptor", "right", f"a match at {precision:g}")
    print_table(rows, headings)
    tell(
        f"as told by {counted(found.items, 'item')} of {counted(found.occasions, 'occasion')}, "
        "each judged by what was learnt without it"
    )
    if not found.asked:
        tell("no picture was asked about: name some by --queries")
        return
    known = f"; {found.gained} right that were not, {found.lost} no more"
    tell(
        f"of {counted(found.asked, 'picture')} asked about, {len(found.flips)} are answered in "
        f"another way{known if found.gained or found.lost else ''}"
    )
    if found.flips:
        shown = [flip.place or "picture" for flip in found.flips[:_SHOWN]]
        before = (
            len(os.path.commonpath(shown)) + 1
            if len(shown) > 1 and all(map(os.path.isabs, shown))
            else 0
        )
        print_table(
            [
                (place[before:], flip.truth or "", *_said(flip.before), *_said(flip.after))
                for place, flip in zip(shown, found.flips, strict=False)
            ],
            ("picture", "is", "in use says", "", "the other says", ""),
        )
    if len(found.flips) > _SHOWN:
        tell(f"and {len(found.flips) - _SHOWN} more: --html shows all, with pictures")


def _row(side: ComparedEmbedder) -> tuple[str, str, str, str, str]:
    return (
        side.backbone,
        side.views,
        side.descriptor,
        _share(side.right),
        "never" if side.matches == 0 else _share(side.matches),
    )


def _share(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}"


def _said(said: ComparedAnswer) -> tuple[str, str]:
    return said.label or "", said.verdict
