"""The pictures that an embedder lacks descriptors of, embedded from where they were found."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.changes.made_up import photos_of
from catalog.descriptors import PictureError, to_bytes, to_integers
from catalog.embedder import Picture
from catalog.jobs.running import Running
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.manifest.pictures import Refusal, hold_each, picture_at
from catalog.store import ItemId, Transaction, embedders, inventory, made_up
from catalog.store.embedders import Lacking
from catalog.store.failpoints import reach

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item whose picture could not be read again, so that an embedder has no descriptor of it.

    Attributes:
        item: its id.
        label: its class.
        places: where it was found, the latest first.
        detail: why it could not be read.
    """

    item: int
    label: str
    places: tuple[str, ...]
    detail: str


def refill(catalog: Opened, bound: Bound, running: Running) -> tuple[int, tuple[Unreadable, ...]]:
    """Embed what an embedder lacks, from the places where pictures were found.

    A picture is taken from the place where it was found last, if it is still the same there, else
    from the one before. What was embedded before a kill is not embedded again.

    Args:
        catalog: whose pictures they are.
        bound: to the embedder.
        running: the job that this is; gets what could not be read as its failures.

    Returns:
        How many pictures were embedded, and the items that the embedder still lacks.

    Raises:
        Conflict: the embedder was dropped meanwhile.
        Cancelled: someone asked the job to stop; what was embedded is kept.
    """
    refilling = _Refill(catalog, bound, running)
    refilling.run()
    with catalog._store.reading() as tx:
        names = {row.slot: row.label for row in inventory.label_counts(tx)}
        left = embedders.items_without(tx, bound.binding.id)
    return refilling.done, tuple(
        Unreadable(
            item,
            names[slot],
            tuple(refilling.places[item]),
            refilling.why[item].detail,
        )
        for item, slot in left
        if item in refilling.why
    )


def _places(tx: Transaction, wanted: Sequence[Lacking]) -> defaultdict[ItemId, list[str]]:
    """Where pictures were found, each the latest first."""
    items = {one.item for one in wanted}
    found: defaultdict[ItemId, list[str]] = defaultdict(list)
    for sighting in reversed(inventory.sightings(tx)):
        if sighting.item in items and not sighting.gone:
            found[sighting.item].append(sighting.place.path)
    for item in items - found.keys():
        if place := inventory.kept_place(tx, item):
            found[item].append(place)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Embedded:
    """A picture that was embedded: its descriptor, and those of photos made up of it, if wanted."""

    one: Lacking
    descriptor: NDArray[np.float32]
    photos: NDArray[np.int16] | None


class _Refill:
    """A run of :func:`refill`.

    Attributes:
        done: how many pictures were embedded.
        why: why pictures could not be taken from the place that was tried last, by item.
        places: where pictures were found, each the latest first.
    """

    def __init__(self, catalog: Opened, bound: Bound, running: Running) -> None:
        self.done = 0
        self.why: dict[ItemId, Refusal] = {}
        self.places: defaultdict[ItemId, list[str]] = defaultdict(list)
        self._store = catalog._store
        self._bound = bound
        self._running = running
        self._pending: dict[ItemId, Lacking] = {}
        self._tried: set[ItemId] = set()

    def run(self) -> None:
        """Embed what can be read, also what comes meanwhile, and note what cannot."""
        self._running.at("embedding")
        while self._take_up():
            attempt = 0
            while trying := [
                (one, self.places[one.item][attempt])
                for one in self._pending.values()
                if attempt < len(self.places[one.item])
            ]:
                batch: list[_Embedded] = []
                for embedded in self._embedded(trying):
                    batch.append(embedded)
                    if len(batch) == _BATCH:
                        self._keep(batch)
                        batch = []
                self._keep(batch)
                attempt += 1
        self._running.fail(list(self.why.values()), list(self.why))

    def _take_up(self) -> bool:
        """Take up what is lacking and was not tried yet; returns whether there is any."""
        with self._store.reading() as tx:
            lacking = embedders.lacking(tx, self._bound.binding.id)
            wanted = [one for one in lacking if one.item not in self._tried]
            self.places.update(_places(tx, wanted))
        self._pending = {}
        for one in wanted:
            self._tried.add(one.item)
            if self.places[one.item]:
                self._pending[one.item] = one
            elif one.is_item:
                detail = "it was given as bytes or pixels, or its places were forgotten"
                self.why[one.item] = Refusal(f"item {one.item}", "no place", detail)
        return bool(wanted)

    def _embedded(self, trying: Sequence[tuple[Lacking, str]]) -> Iterator[_Embedded]:
        """Descriptors of the pictures that are as they were at a place, in order."""
        asked: deque[tuple[Lacking, str, Picture]] = deque()
        with closing(hold_each(picture_at(place) for _, place in trying)) as read:

            def unchanged() -> Iterator[Picture]:
                for (one, place), held in zip(trying, read, strict=True):
                    if isinstance(held, Refusal):
                        self.why[one.item] = held
                    elif held.content != one.content:
                        detail = "another picture lies there by now"
                        self.why[one.item] = Refusal(place, "another", detail)
                    else:
                        asked.append((one, place, held.picture))
                        yield held.picture

            embedder = self._bound.embedder
            for row in embedder.embed_each(unchanged()):
                one, place, picture = asked.popleft()
                if isinstance(row, PictureError):
                    self.why[one.item] = Refusal(place, row.reason, row.detail)
                    continue
                photos = None
                if one.made_up is not None:
                    with suppress(PictureError):  # they are evidence of how sure answers are
                        photos = photos_of(embedder, picture, one.content)
                yield _Embedded(one, row, photos)

    def _keep(self, batch: Sequence[_Embedded]) -> None:
        """Store what was embedded."""
        if not batch:
            return
        stored = self._bound.stored
        with self._store.writing() as tx:
            self._bound.require_there(tx)
            for embedded in batch:
                one = embedded.one
                stored.add(tx, one.content, to_bytes(to_integers(embedded.descriptor)))
                if embedded.photos is not None and one.made_up is not None:
                    made_up.keep_beside(tx, stored, one.item, embedded.photos, one.made_up)
            reach("reindexing")
        reach("reindexed")
        for embedded in batch:
            del self._pending[embedded.one.item]
            self.why.pop(embedded.one.item, None)
        self.done += len(batch)
        self._running.report(self.done, self.done + len(self._pending))
