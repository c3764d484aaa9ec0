"""A catalogue kept in step with a folder, or with a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from catalog.changes.command import Command
from catalog.changes.landing import Added, failures, land
from catalog.changes.made_up import ready_to_land
from catalog.changes.staging import Staged, StagedFor, Staging, as_staged, called, occasions_by
from catalog.descriptors import Advice, Conflict, InvalidInput, PictureError
from catalog.embedder import Picture
from catalog.embedder.formats import inspect
from catalog.jobs import comparing
from catalog.jobs.comparing import ByHand, Coming, Comparison, Gone, Identity, Known, Shown
from catalog.jobs.import_ import importable
from catalog.jobs.running import JobProgress, Running, job
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.manifest import (
    BadRow,
    ClassLevel,
    Listing,
    PassedOver,
    level_for,
    listed,
    read_manifest,
)
from catalog.manifest.pictures import HeldPicture, Refusal, hold_each, place_of
from catalog.store import Slot, Transaction, classes, compaction, inventory, journal
from catalog.store.failpoints import reach
from catalog.store.journal import Change
from catalog.store.names import Name
from catalog.text import natural, unwritten, written

MOST_GONE = 0.25
"""The share of a source's items that may be gone for them to be removed; more look like a disk that
is not mounted."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of keeping a catalogue in step with a source, or would come of it.

    Attributes:
        source: the folder or manifest.
        classes: what was added to classes, or taken to them from others, class by class.
        new: pictures that are items now and were not.
        changed: places where another picture lies than before.
        moved: places that items lie at now, which were known elsewhere, or lie there, too.
        relabelled: pictures that went to another class, as the source says.
        unchanged: how many pictures are as they were.
        gone: items that the source has no more.
        removed: how many of these were removed.
        emptied: classes that have no items left.
        by_hand: pictures that stay as someone said, and not as the source has them.
        refused: pictures that could not be taken, with reasons.
        refused_classes: classes that could not be made, with the reason.
        renamed: names of classes in the source that are called otherwise in the catalogue.
        passed_over: what was not taken for a picture of a class, by kind.
        unread: folders that could not be read; nothing is said of what lay in them.
        bad_rows: rows of a manifest that could not be used.
        notes: what else there is to say, in sentences.
        dry_run: whether nothing was changed.
        command: the first event of the journal that came of it; None if nothing changed.
        job: its id; None of a trial.
    """

    source: str
    classes: tuple[Added, ...] = ()
    new: tuple[Coming, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    relabelled: tuple[Coming, ...] = ()
    unchanged: int = 0
    gone: tuple[Gone, ...] = ()
    removed: int = 0
    emptied: tuple[str, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    refused: tuple[Refusal, ...] = ()
    refused_classes: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[PassedOver, ...] = ()
    unread: tuple[Path, ...] = ()
    bad_rows: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    command: int | None = None
    job: int | None = None

    @property
    def failures(self) -> tuple[Refusal, ...]:
        """All that could not be taken."""
        return failures(self.refused, self.refused_classes, self.unread, self.bad_rows)


class _Looked(NamedTuple):
    """What was found in the source.

    Attributes:
        comparison: what is to be done.
        staged: the pictures that were read, by their places.
        refused: pictures that could not be taken.
        refused_classes: classes that could not be made, with the reason.
        renamed: names that are others by now.
    """

    comparison: Comparison
    staged: dict[str, Staged]
    refused: tuple[Refusal, ...]
    refused_classes: dict[str, str]
    renamed: dict[str, str]


def sync(
    catalog: Opened,
    source: str | PathLike[str] | Listing,
    *,
    delete: bool = False,
    force: bool = False,
    most_gone: float = MOST_GONE,
    class_level: ClassLevel | None = None,
    group_by: str | None = None,
    made_up: bool = True,
    dry_run: bool = False,
    progress: JobProgress | None = None,
    training: TrainingProgress | None = None,
) -> Synced:
    """Let a catalogue have what a folder or manifest has. One command for ``undo``.

    What was found before, and has the size and time that it had, is not read again. New pictures
    are added, moved ones are known at their new place, and one that lies under another class now
    goes to it, unless someone took it elsewhere by hand since. What is gone is listed, and removed
    only if asked for. Cut short, it is finished by running it again.

    Args:
        source: the folder tree or manifest, or what :func:`read_manifest` made of it.
        delete: remove items that the source has no more.
        force: also if more of them are gone than ``most_gone``.
        most_gone: the largest share of the source's items that is removed unforced; more look like
            a disk that is not mounted.
        class_level: which folders of a tree name classes, as for :func:`read_manifest`; it has to
            be said where several folders have one name.
        group_by: as for :meth:`import_`.
        made_up: as for :meth:`import_`.
        dry_run: only say what would be done; new files are read, but nothing is embedded.
        progress: told how many pictures have been read, and of how many.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound, InvalidInput: as :func:`read_manifest` does, or there is no such way to group.
        Conflict: too many items are gone for them to be removed; nothing was changed.
        Locked: another process is at the same.
        Cancelled: it was asked to stop; what was done is kept.
    """
    way = Way(delete, force, most_gone, class_level, group_by, made_up)
    listing = way.listed(source)
    if dry_run:
        looked = _look(catalog, listing, _hashed, progress)
        way.require_few_gone(looked.comparison)
        return _told(listing, looked)
    with way.job(catalog, listing, progress) as running:
        return bring(catalog, listing, way, running, training)


@dataclass(frozen=True, slots=True)
class Way:
    """How a catalogue is kept in step with a source; see :func:`sync`."""

    delete: bool
    force: bool
    most_gone: float
    class_level: ClassLevel | None
    group_by: str | None
    made_up: bool

    def listed(self, source: str | PathLike[str] | Listing) -> Listing:
        """What there is in a source.

        Raises:
            NotFound, InvalidInput: as :func:`sync` does.
        """
        if not 0 <= self.most_gone <= 1:
            raise InvalidInput(f"a share lies between 0 and 1, not at {self.most_gone}")
        occasions_by(self.group_by)  # which says so where there is no such way
        level = level_for(self.class_level, self.group_by)
        if not isinstance(source, Listing):
            source = read_manifest(source, class_level=level, may_be_empty=True)
        found = listed(source, class_level=level)
        if found.source is None:
            raise InvalidInput("a catalogue is kept in step with a folder or a manifest alone")
        return found

    def job(
        self,
        catalog: Opened,
        listing: Listing,
        progress: JobProgress | None,
    ) -> AbstractContextManager[Running]:
        """The job that this is."""
        request = {"source": listing.source, **asdict(self)}
        return job(catalog._store, "sync", request, about="source", progress=progress)

    def require_few_gone(self, comparison: Comparison) -> None:
        """Make sure that the source is what it was, on the whole, if anything is to be removed.

        Raises:
            Conflict: more of it is gone than may be.
        """
        gone = [one for one in comparison.gone if not one.replaced]
        if not self.delete or self.force or len(gone) <= self.most_gone * comparison.of_source:
            return
        raise Conflict(
            f"{len(gone)} of the {comparison.of_source} items of this source are gone from it, "
            f"such as {gone[0].places[0]}; that is more than {self.most_gone:.0%}, so nothing was "
            "changed: is a disk not mounted?",
            Advice("force removal"),
        )


def bring(
    catalog: Opened,
    listing: Listing,
    way: Way,
    running: Running,
    training: TrainingProgress | None = None,
) -> Synced:
    """Let a catalogue have what was listed, as one command.

    Raises:
        Conflict, Cancelled: as :func:`sync` does.
    """
    looked = _look(catalog, listing, lambda some: Staging(catalog).stage(some), running.report)
    way.require_few_gone(looked.comparison)
    named = occasions_by(way.group_by)

    def ready(name: Name, staged: StagedFor) -> list[Staged | Refusal]:
        return ready_to_land(catalog, name, staged, named, made_up=way.made_up)

    running.at("landing")
    with Command(catalog, training=training) as command:
        landed = _land(command, listing, looked, ready, running)
        settled = _settle(command, listing, looked.comparison, delete=way.delete)
    result = _told(listing, looked, landed, settled, (command.event, running.id))
    running.fail(result.failures)
    running.outcome["unchanged"] = result.unchanged
    running.count(
        new=len(result.new),
        changed=len(result.changed),
        moved=len(result.moved),
        relabelled=len(result.relabelled),
        gone=len(result.gone),
        removed=result.removed,
        refused=len(result.refused),
    )
    return result


def _look(
    catalog: Opened,
    listing: Listing,
    read: Callable[[Iterable[Picture]], Iterable[Staged | Refusal]],
    progress: JobProgress | None,
) -> _Looked:
    """Find out what lies in the source, and what is to be done about it.

    Args:
        catalog: that is to be as the source is.
        listing: of the source.
        read: what reads pictures, and embeds those that are not known if need be.
        progress: told of each that is read.
    """
    source = str(listing.source)
    refused_classes: dict[str, str] = {}
    makeable = importable(listing.entries, refused_classes)
    names = {entry.label: name for name, own in makeable.items() for entry in own}
    with catalog._store.reading() as tx:
        facts = comparing.known(tx, source)
    pictures = comparing.shown(listing, names, facts)
    unread = [one for one in pictures if comparing.item_by_time(one, facts) is None]
    outcomes: dict[str, Staged | Refusal] = {}
    read_now = read(one.entry.picture for one in unread) if unread else ()  # without a network
    for one, outcome in zip(unread, read_now, strict=True):
        outcomes[one.path] = called(outcome, one.entry.group)
        if progress is not None:
            progress(len(outcomes), len(unread))
    with catalog._store.reading() as tx:
        facts = comparing.known(tx, source) if unread else facts  # others may have written
        found = _identified(tx, pictures, outcomes, facts)
        fixed = compaction.items(tx)
    refused = [one for one in outcomes.values() if isinstance(one, Refusal)]
    unsure = {one.place for one in refused if one.place is not None}
    unsure |= {written(str(path)) for path in listing.unread}
    unsure |= {place_of(e.picture) or "" for e in listing.entries if e.label not in names}
    root = Path(unwritten(source))
    folder = comparing.below(root) if root.is_dir() else None
    closed = tuple(map(comparing.below, listing.unread))
    there = comparing.Source(found, folder, frozenset(unsure), closed)
    comparison = comparing.compare(facts, there, fixed)
    renamed = {label: facts.called_now(name) for label, name in names.items()}
    return _Looked(
        comparison,
        {path: one for path, one in outcomes.items() if isinstance(one, Staged)},
        (*refused, *comparison.refused),
        refused_classes,
        {label: now.text for label, now in renamed.items() if now.key != names[label].key},
    )


def _identified(
    tx: Transaction,
    pictures: Sequence[Shown],
    outcomes: Mapping[str, Staged | Refusal],
    facts: Known,
) -> list[tuple[Shown, Identity]]:
    """Which pictures these are; refused ones are left out.

    Args:
        tx: a transaction.
        pictures: of the source.
        outcomes: of those that were read, by place.
        facts: what is known of the others.
    """
    found: list[tuple[Shown, Identity]] = []
    for one in pictures:
        outcome = outcomes.get(one.path)
        if isinstance(outcome, Staged):
            known = inventory.find(tx, outcome.content)
            shown = one._replace(place=outcome.places[0]) if outcome.places else one
            found.append((shown, known[0] if known else outcome.content))
        elif outcome is None and (item := comparing.item_by_time(one, facts)) is not None:
            found.append((one, item))
    return found


def _hashed(pictures: Iterable[Picture]) -> Iterator[Staged | Refusal]:
    """Which pictures these are, without embedding them; what is plainly none is refused."""
    with closing(hold_each(pictures)) as read:
        for one in read:
            if isinstance(one, HeldPicture) and isinstance(one.picture.source, bytes):
                try:
                    inspect(one.picture.source)
                except PictureError as error:
                    yield Refusal(one.place, error.reason, error.detail)
                    continue
            yield as_staged(one) if isinstance(one, HeldPicture) else one


def _land(
    command: Command,
    listing: Listing,
    looked: _Looked,
    ready: Callable[[Name, StagedFor], list[Staged | Refusal]],
    running: Running,
) -> list[Added]:
    """Give classes the pictures that the source has in them, one class after another."""
    comparison = looked.comparison
    coming: dict[str, tuple[Name, StagedFor]] = {}
    before: dict[bytes, Slot | None] = {}
    items = [which for which, _ in comparison.coming if not isinstance(which, bytes)]
    with command.store.reading() as tx:
        contents = inventory.contents(tx, items)
    for which, one in comparison.coming:
        _, staged = coming.setdefault(one.name.key, (one.name, StagedFor([])))
        content = which if isinstance(which, bytes) else contents[which]
        # One that is known by its time was not read.
        outcome = looked.staged.get(one.path) or Staged(content, (one.place,))
        staged.add(outcome, one.entry.picture)
        before[outcome.content] = comparison.slots[which]
    landed = []
    ordered = sorted(coming.values(), key=lambda pair: natural(pair[0].text))
    for number, (name, staged) in enumerate(ordered):
        running.advance(number, len(ordered))
        outcomes = ready(name, staged)
        landed.append(
            land(command, name, outcomes, move=True, before=before, source=listing.source)
        )
        reach("next class")
    return landed


class _Settled(NamedTuple):
    """How many items were removed, the classes that have none left, and what had to stay."""

    removed: int = 0
    emptied: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()


def _settle(
    command: Command, listing: Listing, comparison: Comparison, *, delete: bool
) -> _Settled:
    """Note where pictures lie and from where they are gone, and remove items if asked for.

    Nothing is removed where rows of a manifest could not be used: one of them may be of it.
    """
    gone = comparison.gone if delete and not listing.bad_rows else []
    refused: list[Refusal] = []
    changes: list[Change] = []
    if not (comparison.noted or comparison.retimed or comparison.dropped or gone):
        return _Settled()
    with command.store.writing() as tx:
        inventory.retime(tx, comparison.retimed)
        if not (comparison.noted or comparison.dropped or gone):
            return _Settled()  # no event: `undo` is to take back what someone did
        places = list(comparison.dropped)
        fixed = compaction.items(tx)
        changed = inventory.sighted_since(tx, comparison.generation)
        for one in gone:
            slot = inventory.find_slot(tx, one.item)
            if one.item in changed or slot != comparison.slots[one.item]:
                continue  # someone said something else of it meanwhile; the next run sees to it
            if one.item in fixed:
                detail = f"its descriptor in class {one.label!r} was dropped, so it has to stay"
                refused.append(Refusal(one.places[0], "conflict", detail))
            elif slot is not None:
                changes.append(Change(one.item, slot, None))
                places += [(one.item, path) for path in comparison.vacated[one.item]]
        told = {"from": listing.source, "items": len(changes)}
        event = journal.record(tx, "sync", told, changes, command.event)
        # A manifest may list a picture twice; its last row counts.
        noted = {(item, shown.path): shown for item, shown in comparison.noted}
        for (item, _), shown in noted.items():
            inventory.note_sources(tx, [(item, shown.place)], event, shown.name.text)
        inventory.note_gone(tx, places, event)
        command.event = command.event or event
        emptied = classes.emptied(tx, {c.before for c in changes if c.before is not None})
        reach("settling")
    reach("settled")
    return _Settled(len(changes), emptied, tuple(refused))


def _coming(comparison: Comparison) -> dict[Identity, Coming]:
    """The pictures that come to classes, each once, though it may lie in several places."""
    found: dict[Identity, Coming] = {}
    for which, one in comparison.coming:
        slot = comparison.slots[which]
        before = None if slot is None else comparison.names[slot].text
        found[which] = Coming(one.path, one.name.text, before)
    return found


def _told(
    listing: Listing,
    looked: _Looked,
    landed: Sequence[Added] | None = None,
    settled: _Settled | None = None,
    done: tuple[int | None, int | None] = (None, None),
) -> Synced:
    """What there is to say.

    Args:
        listing: of the source.
        looked: what was found in it.
        landed: what came to classes; None of a trial.
        settled: what was done about the rest.
        done: the first event, and the job.
    """
    settled = settled or _Settled()
    comparison, added_to = looked.comparison, landed or ()
    coming = _coming(comparison)
    refused = (*looked.refused, *(r for added in added_to for r in added.refused), *settled.refused)
    emptied = {label for added in added_to for label in added.emptied} | {*settled.emptied}
    return Synced(
        str(listing.source),
        tuple(added_to),
        new=tuple(one for one in coming.values() if one.before is None),
        changed=tuple(comparison.changed),
        moved=tuple(comparison.moved),
        relabelled=tuple(one for one in coming.values() if one.before is not None),
        unchanged=comparison.unchanged,
        gone=tuple(comparison.gone),
        removed=settled.removed,
        emptied=tuple(sorted(emptied, key=natural)),
        by_hand=tuple(comparison.by_hand),
        refused=refused,
        refused_classes=looked.refused_classes,
        renamed=looked.renamed,
        passed_over=listing.passed_over,
        unread=listing.unread,
        bad_rows=listing.bad_rows,
        notes=listing.notes,
        dry_run=landed is None,
        command=done[0],
        job=done[1],
    )
