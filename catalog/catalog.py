"""The catalogue: the one object that joins embedder, store, learning and answers."""

from __future__ import annotations

from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType

from catalog import binding
from catalog.asking import Asking
from catalog.embedder import DEFAULT_PRESET, Embedder, MobileNetEmbedder, models
from catalog.files import require_free
from catalog.store import Store, create
from catalog.upkeep import Upkeep


class Catalog(Asking, Upkeep):
    """An open catalogue; for one thread, and one of many processes.

    Open it with :meth:`open` or make it with :meth:`init`, and close it, best by ``with``; a
    process that is forked opens it anew. The network is loaded when the first picture is embedded.
    """

    @classmethod
    def init(
        cls,
        path: str | PathLike[str],
        *,
        backbone: str | None = None,
        views: str = DEFAULT_PRESET,
        embedder: Embedder | None = None,
    ) -> Catalog:
        """Make a new, empty catalogue.

        Args:
            path: of its file.
            backbone: a name or handle from the model cache, or the path of something to import;
                by default the ImageNet network if it is on this machine, else ``starter``, the
                small one that comes with the program.
            views: a view preset: ``fast``, ``standard`` or ``thorough``.
            embedder: to use instead of a network from the model cache; it stays the caller's to
                close.

        Raises:
            Conflict: there is something at that path.
            NotFound: there is no such network, or no such folder.
            BackboneError: the network cannot be used.
        """
        file = Path(path).absolute()
        require_free(file)  # before a network is loaded, which takes a while
        own = None
        if embedder is None:
            model = models.find(backbone) if backbone else models.default()
            embedder = own = MobileNetEmbedder(model, views)
        create(file, binding.record(embedder))
        made = cls(Store(file), embedder)
        made._own_embedder = own
        return made

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        embedder: Embedder | None = None,
        isolate: bool = False,
    ) -> Catalog:
        """Open a catalogue.

        Args:
            path: of its file.
            embedder: to use instead of the one from the model cache.
            isolate: decode pictures in processes of their own, for pictures from strangers and for
                many: one that would crash or stop the decoder is refused instead. The first picture
                waits some .3 s for such a process; answers are the same.

        Raises:
            NotFound: there is no such file.
            InvalidInput: it is not a catalogue.
            NewerFormat: a later version of this program wrote it.
            EmbedderMismatch: the embedder is not the catalogue's.
            Damaged: it cannot be read.
        """
        store = Store(Path(path).absolute())
        try:
            return cls(store, embedder, isolate=isolate)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Keep what was learnt for the next time, and close the file.

        In a process that was forked from the one that opened it, nothing happens.
        """
        if self._store.forked:
            return
        with ExitStack() as stack:
            stack.callback(self._store.close)
            if self._own_embedder is not None:
                stack.callback(self._own_embedder.close)
            self._learning.save()
