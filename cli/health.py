"""The command that says what is wrong, even where nothing else can be imported."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.options import Json
from catalog.cli.output import print_json, tell

if TYPE_CHECKING:
    from catalog.machine import Check

_WIDTH = 100


def doctor(
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog", envvar="CATALOG_PATH", help="The catalogue file, if any.", readable=False
        ),
    ] = None,
    online: Annotated[
        bool,
        typer.Option("--online", help="Also ask whether the ImageNet network can be downloaded."),
    ] = False,
    json: Json = False,
) -> None:
    """Say what keeps catalog from working here: libraries, folders, networks, and a catalogue.

    Nothing is changed, and without --online nothing is asked of any server. The exit code is 1 if
    anything is bad.
    """
    checks = _examined(catalog, online=online)
    if json:
        print_json(checks)
    else:
        _print(checks)
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(1)


def _examined(path: Path | None, *, online: bool) -> tuple[Check, ...]:
    """All checks; where libraries cannot be imported, those that need none."""
    from catalog.machine import IMPORTS, Check, examine

    found = examine(path)
    if any(check.name in IMPORTS and check.state == "bad" for check in found):
        advice = "networks and the catalogue are looked at once the libraries can be imported"
        return (*found, Check("catalogue", "warning", "not looked at", advice))
    from catalog.care.doctor import examine_catalogue, examine_networks, examine_sources

    sources = examine_sources() if online else ()
    return (*found, *examine_networks(), *sources, *examine_catalogue(path))


def _print(checks: Sequence[Check]) -> None:
    """Print a line for each check, and under it what to do."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        tell(f"{check.state:<7}  {check.name:<{width}}  {check.found}")
        lines = textwrap.wrap(
            check.advice, _WIDTH - 9, break_long_words=False, break_on_hyphens=False
        )
        for line in lines:
            tell(f"{'':<9}{line}")
