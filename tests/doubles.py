"""A fast, deterministic stand-in for the network, so that most tests never load one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import PictureError, unit_rows
from catalog.embedder import Picture, Source, Specification, read_picture
from catalog.embedder.decode import decode

GRID = 6


class FakeEmbedder:
    """Colours on a coarse grid, projected at random: alike pictures get alike descriptors.

    Pictures pass the real decode door, so that they are refused as they would be.
    """

    def __init__(self, width: int = 64, seed: int = 0) -> None:
        self.specification = Specification(f"{seed:064d}", GRID, width, (0.0,))
        self.embedded = 0
        self._projection = np.random.default_rng(seed).normal(size=(width, GRID * GRID * 3 + 1))

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of one picture; a box is cut out first."""
        descriptor = self._described(picture)
        self.embedded += 1
        return descriptor

    def _described(self, picture: Source | Picture) -> NDArray[np.float32]:
        picture = picture if isinstance(picture, Picture) else Picture(picture)
        source, box = picture.source, picture.box
        pixels = source if isinstance(source, np.ndarray) else decode(read_picture(source))
        if box:
            if box.x + box.width > pixels.shape[1] or box.y + box.height > pixels.shape[0]:
                raise PictureError("empty", f"the box {box} reaches outside the picture")
            pixels = pixels[box.y : box.y + box.height, box.x : box.x + box.width]
        small = cv2.resize(pixels, (GRID, GRID), interpolation=cv2.INTER_AREA)
        vector = self._projection @ np.append(small.ravel() / 255 - 0.5, 0.1)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    def embed_each(
        self, pictures: Iterable[Source | Picture]
    ) -> Iterator[NDArray[np.float32] | PictureError]:
        """For each of many pictures, in order, its descriptor or why it was refused."""
        for picture in pictures:
            try:
                yield self.embed(picture)
            except PictureError as error:
                yield error

    def made_up(self, picture: Source | Picture, seed: int) -> NDArray[np.float32]:
        """The descriptors of photos that are made up of a picture, a little noise on each."""
        shown = np.repeat(self._described(picture)[None], 2, axis=0)
        noise = np.random.default_rng(seed).normal(0, 0.05, shown.shape)
        return np.asarray(unit_rows(shown + noise), np.float32)

    def probe(self) -> NDArray[np.float32]:
        """The descriptors of a few plain pictures."""
        plain = [np.full((8, 8, 3), shade, np.uint8) for shade in (0, 90, 200)]
        return np.stack([self.embed(pixels) for pixels in plain])

    def close(self) -> None:
        """Nothing to let go of."""


class Patient(FakeEmbedder):
    """An embedder that waits until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.go_on.set()

    def embed(self, picture: Any) -> Any:
        """Wait, and embed."""
        self.go_on.wait(60)
        return super().embed(picture)
