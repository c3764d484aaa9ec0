"""A conditional GAN over descriptors: draws for classes whose stored descriptors were dropped.

The generator makes a descriptor of noise times an embedding of the class; the discriminator tells
whether a descriptor times an embedding of its class is one that was stored (Mirza and Osindero
2014, with layers as the documents have them). Both are trained in Keras, and kept as plain arrays;
drawing needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, unit_rows
from catalog.head.document import known, load_keras, require_seed, require_whole
from catalog.head.exact import check_training

NOISE = 100
"""The length of the noise, and of the generator's embedding of a class."""

_GENERATOR = (256, 512, 1024)
_DISCRIMINATOR = (512, 512, 512)
_LEAK = 0.2
_DROPOUT = 0.4
_MOMENTUM = 0.8
_EPSILON = 1e-3
_LEARNING_RATE = 2e-4
_BETA_1 = 0.5

_EMBEDDED = 0.05  # embeddings begin even between -0.05 and 0.05, as Keras' do
_RANGE = 4.0  # how many standard deviations of a component the generator's tanh can reach

# The weights of each kind of layer, in Keras' order.
_WEIGHTS = {
    "embedding": ("rows",),
    "dense": ("kernel", "bias"),
    "norm": ("gamma", "beta", "mean", "variance"),
}


@dataclass(frozen=True)
class GanOptions:
    """How the pair is trained.

    Attributes:
        steps: each one batch of stored and one of generated descriptors for the discriminator, then
            one batch of noise for the generator; at least 1.
        batch: descriptors per batch, at least 2.
        seed: of all that is drawn, below 2^32.

    Raises:
        InvalidInput: a value is outside these ranges.
    """

    steps: int = 2500
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole("steps", self.steps, 1)
        require_whole("batch", self.batch, 2)
        require_seed(self.seed)

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GanOptions:
        """Read what :meth:`to_dict` gave; an option that is missing has its default.

        Raises:
            InvalidInput: there is no such option, or a value is out of range.
        """
        return cls(**known(values, cls))


@dataclass(frozen=True)
class Generator:
    """The pair's weights; never changed, only replaced.

    Attributes:
        classes: int64 (C,), the key of each row of the embeddings, distinct, not negative.
        scale: what a whitened unit descriptor is multiplied by to fit the range of a tanh.
        weights: float32 arrays by name, first the network and then the layer, such as
            ``generator.embedding.rows`` (C, 100), ``discriminator.embedding.rows`` (C, D),
            ``generator.dense0.kernel`` (100, 256), ``generator.norm0.variance`` (256,).

    Raises:
        InvalidInput: a weight is missing, too many, of another shape or dtype, or not finite, or a
            key occurs twice.
    """

    classes: NDArray[np.int64]
    scale: float
    weights: Mapping[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        if self.classes.ndim != 1 or len(np.unique(self.classes)) != len(self.classes):
            raise InvalidInput("a generator has one embedding for each class")
        if (self.classes < 0).any() or not 0 < self.scale < math.inf:
            raise InvalidInput("classes must not be negative, and the scale must be positive")
        shapes = {name: array.shape for name, array in self.weights.items()}
        if shapes != _shapes(len(self.classes), self.width):
            raise InvalidInput("the weights of a generator do not fit each other")
        for name, array in self.weights.items():
            least = 0 if name.endswith(".variance") else -math.inf
            if array.dtype != np.float32 or not (np.isfinite(array) & (array >= least)).all():
                raise InvalidInput(f"{name} of a generator must be finite float32")

    @classmethod
    def fresh(cls, classes: Sequence[int], width: int, *, seed: int = 0) -> Generator:
        """A pair that has learnt nothing, for descriptors of length ``width``.

        Kernels are drawn as Glorot and Bengio 2010 do. Components of a unit descriptor have a
        standard deviation of ``1 / sqrt(D)``; the scale makes that a quarter of a tanh's range.
        """
        random = np.random.default_rng(seed)
        shapes = _shapes(len(classes), width)
        weights = {name: _initial(name, shape, random) for name, shape in shapes.items()}
        return cls(np.array(classes, np.int64), math.sqrt(width) / _RANGE, weights)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def width(self) -> int:
        """D, the length of a descriptor."""
        embedding = self.weights.get("discriminator.embedding.rows")
        return 0 if embedding is None or embedding.ndim != 2 else int(embedding.shape[1])

    def sample(
        self, classes: Sequence[int], per_class: int, *, seed: int = 0
    ) -> NDArray[np.float32]:
        """Draw descriptors of classes.

        Args:
            classes: keys; those of a class do not depend on which others are asked for.
            per_class: how many to draw of each.
            seed: the same seed gives the same draws.

        Returns:
            float32 (len(classes) * per_class, D), unit rows, those of a class together, in order.

        Raises:
            InvalidInput: a class is unknown to the generator, or a number is negative.
        """
        if per_class < 0 or seed < 0:
            raise InvalidInput("how many to draw, and a seed, must not be negative")
        places = {key: at for at, key in enumerate(self.classes.tolist())}
        unknown = [key for key in classes if key not in places]
        if unknown:
            raise InvalidInput(f"the generator was not made for class {unknown[0]}")
        noise = np.zeros((len(classes), per_class, NOISE), np.float32)
        for at, key in enumerate(classes):
            noise[at] = _noise(np.random.default_rng([seed, key]), per_class)
        positions = np.array([places[key] for key in classes], np.int64).repeat(per_class)
        return unit_rows(self.outputs(noise.reshape(-1, NOISE), positions))

    def outputs(
        self, noise: NDArray[np.float32], positions: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """What the generator's tanh gives for noise (N, 100) and classes by place (N,)."""
        part = {
            name.removeprefix("generator."): array
            for name, array in self.weights.items()
            if name.startswith("generator.")
        }
        x = noise * part["embedding.rows"][positions]
        for at in range(len(_GENERATOR)):
            x = x @ part[f"dense{at}.kernel"] + part[f"dense{at}.bias"]
            x = np.where(x > 0, x, x * np.float32(_LEAK)) - part[f"norm{at}.mean"]
            x *= part[f"norm{at}.gamma"] / np.sqrt(
                part[f"norm{at}.variance"] + np.float32(_EPSILON)
            )
            x += part[f"norm{at}.beta"]
        last = len(_GENERATOR)
        return np.asarray(np.tanh(x @ part[f"dense{last}.kernel"] + part[f"dense{last}.bias"]))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything there is, as arrays by name."""
        return {"classes": self.classes, "scale": np.array([self.scale]), **self.weights}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Generator:
        """Read what :meth:`to_arrays` gave.

        Raises:
            InvalidInput: it is something else.
        """
        weights = dict(arrays)
        try:
            classes, scale = weights.pop("classes"), weights.pop("scale")
        except KeyError as error:
            raise InvalidInput(f"a generator without its {error.args[0]}") from error
        if classes.dtype != np.int64 or scale.shape != (1,) or scale.dtype != np.float64:
            raise InvalidInput("the classes or the scale of a generator are of another form")
        return cls(classes, float(scale[0]), weights)


def widen_generator(generator: Generator, label: int, *, seed: int = 0) -> Generator:
    """Add a class: one random row in each embedding, and every other weight as it is.

    Args:
        generator: of C classes.
        label: the key of the new class.
        seed: of the new rows.

    Returns:
        A generator of C + 1 classes; the new one comes last.

    Raises:
        InvalidInput: the class is there already, or a number is negative.
    """
    if label < 0 or seed < 0:
        raise InvalidInput("a class, and a seed, must not be negative")
    random = np.random.default_rng([seed, label])
    weights = dict(generator.weights)
    for name in ("generator.embedding.rows", "discriminator.embedding.rows"):
        row = _initial(name, (1, weights[name].shape[1]), random)
        weights[name] = np.concatenate([weights[name], row])
    classes = np.append(generator.classes, np.int64(label))
    return Generator(classes, generator.scale, weights)


def train_gan(
    generator: Generator,
    rows: NDArray[np.float32],
    positions: NDArray[np.int64],
    options: GanOptions,
    *,
    progress: Callable[[int], None] | None = None,
) -> Generator:
    """Train a pair further, from the weights it has: one just made, stored, or widened.

    Classes are drawn alike, whatever the number of their rows. The noise is normal about one, not
    about zero: times an embedding it then has the embedding for its mean, where about zero a class
    would show in the spread alone, and the generator would hardly tell classes apart.

    The same arguments give the same weights on one machine with one number of threads. What Adam
    remembers of earlier steps is not kept between trainings.

    Args:
        generator: with every class.
        rows: float32 (N, D), whitened descriptors of unit length, stored or generated.
        positions: int64 (N,), the place of each row's class in ``generator.classes``; every class
            has a row.
        options: how.
        progress: told of each of ``options.steps`` steps.

    Raises:
        InvalidInput: a class has no rows, the arrays do not fit the generator, a number is not
            finite, or the training diverged.
    """
    _require_trainable(generator, rows, positions)
    pair = _Pair(generator, options.seed)
    random = np.random.default_rng(options.seed)
    order = np.argsort(positions, kind="stable")
    counts = np.bincount(positions)
    starts = np.cumsum(counts) - counts
    for _ in range(options.steps):
        classes = random.integers(0, len(generator), options.batch)
        chosen = order[starts[classes] + random.integers(0, counts[classes])]
        real = np.clip(rows[chosen] * np.float32(generator.scale), -1, 1)
        pair.step(real, classes, random)
        if progress is not None:
            progress(1)
    return Generator(generator.classes, generator.scale, pair.weights())


class _Pair:
    """The pair in Keras, with the weights of a generator."""

    def __init__(self, made: Generator, seed: int) -> None:
        self._keras = load_keras()
        self._layers: dict[str, Any] = {}
        self._seeds = np.random.SeedSequence(seed).generate_state(len(_DISCRIMINATOR)).tolist()
        self.generator = self._built_generator(len(made), made.width)
        self.discriminator = self._built_discriminator(len(made), made.width)
        self.stacked = self._built_stack()
        for name, layer in self._layers.items():
            layer.set_weights([made.weights[weight] for weight in _weights_of(name)])

    def step(
        self, real: NDArray[np.float32], classes: NDArray[np.int64], random: np.random.Generator
    ) -> None:
        """Train the discriminator on what is real and what is not, then the generator."""
        count = len(real)
        true, false = np.ones((count, 1), np.float32), np.zeros((count, 1), np.float32)
        fake = self.generator.predict_on_batch([_noise(random, count), classes])
        self.discriminator.train_on_batch([real, classes], true)
        self.discriminator.train_on_batch([fake, classes], false)
        others = random.integers(0, self._layers["generator.embedding"].input_dim, count)
        self.stacked.train_on_batch([_noise(random, count), others], true)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The weights there are now, by name."""
        return {
            weight: array
            for name, layer in self._layers.items()
            for weight, array in zip(_weights_of(name), layer.get_weights(), strict=True)
        }

    def _built_generator(self, classes: int, width: int) -> Any:
        layers = self._keras.layers
        noise, label, x = self._embedded("generator", classes, NOISE)
        for at, size in enumerate(_GENERATOR):
            x = self._named(f"generator.dense{at}", layers.Dense(size))(x)
            x = layers.LeakyReLU(negative_slope=_LEAK)(x)
            norm = layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON)
            x = self._named(f"generator.norm{at}", norm)(x)
        last = layers.Dense(width, activation="tanh")
        network = self._keras.Model(
            [noise, label], self._named(f"generator.dense{len(_GENERATOR)}", last)(x)
        )
        network.compile(jit_compile=False)
        return network

    def _built_discriminator(self, classes: int, width: int) -> Any:
        layers = self._keras.layers
        row, label, x = self._embedded("discriminator", classes, width)
        for at, size in enumerate(_DISCRIMINATOR):
            x = self._named(f"discriminator.dense{at}", layers.Dense(size))(x)
            x = layers.LeakyReLU(negative_slope=_LEAK)(x)
            if at:
                x = layers.Dropout(_DROPOUT, seed=self._seeds[at])(x)
        last = layers.Dense(1, activation="sigmoid")
        network = self._keras.Model(
            [row, label], self._named(f"discriminator.dense{len(_DISCRIMINATOR)}", last)(x)
        )
        return self._compiled(network)

    def _built_stack(self) -> Any:
        generator = self.generator

        class Stack(self._keras.Model):  # type: ignore[misc, name-defined]
            # Setting discriminator.trainable = False, as is often done, would in Keras 3 also keep
            # the discriminator itself from training: its step is traced only when first made.
            @property
            def trainable_weights(self) -> list[Any]:
                return list(generator.trainable_weights)

        noise, label = self._keras.Input((NOISE,)), self._keras.Input((), dtype="int64")
        return self._compiled(
            Stack([noise, label], self.discriminator([generator([noise, label]), label]))
        )

    def _compiled(self, network: Any) -> Any:
        network.compile(
            optimizer=self._keras.optimizers.Adam(_LEARNING_RATE, beta_1=_BETA_1),
            loss="binary_crossentropy",
            jit_compile=False,
        )
        return network

    def _embedded(self, part: str, classes: int, width: int) -> tuple[Any, Any, Any]:
        """Two inputs, rows of a width and classes, and the rows times embeddings of the classes."""
        rows, label = self._keras.Input((width,)), self._keras.Input((), dtype="int64")
        embedding = self._named(f"{part}.embedding", self._keras.layers.Embedding(classes, width))
        return rows, label, self._keras.layers.Multiply()([rows, embedding(label)])

    def _named(self, name: str, layer: Any) -> Any:
        self._layers[name] = layer
        return layer


def _weights_of(layer: str) -> list[str]:
    """The names of a layer's weights, in Keras' order."""
    kind = layer.partition(".")[2].rstrip("0123456789")
    return [f"{layer}.{weight}" for weight in _WEIGHTS[kind]]


def _shapes(classes: int, width: int) -> dict[str, tuple[int, ...]]:
    """The shape of every weight by its name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part, sizes in (
        ("generator", (NOISE, *_GENERATOR, width)),
        ("discriminator", (width, *_DISCRIMINATOR, 1)),
    ):
        shapes[f"{part}.embedding.rows"] = (classes, sizes[0])
        for at, (before, after) in enumerate(pairwise(sizes)):
            shapes[f"{part}.dense{at}.kernel"] = (before, after)
            shapes[f"{part}.dense{at}.bias"] = (after,)
    for at, size in enumerate(_GENERATOR):
        shapes |= dict.fromkeys(_weights_of(f"generator.norm{at}"), (size,))
    return shapes


def _initial(name: str, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    """What a weight of that name begins with."""
    bounds = {"rows": _EMBEDDED, "kernel": math.sqrt(6 / sum(shape))}
    kind = name.rpartition(".")[2]
    if kind in bounds:
        return random.uniform(-bounds[kind], bounds[kind], shape).astype(np.float32)
    return np.full(shape, kind in {"gamma", "variance"}, np.float32)


def _noise(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    return 1 + random.standard_normal((count, NOISE), dtype=np.float32)


def _require_trainable(
    generator: Generator, rows: NDArray[np.float32], positions: NDArray[np.int64]
) -> None:
    check_training(rows, positions, len(generator))
    if rows.shape[1] != generator.width:
        raise InvalidInput(f"descriptors of {rows.shape[1]} numbers do not fit {generator.width}")
    counts = np.bincount(positions, minlength=len(generator))
    if not len(rows) or not counts.all():
        raise InvalidInput(
            f"{np.count_nonzero(counts == 0)} classes of the generator have no descriptors to "
            "learn from: generate some of those that were dropped"
        )
