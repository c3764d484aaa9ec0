"""What views, whitening, prior and shrinkage each bring, on photos nobody chose them on.

Choices were made on validation pictures (the columns ``val``); ``test`` is there to be reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import Photos, embed_views, shared
from catalog.data import prior_for
from catalog.descriptors import Metric, Prior, Sums, class_means, fit, to_floats, to_integers
from catalog.embedder import DEFAULT_PRESET, PRESETS, MobileNetEmbedder
from catalog.embedder.model_cache import Model
from catalog.embedder.views import View

SIZES = (1, 3, 5, 10, None)
"""Pictures per class; None for all."""

_DRAWS = 5


@dataclass(frozen=True)
class Benchmark:
    """Photos to learn from, and to be asked about: never the same ones."""

    name: str
    train: Photos
    queries: dict[str, Photos]
    sizes: tuple[int | None, ...] = SIZES


@dataclass(frozen=True)
class Setting:
    """A way to learn the metric: None for plain cosines."""

    name: str
    views: tuple[View, ...] = PRESETS[DEFAULT_PRESET]
    mirrored: bool = False
    prior: Prior | None = None
    whitened: bool = True
    degrees: float | None = None
    isotropic: float | None = None


class Score(NamedTuple):
    """Top-1 of the nearest centroid, and of the nearest item."""

    centroid: float
    neighbour: float


def benchmarks(model: Model) -> Iterator[Benchmark]:
    """Grocery products, hands, and products from one shop picture each."""
    pictures = shared() / "pictures"
    grocery = {s: embed_views(model, pictures / "grocery" / s) for s in ("train", "val", "test")}
    asked = {"val": grocery["val"], "test": grocery["test"]}
    yield Benchmark("Grocery Store", grocery["train"], asked)
    shop = embed_views(model, pictures / "grocery" / "iconic-images-and-descriptions")
    yield Benchmark("Grocery Store, from one shop picture of each product", shop, asked, (None,))
    hands = embed_views(model, pictures / "rock-paper-scissors")
    order = np.random.default_rng(0).permutation(len(hands.labels))
    train, val, test = np.split(order, [1188, 1788])
    yield Benchmark("rock-paper-scissors", hands[train], {"val": hands[val], "test": hands[test]})


def score(train: Photos, queries: Photos, setting: Setting) -> Score:
    """Learn from some photos by a setting, and ask about others."""
    rows = to_integers(train.descriptors(setting.views, mirrored=setting.mirrored))
    asked = to_floats(to_integers(queries.descriptors(setting.views, mirrored=setting.mirrored)))
    names, classes = np.unique(train.labels, return_inverse=True)
    sums = Sums(rows.shape[1])
    sums.add(classes, rows)
    order = list(range(len(names)))
    metric = _metric(sums, order, setting)
    centroids = metric.whiten(class_means(sums, order))
    items, whitened = metric.whiten(to_floats(rows)), metric.whiten(asked)
    by_centroid = names[(whitened @ centroids.T).argmax(axis=1)]
    by_item = train.labels[(whitened @ items.T).argmax(axis=1)]
    return Score(
        float(np.mean(by_centroid == queries.labels)), float(np.mean(by_item == queries.labels))
    )


def mean_score(train: Photos, queries: Photos, setting: Setting, size: int | None) -> Score:
    """The mean score over several draws of so many photos per class; None for all, once."""
    if size is None:
        return score(train, queries, setting)
    drawn = [score(train[_draw(train, size, seed)], queries, setting) for seed in range(_DRAWS)]
    return Score(*np.mean(drawn, axis=0).tolist())


def settings(model: Model) -> dict[str, list[Setting]]:
    """The rows of the tables."""
    priors = {
        name: prior_for(MobileNetEmbedder(model, name, "pooled").probe()) or Prior.isotropic(1280)
        for name in PRESETS
    }
    standard = PRESETS[DEFAULT_PRESET]
    prior = priors[DEFAULT_PRESET]
    views = [
        Setting("full frame, squashed", (0.0,), prior=priors["fast"]),
        *(
            Setting(f"`{name}`: {_words(PRESETS[name])}", PRESETS[name], prior=priors[name])
            for name in PRESETS
        ),
        Setting("zoomed only: 0.75 0.6 0.45", (0.75, 0.6, 0.45), prior=prior),
        Setting("`standard` and its mirrors", standard, mirrored=True, prior=prior),
    ]
    metrics = [
        Setting("plain cosine, centre crop .875", PRESETS["fast"], whitened=False),
        Setting("plain cosine", whitened=False),
        Setting("whitened, isotropic prior", prior=Prior.isotropic(1280)),
        Setting("whitened, measured prior (default)", prior=prior),
        Setting("prior worth 100 degrees", prior=prior, degrees=100),
        Setting("prior worth 2000 degrees", prior=prior, degrees=2000),
        Setting("prior 5 % isotropic", prior=prior, isotropic=0.05),
        Setting("prior 60 % isotropic", prior=prior, isotropic=0.6),
    ]
    return {"views": views, "metric": metrics}


def _metric(sums: Sums, order: list[int], setting: Setting) -> Metric:
    width = sums.width
    if not setting.whitened:
        return Metric(np.zeros(width, np.float32), np.eye(width, dtype=np.float32))
    options = {"degrees": setting.degrees, "isotropic": setting.isotropic}
    chosen = {name: value for name, value in options.items() if value is not None}
    return fit(sums, order, setting.prior or Prior.isotropic(width), **chosen)


def _draw(photos: Photos, size: int, seed: int) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    return np.concatenate(
        [
            random.permutation(np.flatnonzero(photos.labels == label))[:size]
            for label in np.unique(photos.labels)
        ]
    )


def _words(views: tuple[View, ...]) -> str:
    return " ".join("full" if view == 0 else f"{view:g}" for view in views)
