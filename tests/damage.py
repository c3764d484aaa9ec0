"""Golden catalogues, ways to damage a file, and what comes of using one that is damaged."""

from __future__ import annotations

import gzip
import random
import shutil
from pathlib import Path
from typing import Any

from golden import make

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.store.files import cache_folder

SUBJECTS = ("format-5-exact", "format-4-frozen", "format-4-document")
"""The golden catalogues of the present format."""

Outcome = str
"""``refused``, ``noticed``, ``silent`` or ``harmless``, as :func:`outcome_of` says."""


def unpacked(name: str, path: Path) -> bytes:
    """Put a golden catalogue at a path, without anything beside it; its bytes."""
    content = gzip.decompress((make.HERE / f"{name}.catalog.gz").read_bytes())
    write(path, content)
    return content


def write(path: Path, content: bytes) -> None:
    """Put these bytes in a catalogue's place, without anything beside it."""
    shutil.rmtree(cache_folder(path), ignore_errors=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)
    path.write_bytes(content)


def opened(path: Path) -> Catalog:
    """Open a golden catalogue."""
    return Catalog.open(path, embedder=make.embedder())


def rounded(value: Any) -> Any:
    """A JSON value with its floats to five digits."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, list):
        return [rounded(part) for part in value]
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return value


def asked(catalog: Catalog) -> dict[str, Any]:
    """All that a catalogue says, its journal and its training among it, and what undo comes to."""
    said = {"curves": repr(catalog.training_curves()), "audit": repr(catalog.audit())}
    with catalog._store.reading() as tx:
        rows = tx.execute("SELECT id, command, at, kind, detail, undone_by FROM event ORDER BY id")
        said["journal"] = repr(rows.fetchall())
    said |= make.answers(catalog) | {"undo": make.undone(catalog)}
    rounded_said: dict[str, Any] = rounded(said)
    return rounded_said


def flipped(content: bytes, at: int, bit: int) -> bytes:
    """The bytes with one bit of one of them turned over."""
    spoilt = bytearray(content)
    spoilt[at] ^= 1 << bit
    return bytes(spoilt)


def spoilt(content: bytes, rng: random.Random) -> bytes:
    """The bytes with a bit flipped, or some of the end cut off."""
    if rng.random() < 0.8:
        return flipped(content, rng.randrange(len(content)), rng.randrange(8))
    return content[: rng.randrange(len(content))]


def asked_of(path: Path) -> dict[str, Any]:
    """All that a catalogue says, opened for it."""
    with opened(path) as catalog:
        return asked(catalog)


def outcome_of(path: Path, expected: dict[str, Any]) -> Outcome:
    """What comes of using a file.

    ``refused``: a typed error, with or without verify; ``noticed``: verify says what is wrong;
    ``silent``: verify finds nothing, and yet it says something else; ``harmless``: else.
    """
    try:
        with opened(path) as catalog:
            found = catalog.verify()
            said = asked(catalog)
    except CatalogError:
        return "refused"
    if not found.sound:
        return "noticed"
    return "harmless" if said == expected else "silent"
