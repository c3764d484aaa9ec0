"""The recipe of the priors: how descriptors of one thing scatter, measured without labels.

Each picture is altered a few times as another photo of the same thing would be: another crop, a
slight turn and tilt, other light, a little blur. The scatter of the descriptors about each
picture's own mean is the prior's; the mean of the unaltered ones is its mean. To make the file of a
preset::

    python -m data.priors.measure PICTURES --backbone imagenet --views standard
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from catalog import find_pictures
from descriptors import PictureError
from embedder import DEFAULT_PRESET, MobileNetEmbedder, read_picture
from embedder import models as cache
from embedder.decode import decode

ALTERATIONS = 6
"""How many pictures are made of each, the unaltered one among them."""

RANK = 128
"""How many directions of the scatter are kept; the rest is spread evenly."""

_SIDE = 160


def alter(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw another photo of the same thing.

    Args:
        pixels: uint8 (H, W, 3).
        random: where chance comes from.

    Returns:
        uint8 (h, w, 3), the shorter side 160 pixels.
    """
    height, width = pixels.shape[:2]
    share, stretch = random.uniform(0.55, 1.0), np.exp(random.uniform(-0.15, 0.15))
    box = np.array([min(width, width * share * stretch), min(height, height * share / stretch)])
    centre = random.uniform(box / 2, np.array([width, height]) - box / 2)
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    corners = (corners + random.normal(0, 0.03, corners.shape)) * box
    angle = np.deg2rad(random.uniform(-15, 15))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    out = np.rint(box * _SIDE / box.min()).astype(int)
    target = np.array([[0, 0], [out[0], 0], [out[0], out[1]], [0, out[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform((corners @ turn + centre).astype(np.float32), target)
    warped = cv2.warpPerspective(
        pixels, matrix, (int(out[0]), int(out[1])), borderMode=cv2.BORDER_REFLECT
    )
    return _in_other_light(warped.astype(np.float32), random)


def measure(
    embedder: MobileNetEmbedder, pictures: Iterable[NDArray[np.uint8]], seed: int = 0
) -> dict[str, NDArray[np.generic]]:
    """Measure a prior.

    Args:
        embedder: whose prior it will be.
        pictures: many, of all sorts: uint8 (H, W, 3).
        seed: of the alterations.

    Returns:
        The arrays of a prior's file.
    """
    width = embedder.specification.width
    scatter, total, count = np.zeros((width, width)), np.zeros(width), 0
    group: list[NDArray[np.float64]] = []
    for descriptor in embedder.embed_many(_altered(pictures, seed)):
        group.append(descriptor.astype(np.float64))
        if len(group) == ALTERATIONS:
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


def _altered(pictures: Iterable[NDArray[np.uint8]], seed: int) -> Iterator[NDArray[np.uint8]]:
    for number, pixels in enumerate(pictures):
        random = np.random.default_rng([seed, number])
        yield pixels
        for _ in range(ALTERATIONS - 1):
            yield alter(pixels, random)


def _in_other_light(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.uint8]:
    lit = pixels * random.uniform(0.7, 1.3) * random.uniform(0.9, 1.1, 3)
    middle = lit.mean()
    lit = np.clip((lit - middle) * random.uniform(0.75, 1.25) + middle, 0, 255)
    if random.random() < 0.4:
        lit = cv2.GaussianBlur(lit, (0, 0), random.uniform(0.4, 1.4))
    return np.asarray(lit, dtype=np.uint8)


def _decoded(folder: Path, most: int) -> Iterator[NDArray[np.uint8]]:
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
    arrays = measure(MobileNetEmbedder(model, views), _decoded(pictures, most))
    file = Path(__file__).with_name(f"{model.name}-{views}.npz")
    np.savez_compressed(file, allow_pickle=False, **arrays)
    typer.echo(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
