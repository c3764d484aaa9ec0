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
"""How old a count becomes in memory before the next question writes it."""

BUSY_SECONDS = 0.2
"""How long to wait for others who write; longer, and an answer would wait for its being counted."""


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

    Counting is not worth an answer: what cannot be written is left. Where others write, it is tried
    again later; a file that cannot be written, or is of an older format, stays as it is. What a
    process has not written when it is killed is lost.

    Args:
        store: of the catalogue.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: Counter[tuple[Version, str, Slot, Verdict]] = Counter()
        self._since = 0.0  # by the clock that is never put back

    def count(self, told: Told) -> None:
        """Count some answers, and write what has waited for long."""
        if not told.verdicts:
            return
        day = now()[:10]
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            for slot, verdict in told.verdicts:
                self._waiting[told.version, day, slot, verdict] += 1
            due = time.monotonic() - self._since >= WAITING_SECONDS
        if due:
            self.write()

    def write(self) -> None:
        """Write what was counted, in one short transaction, if that can be done at once."""
        if self._store.forked:
            return  # another thread may have had the lock when the process was forked
        with self._lock:
            taken, self._waiting = self._waiting, Counter()
        if not taken:
            return
        try:
            self._write(taken)
        except Locked as error:
            _log.debug("not counted yet: %s", error)
            with self._lock:
                self._waiting.update(taken)
                self._since = time.monotonic()
        except CatalogError as error:
            _log.debug("not counted: %s", error)

    def _write(self, taken: Counter[tuple[Version, str, Slot, Verdict]]) -> None:
        with self._store.writing(BUSY_SECONDS, upgrading=False) as tx:
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
