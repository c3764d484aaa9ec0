"""How descriptors of one thing scatter, measured without labels on many pictures of all sorts.

Of each of some pictures a few photos are made up, as if it lay before another picture: of some
size, askew, in some light. What their descriptors have in common is the thing.

From this a *projection* of several layers is learnt. W is the scatter of such photos' rows about
each picture's own mean, brought to a trace of F and blended with a little of the identity; T is the
covariance of the rows of many pictures. The rows of the projection are the directions of most T for
their W (the generalised eigenvectors of T and W, as in linear discriminant analysis, with every
picture a class of its own), the most telling first, scaled so that W becomes the identity: a
descriptor is whitened before anything is learnt. Last it is measured how alike descriptors of a
picture and of photos of it are.

A network whose layers are not known has its last alone, and from the same photos a *prior*: the
scatter of their descriptors, and the mean over the pictures themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog import data
from catalog.data.photograph import photograph
from catalog.descriptors import InvalidInput, PictureError, Prior, Projection
from catalog.embedder import known, models, probes
from catalog.embedder.describe import POOLED, row_of_layers
from catalog.embedder.embedder import MobileNetEmbedder
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model
from catalog.embedder.picture import Picture, Source
from catalog.embedder.views import DEFAULT_PRESET, PRESETS, take_views

PHOTOS: Final = 4
"""How many photos are made up of each picture."""

EVEN: Final = 0.03
"""The share of the identity in W; ``benchmarks/LAYERS.md`` has the table that it is from."""

LONGEST: Final = 2048
"""How many rows of a projection are kept."""

RANK: Final = 256
"""How many directions of a prior's scatter are kept, at most; the rest is spread evenly."""

ALIKE: Final = 0.5
"""Which quantile of the cosines of pictures and their photos is given; chosen likewise."""

WIDTHS: Final = (512, 1280, 2048)
"""The numbers for which it is measured."""

FEWEST: Final = 300
"""How many pictures it takes at least; ``benchmarks/LAYERS.md`` has what fewer would give."""

MOST: Final = 20_000
"""How many pictures are used at most."""

MOST_PHOTOGRAPHED: Final = 3000
"""Of how many of them photos are made up, at most."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many looks at pictures are done, and how many there will be."""

_BLOCK: Final = 500  # rows that are taken into a covariance at a time
_SIDE: Final = 224

_Picture = TypeVar("_Picture")

Kind: TypeAlias = Literal["projection", "prior"]
"""A projection of several layers, or a prior for the last layer alone."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured for a network.

    Attributes:
        kind: what was learnt.
        network: the network's name.
        pictures: how many it was measured on.
        refused: how many could not be read, and were left out.
        file: where it lies, in the model cache.
    """

    kind: Kind
    network: str
    pictures: int
    refused: int
    file: Path


def measure(
    model: Model, pictures: Sequence[Source | Picture], *, progress: Progress | None = None
) -> Measured:
    """Measure what new catalogues of a network start from, and keep it in the model cache.

    Args:
        model: the network.
        pictures: many, of all sorts; of more than :data:`MOST` some are taken, evenly spaced.
        progress: called while it goes on.

    Raises:
        InvalidInput: what is known of this network comes with the program, or fewer than
            :data:`FEWEST` pictures can be read.
        BackboneError: the network is damaged, or what was measured cannot be kept.
    """
    kind: Kind
    with contextlib.closing(MobileNetEmbedder(model, DEFAULT_PRESET, POOLED, isolate=True)) as eye:
        vectors = probes.describe(LiteRTNetwork(model.read()))
        if data.projection_for(vectors) or data.prior_for(eye.probe()):
            raise InvalidInput(
                f"the network {model.name!r} is known: what was measured for it comes with catalog"
            )
        look = Look(eye, pictures, MOST, progress)
        layers = models.layered(model)
        if layers is None:
            prior = measure_prior(look, eye)
            kind, file = "prior", known.keep_prior(model, prior, eye.probe())
        else:
            projection = measure_projection(look, LiteRTNetwork(layers))
            kind, file = "projection", known.keep_projection(model, projection, vectors)
    return Measured(kind, model.name, look.read, look.refused, file)


def measure_projection(look: Look, network: LiteRTNetwork) -> Projection:
    """Learn the projection of a network that gives the maps of ``embedder.layers``, too.

    Raises:
        InvalidInput: fewer than :data:`FEWEST` pictures can be read.
    """
    rows = list(_rows(network, look.pictures()))
    look.require_enough()
    return learn(list(_grouped(_rows(network, look.photographed()))), rows)


def measure_prior(look: Look, eye: MobileNetEmbedder) -> Prior:
    """Learn the prior of an embedder's descriptors.

    Raises:
        InvalidInput: fewer than :data:`FEWEST` pictures can be read.
    """
    for _ in look.pictures():  # to know how many can be read
        pass
    look.require_enough()
    return learn_prior(_grouped(eye.embed_many(look.photographed())))


def learn(
    groups: Sequence[NDArray[np.floating]], pictures: Iterable[NDArray[np.floating]]
) -> Projection:
    """Learn a projection.

    Args:
        groups: (1 + PHOTOS, F) each: the rows of a picture and of photos of it.
        pictures: (F,) each: the rows of many pictures.
    """
    centred = (group - group.mean(axis=0, dtype=np.float64) for group in groups)
    within = _gram(centred)[0]
    gram, total, count = _gram(row[np.newaxis] for row in pictures)
    mean = total / count
    covariance = gram / count - np.outer(mean, mean)
    width = len(mean)
    within *= (1 - EVEN) * width / np.trace(within)
    within[np.diag_indices(width)] += EVEN
    whitening = np.linalg.inv(np.linalg.cholesky(within))
    _, directions = np.linalg.eigh(whitening @ covariance @ whitening.T)
    projection = Projection.rounded(mean, directions.T[::-1][:LONGEST] @ whitening)
    return replace(projection, alike=alike(projection, groups))


def alike(projection: Projection, groups: Sequence[NDArray[np.floating]]) -> dict[int, float]:
    """How alike descriptors of pictures and of photos of them are, by how many numbers they have.

    Args:
        projection: that brings rows to descriptors.
        groups: (1 + PHOTOS, F) each: the rows of a picture and of photos of it.
    """
    found = {}
    for width in WIDTHS:
        if width > len(projection.rows):
            break
        project = projection.to(width)
        described = (np.stack([project(row) for row in group]) for group in groups)
        cosines = np.concatenate([rows[1:] @ rows[0] for rows in described])
        found[width] = round(float(np.quantile(cosines, ALIKE)), 3)
    return found


def learn_prior(groups: Iterable[NDArray[np.floating]]) -> Prior:
    """Learn a prior.

    Args:
        groups: (1 + PHOTOS, D) each: the descriptors of a picture and of photos of it.
    """
    scatter: NDArray[np.float64] | float = 0.0
    total: NDArray[np.float64] | float = 0.0
    count = 0
    for group in groups:
        total, count = total + group[0].astype(np.float64), count + 1
        centred = group - group.mean(axis=0, dtype=np.float64)
        scatter = scatter + centred.T @ centred
    scatter, total = np.asarray(scatter), np.asarray(total)
    rank = min(RANK, len(scatter) // 2)
    variances, directions = np.linalg.eigh(scatter * len(scatter) / np.trace(scatter))
    return Prior(
        (total / count).astype(np.float32),
        directions.T[: -rank - 1 : -1].astype(np.float32),
        variances[: -rank - 1 : -1].astype(np.float32),
        float(variances[:-rank].mean()),
    )


class Look:
    """Looks at pictures: at all of them, or at some and at photos that are made up of them.

    Args:
        eye: decodes them.
        pictures: of which some are taken, evenly spaced.
        most: how many at most.
        progress: told of each look.
    """

    def __init__(
        self,
        eye: MobileNetEmbedder,
        pictures: Sequence[Source | Picture],
        most: int,
        progress: Progress | None = None,
    ) -> None:
        self.read = 0
        self.refused = 0
        self._eye = eye
        self._all = _spaced(pictures, most)
        self._some = _spaced(self._all, MOST_PHOTOGRAPHED)
        self._progress = progress
        self._done = 0

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Each that can be read, uint8 (H, W, 3); after that it is known how many these are."""
        for pixels in self._decoded(self._all):
            if pixels is None:
                self.refused += 1
            else:
                self.read += 1
                yield pixels

    def require_enough(self) -> None:
        """Raises InvalidInput where fewer than :data:`FEWEST` could be read."""
        if self.read < FEWEST:
            raise InvalidInput(
                f"it takes {FEWEST:,} pictures of all sorts to measure a network; {self.read:,} "
                f"can be read here, and {self.refused:,} cannot"
            )

    def photographed(self) -> Iterator[NDArray[np.uint8]]:
        """Some of them, each followed by :data:`PHOTOS` of it before the one that came before."""
        background = np.full((_SIDE, _SIDE, 3), 128, np.uint8)
        readable = (pixels for pixels in self._decoded(self._some) if pixels is not None)
        for number, pixels in enumerate(readable):
            random = np.random.default_rng([0, number])
            yield pixels
            for _ in range(PHOTOS):
                yield photograph(pixels, background, random)
            background = np.asarray(
                cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8
            )

    def _decoded(self, pictures: Sequence[Source | Picture]) -> Iterator[NDArray[np.uint8] | None]:
        for found in self._eye.decode_each(pictures):
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, len(self._all) + len(self._some))
            yield None if isinstance(found, PictureError) else found


def _spaced(pictures: Sequence[_Picture], most: int) -> Sequence[_Picture]:
    """At most so many of some pictures, evenly spaced."""
    return pictures[:: -(-len(pictures) // most) or 1]


def _rows(
    network: LiteRTNetwork, pictures: Iterable[NDArray[np.uint8]]
) -> Iterator[NDArray[np.float32]]:
    """The row float32 (F,) of each picture uint8 (H, W, 3), from the views of the usual preset."""

    def row(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        views = take_views(pixels, PRESETS[DEFAULT_PRESET], network.input_size)
        return row_of_layers(network, views).astype(np.float32)

    waiting = iter(pictures)
    with ThreadPoolExecutor() as pool:
        while some := list(islice(waiting, 64)):
            yield from pool.map(row, some)


def _gram(
    blocks: Iterable[NDArray[np.floating]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """The sums of squares and products of rows, and of rows, and how many there were."""
    waiting: list[NDArray[np.floating]] = []
    gram: NDArray[np.float64] | float = 0.0
    total: NDArray[np.float64] | float = 0.0
    count = 0
    for block in chain(blocks, [None]):
        if block is not None:
            waiting.append(block)
        if waiting and (block is None or len(waiting) >= _BLOCK):
            some = np.concatenate(waiting, dtype=np.float64)
            gram, total, count = gram + some.T @ some, total + some.sum(axis=0), count + len(some)
            waiting = []
    return np.asarray(gram), np.asarray(total), count


def _grouped(rows: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Rows of pictures and their photos, those of each picture together."""
    while group := list(islice(rows, 1 + PHOTOS)):
        yield np.stack(group)
