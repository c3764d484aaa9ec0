"""The recipe of the priors: how descriptors of one thing scatter, measured without labels.

Of each picture a few photos are made up, as if it lay before another picture: of some size, askew,
in some light. The scatter of these descriptors about each picture's own mean is the prior's; the
mean over the pictures themselves is its mean. To make the file of a preset::

    python -m recipes.priors PICTURES --backbone imagenet --views standard
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from catalog import find_pictures
from catalog.data import priors as shipped
from catalog.data.photograph import photograph
from catalog.descriptors import PictureError
from catalog.embedder import DEFAULT_PRESET, MobileNetEmbedder, read_picture
from catalog.embedder import models as cache
from catalog.embedder.decode import decode
from catalog.embedder.describe import POOLED

PHOTOS = 4
"""How many photos are made up of each picture."""

RANK = 256
"""How many directions of the scatter are kept; the rest is spread evenly."""

_SIDE = 224


def measure(
    embedder: MobileNetEmbedder, pictures: Iterable[NDArray[np.uint8]], seed: int = 0
) -> dict[str, Any]:
    """Measure a prior.

    Args:
        embedder: whose prior it will be.
        pictures: many, of all sorts: uint8 (H, W, 3).
        seed: of what is left to chance.

    Returns:
        The arrays of a prior's file.
    """
    width = embedder.specification.width
    scatter, total, count = np.zeros((width, width)), np.zeros(width), 0
    group: list[NDArray[np.float64]] = []
    for descriptor in embedder.embed_many(photographed(pictures, seed)):
        group.append(descriptor.astype(np.float64))
        if len(group) == PHOTOS + 1:
            rows = np.stack(group)
            total, count = total + rows[0], count + 1
            rows -= rows.mean(axis=0)
            scatter += rows.T @ rows
            group = []
    variances, directions = np.linalg.eigh(scatter * width / np.trace(scatter))
    return {
        "mean": (total / count).astype(np.float16),
        "directions": directions.T[: -RANK - 1 : -1].astype(np.float16),
        "variances": variances[: -RANK - 1 : -1].astype(np.float32),
        "residual": np.asarray(variances[:-RANK].mean()),
        "probes": embedder.probe().astype(np.float16),
    }


def photographed(pictures: Iterable[NDArray[np.uint8]], seed: int) -> Iterator[NDArray[np.uint8]]:
    """Each picture, then :data:`PHOTOS` of it before the picture that came before it."""
    background = np.full((_SIDE, _SIDE, 3), 128, np.uint8)
    for number, pixels in enumerate(pictures):
        random = np.random.default_rng([seed, number])
        yield pixels
        for _ in range(PHOTOS):
            yield photograph(pixels, background, random)
        background = np.asarray(
            cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8
        )


def decoded(folder: Path, most: int) -> Iterator[NDArray[np.uint8]]:
    """At most so many of the pictures in a folder, evenly spaced; those that are refused left out.

    What is given is uint8 (H, W, 3).
    """
    found = list(find_pictures([folder]))
    for picture in found[:: max(1, len(found) // most)][:most]:
        try:
            yield decode(read_picture(str(picture.source)))
        except PictureError:
            continue


def main(
    pictures: Annotated[Path, typer.Argument(help="A folder of many pictures of all sorts.")],
    backbone: Annotated[str, typer.Option(help="From the model cache.")] = "imagenet",
    views: Annotated[str, typer.Option(help="The view preset.")] = DEFAULT_PRESET,
    most: Annotated[int, typer.Option(help="How many pictures to use.")] = 3000,
) -> None:
    """Measure the prior of a backbone and view preset, and put its file beside this one."""
    model = cache.find(backbone)
    arrays: dict[str, Any] = measure(
        MobileNetEmbedder(model, views, POOLED), decoded(pictures, most)
    )
    file = Path(shipped.__file__).with_name(f"{model.name}-{views}.npz")
    np.savez_compressed(file, **arrays)
    typer.echo(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
