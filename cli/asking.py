"""Commands that ask a catalogue about pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BoxText, CatalogPath, Html, Json
from cli.output import (
    pictures_bar,
    print_json,
    print_table,
    read_stdin,
    report_refusals,
    say,
    write_page,
)
from descriptors import PictureError

if TYPE_CHECKING:
    from catalog import Evaluation, Picture, Prediction

Photos = Annotated[
    list[str], typer.Argument(help="Picture files, or - for the bytes of one on stdin.")
]


def nearest(
    pictures: Photos,
    catalog: CatalogPath,
    k: Annotated[int, typer.Option("-k", "--k", help="How many items to show.")] = 10,
    box: BoxText = None,
    html: Html = None,
    json: Json = False,
) -> None:
    """Show the items that look most like a picture."""
    from catalog import Catalog, contact_sheet

    asked = _pictures(pictures, box)
    with Catalog.open(catalog) as opened:
        with pictures_bar("embedding", len(asked)) as progress:
            answers = opened.nearest_many(asked, k, progress=progress)
        if html is not None:
            write_page(html, contact_sheet.nearest_sheet(asked, answers))
        named = list(zip(pictures, answers, strict=True))
        if json:
            print_json([_record(name, "neighbours", answer) for name, answer in named])
        for name, answer in named:
            if isinstance(answer, PictureError):
                say(f"refused: {name}: {answer.detail} ({answer.reason})")
            elif not json:
                _heading(name, len(named))
                rows = [(n.score, n.label, n.item, ", ".join(n.sources)) for n in answer]
                print_table(rows, ("score", "class", "item", "found at"))
    _exit_for(answers)


def predict(
    pictures: Photos,
    catalog: CatalogPath,
    top: Annotated[int, typer.Option(help="How many candidates to show.")] = 5,
    box: BoxText = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit with 4 if the predictors disagree, or the catalogue is empty."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Tell which class a picture is, by the nearest centroid and by the nearest items."""
    from catalog import Catalog

    asked = _pictures(pictures, box)
    with (
        Catalog.open(catalog) as opened,
        pictures_bar("embedding", len(asked)) as progress,
    ):
        answers = opened.predict_many(asked, top, progress=progress)
    named = list(zip(pictures, answers, strict=True))
    if json:
        print_json([_record(name, "prediction", answer) for name, answer in named])
    for name, answer in named:
        if isinstance(answer, PictureError):
            say(f"refused: {name}: {answer.detail} ({answer.reason})")
        elif not json:
            _heading(name, len(named))
            _print_prediction(answer)
    _exit_for(answers)
    if strict and not all(getattr(answer, "agree", False) for answer in answers):
        raise typer.Exit(4)


def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            help="Pictures whose class is known: a folder tree (the folder that holds a picture "
            "names its class), a CSV or JSONL file, or - for one on stdin."
        ),
    ],
    catalog: CatalogPath,
    html: Html = None,
    json: Json = False,
) -> None:
    """Measure how often the catalogue is right about pictures whose class is known."""
    from catalog import Catalog, contact_sheet, read_manifest

    text = read_stdin() if source == "-" else None
    listing = read_manifest(Path() if text is not None else Path(source), text)
    with Catalog.open(catalog) as opened:
        with pictures_bar("evaluating", len(listing.entries)) as progress:
            result = opened.evaluate(listing, progress=progress)
        if html is not None:
            write_page(html, contact_sheet.evaluation_sheet(result, opened.items()))
    if json:
        print_json(result)
    else:
        _print_evaluation(result)
    report_refusals(result.refused)
    if result.in_catalogue:
        say(
            f"note: {result.in_catalogue} of these pictures are items of the catalogue, "
            "which flatters the figures"
        )
    for label, count in result.not_in_catalogue.items():
        say(f"not counted: {count} pictures of {label!r}, which the catalogue does not have")
    if result.refused:
        raise typer.Exit(5)


def _pictures(places: Iterable[str], box: str | None) -> list[Picture]:
    from catalog import Box, Picture

    region = Box.parse(box) if box else None
    return [Picture(sys.stdin.buffer.read() if place == "-" else place, region) for place in places]


def _record(name: str, what: str, answer: object) -> dict[str, Any]:
    if isinstance(answer, PictureError):
        return {"picture": name, "refused": answer.reason, "detail": answer.detail}
    return {"picture": name, what: answer}


def _heading(name: str, of: int) -> None:
    if of > 1:
        typer.echo(f"{name}:")


def _exit_for(answers: Iterable[object]) -> None:
    if any(isinstance(answer, PictureError) for answer in answers):
        raise typer.Exit(5)


def _print_prediction(answer: Prediction) -> None:
    if answer.label is None:
        typer.echo("unknown: the catalogue is empty")
        return
    doubt = "" if answer.agree else f", but its nearest item is {answer.neighbours[0].label}"
    typer.echo(f"{answer.label}{doubt or ' (both predictors agree)'}")
    by_item = {candidate.label: candidate.score for candidate in answer.neighbours}
    rows = [
        (at, candidate.label, candidate.score, by_item.get(candidate.label, "-"))
        for at, candidate in enumerate(answer.centroid, start=1)
    ]
    print_table(rows, ("", "class", "its mean", "its nearest item"))


def _print_evaluation(result: Evaluation) -> None:
    typer.echo(f"{result.pictures} pictures of {result.classes} classes")
    print_table(
        [
            ("nearest centroid", result.centroid.top1, result.centroid.top5),
            ("nearest items", result.neighbours.top1, result.neighbours.top5),
        ],
        ("", "top-1", "top-5"),
    )
    agreement = result.agreement
    typer.echo(
        f"recall@1 {result.retrieval.recall_at_1:.3f}, "
        f"mAP {result.retrieval.mean_average_precision:.3f}"
    )
    if agreement.top1 is not None:
        typer.echo(
            f"both predictors agree on {agreement.share:.1%}, "
            f"and are right on {agreement.top1:.1%} of those"
        )
    if result.confusions:
        typer.echo("\nmost often confused")
        print_table(
            [(c.pictures, f"{c.truth} taken for {c.predicted}") for c in result.confusions[:10]]
        )
        typer.echo("\nclasses with the lowest top-1")
        worst = sorted(result.per_class, key=lambda c: (c.centroid_top1, c.label))[:10]
        print_table([(c.centroid_top1, f"{c.label} ({c.pictures})") for c in worst])
