"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import typer

from catalog.cli.completion import among, class_names
from catalog.cli.output import anyone_there, counted, read_bytes, require_yes, say

if TYPE_CHECKING:
    from catalog import Listing
    from catalog.manifest import ClassLevel

CatalogPath: TypeAlias = Annotated[
    Path,
    # Whether it can be read is said in our words.
    typer.Option("--catalog", envvar="CATALOG_PATH", help="The catalogue file.", readable=False),
]
ClassName: TypeAlias = Annotated[
    str, typer.Argument(help="Name of the class.", autocompletion=class_names)
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Move: TypeAlias = Annotated[
    bool,
    typer.Option("--move", help="Take pictures away from other classes instead of refusing them."),
]
Html: TypeAlias = Annotated[
    Path | None,
    typer.Option("--html", help="Write a contact sheet: one HTML file that needs no network."),
]
Replace: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Let it take the place of a file that is there already; one that an earlier run made "
        "is replaced in any case, a catalogue or a picture never.",
    ),
]
BoxText: TypeAlias = Annotated[
    str | None,
    typer.Option("--box", help="Only this part of each picture: x,y,width,height in pixels."),
]
HeadName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--head",
        help="Train the head this way from now on: exact (solved from everything; the default of a "
        "new catalogue), frozen (old columns stay as they are), document (in Keras) or none.",
        autocompletion=among("exact", "frozen", "document", "none"),
    ),
]
GroupBy: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        help="folder: pictures of a class that lie in one folder, as in monday/cups and "
        "tuesday/cups, are of one occasion and count as one where it is measured how sure answers "
        "are. By default that is told by when a camera took them, and by how alike they are.",
        autocompletion=among("folder"),
    ),
]
NoMadeUp: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-made-up",
        help="Make up no photos of a picture whose class has no other to hold out: it is quicker, "
        "and nothing is known then of how sure answers are that name it.",
    ),
]
Precision: TypeAlias = Annotated[
    float, typer.Option(help="How often an answer called a match is to be right.")
]
Split: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Split the pictures at random into two or three parts of these sizes or shares, such "
        "as 80/20 or 1188/600/400, and take the one that --part names."
    ),
]
Part: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="train, validation or test; of two parts, train or test.",
        autocompletion=among("train", "validation", "test"),
    ),
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Which of the many random splits.")]
Level: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--class-level",
        help="Which folders of a tree name the classes: 1 for those directly in it, 2 for those in "
        "these, and so on, or last for those that hold the pictures. By default last, and where "
        "several have one name, it is asked.",
        autocompletion=among("1", "2", "last"),
    ),
]


def read_listing(
    source: str,
    split: str | None,
    part: str | None,
    seed: int,
    class_level: str | None,
    *,
    group_by: str | None = None,
    may_be_empty: bool = False,
) -> Listing:
    """The pictures of a folder tree, a manifest, or one on standard input; or one part of them.

    Where several folders have one name, it is asked whether they are one class, if anyone is there.

    Raises:
        NotFound, InvalidInput: as :func:`catalog.manifest.listed` does.
        typer.Abort: they are not.
    """
    from catalog import read_manifest
    from catalog.manifest import level_for, listed

    level = level_for(level_of(class_level), group_by)
    text = read_bytes() if source == "-" else None
    listing = read_manifest(
        Path() if text is not None else Path(source),
        text,
        class_level=level,
        may_be_empty=may_be_empty,
    )
    for note in listing.notes:
        say(f"note: {note}")
    if listing.shared and anyone_there():
        for folders in listing.shared:
            where = ", ".join(map(str, folders))
            say(f"{counted(len(folders), 'folder')} called {folders[0].name!r}: {where}")
        require_yes(
            "Is each of these names one class?", "nothing was stored; --class-level 1, 2 or last"
        )
        level = "last"
    return listed(listing, split, part, seed, level)


def level_of(given: str | None) -> ClassLevel | None:
    """What a level of folders was given as; whether it is one is seen where it is used."""
    return int(given) if given and given.isdecimal() else cast("ClassLevel | None", given)
