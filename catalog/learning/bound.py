"""An open catalogue as one of its embedders has it: descriptors, and what is learnt of them."""

from __future__ import annotations

import threading
from pathlib import Path

from catalog.descriptors import Conflict
from catalog.embedder import Embedder, EmbedderApart, Isolation
from catalog.learning.keeper import Keeper
from catalog.learning.rows import Rows
from catalog.store import Transaction, binding, embedders
from catalog.store.binding import Binding
from catalog.store.descriptors import StoredDescriptors
from catalog.store.embedders import EmbedderId
from catalog.store.store import Store

_FIRST = 1
"""The embedder that a catalogue was made with, by its row."""

_FOLDER = "embedder-"

OTHERS = f"{_FOLDER}*"
"""The folders of the derived files of others."""


class Bound:
    """What goes together, and with nothing of another embedder.

    Args:
        store: of the catalogue.
        cache: folder of the derived files.
        bound_to: the embedder, as the file has it.
        isolate: what is done in processes of its own.

    Attributes:
        binding: the embedder, as the file has it.
        stored: its descriptors.
        rows: the same, to be read outside transactions.
        keeper: of what is learnt of them.
    """

    def __init__(
        self, store: Store, cache: Path, bound_to: Binding, *, isolate: Isolation = False
    ) -> None:
        self.binding = bound_to
        self.stored = StoredDescriptors(bound_to.id, bound_to.specification.width)
        self.rows = Rows(store, self.stored)
        self._store = store
        self._cache = folder_of(cache, bound_to.id)
        self.keeper = self._new_keeper(ahead=False)
        self._isolate = isolate
        self._loading = threading.Lock()
        self._embedder: Embedder | None = None
        self._own: Embedder | None = None

    @property
    def fingerprint(self) -> str:
        """The embedder's fingerprint, 64 hexadecimal digits."""
        return self.binding.fingerprint

    @property
    def embedder(self) -> Embedder:
        """The embedder, loaded when it is first asked for.

        Raises:
            NotFound: its network is not on this machine.
            BackboneError: its network cannot be used.
        """
        with self._loading:
            if self._embedder is None:
                self._embedder = self._own = binding.embedder_of(
                    self.binding, self._cache, isolate=self._isolate
                )
            return self._embedder

    def require_network(self) -> None:
        """Make sure that pictures can be embedded here.

        Raises:
            NotFound: the network is not on this machine.
            BackboneError: it cannot be used.
        """
        _ = self.embedder

    def use(self, embedder: Embedder) -> None:
        """Use an embedder that the caller has, instead of loading it.

        Raises:
            EmbedderMismatch: it is another one.
        """
        binding.require_same(embedder, self.binding)
        with self._loading:
            self._embedder = embedder

    def is_there(self, tx: Transaction) -> bool:
        """Whether the catalogue has the embedder still."""
        return embedders.fingerprint(tx, self.binding.id) == self.fingerprint

    def require_there(self, tx: Transaction) -> None:
        """Make sure that the catalogue has the embedder still, before descriptors are stored.

        Raises:
            Conflict: it was dropped.
        """
        if not self.is_there(tx):
            raise Conflict("the embedder was dropped meanwhile, so nothing of it is stored")

    def ahead(self) -> Keeper:
        """What is learnt of the descriptors before they count, from the present state alone."""
        return self._new_keeper(ahead=True)

    def let_go(self) -> None:
        """Keep what was learnt in files alone, and end what the embedder has running."""
        self.keeper.let_go()
        with self._loading:
            own = self._own
        if isinstance(own, EmbedderApart):
            own.let_go()

    def close(self) -> None:
        """Keep what was learnt for the next time, and let go of the embedder."""
        try:
            self.keeper.save()
        finally:
            if self._own is not None:
                self._own.close()

    def _new_keeper(self, *, ahead: bool) -> Keeper:
        return Keeper(self._store, self._cache, self.rows, self.binding, ahead=ahead)


def folder_of(cache: Path, embedder: EmbedderId) -> Path:
    """Where the derived files of an embedder lie: those of a catalogue's first one in the middle.

    One that came later has a folder of its own, so that neither takes the other's.
    """
    return cache if embedder == _FIRST else cache / f"{_FOLDER}{embedder}"
