"""Which pictures go into which class: folder trees, manifests, lists of files and folders."""

from catalog.manifest.entries import BadRow, Entry, Labelled, Listing, PassedOver
from catalog.manifest.folders import Found, find_pictures, look_up
from catalog.manifest.reading import ClassLevel, level_for, listed, read_manifest
from catalog.manifest.splits import take_part

__all__ = [
    "BadRow",
    "ClassLevel",
    "Entry",
    "Found",
    "Labelled",
    "Listing",
    "PassedOver",
    "find_pictures",
    "level_for",
    "listed",
    "look_up",
    "read_manifest",
    "take_part",
]
