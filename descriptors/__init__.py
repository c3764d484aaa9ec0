"""What the other packages share: integer descriptors, exact sums, whitening and errors.

Needs NumPy alone, and imports none of the other packages.
"""

from catalog.descriptors.advice import Advice
from catalog.descriptors.archives import read_arrays
from catalog.descriptors.errors import (
    BackboneError,
    Cancelled,
    CatalogError,
    Conflict,
    Damaged,
    EmbedderMismatch,
    InvalidInput,
    InvalidLabel,
    LabelConflict,
    Locked,
    NewerFormat,
    NoSpace,
    NotFound,
    PictureError,
    RefusalReason,
    Superseded,
    Switched,
)
from catalog.descriptors.integers import FORMAT, SCALE, from_bytes, to_bytes, to_floats, to_integers
from catalog.descriptors.projection import Projection, Projector
from catalog.descriptors.sums import Sums
from catalog.descriptors.whitening import (
    BLOCK_ROWS,
    WHITENING_RULE,
    Metric,
    Prior,
    class_means,
    fit,
    unit_rows,
)

__all__ = [
    "BLOCK_ROWS",
    "FORMAT",
    "SCALE",
    "WHITENING_RULE",
    "Advice",
    "BackboneError",
    "Cancelled",
    "CatalogError",
    "Conflict",
    "Damaged",
    "EmbedderMismatch",
    "InvalidInput",
    "InvalidLabel",
    "LabelConflict",
    "Locked",
    "Metric",
    "NewerFormat",
    "NoSpace",
    "NotFound",
    "PictureError",
    "Prior",
    "Projection",
    "Projector",
    "RefusalReason",
    "Sums",
    "Superseded",
    "Switched",
    "class_means",
    "fit",
    "from_bytes",
    "read_arrays",
    "to_bytes",
    "to_floats",
    "to_integers",
    "unit_rows",
]
