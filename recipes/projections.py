"""The recipe of the projections that are shipped.

It does what `catalog model measure` does, on many pictures of all sorts, and puts the file where
the program looks for it. To make the file of a network::

    python -m recipes.projections PICTURES --backbone imagenet
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from catalog import find_pictures
from catalog.data import projections as shipped
from catalog.embedder import MobileNetEmbedder, models, probes
from catalog.embedder.describe import POOLED
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.measuring import MOST, Look, measure_projection


def main(
    pictures: Annotated[Path, typer.Argument(help="A folder of many pictures of all sorts.")],
    backbone: Annotated[str, typer.Option(help="From the model cache.")] = "imagenet",
    most: Annotated[int, typer.Option(help="How many pictures to use.")] = MOST,
) -> None:
    """Learn the projection of a network, and put its file where it is shipped."""
    model = models.find(backbone)
    layers = models.layered(model)
    if layers is None:
        raise typer.BadParameter(f"{backbone} has not the structure of a MobileNetV2")
    with contextlib.closing(MobileNetEmbedder(model, descriptor=POOLED)) as eye:
        look = Look(eye, [found.source for found in find_pictures([pictures])], most)
        projection = measure_projection(look, LiteRTNetwork(layers))
    content = shipped.packed(projection, probes.describe(LiteRTNetwork(model.read())))
    file = Path(shipped.__file__).with_name(shipped.file_name(model.name, projection))
    with file.open("xb") as stream:
        stream.write(content)
    typer.echo(f"{file.name}: {len(content):,} bytes")


if __name__ == "__main__":
    typer.run(main)
