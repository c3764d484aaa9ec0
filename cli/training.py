"""Commands that teach: feedback on an answer, and the training of the head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.completion import among, class_names
from catalog.cli.options import BoxText, CatalogPath, Json, Replace
from catalog.cli.output import counted, print_json, say, steps_bar, tell

if TYPE_CHECKING:
    from catalog import Trained


def feedback(
    picture: Annotated[str, typer.Argument(help="A picture file.")],
    catalog: CatalogPath,
    label: Annotated[
        str,
        typer.Option(
            help="The class that it shows; a new one is made.", autocompletion=class_names
        ),
    ],
    box: BoxText = None,
    note_only: Annotated[
        bool,
        typer.Option(
            "--note-only", help="Only note whether the answer was right; do not take it in."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Say what a picture shows: the answer is confirmed or corrected, and learnt from."""
    from catalog import Box, Catalog, Picture

    asked = Picture(picture, Box.parse(box) if box else None)
    with Catalog.open(catalog) as opened, steps_bar("training") as training:
        said = opened.feedback(asked, label, note_only=note_only, training=training)
    if json:
        print_json(said)
        return
    taken = "" if said.added else "; the picture was not added"
    if said.outcome == "confirmed":
        tell(f"confirmed: {said.label}{taken}")
    elif said.predicted is None:
        tell(f"{said.outcome}: {said.label}; the catalogue was empty{taken}")
    else:
        tell(f"{said.outcome}: {said.label}, and not {said.predicted}{taken}")


def train_head(
    catalog: CatalogPath,
    head: Annotated[
        str,
        typer.Option(
            help="exact (solved from everything), frozen (columns stay as they are, and those of "
            "new classes are trained alone), document (trained in Keras) or none.",
            autocompletion=among("exact", "frozen", "document", "none"),
        ),
    ] = "document",
    epochs: Annotated[
        int | None, typer.Option(help="document: how often each descriptor is seen; 5.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="document: descriptors per step; 64.")] = None,
    dropout: Annotated[
        float | None, typer.Option(help="document: share of components left out; 0.5.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="document: of Adam; 0.001.")] = None,
    validation_split: Annotated[
        float | None, typer.Option(help="document: share held out for the curves; 0.2.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="document: columns of new classes begin as zeros or random; zeros.",
            autocompletion=among("zeros", "random"),
        ),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(
            help="document: train old classes on their descriptors (stored), on some drawn from "
            "their sums (gaussian) or by a generative network (gan), or not (none); stored.",
            autocompletion=among("stored", "gaussian", "gan", "none"),
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="document: 0.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train on new classes alone, and forget the others.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="document: draw loss and accuracy into this .svg, .png or .pdf."),
    ] = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Train the softmax head, now and from now on; `catalog undo` brings the old one back.

    The options of a document training are kept for the next one.
    """
    from catalog import Catalog
    from catalog.reports import figure_output

    if plot is not None:
        figure_output.require_writable(plot, replace=replace)
    with Catalog.open(catalog) as opened, steps_bar("training") as training:
        trained = opened.train_head(
            head,
            epochs=epochs,
            batch=batch,
            dropout=dropout,
            learning_rate=learning_rate,
            validation_split=validation_split,
            start=start,
            replay=replay,
            seed=seed,
            force=force,
            training=training,
        )
    if plot is not None:
        _plot_curves(trained, plot, replace=replace)
    if json:
        print_json(trained)
    else:
        _print_trained(trained)


def _plot_curves(trained: Trained, plot: Path, *, replace: bool) -> None:
    """Draw loss and accuracy into a file; where nothing was trained, there is nothing to draw."""
    from catalog.reports import figure_output, figures

    curves = trained.curves
    if curves is None:
        return
    drawn = figures.training_figure(
        curves.loss.tolist(),
        curves.accuracy.tolist(),
        validation_loss=curves.validation_loss.tolist(),
        validation_accuracy=curves.validation_accuracy.tolist(),
    )
    figure_output.write_figure(drawn, plot, replace=replace)
    say(f"plot: {plot}")


def _print_trained(trained: Trained) -> None:
    """Print how the head is trained from now on, and how it does on what was held out."""
    if trained.training == "exact":
        tell("head: exact, solved when it is next needed")
    else:
        tell(f"head: {trained.training}, {counted(trained.columns, 'column')}")
    curves = trained.curves
    if curves is not None and len(curves.validation_accuracy):
        tell(
            f"held out: loss {curves.validation_loss[-1]:.3f}, "
            f"accuracy {curves.validation_accuracy[-1]:.3f}"
        )
