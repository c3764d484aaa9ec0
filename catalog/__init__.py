"""A catalogue of things, asked by picture: ``from catalog import Catalog``."""

from catalog.answers import Candidate, Neighbour, Prediction
from catalog.audit import Audit
from catalog.backup import Backup
from catalog.catalog import Catalog
from catalog.compaction import Compacted
from catalog.cross_check import Verdict
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
from descriptors import CatalogError, NotFound, PictureError
from embedder import Box, Picture

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
