"""Copies of a catalogue that others are using, and the way back from one.

Both go through SQLite's backup interface, so a copy is of one state whatever is written meanwhile,
and a catalogue that is restored changes in one step for every process that has it open.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from catalog.descriptors import (
    Advice,
    Conflict,
    Damaged,
    NotFound,
)
from catalog.learning.opened import Opened
from catalog.store import checks, copying, files, inventory, journal
from catalog.store.failpoints import reach
from catalog.store.store import Store


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a catalogue that was made or restored.

    Attributes:
        path: where it is.
        bytes: its size.
        generation: the state that it has.
        items: how many items it has.
    """

    path: Path
    bytes: int
    generation: int
    items: int


def backup(catalog: Opened, path: str | PathLike[str], *, replace: bool = False) -> Backup:
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
    copy = Path(path).absolute()
    with copying.explained(copy):
        if _same(catalog.path, copy):
            raise Conflict(f"{copy} is the catalogue itself; give the copy another name")
        if copy.is_dir():
            raise Conflict(f"{copy} is a folder; name the file to make in it")
        older = replace and copy.is_file()
        if copy.is_file() and not replace:
            raise Conflict(f"{copy} exists already", Advice("replace"))
        if not older:
            files.require_free(copy)
        return _transfer(catalog.path, copy, "copied", there=older)


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
    backup, file = Path(source).absolute(), Path(path).absolute()
    with copying.explained(file):
        if not files.exists(backup):
            raise NotFound(f"there is no backup at {backup}")
        if _same(backup, file):
            raise Conflict(f"{file} is the backup itself; name the catalogue to restore")
        there = file.exists()
        if not there:
            files.require_free(file)
        return _transfer(backup, file, "restoring", there=there)


def _transfer(source: Path, path: Path, place: str, *, there: bool) -> Backup:
    """Let a file hold what another one does, once a copy of that is known to be sound.

    Args:
        source: the catalogue or backup to copy.
        path: of the file to be.
        place: the failpoint between the check and the change.
        there: whether it is there, and to be overwritten.
    """
    with files.beside(path) as copy:
        copying.snapshot(source, copy)
        checked = _checked(copy, path, source)
        reach(place)
        if there:
            copying.overwrite(path, copy)
        else:
            files.link(copy, path)
    return checked


def _checked(copy: Path, path: Path, source: Path) -> Backup:
    """What a copy holds, once it is known to be sound."""
    try:
        opened = contextlib.closing(Store(copy, called=source))
        with opened as store, store.reading() as tx:
            problems = checks.problems_of_file(tx)
            generation, items = journal.version(tx).generation, inventory.count(tx)
    except Damaged as error:
        problems = (error.fact,)
    if problems:
        raise Damaged(f"{source} is not sound, so nothing was copied: {problems[0]}")
    return Backup(path, copy.stat().st_size, generation, items)


def _same(one: Path, other: Path) -> bool:
    return files.exists(one) and files.exists(other) and one.samefile(other)
