"""Small copies of pictures, for eyes."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np

from catalog.descriptors import InvalidInput, PictureError
from catalog.embedder.decode import read as read_picture
from catalog.embedder.formats import inspect
from catalog.embedder.isolation import IsolatedDecoder, decode_guarded
from catalog.embedder.picture import Picture
from catalog.machine.processes import processors


def thumbnail(
    picture: Picture, side: int = 160, *, decoder: IsolatedDecoder | None = None
) -> bytes:
    """Shrink a picture to a JPEG whose longer side is ``side`` pixels; its box is drawn on it.

    A picture that is smaller stays as large as it is.

    Args:
        picture: that is shrunk.
        side: in pixels.
        decoder: in whose process it is decoded; in this one by default.

    Raises:
        PictureError: the picture is refused.
    """
    if isinstance(picture.source, np.ndarray):
        pixels = picture.source
        full_width = pixels.shape[1]
    else:
        data = read_picture(picture.source)
        header = inspect(data)
        longer = max(header.width, header.height)
        scale = next((s for s in (8, 4, 2) if longer / s >= side), 1)
        decode = decoder.decode if decoder else decode_guarded
        pixels = decode(data, scale if header.format == "jpeg" else 1, header)
        full_width = header.height if header.orientation >= 5 else header.width
    height, width = pixels.shape[:2]
    shrink = min(1.0, side / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    if picture.box:
        ratio = size[0] / full_width
        corner = (round(picture.box.x * ratio), round(picture.box.y * ratio))
        extent = (round(picture.box.width * ratio), round(picture.box.height * ratio))
        opposite = (corner[0] + extent[0], corner[1] + extent[1])
        cv2.rectangle(small, corner, opposite, (0, 160, 255), 2)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1])


class Thumbnails:
    """Shrinks many pictures side by side; for any number of threads.

    Args:
        isolate: decode in processes of their own, as many as processors.
    """

    SIDE: Final = 224
    """The longer side of copies that are kept, in pixels: sharp where a page shows half of them."""

    def __init__(self, *, isolate: bool) -> None:
        self._threads = ThreadPoolExecutor(processors(), "thumbnails")
        self._decoder = IsolatedDecoder(processors()) if isolate else None

    def __call__(self, picture: Picture, side: int = SIDE) -> bytes | None:
        """Shrink a picture as :func:`thumbnail` does; None if it is refused."""
        try:
            return thumbnail(picture, side, decoder=self._decoder)
        except PictureError:
            return None

    def each(self, pictures: Iterable[Picture]) -> list[bytes | None]:
        """The same for each of several.

        Raises:
            InvalidInput: they were closed.
        """
        try:
            made = self._threads.map(self, pictures)
        except RuntimeError as error:
            raise InvalidInput("the catalogue was closed; open it again") from error
        return list(made)

    def close(self) -> None:
        """End the threads and processes, once what they are at is done."""
        self._threads.shutdown()
        if self._decoder is not None:
            self._decoder.close()
