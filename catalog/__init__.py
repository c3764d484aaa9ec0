"""A catalogue of things, asked by picture: ``from catalog import Catalog``.

Names are imported when they are first used, so that what needs only a part of this package, such as
`catalog doctor`, shell completion and the processes that decode pictures, waits for nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.answers import Candidate, Neighbour, Prediction
    from catalog.audit import Audit
    from catalog.backup import Backup
    from catalog.catalog import Catalog
    from catalog.compaction import Compacted
    from catalog.cross_check import Verdict
    from catalog.descriptors import CatalogError, NotFound, PictureError
    from catalog.embedder import Box, Picture
    from catalog.evaluation import CrossCheck, Evaluation, VerdictCount
    from catalog.export import Exported
    from catalog.forgetting import Forgotten
    from catalog.heads import HeadTraining
    from catalog.journal import Event
    from catalog.landing import Added
    from catalog.manifest import Entry, Listing, find_pictures, read_manifest, take_part
    from catalog.relabelling import Moved, Renamed
    from catalog.results import (
        AuditReport,
        Feedback,
        Imported,
        Info,
        Item,
        LabelCount,
        Preview,
        ProposedClass,
        Removed,
        Taken,
    )
    from catalog.staging import Progress, Refusal
    from catalog.training import Trained, TrainingProgress
    from catalog.verification import Verification

__all__ = [
    "Added",
    "Audit",
    "AuditReport",
    "Backup",
    "Box",
    "Candidate",
    "Catalog",
    "CatalogError",
    "Compacted",
    "CrossCheck",
    "Entry",
    "Evaluation",
    "Event",
    "Exported",
    "Feedback",
    "Forgotten",
    "HeadTraining",
    "Imported",
    "Info",
    "Item",
    "LabelCount",
    "Listing",
    "Moved",
    "Neighbour",
    "NotFound",
    "Picture",
    "PictureError",
    "Prediction",
    "Preview",
    "Progress",
    "ProposedClass",
    "Refusal",
    "Removed",
    "Renamed",
    "Taken",
    "Trained",
    "TrainingProgress",
    "Verdict",
    "VerdictCount",
    "Verification",
    "find_pictures",
    "read_manifest",
    "take_part",
]

_HOMES = {
    "catalog.answers": ("Candidate", "Neighbour", "Prediction"),
    "catalog.audit": ("Audit",),
    "catalog.backup": ("Backup",),
    "catalog.catalog": ("Catalog",),
    "catalog.compaction": ("Compacted",),
    "catalog.cross_check": ("Verdict",),
    "catalog.evaluation": ("CrossCheck", "Evaluation", "VerdictCount"),
    "catalog.export": ("Exported",),
    "catalog.forgetting": ("Forgotten",),
    "catalog.heads": ("HeadTraining",),
    "catalog.journal": ("Event",),
    "catalog.landing": ("Added",),
    "catalog.manifest": ("Entry", "Listing", "find_pictures", "read_manifest", "take_part"),
    "catalog.relabelling": ("Moved", "Renamed"),
    "catalog.results": (
        "AuditReport",
        "Feedback",
        "Imported",
        "Info",
        "Item",
        "LabelCount",
        "Preview",
        "ProposedClass",
        "Removed",
        "Taken",
    ),
    "catalog.staging": ("Progress", "Refusal"),
    "catalog.training": ("Trained", "TrainingProgress"),
    "catalog.verification": ("Verification",),
    "catalog.descriptors": ("CatalogError", "NotFound", "PictureError"),
    "catalog.embedder": ("Box", "Picture"),
}
"""The module that each name is from."""


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            found: object = getattr(import_module(home), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
