"""Questions of many callers at once, answered in batches that they share."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from catalog.answers import Neighbour, Prediction
from catalog.descriptors import InvalidInput, Switched
from catalog.embedder import as_picture
from catalog.judging.cross_check import PRECISION, require_precision
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.machine.processes import processors
from catalog.questions.asked import Asked, descriptor_of, is_descriptor
from catalog.questions.looking_up import like_item, neighbours, predictions, row_of_item
from catalog.store import ItemId, inventory

Timed: TypeAlias = Callable[[str, float], None]
"""Told of a stage of a question, and how many seconds it took: ``wait`` for a thread to embed the
picture, ``embed``, and ``answer``, until the descriptor was looked up."""

MOST_AT_ONCE: Final = 32
"""How many descriptors are looked up together at most: more would save little, and wait longer."""

ENOUGH: Final = 8
PATIENCE: Final = 0.05
"""While pictures queue for a thread to embed them, descriptors wait until there are enough of them,
or for so many seconds: what is looked up by itself would take the time of those that queue."""

_TRIES: Final = 5


class SharedQuestions:
    """Answers the questions of many callers about an open catalogue; for any number of threads.

    Pictures are embedded side by side, each as soon as a thread is free for it. Descriptors that
    are there at the same time, and are asked about in the same way, are looked up together, which
    takes little longer than looking up one. Nobody waits for another one's picture. The answers are
    those of :meth:`Catalog.nearest` and :meth:`Catalog.predict`, and of a state that is no older
    than the question.

    Args:
        catalog: that is asked; it has to stay open until :meth:`close`.
        threads: how many pictures are embedded at once; by default one more than processors.
        timed: told how long each stage of each question took.
    """

    def __init__(
        self, catalog: Opened, *, threads: int | None = None, timed: Timed | None = None
    ) -> None:
        self._catalog = catalog
        self._timed = timed or _ignore
        self._embedding = ThreadPoolExecutor(threads or processors() + 1, "asked")
        self._waiting: deque[_Question] = deque()
        self._come = threading.Condition()
        self._open = True  # for questions
        self._ended = False  # nothing waits any more, nor will
        self._under_way = 0
        self._queued = 0  # pictures that no thread has begun to embed
        self._answering = threading.Thread(target=self._answer_all, name="answers", daemon=True)
        self._answering.start()

    @property
    def under_way(self) -> int:
        """How many questions were asked and not answered yet."""
        return self._under_way

    def nearest(self, asked: Asked, k: int = 10) -> Future[list[Neighbour]]:
        """The items that look most like a picture or a descriptor, as :meth:`Catalog.nearest`.

        Errors are those of that call, and come out of the future.
        """
        return self._ask(asked, _Nearest(k))

    def like(self, item: int, k: int = 10) -> Future[list[Neighbour]]:
        """The items that look most like another one, as :meth:`Catalog.nearest` of an item.

        Raises:
            InvalidInput: the id is no integer. Other errors of that call come out of the future.
        """
        return self._ask(None, _Like(inventory.item_id(item), k))

    def predict(
        self, asked: Asked, top: int = 5, *, precision: float = PRECISION, counts: bool = True
    ) -> Future[Prediction]:
        """Which class a picture or a descriptor is, as :meth:`Catalog.predict`.

        Raises:
            InvalidInput: the precision is not between 0 and 1. Other errors of that call come out
                of the future.
        """
        require_precision(precision)
        return self._ask(asked, _Predict(top, precision, counts))

    def close(self) -> None:
        """Answer what was asked, and stop."""
        with self._come:
            self._open = False
        self._embedding.shutdown()
        with self._come:
            self._ended = True
            self._come.notify()
        self._answering.join()

    def _ask(self, asked: Asked | None, way: _Way) -> Future[Any]:
        question = _Question(asked, way)
        with self._come:
            if not self._open:
                raise InvalidInput("these questions were closed")
            self._under_way += 1
        question.future.add_done_callback(self._end)
        self._begin(question)
        return question.future

    def _end(self, _: Future[Any]) -> None:
        with self._come:
            self._under_way -= 1

    def _begin(self, question: _Question) -> None:
        if question.asked is not None and is_descriptor(question.asked):
            self._let_wait(question)
            return
        with self._come:
            self._queued += 1
        try:
            self._embedding.submit(self._embed, question)
        except RuntimeError:  # it was shut down meanwhile
            with self._come:
                self._queued -= 1
            question.fail(InvalidInput("these questions were closed"))

    def _embed(self, question: _Question) -> None:
        with self._come:
            self._queued -= 1
        if question.future.cancelled():
            return
        began = time.perf_counter()
        self._timed("wait", began - question.since)
        try:
            bound = self._catalog._bound
            if isinstance(question.way, _Like):
                question.row = row_of_item(self._catalog, bound, question.way.item)
            else:
                question.row = bound.embedder.embed(as_picture(question.asked))
            question.bound = bound
        except BaseException as error:  # noqa: BLE001 -- whoever asked is told
            question.fail(error)
            return
        self._timed("embed", time.perf_counter() - began)
        self._let_wait(question)

    def _let_wait(self, question: _Question) -> None:
        question.since = time.perf_counter()
        with self._come:
            self._waiting.append(question)
            self._come.notify()

    def _answer_all(self) -> None:
        while batch := self._next_batch():
            try:
                self._answer(batch)
            except BaseException as error:  # noqa: BLE001 -- whoever asked is told
                for question in batch:
                    question.fail(error)

    def _next_batch(self) -> list[_Question]:
        """Questions that can be looked up together, the oldest among them; none at the end."""
        with self._come:
            while not self._waiting:
                if self._ended:
                    return []
                self._come.wait()
            until = self._waiting[0].since + PATIENCE
            while self._queued and len(self._waiting) < ENOUGH:
                if not self._come.wait(until - time.perf_counter()):
                    break
            first = self._waiting.popleft()
            batch, others = [first], deque[_Question]()
            while self._waiting:
                one = self._waiting.popleft()
                fits = one.key == first.key and len(batch) < MOST_AT_ONCE
                (batch if fits else others).append(one)
            self._waiting = others
        return batch

    def _answer(self, batch: list[_Question]) -> None:
        way, made_by = batch[0].way, batch[0].bound

        def ask(bound: Bound) -> list[Any] | None:
            if made_by not in {None, bound}:
                return None  # another embedder is active by now
            rows = [question.row_for(bound) for question in batch]
            there = [row for row in rows if row is not None]
            found = iter(way.look_up(self._catalog, bound, np.array(there)) if there else ())
            return [None if row is None else next(found) for row in rows]

        answers = self._catalog._asking(ask)
        if answers is None:
            for question in batch:
                question.tries += 1
                if question.tries == _TRIES:
                    question.fail(Switched("the catalogue goes from one embedder to another"))
                else:
                    self._begin(question)
            return
        now = time.perf_counter()
        for question, answer in zip(batch, answers, strict=True):
            self._timed("answer", now - question.since)
            if answer is not None:
                with suppress(InvalidStateError):  # nobody waits for it any more
                    question.future.set_result(answer)


@dataclass(frozen=True, slots=True)
class _Nearest:
    """That the nearest items are wanted."""

    k: int

    def look_up(
        self, catalog: Opened, bound: Bound, rows: NDArray[np.float32]
    ) -> list[list[Neighbour]]:
        """Those of each descriptor float32 (Q, D)."""
        return neighbours(catalog, bound, rows, self.k)


@dataclass(frozen=True, slots=True)
class _Like:
    """That the items nearest to one of them are wanted."""

    item: ItemId
    k: int

    def look_up(
        self, catalog: Opened, bound: Bound, rows: NDArray[np.float32]
    ) -> list[list[Neighbour]]:
        """Those of its descriptor, each float32 (1, D)."""
        return [like_item(catalog, bound, row, self.item, self.k) for row in rows]


@dataclass(frozen=True, slots=True)
class _Predict:
    """That the class is wanted."""

    top: int
    precision: float
    counts: bool

    def look_up(self, catalog: Opened, bound: Bound, rows: NDArray[np.float32]) -> list[Prediction]:
        """That of each descriptor float32 (Q, D)."""
        found, told = predictions(bound, rows, self.top, self.precision)
        if self.counts:
            catalog._asked.count(told)
        return found


_Way: TypeAlias = _Nearest | _Like | _Predict


@dataclass(eq=False, slots=True)
class _Question:
    """A question that is under way.

    Attributes:
        asked: the picture or descriptor; None for an item, which the way names.
        way: in which it is asked about.
        future: the answer.
        since: when it came to where it waits.
        bound: the embedder that was active when the picture was embedded; None for a descriptor.
        row: float32 (D,), the picture's descriptor.
        tries: how often it was embedded in vain.
    """

    asked: Asked | None
    way: _Way
    future: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)
    bound: Bound | None = None
    row: NDArray[np.float32] | None = None
    tries: int = 0

    @property
    def key(self) -> tuple[_Way, int | None]:
        """What questions have in common that can be looked up together."""
        return self.way, None if self.bound is None else id(self.bound)

    def row_for(self, bound: Bound) -> NDArray[np.float32] | None:
        """The descriptor float32 (D,); None if it has failed."""
        if self.future.done():
            return None
        if self.row is not None:
            return self.row
        try:
            return descriptor_of(bound, np.asarray(self.asked))
        except InvalidInput as error:
            self.fail(error)
            return None

    def fail(self, error: BaseException) -> None:
        """Let an error be the answer."""
        with suppress(InvalidStateError):  # nobody waits for it any more
            self.future.set_exception(error)


def _ignore(_stage: str, _seconds: float) -> None:
    """Where nobody wants to know how long it took."""
