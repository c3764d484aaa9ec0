"""What answers came to, counted in memory and written to the file now and then."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import NamedTuple

from catalog.descriptors import CatalogError, Locked
from catalog.judging.cross_check import Verdict
from catalog.store import Slot, asked, journal
from catalog.store.asked import Count
from catalog.store.journal import Version
from catalog.store.store import Store, now

_log = logging.getLogger(__name__)

WAITING_SECONDS = 60.0
"""How old a count becomes in memory before it is written, when the next question comes."""

BUSY_SECONDS = 0.2
"""How long to wait for others who write, if it can be tried again later."""

LAST_SECONDS = 2.0
"""How long to wait for them when the catalogue is closed."""


class Told(NamedTuple):
    """What answers of one state came to.

    Attributes:
        version: the state.
        verdicts: of each answer the slot of the class that it names, and its verdict.
    """

    version: Version
    verdicts: tuple[tuple[Slot, Verdict], ...]


class AskedCounts:
    """Counts verdicts by day and class; one for each open catalogue, for any number of threads.

    No answer waits for it: a thread of its own writes. Where others write, it is tried again later;
    a file that cannot be written, or is of an older format, stays as it is. What a process has not
    written when it is killed is lost, and what it could not write in the end.

    Args:
        store: of the catalogue.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: Counter[tuple[Version, str, Slot, Verdict]] = Counter()
        self._since = 0.0  # by the clock that is never put back
        self._writer: threading.Thread | None = None

    def count(self, told: Told) -> None:
        """Count some answers, and have written what has waited for long."""
        if not told.verdicts:
            return
        day = now()[:10]
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            for slot, verdict in told.verdicts:
                self._waiting[told.version, day, slot, verdict] += 1
            due = time.monotonic() - self._since >= WAITING_SECONDS
            if due and (self._writer is None or not self._writer.is_alive()):
                self._writer = threading.Thread(target=self.write, name="counts", daemon=True)
                self._writer.start()

    def close(self) -> None:
        """Write what was counted, for the last time."""
        if self._store.forked:
            return
        if self._writer is not None:
            self._writer.join()
        self.write(LAST_SECONDS)

    def write(self, busy_seconds: float = BUSY_SECONDS) -> None:
        """Write what was counted, in one short transaction, if others do not write for so long."""
        if self._store.forked:
            return  # another thread may have had the lock when the process was forked
        with self._lock:
            taken, self._waiting = self._waiting, Counter()
        if not taken:
            return
        try:
            self._write(taken, busy_seconds)
        except Locked as error:
            _log.debug("not counted yet: %s", error)
            with self._lock:
                self._waiting.update(taken)
                self._since = time.monotonic()
        except CatalogError as error:
            _log.debug("not counted: %s", error)

    def _write(
        self, taken: Counter[tuple[Version, str, Slot, Verdict]], busy_seconds: float
    ) -> None:
        with self._store.writing(busy_seconds, upgrading=False) as tx:
            # Another history may have been restored meanwhile, in which slots are of other classes.
            own = {version for version, *_ in taken if journal.is_ancestor(tx, version)}
            asked.add(
                tx,
                [
                    Count(day, slot, verdict, pictures)
                    for (version, day, slot, verdict), pictures in taken.items()
                    if version in own
                ],
            )
            asked.drop_old(tx, now()[:10])
