"""Pictures to descriptors, by a frozen MobileNetV2. Knows nothing of labels or storage."""

# First: it sets what OpenCV reads while it is imported.
from embedder.decode import read as read_picture
from embedder.embedder import Embedder, MobileNetEmbedder, load
from embedder.fingerprint import Specification, libraries
from embedder.picture import Box, Picture, Source, content_hash
from embedder.thumbnail import thumbnail
from embedder.views import DEFAULT_PRESET, PRESETS, preset_name

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "Box",
    "Embedder",
    "MobileNetEmbedder",
    "Picture",
    "Source",
    "Specification",
    "content_hash",
    "libraries",
    "load",
    "preset_name",
    "read_picture",
    "thumbnail",
]
