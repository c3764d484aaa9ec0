"""What follows from the descriptors of a moment.

Everything here can be computed again from the catalogue file: deleting the cache folder costs time,
never data and never an answer. What kinds of things there are is in :mod:`catalog.learning.kinds`.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import (
    BLOCK_ROWS,
    WHITENING_RULE,
    Advice,
    Damaged,
    Metric,
    Prior,
    Sums,
    Superseded,
    fit,
)
from catalog.head import EXACT_RULE, Blocks, Head
from catalog.index import RENEW_ROWS
from catalog.judging.calibration import CALIBRATION_RULE, Calibrations
from catalog.judging.cross_fit import DRAWN, Pool
from catalog.learning import evidence
from catalog.learning.derived import DerivedThings
from catalog.learning.kinds import (
    CALIBRATION,
    HEAD,
    ITEMS,
    METRIC,
    SUMS,
    TABLE,
    Fitted,
    Items,
    LearntHead,
)
from catalog.learning.rows import Rows
from catalog.store import Transaction, heads, journal
from catalog.store.journal import Change, Version
from catalog.store.moment import Moment
from catalog.store.store import Store


class Learning:
    """Sums, metric, items, head and calibration, each made when it is first asked for.

    Every method answers for a moment, from what was learnt of an earlier one where that is less
    work. None holds a transaction while it computes. For one thread at a time: the
    :class:`~catalog.learning.keeper.Keeper` sees to that.

    Args:
        store: of the catalogue.
        cache: folder of the derived files.
        rows: the stored descriptors.
        fingerprint: of their embedder.
        prior: of that embedder.
    """

    def __init__(
        self, store: Store, cache: Path, rows: Rows, fingerprint: str, prior: Prior
    ) -> None:
        self._store = store
        self.rows = rows
        self._prior = prior
        self._basis = f"{fingerprint} {prior.digest} {WHITENING_RULE}"
        rules = f"{EXACT_RULE}; {DRAWN} drawn; {CALIBRATION_RULE}"
        self._things: DerivedThings[Learning] = DerivedThings(
            cache, f"{self._basis}; {rules}", TABLE
        )
        self._stored_head: tuple[Version, LearntHead] | None = None
        self._white: tuple[Version, weakref.ref[NDArray[np.float32]]] | None = None

    def state(self, moment: Moment) -> str:
        """The hash of everything learning depends on: equal states give equal answers."""
        return self._state(moment, self.sums(moment))

    def check(self, moment: Moment) -> bool:
        """Whether the sums at hand are those of the descriptors, added up afresh.

        If they are not, they are replaced, and all that was learnt from them is forgotten.
        """
        afresh = SUMS.build(self, moment)
        if self._state(moment, self.sums(moment)) == self._state(moment, afresh):
            return True
        self.discard()
        self._things.put(SUMS, moment, afresh)
        return False

    def discard(self) -> None:
        """Delete the derived files, and let go of all that was learnt."""
        self.delete_files()
        self.let_go()

    def delete_files(self) -> None:
        """Delete the derived files; what is at hand stays, and may be written again."""
        self._things.delete()

    def stay_in_memory(self) -> None:
        """Neither read derived files nor write them from now on."""
        self._things.stay_in_memory()

    def let_go(self) -> None:
        """Let go of all that was learnt, and leave the derived files as they are."""
        self._things.let_go()
        self._stored_head = self._white = None

    def save(self) -> None:
        """Write what was learnt to the cache folder, where it is not what this process found there.

        Neither a folder that cannot be written nor a locked catalogue is a reason to fail: it costs
        time at the next start.
        """
        self._things.save(self._store)

    def sums(self, moment: Moment) -> Sums:
        """The exact sums of every item's descriptor; not to be changed."""
        return self._things.of(SUMS, self, moment)

    def metric(self, moment: Moment) -> Fitted:
        """The metric, and the class centroids under it (label slots for keys)."""
        return self._things.of(METRIC, self, moment)

    def fit(self, sums: Sums, order: Sequence[int]) -> Metric:
        """The metric of some sums, their classes in an order that no history changes.

        Raises:
            Damaged: no descriptors have such sums.
        """
        try:
            return fit(sums, order, self._prior)
        except np.linalg.LinAlgError as error:
            fact = f"what was stored does not make a metric: {error}"
            raise Damaged(fact, Advice("verify")) from error

    def items(self, moment: Moment) -> Items:
        """The index of items, and the state by whose metric they are whitened."""
        return self._things.of(ITEMS, self, moment)

    def head(self, moment: Moment) -> LearntHead | None:
        """The head, and the metric its descriptors are whitened with; None if there is to be none.

        An exact head has a column for every class that has items. A stored one may lack the newest.
        """
        if moment.head.training == "none":
            return None
        return self._stored(moment) if moment.head.stored else self.exact(moment)

    def exact(self, moment: Moment) -> LearntHead:
        """The head solved from every descriptor, whichever way the catalogue's own is trained."""
        return self._things.of(HEAD, self, moment)

    def known_head(self, version: Version) -> Head | None:
        """The exact head of a state if it was solved already, without solving it."""
        learnt = self._things.known(HEAD, version)
        return learnt.head if learnt else None

    def calibration(self, moment: Moment) -> Calibrations | None:
        """How sure answers may be; None if there are too few independent pictures."""
        return self._things.of(CALIBRATION, self, moment).calibration

    def pool(self, moment: Moment, *, with_head: bool) -> Pool:
        """Every stored descriptor and what goes with it, to hold some out and judge them."""
        return Pool(
            self.rows.of(moment.items),
            moment.class_places,
            self.sums(moment),
            moment.order,
            self._prior,
            with_head,
            [slot for slot in moment.order if slot in moment.compacted],
            evidence.told(self._store, moment),
            evidence.photos(self._store, self.rows.stored, moment),
        )

    def evidence(self) -> int:
        """How much is known of pictures beside their descriptors."""
        return evidence.amount(self._store)

    def evidence_changed(self, measured: int, since: Version) -> int:
        """How much of that is not as it was in a state in which there was so much."""
        return evidence.changed(self._store, measured, since.generation)

    def whitened(self, moment: Moment, metric: Metric | None = None) -> NDArray[np.float32]:
        """The whitened descriptor of every item: float32 (N, D); not to be changed.

        Args:
            moment: to answer for.
            metric: to whiten with; by default that of the moment.
        """
        if metric is None and (white := self._still_there(moment)) is not None:
            return white
        chosen = metric or self.metric(moment).metric
        white = np.empty((len(moment), self.rows.width), np.float32)
        start = 0
        # In an order that no history changes, since rounding hangs on which rows go together.
        for block in chosen.whiten_stored(self.rows.of(moment.items)):
            white[start : start + len(block)] = block
            start += len(block)
        white.flags.writeable = False
        if metric is None:
            self._white = moment.version, weakref.ref(white)
        return white

    def white_blocks(self, moment: Moment) -> Blocks:
        """What :meth:`whitened` gives under the metric of the moment, some rows at a time.

        Where there are few rows it is all of them at once.
        """
        white = self._still_there(moment)
        if white is None and len(moment) > RENEW_ROWS:
            rows, metric = self.rows.of(moment.items), self.metric(moment).metric
            return lambda: metric.whiten_stored(rows)
        whole = self.whitened(moment) if white is None else white
        size = BLOCK_ROWS if len(moment) > RENEW_ROWS else max(len(moment), 1)
        return lambda: (whole[start : start + size] for start in range(0, len(whole), size))

    def _still_there(self, moment: Moment) -> NDArray[np.float32] | None:
        """What was whitened for a moment, if an index or anyone else has it still."""
        if self._white is None or self._white[0] != moment.version:
            return None
        return self._white[1]()

    def since(self, earlier: Version, moment: Moment) -> list[Change] | None:
        """What has changed from an earlier state to a moment; None if that cannot be told."""
        with self._store.reading() as tx:
            return journal.changes_between(tx, earlier, moment.version)

    def _state(self, moment: Moment, sums: Sums) -> str:
        return sums.state(self._basis, {**moment.keys, **dict(sums.gone())})

    def read_head(self, tx: Transaction, moment: Moment) -> LearntHead | None:
        """The head of a moment if the catalogue file has it, read in the moment's transaction."""
        if not moment.head.stored:
            return None
        if self._stored_head is not None and self._stored_head[0] == moment.version:
            return self._stored_head[1]
        head, metric = heads.load(tx, moment.head, self.rows.width)
        learnt = LearntHead(head, metric, moment.head.training)
        self._stored_head = moment.version, learnt
        return learnt

    def _stored(self, moment: Moment) -> LearntHead | None:
        """The head that the catalogue file has, whose weights hang on history."""
        if self._stored_head is not None and self._stored_head[0] == moment.version:
            return self._stored_head[1]
        with self._store.reading() as tx:
            if journal.version(tx) != moment.version:  # it may have been widened since
                raise Superseded("the head was changed meanwhile; ask again")
            return self.read_head(tx, moment)
