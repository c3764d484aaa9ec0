"""Picture in, descriptor out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Advice, BackboneError, InvalidInput, PictureError, Projection
from catalog.embedder import known, models, probes
from catalog.embedder.decode import read
from catalog.embedder.describe import (
    DEFAULT_DESCRIPTOR,
    POOLED,
    Describe,
    Layered,
    Pooled,
    Seen,
    require_descriptor,
)
from catalog.embedder.fingerprint import Specification
from catalog.embedder.formats import inspect
from catalog.embedder.header import Header
from catalog.embedder.layers import LAYERS_RULE
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.made_up import photos
from catalog.embedder.model_cache import Model
from catalog.embedder.picture import Box, Picture, Source, as_picture
from catalog.embedder.views import DEFAULT_PRESET, View, jpeg_scale, preset, take_views
from catalog.embedder.workers import Workers
from catalog.machine.processes import processors

_Result = TypeVar("_Result")


class Embedder(Protocol):
    """What a catalogue asks of an embedder; a test double needs no more."""

    @property
    def specification(self) -> Specification:
        """What decides its descriptors."""

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of one picture: float32 (D,), unit length."""

    def embed_each(
        self, pictures: Iterable[Source | Picture]
    ) -> Iterator[NDArray[np.float32] | PictureError]:
        """For each of many pictures, in order, its descriptor or why it was refused."""

    def made_up(self, picture: Source | Picture, seed: int) -> NDArray[np.float32]:
        """The descriptors of photos that are made up of a picture: float32 (K, D), unit length."""

    def probe(self) -> NDArray[np.float32]:
        """The descriptors of the built-in probe pictures: float32 (P, D), unit length."""

    def close(self) -> None:
        """Let go of threads and memory."""


class MobileNetEmbedder:
    """The frozen network, a few views of each picture, and one descriptor of what it sees in them.

    Safe to use from many threads, and in a process that was forked. Each picture is computed by
    itself, so it gets the same bits whatever else is asked for: by one thread where as many
    pictures are under way as there are threads, else its views by several.

    Args:
        model: from the model cache.
        views: a preset's name, or the views themselves.
        descriptor: ``512``, ``1280`` or ``2048`` numbers of several layers, or ``pooled`` for the
            last layer alone; by default 1280 where a projection is known for the network.
        projection: of the rows of several layers, instead of the one that is known.
        threads: how many are at work at once; all processors by default.
        isolate: decode in processes of its own, as many as threads: a picture that crashes or
            stops the decoder is refused then, and takes nothing with it. The descriptors are the
            same, bit for bit; the first picture waits for a process to start.

    Raises:
        BackboneError: the model's file is not as it was when it was imported, or no projection is
            known for the network.
        InvalidInput: there is no such preset or descriptor, or a view is not in [0, 1].
    """

    def __init__(
        self,
        model: Model,
        views: str | tuple[View, ...] = DEFAULT_PRESET,
        descriptor: str | None = None,
        *,
        projection: Projection | None = None,
        threads: int | None = None,
        isolate: bool = False,
    ) -> None:
        chosen = preset(views) if isinstance(views, str) else views
        if not chosen or not all(0 <= view <= 1 for view in chosen):
            raise InvalidInput(f"views are shares of the shorter side in [0, 1], not {chosen}")
        if descriptor is not None:
            require_descriptor(descriptor)
        self.model = model
        layers = None if descriptor == POOLED else _of_layers(model, projection)
        network = LiteRTNetwork(model.read() if layers is None else layers.network)
        self._describe: Describe
        if layers is not None:
            width = int(descriptor or DEFAULT_DESCRIPTOR)
            self._describe = Layered(network, layers.projection.to(width))
        elif descriptor in {None, POOLED}:
            width = network.width
            self._describe = Pooled(network)
        else:
            raise BackboneError(
                f"no descriptor of several layers is known for the network {model.name!r}",
                Advice("use pooled"),
            )
        self.specification = Specification(
            model.sha256,
            network.input_size,
            width,
            chosen,
            layers=LAYERS_RULE if layers else None,
            projection=layers.projection.digest if layers else None,
        )
        self._workers = Workers(threads or processors(), isolate=isolate)

    def close(self) -> None:
        """Stop the threads, and the processes, once what they are at is done."""
        self._workers.close()

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """Compute the descriptor of one picture.

        Args:
            picture: a path, the bytes of a file, RGB pixels uint8 (H, W, 3), or any of these with
                a box.

        Returns:
            float32 (D,), unit length.

        Raises:
            PictureError: the picture is refused, or the box reaches outside it.
            InvalidInput: the array is not uint8 (H, W, 3).
        """
        workers = self._workers.here()
        with workers.busy():
            pixels, views = self._pixels(as_picture(picture)), self.specification.views
            free = workers.free
            left_over = free > 1 and len(views) % free == 1  # one view, when others have nothing

            def see(place: int) -> Seen:
                (taken,) = take_views(
                    pixels, views[place : place + 1], self.specification.input_size
                )
                return self._describe.see(taken, wide=left_over and place == len(views) - 1)

            return self._describe(workers.share(see, range(len(views))))

    def embed_many(self, pictures: Iterable[Source | Picture]) -> Iterator[NDArray[np.float32]]:
        """Compute the descriptors of many pictures on all processors.

        Args:
            pictures: as for :meth:`embed`; taken up a few at a time, never all at once.

        Yields:
            float32 (D,) for each picture, in order.

        Raises:
            PictureError, InvalidInput: as :meth:`embed` does, at the first that is refused.
        """
        return self._in_order(self.embed, pictures)

    def embed_each(
        self, pictures: Iterable[Source | Picture]
    ) -> Iterator[NDArray[np.float32] | PictureError]:
        """As :meth:`embed_many`, but a refusal stands in its picture's place, and the rest goes on.

        Yields:
            float32 (D,) or the refusal for each picture, in order.
        """
        return self._in_order(self._attempt, pictures)

    def decode_each(
        self, pictures: Iterable[Source | Picture]
    ) -> Iterator[NDArray[np.uint8] | PictureError]:
        """Decode many pictures on all processors, each about as large as its views need.

        Yields:
            uint8 (H, W, 3) or the refusal for each picture, in order.
        """

        def attempt(picture: Source | Picture) -> NDArray[np.uint8] | PictureError:
            try:
                return self._pixels(as_picture(picture))
            except PictureError as error:
                return error

        return self._in_order(attempt, pictures)

    def made_up(self, picture: Source | Picture, seed: int) -> NDArray[np.float32]:
        """Compute the descriptors of photos that are made up of a picture.

        Args:
            picture: as for :meth:`embed`.
            seed: which photos.

        Returns:
            float32 (K, D), unit length.

        Raises:
            PictureError, InvalidInput: as :meth:`embed` does.
        """
        pixels = self._pixels(as_picture(picture))
        return np.stack(list(self.embed_many(photos(pixels, seed))))

    def probe(self) -> NDArray[np.float32]:
        """Embed the built-in probe pictures, to tell whether this machine computes as another."""
        pictures = probes.pictures(self.specification.input_size)
        return np.stack(list(self.embed_many(pictures)))

    def _attempt(self, picture: Source | Picture) -> NDArray[np.float32] | PictureError:
        try:
            return self.embed(picture)
        except PictureError as error:
            return error

    def _in_order(
        self,
        function: Callable[[Source | Picture], _Result],
        pictures: Iterable[Source | Picture],
    ) -> Iterator[_Result]:
        waiting: deque[Future[_Result]] = deque()
        workers = self._workers.here()
        try:
            for picture in pictures:
                waiting.append(workers.pool.submit(function, picture))
                # Enough to keep every thread busy, few enough to hold in memory.
                if len(waiting) > 3 * workers.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _pixels(self, picture: Picture) -> NDArray[np.uint8]:
        source, box = picture.source, picture.box
        if isinstance(source, np.ndarray):
            if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3:
                raise InvalidInput("pixels must be uint8 RGB of shape (H, W, 3)")
            if source.size == 0:
                raise PictureError("empty", "the array has no pixels")
            check_box(box, source.shape[1], source.shape[0])
            return _inside(source, box, 1)
        return self._decoded(read(source), box)

    def _decoded(self, data: bytes, box: Box | None) -> NDArray[np.uint8]:
        header = inspect(data)
        width, height = upright_size(header)
        check_box(box, width, height)
        if header.format == "jpeg":
            region = (box.width, box.height) if box else (width, height)
            spec = self.specification
            scale = jpeg_scale(region, spec.views, spec.input_size)
        else:
            scale = 1
        return _inside(self._workers.here().decode(data, scale, header), box, scale)


def load(
    model: Model,
    specification: Specification,
    *,
    threads: int | None = None,
    isolate: bool = False,
) -> MobileNetEmbedder:
    """The embedder of a specification, from its model; the rest as for the class.

    Raises:
        BackboneError: with this version of the program the model gives another specification.
    """
    descriptor, projection = POOLED, None
    if specification.projection is not None:
        descriptor = str(specification.width)
        projection = known.projection_named(specification.projection)
        if projection is None:
            raise BackboneError(
                f"the projection of this catalogue's descriptors, {specification.projection[:12]}, "
                "is not on this machine: it was measured on another, or comes with another version "
                "of catalog",
                Advice("copy projection", specification.projection[:12]),
            )
    views = tuple(specification.views)
    embedder = MobileNetEmbedder(
        model, views, descriptor, projection=projection, threads=threads, isolate=isolate
    )
    if embedder.specification != specification:
        embedder.close()
        raise BackboneError(
            "this version of catalog would compute other descriptors than "
            f"{specification.fingerprint[:12]}: {embedder.specification.to_json()} instead of "
            f"{specification.to_json()}"
        )
    return embedder


class _Layers(NamedTuple):
    """A network with several layers for outputs, and the projection of their rows."""

    network: bytes
    projection: Projection


def _of_layers(model: Model, projection: Projection | None) -> _Layers | None:
    """What a descriptor of several layers takes; None where it is not known for the network."""
    if projection is None:
        projection = known.projection_for(probes.describe(LiteRTNetwork(model.read())))
    network = models.layered(model) if projection else None
    return _Layers(network, projection) if network and projection else None


def upright_size(header: Header) -> tuple[int, int]:
    """Width and height once the orientation is applied: 5 to 8 lie on their side."""
    turned = header.orientation >= 5
    return (header.height, header.width) if turned else (header.width, header.height)


def _inside(pixels: NDArray[np.uint8], box: Box | None, scale: int) -> NDArray[np.uint8]:
    """What is inside a box given in pixels of the picture before it was shrunk by ``scale``."""
    if box is None:
        return pixels
    left, top = box.x // scale, box.y // scale
    right, bottom = -(-(box.x + box.width) // scale), -(-(box.y + box.height) // scale)
    return pixels[top:bottom, left:right]


def check_box(box: Box | None, width: int, height: int) -> None:
    """Make sure that a box lies within a picture.

    Raises:
        PictureError: it does not.
    """
    if box and (box.x + box.width > width or box.y + box.height > height):
        raise PictureError(
            "empty", f"the box {box} reaches outside the picture of {width} x {height}"
        )
