"""A new class without retraining, beside a recipe that trains everything anew for each.

The recipe is that of Frigate, a recorder for cameras, for classes of its owner's: Keras's
MobileNetV2 of width .35, frozen, the mean over its last map, a dense layer of 128 rectified units,
dropout of .3 and a softmax layer, by Adam at .001 in batches of 16 for 50 epochs. Nothing is kept
of a training when the next class comes.

It is read in the kindest way. Every picture is embedded once, where the recipe takes each through
the network in every epoch; each is learnt from, where the recipe sets a fifth aside; all of the
picture or its middle is taken, whichever does better on photos that settings are chosen by; and the
export to eight bits that follows is left out. ImageNet weights of width .35 do not come with Keras:
in their place stand those of width 1.0, a stronger network than the recipe's, which favours it,
and the small ``starter`` that comes with catalog. Both sides have the same one.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.keras_job import HEADING, SHOWN, ahead, share_row
from benchmarks.photos import Remembering, shared
from benchmarks.tables import table
from catalog import Catalog, Entry, Evaluation, read_manifest
from catalog.embedder import DEFAULT_PRESET, PRESETS, MobileNetEmbedder, read_picture
from catalog.embedder.decode import decode
from catalog.embedder.formats import inspect
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model
from catalog.embedder.views import FULL_FRAME, View, jpeg_scale, take_views

_VIEWS: dict[View, str] = {FULL_FRAME: "the whole picture, squashed", 0.875: "its middle"}
_UNITS, _DROPOUT, _RATE, _BATCH = 128, 0.3, 0.001, 16
_HELD_OUT = 2


@dataclass(frozen=True)
class Kind:
    """Photos of one kind.

    Attributes:
        name: in the tables.
        train: what is learnt from.
        val: what the view is chosen by; where photos of ``train`` are among it, they are not
            learnt from until it is chosen.
        test: what is reported.
    """

    name: str
    train: tuple[Entry, ...]
    val: tuple[Entry, ...]
    test: tuple[Entry, ...]


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        a_class: pictures per class to learn from; None for all.
        draws: of the pictures, where not all are taken, and seeds of the trainings.
        epochs: of the recipe.
        new: pictures of a class that is added.
        turns: how many classes are added, one after another.
    """

    a_class: tuple[int | None, ...] = (5, None)
    draws: int = 3
    epochs: int = 50
    new: int = 10
    turns: int = 3


class _Remembering(Remembering):
    """Embeds no photo twice, with any preset."""

    def __init__(self, model: Model, preset: str) -> None:
        super().__init__(model)
        MobileNetEmbedder.__init__(self, model, preset)


class Recipe:
    """The rival: a frozen network, and layers that are trained on what it gives.

    Args:
        model: the network.
        epochs: of a training.
    """

    def __init__(self, model: Model, epochs: int) -> None:
        self.epochs = epochs
        self.view: View = FULL_FRAME
        self._network = LiteRTNetwork(model.read())
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._known: dict[tuple[View, str], NDArray[np.float32]] = {}

    def embed(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        """What the network gives for one view of each photo: float32 (N, D), not normalised."""
        return np.stack(list(self._pool.map(self._one, entries)))

    def known(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        """The same; no photo is embedded twice."""
        keys = [(self.view, str(entry.picture.source)) for entry in entries]
        new = {key: e for key, e in zip(keys, entries, strict=True) if key not in self._known}
        if new:
            self._known |= zip(new, self.embed(list(new.values())), strict=True)
        return np.stack([self._known[key] for key in keys])

    def train(
        self, rows: NDArray[np.float32], truth: NDArray[np.int64], classes: int, seed: int = 0
    ) -> Any:
        """Train the layers from the beginning.

        Args:
            rows: float32 (N, D), from the network.
            truth: int64 (N,), the class of each.
            classes: how many there are.
            seed: of the first weights, the order of pictures and the dropout.

        Returns:
            A Keras model from rows to probabilities (N, classes).
        """
        import keras

        keras.utils.set_random_seed(seed)
        layers = keras.Sequential(
            [
                keras.Input(rows.shape[1:]),
                keras.layers.Dense(_UNITS, activation="relu"),
                keras.layers.Dropout(_DROPOUT),
                keras.layers.Dense(classes, activation="softmax"),
            ]
        )
        adam = keras.optimizers.Adam(_RATE)
        layers.compile(optimizer=adam, loss="sparse_categorical_crossentropy")
        layers.fit(rows, truth, batch_size=_BATCH, epochs=self.epochs, verbose=0)
        return layers

    def top1(self, train: Sequence[Entry], asked: Sequence[Entry], seed: int = 0) -> float:
        """The share of photos asked that are right after a training."""
        names = sorted({entry.label for entry in train})
        layers = self.train(self.known(train), _places(train, names), len(names), seed)
        return self.right(layers, asked, names)

    def right(self, layers: Any, asked: Sequence[Entry], names: Sequence[str]) -> float:
        """The share of photos asked whose class comes first; ``names`` are in the model's order."""
        answers = np.asarray(layers(self.known(asked), training=False)).argmax(axis=1)
        return float(np.mean(answers == _places(asked, names)))

    def choose(self, kind: Kind) -> dict[View, float]:
        """Take the view that does best on ``val``; gives what each does."""
        asked = {str(entry.picture.source) for entry in kind.val}
        train = [entry for entry in kind.train if str(entry.picture.source) not in asked]
        found = {}
        for self.view in _VIEWS:
            found[self.view] = self.top1(train, kind.val)
        self.view = max(found, key=found.__getitem__)
        return found

    def _one(self, entry: Entry) -> NDArray[np.float32]:
        data = read_picture(str(entry.picture.source))
        header = inspect(data)
        views, size = (self.view,), self._network.input_size
        pixels = decode(data, jpeg_scale((header.width, header.height), views, size), header)
        row: NDArray[np.float32] = self._network(take_views(pixels, views, size))[0]
        return row


class _Waits(NamedTuple):
    """Seconds until a class is there, and until a photo of it was asked about after that."""

    added: float
    answered: float


class _Bench:
    """One network and one kind of photos, for both sides."""

    def __init__(self, model: Model, kind: Kind, sizes: Sizes) -> None:
        self.model, self.kind, self._sizes = model, kind, sizes
        self.recipe = Recipe(model, sizes.epochs)
        self.chosen = self.recipe.choose(kind)
        self._embedders = {name: _Remembering(model, name) for name in SHOWN}

    def accuracy(self) -> Iterator[Sequence[str]]:
        """Rows of how often each side is right, with the same pictures to learn from."""
        kind, draws = self.kind, range(self._sizes.draws)
        for size in self._sizes.a_class:
            drawn = [_drawn(kind.train, size, seed) for seed in draws]
            others = [self.recipe.top1(each, kind.test, at) for at, each in enumerate(drawn)]
            many = f"{size} a class" if size else "all pictures"
            for name in SHOWN:
                # With all pictures every draw is the same, and so is what catalog makes of it.
                ours = [self._top1(each, name) for each in (drawn if size else drawn[:1])]
                what = f"{kind.name}, {self.model.name}, {many}, `{name}`"
                yield share_row(what, float(np.mean(ours)), float(np.mean(others)))

    def growth(self) -> Iterator[Sequence[str]]:
        """Rows of how long a new class takes, and of what is right after the last of them."""
        fit = self._fit_to_be_new()
        random = np.random.default_rng(0)
        labels = random.permutation(fit)[: self._sizes.turns].tolist()
        for size in self._sizes.a_class:
            base = [e for e in _drawn(self.kind.train, size, 0) if e.label not in labels]
            new = {
                label: [e for e in self.kind.train if e.label == label][: self._sizes.new]
                for label in labels
            }
            ours, right = self._added(base, new)
            others, right_other = self._retrained(base, new)
            before = f"{self.kind.name}, {self.model.name}, {len(base):,} pictures before"
            for at, what in enumerate(("the class is known", "the class is known, and an answer")):
                own, other = (statistics.median(e[at] for e in each) for each in (ours, others))
                times = f"{own / other:.3f} of the time"
                seconds = f"{own:.2f} s", f"{other:.2f} s"
                yield f"{before}: {what}", *seconds, times, ahead(other, own)
            for at, what in enumerate(("new classes", "all classes")):
                yield share_row(f"{before}: then right, {what}", right[at], right_other[at])

    def can_grow(self) -> bool:
        """Whether there are classes with enough pictures."""
        return len(self._fit_to_be_new()) >= self._sizes.turns

    def _fit_to_be_new(self) -> list[str]:
        """Classes with enough pictures to learn from, and some to ask about."""
        asked = {entry.label for entry in self.kind.test}
        count: dict[str, int] = {}
        for entry in self.kind.train:
            count[entry.label] = count.get(entry.label, 0) + 1
        return sorted(e for e in count if count[e] >= self._sizes.new and e in asked)

    def _top1(self, train: Sequence[Entry], preset: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "shop.catalog")
            with Catalog.init(file, embedder=self._embedders[preset]) as shop:
                shop.import_(train)
                return shop.evaluate(self.kind.test).cross_check.top1

    def _added(
        self, base: Sequence[Entry], new: dict[str, list[Entry]]
    ) -> tuple[list[_Waits], tuple[float, float]]:
        """Classes are added, one after another, by an embedder that has not seen their photos."""
        remembering, waits = self._embedders[DEFAULT_PRESET], []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "shop.catalog")
            with Catalog.init(file, embedder=remembering) as shop:
                shop.import_(base)
            with (
                closing(MobileNetEmbedder(self.model)) as embedder,
                Catalog.open(file, embedder=embedder) as shop,
            ):
                list(embedder.embed_each([base[0].picture] * 8))  # threads, interpreters
                shop.predict(base[0].picture)  # as in a shop that has been asked before
                for label, entries in new.items():
                    began = time.perf_counter()
                    shop.add_class(label, [entry.picture for entry in entries])
                    added = time.perf_counter() - began
                    shop.predict(self._asked(label)[0].picture)
                    waits.append(_Waits(added, time.perf_counter() - began))
            with Catalog.open(file, embedder=remembering) as shop:
                found = shop.evaluate(self.kind.test)
        return waits, (_right(found, list(new)), found.cross_check.top1)

    def _retrained(
        self, base: Sequence[Entry], new: dict[str, list[Entry]]
    ) -> tuple[list[_Waits], tuple[float, float]]:
        """Each time the new photos are embedded, and the layers are trained on all there are."""
        recipe, waits = self.recipe, []
        names = sorted({entry.label for entry in base})
        rows, truth = recipe.known(base), _places(base, names)
        recipe.embed([base[0]] * 8)  # threads, interpreters; Keras is there since the choice
        for label, entries in new.items():
            names.append(label)
            began = time.perf_counter()
            rows = np.concatenate([rows, recipe.embed(entries)])
            truth = np.concatenate([truth, _places(entries, names)])
            layers = recipe.train(rows, truth, len(names))
            added = time.perf_counter() - began
            np.asarray(layers(recipe.embed(self._asked(label)[:1]), training=False))
            waits.append(_Waits(added, time.perf_counter() - began))
        asked = [entry for label in new for entry in self._asked(label)]
        right = recipe.right(layers, asked, names), recipe.right(layers, self.kind.test, names)
        return waits, right

    def _asked(self, label: str) -> list[Entry]:
        return [entry for entry in self.kind.test if entry.label == label]


def page(
    networks: Sequence[Model], kinds: Sequence[Kind] | None = None, sizes: Sizes | None = None
) -> Iterator[str]:
    """The part of ``benchmarks/RIVALS.md`` about a recipe that trains anew.

    Args:
        networks: each is given to both sides.
        kinds: of photos; groceries and flowers by default.
        sizes: how much is measured.
    """
    kinds, sizes = kinds or _kinds(), sizes or Sizes()
    benches = {kind.name: [_Bench(network, kind, sizes) for network in networks] for kind in kinds}
    yield "\n## A recipe that trains anew for each class\n"
    yield from _introduction(benches, sizes)
    yield "### How often it is right\n"
    every = [bench for own in benches.values() for bench in own]
    yield from table(HEADING, (row for bench in every for row in bench.accuracy()))
    asked = ", ".join(f"{kind.name} {0.5 / len(kind.test) ** 0.5:.3f}" for kind in kinds)
    yield (
        "\nTop-1 of what `predict` answers on `test`. `fast` takes one view, as the recipe does; "
        f"`{DEFAULT_PRESET}`, the default,\ntakes {len(PRESETS[DEFAULT_PRESET])}. catalog brings a "
        "projection of several layers and a prior for both networks, learnt without labels.\nFewer "
        f"pictures than all are drawn {sizes.draws} times, and the recipe is trained {sizes.draws} "
        "times in any case; means. The standard\nerror of a share is at most: "
        f"{asked}.\n"
    )
    yield f"### Until a new class of {sizes.new} pictures is known\n"
    growing = [bench for bench in every if bench.can_grow()]
    yield from table(HEADING, (row for bench in growing for row in bench.growth()))
    yield (
        f"\nPreset `{DEFAULT_PRESET}`; medians of {sizes.turns} classes, added one after another "
        "in a process that is warm, start-up not\ncounted: the new pictures are embedded by both, "
        "and no other one is by either. *And an answer* includes the\nfirst photo that is asked "
        "about after it, when catalog learns what follows from the change. *Then right*: top-1\non "
        "`test`, after the last of these classes. Photos of a kind with fewer pictures of each "
        "class are not in this table."
    )


def _introduction(benches: dict[str, list[_Bench]], sizes: Sizes) -> Iterator[str]:
    yield (
        "A recorder for cameras retrains this for each new class: MobileNetV2 of width .35, "
        f"frozen, mean, a dense layer of\n{_UNITS}, dropout {_DROPOUT}, softmax, Adam, "
        f"{sizes.epochs} epochs. **Its weights of width .35 are not here.** In their place stand "
        "ImageNet's\nof width 1.0, a stronger network than the recipe's, so that the comparison "
        "favours it, and the small `starter`\nthat comes with catalog; catalog has the same one in "
        "each row. The recipe is charged for training and for\nembedding the new pictures alone: "
        "descriptors of the others are kept for it, which it does not do itself. It\ntakes one "
        "view, the better on photos that settings are chosen by:\n"
    )
    for name, own in benches.items():
        for bench in own:
            shares = ", ".join(f"{_VIEWS[view]} {bench.chosen[view]:.3f}" for view in _VIEWS)
            yield f"- {name}, {bench.model.name}: {shares}."
    yield ""


def _kinds() -> list[Kind]:
    def listed(*parts: str) -> tuple[Entry, ...]:
        return read_manifest(shared().joinpath("pictures", *parts)).entries

    groceries = Kind("groceries", *(listed("grocery", part) for part in ("train", "val", "test")))
    flowers = listed("flowers", "train")
    held_out = tuple(_drawn(flowers, _HELD_OUT, 0))  # no photos of flowers were set aside
    return [groceries, Kind("flowers", flowers, held_out, listed("flowers", "test"))]


def _drawn(entries: Sequence[Entry], size: int | None, seed: int) -> list[Entry]:
    """So many pictures of each class, at random; None for all."""
    random = np.random.default_rng(seed)
    classes: dict[str, list[Entry]] = {}
    for entry in entries:
        classes.setdefault(entry.label, []).append(entry)
    return [
        own[at]
        for _, own in sorted(classes.items())
        for at in random.permutation(len(own))[:size].tolist()
    ]


def _places(entries: Sequence[Entry], names: Sequence[str]) -> NDArray[np.int64]:
    """The place of the class of each: int64 (N,)."""
    place = {name: at for at, name in enumerate(names)}
    return np.array([place[entry.label] for entry in entries], np.int64)


def _right(found: Evaluation, labels: Sequence[str]) -> float:
    """The share of photos of some classes that is right."""
    own = [each for each in found.per_class if each.label in labels]
    right = sum(each.cross_check_top1 * each.pictures for each in own)
    return right / sum(each.pictures for each in own)
