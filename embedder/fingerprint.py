"""What decides a descriptor, written down and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import cv2

from catalog.descriptors import FORMAT
from catalog.embedder.views import RESIZE_RULE, View

DECODE_RULE = (
    "OpenCV; Exif upright; alpha over white; 16 bits rounded to 8; colour profiles ignored; "
    "JPEG at the smallest DCT scale that keeps the tightest view whole"
)
"""The rules of ``embedder.decode`` in short; changed whenever they are."""


def libraries() -> dict[str, str]:
    """The libraries that compute descriptors here, with their versions."""
    return {
        "ai-edge-litert": f"ai-edge-litert {version('ai-edge-litert')}",
        "opencv": f"opencv {cv2.__version__}",
    }


@dataclass(frozen=True)
class Specification:
    """Everything that decides which descriptor a picture gets.

    Attributes:
        backbone: SHA-256 of the network's flatbuffer.
        input_size: side of the network's input, in pixels.
        width: length of a descriptor.
        views: the crops a descriptor is the mean of.
        decode: the rule by which bytes become pixels.
        resize: the rule by which a crop becomes the network's input.
        stored: the form in which a descriptor is kept.
        layers: the rule by which several layers become one row; None for the last layer alone.
        projection: digest of what projects such rows; None likewise.
    """

    backbone: str
    input_size: int
    width: int
    views: Sequence[View]
    decode: str = DECODE_RULE
    resize: str = RESIZE_RULE
    stored: str = FORMAT
    layers: str | None = None
    projection: str | None = None

    def to_json(self) -> str:
        """The specification as JSON with sorted keys, the same text for the same specification."""
        stated = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(stated, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Specification:
        """Read what :meth:`to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "views": tuple(fields["views"])})

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the specification, 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
