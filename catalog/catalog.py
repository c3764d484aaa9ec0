"""The catalogue: the one object that joins embedder, store, learning and answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog import answers, binding, inventory, journal, landing, verification
from catalog.answers import Neighbour, Prediction
from catalog.evaluation import Evaluation, Gallery, evaluate
from catalog.gathering import gather
from catalog.importing import import_listing
from catalog.journal import Change, Event
from catalog.labels import label_key
from catalog.landing import Added
from catalog.learning import Learning
from catalog.manifest import Labelled, listed
from catalog.results import Imported, Info, Item, LabelCount, Removed
from catalog.staging import Progress, Staging, counted
from catalog.store import Store, cache_folder, create, require_free
from catalog.verification import Verification
from descriptors import (
    CatalogError,
    InvalidInput,
    NotFound,
    PictureError,
)
from embedder import (
    DEFAULT_PRESET,
    Embedder,
    MobileNetEmbedder,
    Picture,
    Source,
    models,
    preset_name,
)

_Answer = TypeVar("_Answer")
_Embedded: TypeAlias = NDArray[np.float32] | PictureError


class Catalog:
    """An open catalogue; for one thread, and one of many processes.

    Open it with :meth:`open` or make it with :meth:`init`, and close it, best by ``with``. The
    network is loaded when the first picture is embedded.
    """

    def __init__(self, store: Store, embedder: Embedder | None = None) -> None:
        self._store = store
        self.path = store.path
        self._cache = cache_folder(store.path)
        with store.reading() as tx:
            self._binding = binding.read(tx)
        if embedder is not None:
            binding.require_same(embedder, self._binding)
        self._embedder = embedder
        self._own_embedder: Embedder | None = None
        self._learning = Learning(
            store, self._cache, self._binding.id, self._binding.fingerprint, self._binding.prior
        )

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
    def open(cls, path: str | PathLike[str], *, embedder: Embedder | None = None) -> Catalog:
        """Open a catalogue.

        Args:
            path: of its file.
            embedder: to use instead of the one from the model cache.

        Raises:
            NotFound: there is no such file.
            InvalidInput: it is not a catalogue.
            NewerFormat: a later version of this program wrote it.
            EmbedderMismatch: the embedder is not the catalogue's.
            Damaged: it cannot be read.
        """
        store = Store(Path(path).absolute())
        try:
            return cls(store, embedder)
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
        """Keep what was learnt for the next time, and close the file."""
        try:
            self._learning.save()
        finally:
            if self._own_embedder is not None:
                self._own_embedder.close()
            self._store.close()

    @property
    def embedder(self) -> Embedder:
        """The embedder of this catalogue, loaded when it is first asked for.

        Raises:
            NotFound: its network is not on this machine.
            BackboneError: its network cannot be used.
        """
        if self._embedder is None:
            self._embedder = binding.embedder_of(self._binding, self._cache)
            self._own_embedder = self._embedder
        return self._embedder

    def add_class(
        self,
        label: str,
        pictures: Iterable[Source | Picture],
        *,
        move: bool = False,
        progress: Progress | None = None,
    ) -> Added:
        """Make a new class of some pictures.

        Args:
            label: its name.
            pictures: paths, bytes, arrays, or any of these with a box.
            move: take pictures away from other classes, instead of refusing them.
            progress: told of each picture.

        Returns:
            What came of it. If every picture was refused, the class was not made.

        Raises:
            LabelConflict: the class exists, or one that is spelt almost alike.
            InvalidLabel: that cannot be a name.
            InvalidInput: there are no pictures.
        """
        return self._add(label, pictures, landing.refuse_existing, move=move, progress=progress)

    def add(
        self,
        label: str,
        pictures: Iterable[Source | Picture],
        *,
        move: bool = False,
        progress: Progress | None = None,
    ) -> Added:
        """Add pictures to a class that exists; arguments as for :meth:`add_class`.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is one that is spelt almost alike.
            InvalidInput: there are no pictures.
        """
        return self._add(label, pictures, landing.require_label, move=move, progress=progress)

    def import_(
        self,
        source: Labelled,
        *,
        move: bool = False,
        progress: Progress | None = None,
    ) -> Imported:
        """Add pictures of many classes, each class in a transaction of its own.

        What is there already is left as it is, so an import that was cut short is finished by
        running it again, and nothing is embedded twice.

        Args:
            source: a folder tree or manifest, what :func:`read_manifest` made of one, or entries.
            move: take pictures away from other classes, instead of refusing them.
            progress: told of each picture.

        Raises:
            NotFound, InvalidInput: as :func:`read_manifest` does.
        """
        listing = listed(source)
        return import_listing(self._store, self._staging(), listing, move=move, progress=progress)

    def nearest(self, picture: Source | Picture, k: int = 10) -> list[Neighbour]:
        """The items that look most like a picture, best first.

        Args:
            picture: a path, bytes, an array, or any of these with a box.
            k: how many.

        Raises:
            PictureError: the picture is refused.
            InvalidInput: k < 1.
        """
        return _only(self.nearest_many([picture], k))

    def nearest_many(
        self,
        pictures: Iterable[Source | Picture],
        k: int = 10,
        *,
        progress: Progress | None = None,
    ) -> list[list[Neighbour] | PictureError]:
        """:meth:`nearest` for many pictures: each one's neighbours, or why it was refused."""
        outcomes = list(counted(self.embedder.embed_each(pictures), progress))
        with self._store.reading() as tx:
            found = answers.nearest(tx, self._learning, self._readable(outcomes), k)
        return _merged(outcomes, found)

    def predict(self, picture: Source | Picture, top: int = 5) -> Prediction:
        """Which class a picture is, by the nearest centroid and by the nearest items.

        Args:
            picture: a path, bytes, an array, or any of these with a box.
            top: how many candidates of each predictor to return.

        Raises:
            PictureError: the picture is refused.
            InvalidInput: top < 1.
        """
        return _only(self.predict_many([picture], top))

    def predict_many(
        self,
        pictures: Iterable[Source | Picture],
        top: int = 5,
        *,
        progress: Progress | None = None,
    ) -> list[Prediction | PictureError]:
        """:meth:`predict` for many pictures: each one's prediction, or why it was refused."""
        outcomes = list(counted(self.embedder.embed_each(pictures), progress))
        with self._store.reading() as tx:
            found = answers.predict(tx, self._learning, self._readable(outcomes), top)
        return _merged(outcomes, found)

    def evaluate(self, source: Labelled, *, progress: Progress | None = None) -> Evaluation:
        """Compare what this catalogue says of pictures with what they are.

        Args:
            source: a folder tree or manifest, what :func:`read_manifest` made of one, or entries.
            progress: told of each picture.

        Raises:
            NotFound, InvalidInput: as :func:`read_manifest` does, or none of the pictures can be
                read and is of a class of this catalogue.
        """
        with self._store.reading() as tx:
            names = {label_key(row.label): row.label for row in inventory.label_counts(tx)}
        if not names:
            raise InvalidInput("nothing to evaluate: the catalogue is empty")
        found = gather(self.embedder, listed(source), names, self._holds, progress)
        with self._store.reading() as tx:
            gallery = self._gallery(tx)
        return replace(
            evaluate(found.queries, gallery),
            in_catalogue=found.in_catalogue,
            not_in_catalogue=found.not_in_catalogue,
            refused=tuple(found.refused),
        )

    def labels(self) -> list[LabelCount]:
        """The classes, in the order of their names."""
        with self._store.reading() as tx:
            return inventory.label_counts(tx)

    def items(self, label: str | None = None) -> list[Item]:
        """The items, of one class or of all, in the order of their ids.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is one that is spelt almost alike.
        """
        with self._store.reading() as tx:
            return inventory.items(tx, label)

    def info(self) -> Info:
        """What this catalogue is."""
        with self._store.reading() as tx:
            counts = inventory.label_counts(tx)
            items = sum(row.items for row in counts)
            return Info(
                path=str(self.path),
                format=inventory.format_version(tx),
                generation=journal.version(tx).generation,
                created=inventory.created(tx),
                classes=len(counts),
                items=items,
                staged=inventory.staged(tx),
                bytes=self.path.stat().st_size,
                fingerprint=self._binding.fingerprint,
                backbone=self._backbone_name(),
                views=preset_name(self._binding.specification.views),
                prior=len(self._binding.prior.directions) > 0,
                learning_state=self._learning.state(tx),
            )

    def remove(self, items: Iterable[int]) -> Removed:
        """Take items out; what is learnt is as if they had never been there. Can be undone.

        Raises:
            NotFound: there is no such item; nothing is removed.
        """
        wanted = list(dict.fromkeys(items))
        with self._store.writing() as tx:
            before = [(item, inventory.slot_of(tx, item)) for item in wanted]
            changes = [Change(item, slot, None) for item, slot in before]
            if changes:
                journal.record(tx, "remove", {"items": len(changes)}, changes)
            emptied = landing.emptied(tx, {slot for _, slot in before})
            return Removed(len(changes), emptied)

    def remove_class(self, label: str) -> Removed:
        """Take a class out with all its items. Can be undone.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is one that is spelt almost alike.
        """
        with self._store.writing() as tx:
            found = landing.require_label(tx, label)
            rows = tx.execute("SELECT id FROM item WHERE label = ? ORDER BY id", (found.slot,))
            changes = [Change(item, found.slot, None) for (item,) in rows.fetchall()]
            detail = {"label": found.name, "items": len(changes)}
            journal.record(tx, "remove-class", detail, changes)
            return Removed(len(changes), (found.name,))

    def undo(self) -> list[Event]:
        """Take back the last command that changed this catalogue and was not undone yet.

        Returns:
            The events taken back.

        Raises:
            NotFound: there is nothing to undo.
        """
        with self._store.writing() as tx:
            undone = journal.undo_last(tx)
            if not undone:
                raise NotFound("there is nothing to undo")
            return undone

    def verify(self) -> Verification:
        """Check the file, its journal, and everything derived from it.

        Unsound derived files are deleted; they will be made again.
        """
        with self._store.reading() as tx:
            return verification.verify(
                tx,
                self._cache,
                self._binding.id,
                self._binding.specification.width,
                self._learning,
            )

    def _add(
        self,
        label: str,
        pictures: Iterable[Source | Picture],
        check: Callable[[sqlite3.Connection, str], object],
        *,
        move: bool,
        progress: Progress | None,
    ) -> Added:
        if isinstance(pictures, str | bytes | PathLike | np.ndarray | Picture):
            raise InvalidInput("pictures come as a list, also when there is only one")
        with self._store.reading() as tx:
            check(tx, label)  # before the work of embedding, and again when they land
        outcomes = list(counted(self._staging().stage(pictures), progress))
        if not outcomes:
            raise InvalidInput(f"no pictures were given for {label!r}")
        return landing.land(self._store, label, outcomes, check=check, move=move)

    def _staging(self) -> Staging:
        return Staging(self._store, self.embedder, self._binding.id)

    def _readable(self, outcomes: Sequence[_Embedded]) -> NDArray[np.float32]:
        rows = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
        return np.array(rows, np.float32).reshape(len(rows), self._binding.specification.width)

    def _gallery(self, tx: sqlite3.Connection) -> Gallery:
        metric, centroids = self._learning.metric(tx)
        items = self._learning.items(tx, exact=True).flat
        rows = tx.execute(
            "SELECT id, label FROM item WHERE label IS NOT NULL ORDER BY content"
        ).fetchall()
        position = {item: at for at, item in enumerate(items.keys.tolist())}
        order = np.array([position[item] for item, _ in rows], dtype=np.int64)
        names = dict(tx.execute("SELECT slot, name FROM label"))
        ids = np.array([item for item, _ in rows], dtype=np.int64)
        labels = np.array([label for _, label in rows], dtype=np.int64)
        return Gallery(metric, centroids, ids, items.rows[order], labels, names)

    def _holds(self, content: bytes) -> bool:
        with self._store.reading() as tx:
            return inventory.holds(tx, content)

    def _backbone_name(self) -> str:
        sha256 = self._binding.specification.backbone
        try:
            return f"{models.find(sha256).name} ({sha256[:12]})"
        except CatalogError:
            return f"{sha256[:12]} (not on this machine)"


def _merged(
    outcomes: Sequence[_Embedded], found: Iterable[_Answer]
) -> list[_Answer | PictureError]:
    """Answers and refusals in the order of the pictures."""
    answered = iter(found)
    return [
        outcome if isinstance(outcome, PictureError) else next(answered) for outcome in outcomes
    ]


def _only(found: Sequence[_Answer | PictureError]) -> _Answer:
    (answer,) = found
    if isinstance(answer, PictureError):
        raise answer
    return answer
