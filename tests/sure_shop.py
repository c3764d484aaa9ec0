"""Things at places, of which a few dozen photos are enough to measure how sure answers are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog import Catalog

CLASSES, PLACES = 6, 6


def seen(thing: int, place: int) -> NDArray[np.uint8]:
    """Draw a thing at a place, neither of which weighs more than the other.

    So photos of one thing are no near-duplicates, and a few dozen of them are enough to measure
    how sure answers are.
    """
    own, around, noise = (
        np.random.default_rng(seed).integers(-reach, reach + 1, (6, 6, 3))
        for seed, reach in (((1, thing), 50), ((2, place), 55), ((3, thing, place), 8))
    )
    return np.clip(128 + own + around + noise, 0, 255).astype(np.uint8)


def learn(catalog: Catalog) -> Catalog:
    """Fill an empty catalogue with them; it knows how sure it is then."""
    for thing in range(CLASSES):
        catalog.add_class(f"thing {thing}", [seen(thing, place) for place in range(PLACES)])
    assert catalog.predict(seen(0, 20)).probability is not None
    return catalog
