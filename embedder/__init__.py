"""Pictures to descriptors, by a frozen MobileNetV2. Knows nothing of labels or storage."""

# First: it sets what OpenCV reads while it is imported.
from catalog.embedder.apart import EmbedderApart
from catalog.embedder.decode import read as read_picture
from catalog.embedder.describe import DESCRIPTORS, descriptor_name
from catalog.embedder.embedder import Embedder, MobileNetEmbedder, load
from catalog.embedder.exif import Shot
from catalog.embedder.fingerprint import Specification, libraries
from catalog.embedder.formats import is_picture, shot_of
from catalog.embedder.isolation import IsolatedDecoder, Isolation
from catalog.embedder.picture import Box, Picture, Source, as_picture, content_hash
from catalog.embedder.thumbnail import Thumbnails, thumbnail
from catalog.embedder.views import DEFAULT_PRESET, PRESETS, preset_name

__all__ = [
    "DEFAULT_PRESET",
    "DESCRIPTORS",
    "PRESETS",
    "Box",
    "Embedder",
    "EmbedderApart",
    "IsolatedDecoder",
    "Isolation",
    "MobileNetEmbedder",
    "Picture",
    "Shot",
    "Source",
    "Specification",
    "Thumbnails",
    "as_picture",
    "content_hash",
    "descriptor_name",
    "is_picture",
    "libraries",
    "load",
    "preset_name",
    "read_picture",
    "shot_of",
    "thumbnail",
]
