"""The recipe of the priors that are shipped.

It does what `catalog model measure` does where layers are not known, on many pictures of all sorts,
and puts the file where the program looks for it. To make the file of a preset::

    python -m recipes.priors PICTURES --backbone imagenet --views standard
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from catalog import find_pictures
from catalog.data import priors as shipped
from catalog.embedder import DEFAULT_PRESET, MobileNetEmbedder, models
from catalog.embedder.describe import POOLED
from catalog.embedder.measuring import MOST_PHOTOGRAPHED, Look, measure_prior


def main(
    pictures: Annotated[Path, typer.Argument(help="A folder of many pictures of all sorts.")],
    backbone: Annotated[str, typer.Option(help="From the model cache.")] = "imagenet",
    views: Annotated[str, typer.Option(help="The view preset.")] = DEFAULT_PRESET,
    most: Annotated[int, typer.Option(help="How many pictures to use.")] = MOST_PHOTOGRAPHED,
) -> None:
    """Measure the prior of a backbone and view preset, and put its file where it is shipped."""
    model = models.find(backbone)
    with contextlib.closing(MobileNetEmbedder(model, views, POOLED)) as eye:
        look = Look(eye, [found.source for found in find_pictures([pictures])], most)
        content = shipped.packed(measure_prior(look, eye), eye.probe())
    file = Path(shipped.__file__).with_name(f"{model.name}-{views}.npz")
    file.write_bytes(content)
    typer.echo(f"{file.name}: {len(content):,} bytes")


if __name__ == "__main__":
    typer.run(main)
