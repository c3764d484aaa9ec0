"""The catalogue: the one object that joins embedder, store, learning and answers."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType

from catalog.care.backup import backup, restore
from catalog.care.export import export
from catalog.care.places import forget_places
from catalog.care.verify import verify
from catalog.changes.add import add
from catalog.changes.add_class import add_class
from catalog.changes.compact import compact
from catalog.changes.feedback import feedback
from catalog.changes.forget import forget
from catalog.changes.merge import merge
from catalog.changes.merge_classes import merge_classes
from catalog.changes.move import move
from catalog.changes.preview_class import preview_class
from catalog.changes.remove import remove
from catalog.changes.remove_class import remove_class
from catalog.changes.rename_class import rename_class
from catalog.changes.train_head import train_head
from catalog.changes.undo import undo
from catalog.embedder import DEFAULT_PRESET, Embedder, Isolation, MobileNetEmbedder, models
from catalog.jobs.import_ import import_
from catalog.jobs.job import (
    cancel_job,
    enqueue_job,
    job,
    job_failures,
    jobs,
    resume_job,
    run_job,
)
from catalog.jobs.promote import back, drop_new, drop_old, promote
from catalog.jobs.reindex import reindex
from catalog.jobs.sync import sync
from catalog.jobs.watch import watch
from catalog.learning.opened import Opened
from catalog.questions import calls
from catalog.reports import listing
from catalog.reports.audit import audit
from catalog.reports.compare import compare
from catalog.reports.evaluate import evaluate
from catalog.reports.thumbnail import thumbnail
from catalog.store import binding, inventory
from catalog.store import thumbnails as copies
from catalog.store.files import require_free
from catalog.store.store import Store, create


class Catalog(Opened):
    """An open catalogue; for any number of threads, and one of many processes.

    Open it with :meth:`open` or make it with :meth:`init`, and close it, best by ``with``; a
    process that is forked opens it anew. The network is loaded when the first picture is embedded.
    Of the calls below, the argument ``catalog`` is the catalogue itself.
    """

    # Each call lies in a file of its name, or in the module that is named here.

    # Questions about a picture; the plural ones take many, and list refusals among the answers.
    embed = calls.embed  # its descriptor, which may be asked about, too
    embed_many = calls.embed_many
    prepare = calls.prepare  # so that the first question waits for nothing
    nearest = calls.nearest  # the items that look most like it
    nearest_many = calls.nearest_many
    predict = calls.predict  # which class it is, and how sure that is
    predict_many = calls.predict_many

    # What there is.
    labels = listing.labels  # the classes
    items = listing.items  # of one class, or of all
    item = listing.item  # one, by its id
    thumbnail = thumbnail  # a small copy of its picture
    info = listing.info  # what this catalogue is
    history = listing.history  # what was done to it
    marking = listing.marking  # so that it can be told by a mark
    marked = listing.marked
    training_curves = listing.training_curves  # of the last training of the head

    # What changes it. All but `compact`, `forget`, `forget_places` and `drop_old` can be undone.
    add_class = add_class  # a new class of some pictures
    preview_class = preview_class  # what that would take from the others
    add = add  # more pictures for a class
    import_ = import_  # pictures of many classes
    sync = sync  # what a folder or manifest has, kept in step with it
    watch = watch  # the same, whenever it changes
    feedback = feedback  # what a picture shows, said by someone who knows
    train_head = train_head  # the softmax head, in one of four ways
    move = move  # items to another class
    rename_class = rename_class
    merge_classes = merge_classes  # one class of several
    merge = merge  # another catalogue's items
    remove = remove  # items
    remove_class = remove_class
    compact = compact  # drops descriptors, and keeps their sums
    forget = forget  # deletes for good
    forget_places = forget_places  # where pictures are no longer
    undo = undo  # takes the last command back

    # Another network, preset or descriptor, while the one in use goes on answering.
    reindex = reindex  # brings it in; alone, what is derived anew
    compare = compare  # the two, before the switch
    promote = promote  # the switch, in one transaction
    back = back
    drop_old = drop_old  # the former, for good
    drop_new = drop_new  # what was brought in

    # Work on many pictures, while it goes on, and after it.
    jobs = jobs
    job = job
    enqueue_job = enqueue_job  # for another process to do
    run_job = run_job  # one that waits
    job_failures = job_failures  # the pictures that one could not take
    cancel_job = cancel_job
    resume_job = resume_job  # one that did not come to its end

    # How good it is, and how well.
    evaluate = evaluate  # against pictures whose class is known
    audit = audit  # what is wrong in it, and what it lacks
    verify = verify  # the file, its journal, and what is derived from it
    backup = backup  # a copy, whoever is using it
    restore = staticmethod(restore)  # what a backup holds
    export = export  # for other tools

    @classmethod
    def init(
        cls,
        path: str | PathLike[str],
        *,
        backbone: str | None = None,
        views: str = DEFAULT_PRESET,
        descriptor: str | None = None,
        thumbnails: bool = False,
        embedder: Embedder | None = None,
    ) -> Catalog:
        """Make a new, empty catalogue.

        Args:
            path: of its file.
            backbone: a name or handle from the model cache, or the path of something to import;
                by default the ImageNet network if it is on this machine, else ``starter``, the
                small one that comes with the program.
            views: a view preset: ``fast``, ``standard`` or ``thorough``.
            descriptor: ``512``, ``1280`` or ``2048`` numbers of several layers of the network, or
                ``pooled`` for the last layer alone; by default 1280 where a projection is known for
                the network, as for ImageNet's and the starter, else ``pooled``.
            thumbnails: keep a small copy of each picture in the file, so that it can be shown when
                the picture itself is gone, or never lay in a file.
            embedder: to use instead of a network from the model cache; it stays the caller's to
                close.

        Raises:
            Conflict: there is something at that path.
            NotFound: there is no such network, or no such folder.
            BackboneError: the network cannot be used, or not with that descriptor.
            InvalidInput: there is no such preset or descriptor.
        """
        file = Path(path).absolute()
        require_free(file)  # before a network is loaded, which takes a while
        own = None
        if embedder is None:
            model = models.find(backbone) if backbone else models.default()
            embedder = own = MobileNetEmbedder(model, views, descriptor)
        create(file, binding.record(embedder), copies.KEPT if thumbnails else None)
        made = cls(Store(file), embedder)
        made._own_embedder = own
        return made

    @staticmethod
    def require_new(path: str | PathLike[str]) -> None:
        """Make sure that a catalogue could be made at a path, before there is an embedder for it.

        Raises:
            Conflict: there is something at that path, or the journal of a catalogue that is gone.
            NotFound: there is no such folder.
            CatalogError: that cannot be looked into.
        """
        require_free(Path(path).absolute())

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        embedder: Embedder | Sequence[Embedder] | None = None,
        isolate: Isolation = False,
    ) -> Catalog:
        """Open a catalogue.

        Args:
            path: of its file.
            embedder: to use instead of the one from the model cache; or several, where the
                catalogue goes from one to another.
            isolate: decode pictures in processes of their own, for pictures from strangers and for
                many: one that would crash or stop the decoder is refused instead. The first picture
                waits some .3 s for such a process; answers are the same. ``"embedding"``: embed
                single pictures there, too, for a program that many ask at once.

        Raises:
            NotFound: there is no such file.
            InvalidInput: it is not a catalogue.
            NewerFormat: a later version of this program wrote it.
            EmbedderMismatch: the embedder that the catalogue uses is not given.
            Damaged: it cannot be read.
        """
        store = Store(Path(path).absolute())
        try:
            return cls(store, embedder, isolate=isolate)
        except BaseException:
            store.close()
            raise

    def __repr__(self) -> str:
        return f"Catalog({str(self.path)!r})"

    def __len__(self) -> int:
        """How many items there are."""
        with self._store.reading() as tx:
            return inventory.count(tx)

    def __bool__(self) -> bool:
        """An empty catalogue is still one."""
        return True

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
        """Keep what was learnt and counted for the next time, and close the file.

        In a process that was forked from the one that opened it, nothing happens.
        """
        if self._store.forked:
            return
        self._close()
