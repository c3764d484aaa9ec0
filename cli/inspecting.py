"""Commands that look at a catalogue."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.answers import print_audit
from catalog.cli.backbone import UNMEASURED_NOTE
from catalog.cli.completion import class_names
from catalog.cli.options import CatalogPath, Json
from catalog.cli.output import counted, print_json, print_table, report_gone, say, tell

if TYPE_CHECKING:
    from catalog import Event


_PROBLEMS = 10  # shown, of as many as there are


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
    label: Annotated[
        str | None,
        typer.Option(help="Only the items of this class.", autocompletion=class_names),
    ] = None,
    after: Annotated[
        int, typer.Option(help="Only items of higher ids; the last of a page gives the next.")
    ] = 0,
    limit: Annotated[int | None, typer.Option(help="So many at most.")] = None,
    json: Json = False,
) -> None:
    """List the items: id, class, and where the picture was found."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.items(label, after=after, limit=limit)
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
        if field.name != "other":
            tell(f"{field.name:<15} {getattr(found, field.name)}")
    if found.other is not None:
        state = "in use before" if found.other.was_used else "brought in"
        parts = (found.other.backbone, found.other.views, found.other.descriptor)
        has = counted(found.other.items, "item")
        tell(f"{'other embedder':<15} {', '.join(parts)}; {state}, has {has}")
    if not found.prior:
        say(UNMEASURED_NOTE)


def audit(catalog: CatalogPath, json: Json = False) -> None:
    """Look for what is wrong with a catalogue, and for classes that it lacks.

    Pictures that look the same in two classes, items that are likely mislabelled, classes that will
    be confused or need more pictures, what unknown photos that were kept have in common, and
    whether what is asked drifts away from what is known.
    """
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        report = opened.audit()
    if json:
        print_json(report)
    else:
        print_audit(report)


def history(
    catalog: CatalogPath,
    last: Annotated[int | None, typer.Option(help="Only so many of the latest entries.")] = None,
    json: Json = False,
) -> None:
    """List what was done to a catalogue, the latest last."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        events = opened.history(last)
    if json:
        print_json(events)
        return
    rows = [
        (event.id, event.at, event.kind, _told(event), "undone" if event.undone_by else "")
        for event in events
    ]
    print_table(rows)


def _told(event: Event) -> str:
    """What an entry of the journal says of itself, in a few words."""
    label = event.detail.get("label", "")
    nouns = {"items": "item", "pictures": "picture", "classes": "class"}
    counts = [f"{event.detail[n]} {n}" for n in ("added", "moved") if event.detail.get(n)]
    counts += [counted(event.detail[n], nouns[n]) for n in nouns if event.detail.get(n)]
    if event.kind == "switch-embedder":
        counts.insert(0, f"{event.detail['from']} -> {event.detail['to']}")
    before = event.detail.get("before")
    return ", ".join(
        [*([f"{before} -> {label}" if before else str(label)] if label else []), *counts]
    )


def verify(catalog: CatalogPath, json: Json = False) -> None:
    """Check the file, its journal, and what is derived from it."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.verify()
    if json:
        print_json(found)
    elif found.sound:
        tell(f"sound: {found.items} items, generation {found.generation}")
    report_gone(found.gone)
    for fault in found.derived:
        say(f"derived file replaced: {fault}")
    for problem in found.problems[:_PROBLEMS]:
        say(f"damaged: {problem}")
    if len(found.problems) > _PROBLEMS:
        say(f"damaged: and {len(found.problems) - _PROBLEMS} more")
    if not found.sound:
        say("restore the file from a backup (`catalog restore`), or make it anew")
        raise typer.Exit(7)
