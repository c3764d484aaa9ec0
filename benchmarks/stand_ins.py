"""What takes the place of a network, where descriptors are made up or were computed before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from catalog import Picture
from catalog.embedder import Source, Specification


class StandIn(ABC):
    """An embedder that says of itself what a real one says, and runs no network.

    Args:
        specification: of the network whose place it takes.
        probes: float32 (P, D), the descriptors that the network gives the probe pictures.
    """

    def __init__(self, specification: Specification, probes: NDArray[np.float32]) -> None:
        self.specification = specification
        self.probes = probes

    @abstractmethod
    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of a picture: float32 (D,), unit length."""

    def embed_each(self, pictures: Iterable[Source | Picture]) -> Iterator[NDArray[np.float32]]:
        """One after another."""
        return map(self.embed, pictures)

    def made_up(self, picture: Source | Picture, seed: int) -> NDArray[np.float32]:
        """The picture itself, since there is nothing to photograph."""
        del seed
        return self.embed(picture)[None]

    def probe(self) -> NDArray[np.float32]:
        """The probes of the network whose place this takes."""
        return self.probes

    def close(self) -> None:  # noqa: B027 - nothing is abstract about it
        """Nothing to let go of."""
