"""All that is looked at, one thing after another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from catalog.machine import computer, folders, libraries
from catalog.machine.check import Check

IMPORTS: Final = tuple(f"import {name}" for name in libraries.IMPORTED)
"""Names of the checks that must not be bad for the other packages to be imported."""

_NETWORK_BYTES: Final = 200_000_000  # an archive, what is unpacked of it, and the export


def examine(path: Path | None = None) -> tuple[Check, ...]:
    """Look at Python, libraries, the computer, and the folders that are written to.

    Args:
        path: of a catalogue, which need not be there; None for none.
    """
    found = [
        libraries.python(),
        *libraries.packages(),
        libraries.opencv_wheels(),
        libraries.pkg_resources(),
        *libraries.imports(),
        *libraries.sqlite(),
        computer.processors(),
        computer.memory(),
    ]
    if path is not None:
        # To write the file anew, or to copy it, takes as much room as it has.
        size = folders.size_of(path)
        found += folders.folder("catalogue folder", path.absolute().parent, size)
    found += folders.folder("model cache", model_cache(), _NETWORK_BYTES)
    return tuple(found)


def model_cache() -> Path:
    """The folder of networks: ``CATALOG_CACHE``, or the user's cache folder for ``catalog``."""
    if named := os.environ.get("CATALOG_CACHE"):
        return Path(named)
    try:
        from platformdirs import user_cache_path
    except ImportError:
        return Path("~/.cache/catalog").expanduser()
    return user_cache_path("catalog")
