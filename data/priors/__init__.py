"""Priors of the whitening, one file for each backbone and view preset they were measured for.

A prior is found by what an embedder computes, not by its name: each file holds the descriptors of
the built-in probe pictures beside the prior, so another export of the same network finds it too.
``recipes/priors.py`` in the source is what made the files.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import CatalogError, InvalidInput, Prior, read_arrays

_SAME = 0.9999


def prior_for(probes: NDArray[np.float32]) -> Prior | None:
    """Find the prior that was measured for an embedder.

    Args:
        probes: its descriptors of the built-in probe pictures, float32 (P, D), unit length.

    Returns:
        The prior, or None if there is none for this backbone and preset.

    Raises:
        CatalogError: one of the files is damaged.
    """
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".npz"):
            continue
        try:
            found = _read(entry.read_bytes(), probes)
        except (InvalidInput, KeyError, OSError, TypeError, ValueError) as error:
            raise CatalogError(f"{entry} is damaged: {error}; install catalog again") from error
        if found is not None:
            return found
    return None


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
