"""Small copies of pictures, for reports."""

from __future__ import annotations

import cv2
import numpy as np

from catalog.embedder.decode import read as read_picture
from catalog.embedder.formats import inspect
from catalog.embedder.isolation import IsolatedDecoder, decode_guarded
from catalog.embedder.picture import Picture


def thumbnail(
    picture: Picture, side: int = 160, *, decoder: IsolatedDecoder | None = None
) -> bytes:
    """Shrink a picture to a JPEG whose longer side is ``side`` pixels; its box is drawn on it.

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
    shrink = side / max(height, width)
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    if picture.box:
        ratio = size[0] / full_width
        corner = (round(picture.box.x * ratio), round(picture.box.y * ratio))
        extent = (round(picture.box.width * ratio), round(picture.box.height * ratio))
        opposite = (corner[0] + extent[0], corner[1] + extent[1])
        cv2.rectangle(small, corner, opposite, (0, 160, 255), 2)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1])
