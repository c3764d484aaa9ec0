"""The command of the MCP server, by which assistants ask a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog.cli import extras
from catalog.cli.options import CatalogPath

_LIBRARIES = ("mcp", "mcp_types")  # the second came with version 2, which is needed


def mcp(
    catalog: CatalogPath,
    allow: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder of this computer whose pictures may be named by their paths. May be "
            "given several times; without it pictures are sent."
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Offer tools that change the catalogue, too.")
    ] = False,
) -> None:
    """Answer an assistant that speaks the Model Context Protocol: docs/mcp.md says how.

    It starts this itself, speaks over standard input and output, and ends it.
    """
    extras.require(_LIBRARIES, "the MCP server", "install mcp")
    folders = tuple(_folder(given) for given in allow or ())
    from catalog.cli.mcp_server import serve

    serve(catalog, folders, write=write)


def _folder(given: Path) -> Path:
    """A folder where its links lead to.

    Raises:
        NotFound: it is none.
    """
    from catalog.descriptors import NotFound

    if not given.is_dir():
        raise NotFound(f"there is no folder {given} whose pictures could be allowed")
    return given.resolve()
