"""A catalogue of things, asked by picture: ``from catalog import Catalog``.

Names are imported when they are first used, so that what needs only a part of this package, such as
`catalog doctor`, shell completion and the processes that decode pictures, waits for nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.answers import Candidate, Neighbour, Prediction
    from catalog.care.backup import Backup
    from catalog.care.export import Exported
    from catalog.care.places import ForgottenPlaces
    from catalog.care.verify import Verification
    from catalog.catalog import Catalog
    from catalog.changes.compact import Compacted
    from catalog.changes.feedback import Feedback
    from catalog.changes.forget import Forgotten
    from catalog.changes.landing import Added, Imported
    from catalog.changes.move import Moved
    from catalog.changes.preview_class import Preview, Share
    from catalog.changes.remove import Removed
    from catalog.changes.rename_class import Renamed
    from catalog.descriptors import (
        Advice,
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
        Superseded,
        Switched,
    )
    from catalog.embedder import Box, Picture
    from catalog.head import Curves
    from catalog.jobs.comparing import ByHand, Coming, Gone
    from catalog.jobs.job import Job
    from catalog.jobs.promote import DroppedEmbedder, Promoted
    from catalog.jobs.refill import Unreadable
    from catalog.jobs.reindex import Reindexed
    from catalog.jobs.running import JobProgress
    from catalog.jobs.sync import Synced
    from catalog.judging.cross_check import Verdict
    from catalog.learning.training import Trained, TrainingProgress
    from catalog.manifest import (
        BadRow,
        Entry,
        Listing,
        PassedOver,
        find_pictures,
        read_manifest,
        take_part,
    )
    from catalog.manifest.pictures import Progress, Refusal
    from catalog.reports.audit import Audit, AuditReport, ProposedClass
    from catalog.reports.compare import Compared, ComparedAnswer, ComparedEmbedder, Flip
    from catalog.reports.drift import Drift, Rise
    from catalog.reports.evaluation import CrossCheckResult, Evaluation, VerdictCount
    from catalog.reports.listing import Info, OtherEmbedder
    from catalog.store.heads import HeadTraining
    from catalog.store.inventory import Item, LabelCount
    from catalog.store.journal import Event

__all__ = [
    "Added",
    "Advice",
    "Audit",
    "AuditReport",
    "BackboneError",
    "Backup",
    "BadRow",
    "Box",
    "ByHand",
    "Cancelled",
    "Candidate",
    "Catalog",
    "CatalogError",
    "Coming",
    "Compacted",
    "Compared",
    "ComparedAnswer",
    "ComparedEmbedder",
    "Conflict",
    "CrossCheckResult",
    "Curves",
    "Damaged",
    "Drift",
    "DroppedEmbedder",
    "EmbedderMismatch",
    "Entry",
    "Evaluation",
    "Event",
    "Exported",
    "Feedback",
    "Flip",
    "Forgotten",
    "ForgottenPlaces",
    "Gone",
    "HeadTraining",
    "Imported",
    "Info",
    "InvalidInput",
    "InvalidLabel",
    "Item",
    "Job",
    "JobProgress",
    "LabelConflict",
    "LabelCount",
    "Listing",
    "Locked",
    "Moved",
    "Neighbour",
    "NewerFormat",
    "NoSpace",
    "NotFound",
    "OtherEmbedder",
    "PassedOver",
    "Picture",
    "PictureError",
    "Prediction",
    "Preview",
    "Progress",
    "Promoted",
    "ProposedClass",
    "Refusal",
    "Reindexed",
    "Removed",
    "Renamed",
    "Rise",
    "Share",
    "Superseded",
    "Switched",
    "Synced",
    "Trained",
    "TrainingProgress",
    "Unreadable",
    "Verdict",
    "VerdictCount",
    "Verification",
    "find_pictures",
    "read_manifest",
    "take_part",
]

_HOMES = {
    "catalog.answers": (
        "Candidate",
        "Neighbour",
        "Prediction",
    ),
    "catalog.care.backup": ("Backup",),
    "catalog.care.export": ("Exported",),
    "catalog.care.places": ("ForgottenPlaces",),
    "catalog.care.verify": ("Verification",),
    "catalog.catalog": ("Catalog",),
    "catalog.changes.compact": ("Compacted",),
    "catalog.changes.feedback": ("Feedback",),
    "catalog.changes.forget": ("Forgotten",),
    "catalog.changes.landing": (
        "Added",
        "Imported",
    ),
    "catalog.changes.move": ("Moved",),
    "catalog.changes.preview_class": (
        "Preview",
        "Share",
    ),
    "catalog.changes.remove": ("Removed",),
    "catalog.changes.rename_class": ("Renamed",),
    "catalog.descriptors": (
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
        "NewerFormat",
        "NoSpace",
        "NotFound",
        "PictureError",
        "Superseded",
        "Switched",
    ),
    "catalog.head": ("Curves",),
    "catalog.embedder": (
        "Box",
        "Picture",
    ),
    "catalog.judging.cross_check": ("Verdict",),
    "catalog.jobs.comparing": (
        "ByHand",
        "Coming",
        "Gone",
    ),
    "catalog.jobs.job": ("Job",),
    "catalog.jobs.promote": ("DroppedEmbedder", "Promoted"),
    "catalog.jobs.refill": ("Unreadable",),
    "catalog.jobs.reindex": ("Reindexed",),
    "catalog.jobs.running": ("JobProgress",),
    "catalog.jobs.sync": ("Synced",),
    "catalog.learning.training": (
        "Trained",
        "TrainingProgress",
    ),
    "catalog.manifest": (
        "BadRow",
        "Entry",
        "Listing",
        "PassedOver",
        "find_pictures",
        "read_manifest",
        "take_part",
    ),
    "catalog.manifest.pictures": (
        "Progress",
        "Refusal",
    ),
    "catalog.reports.audit": (
        "Audit",
        "AuditReport",
        "ProposedClass",
    ),
    "catalog.reports.compare": ("Compared", "Flip", "ComparedAnswer", "ComparedEmbedder"),
    "catalog.reports.drift": (
        "Drift",
        "Rise",
    ),
    "catalog.reports.evaluation": (
        "CrossCheckResult",
        "Evaluation",
        "VerdictCount",
    ),
    "catalog.reports.listing": ("Info", "OtherEmbedder"),
    "catalog.store.heads": ("HeadTraining",),
    "catalog.store.inventory": (
        "Item",
        "LabelCount",
    ),
    "catalog.store.journal": ("Event",),
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
