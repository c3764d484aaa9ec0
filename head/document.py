"""The documents' training: a softmax layer behind dropout, trained by Adam in Keras.

The layer starts from the weights of the head, so that a head just made, one that was stored and one
that was widened are trained in the same way. Each class weighs alike. TensorFlow is imported when
something is trained, and not before.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput
from catalog.head.exact import balanced_weights, check_training
from catalog.head.head import Head, Start
from catalog.head.replay import Replay

_QUIET = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@dataclass(frozen=True)
class TrainingOptions:
    """How a head is trained the documents' way; the defaults are the tutorial's.

    Attributes:
        epochs: how often each descriptor is seen, at least 1.
        batch: descriptors per step, at least 1.
        dropout: the share of a descriptor's components left out at each step, in [0, 1).
        learning_rate: of Adam, positive.
        validation_split: the share of descriptors that is held out for the validation curves, in
            [0, 1); the last one of a class is never held out.
        start: what the column of a new class begins with.
        replay: where the descriptors of the other classes come from.
        seed: of the split, the order, the dropout and all that is drawn, below 2^32.

    Raises:
        InvalidInput: a value is outside these ranges.
    """

    epochs: int = 5
    batch: int = 64
    dropout: float = 0.5
    learning_rate: float = 1e-3
    validation_split: float = 0.2
    start: Start = "zeros"
    replay: Replay = "stored"
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole("epochs", self.epochs, 1)
        require_whole("batch", self.batch, 1)
        require_seed(self.seed)
        _require_share("dropout", self.dropout)
        _require_share("validation_split", self.validation_split)
        if not _is_number(self.learning_rate) or not 0 < self.learning_rate < math.inf:
            raise InvalidInput(f"learning_rate must be above 0, not {self.learning_rate!r}")
        _require_choice("start", self.start, get_args(Start))
        _require_choice("replay", self.replay, get_args(Replay))

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingOptions:
        """Read what :meth:`to_dict` gave; an option that is missing has its default.

        Raises:
            InvalidInput: there is no such option, or a value is out of range.
        """
        return cls(**known(values, cls))


@dataclass(frozen=True, slots=True)
class Curves:
    """How loss and accuracy went.

    Attributes:
        loss: float32 (batches,), the class-balanced cross-entropy of each batch, dropout applied.
        accuracy: float32 (batches,), of each batch, dropout applied.
        validation_loss: float32 (epochs,), the cross-entropy of the descriptors held out, after
            each epoch; (0,) where none were. It promises too much where photos come in bursts,
            where the metric was fitted to them (:func:`held_out` says which they are), and where an
            earlier training saw them.
        validation_accuracy: float32 (epochs,) or (0,), likewise.
    """

    loss: NDArray[np.float32]
    accuracy: NDArray[np.float32]
    validation_loss: NDArray[np.float32]
    validation_accuracy: NDArray[np.float32]


def train(
    head: Head,
    rows: NDArray[np.float32],
    positions: NDArray[np.int64],
    options: TrainingOptions,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[Head, Curves]:
    """Train a head further, from the weights it has.

    Components of unit rows are near ``1 / sqrt(D)``, so small that Adam's steps of a fixed size
    would need hundreds of epochs. The network multiplies them by ``sqrt(D)``; the factor is taken
    into the columns handed back, which act on unit rows like any head's.

    Classes are balanced by the weight ``N / (C n)`` of each row, not by drawing rows of small
    classes more often: measured alike, and so an epoch sees every descriptor exactly once.

    The same arguments give the same head on one machine with one number of threads.

    Args:
        head: with a column for every class.
        rows: float32 (N, D), whitened descriptors of unit length.
        positions: int64 (N,), which column each row belongs to; not every class needs rows.
        options: ``start`` and ``replay`` are for whoever made the head and the rows.
        progress: told of each batch; there are :func:`count_batches` of them.

    Returns:
        The trained head, with the same classes, and how the training went.

    Raises:
        InvalidInput: there are fewer than two classes or two descriptors, the arrays do not fit the
            head, a number is not finite, or the training diverged.
    """
    _require_trainable(head, rows, positions)
    apart = held_out(positions, options)
    learnt, held = np.flatnonzero(~apart), np.flatnonzero(apart)
    random = np.random.default_rng(options.seed)
    weights = np.zeros(len(rows), np.float32)
    weights[learnt] = balanced_weights(positions[learnt], len(head))
    network = _network(head, options)
    batches: list[list[float]] = []
    epochs: list[list[float]] = []
    for _ in range(options.epochs):
        for chosen in _batches(random.permutation(learnt), options.batch):
            network.reset_metrics()
            batches.append(
                network.train_on_batch(
                    rows[chosen], positions[chosen], sample_weight=weights[chosen]
                )
            )
            if progress is not None:
                progress(1)
        if len(held):
            epochs.append(network.evaluate(rows[held], positions[held], options.batch, verbose=0))
    return _trained(head, network, options), Curves(*_columns(batches), *_columns(epochs))


def held_out(positions: NDArray[np.int64], options: TrainingOptions) -> NDArray[np.bool_]:
    """Which rows of these classes :func:`train` holds out: bool (N,).

    Each class that has rows keeps one to learn from.
    """
    order = np.random.default_rng(options.seed).permutation(len(positions))
    held = np.zeros(len(order), np.bool_)
    held[order[len(order) - int(options.validation_split * len(order)) :]] = True
    held[order[np.unique(positions[order], return_index=True)[1]]] = False
    return held


def count_batches(positions: NDArray[np.int64], options: TrainingOptions) -> int:
    """How many batches :func:`train` makes of rows of these classes."""
    learnt = len(positions) - int(held_out(positions, options).sum())
    return options.epochs * math.ceil(learnt / options.batch)


def load_keras() -> Any:
    """Import Keras on TensorFlow, on the processor and without notes on stderr.

    Settings of the user's environment are left as they are, and so is what was imported before.
    """
    if "keras" in sys.modules:
        import keras

        return keras
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with _silent_descriptor():
        import keras
    # Each training is a graph of its own, and TensorFlow warns of the fifth in one process.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras


def require_whole(name: str, value: object, least: int) -> None:
    """Make sure that an option is a whole number, and not too small.

    Raises:
        InvalidInput: it is not; the message names the option.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(f"{name} must be a whole number, at least {least}, not {value!r}")


def require_seed(value: object) -> None:
    """Make sure that a seed is one.

    Raises:
        InvalidInput: it is no whole number from 0 to 2^32 - 1.
    """
    require_whole("seed", value, 0)
    if value not in range(2**32):
        raise InvalidInput(f"seed must be below 2^32, not {value!r}")


def known(values: Mapping[str, Any], options: type[Any]) -> dict[str, Any]:
    """Values by name, each of which is an option of a dataclass.

    Raises:
        InvalidInput: a name is none of its options.
    """
    names = {field.name for field in fields(options)}
    unknown = sorted(set(values) - names)
    if unknown:
        raise InvalidInput(f"no option of training is named {', '.join(map(repr, unknown))}")
    return dict(values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require_share(name: str, value: float) -> None:
    if not _is_number(value) or not 0 <= value < 1:
        raise InvalidInput(f"{name} must be at least 0 and below 1, not {value!r}")


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInput(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _require_trainable(head: Head, rows: NDArray[np.float32], positions: NDArray[np.int64]) -> None:
    if len(head) < 2:
        raise InvalidInput(
            f"training needs at least two classes to tell apart, and the head has {len(head)}: "
            "add a class first"
        )
    if len(rows) < 2:
        raise InvalidInput(f"training needs at least two pictures, and there are {len(rows)}")
    check_training(rows, positions, len(head))
    if rows.shape[1] != head.width:
        raise InvalidInput(f"descriptors of {rows.shape[1]} numbers do not fit {head.width}")


def _batches(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _network(head: Head, options: TrainingOptions) -> Any:
    keras = load_keras()
    scale = math.sqrt(head.width)
    softmax = keras.layers.Dense(len(head), activation="softmax", dtype="float32")
    network = keras.Sequential(
        [
            keras.Input((head.width,), dtype="float32"),
            keras.layers.Rescaling(scale, dtype="float32"),
            # A seed of its own: keras.utils.set_random_seed would seed all of the caller's process.
            keras.layers.Dropout(options.dropout, seed=options.seed, dtype="float32"),
            softmax,
        ]
    )
    softmax.set_weights([head.kernel / np.float32(scale), head.bias])
    network.compile(
        optimizer=keras.optimizers.Adam(options.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # compiling takes longer than such a training
    )
    return network


def _trained(head: Head, network: Any, options: TrainingOptions) -> Head:
    kernel, bias = network.layers[-1].get_weights()
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise InvalidInput(
            f"the training diverged: choose a learning rate below {options.learning_rate:g}"
        )
    columns = np.ascontiguousarray(kernel.T) * np.float32(math.sqrt(head.width))
    return Head(head.classes, columns, bias)


def _columns(pairs: list[list[float]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Losses and accuracies, each float32."""
    array = np.array(pairs, dtype=np.float32).reshape(-1, 2)
    return array[:, 0].copy(), array[:, 1].copy()


@contextlib.contextmanager
def _silent_descriptor() -> Iterator[None]:
    """Send what the process writes to file descriptor 2 nowhere, for as long as this lasts.

    TensorFlow's libraries write notes there before any setting of theirs is read.
    """
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing is shown anyway
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
