"""Projections of rows of several layers, one file for each network they were learnt for.

A network is known by what it computes, not by its name: each file holds the network's vectors of
the built-in probe pictures. Its name ends in the digest of the projection, by which an embedder's
specification names it. ``recipes/projections.py`` in the source is what made the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import CatalogError, InvalidInput, Projection, read_arrays

_SAME = 0.9999
_DIGITS = 12


def projection_for(vectors: NDArray[np.float32]) -> Projection | None:
    """Find the projection that was learnt for a network.

    Args:
        vectors: what the network makes of the built-in probe pictures, float32 (P, W), unit length.

    Returns:
        The projection, or None if there is none for this network.

    Raises:
        CatalogError: one of the files is damaged.
    """
    for entry in _entries():
        known, projection = _read(entry)
        if known.shape == vectors.shape and (known * vectors).sum(axis=1).min() > _SAME:
            return projection
    return None


def projection_named(digest: str) -> Projection | None:
    """Find a projection by its digest, 64 hexadecimal digits; None if it is not shipped.

    Raises:
        CatalogError: its file is damaged.
    """
    for entry in _entries():
        if entry.name.removesuffix(".npz").endswith(digest[:_DIGITS]):
            _, projection = _read(entry)
            if projection.digest == digest:
                return projection
    return None


def write(folder: Path, network: str, projection: Projection, vectors: NDArray[np.float32]) -> Path:
    """Write the file of a projection, uncompressed so that it is read quickly.

    Args:
        folder: where it goes.
        network: what the network is called.
        projection: that was learnt for it.
        vectors: what it makes of the built-in probe pictures, as for :func:`projection_for`.

    Raises:
        FileExistsError: there is one.
    """
    file = folder / f"{network}-{projection.digest[:_DIGITS]}.npz"
    with file.open("xb") as stream:
        np.savez(
            stream,
            mean=projection.mean,
            rows=projection.rows,
            scales=projection.scales,
            widths=np.array(list(projection.alike), np.int64),
            alike=np.array(list(projection.alike.values()), np.float64),
            vectors=vectors.astype(np.float16),
        )
    return file


def _entries() -> Iterator[Traversable]:
    found = (entry for entry in files(__name__).iterdir() if entry.name.endswith(".npz"))
    return iter(sorted(found, key=lambda entry: entry.name))


def _read(entry: Traversable) -> tuple[NDArray[np.float32], Projection]:
    """The network's vectors of the probe pictures, and the projection."""
    try:
        arrays = read_arrays(entry.read_bytes())
        alike = dict(zip(arrays["widths"].tolist(), arrays["alike"].tolist(), strict=True))
        projection = Projection(arrays["mean"], arrays["rows"], arrays["scales"], alike)
        vectors = arrays["vectors"].astype(np.float32)
    except (InvalidInput, KeyError, OSError, TypeError, ValueError) as error:
        raise CatalogError(f"{entry} is damaged: {error}; install catalog again") from error
    if not entry.name.removesuffix(".npz").endswith(projection.digest[:_DIGITS]):
        raise CatalogError(f"{entry} is not the projection of its name; install catalog again")
    return vectors, projection
