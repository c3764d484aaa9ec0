"""What every call of an open catalogue rests on: its file, its embedder, and what it has learnt."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from catalog.descriptors import Switched
from catalog.embedder import Embedder, Isolation, Thumbnails
from catalog.learning.asked import AskedCounts
from catalog.learning.bound import OTHERS, Bound, folder_of
from catalog.learning.keeper import Keeper
from catalog.learning.rows import Rows
from catalog.store import Transaction, binding, embedders, heads, journal
from catalog.store.descriptors import StoredDescriptors
from catalog.store.embedders import EmbedderId
from catalog.store.files import cache_folder
from catalog.store.heads import HeadTraining
from catalog.store.store import Store

_Answer = TypeVar("_Answer")

_TRIES = 5


class Opened:
    """An open catalogue file and its embedder; :class:`Catalog` is what is used.

    The embedder may become another one at any time, by another process, too. Who needs more than
    one thing that goes with it takes them of one :attr:`_bound`, or asks by :meth:`_asking`.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder | Sequence[Embedder] | None = None,
        *,
        isolate: Isolation = False,
    ) -> None:
        self._store = store
        self.path = store.path
        self._cache = cache_folder(store.path)
        self._isolate = isolate
        self._own_embedder: Embedder | None = None
        self._bounds: dict[tuple[EmbedderId, str], Bound] = {}
        self._adding_bound = threading.Lock()
        self._asked_last: Bound | None = None
        given = embedder if isinstance(embedder, Sequence) else [embedder] if embedder else []
        self._given = {one.specification.fingerprint: one for one in given}
        self._asked = AskedCounts(store)
        self._thumbnails = Thumbnails(isolate=bool(isolate))
        bound = self._bound
        if given and bound.fingerprint not in self._given:
            binding.require_same(given[0], bound.binding)

    @property
    def _bound(self) -> Bound:
        """The catalogue as its active embedder has it; within a transaction, as that sees it."""
        with self._store.reading() as tx:
            return self._bound_to(tx, embedders.active(tx))

    def _every_bound(self) -> list[Bound]:
        """The same of every embedder that there is, the active one first."""
        with self._store.reading() as tx:
            each = (embedders.active(tx), *embedders.others(tx))
            return [self._bound_to(tx, one) for one in each]

    def _bound_to(self, tx: Transaction, embedder: EmbedderId) -> Bound:
        """The same of one embedder; always the same object, while the file has it."""
        key = embedder, embedders.fingerprint(tx, embedder) or ""
        with self._adding_bound:
            if key not in self._bounds:
                bound_to = binding.read(tx, embedder)
                bound = Bound(self._store, self._cache, bound_to, isolate=self._isolate)
                if bound.fingerprint in self._given:
                    bound.use(self._given[bound.fingerprint])
                self._bounds[key] = bound
            return self._bounds[key]

    def _asking(self, ask: Callable[[Bound], _Answer]) -> _Answer:
        """Ask with the embedder that is active, and again if another has become so meanwhile.

        Raises:
            Switched: that happened again and again.
        """
        bound = self._bound
        former, self._asked_last = self._asked_last, bound
        if former is not None and former is not bound:
            former.let_go()
        for _ in range(_TRIES):
            try:
                return ask(bound)
            except Switched:
                bound.let_go()
                bound = self._bound
        return ask(bound)

    def _discard(self) -> None:
        """Delete all derived files, and let go of all that was learnt."""
        for bound in self._every_bound():
            bound.keeper.discard()
        self._sweep()

    def _delete_files(self) -> None:
        """Delete all derived files, without waiting for whoever is learning."""
        for bound in self._every_bound():
            bound.keeper.delete_files()
        self._sweep()

    def _sweep(self) -> None:
        """Delete what was learnt of embedders that the catalogue has no more."""
        with self._store.reading() as tx:
            there = {folder_of(self._cache, embedder) for embedder in embedders.every(tx)}
        for folder in self._cache.glob(OTHERS):
            if folder not in there:
                shutil.rmtree(folder, ignore_errors=True)

    def _close(self) -> None:
        """Keep what was learnt and counted, and let go of the file and of all networks."""
        with ExitStack() as stack:
            stack.callback(self._store.close)
            stack.callback(self._asked.close)
            stack.callback(self._thumbnails.close)
            if self._own_embedder is not None:
                stack.callback(self._own_embedder.close)
            for bound in self._bounds.values():
                stack.callback(bound.close)

    @property
    def state(self) -> str:
        """A name of the present state, its generation first: it changes with each change."""
        with self._store.reading() as tx:
            version = journal.version(tx)
        return f"{version.generation}-{version.token[:16]}"

    @property
    def head(self) -> HeadTraining:
        """How the head is trained: ``exact``, ``frozen``, ``document`` or ``none``."""
        with self._store.reading() as tx:
            return heads.current(tx).training

    @property
    def width(self) -> int:
        """How many numbers a descriptor has."""
        return self._bound.stored.width

    @property
    def results_folder(self) -> Path:
        """Where a service keeps what came of its jobs, a file each; forgetting deletes it."""
        return self._cache / "jobs"

    @property
    def _stored(self) -> StoredDescriptors:
        return self._bound.stored

    @property
    def _rows(self) -> Rows:
        return self._bound.rows

    @property
    def _keeper(self) -> Keeper:
        return self._bound.keeper

    @property
    def embedder(self) -> Embedder:
        """The embedder of this catalogue, loaded when it is first asked for.

        Raises:
            NotFound: its network is not on this machine.
            BackboneError: its network cannot be used.
            InvalidInput: this process was forked from the one that opened the catalogue.
        """
        return self._bound.embedder
