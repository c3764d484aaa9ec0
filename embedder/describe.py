"""From the views of a picture to its descriptor: by the last layer alone, or by several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, PictureError, Projector
from catalog.embedder.fingerprint import Specification
from catalog.embedder.layers import joined, parts_of
from catalog.embedder.litert import LiteRTNetwork

POOLED: Final = "pooled"
"""The descriptor of the last layer alone."""

DESCRIPTORS: Final = ("512", "1280", "2048", POOLED)
"""The descriptors that may be asked for: of several layers and so many numbers, or pooled."""

DEFAULT_DESCRIPTOR: Final = "1280"
"""What a new catalogue has, where there is a projection for its network."""


def require_descriptor(name: str) -> None:
    """Make sure that there is such a descriptor.

    Raises:
        InvalidInput: there is not.
    """
    if name not in DESCRIPTORS:
        raise InvalidInput(
            f"there is no descriptor {name!r}; choose one of {', '.join(DESCRIPTORS)}"
        )


def descriptor_name(specification: Specification) -> str:
    """By which of :data:`DESCRIPTORS` a specification can be asked for."""
    return POOLED if specification.projection is None else str(specification.width)


Seen: TypeAlias = list[NDArray[np.float32]]
"""What a network sees in one view, some vectors float32."""


class Describe(Protocol):
    """A frozen network, and what is made of its outputs."""

    @property
    def input_size(self) -> int:
        """The side of a view in pixels."""

    def see(self, view: NDArray[np.uint8], /, *, wide: bool = False) -> Seen:
        """Run the network on one view uint8 (S, S, 3); ``wide`` as for the network."""

    def __call__(self, views: Sequence[Seen], /) -> NDArray[np.float32]:
        """The descriptor float32 (D,), unit length, of a picture of whose views that was seen.

        Raises:
            PictureError: the network sees nothing in it.
        """


class Pooled:
    """The mean over the views of the normalised means over the places of the last map."""

    def __init__(self, network: LiteRTNetwork) -> None:
        self.input_size = network.input_size
        self._network = network

    def see(self, view: NDArray[np.uint8], *, wide: bool = False) -> Seen:
        """The mean of the last map, in one view uint8 (S, S, 3); ``wide`` as for the network."""
        return list(self._network(view[np.newaxis], wide=wide))

    def __call__(self, views: Sequence[Seen]) -> NDArray[np.float32]:
        """The descriptor float32 (D,), unit length, of a picture of whose views that was seen.

        Raises:
            PictureError: the network sees nothing in it.
        """
        vectors = np.concatenate(views).astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        mean = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).mean(axis=0)
        length = np.linalg.norm(mean)
        if not np.isfinite(length) or length == 0:
            raise PictureError("unsupported", "the network sees nothing in this picture")
        return np.asarray(mean / length, np.float32)


def row_of_layers(network: LiteRTNetwork, views: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What several layers see in views uint8 (V, S, S, 3), before it is projected.

    Args:
        network: that gives the maps of ``embedder.layers`` beside its vector.
        views: of one picture.

    Returns:
        float64 (F,), unit length.
    """
    return joined([parts_of(vector, maps) for vector, *maps in network.outputs(views)])


class Layered:
    """The projection of what several layers see.

    Args:
        network: that gives the maps of ``embedder.layers`` beside its vector.
        projector: of the rows of several layers.
    """

    def __init__(self, network: LiteRTNetwork, projector: Projector) -> None:
        self.input_size = network.input_size
        self._network = network
        self._projector = projector

    def see(self, view: NDArray[np.uint8], *, wide: bool = False) -> Seen:
        """The parts that layers see in a view uint8 (S, S, 3); ``wide`` as for the network."""
        ((vector, *maps),) = self._network.outputs(view[np.newaxis], wide=wide)
        return parts_of(vector, maps)

    def __call__(self, views: Sequence[Seen]) -> NDArray[np.float32]:
        """The descriptor float32 (D,), unit length, of a picture of whose views that was seen.

        Raises:
            PictureError: the network sees nothing in it.
        """
        return self._projector(joined(views))
