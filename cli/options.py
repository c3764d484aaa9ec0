"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

CatalogPath: TypeAlias = Annotated[
    Path,
    typer.Option("--catalog", envvar="CATALOG_PATH", help="The catalogue file."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Move: TypeAlias = Annotated[
    bool,
    typer.Option("--move", help="Take pictures away from other classes instead of refusing them."),
]
Html: TypeAlias = Annotated[
    Path | None,
    typer.Option("--html", help="Write a contact sheet: one HTML file that needs no network."),
]
BoxText: TypeAlias = Annotated[
    str | None,
    typer.Option("--box", help="Only this part of each picture: x,y,width,height in pixels."),
]
