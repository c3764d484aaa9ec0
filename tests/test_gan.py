"""The conditional GAN: the same draws in NumPy as in Keras, and widening that forgets nothing."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog.descriptors import InvalidInput, unit_rows
from catalog.head import gan
from catalog.head.gan import NOISE, GanOptions, Generator, train_gan, widen_generator

WIDTH = 12
CLASSES = (4, 2, 9)
EMBEDDINGS = ("generator.embedding.rows", "discriminator.embedding.rows")
quickly = settings(max_examples=20)


def photos(seed: int = 0, per_class: int = 20) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw whitened descriptors of three classes."""
    random = np.random.default_rng(seed)
    positions = np.repeat(np.arange(3), per_class)
    rows = 3 * np.eye(3, WIDTH)[positions] + random.normal(size=(3 * per_class, WIDTH))
    return unit_rows(rows.astype(np.float32)), positions


@pytest.fixture(scope="module")
def trained() -> Generator:
    """A generator that has learnt for a few steps, so that no weight is what it began as."""
    rows, positions = photos()
    return train_gan(Generator.fresh(CLASSES, WIDTH), rows, positions, GanOptions(3, 16))


def bytes_of(generator: Generator) -> dict[str, bytes]:
    """Every array as bytes, by name."""
    return {name: array.tobytes() for name, array in generator.to_arrays().items()}


# --- widening ------------------------------------------------------------------------------------


def test_widening_the_generator_keeps_every_other_weight(trained: Generator) -> None:
    """One random row joins each embedding; all else, the generator's body too, stays to the bit."""
    wide = widen_generator(trained, 7, seed=1)
    assert wide.classes.tolist() == [*CLASSES, 7]
    before, after = bytes_of(trained), bytes_of(wide)
    assert set(before) == set(after)
    grown = {name for name in before if before[name] != after[name]}
    assert grown == {"classes", *EMBEDDINGS}
    for name in EMBEDDINGS:
        assert after[name].startswith(before[name])
        row = wide.weights[name][3:]
        assert row.shape == (1, trained.weights[name].shape[1])
        assert np.unique(row).size == row.size
    assert bytes_of(widen_generator(trained, 7, seed=1)) == after
    assert bytes_of(widen_generator(trained, 7, seed=2)) != after


def test_widening_changes_no_draw_of_another_class(trained: Generator) -> None:
    """What is drawn of the old classes is the same before and after."""
    wide = widen_generator(trained, 7)
    np.testing.assert_array_equal(trained.sample([2, 9], 4), wide.sample([2, 9], 4))


def test_a_class_is_added_once(trained: Generator) -> None:
    """A class that is there already, and one that cannot be, are refused."""
    with pytest.raises(InvalidInput, match="one embedding"):
        widen_generator(trained, CLASSES[0])
    with pytest.raises(InvalidInput, match="negative"):
        widen_generator(trained, -1)


# --- drawing -------------------------------------------------------------------------------------


def test_numpy_draws_what_keras_does(trained: Generator) -> None:
    """The generator's output is that of the Keras network with the same weights."""
    noise = np.random.default_rng(0).normal(size=(50, NOISE)).astype(np.float32)
    positions = np.arange(50) % 3
    expected = gan._Pair(trained, 0).generator.predict_on_batch([noise, positions])
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(trained.outputs(noise, positions), expected, atol=1e-5)


@quickly
@given(st.lists(st.sampled_from(CLASSES), max_size=4), st.integers(0, 5), strategies.seeds)
def test_draws_are_unit_rows(classes: list[int], per_class: int, seed: int) -> None:
    """There are as many as asked for, each class together, whatever else is asked for."""
    generator = Generator.fresh(CLASSES, WIDTH)
    drawn = generator.sample(classes, per_class, seed=seed)
    assert drawn.shape == (len(classes) * per_class, WIDTH)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    for at, key in enumerate(classes):
        alone = generator.sample([key], per_class, seed=seed)
        np.testing.assert_allclose(drawn[at * per_class : (at + 1) * per_class], alone, atol=1e-5)


@pytest.mark.parametrize(
    ("classes", "per_class", "seed", "message"),
    [([4, 3], 1, 0, "class 3"), ([4], -1, 0, "negative"), ([4], 1, -1, "negative")],
)
def test_bad_draws_are_refused(classes: list[int], per_class: int, seed: int, message: str) -> None:
    """A class it was not made for, and numbers below zero, are refused."""
    with pytest.raises(InvalidInput, match=message):
        Generator.fresh(CLASSES, WIDTH).sample(classes, per_class, seed=seed)


# --- training ------------------------------------------------------------------------------------


def test_training_moves_every_weight_of_both(trained: Generator) -> None:
    """Both networks learn: every kernel, norm and embedding has moved, and stays finite."""
    fresh = Generator.fresh(CLASSES, WIDTH)
    assert trained.scale == fresh.scale
    same = [
        name for name in fresh.weights if np.array_equal(fresh.weights[name], trained.weights[name])
    ]
    assert same == []


def test_the_generator_is_trained_without_the_discriminator() -> None:
    """A step of the stacked pair moves the generator and leaves the discriminator as it is."""
    made = Generator.fresh(CLASSES, WIDTH)
    pair = gan._Pair(made, 0)
    noise, positions = np.ones((8, NOISE), np.float32), np.arange(8) % 3
    pair.stacked.train_on_batch([noise, positions], np.ones((8, 1), np.float32))
    moved = {
        name
        for name, array in pair.weights().items()
        if not np.array_equal(array, made.weights[name])
    }
    assert moved
    assert all(name.startswith("generator.") for name in moved)


@pytest.mark.soak
def test_draws_come_to_look_like_their_class() -> None:
    """After a few hundred steps most draws are nearest to the mean of their own class."""
    rows, positions = photos()
    means = unit_rows(np.stack([rows[positions == at].mean(axis=0) for at in range(3)]))
    generator = train_gan(
        Generator.fresh(CLASSES, WIDTH), rows, positions, GanOptions(steps=400, batch=32)
    )
    nearest = (generator.sample(CLASSES, 50) @ means.T).argmax(axis=1)
    assert (nearest == np.repeat(np.arange(3), 50)).mean() > 0.6


def test_the_same_training_gives_the_same_generator(trained: Generator) -> None:
    """The same seed gives the same bits, and progress is told of each step."""
    rows, positions = photos()
    told: list[int] = []
    again = train_gan(
        Generator.fresh(CLASSES, WIDTH), rows, positions, GanOptions(3, 16), progress=told.append
    )
    assert bytes_of(again) == bytes_of(trained)
    assert told == [1, 1, 1]


def test_training_goes_on_from_what_was_stored(trained: Generator) -> None:
    """A generator that was stored and read back trains on as the one in memory does."""
    rows, positions = photos(seed=2)
    wide, more = widen_generator(trained, 7), np.append(positions, 3)
    rows = np.concatenate([rows, rows[:1]])
    file = io.BytesIO()
    np.savez(file, **wide.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        read = Generator.from_arrays(dict(arrays))
    one, other = (train_gan(made, rows, more, GanOptions(2, 8)) for made in (wide, read))
    assert bytes_of(one) == bytes_of(other) != bytes_of(wide)


@pytest.mark.parametrize(
    ("rows", "positions", "message"),
    [
        (np.ones((3, WIDTH)), [0, 1, 1], "no descriptors"),
        (np.ones((0, WIDTH)), [], "no descriptors"),
        (np.ones((3, WIDTH)), [0, 1, 3], "beyond"),
        (np.ones((3, WIDTH)), [0, 1], "do not fit"),
        (np.ones((3, WIDTH - 1)), [0, 1, 2], "do not fit"),
        (np.full((3, WIDTH), np.inf), [0, 1, 2], "finite"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    rows: NDArray[np.float64], positions: list[int], message: str
) -> None:
    """A class without descriptors, and arrays that do not fit, are refused."""
    generator = Generator.fresh(CLASSES, WIDTH)
    with pytest.raises(InvalidInput, match=message):
        train_gan(generator, rows.astype(np.float32), np.array(positions, np.int64), GanOptions())


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", None),
        ("scale", None),
        ("generator.dense0.kernel", None),
        ("generator.dense9.kernel", np.zeros(3, np.float32)),
        ("classes", np.array([4, 2])),
        ("classes", np.array([4, 2, 2])),
        ("classes", np.array([4, 2, -1])),
        ("classes", np.array([4.0, 2.0, 9.0])),
        ("scale", np.array([0.0])),
        ("scale", np.array([np.nan])),
        ("scale", np.array([1, 2])),
        ("generator.dense0.bias", np.zeros(255, np.float32)),
        ("generator.dense0.bias", np.zeros(256, np.float64)),
        ("generator.dense0.bias", np.full(256, np.nan, np.float32)),
        ("generator.norm1.variance", np.full(512, -1, np.float32)),
        ("discriminator.embedding.rows", np.zeros(3, np.float32)),
        ("discriminator.embedding.rows", np.zeros((3, WIDTH + 1), np.float32)),
    ],
)
def test_damaged_arrays_are_refused(name: str, value: NDArray[Any] | None) -> None:
    """Arrays that are missing, too many, of another shape or not finite make no generator."""
    arrays = Generator.fresh(CLASSES, WIDTH).to_arrays()
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    with pytest.raises(InvalidInput, match=r"generator|classes"):
        Generator.from_arrays(arrays)


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("steps", 1.5), ("batch", 1), ("seed", -1), ("seed", 2**32), ("epochs", 3)],
)
def test_options_out_of_range_are_refused(name: str, value: object) -> None:
    """A value that makes no sense is refused, and the message names the option."""
    with pytest.raises(InvalidInput, match=name):
        GanOptions.from_dict({name: value})


@given(st.integers(1, 10**6), st.integers(2, 4096), strategies.seeds)
def test_options_survive_json(steps: int, batch: int, seed: int) -> None:
    """Options written as JSON are read back equal."""
    options = GanOptions(steps, batch, seed)
    assert GanOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
