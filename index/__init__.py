"""Descriptors to neighbours and centroids, by FAISS. Knows nothing of pictures."""

from catalog.index.centroids import centroids
from catalog.index.flat import FlatIndex
from catalog.index.groups import near_duplicate_groups, typical_stranger_cosine
from catalog.index.items import RENEW_ROWS, Index, ItemIndex

__all__ = [
    "RENEW_ROWS",
    "FlatIndex",
    "Index",
    "ItemIndex",
    "centroids",
    "near_duplicate_groups",
    "typical_stranger_cosine",
]
