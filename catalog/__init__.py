"""A catalogue of things, asked by picture: ``from catalog import Catalog``."""

from catalog.answers import Candidate, Neighbour, Prediction
from catalog.catalog import Catalog
from catalog.evaluation import Evaluation
from catalog.journal import Event
from catalog.landing import Added
from catalog.manifest import Entry, Listing, find_pictures, read_manifest
from catalog.results import Imported, Info, Item, LabelCount, Removed
from catalog.staging import Progress, Refusal
from catalog.verification import Verification
from descriptors import CatalogError, NotFound, PictureError
from embedder import Box, Picture

__all__ = [
    "Added",
    "Box",
    "Candidate",
    "Catalog",
    "CatalogError",
    "Entry",
    "Evaluation",
    "Event",
    "Imported",
    "Info",
    "Item",
    "LabelCount",
    "Listing",
    "Neighbour",
    "NotFound",
    "Picture",
    "PictureError",
    "Prediction",
    "Progress",
    "Refusal",
    "Removed",
    "Verification",
    "find_pictures",
    "read_manifest",
]
