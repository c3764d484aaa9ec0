"""AVIFs under attack: see :mod:`attack_boxes`."""

from __future__ import annotations

import attack_boxes
from attack_boxes import MUTATIONS, boundaries

__all__ = ["MUTATIONS", "boundaries", "seeds"]


def seeds() -> dict[str, bytes]:
    """Draw AVIFs of every kind."""
    return attack_boxes.seeds("avif")
