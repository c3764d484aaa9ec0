"""The command that writes a catalogue out for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.completion import among
from catalog.cli.options import CatalogPath, Json
from catalog.cli.output import counted, print_json, say, tell


def export(
    dest: Annotated[
        Path,
        typer.Argument(help="The file to make, or for the projector the folder."),
    ],
    catalog: CatalogPath,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            help="parquet, npz (NumPy), labels (JSON: index to name and back) or projector (a "
            "folder for the embedding projector of TensorBoard); by default what the ending says: "
            ".parquet, .npz or .json.",
            autocompletion=among("parquet", "npz", "labels", "projector"),
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in place of an older file of that name.")
    ] = False,
    json: Json = False,
) -> None:
    """Write descriptors, classes and sources out for other tools.

    Items come in the order of their content hashes, and labels have the indices of their slots.
    """
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        written = opened.export(dest, format=format, replace=replace)
    if json:
        print_json(written)
        return
    tell(f"{written.path}: {counted(written.items, 'item')} as {written.format}")
    if written.without_descriptor:
        say(
            f"left out: {counted(written.without_descriptor, 'item')} whose descriptors were "
            "dropped by `catalog compact`"
        )
