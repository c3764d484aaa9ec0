"""The documents' training: what it starts from, what it learns, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, unit_rows
from catalog.head import Head, softmax, widen
from catalog.head.document import Curves, TrainingOptions, count_batches, held_out, train

WIDTH = 16


def photos(
    count: int, classes: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw whitened descriptors of classes in turn, far enough apart to be told."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, WIDTH))
    positions = np.arange(count) % classes
    rows = centres[positions] + 0.3 * random.normal(size=(count, WIDTH))
    return unit_rows(rows.astype(np.float32)), positions


def untrained(classes: int) -> Head:
    """A head whose every column was appended as zeros."""
    head = Head.empty(WIDTH)
    for label in range(classes):
        head = widen(head, label + 10)
    return head


def accuracy(head: Head, rows: NDArray[np.float32], positions: NDArray[np.int64]) -> float:
    """The share of rows whose class has the highest logit."""
    return float((head.logits(rows).argmax(axis=1) == positions).mean())


def loss(
    head: Head, rows: NDArray[np.float32], positions: NDArray[np.int64], *, balanced: bool = False
) -> float:
    """The mean cross-entropy, over rows or over classes."""
    losses = -np.log(softmax(head.logits(rows))[np.arange(len(rows)), positions])
    counts = np.bincount(positions)[positions]
    return float(np.average(losses, weights=1 / counts if balanced else None))


# --- widening ------------------------------------------------------------------------------------
@given(st.integers(1, 6), strategies.seeds, st.sampled_from(["zeros", "random"]))
def test_widening_does_not_truncate_old_weights_to_integers(
    classes: int, seed: int, start: Any
) -> None:
    """Weights below 1 survive: padding by a function that defaults to int32 made them 0."""
    random = np.random.default_rng(seed)
    columns = random.uniform(-0.999, 0.999, (classes, WIDTH)).astype(np.float32)
    bias = random.uniform(-0.999, 0.999, classes).astype(np.float32)
    wide = widen(Head(np.arange(classes), columns, bias), classes, start=start)
    assert wide.columns.dtype == wide.bias.dtype == np.float32
    assert wide.columns[:-1].tobytes() == columns.tobytes()
    assert wide.bias[:-1].tobytes() == bias.tobytes()
    assert wide.bias[-1] == 0
    assert wide.columns[-1].any() == (start == "random")


# --- training ------------------------------------------------------------------------------------


def test_a_head_of_zeros_learns() -> None:
    """A cold start on the tutorial's options learns classes it is shown; curves say how."""
    rows, positions = photos(600, 3)
    told: list[int] = []
    options = TrainingOptions()
    head, curves = train(untrained(3), rows, positions, options, progress=told.append)
    assert head.classes.tolist() == [10, 11, 12]
    asked, truth = photos(90, 3, seed=1)
    assert accuracy(head, asked, truth) > 0.95
    assert loss(head, asked, truth) < 0.8 * np.log(3)
    assert sum(told) == count_batches(positions, options) == len(curves.loss) == 40
    assert curves.loss[0] == pytest.approx(np.log(3), abs=1e-3)
    assert curves.loss[-5:].mean() < curves.loss[:5].mean()
    assert curves.accuracy.shape == (40,)
    assert curves.validation_loss.shape == curves.validation_accuracy.shape == (5,)
    assert {part.dtype for part in astuple(curves)} == {np.dtype(np.float32)}


def test_the_curves_are_of_the_rows_held_out() -> None:
    """Validation figures are those of the head handed back, on exactly the rows held out."""
    rows, positions = photos(200, 4)
    options = TrainingOptions(epochs=1)
    head, curves = train(untrained(4), rows, positions, options)
    held = held_out(positions, options)
    assert held.sum() == 40
    assert curves.validation_loss[0] == pytest.approx(
        loss(head, rows[held], positions[held]), abs=1e-5
    )
    assert curves.validation_accuracy[0] == pytest.approx(
        accuracy(head, rows[held], positions[held]), abs=1e-6
    )


def test_training_goes_on_from_the_head() -> None:
    """With steps too small to matter, a widened head with biases comes back as it was."""
    random = np.random.default_rng(0)
    columns = random.normal(0, 5, (3, WIDTH)).astype(np.float32)
    head = widen(Head(np.arange(3), columns, random.normal(size=3).astype(np.float32)), 7)
    rows, positions = photos(40, 4)
    trained, curves = train(head, rows, positions, TrainingOptions(learning_rate=1e-9, dropout=0.0))
    np.testing.assert_allclose(trained.columns, head.columns, atol=1e-5)
    np.testing.assert_allclose(trained.bias, head.bias, atol=1e-6)
    learnt = ~held_out(positions, TrainingOptions())
    assert curves.loss[0] == pytest.approx(
        loss(head, rows[learnt], positions[learnt], balanced=True), rel=1e-4
    )


def test_a_head_that_is_sure_and_wrong_is_corrected() -> None:
    """The loss is not cut off where a probability rounds to zero: there is more to learn then."""
    columns = np.zeros((2, WIDTH), np.float32)
    columns[:, 0] = 60, -60
    rows = np.tile(np.eye(1, WIDTH, dtype=np.float32), (4, 1))
    options = TrainingOptions(dropout=0.0, epochs=3)
    head, curves = train(
        Head(np.arange(2), columns, np.zeros(2, np.float32)), rows, np.ones(4, np.int64), options
    )
    assert curves.loss[0] == pytest.approx(120, rel=1e-5)
    assert (head.columns[:, 0] * np.array([-1, 1]) > columns[:, 0] * np.array([-1, 1])).all()


def test_the_same_training_gives_the_same_head() -> None:
    """The same seed gives the same bits, another one others, and no global seed is touched."""
    rows, positions = photos(70, 3)
    options = TrainingOptions(epochs=2, batch=16, seed=2**32 - 1)
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    first, curves = train(untrained(3), rows, positions, options)
    second, again = train(untrained(3), rows, positions, options)
    other, _ = train(untrained(3), rows, positions, replace(options, seed=1))
    assert first.checksum() == second.checksum() != other.checksum()
    np.testing.assert_array_equal(curves.loss, again.loss)
    assert np.random.get_state()[1].tolist() == before


def test_classes_weigh_alike() -> None:
    """Two classes that look the same are as probable, though one has ten times the pictures."""
    rows = np.tile(photos(1, 1)[0], (110, 1))
    positions = (np.arange(110) < 10).astype(np.int64)
    options = TrainingOptions(epochs=20, batch=110, dropout=0.0, learning_rate=0.01)
    head, _ = train(untrained(2), rows, positions, options)
    np.testing.assert_allclose(softmax(head.logits(rows[:1])), [[0.5, 0.5]], atol=0.02)


@pytest.mark.parametrize(
    ("classes", "positions"),
    [(2, [0, 1]), (3, [2, 2]), (5, [0, 0, 1, 3, 4, 4])],
    ids=["one picture each", "one class of three", "fewer than a batch"],
)
def test_few_pictures_are_enough(classes: int, positions: list[int]) -> None:
    """Two pictures can be trained on, and a class without any keeps a column."""
    rows = photos(len(positions), 1)[0]
    head, curves = train(
        untrained(classes), rows, np.array(positions), TrainingOptions(validation_split=0.9)
    )
    assert len(head) == classes
    assert isinstance(curves, Curves)
    assert len(curves.loss) == 5
    assert np.isfinite(curves.validation_loss).all()


@given(
    st.lists(st.integers(0, 4), max_size=60), st.floats(0, 1, exclude_max=True), strategies.seeds
)
def test_a_class_keeps_a_picture_to_learn_from(
    positions: list[int], share: float, seed: int
) -> None:
    """No more than the share is held out, and never all pictures of a class."""
    array = np.array(positions, np.int64)
    held = held_out(array, TrainingOptions(validation_split=share, seed=seed))
    assert held.sum() <= share * len(array)
    assert set(array[~held].tolist()) == set(positions)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "rows", "positions", "message"),
    [
        (1, np.ones((4, WIDTH)), [0] * 4, "two classes"),
        (0, np.ones((0, WIDTH)), [], "two classes"),
        (2, np.ones((1, WIDTH)), [0], "two pictures"),
        (2, np.ones((0, WIDTH)), [], "two pictures"),
        (2, np.ones((2, WIDTH)), [0, 2], "beyond"),
        (2, np.ones((2, WIDTH)), [-1, 0], "beyond"),
        (2, np.ones((2, WIDTH)), [0, 1, 1], "do not fit"),
        (2, np.ones((2, WIDTH + 1)), [0, 1], "do not fit"),
        (2, np.ones(WIDTH), [0, 1], "do not fit"),
        (2, np.full((2, WIDTH), np.nan), [0, 1], "finite"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    classes: int, rows: NDArray[np.float64], positions: list[int], message: str
) -> None:
    """Too few classes or pictures, and arrays that do not fit, are refused by name."""
    with pytest.raises(InvalidInput, match=message):
        train(
            untrained(classes),
            rows.astype(np.float32),
            np.array(positions, np.int64),
            TrainingOptions(),
        )


def test_a_training_that_diverges_is_refused() -> None:
    """Weights that are no longer numbers are not handed back."""
    rows, positions = photos(40, 2)
    with pytest.raises(InvalidInput, match="the training diverged: choose"):
        train(untrained(2), rows, positions, TrainingOptions(learning_rate=1e38))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.0),
        ("epochs", True),
        ("batch", 0),
        ("batch", "64"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", float("nan")),
        ("dropout", "half"),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("validation_split", 1),
        ("validation_split", None),
        ("start", "ones"),
        ("start", ["zeros"]),
        ("replay", "memory"),
        ("seed", -1),
        ("seed", 2**32),
        ("momentum", 0.9),
    ],
)
def test_options_out_of_range_are_refused(name: str, value: object) -> None:
    """A value that makes no sense is refused, and the message names the option."""
    with pytest.raises(InvalidInput, match=name):
        TrainingOptions.from_dict({name: value})


@given(
    st.builds(
        TrainingOptions,
        epochs=st.integers(1, 1000),
        batch=st.integers(1, 4096),
        dropout=st.floats(0, 1, exclude_max=True),
        learning_rate=st.floats(1e-9, 10),
        validation_split=st.floats(0, 1, exclude_max=True),
        start=st.sampled_from(["zeros", "random"]),
        replay=st.sampled_from(["stored", "gaussian", "gan", "none"]),
        seed=strategies.seeds,
    )
)
def test_options_survive_json(options: TrainingOptions) -> None:
    """Options written as JSON are read back equal."""
    assert TrainingOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_missing_options_have_their_defaults() -> None:
    """What was stored before an option existed can be read."""
    assert TrainingOptions.from_dict({"epochs": 9}) == TrainingOptions(epochs=9)


def test_training_is_silent() -> None:
    """TensorFlow's libraries write nothing to stderr, and stderr works afterwards."""
    code = """
import numpy as np, sys
from catalog.head import Head
from catalog.head.document import TrainingOptions, train
head = Head(np.arange(2), np.zeros((2, 8), np.float32), np.zeros(2, np.float32))
for count in range(4, 9):
    rows = np.eye(8, dtype=np.float32)[:count]
    train(head, rows, np.arange(count) % 2, TrainingOptions(epochs=1, batch=2))
sys.stderr.write("done")
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True, check=True
    )
    assert done.stderr == "done"
    assert done.stdout == ""
