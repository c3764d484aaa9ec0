"""The recipe of the projections: which directions of several layers tell things apart.

Of each of some pictures a few photos are made up, as for the priors. W is the scatter of such
photos' rows about each picture's own mean, brought to a trace of F and blended with a little of the
identity; T is the covariance of the rows of many pictures. The rows of the projection are the
directions of most T for their W (the generalised eigenvectors of T and W, as in linear discriminant
analysis, with every picture a class of its own and no label used), the most telling first, scaled
so that W becomes the identity: a descriptor is whitened before anything is learnt. Last it is
measured how alike descriptors of a picture and of photos of it are. To make the file of a network::

    python -m recipes.projections PICTURES --backbone imagenet
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from catalog.data import projections as shipped
from catalog.descriptors import Projection
from catalog.embedder import DEFAULT_PRESET, PRESETS, models, probes
from catalog.embedder.describe import row_of_layers
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.views import take_views
from recipes.priors import PHOTOS, decoded, photographed

EVEN = 0.03
"""The share of the identity in W; ``benchmarks/LAYERS.md`` has the table that it is from."""

LONGEST = 2048
"""How many rows are kept."""

_PICTURES = 3000  # of which photos are made up
_BLOCK = 500  # rows that are taken into a covariance at a time

ALIKE = 0.5
"""Which quantile of the cosines of pictures and their photos is given; chosen likewise."""

WIDTHS = (512, 1280, 2048)
"""The numbers for which it is measured."""


def alike(projection: Projection, groups: Sequence[NDArray[np.floating]]) -> dict[int, float]:
    """How alike descriptors of pictures and of photos of them are, by how many numbers they have.

    Args:
        projection: that brings rows to descriptors.
        groups: (1 + PHOTOS, F) each: the rows of a picture and of photos of it.
    """
    found = {}
    for width in WIDTHS:
        project = projection.to(width)
        described = (np.stack([project(row) for row in group]) for group in groups)
        cosines = np.concatenate([rows[1:] @ rows[0] for rows in described])
        found[width] = round(float(np.quantile(cosines, ALIKE)), 3)
    return found


def learn(
    groups: Sequence[NDArray[np.floating]], rows: Iterable[NDArray[np.float64]]
) -> Projection:
    """Learn a projection.

    Args:
        groups: (1 + PHOTOS, F) each: the rows of a picture and of photos of it.
        rows: float64 (F,) each, of many pictures.
    """
    centred = (group - group.mean(axis=0, dtype=np.float64) for group in groups)
    within = _gram(centred)[0]
    gram, total, count = _gram(row[np.newaxis] for row in rows)
    mean = total / count
    covariance = gram / count - np.outer(mean, mean)
    width = len(mean)
    within *= (1 - EVEN) * width / np.trace(within)
    within[np.diag_indices(width)] += EVEN
    whitening = np.linalg.inv(np.linalg.cholesky(within))
    _, directions = np.linalg.eigh(whitening @ covariance @ whitening.T)
    projection = Projection.rounded(mean, directions.T[::-1][:LONGEST] @ whitening)
    return replace(projection, alike=alike(projection, groups))


def _gram(
    blocks: Iterable[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """The sums of squares and products of rows, and of rows, and how many there were."""
    waiting: list[NDArray[np.float64]] = []
    gram: NDArray[np.float64] | float = 0.0
    total: NDArray[np.float64] | float = 0.0
    count = 0
    for block in chain(blocks, [None]):
        if block is not None:
            waiting.append(block)
        if waiting and (block is None or len(waiting) >= _BLOCK):
            some = np.concatenate(waiting)
            gram, total, count = gram + some.T @ some, total + some.sum(axis=0), count + len(some)
            waiting = []
    return np.asarray(gram), np.asarray(total), count


def _rows(
    network: LiteRTNetwork, pictures: Iterable[NDArray[np.uint8]]
) -> Iterator[NDArray[np.float64]]:
    """The row of each picture uint8 (H, W, 3), from the views of the usual preset."""

    def row(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        views = take_views(pixels, PRESETS[DEFAULT_PRESET], network.input_size)
        return row_of_layers(network, views)

    waiting = iter(pictures)
    with ThreadPoolExecutor() as pool:
        while some := list(islice(waiting, 64)):
            yield from pool.map(row, some)


def _grouped(rows: Iterator[NDArray[np.float64]]) -> Iterator[NDArray[np.float32]]:
    while group := list(islice(rows, 1 + PHOTOS)):
        yield np.stack(group).astype(np.float32)


def main(
    pictures: Annotated[Path, typer.Argument(help="A folder of many pictures of all sorts.")],
    backbone: Annotated[str, typer.Option(help="From the model cache.")] = "imagenet",
    most: Annotated[int, typer.Option(help="How many pictures to use.")] = 20_000,
) -> None:
    """Learn the projection of a network, and put its file where it is shipped."""
    model = models.find(backbone)
    layers = models.layered(model)
    if layers is None:
        raise typer.BadParameter(f"{backbone} has not the structure of a MobileNetV2")
    network = LiteRTNetwork(layers)
    photos = photographed(decoded(pictures, _PICTURES), seed=0)
    groups = list(_grouped(_rows(network, photos)))
    projection = learn(groups, _rows(network, decoded(pictures, most)))
    vectors = probes.describe(LiteRTNetwork(model.read()))
    folder = Path(shipped.__file__).parent
    file = shipped.write(folder, model.name, projection, vectors)
    typer.echo(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
