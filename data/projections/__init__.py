"""Projections of rows of several layers, one file for each network they were learnt for.

A network is known by what it computes, not by its name: each file holds the network's vectors of
the built-in probe pictures. Its name ends in the digest of the projection, by which an embedder's
specification names it. ``recipes/projections.py`` in the source is what made the files that are
shipped; those that are measured on a machine lie in a folder of its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import CatalogError, InvalidInput, Projection, read_arrays

SHIPPED: Final[Traversable] = files(__name__)
"""The folder of those that come with the program."""

_SAME = 0.9999
_DIGITS = 12


def projection_for(
    vectors: NDArray[np.float32], folder: Traversable = SHIPPED
) -> Projection | None:
    """Find the projection that was learnt for a network.

    Args:
        vectors: what the network makes of the built-in probe pictures, float32 (P, W), unit length.
        folder: where to look; of several the last by name is taken.

    Returns:
        The projection, or None if there is none for this network.

    Raises:
        CatalogError: one of the files is damaged.
    """
    for entry in _entries(folder):
        known, projection = _read(entry, folder)
        if known.shape == vectors.shape and (known * vectors).sum(axis=1).min() > _SAME:
            return projection
    return None


def projection_named(digest: str, folder: Traversable = SHIPPED) -> Projection | None:
    """Find a projection by its digest, 64 hexadecimal digits; None if it is not in a folder.

    Raises:
        CatalogError: its file is damaged.
    """
    for entry in _entries(folder):
        if entry.name.removesuffix(".npz").endswith(digest[:_DIGITS]):
            _, projection = _read(entry, folder)
            if projection.digest == digest:
                return projection
    return None


def packed(projection: Projection, vectors: NDArray[np.float32]) -> bytes:
    """The content of a projection's file, uncompressed so that it is read quickly.

    Args:
        projection: that was learnt for a network.
        vectors: what it makes of the built-in probe pictures, as for :func:`projection_for`.
    """
    buffer = io.BytesIO()
    np.savez(
        buffer,
        mean=projection.mean,
        rows=projection.rows,
        scales=projection.scales,
        widths=np.array(list(projection.alike), np.int64),
        alike=np.array(list(projection.alike.values()), np.float64),
        vectors=vectors.astype(np.float16),
    )
    return buffer.getvalue()


def file_name(network: str, projection: Projection) -> str:
    """What the file of a network's projection is called."""
    return f"{network}-{projection.digest[:_DIGITS]}.npz"


def _entries(folder: Traversable) -> Iterator[Traversable]:
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".npz"))
    return iter(sorted(found, key=lambda entry: entry.name, reverse=True))


def _read(entry: Traversable, folder: Traversable) -> tuple[NDArray[np.float32], Projection]:
    """The network's vectors of the probe pictures, and the projection."""
    remedy = "install catalog again" if folder is SHIPPED else "delete it, and measure again"
    try:
        arrays = read_arrays(entry.read_bytes())
        alike = dict(zip(arrays["widths"].tolist(), arrays["alike"].tolist(), strict=True))
        projection = Projection(arrays["mean"], arrays["rows"], arrays["scales"], alike)
        vectors = arrays["vectors"].astype(np.float32)
    except (InvalidInput, KeyError, OSError, TypeError, ValueError) as error:
        raise CatalogError(f"{entry} is damaged: {error}; {remedy}") from error
    if not entry.name.removesuffix(".npz").endswith(projection.digest[:_DIGITS]):
        raise CatalogError(f"{entry} is not the projection of its name; {remedy}")
    return vectors, projection
