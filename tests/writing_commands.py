"""Every command that writes, and what a catalogue may be like when one was cut short.

One entry a command: how its catalogue comes to be, what is called, and what may be found besides
the state before it and the state after it, where it takes several steps.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import photos
from numpy.typing import NDArray
from shop_state import COPY, EXPORT, OTHER, PART, made, opened, other_embedder

from catalog import Catalog, Listing, read_manifest
from catalog.jobs.reindex import _brought_in
from catalog.store.files import cache_folder

TREE = ("ewer", "fork", "gong")
"""The classes of the tree that is imported; its folder lies beside that of the catalogue."""

Act: TypeAlias = Callable[[Catalog], object]


def _none(_catalog: Catalog) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class WritingCommand:
    """A command that writes.

    Attributes:
        name: of the command, and of what is special about it.
        act: what is called; its return is what the user takes for done.
        prepare: makes of an empty catalogue the one that it is called on.
        between: what leads to other states that may be found, when it takes several steps.
        begin: opens the catalogue, or makes it; errors of its own are to be typed, too.
        exists: whether there is a catalogue before; otherwise what was prepared is deleted.
    """

    name: str
    act: Act
    prepare: Act = _none
    between: tuple[Act, ...] = ()
    begin: Callable[[Path], Catalog] = opened
    exists: bool = True


def filled(catalog: Catalog, *, classes: int = 3) -> None:
    """Make some classes of three photos each, and have everything learnt."""
    for thing, label in enumerate(("cup", "jug", "pan")[:classes]):
        catalog.add_class(label, photos.shots(thing, 3))
    catalog.predict(photos.photo(0, 30))


def _import(catalog: Catalog, classes: int = len(TREE)) -> None:
    entries = read_manifest(catalog.path.parent.parent / "tree").entries
    catalog.import_([e for e in entries if e.label in TREE[:classes]])


def _listed(catalog: Catalog, *, later: bool) -> Listing:
    """A list of pictures, and what has become of it: one is gone, one moved, one is new."""
    entries = read_manifest(catalog.path.parent.parent / "tree").entries
    cup, *others = [e for e in entries if e.label == TREE[0]]
    jugs = [e for e in entries if e.label == TREE[1]]
    listed = (
        (replace(cup, label=TREE[1]), *others[:-1], *jugs) if later else (cup, *others, *jugs[:-1])
    )
    return Listing(listed, source=str(catalog.path.parent.parent / "list.csv"))


def _seen(thing: int, place: int) -> NDArray[np.uint8]:
    """Draw a thing at a place, so that photos of one thing are no near-duplicates."""
    own, around, noise = (
        np.random.default_rng(seed).integers(-reach, reach + 1, (6, 6, 3))
        for seed, reach in (((1, thing), 50), ((2, place), 55), ((3, thing, place), 8))
    )
    pixels: NDArray[np.uint8] = np.clip(128 + own + around + noise, 0, 255).astype(np.uint8)
    return pixels


def _sure(catalog: Catalog) -> None:
    for thing in range(5):
        catalog.add_class(f"thing {thing}", [_seen(thing, place) for place in range(5)])
    catalog.predict(_seen(0, 20))


def _unknown(catalog: Catalog) -> None:
    strange = [_seen(thing, thing) for thing in range(40, 44)]
    answered = catalog.predict_many(strange, keep_unknown=True)
    if not any(getattr(answer, "verdict", "") == "unknown" for answer in answered):
        raise AssertionError("none of the photos is unknown, so nothing is written")


def _frozen(catalog: Catalog) -> None:
    filled(catalog)
    catalog.train_head("frozen")


def _compacted(catalog: Catalog) -> None:
    filled(catalog)
    catalog.compact(["jug"])


def ask(catalog: Catalog) -> None:
    """Ask all that has something learnt."""
    catalog.predict(photos.photo(1, 30))
    catalog.nearest(photos.photo(1, 30), 3)


def _beside(catalog: Catalog, name: str) -> Path:
    return catalog.path.with_name(name)


def _unsaved(catalog: Catalog) -> None:
    filled(catalog)
    shutil.rmtree(cache_folder(catalog.path))
    catalog._keeper.discard()


def _staged(catalog: Catalog) -> None:
    filled(catalog)
    catalog.remove(_cup(catalog)[:2])


def _found_in_files(catalog: Catalog) -> None:
    filled(catalog)
    folder = catalog.path.parent.parent / "found"
    places = photos.draw(folder, 0, 3, first=40)
    catalog.add("cup", places)
    places[0].unlink(missing_ok=True)


def _backed_up(catalog: Catalog) -> None:
    filled(catalog)
    catalog.backup(_beside(catalog, COPY))
    catalog.add_class("tea", photos.shots(3, 3))


def _exported(catalog: Catalog) -> None:
    filled(catalog)
    catalog.export(_beside(catalog, EXPORT))
    catalog.remove(_cup(catalog)[:1])


def _restored(path: Path) -> Catalog:
    Catalog.restore(path.with_name(COPY), path)
    return opened(path)


def _beside_others(catalog: Catalog) -> None:
    filled(catalog, classes=1)
    for name, classes in ((OTHER, ("tea", "urn")), (PART, ("tea",))):
        with made(_beside(catalog, name)) as other:
            for thing, label in enumerate(classes, 3):
                other.add_class(label, photos.shots(thing, 3))


def _in_files(catalog: Catalog, head: str | None = None) -> None:
    _import(catalog)
    if head:
        catalog.train_head(head)
    ask(catalog)


def _added(catalog: Catalog) -> None:
    _brought_in(catalog, None, None, None, other_embedder())


def _ready(catalog: Catalog, head: str | None = None) -> None:
    _in_files(catalog, head)
    catalog.reindex(embedder=other_embedder())


def _gone_over(catalog: Catalog) -> None:
    _ready(catalog)
    catalog.promote()
    catalog.add_class("tea", photos.shots(3, 3))


def _cup(catalog: Catalog) -> list[int]:
    return [item.id for item in catalog.items("cup")]


COMMANDS = (
    WritingCommand("init", _none, begin=made, exists=False),
    WritingCommand(
        "add_class", lambda c: c.add_class("tea", photos.shots(3, 3)), partial(filled, classes=2)
    ),
    WritingCommand(
        "add_class to a frozen head", lambda c: c.add_class("tea", photos.shots(3, 3)), _frozen
    ),
    WritingCommand(
        "add_class --head frozen",
        lambda c: c.add_class("tea", photos.shots(3, 3), head="frozen"),
        filled,
    ),
    WritingCommand("add", lambda c: c.add("cup", photos.shots(0, 2, first=5)), filled),
    WritingCommand(
        "add --move",
        lambda c: c.add("cup", [*photos.shots(1, 3), photos.photo(0, 7)], move=True),
        filled,
    ),
    WritingCommand(
        "import",
        _import,
        partial(filled, classes=1),
        between=(partial(_import, classes=1), partial(_import, classes=2)),
    ),
    WritingCommand(
        "sync",
        lambda c: c.sync(_listed(c, later=True), delete=True, force=True),
        lambda c: c.sync(_listed(c, later=False)),
        between=(lambda c: c.sync(_listed(c, later=True)),),
    ),
    WritingCommand(
        "reindex",
        lambda c: c.reindex(embedder=other_embedder()),
        _in_files,
        between=(_added,),
    ),
    WritingCommand("promote", lambda c: c.promote(), _ready),
    WritingCommand(
        "promote with a frozen head", lambda c: c.promote(), partial(_ready, head="frozen")
    ),
    WritingCommand("add to two embedders", lambda c: c.add("ewer", photos.shots(0, 2)), _ready),
    WritingCommand("back", lambda c: c.back(), _gone_over),
    WritingCommand("undo of a switch", lambda c: c.undo(), lambda c: (_ready(c), c.promote())),
    WritingCommand("drop_old", lambda c: c.drop_old(), _gone_over),
    WritingCommand("drop_new", lambda c: c.drop_new(), _ready),
    WritingCommand("feedback", lambda c: c.feedback(photos.photo(0, 9), "cup"), filled),
    WritingCommand(
        "feedback of a new class", lambda c: c.feedback(photos.photo(4, 9), "urn"), filled
    ),
    WritingCommand(
        "feedback --note-only",
        lambda c: c.feedback(photos.photo(0, 9), "cup", note_only=True),
        filled,
    ),
    WritingCommand("predict --keep-unknown", _unknown, _sure),
    WritingCommand("train_head frozen", lambda c: c.train_head("frozen"), filled),
    WritingCommand("train_head exact", lambda c: c.train_head("exact"), _frozen),
    WritingCommand("remove", lambda c: c.remove(_cup(c)[:2]), filled),
    WritingCommand("remove_class", lambda c: c.remove_class("jug"), filled),
    WritingCommand(
        "remove_class --inexact", lambda c: c.remove_class("jug", inexact=True), _compacted
    ),
    WritingCommand("compact", lambda c: c.compact(["jug", "pan"]), filled),
    WritingCommand("undo", lambda c: c.undo(), filled),
    WritingCommand("close", ask, _unsaved),
    WritingCommand("rename_class", lambda c: c.rename_class("jug", "pitcher"), filled),
    WritingCommand("merge_classes", lambda c: c.merge_classes(["jug"], "cup"), filled),
    WritingCommand("move", lambda c: c.move(_cup(c)[:2], "jug"), filled),
    WritingCommand("move --new", lambda c: c.move(_cup(c)[:2], "bowl", new=True), filled),
    WritingCommand("forget items", lambda c: c.forget(_cup(c)[:2]), filled),
    WritingCommand("forget a class", lambda c: c.forget(labels=["jug"]), _frozen),
    WritingCommand("forget --staged", lambda c: c.forget(staged=True), _staged),
    WritingCommand("forget_places", lambda c: c.forget_places(), _found_in_files),
    WritingCommand("backup", lambda c: c.backup(_beside(c, COPY)), filled),
    WritingCommand(
        "backup --replace", lambda c: c.backup(_beside(c, COPY), replace=True), _backed_up
    ),
    WritingCommand("restore", _none, _backed_up, begin=_restored),
    WritingCommand("restore what is gone", _none, _backed_up, begin=_restored, exists=False),
    WritingCommand(
        "merge",
        lambda c: c.merge(_beside(c, OTHER)),
        _beside_others,
        between=(lambda c: c.merge(_beside(c, PART)),),
    ),
    WritingCommand("export", lambda c: c.export(_beside(c, EXPORT)), filled),
    WritingCommand(
        "export --replace", lambda c: c.export(_beside(c, EXPORT), replace=True), _exported
    ),
)
"""Each command that writes; another one is one more entry."""

BY_NAME = {command.name: command for command in COMMANDS}
