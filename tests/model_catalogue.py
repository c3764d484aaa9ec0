"""Catalogues for the model tests: their pictures, what they are asked, and fresh ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from doubles import FakeEmbedder
from model_numpy import SCALE
from numpy.typing import NDArray

from catalog import Candidate, Catalog, Entry, Neighbour, Picture, Prediction
from catalog.embedder import content_hash

WIDTH = 16
LABELS = ("Äpfel", "apple", "Banana", "cherry")
VARIANTS = ("APPLE", "apfel")
KEYS = {
    "Äpfel": "äpfel",
    "apfel": "apfel",
    "apple": "apple",
    "APPLE": "apple",
    "Banana": "banana",
    "cherry": "cherry",
}
"""What the spellings of a class have in common; names that only look alike have different keys."""

BROKEN = b"no picture"
REMEMBERED = 2000
"""How many answers of fresh catalogues are kept."""

ARRAYS = 16
FILES = 4

State: TypeAlias = Mapping[str, str]
"""What a catalogue holds: the class of each picture, by content hash."""


def picture(number: int) -> NDArray[np.uint8]:
    """Draw one of many pictures; each odd one is an enlargement of the even one before it.

    Twins have different contents and the same descriptor, so that there are ties to break.
    """
    drawn = np.random.default_rng(number // 2).integers(0, 256, (6, 6, 3), np.uint8)
    return drawn.repeat(2, 0).repeat(2, 1) if number % 2 else drawn


QUERIES = tuple(map(picture, (2, 100, 102, 104)))


@lru_cache(maxsize=1)
def embedder() -> FakeEmbedder:
    """The embedder of all these catalogues."""
    return FakeEmbedder(WIDTH)


def open_catalog(path: Path) -> Catalog:
    """Open a catalogue of the test embedder."""
    return Catalog.open(path, embedder=embedder())


def init_catalog(path: Path) -> Catalog:
    """Make a catalogue of the test embedder."""
    return Catalog.init(path, embedder=embedder())


@dataclass(frozen=True)
class Pool:
    """The pictures that commands are given, by number.

    0 is none. Then come arrays, and then files: each of their contents lies in two places.

    Attributes:
        folder: where the files are.
    """

    folder: Path

    @classmethod
    def drawn(cls, folder: Path) -> Pool:
        """Draw the files."""
        for number in range(ARRAYS + 1, ARRAYS + FILES + 1):
            (folder / f"{number}.png").write_bytes(_file(number))
        return cls(folder)

    def source(self, number: int) -> Picture:
        """What is given to a command."""
        place = self.place(number)
        if place is not None:
            return Picture(place)
        return Picture(picture(number - 1) if number else BROKEN)

    def place(self, number: int) -> str | None:
        """Where the picture lies, if it is a file."""
        return str(self.folder / f"{number}.png") if number > ARRAYS else None

    def sources(self, numbers: Iterable[int]) -> list[Picture]:
        """What is given to a command, of many."""
        return [self.source(number) for number in numbers]


NUMBERS = range(ARRAYS + FILES + 1)


@lru_cache(maxsize=len(NUMBERS))
def content_of(number: int) -> str | None:
    """The content hash of a picture of the pool; None if it is not one."""
    if not number:
        return None
    return content_hash(_file(number) if number > ARRAYS else picture(number - 1)).hex()


@lru_cache(maxsize=1)
def by_content() -> Mapping[str, Picture]:
    """A picture of each content, in a form that has no place."""
    arrays = {content_of(n): Picture(picture(n - 1)) for n in NUMBERS if 0 < n <= ARRAYS}
    files = {content_of(n): Picture(_file(n)) for n in NUMBERS if n > ARRAYS}
    return {content: one for content, one in (arrays | files).items() if content}


@lru_cache(maxsize=1)
def stored_rows() -> Mapping[str, NDArray[np.int64]]:
    """The stored descriptor of each content, int64 (D,)."""
    return {
        content: np.rint(embedder().embed(one).astype(np.float64) * SCALE).astype(np.int64)
        for content, one in by_content().items()
    }


def _file(number: int) -> bytes:
    # Two neighbours are one picture, which differs from the array of the same pixels.
    _, data = cv2.imencode(".png", picture(2 * ((number - 1) // 2 - ARRAYS // 2)))
    return data.tobytes()


@dataclass(frozen=True)
class Answers:
    """All that a catalogue can be asked: its state's hash, and the scores of every query."""

    learning_state: str
    predictions: Sequence[Prediction]
    nearest: Sequence[Sequence[tuple[str, str, float]]]

    @classmethod
    def of(cls, catalog: Catalog) -> Answers:
        """Ask a catalogue everything."""
        contents = {item.id: item.content for item in catalog.items()}

        def told(near: Neighbour) -> tuple[str, str, float]:
            return contents[near.item], near.label, near.score + near.class_score

        predictions = [catalog.predict(query, 50) for query in QUERIES]
        nearest = [list(map(told, catalog.nearest(query, 50))) for query in QUERIES]
        return cls(catalog.info().learning_state, predictions, nearest)

    def check(self, other: Answers, *, with_head: bool = True) -> None:
        """Compare with another catalogue's answers: the same names, scores to 1e-6.

        Args:
            other: what is to be the same.
            with_head: also what the head says, and what rests on that.
        """
        assert self.learning_state == other.learning_state
        for one, two in zip(self.predictions, other.predictions, strict=True):
            _check_first(one)
            if with_head:
                assert (one.label, one.verdict) == (two.label, two.verdict)
                _check_ranking(_pairs(one.candidates), _pairs(two.candidates))
                _check_ranking(_pairs(one.head), _pairs(two.head))
            _check_ranking(_pairs(one.centroid), _pairs(two.centroid))
            _check_ranking(_pairs(one.neighbours), _pairs(two.neighbours))
        for row, its_row in zip(self.nearest, other.nearest, strict=True):
            _check_ranking([(c, s) for c, _, s in row], [(c, s) for c, _, s in its_row])
            assert {c: label for c, label, _ in row} == {c: label for c, label, _ in its_row}


def _check_first(said: Prediction) -> None:
    rankings = (said.head, said.centroid, said.neighbours)
    first = {ranking[0].label for ranking in rankings if ranking}
    assert (said.label is None) == (not first)
    assert said.agree == (len(first) == 1)
    if said.agree:
        assert first == {said.label}


def _pairs(candidates: Sequence[Candidate]) -> list[tuple[str, float]]:
    return [(candidate.label, candidate.score) for candidate in candidates]


def _check_ranking(one: Sequence[tuple[str, float]], other: Sequence[tuple[str, float]]) -> None:
    assert dict(one) == pytest.approx(dict(other), abs=1e-6)
    assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=1e-6)
    scores = dict(other)
    for (name, _), (its_name, score) in zip(one, other, strict=True):
        # Names may change places only where the scores are equal to within their rounding.
        assert name == its_name or scores[name] == pytest.approx(score, abs=2e-6)


class Reference:
    """Catalogues made of an end state at once, classes in the order of their names.

    Args:
        folder: to make them in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[frozenset[tuple[str, str]], Answers] = {}

    def answers(self, state: State) -> Answers:
        """What a catalogue says that never held anything else."""
        key = frozenset(state.items())
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = self._asked(state)
        return self._known[key]

    def _asked(self, state: State) -> Answers:
        path = self._folder / "fresh.catalog"
        entries = sorted((label, content) for content, label in state.items())
        with init_catalog(path) as catalog:
            catalog.import_(Entry(label, by_content()[content]) for label, content in entries)
            answers = Answers.of(catalog)
            catalog._keeper.discard()
            catalog._store.close()
        path.unlink()
        return answers
