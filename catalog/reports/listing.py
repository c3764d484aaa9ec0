"""What a catalogue is and holds: its classes, items and history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.descriptors import CatalogError, InvalidInput
from catalog.embedder import Specification, descriptor_name, models, preset_name
from catalog.head import Curves
from catalog.learning.bound import Bound
from catalog.learning.learning import Learning
from catalog.learning.opened import Opened
from catalog.store import (
    Transaction,
    binding,
    embedders,
    heads,
    inventory,
    journal,
    thumbnails,
)
from catalog.store.heads import HeadTraining
from catalog.store.inventory import Item, LabelCount
from catalog.store.journal import Event
from catalog.store.moment import Moment
from catalog.store.names import Name


@dataclass(frozen=True, slots=True)
class OtherEmbedder:
    """An embedder whose descriptors are in a catalogue, and do not count.

    Attributes:
        fingerprint: of it.
        backbone: name of its network, or the start of its SHA-256 if it is not on this machine.
        views: name of its view preset.
        descriptor: as of :class:`Info`.
        items: how many items it has descriptors of.
        was_used: whether it was in use before, and can be gone back to; else it is brought in.
    """

    fingerprint: str
    backbone: str
    views: str
    descriptor: str
    items: int
    was_used: bool


@dataclass(frozen=True, slots=True)
class Info:
    """What a catalogue is.

    Attributes:
        path: of its file.
        format: version of the file format.
        generation: number of the last event.
        created: UTC, ISO 8601.
        classes: how many there are.
        items: how many there are.
        staged: pictures whose descriptors are stored, but which are in no class.
        bytes: size of the file.
        fingerprint: of the embedder.
        backbone: name of the network, or the start of its SHA-256 if it is not on this machine.
        views: name of the view preset.
        descriptor: ``512``, ``1280`` or ``2048`` numbers of several layers of the network, or
            ``pooled``: the last layer alone.
        prior: whether it was measured how photos of one thing differ, for this backbone, preset and
            descriptor.
        head: how the softmax head is trained: ``exact``, ``frozen``, ``document`` or ``none``.
        learning_state: hash of the sums that everything is learnt from; catalogues with equal ones,
            an ``exact`` head and no dropped descriptors give equal answers.
        thumbnails: whether a small copy of each picture is kept.
        other: the embedder that is brought in, or that can be gone back to; None without one.
    """

    path: Path
    format: int
    generation: int
    created: str
    classes: int
    items: int
    staged: int
    bytes: int
    fingerprint: str
    backbone: str
    views: str
    descriptor: str
    prior: bool
    head: HeadTraining
    learning_state: str
    thumbnails: bool = False
    other: OtherEmbedder | None = None


def labels(catalog: Opened) -> list[LabelCount]:
    """The classes, in the natural order of their names: 2 before 10."""
    with catalog._store.reading() as tx:
        return inventory.label_counts(tx)


def searched(found: Sequence[LabelCount], text: str) -> tuple[LabelCount, ...]:
    """Those classes whose names hold a text: that of this very name first, then what begins so.

    Args:
        found: classes.
        text: in whatever case; with an empty one all of them are found, as they are.
    """
    wanted = text.casefold()
    names = [(one.label.casefold(), one) for one in found]
    holding = [(name, one) for name, one in names if wanted in name]
    if wanted:
        holding.sort(key=lambda pair: (pair[0] != wanted, not pair[0].startswith(wanted)))
    return tuple(one for _, one in holding)


def items(
    catalog: Opened, label: str | None = None, *, after: int = 0, limit: int | None = None
) -> list[Item]:
    """The items, of one class or of all, in the order of their ids.

    Args:
        label: the class; all by default.
        after: only items of higher ids: the last id of a page gives the next.
        limit: so many at most.

    Raises:
        NotFound: there is no such class.
        InvalidInput: the limit is less than 1.
    """
    if limit is not None and limit < 1:
        raise InvalidInput(f"at least 1 item can be listed, not {limit}")
    with catalog._store.reading() as tx:
        return inventory.items(tx, None if label is None else Name.parse(label), after, limit)


def item(catalog: Opened, item: int) -> Item:
    """One item, by its id.

    Args:
        item: its id.

    Raises:
        NotFound: there is no such item.
    """
    with catalog._store.reading() as tx:
        return inventory.item(tx, inventory.item_id(item))


def info(catalog: Opened) -> Info:
    """What this catalogue is."""
    return catalog._asking(lambda bound: _info(catalog, bound))


def _info(catalog: Opened, bound: Bound) -> Info:
    specification = bound.binding.specification

    def read(tx: Transaction, moment: Moment) -> Info:
        counts = inventory.label_counts(tx)
        return Info(
            path=catalog.path,
            format=inventory.format_version(tx),
            generation=moment.version.generation,
            created=inventory.created(tx),
            classes=len(counts),
            items=sum(row.items for row in counts),
            staged=inventory.staged(tx),
            bytes=catalog.path.stat().st_size,
            fingerprint=bound.fingerprint,
            backbone=backbone_name(specification),
            views=preset_name(specification.views),
            descriptor=descriptor_name(specification),
            prior=bound.binding.is_measured,
            head=heads.current(tx).training,
            learning_state="",
            thumbnails=thumbnails.are_kept(tx),
            other=_other(tx),
        )

    def complete(learning: Learning, moment: Moment, found: Info) -> Info:
        return replace(found, learning_state=learning.state(moment))

    return bound.keeper.compute_beside(read, complete)


def _other(tx: Transaction) -> OtherEmbedder | None:
    for embedder in embedders.others(tx):  # of which there is one at most
        bound_to = binding.read(tx, embedder)
        return OtherEmbedder(
            bound_to.fingerprint,
            backbone_name(bound_to.specification),
            preset_name(bound_to.specification.views),
            descriptor_name(bound_to.specification),
            embedders.described(tx, embedder),
            embedders.was_active(tx, embedder),
        )
    return None


def history(catalog: Opened, last: int | None = None) -> list[Event]:
    """What was done to this catalogue, the latest last.

    Args:
        last: only so many of the latest events.

    Raises:
        InvalidInput: last < 1.
    """
    with catalog._store.reading() as tx:
        return journal.history(tx, last)


@contextmanager
def marking(catalog: Opened, mark: str) -> Iterator[None]:
    """Mark what is done in this thread while the block lasts, so that it can be told later.

    Whoever asked for something, and has got no answer, can see by :meth:`marked` whether it was
    done.

    Args:
        mark: a word; each event has it in its ``detail``.
    """
    catalog._store.require_own_process()
    with journal.marking(mark):
        yield


def marked(catalog: Opened, mark: str) -> list[Event]:
    """What was done with a mark, among the latest 10,000 events.

    Args:
        mark: the word, or its beginning.
    """
    with catalog._store.reading() as tx:
        return journal.marked(tx, mark)


def training_curves(catalog: Opened) -> Curves | None:
    """Loss and accuracy of the last ``document`` training; None if there was none."""
    with catalog._store.reading() as tx:
        kept = heads.curves(tx, heads.current(tx))
    return None if kept is None else Curves(**kept)


def backbone_name(specification: Specification) -> str:
    """The name of an embedder's network; the start of its SHA-256 if it is not on this machine."""
    sha256 = specification.backbone
    try:
        return f"{models.find(sha256).name} ({sha256[:12]})"
    except CatalogError:
        return f"{sha256[:12]} (not on this machine)"
