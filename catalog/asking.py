"""The calls that ask a catalogue, and change nothing in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog import answers, files, heads, inventory, journal, verification
from catalog.answers import Neighbour, Prediction
from catalog.audit import audit
from catalog.cross_check import PRECISION, require_precision
from catalog.descriptors import CatalogError, Conflict, InvalidInput, PictureError
from catalog.embedder import Picture, Source, models, preset_name
from catalog.evaluation import Evaluation
from catalog.gathering import gather
from catalog.head import Curves
from catalog.journal import Event
from catalog.labels import label_key
from catalog.learning import label_names
from catalog.manifest import Labelled, listed
from catalog.opened import Opened
from catalog.proposals import MOST_PHOTOS, proposal_threshold, propose_classes
from catalog.results import AuditReport, Info, Item, LabelCount, ProposedClass
from catalog.scoring import Gallery, evaluate
from catalog.staging import Progress, Staged, counted
from catalog.verification import Verification

_Answer = TypeVar("_Answer")
_Embedded: TypeAlias = NDArray[np.float32] | PictureError


class Asking(Opened):
    """Questions to an open catalogue; :class:`Catalog` is what is used."""

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

    def predict(
        self,
        picture: Source | Picture,
        top: int = 5,
        *,
        precision: float = PRECISION,
        keep_unknown: bool = False,
    ) -> Prediction:
        """Which class a picture is: head and centroids, checked against each other.

        Args:
            picture: a path, bytes, an array, or any of these with a box.
            top: how many candidates of each predictor to return.
            precision: how often an answer called ``match`` is to be right.
            keep_unknown: keep the descriptor of a picture that is ``unknown``, for :meth:`audit` to
                propose new classes from.

        Raises:
            PictureError: the picture is refused.
            InvalidInput: top < 1, or the precision is not between 0 and 1.
        """
        return _only(
            self.predict_many([picture], top, precision=precision, keep_unknown=keep_unknown)
        )

    def predict_many(
        self,
        pictures: Iterable[Source | Picture],
        top: int = 5,
        *,
        precision: float = PRECISION,
        keep_unknown: bool = False,
        progress: Progress | None = None,
    ) -> list[Prediction | PictureError]:
        """:meth:`predict` for many pictures: each one's prediction, or why it was refused."""
        require_precision(precision)
        asked = list(pictures)
        outcomes = list(counted(self.embedder.embed_each(asked), progress))
        with self._store.reading() as tx:
            found = answers.predict(tx, self._learning, self._readable(outcomes), top, precision)
        answered = _merged(outcomes, found)
        if keep_unknown:
            self._keep(
                picture
                for picture, answer in zip(asked, answered, strict=True)
                if isinstance(answer, Prediction) and answer.verdict == "unknown"
            )
        return answered

    def evaluate(
        self,
        source: Labelled,
        *,
        precision: float = PRECISION,
        split: str | None = None,
        part: str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Compare what this catalogue says of pictures with what they are.

        Args:
            source: a folder tree or manifest, what :func:`read_manifest` made of one, or entries.
            precision: how often an answer called ``match`` is to be right.
            split: take one part of the pictures, split at random in these sizes, such as ``80/20``.
            part: which: ``train``, ``validation`` or ``test``.
            seed: of the split.
            progress: told of each picture.

        Raises:
            NotFound, InvalidInput: as :func:`read_manifest` does, or none of the pictures can be
                read and is of a class of this catalogue, or the precision is not between 0 and 1.
            Conflict: a class was removed meanwhile.
        """
        require_precision(precision)
        with self._store.reading() as tx:
            names = {label_key(row.label): row.label for row in inventory.label_counts(tx)}
        if not names:
            raise InvalidInput("nothing to evaluate: the catalogue is empty")
        listing = listed(source, split, part, seed)
        found = gather(self.embedder, listing, names, self._holds, progress)
        with self._store.reading() as tx:
            gallery = self._gallery(tx)
        there = {gallery.names[slot] for slot in gallery.centroids.keys.tolist()}
        if not {query.label for query in found.queries} <= there:
            raise Conflict("classes were changed while pictures were embedded; evaluate again")
        return replace(
            evaluate(found.queries, gallery, strangers=found.strangers, precision=precision),
            in_catalogue=found.in_catalogue,
            not_in_catalogue=found.not_in_catalogue,
            refused=tuple(found.refused),
        )

    def audit(self) -> AuditReport:
        """Look for what is wrong with this catalogue, and for classes that it lacks.

        Pictures that look the same in two classes, items that are likely mislabelled, classes that
        will be confused or need more pictures; and what ``unknown`` photos that were kept have in
        common.
        """
        with self._store.reading() as tx:
            gallery = self._gallery(tx, calibrated=False)
            raw = self._learning.descriptors(tx, gallery.items)
            wanted = inventory.kept(tx)[-MOST_PHOTOS:]
            kept = self._learning.descriptors(tx, np.array([i for i, _ in wanted], np.int64))
            groups = self._learning.pool(tx).groups
        proposals = propose_classes(gallery.metric.whiten(kept), proposal_threshold(gallery))
        with self._store.explained():
            report = audit(gallery, raw, groups)
        return AuditReport(
            report,
            len(wanted),
            tuple(
                ProposedClass(
                    len(proposal.members),
                    proposal.cosine,
                    tuple(place for at in proposal.members if (place := wanted[at][1])),
                )
                for proposal in proposals.proposals
            ),
            proposals.alone,
        )

    def training_curves(self) -> Curves | None:
        """Loss and accuracy of the last ``document`` training; None if there was none."""
        with self._store.reading() as tx:
            kept = heads.curves(tx, heads.current(tx))
        return None if kept is None else Curves(**kept)

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
                head=heads.current(tx).training,
                learning_state=self._learning.state(tx),
            )

    def history(self, last: int | None = None) -> list[Event]:
        """What was done to this catalogue, the latest last.

        Args:
            last: only so many of the latest events.

        Raises:
            InvalidInput: last < 1.
        """
        with self._store.reading() as tx:
            return journal.history(tx, last)

    def verify(self) -> Verification:
        """Check the file, its journal, and everything derived from it.

        Unsound derived files are deleted; they will be made again. So is what processes that were
        killed left beside the file.
        """
        files.sweep(self.path)
        with self._store.reading() as tx:
            return verification.verify(
                tx,
                self._cache,
                self._binding.id,
                self._binding.specification.width,
                self._learning,
            )

    def _readable(self, outcomes: Sequence[_Embedded]) -> NDArray[np.float32]:
        rows = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
        return np.array(rows, np.float32).reshape(len(rows), self._binding.specification.width)

    def _gallery(self, tx: sqlite3.Connection, *, calibrated: bool = True) -> Gallery:
        metric, centroids = self._learning.metric(tx)
        items = self._learning.items(tx, exact=True).flat
        labels = dict(tx.execute("SELECT id, label FROM item WHERE label IS NOT NULL"))
        slots = centroids.keys.tolist()
        learnt = self._learning.head(tx)
        return Gallery(
            metric,
            centroids,
            items.keys,
            items.rows,
            np.array([labels[item] for item in items.keys.tolist()], dtype=np.int64),
            dict(zip(slots, label_names(tx, slots), strict=True)),
            learnt,
            self._learning.calibration(tx, exact=True) if calibrated else None,
        )

    def _keep(self, pictures: Iterable[Source | Picture]) -> None:
        """Store descriptors of pictures that belong to no class, and that they are wanted."""
        staged = [one for one in self._staging().stage(pictures) if isinstance(one, Staged)]
        if staged:
            with self._store.writing() as tx:
                for one in staged:
                    inventory.keep(tx, one.content, one.place)

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
