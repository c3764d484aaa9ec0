"""The keeper of a catalogue's snapshots: looks whether the store has moved, and builds the next."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from catalog.descriptors import CatalogError, Superseded, Switched
from catalog.head import Head
from catalog.index import ItemIndex
from catalog.learning.learning import Learning
from catalog.learning.rows import Rows
from catalog.learning.snapshot import JudgingSnapshot, Snapshot
from catalog.store import Transaction, embedders, journal, moment
from catalog.store.binding import Binding
from catalog.store.embedders import EmbedderId
from catalog.store.journal import Version
from catalog.store.moment import Moment
from catalog.store.store import Store

_Answer = TypeVar("_Answer")
_Read = TypeVar("_Read")
_Kept = TypeVar("_Kept", bound=Snapshot)

_log = logging.getLogger(__name__)

_TRIES = 5

UNSAVED_SECONDS = 10.0
"""After how much computing what was learnt is saved."""


class Keeper:
    """Gives any number of threads the snapshot to ask; one for each open catalogue.

    Before each question it reads the store's version, in one short transaction, so what was written
    before the question is in the answer, whoever wrote it. One thread at a time builds, outside any
    transaction; the others wait for what it builds, or go on with what they have.

    Args:
        store: of the catalogue.
        cache: folder of the derived files.
        rows: the stored descriptors.
        binding: the embedder whose descriptors they are.
        ahead: answer though that embedder is not the active one yet.
    """

    def __init__(
        self, store: Store, cache: Path, rows: Rows, binding: Binding, *, ahead: bool = False
    ) -> None:
        self._store = store
        self._embedder_id, self._fingerprint = binding.id, binding.fingerprint
        self._ahead = ahead
        self._learning = Learning(store, cache, rows, binding.fingerprint, binding.prior)
        self._building = threading.RLock()
        self._moment: Moment | None = None
        self._latest: Snapshot | None = None
        self._unsaved = 0.0  # seconds of computing

    def nearest(self, ask: Callable[[Snapshot], _Answer]) -> _Answer:
        """Ask what finds nearest items in the present state.

        Args:
            ask: gives the answer; called again if descriptors are dropped meanwhile.

        Raises:
            Superseded: that happened again and again.
            Switched: another embedder is active by now.
        """
        return self._settled(lambda: ask(self._present(Snapshot, self._built, _nothing)))

    def judge(self, ask: Callable[[JudgingSnapshot], _Answer]) -> _Answer:
        """Ask what names classes in the present state; as :meth:`nearest`."""
        return self._settled(
            lambda: ask(self._present(JudgingSnapshot, self._judged, self._learning.read_head))
        )

    def compute(self, ask: Callable[[Learning, Moment], _Answer]) -> _Answer:
        """Ask for anything else that follows from the present state; as :meth:`nearest`.

        Others wait for it, if they need what is not at hand yet.
        """
        return self.compute_beside(_nothing, lambda learning, now, _: ask(learning, now))

    def compute_beside(
        self,
        read: Callable[[Transaction, Moment], _Read],
        ask: Callable[[Learning, Moment, _Read], _Answer],
    ) -> _Answer:
        """As :meth:`compute`, with more that is read of the same state, however fast it moves on.

        Args:
            read: reads it, within the transaction that the moment is read in.
            ask: gives the answer.
        """

        def compute() -> _Answer:
            with self._building:
                now, found = self._read_beside(read)
                return ask(self._learning, now, found)

        return self._settled(compute)

    def known_head(self, version: Version) -> Head | None:
        """The exact head of a state if it was solved already, without solving it."""
        return self._learning.known_head(version)

    def check(self) -> bool:
        """Whether the sums at hand are those of the descriptors; if not, all is learnt anew."""
        sound = self.compute(Learning.check)
        if not sound:
            self._latest = None
        return sound

    def discard(self) -> None:
        """Delete the derived files, and let go of all that was learnt."""
        with self._building:
            self._learning.discard()
            self._moment = self._latest = None

    def delete_files(self) -> None:
        """Delete the derived files, while others may be learning: they may write them again."""
        self._learning.delete_files()

    def let_go(self) -> None:
        """Keep what was learnt in the derived files alone: it is not asked for any more."""
        with self._building:
            self.save()
            self._learning.let_go()
            self._moment = self._latest = None

    def save(self) -> None:
        """Keep what was learnt for the next time, if the catalogue still has the embedder."""
        with self._building:
            self._unsaved = 0.0
            with contextlib.suppress(CatalogError):  # it costs time at the next start
                with self._store.reading() as tx:
                    if not self._is_own(tx, self._embedder_id):
                        return
                self._learning.save()

    def _present(
        self,
        kind: type[_Kept],
        build: Callable[[Learning, Moment], _Kept],
        read: Callable[[Transaction, Moment], object],
    ) -> _Kept:
        with self._store.reading() as tx:
            self._require_active(tx)
            version = journal.version(tx)
        latest = self._latest
        if isinstance(latest, kind) and latest.version == version:
            return latest
        with self._building:
            latest = self._latest  # another thread may have built it meanwhile
            if not (isinstance(latest, kind) and latest.version == version):
                began = time.monotonic()
                latest = build(self._learning, self._read_beside(read)[0])
                self._latest = latest
                _log.info(
                    "snapshot of generation %d, %d items in %d classes, in %.2f s",
                    latest.version.generation,
                    len(latest.moment),
                    len(latest.moment.order),
                    time.monotonic() - began,
                )
        return latest

    def _read_beside(self, read: Callable[[Transaction, Moment], _Read]) -> tuple[Moment, _Read]:
        """The present moment, and more of the same state, in one transaction."""
        with self._store.reading() as tx:
            self._require_active(tx)
            self._moment = moment.read(tx, self._embedder_id, self._moment)
            if self._ahead:
                self._moment = self._moment.of_its_own()
                if embedders.items_without(tx, self._embedder_id):
                    # They may come without an event, so what is learnt now is of no state later.
                    self._learning.stay_in_memory()
            return self._moment, read(tx, self._moment)

    def _require_active(self, tx: Transaction) -> None:
        """Make sure that descriptors of the active embedder are asked.

        Raises:
            Switched: another one is active.
        """
        active = embedders.active(tx)
        if not self._ahead and not self._is_own(tx, active):
            raise Switched("the catalogue went over to another embedder meanwhile; ask again")

    def _is_own(self, tx: Transaction, embedder: EmbedderId) -> bool:
        """Whether it is this embedder: where a backup is restored, numbers are given out again."""
        return (
            embedder == self._embedder_id
            and embedders.fingerprint(tx, embedder) == self._fingerprint
        )

    def _built(self, learning: Learning, now: Moment) -> Snapshot:
        latest = self._latest
        if latest is not None and latest.version == now.version:
            return latest
        metric, centroids = self._timed(lambda: learning.metric(now))
        epoch, index = self._timed(lambda: learning.items(now))
        is_exact = epoch == now.version
        if is_exact and index.epoch.equals(metric):  # one of them is read less often than two
            index = ItemIndex(metric, index.rows, index.changes)
        return Snapshot(now, metric, centroids, index, is_exact)

    def _judged(self, learning: Learning, now: Moment) -> JudgingSnapshot:
        found = self._built(learning, now)
        head = self._timed(lambda: learning.head(now))
        if head is not None and head.metric.equals(found.metric):
            head = head._replace(metric=found.metric)
        sure = self._timed(lambda: learning.calibration(now))
        return JudgingSnapshot(
            now, found.metric, found.centroids, found.index, found.is_exact, head, sure
        )

    def _timed(self, compute: Callable[[], _Answer]) -> _Answer:
        """Compute, and save what was learnt if that took long: a kill would cost it again."""
        began = time.monotonic()
        found = compute()
        self._unsaved += time.monotonic() - began
        if self._unsaved >= UNSAVED_SECONDS:
            self.save()
        return found

    def _settled(self, ask: Callable[[], _Answer]) -> _Answer:
        """Ask until it is not disturbed by descriptors that are dropped.

        Raises:
            Superseded: it was, again and again.
            Damaged: rows that were read contradict each other.
        """
        with self._store.explained():
            for _ in range(_TRIES):
                with contextlib.suppress(Superseded):
                    return ask()
            return ask()


def _nothing(_tx: Transaction, _moment: Moment) -> None:
    """What is read beside a moment that is all that is needed."""
