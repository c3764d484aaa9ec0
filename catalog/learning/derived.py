"""What a kind of derived thing is, and where things of all kinds are kept.

A thing is had from memory, from its file in the cache folder, by catching up with what has changed
since, or by building it, whichever comes first. A file says which state of which history it was
derived from, and by which embedder, prior and rule; one that says anything else is as good as
absent.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from numpy.typing import NDArray

from catalog.descriptors import CatalogError
from catalog.index import array_file
from catalog.store import Transaction, journal
from catalog.store.failpoints import reach
from catalog.store.journal import Version
from catalog.store.moment import Moment
from catalog.store.store import Store

Thing = TypeVar("Thing")
Source = TypeVar("Source")

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_log = logging.getLogger(__name__)

_LAYOUT = 5  # of the files; those of another are as good as absent


class Kept(NamedTuple, Generic[Thing]):
    """A thing, and the state of the catalogue that it follows from."""

    version: Version
    thing: Thing


@dataclass(frozen=True)
class Derived(Generic[Source, Thing]):
    """A kind of thing that follows from a moment; a thing is never changed once it is made.

    Attributes:
        kind: its name, and that of its file.
        build: makes it for a moment.
        to_arrays: lays it out for its file.
        from_arrays: makes it of what is in the file.
        catch_up: makes it of an earlier one; None if it has to be built. One that will do as it is
            is given back as of its earlier state.
        worth_saving: whether to write it, where the file is of an earlier state.
    """

    kind: str
    build: Callable[[Source, Moment], Thing]
    to_arrays: Callable[[Thing], Arrays]
    from_arrays: Callable[[Arrays], Thing]
    catch_up: Callable[[Source, Moment, Kept[Thing]], Kept[Thing] | None] = lambda *_: None
    worth_saving: Callable[[Transaction, Version], bool] = lambda *_: True


class DerivedThings(Generic[Source]):
    """The things of one catalogue, one of each kind: in memory, and in files.

    Args:
        folder: of the files.
        basis: what they rest on beside the descriptors: embedder, prior, rules.
        kinds: the kinds there are.
    """

    def __init__(self, folder: Path, basis: str, kinds: Sequence[Derived[Source, Any]]) -> None:
        self._folder = folder
        self._basis = f"layout {_LAYOUT}; {basis}"
        self._kinds = kinds
        self._in_memory = False
        self._kept: dict[str, Kept[Any]] = {}
        self._in_file: dict[str, Version] = {}
        """The state that each file was last read or written with, by kind."""

    def of(self, derived: Derived[Source, Thing], source: Source, moment: Moment) -> Thing:
        """The thing of a kind for a moment.

        Args:
            derived: its kind.
            source: what things are made from.
            moment: to make it for.
        """
        kept = self._at_hand(derived)
        if kept is not None and kept.version != moment.version:
            kept = derived.catch_up(source, moment, kept)
        if kept is None:
            kept = Kept(moment.version, derived.build(source, moment))
            _log.debug("made %s of generation %d", derived.kind, moment.version.generation)
        self._kept[derived.kind] = kept
        return kept.thing

    def known(self, derived: Derived[Source, Thing], version: Version) -> Thing | None:
        """The thing of a kind for a state, if it is at hand."""
        kept = self._at_hand(derived)
        return kept.thing if kept is not None and kept.version == version else None

    def put(self, derived: Derived[Source, Thing], moment: Moment, thing: Thing) -> None:
        """Take a thing for that of a moment."""
        self._kept[derived.kind] = Kept(moment.version, thing)

    def stay_in_memory(self) -> None:
        """Neither read files nor write them from now on."""
        self._in_memory = True

    def delete(self) -> None:
        """Remove the files, and what was left of writing them."""
        files = [*(self._folder / kind.kind for kind in self._kinds), *self._folder.glob("*.tmp")]
        for file in files:
            self._remove(file)

    def let_go(self) -> None:
        """Have nothing in memory any more."""
        self._kept.clear()

    def save(self, store: Store) -> None:
        """Write each thing to its file, where that is of another state.

        Neither a folder that cannot be written nor a locked catalogue is a reason to fail: it costs
        time at the next start.
        """
        if self._in_memory:
            return
        with contextlib.suppress(OSError, CatalogError):
            with store.reading() as tx:
                news = [kind for kind in self._kinds if self._is_news(tx, kind)]
            for kind in news:
                self._write(kind, self._kept[kind.kind])
        with contextlib.suppress(CatalogError), store.reading() as tx:
            # Another process may have dropped for good what has just been written, or read before.
            for name, version in list(self._in_file.items()):
                if not journal.leads_here(tx, version):
                    self._remove(self._folder / name)

    def _is_news(self, tx: Transaction, derived: Derived[Source, Any]) -> bool:
        kept, saved = self._kept.get(derived.kind), self._in_file.get(derived.kind)
        if kept is None or kept.version == saved or not journal.leads_here(tx, kept.version):
            return False
        if saved is None or not journal.is_ancestor(tx, saved):
            return True
        return derived.worth_saving(tx, saved)

    def _at_hand(self, derived: Derived[Source, Thing]) -> Kept[Thing] | None:
        return self._kept.get(derived.kind) or self._read(derived)

    def _read(self, derived: Derived[Source, Thing]) -> Kept[Thing] | None:
        if self._in_memory:
            return None
        found = array_file.read(self._folder / derived.kind, derived.kind)
        if found is None or found.key.get("basis") != self._basis:
            return None
        version = Version(int(found.key["generation"]), str(found.key["token"]))
        _log.debug("found %s of generation %d", derived.kind, version.generation)
        self._in_file[derived.kind] = version
        return Kept(version, derived.from_arrays(found.arrays))

    def _write(self, derived: Derived[Source, Thing], kept: Kept[Thing]) -> None:
        key = {"basis": self._basis, **kept.version._asdict()}
        reach("saving")
        file = self._folder / derived.kind
        array_file.write(file, derived.kind, key, derived.to_arrays(kept.thing))
        _log.debug("saved %s of generation %d", derived.kind, kept.version.generation)
        self._in_file[derived.kind] = kept.version

    def _remove(self, file: Path) -> None:
        with contextlib.suppress(OSError):
            file.unlink()
        self._in_file.pop(file.name, None)
