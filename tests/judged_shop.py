"""Descriptors of a made-up shop whose occasions are known, to be held out and judged."""

from __future__ import annotations

from dataclasses import fields
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import Prior, Sums, to_integers
from catalog.judging.calibration import Calibration, learn
from catalog.judging.cross_fit import HeldOut, Pool
from catalog.judging.witnesses import Witnesses

CLASSES, OCCASIONS, WIDTH = 8, 10, 24


def shop(
    seed: int = 0, *, shots: int = 1, strength: tuple[float, float] = (0.5, 0.5)
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Descriptors of 8 classes on 10 occasions each, and the class of each, by content.

    A picture is its class plus its occasion, and the tenth picture of any class is taken where
    every other tenth one was: so strangers are more alike than two pictures of one class, and
    exactly the shots of an occasion are near-duplicates.

    Args:
        seed: of what else differs from picture to picture.
        shots: how many pictures are taken on each occasion, one after the other.
        strength: between which limits the share of the class in a picture lies.
    """
    random = np.random.default_rng(seed)
    classes = np.repeat(np.arange(CLASSES), OCCASIONS)
    occasions = np.tile(np.arange(OCCASIONS), CLASSES)
    share = random.uniform(*strength, len(classes))[:, None]
    axes = np.eye(WIDTH)
    rows = share * axes[classes] + np.sqrt(1 - share**2) * axes[CLASSES + occasions]
    rows += 0.02 * random.normal(size=rows.shape)
    rows = np.repeat(rows, shots, axis=0)
    rows += 0.001 * random.normal(size=rows.shape)
    integers = to_integers(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    content = [sha256(row.tobytes()).digest() for row in integers]
    order = np.array(sorted(range(len(rows)), key=content.__getitem__))
    return np.repeat(classes, shots)[order], integers[order]


def pool(
    positions: NDArray[np.int64],
    rows: NDArray[np.int16],
    *,
    order: list[int] | None = None,
    with_head: bool = True,
) -> Pool:
    """The descriptors of a catalogue without a prior, its classes under some ids."""
    ids = list(range(CLASSES)) if order is None else order
    sums = Sums(WIDTH)
    sums.add(np.array(ids)[positions], rows)
    return Pool(rows, positions, sums, ids, Prior.isotropic(WIDTH), with_head)


def talk(seed: int = 0, pictures: int = 400) -> HeldOut:
    """Witnesses that are right the more often the further they have a class ahead."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, pictures)
    lead = random.uniform(0, 0.5, pictures)[:, None] * np.eye(4)[truth]
    said = lead + random.normal(0, 0.12, (3, pictures, 4))
    first, second, third = said.astype(np.float32)
    return HeldOut(Witnesses(first, second, third), truth, np.ones(pictures), pictures)


def held_out(found: HeldOut | None) -> HeldOut:
    """What was held out, which was something."""
    assert found is not None
    return found


def learnt(found: HeldOut | None) -> Calibration:
    """What was learnt of pictures, which was something."""
    calibration = learn(found)
    assert calibration is not None
    assert calibration.held_out is not None
    assert calibration.made_up is None
    return calibration.held_out


def same(one: Calibration, other: Calibration) -> bool:
    """Whether two calibrations are the same to the last bit."""
    return all(
        np.asarray(getattr(one, field.name)).tobytes()
        == np.asarray(getattr(other, field.name)).tobytes()
        for field in fields(Calibration)
    )
