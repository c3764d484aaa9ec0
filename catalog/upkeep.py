"""The calls that keep a catalogue in order over the years."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace as replaced
from os import PathLike
from pathlib import Path

from catalog import backup, binding, files, forgetting, merging, relabelling
from catalog import export as exporting
from catalog.backup import Backup
from catalog.changing import Changing
from catalog.descriptors import Conflict, Damaged, EmbedderMismatch, InvalidInput, NewerFormat
from catalog.embedder import Picture, Source, content_hash, read_picture
from catalog.export import Exported
from catalog.forgetting import Forgotten
from catalog.head_keeper import HeadKeeper
from catalog.relabelling import Moved, Renamed
from catalog.results import Imported
from catalog.staging import Progress, place_of
from catalog.store import Store
from catalog.training import TrainingProgress


class Upkeep(Changing):
    """Upkeep of an open catalogue; :class:`Catalog` is what is used."""

    def move(
        self,
        items: Iterable[int],
        label: str,
        *,
        new: bool = False,
        training: TrainingProgress | None = None,
    ) -> Moved:
        """Take items to another class. Can be undone.

        Args:
            items: their ids.
            label: the class.
            new: make it; otherwise it must exist.
            training: told of each batch of a ``document`` training.

        Raises:
            NotFound: there is no such item, or no such class.
            LabelConflict: the class exists although it is to be new, or is spelt almost alike.
            InvalidInput: there are no items.
            Conflict: the descriptor of an item was dropped.
        """
        with self._store.writing() as tx:
            keeper = HeadKeeper(self._learning)
            moved = relabelling.move(tx, items, label, new=new, keeper=keeper)
            if moved.event is None:
                tx.rollback()
        self._trained(None, moved.event, training)
        return moved

    def rename_class(self, label: str, name: str) -> Renamed:
        """Give a class another name. Can be undone.

        Args:
            label: the class.
            name: its name from now on.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is a class of the new name; or one spelt almost like the old one.
            InvalidLabel: that cannot be a name.
        """
        with self._store.writing() as tx:
            return relabelling.rename_class(tx, label, name)

    def merge_classes(
        self, labels: Iterable[str], into: str, *, training: TrainingProgress | None = None
    ) -> Moved:
        """Make one class of several. Can be undone.

        Args:
            labels: the classes; that which is merged into may be among them.
            into: the class that stays.
            training: told of each batch of a ``document`` training.

        Raises:
            NotFound: there is no such class.
            LabelConflict: there is one that is spelt almost alike.
            InvalidInput: no other class was given.
            Conflict: descriptors of one that would go were dropped.
        """
        with self._store.writing() as tx:
            keeper = HeadKeeper(self._learning)
            moved = relabelling.merge_classes(tx, _listed(labels), into, keeper=keeper)
        self._trained(None, moved.event, training)
        return moved

    def forget(
        self,
        items: Iterable[int] = (),
        *,
        labels: Iterable[str] = (),
        pictures: Iterable[Source | Picture] = (),
        staged: bool = False,
        rewrite: bool = False,
    ) -> Forgotten:
        """Delete pictures and classes so that nothing of them stays in the file. Cannot be undone.

        What came before cannot be undone either. A ``frozen`` or ``document`` head that was trained
        on them is dropped, and solved from what is left.

        Args:
            items: ids of items.
            labels: classes to forget with all their items, and with every name they had.
            pictures: items or photos that were kept, by path, bytes, array, or these with a box.
            staged: all pictures that are in no class: removed ones, and photos that were kept.
            rewrite: write the file anew, also if nothing else is named: that finishes an earlier
                call that was cut short, or that other processes were in the way of.

        Raises:
            NotFound: the catalogue knows no such item, class or picture; nothing is forgotten.
            Conflict: a descriptor was dropped, and its sums cannot be told apart any more.
            PictureError: a picture cannot be read.
            InvalidInput: there is nothing to forget.
        """
        wanted, names = list(items), _listed(labels)
        hashes = [_hash(picture) for picture in pictures]
        with self._store.writing() as tx:
            wanted += [forgetting.item_of(tx, content, place) for content, place in hashes]
            for label in names:
                wanted += forgetting.items_of(tx, label)
            if staged:
                wanted += forgetting.staged_items(tx)
            if not (wanted or names or staged or rewrite):
                raise InvalidInput("nothing was named to forget")
            done = forgetting.forget(tx, list(dict.fromkeys(wanted)), names)
            self._learning.forget()  # a kill after the commit must not leave it
        self._learning.forget()  # other processes may have written in the meantime
        return replaced(done, rewritten=self._store.rewrite())

    def merge(
        self,
        other: str | PathLike[str],
        *,
        move: bool = False,
        progress: Progress | None = None,
        training: TrainingProgress | None = None,
    ) -> Imported:
        """Take over the items of another catalogue of the same embedder. Can be undone.

        Each class lands in a transaction of its own, and what is here already is left as it is, so
        a merge that was cut short is finished by running it again. What comes of it is what a
        catalogue would be that was made of all the pictures.

        Args:
            other: its file, which stays as it is.
            move: take pictures away from other classes, instead of refusing them.
            progress: told of each picture.
            training: told of each batch of a ``document`` training.

        Raises:
            NotFound: there is no such file.
            EmbedderMismatch: its descriptors are of another embedder.
            Conflict: it is this catalogue.
            Damaged: it cannot be read.
        """
        file = Path(other).absolute()
        if files.exists(file) and file.samefile(self.path):
            raise Conflict(f"{file} is this catalogue itself; name another one to take over")
        # From a copy, which is of one moment, and may be brought to the present format.
        with files.beside(self.path) as copy:
            backup.snapshot(file, copy)
            try:
                with contextlib.closing(Store(copy)) as its:
                    merged = self._merged(its, file, move=move, progress=progress)
            except (Damaged, NewerFormat) as error:
                raise type(error)(str(error).replace(str(copy), str(file))) from error
        first = next((added.event for added in merged.classes if added.event), None)
        self._trained(None, first, training)
        return merged

    def _merged(
        self, other: Store, file: Path, *, move: bool, progress: Progress | None
    ) -> Imported:
        with other.reading() as tx:
            its = binding.read(tx)
        if its.fingerprint != self._binding.fingerprint:
            raise EmbedderMismatch(
                f"{file} holds descriptors of embedder {its.fingerprint[:12]}, and this "
                f"catalogue of {self._binding.fingerprint[:12]}; they cannot be mixed. Import "
                "its pictures instead"
            )
        return merging.merge(
            self._store,
            self._binding.id,
            other,
            its.id,
            move=move,
            keeper=HeadKeeper(self._learning),
            progress=progress,
        )

    def backup(self, path: str | PathLike[str], *, replace: bool = False) -> Backup:
        """Copy this catalogue, whoever else is using it; the copy is checked before it is named.

        Args:
            path: of the copy.
            replace: an older copy of this catalogue that has that name.

        Raises:
            Conflict: there is something at that path.
            NotFound: there is no such folder.
            Damaged: this catalogue is not sound; `verify` says why.
            InvalidInput: what is to be replaced is not a catalogue.
            CatalogError: the copy cannot be written.
        """
        return backup.back_up(self.path, Path(path).absolute(), replace=replace)

    @staticmethod
    def restore(source: str | PathLike[str], path: str | PathLike[str]) -> Backup:
        """Bring a catalogue back to what a backup holds, or make it anew from that.

        The backup is checked first. Processes that have the catalogue open go on with what was
        restored. What was done since the backup is lost.

        Args:
            source: the backup; it is only read.
            path: of the catalogue.

        Raises:
            NotFound: there is no such backup, or no folder for the catalogue.
            InvalidInput: it is not a backup of a catalogue.
            Damaged: the backup is damaged; nothing was replaced.
            Conflict: the file is a catalogue that this is no backup of.
            Locked: another process is using the catalogue.
            CatalogError: the file cannot be written.
        """
        return backup.restore(Path(source).absolute(), Path(path).absolute())

    def export(
        self,
        path: str | PathLike[str],
        *,
        format: str | None = None,  # noqa: A002
        replace: bool = False,
    ) -> Exported:
        """Write this catalogue out for other tools; what is at the path is whole, or as it was.

        Items come in the order of their content hashes. No other process can commit meanwhile.

        Args:
            path: of the file or folder to make.
            format: ``parquet`` (needs pyarrow), ``npz``, ``labels`` (JSON) or ``projector`` (a
                folder for the embedding projector of TensorBoard); else by the path's ending.
            replace: an older export of that name.

        Raises:
            InvalidInput: there is no such format, or the ending names none.
            Conflict: there is something at that path, and it is not to be replaced.
            NotFound: there is no such folder.
            Damaged: an item has lost its descriptor or its class.
            CatalogError: the folder cannot be written, the disk is full, or pyarrow is missing.
        """
        with self._store.reading() as tx:
            return exporting.export(
                tx,
                self._learning,
                self._binding.fingerprint,
                Path(path).absolute(),
                format,
                replace=replace,
            )


def _listed(values: Iterable[str]) -> list[str]:
    """A list of names, where one name by itself would be taken for a list of letters."""
    if isinstance(values, str):
        raise InvalidInput("classes come as a list, also when there is only one")
    return list(values)


def _hash(picture: Source | Picture) -> tuple[bytes, str | None]:
    picture = picture if isinstance(picture, Picture) else Picture(picture)
    source = picture.source
    data = read_picture(source) if isinstance(source, str | bytes | PathLike) else source
    return content_hash(data, picture.box), place_of(picture)
