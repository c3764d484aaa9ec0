"""What a catalogue in a folder of its own is like, and what else lies in that folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from doubles import FakeEmbedder
from inside import connection_of

from catalog import Catalog
from catalog.learning.kinds import KINDS
from catalog.store.files import cache_folder
from catalog.store.turns import LOCKS

NAME = "shop.catalog"
COPY, OTHER, PART = "copy.catalog", "other.catalog", "part.catalog"
"""Catalogues beside it: a backup, one that is merged into it, and a part of that."""

EXPORT = "shop.json"
"""What a catalogue is exported to."""


@dataclass(frozen=True, slots=True)
class State:
    """What must be whole in a catalogue.

    Attributes:
        items: content hash and label of each, by hash.
        labels: names of classes.
        kept: content hashes of kept photos.
        head: how it is trained, and a hash of its columns where it is stored.
        learning: the hash of what is learnt from.
        dropped: content hashes of items without a descriptor.
        events: kind of each, and whether it was undone, sorted.
        embedders: the one in use, and each that there is with its number of items.
        copy: the hash of what is learnt from the backup beside it, if there is one.
        exported: the hash of what was exported, if anything was.
        problems: what is wrong, in words, in the file or in what is derived from it.
    """

    items: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    head: tuple[str, str] = ("", "")
    learning: str = ""
    dropped: tuple[str, ...] = ()
    events: tuple[tuple[str, int], ...] = ()
    embedders: tuple[str | tuple[str, int], ...] = ()
    copy: str = ""
    exported: str = ""
    problems: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The state as a line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> State:
        """The state that a line tells of."""
        return cls(**{name: _tuples(value) for name, value in json.loads(line).items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


NOTHING = State()
"""The state of a catalogue that is not there."""


def opened(path: Path) -> Catalog:
    """The catalogue, as another process would open it."""
    return Catalog.open(path, embedder=(embedder(), other_embedder()))


def made(path: Path) -> Catalog:
    """A new catalogue."""
    return Catalog.init(path, embedder=embedder())


@lru_cache(maxsize=1)
def embedder() -> FakeEmbedder:
    """A small stand-in for the network."""
    return FakeEmbedder(width=16)


@lru_cache(maxsize=1)
def other_embedder() -> FakeEmbedder:
    """The one that a catalogue goes over to."""
    return FakeEmbedder(width=14, seed=1)


def state_of(path: Path) -> State:
    """What a catalogue is like when it is opened anew; :data:`NOTHING` if it is not there."""
    if not path.exists():
        return NOTHING
    copy = path.with_name(COPY)
    other = state_of(copy) if path.name == NAME else NOTHING
    with opened(path) as catalog:
        verified, info = catalog.verify(), catalog.info()
        rows = connection_of(catalog).execute
        columns = rows(
            "SELECT label, weights, bias FROM head_column WHERE head = (SELECT max(id) FROM head)"
        )
        return State(
            tuple(sorted((item.content, item.label) for item in catalog.items())),
            tuple(row.label for row in catalog.labels()),
            _contents(rows, "kept"),
            (info.head, hashlib.sha256(repr(sorted(columns)).encode()).hexdigest()),
            info.learning_state,
            _contents(rows, "compacted_item"),
            tuple(rows("SELECT kind, undone_by IS NOT NULL FROM event ORDER BY 1, 2")),
            (info.fingerprint, *rows(_EMBEDDERS)),
            other.learning,
            _hash(path.with_name(EXPORT)),
            (*verified.problems, *verified.derived, *other.problems),
        )


_EMBEDDERS = (
    "SELECT fingerprint, (SELECT count(*) FROM descriptor JOIN item ON item.id = item "
    "WHERE embedder = embedder.id AND label IS NOT NULL) FROM embedder ORDER BY 1"
)


def difference(one: State, other: State) -> str:
    """The parts in which two states differ, and the problems of the first."""
    parts = [name for name, value in asdict(one).items() if value != asdict(other)[name]]
    return ", ".join([*parts, *map(str, one.problems)])


def _contents(rows: Callable[[str], Any], table: str) -> tuple[str, ...]:
    """The content hashes of the items in a table."""
    question = f"SELECT hex(content) FROM {table} JOIN item ON item.id = {table}.item ORDER BY 1"
    return tuple(content for (content,) in rows(question))


def _hash(path: Path) -> str:
    """The SHA-256 of a file; an empty text if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def leftovers(path: Path) -> set[str]:
    """Files beside a catalogue that are no catalogue, no export, and of no cache folder."""
    catalogues = [path.with_name(name) for name in (NAME, COPY, OTHER, PART)]
    folders = [cache_folder(one) / second for one in catalogues for second in ("", "embedder-2")]
    caches = [folder / name for folder in folders for name in (*KINDS, *LOCKS, "writer.json")]
    found = {one for one in path.parent.rglob("*") if one.is_file()}
    own = {*catalogues, *caches, path.with_name(EXPORT)}
    return {str(one.relative_to(path.parent)) for one in found - own}
