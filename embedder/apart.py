"""Embedding in processes of its own, for a program that many ask at once.

What a picture does to its decoder stays in a child, as with :mod:`catalog.embedder.isolation`, and
so does all the work on it: the caller's threads do not wait for each other's turn at the
interpreter, and what comes back is a descriptor, not a picture.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import PictureError
from catalog.embedder import models
from catalog.embedder.decode import read
from catalog.embedder.embedder import check_box, load, upright_size
from catalog.embedder.fingerprint import Specification
from catalog.embedder.formats import inspect
from catalog.embedder.header import Header
from catalog.embedder.isolation import MEMORY, SECONDS, Isolated, Task, Work
from catalog.embedder.model_cache import Model
from catalog.embedder.picture import Box, Picture, Source, as_picture
from catalog.machine.processes import processors

_ALONE, _AMONG_OTHERS = 0, 1

_NICE = 5
"""By how much children stand back: who is told to come again is to be told at once."""


class EmbedderApart:
    """An embedder whose single pictures are embedded by child processes, each with the network.

    There is one more of them than processors, so that none of these is idle while one is given its
    next picture. The descriptors are those of :class:`MobileNetEmbedder`, bit for bit;
    pixels, photos that are made up, and pictures that come as many are embedded by such a one in
    this process, with its decoding isolated.

    Args:
        model: from the model cache.
        specification: of the embedder.

    Raises:
        BackboneError: as :func:`load` does.
    """

    def __init__(self, model: Model, specification: Specification) -> None:
        self.specification = specification
        self._here = load(model, specification, isolate=True)
        self._there = Isolated(
            processors() + 1,
            seconds=SECONDS,
            memory=MEMORY,
            work=f"{__name__}:worker",
            given=specification.to_json(),
        )
        self._there.start()

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of one picture, as :meth:`MobileNetEmbedder.embed` gives it.

        Raises:
            PictureError, InvalidInput: as that does.
            CatalogError: no process can be started.
        """
        asked = as_picture(picture)
        if isinstance(asked.source, np.ndarray):
            return self._here.embed(asked)
        data = read(asked.source)
        header = inspect(data)
        check_box(asked.box, *upright_size(header))
        number = _AMONG_OTHERS if self._there.busy else _ALONE
        shape = (self.specification.width,)
        task = Task(data, number, header, asked.box, shape, np.dtype(np.float32))
        return self._there.do(task)

    def embed_each(
        self, pictures: Iterable[Source | Picture]
    ) -> Iterator[NDArray[np.float32] | PictureError]:
        """For each of many pictures, in order, its descriptor or why it was refused."""
        return self._here.embed_each(pictures)

    def made_up(self, picture: Source | Picture, seed: int) -> NDArray[np.float32]:
        """The descriptors of photos that are made up of a picture: float32 (K, D), unit length."""
        return self._here.made_up(picture, seed)

    def probe(self) -> NDArray[np.float32]:
        """The descriptors of the built-in probe pictures: float32 (P, D), unit length."""
        return self._here.probe()

    def let_go(self) -> None:
        """End the processes once what they are at is done; they start again if they are asked."""
        threading.Thread(target=self._there.close, name="letting go", daemon=True).start()

    def close(self) -> None:
        """End the processes, and let go of threads and memory."""
        self._there.close()
        self._here.close()


def worker(specification: str) -> Work:
    """What a child does: embed a picture, by one thread where others are at work.

    Args:
        specification: of the embedder, as JSON.
    """
    os.nice(_NICE)
    wanted = Specification.from_json(specification)
    model = models.find(wanted.backbone)
    threads: Final = {_ALONE: processors(), _AMONG_OTHERS: 1}
    embedders: Any = {way: load(model, wanted, threads=count) for way, count in threads.items()}

    def embed(data: bytes, number: int, _: Header, box: Box | None) -> NDArray[np.float32]:
        found: NDArray[np.float32] = embedders[number].embed(Picture(data, box))
        return found

    return embed
