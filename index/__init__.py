"""Descriptors to neighbours and centroids, by FAISS. Knows nothing of pictures."""

from index.centroids import centroids
from index.flat import FlatIndex
from index.groups import near_duplicate_groups, typical_stranger_cosine
from index.items import ItemIndex

__all__ = [
    "FlatIndex",
    "ItemIndex",
    "centroids",
    "near_duplicate_groups",
    "typical_stranger_cosine",
]
