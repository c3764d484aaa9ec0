"""Descriptors to neighbours and centroids, by FAISS. Knows nothing of pictures."""

from index.centroids import centroids
from index.flat import FlatIndex
from index.items import ItemIndex

__all__ = ["FlatIndex", "ItemIndex", "centroids"]
