"""The labelled photos that are measured on, and their descriptors view by view."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog import Entry, Picture, read_manifest
from catalog.descriptors import PictureError
from catalog.embedder import MobileNetEmbedder, Source, content_hash, read_picture
from catalog.embedder.decode import decode
from catalog.embedder.formats import inspect
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model
from catalog.embedder.views import View, jpeg_scale, take_views

VIEWS: tuple[View, ...] = (0.0, 0.875, 0.75, 0.6, 0.45)


def shared() -> Path:
    """The folder of photos and weights: CATALOG_SHARED, or ``../shared`` beside the project."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    return Path(os.environ.get("CATALOG_SHARED", beside))


@dataclass(frozen=True)
class Photos:
    """Photos by view.

    Attributes:
        views: float32 (N, len(VIEWS), 2, D), unit length; the third axis is plain and mirrored.
        labels: str (N,).
    """

    views: NDArray[np.float32]
    labels: NDArray[np.str_]

    def descriptors(
        self, chosen: tuple[View, ...], *, mirrored: bool = False
    ) -> NDArray[np.float32]:
        """Descriptors float32 (N, D): the normalised mean of some views, and of their mirrors."""
        at = [VIEWS.index(view) for view in chosen]
        means = self.views[:, at, : 2 if mirrored else 1].mean(axis=(1, 2))
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return np.asarray(means / lengths, dtype=np.float32)

    def __getitem__(self, rows: NDArray[np.int64]) -> Photos:
        return Photos(self.views[rows], self.labels[rows])


def embed_views(model: Model, folder: Path) -> Photos:
    """Embed every view of every picture of a labelled folder tree."""
    entries = read_manifest(folder).entries
    network = LiteRTNetwork(model.read())

    def one(entry: Entry) -> NDArray[np.float32]:
        data = read_picture(str(entry.picture.source))
        header = inspect(data)
        scale = jpeg_scale((header.width, header.height), VIEWS, network.input_size)
        crops = take_views(decode(data, scale, header), VIEWS, network.input_size)
        both = np.concatenate([crops, np.ascontiguousarray(crops[:, :, ::-1])])
        vectors = network(both).reshape(2, len(VIEWS), network.width).transpose(1, 0, 2)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=2, keepdims=True), np.float32)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        views = np.stack(list(pool.map(one, entries)))
    return Photos(views, np.array([entry.label for entry in entries]))


class Remembering(MobileNetEmbedder):
    """The real embedder, which embeds no photo twice, to build many catalogues in one run."""

    def __init__(self, model: Model, descriptor: str | None = None) -> None:
        super().__init__(model, descriptor=descriptor)
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def embed_each(
        self, pictures: Iterable[Source | Picture]
    ) -> Iterator[NDArray[np.float32] | PictureError]:
        """The descriptors of many photos, in order."""
        sources = [one.source if isinstance(one, Picture) else one for one in pictures]
        contents = [s if isinstance(s, np.ndarray) else read_picture(s) for s in sources]
        keys = [content_hash(content) for content in contents]
        new = {k: c for k, c in zip(keys, contents, strict=True) if k not in self._known}
        self._known.update(zip(new, super().embed_many(new.values()), strict=True))
        yield from (self._known[key] for key in keys)

    def close(self) -> None:
        """Stay, for the next catalogue."""
