"""Pictures of many classes, each class landed in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from itertools import groupby
from operator import attrgetter

from catalog.changes.command import Command
from catalog.changes.landing import Added, Imported, land
from catalog.changes.made_up import ready_to_land
from catalog.changes.staging import Staged, StagedFor, Staging, called, occasions_by
from catalog.descriptors import InvalidLabel
from catalog.jobs import running as jobs
from catalog.jobs.running import Running
from catalog.learning.opened import Opened
from catalog.learning.training import TrainingProgress
from catalog.manifest import ClassLevel, Entry, Labelled, Listing, level_for, listed
from catalog.manifest.pictures import Progress, Refusal, counted
from catalog.store.failpoints import reach
from catalog.store.heads import training_named
from catalog.store.names import Name, clean_label
from catalog.text import natural

_FEW = 64
"""An import of so many pictures is over before anyone could look at it, and is no job."""


def import_(
    catalog: Opened,
    source: Labelled,
    *,
    move: bool = False,
    head: str | None = None,
    split: str | None = None,
    part: str | None = None,
    seed: int = 0,
    class_level: ClassLevel | None = None,
    group_by: str | None = None,
    made_up: bool = True,
    progress: Progress | None = None,
    training: TrainingProgress | None = None,
) -> Imported:
    """Add pictures of many classes, each class in a transaction of its own.

    What is there already is left as it is, so an import that was cut short is finished by
    running it again, and nothing is embedded twice.

    Args:
        source: a folder tree or manifest, what :func:`read_manifest` made of one, or entries.
        move: take pictures away from other classes, instead of refusing them.
        head: as for :meth:`add_class`.
        split: take one part of the pictures, split at random in these sizes, such as ``80/20``.
        part: which: ``train``, ``validation`` or ``test``.
        seed: of the split.
        class_level: which folders of a tree name classes, as for :func:`read_manifest`; it has to
            be said where several folders have one name.
        group_by: ``folder``: pictures of a class that lie in one folder are of one occasion, and
            vouch for each other no more than one of them would, unless the manifest names their
            group; by default that is told by when a camera took them, and by how alike they are.
        made_up: make up photos of a picture where its class has no other to hold out, as evidence
            of how sure answers may be.
        progress: told of each picture.
        training: told of each batch of a ``document`` training.

    Raises:
        NotFound, InvalidInput: as :func:`read_manifest` does, or there is no such way to train
            a head or to group pictures.
        Cancelled: it was asked to stop; what was done is kept.
    """
    way = training_named(head) if head else None
    named = occasions_by(group_by)
    listing = listed(source, split, part, seed, level_for(class_level, group_by))
    request = {
        "source": listing.source, "move": move, "head": head, "split": split, "part": part,
        "seed": seed, "class_level": class_level, "group_by": group_by, "made_up": made_up,
    }  # fmt: skip

    def ready(name: Name, staged: StagedFor) -> list[Staged | Refusal]:
        return ready_to_land(catalog, name, staged, named, made_up=made_up)

    many = len(listing.entries) > _FEW or jobs.is_taken_up()
    job = jobs.job(catalog._store, "import", request) if many else nullcontext()
    with job as running, Command(catalog, way, training) as command:
        told = _Told(progress, running, len(listing.entries))
        done = _land_all(catalog, command, listing, ready, move=move, progress=told)
        if running is not None:
            running.fail(done.failures)
            running.count(
                new=sum(added.added for added in done.classes),
                moved=sum(added.moved for added in done.classes),
                unchanged=sum(added.known for added in done.classes),
                refused=len(done.failures),
            )
    return done


class _Told:
    """Who is told of each picture: the caller, and whoever looks at the job, if it is one."""

    def __init__(self, progress: Progress | None, job: Running | None, total: int) -> None:
        self._progress = progress
        self._job = job
        self._done, self._total = 0, total

    def __call__(self, count: int) -> None:
        if self._progress is not None:
            self._progress(count)
        self._done += count
        if self._job is not None:
            self._job.report(self._done, self._total)


def _land_all(
    catalog: Opened,
    command: Command,
    listing: Listing,
    ready: Callable[[Name, StagedFor], list[Staged | Refusal]],
    *,
    move: bool,
    progress: Progress | None,
) -> Imported:
    """Stage pictures in one stream, and land each class as soon as its last picture is staged."""
    landed: list[Added] = []
    refused: dict[str, str] = {}
    respelt: dict[str, str] = {}
    classes = importable(listing.entries, refused)
    pictures = (entry.picture for own in classes.values() for entry in own)
    outcomes = counted(Staging(catalog).stage(pictures), progress)
    for name, own in classes.items():
        staged = StagedFor([])
        for entry, outcome in zip(own, outcomes, strict=False):  # the rest are of other classes
            staged.add(called(outcome, entry.group), entry.picture)
        added = land(command, name, ready(name, staged), move=move, source=listing.source)
        landed.append(added)
        respelt |= {
            entry.label: added.label for entry in own if clean_label(entry.label) != added.label
        }
        reach("next class")
    return Imported(
        tuple(landed), refused, respelt, listing.passed_over, listing.unread, listing.bad_rows
    )


def importable(entries: Iterable[Entry], refused: dict[str, str]) -> dict[Name, list[Entry]]:
    """Pictures by class, for every class that can be made; the others are noted in ``refused``.

    Of several spellings of a class the first counts, in natural order.
    """
    classes: dict[str, tuple[Name, list[Entry]]] = {}
    ordered = sorted(entries, key=lambda entry: natural(entry.label))
    for given, group in groupby(ordered, key=attrgetter("label")):
        try:
            name = Name.parse(given)
        except InvalidLabel as error:
            refused[given] = str(error)
            continue
        classes.setdefault(name.key, (name, []))[1].extend(group)
    return dict(classes.values())
