"""What is known of networks: shipped with the program, or measured on this machine.

What was measured lies in the model cache: ``measured/projections`` and ``measured/priors``. Of
several for one network the latest is used for new catalogues; the older ones stay, since a
catalogue names its projection by its digest.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog import data
from catalog.data import priors, projections
from catalog.descriptors import Prior, Projection
from catalog.embedder.model_cache import Model, write_whole
from catalog.machine import model_cache

_Known = TypeVar("_Known", Projection, Prior)


def projection_for(vectors: NDArray[np.float32]) -> Projection | None:
    """Find the projection that was learnt for a network; None if nobody did.

    Args:
        vectors: what the network makes of the built-in probe pictures, float32 (P, W), unit length.

    Raises:
        CatalogError: one of the files is damaged.
    """
    return _found(data.projection_for, vectors, "projections")


def projection_named(digest: str) -> Projection | None:
    """Find a projection by its digest, 64 hexadecimal digits; None if it is not on this machine.

    Raises:
        CatalogError: its file is damaged.
    """
    return _found(data.projection_named, digest, "projections")


def prior_for(vectors: NDArray[np.float32]) -> Prior | None:
    """Find the prior that was measured for an embedder; None if nobody did.

    Args:
        vectors: its descriptors of the built-in probe pictures, float32 (P, D), unit length.

    Raises:
        CatalogError: one of the files is damaged.
    """
    return _found(data.prior_for, vectors, "priors")


def keep_projection(model: Model, projection: Projection, vectors: NDArray[np.float32]) -> Path:
    """Keep the projection that was learnt for a network; arguments as for ``projections.packed``.

    Raises:
        BackboneError: it cannot be written.
    """
    name = projections.file_name(_stem(model), projection)
    return write_whole(_measured("projections") / name, projections.packed(projection, vectors))


def keep_prior(model: Model, prior: Prior, probes: NDArray[np.float32]) -> Path:
    """Keep the prior that was measured for a network; arguments as for ``priors.packed``.

    Raises:
        BackboneError: it cannot be written.
    """
    return write_whole(_measured("priors") / f"{_stem(model)}.npz", priors.packed(prior, probes))


def _measured(kind: str) -> Path:
    return model_cache() / "measured" / kind


def _found(find: Callable[..., _Known | None], key: object, kind: str) -> _Known | None:
    """What comes with the program, else what was measured here."""
    found = find(key)
    folder = _readable(kind) if found is None else None
    return found if folder is None else find(key, folder)


def _readable(kind: str) -> Path | None:
    """The folder of what was measured, if there is one that can be read."""
    folder = _measured(kind)
    try:
        return folder if any(folder.iterdir()) else None
    except OSError:
        return None


def _stem(model: Model) -> str:
    """What a file's name begins with: the time, so that names sort by it, and the network."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{model.sha256[:12]}"
