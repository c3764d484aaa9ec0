"""Commands that look at a catalogue."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from cli.answers import print_audit
from cli.options import CatalogPath, Json
from cli.output import print_json, print_table, say


def labels(catalog: CatalogPath, json: Json = False) -> None:
    """List the classes."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.labels()
    if json:
        print_json(found)
    else:
        print_table([(row.items, row.label) for row in found])


def items(
    catalog: CatalogPath,
    label: Annotated[str | None, typer.Option(help="Only the items of this class.")] = None,
    json: Json = False,
) -> None:
    """List the items: id, class, and where the picture was found."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.items(label)
    if json:
        print_json(found)
    else:
        print_table([(item.id, item.label, ", ".join(item.sources)) for item in found])


def info(catalog: CatalogPath, json: Json = False) -> None:
    """Say what a catalogue is: size, embedder, and the hash of what it has learnt."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.info()
    if json:
        print_json(found)
        return
    for field in dataclasses.fields(found):
        typer.echo(f"{field.name:<15} {getattr(found, field.name)}")


def audit(catalog: CatalogPath, json: Json = False) -> None:
    """Look for what is wrong with a catalogue, and for classes that it lacks.

    Pictures that look the same in two classes, items that are likely mislabelled, classes that will
    be confused or need more pictures, and what unknown photos that were kept have in common.
    """
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        report = opened.audit()
    if json:
        print_json(report)
    else:
        print_audit(report)


def verify(catalog: CatalogPath, json: Json = False) -> None:
    """Check the file, its journal, and what is derived from it."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.verify()
    if json:
        print_json(found)
    elif found.sound:
        typer.echo(f"sound: {found.items} items, generation {found.generation}")
    for fault in found.derived:
        say(f"derived file replaced: {fault}")
    for problem in found.problems:
        say(f"damaged: {problem}")
    if not found.sound:
        raise typer.Exit(7)
