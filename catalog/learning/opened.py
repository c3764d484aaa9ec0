"""What every call of an open catalogue rests on: its file, its embedder, and what it has learnt."""

from __future__ import annotations

import threading

from catalog.embedder import Embedder
from catalog.learning.keeper import Keeper
from catalog.learning.rows import Rows
from catalog.store import binding
from catalog.store.descriptors import StoredDescriptors
from catalog.store.files import cache_folder
from catalog.store.store import Store


class Opened:
    """An open catalogue file and its embedder; :class:`Catalog` is what is used."""

    def __init__(
        self, store: Store, embedder: Embedder | None = None, *, isolate: bool = False
    ) -> None:
        self._store = store
        self.path = store.path
        self._cache = cache_folder(store.path)
        with store.reading() as tx:
            self._binding = binding.read(tx)
        if embedder is not None:
            binding.require_same(embedder, self._binding)
        self._embedder = embedder
        self._isolate = isolate
        self._own_embedder: Embedder | None = None
        self._loading = threading.Lock()
        self._stored = StoredDescriptors(self._binding.id, self._binding.specification.width)
        self._rows = Rows(store, self._stored)
        self._keeper = Keeper(store, self._cache, self._rows, self._binding)

    @property
    def embedder(self) -> Embedder:
        """The embedder of this catalogue, loaded when it is first asked for.

        Raises:
            NotFound: its network is not on this machine.
            BackboneError: its network cannot be used.
            InvalidInput: this process was forked from the one that opened the catalogue.
        """
        self._store.require_own_process()
        with self._loading:
            if self._embedder is None:
                self._embedder = self._own_embedder = binding.embedder_of(
                    self._binding, self._cache, isolate=self._isolate
                )
            return self._embedder
