"""How much may be promised on few pictures: what is counted beside those that were held out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.made_up import Said, say
from benchmarks.photos import Remembering, shared
from benchmarks.tables import table
from catalog import Catalog, Entry, read_manifest
from catalog.embedder import content_hash, read_picture
from catalog.embedder.model_cache import Model
from catalog.judging import calibration
from catalog.judging.ranking import first_best

_PRECISIONS = (0.98, 0.95, 0.9)
_MISTAKES = {"all": 1.0, "half": 0.5, "(none more)": None}


@dataclass(frozen=True)
class Shops:
    """Catalogues that are drawn from a set of photos.

    Attributes:
        photos: the name of the set.
        share: of the occasions of each class that are in a catalogue; photos of the others are
            asked, if there are others.
        classes: how many classes each catalogue has; None for all.
        draws: how many are drawn.
    """

    photos: str
    share: float
    classes: int | None
    draws: int


SHOPS = {
    "15 groceries, 6 in 10 occasions of each": Shops("grocery", 0.6, 15, 16),
    "30 groceries, 6 in 10": Shops("grocery", 0.6, 30, 16),
    "all 81, half": Shops("grocery", 0.5, None, 4),
    "all 81, 8 in 10": Shops("grocery", 0.8, None, 4),
    "20 flowers, 6 in 10": Shops("flowers", 0.6, 20, 16),
    "all 89, 6 in 10": Shops("flowers", 0.6, None, 5),
    "all 89, 3 in 4": Shops("flowers", 0.75, None, 5),
}


@dataclass(frozen=True)
class Photos:
    """Labelled photos, of which it was found out which were taken on one occasion.

    Attributes:
        entries: all of them.
        labels: str (N,), the class of each.
        occasions: int64 (N,), the occasion of each.
    """

    entries: Sequence[Entry]
    labels: NDArray[np.str_]
    occasions: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, embedder: Remembering) -> Photos:
        """Those of a set to learn from."""
        found = read_manifest(shared() / "pictures" / name / "train").entries
        by_content = {
            content_hash(read_picture(str(one.picture.source))).hex(): one for one in found
        }
        with (
            tempfile.TemporaryDirectory() as folder,
            Catalog.init(Path(folder) / "shop.catalog", embedder=embedder) as shop,
        ):
            shop.import_(list(by_content.values()))
            contents = sorted(item.content for item in shop.items())
            groups = shop._keeper.compute(  # noqa: SLF001
                lambda learning, moment: learning.pool(moment, with_head=False).groups
            )
        entries = [by_content[content] for content in contents]
        return cls(entries, np.array([entry.label for entry in entries]), groups)

    def drawn(
        self, shops: Shops, random: np.random.Generator
    ) -> tuple[list[Entry], list[Entry], NDArray[np.float64]]:
        """The pictures of a catalogue, photos to ask, and what each of these counts."""
        classes = np.unique(self.labels)
        if shops.classes is not None:
            classes = random.choice(classes, shops.classes, replace=False)
        inside = np.zeros(len(self.labels), np.bool_)
        for label in classes:
            own = random.permutation(np.unique(self.occasions[self.labels == label]))
            inside |= np.isin(self.occasions, own[: max(1, round(shops.share * len(own)))])
        asked = np.isin(self.labels, classes) & ~inside
        _, group, sizes = np.unique(self.occasions[asked], return_inverse=True, return_counts=True)
        inner, outer = (
            [self.entries[at] for at in np.flatnonzero(which).tolist()] for which in (inside, asked)
        )
        return inner, outer, 1 / sizes[group]


def page(model: Model) -> Iterator[str]:
    """The page about it."""
    embedder = Remembering(model)
    sets = {name: Photos.of(name, embedder) for name in ("grocery", "flowers")}
    drawn: dict[str, list[tuple[Said, NDArray[np.float64]]]] = {}
    for name, shops in SHOPS.items():
        drawn[name] = []
        for draw in range(shops.draws):
            random = np.random.default_rng(draw)
            gallery, asked, weight = sets[shops.photos].drawn(shops, random)
            drawn[name].append((say(embedder, gallery, asked), weight))
    yield (
        "From which probability on an answer is a match is measured on pictures that were held "
        "out: of those from there on\nthe mean probability is what is promised. One answer more is "
        "counted, so that few pictures promise little; the table\nsays what comes of how much of "
        "it is wrong. Shops are drawn from the photos to learn from, and asked with photos\ntaken "
        "on other occasions, each occasion counting once. A cell says which share of them is "
        "called a match, how many of\nthose are right, in brackets which share was foretold, and "
        "which share could be had, if one knew from where on.\n"
    )
    heading = (
        "shops",
        "one more, of it wrong",
        *(f"{precision:g} promised" for precision in _PRECISIONS),
    )
    yield from table(heading, _rows(drawn))


def _rows(
    drawn: Mapping[str, Sequence[tuple[Said, NDArray[np.float64]]]],
) -> Iterator[list[str]]:
    for name, shops in drawn.items():
        for what, mistakes in _MISTAKES.items():
            cells = (_kept(shops, precision, mistakes) for precision in _PRECISIONS)
            yield [f"{name}, {len(shops)} times", what, *cells]


def _kept(
    shops: Sequence[tuple[Said, NDArray[np.float64]]], precision: float, mistakes: float | None
) -> str:
    total = matched = right = foretold = could = 0.0
    for said, weight in shops:
        total += weight.sum()
        found = said.learnt()
        if found is None or found.held_out is None:
            continue
        learnt = found.held_out
        chosen = first_best(said.witnesses.fused)
        is_right = chosen == said.truth
        sure = learnt.probabilities(said.witnesses, chosen)
        enough = _enough(learnt, precision, mistakes)
        match = (sure >= enough) & (said.witnesses.familiarity >= learnt.familiar)
        matched += weight[match].sum()
        right += weight[match & is_right].sum()
        foretold += weight.sum() * float(
            learnt.share[learnt.confidence >= enough].sum() / learnt.share.sum()
        )
        order = np.argsort(-sure, kind="stable")
        answered, correct = np.cumsum(weight[order]), np.cumsum((weight * is_right)[order])
        reached = np.flatnonzero(correct >= precision * answered)
        could += answered[reached[-1]] if len(reached) else 0.0
    precise = f"{right / matched:.3f}" if matched else "-"
    return f"{matched / total:.3f} @ {precise} ({foretold / total:.2f}), could {could / total:.2f}"


def _enough(learnt: calibration.Calibration, precision: float, mistakes: float | None) -> float:
    """From which probability on an answer is a match, were so many mistakes counted in one more."""
    if mistakes is None:
        reached = np.cumsum(learnt.share * learnt.confidence) / np.cumsum(learnt.share)
        last = np.append(np.diff(learnt.confidence) < 0, True)
        enough = np.flatnonzero(last & (reached >= precision))
        return float(learnt.confidence[enough[-1]]) if len(enough) else float("inf")
    with patch.object(calibration, "MISTAKES", mistakes):
        return learnt.threshold(precision)[0]
