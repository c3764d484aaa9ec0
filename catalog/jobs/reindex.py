"""Another embedder for a catalogue, brought in beside the one in use, which goes on answering."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.descriptors import Advice, Conflict
from catalog.embedder import Embedder, MobileNetEmbedder, descriptor_name, models, preset_name
from catalog.jobs.refill import Unreadable, refill
from catalog.jobs.running import JobProgress, job
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.store import Transaction, binding, compaction, embedders


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What came of reindexing.

    Attributes:
        fingerprint: of the embedder that was brought in; of the one in use where all that is
            derived from its descriptors was made anew.
        embedded: how many pictures were embedded.
        items: how many items that embedder has descriptors of by now.
        unreadable: the items whose pictures could not be read again.
        job: its number; None where nothing was to be embedded.
        in_use: whether that embedder is the one in use, so that there was nothing to bring in.
    """

    fingerprint: str
    embedded: int
    items: int
    unreadable: tuple[Unreadable, ...] = ()
    job: int | None = None
    in_use: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether the catalogue can go over to that embedder without losing an item."""
        return not self.unreadable


def reindex(
    catalog: Opened,
    *,
    backbone: str | None = None,
    views: str | None = None,
    descriptor: str | None = None,
    embedder: Embedder | None = None,
    progress: JobProgress | None = None,
) -> Reindexed:
    """Embed every picture anew, by another network, preset or descriptor, from its recorded place.

    The descriptors go beside those in use, which go on answering; what comes meanwhile is embedded
    by both. :meth:`promote` goes over to them. Cut short, it is finished by running it again.
    Without arguments nothing is embedded: all that is derived from the descriptors is made anew.

    Args:
        backbone: as for :meth:`init`; by default the network in use.
        views: as for :meth:`init`; by default the preset in use.
        descriptor: as for :meth:`init`; by default that in use, or what is best for another
            ``backbone``.
        embedder: to use instead of a network from the model cache; it stays the caller's to close.
        progress: told how many pictures are embedded, and of how many.

    Raises:
        NotFound: there is no such network.
        BackboneError: the network cannot be used, or not with that descriptor.
        InvalidInput: there is no such preset or descriptor.
        Conflict: another one is being brought in, or kept, already; or descriptors were dropped by
            :meth:`compact`.
        Locked: another process is at the same.
        Cancelled: it was asked to stop; what was embedded is kept.
    """
    if not (backbone or views or descriptor or embedder):
        return _derived_anew(catalog)
    bound = _brought_in(catalog, backbone, views, descriptor, embedder)
    if bound is None:
        return _told(catalog, catalog._bound, in_use=True)
    return embed_all(catalog, bound, progress)


def embed_all(catalog: Opened, bound: Bound, progress: JobProgress | None = None) -> Reindexed:
    """Embed what an embedder lacks, as a job."""
    request = {"embedder": bound.fingerprint}
    with job(catalog._store, "reindex", request, about="embedder", progress=progress) as running:
        embedded, left = refill(catalog, bound, running)
        running.count(embedded=embedded, refused=len(left))
    with catalog._store.reading() as tx:
        items = embedders.described(tx, bound.binding.id)
    return Reindexed(bound.fingerprint, embedded, items, left, running.id)


def resume(catalog: Opened, fingerprint: str, progress: JobProgress | None = None) -> Reindexed:
    """Go on with an embedder that was being brought in.

    Raises:
        Conflict: it was dropped since.
    """
    for bound in catalog._every_bound():
        if bound.fingerprint == fingerprint:
            return embed_all(catalog, bound, progress)
    raise Conflict(f"embedder {fingerprint[:12]} was dropped since, so there is nothing to take up")


def _derived_anew(catalog: Opened) -> Reindexed:
    catalog._discard()
    bound = catalog._asking(_learnt)
    bound.keeper.save()
    return _told(catalog, bound)


def _told(catalog: Opened, bound: Bound, *, in_use: bool = False) -> Reindexed:
    with catalog._store.reading() as tx:
        items = embedders.described(tx, bound.binding.id)
    return Reindexed(bound.fingerprint, 0, items, in_use=in_use)


def _learnt(bound: Bound) -> Bound:
    bound.keeper.judge(lambda _: None)
    return bound


def _brought_in(
    catalog: Opened,
    backbone: str | None,
    views: str | None,
    descriptor: str | None,
    embedder: Embedder | None,
) -> Bound | None:
    """The catalogue as the wanted embedder has it, which is taken in if need be.

    None if it is the one in use.
    """
    with catalog._store.reading() as tx:
        _require_free(tx)
        own = binding.read(tx).specification
    made = None
    if embedder is None:
        model = models.find(backbone) if backbone else models.find(own.backbone)
        if descriptor is None and model.sha256 == own.backbone:
            descriptor = descriptor_name(own)
        made = embedder = MobileNetEmbedder(model, views or preset_name(own.views), descriptor)
    try:
        row = binding.record(embedder)
    finally:
        if made is not None:
            made.close()
    with catalog._store.writing() as tx:
        _require_free(tx)
        if row["fingerprint"] == binding.read(tx).fingerprint:
            return None
        found = embedders.others(tx) or [embedders.add(tx, row)]
        bound = catalog._bound_to(tx, found[0])
        if bound.fingerprint != row["fingerprint"]:
            raise Conflict(
                f"this catalogue has descriptors of another embedder, {bound.fingerprint[:12]}, "
                "beside those in use already",
                Advice("drop embedder"),
            )
    if made is None:
        bound.use(embedder)
    return bound


def _require_free(tx: Transaction) -> None:
    """Make sure that every item can be embedded anew.

    Raises:
        Conflict: descriptors were dropped, and their sums cannot be had by another embedder.
    """
    if compaction.has_dropped(tx):
        raise Conflict(
            "descriptors of this catalogue were dropped by `compact`, and their sums cannot be had "
            "by another embedder; make a new catalogue of the pictures"
        )
