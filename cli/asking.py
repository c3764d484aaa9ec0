"""Commands that ask a catalogue about pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from catalog.cli.answers import print_evaluation, print_prediction
from catalog.cli.options import (
    BoxText,
    CatalogPath,
    Html,
    Json,
    Level,
    Part,
    Precision,
    Replace,
    Seed,
    Split,
    read_listing,
)
from catalog.cli.output import (
    pictures_bar,
    print_json,
    print_table,
    read_bytes,
    report_passed_over,
    report_refusals,
    say,
    tell,
)

if TYPE_CHECKING:
    from catalog import Neighbour, Picture, PictureError, Prediction

_Answer = TypeVar("_Answer")

_PHOTOS = typer.Argument(help="Picture files, or - for the bytes of one on stdin.")
Photos = Annotated[list[str], _PHOTOS]


def nearest(
    catalog: CatalogPath,
    pictures: Annotated[list[str] | None, _PHOTOS] = None,
    k: Annotated[int, typer.Option("-k", "--k", help="How many items to show.")] = 10,
    item: Annotated[
        int | None,
        typer.Option(
            help="More like this item, by its id, instead of a picture: neither its file nor the "
            "network is needed."
        ),
    ] = None,
    box: BoxText = None,
    html: Html = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Show the items that look most like a picture, or like an item."""
    from catalog import Catalog, InvalidInput
    from catalog.reports import contact_sheet

    if bool(pictures) == (item is not None):
        raise InvalidInput("name pictures, or an item with --item")
    if html is not None:
        contact_sheet.require_writable(html, replace=replace)
    names = pictures or [f"item {item}"]
    asked = _pictures(pictures or [], box)
    answers: Sequence[list[Neighbour] | PictureError]
    with Catalog.open(catalog) as opened:
        if item is not None:
            answers = [opened.nearest(k=k, item=item)]
        else:
            with pictures_bar("embedding", len(asked)) as progress:
                answers = opened.nearest_many(asked, k, progress=progress)
        if html is not None:
            shown = asked if item is None else [one for one in opened.items() if one.id == item]
            _write_page(
                contact_sheet.nearest_sheet(shown, answers, copy_of=opened.thumbnail), html, replace
            )
        _print_answers(names, answers, "neighbours", _print_neighbours, json=json)
    _exit_for(answers)


def predict(
    pictures: Photos,
    catalog: CatalogPath,
    top: Annotated[int, typer.Option(help="How many candidates to show.")] = 5,
    box: BoxText = None,
    precision: Precision = 0.98,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit with 4 if an answer is unknown, or head and centroid disagree on it.",
        ),
    ] = False,
    keep_unknown: Annotated[
        bool,
        typer.Option(
            "--keep-unknown",
            help="Keep descriptors of pictures that are unknown; `catalog audit` proposes classes.",
        ),
    ] = False,
    no_counts: Annotated[
        bool,
        typer.Option(
            "--no-counts",
            help="Do not count the verdicts, by day and class, which `catalog audit` reads.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Tell which class a picture is: head and centroids, checked against each other."""
    from catalog import Catalog

    asked = _pictures(pictures, box)
    with (
        Catalog.open(catalog) as opened,
        pictures_bar("embedding", len(asked)) as progress,
    ):
        answers = opened.predict_many(
            asked,
            top,
            precision=precision,
            keep_unknown=keep_unknown,
            counts=not no_counts,
            progress=progress,
        )
    _print_answers(pictures, answers, "prediction", print_prediction, json=json)
    _exit_for(answers)
    if strict and any(_is_doubtful(answer) for answer in answers):
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
    precision: Precision = 0.98,
    split: Split = None,
    part: Part = None,
    seed: Seed = 0,
    class_level: Level = None,
    html: Html = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Measure how often the catalogue is right about pictures whose class is known."""
    from catalog import Catalog
    from catalog.reports import contact_sheet

    if html is not None:
        contact_sheet.require_writable(html, replace=replace)
    listing = read_listing(source, split, part, seed, class_level)
    with Catalog.open(catalog) as opened:
        with pictures_bar("evaluating", len(listing.entries)) as progress:
            result = opened.evaluate(listing, precision=precision, progress=progress)
        if html is not None:
            page = contact_sheet.evaluation_sheet(result, opened.items(), opened.thumbnail)
            _write_page(page, html, replace)
    if json:
        print_json(result)
    else:
        print_evaluation(result)
    report_passed_over(listing.passed_over)
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
    from catalog.embedder.header import DEFAULT_LIMITS

    region = Box.parse(box) if box else None
    most = DEFAULT_LIMITS.max_bytes + 1  # more would be refused anyway
    return [Picture(read_bytes(most) if place == "-" else place, region) for place in places]


def _write_page(page: str, html: Path, replace: bool) -> None:
    from catalog.reports import contact_sheet

    contact_sheet.write_sheet(page, html, replace=replace)
    say(f"contact sheet: {html}")


def _print_answers(
    places: Sequence[str],
    answers: Sequence[_Answer | PictureError],
    what: str,
    show: Callable[[_Answer], None],
    *,
    json: bool,
) -> None:
    """Print the answer for each picture, as JSON or by ``show``, and list what was refused."""
    from catalog import PictureError

    named = list(zip(places, answers, strict=True))
    if json:
        print_json([record(name, what, answer) for name, answer in named])
    for name, answer in named:
        if isinstance(answer, PictureError):
            say(f"refused: {name}: {answer.detail} ({answer.reason})")
        elif not json:
            _heading(name, len(named))
            show(answer)


def _print_neighbours(answer: Sequence[Neighbour]) -> None:
    rows = [(n.score, n.class_score, n.label, n.item, ", ".join(n.sources)) for n in answer]
    print_table(rows, ("score", "of class", "class", "item", "found at"))


def _is_doubtful(answer: Prediction | PictureError) -> bool:
    """Whether head and centroid disagree on a picture, or it is unknown."""
    from catalog import PictureError

    return not isinstance(answer, PictureError) and answer.verdict in {"unknown", "disagree"}


def record(name: str | None, what: str, answer: object) -> dict[str, Any]:
    """An answer about a picture as ``--json`` has it, or why the picture was refused.

    Args:
        name: of the picture; None where it has none.
        what: the answer is: ``neighbours``, or a ``prediction``.
        answer: it, or the refusal.
    """
    from catalog.descriptors import PictureError

    if isinstance(answer, PictureError):
        return {"picture": name, "refused": answer.reason, "detail": answer.detail}
    return {"picture": name, what: answer}


def _heading(name: str, of: int) -> None:
    if of > 1:
        tell(f"{name}:")


def _exit_for(answers: Iterable[object]) -> None:
    from catalog.descriptors import PictureError

    if any(isinstance(answer, PictureError) for answer in answers):
        raise typer.Exit(5)
