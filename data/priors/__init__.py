"""Priors of the whitening, one file for each backbone and view preset they were measured for.

A prior is found by what an embedder computes, not by its name: each file holds the descriptors of
the built-in probe pictures beside the prior, so another export of the same network finds it too.
``recipes/priors.py`` in the source is what made the files that are shipped; those that are measured
on a machine lie in a folder of its own.
"""

from __future__ import annotations

import io
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import CatalogError, InvalidInput, Prior, read_arrays

SHIPPED: Final[Traversable] = files(__name__)
"""The folder of those that come with the program."""

_SAME = 0.9999


def prior_for(probes: NDArray[np.float32], folder: Traversable = SHIPPED) -> Prior | None:
    """Find the prior that was measured for an embedder.

    Args:
        probes: its descriptors of the built-in probe pictures, float32 (P, D), unit length.
        folder: where to look; of several the last by name is taken.

    Returns:
        The prior, or None if there is none for this backbone and preset.

    Raises:
        CatalogError: one of the files is damaged.
    """
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name, reverse=True):
        if not entry.name.endswith(".npz"):
            continue
        try:
            found = _read(entry.read_bytes(), probes)
        except (InvalidInput, KeyError, OSError, TypeError, ValueError) as error:
            remedy = (
                "install catalog again" if folder is SHIPPED else "delete it, and measure again"
            )
            raise CatalogError(f"{entry} is damaged: {error}; {remedy}") from error
        if found is not None:
            return found
    return None


def packed(prior: Prior, probes: NDArray[np.float32]) -> bytes:
    """The content of a prior's file; arguments as for :func:`prior_for`."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        mean=prior.mean.astype(np.float16),
        directions=prior.directions.astype(np.float16),
        variances=prior.variances,
        residual=np.asarray(prior.residual),
        probes=probes.astype(np.float16),
    )
    return buffer.getvalue()


def _read(data: bytes, probes: NDArray[np.float32]) -> Prior | None:
    arrays = read_arrays(data)
    known = arrays["probes"].astype(np.float32)
    if known.shape != probes.shape or (known * probes).sum(axis=1).min() <= _SAME:
        return None
    return Prior(
        arrays["mean"].astype(np.float32),
        arrays["directions"].astype(np.float32),
        arrays["variances"].astype(np.float32),
        float(arrays["residual"]),
    )
