"""Projections of several layers: exact in any order, nested, known by what a network computes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from catalog import Catalog
from catalog.data import projection_for, projection_named, projections
from catalog.descriptors import (
    BackboneError,
    CatalogError,
    InvalidInput,
    PictureError,
    Projection,
    unit_rows,
)
from catalog.descriptors.projection import LONGEST, STEPS
from catalog.embedder import DESCRIPTORS, MobileNetEmbedder, Specification, load, models, probes
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model

PICTURE = probes.pictures(200)[4]


def drawn(seed: int, numbers: int, width: int) -> tuple[Projection, np.ndarray, np.ndarray]:
    """A random projection, and the matrix and the mean that it was rounded from."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(numbers, width)) * rng.uniform(0.01, 100, (numbers, 1))
    mean = rng.normal(size=width)
    mean *= 0.5 / np.linalg.norm(mean)
    return Projection.rounded(mean, matrix), matrix, mean


@given(strategies.seeds, st.integers(1, 40), st.integers(2, 3000))
def test_products_are_exact(seed: int, numbers: int, width: int) -> None:
    """What is summed in float32 are whole numbers without rounding, in whatever order."""
    projection, _, _ = drawn(seed, numbers, width)
    rng = np.random.default_rng(seed)
    row = unit_rows(rng.normal(size=(1, width)).astype(np.float32))[0]
    steps = np.rint((row - projection.mean) * np.float32(STEPS)).astype(np.int64)
    exact = projection.rows.astype(np.int64) @ steps
    expected = exact * projection.scales.astype(np.float64)
    found = projection.to(numbers)(row)
    assert np.array_equal(found, (expected / np.linalg.norm(expected)).astype(np.float32))
    assert np.linalg.norm(projection.rows.astype(np.float64), axis=1).max() <= LONGEST


@given(strategies.seeds, st.integers(20, 60))
def test_it_is_the_projection_that_it_was_rounded_from(seed: int, numbers: int) -> None:
    """But for rounding: the cosine with the true one is nearly 1."""
    projection, matrix, mean = drawn(seed, numbers, 500)
    row = unit_rows(np.random.default_rng(seed).normal(size=(1, 500)).astype(np.float32))[0]
    true = matrix @ (row - mean)
    assert projection.to(numbers)(row) @ (true / np.linalg.norm(true)) > 0.999


@given(strategies.seeds, st.integers(2, 40), st.integers(1, 39))
def test_the_leading_rows_are_the_shorter_projection(seed: int, numbers: int, fewer: int) -> None:
    """A descriptor of fewer numbers is the beginning of a longer one, brought to unit length."""
    fewer = min(fewer, numbers)
    projection, _, _ = drawn(seed, numbers, 30)
    row = unit_rows(np.random.default_rng(seed).normal(size=(1, 30)).astype(np.float32))[0]
    long, short = projection.to(numbers)(row), projection.to(fewer)(row)
    assert np.allclose(short, long[:fewer] / np.linalg.norm(long[:fewer]), atol=1e-6)


def test_it_takes_the_time_of_its_own_thread_alone() -> None:
    """No library's threads take part, which would wait for more at the expense of the network."""
    code = """
import time
import numpy as np
from catalog.descriptors import Projection
random = np.random.default_rng(0)
rows = random.normal(size=(1280, 2816))
project = Projection.rounded(np.zeros(2816), rows).to(1280)
row = rows[0] / np.linalg.norm(rows[0])
time.sleep(0.5)  # what such threads have to do at first is done
process, thread = time.process_time(), time.thread_time()
for _ in range(200):
    project(row)
own = time.thread_time() - thread
print((time.process_time() - process - own) / own)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(done.stdout) < 0.2


def test_what_does_not_fit_is_refused() -> None:
    """Parts of other shapes, rows too long for exact sums, more numbers than rows, and nothing."""
    good, _, mean = drawn(0, 5, 9)
    with pytest.raises(InvalidInput, match="do not fit"):
        Projection(good.mean[:8], good.rows, good.scales)
    long = np.full((1, 3000), 127, np.int8)
    with pytest.raises(InvalidInput, match="longer than 2000"):
        Projection(np.zeros(3000, np.float32), long, np.ones(1, np.float32))
    for numbers in (0, 6):
        with pytest.raises(InvalidInput, match="up to 5 numbers"):
            good.to(numbers)
    with pytest.raises(PictureError, match="sees nothing"):
        good.to(5)(mean.astype(np.float32))


class TestShipped:
    """Those of the networks that are known."""

    @pytest.fixture
    def starter(self) -> Model:
        """The network that is shipped."""
        return models.starter()

    def test_the_starter_has_one(self, starter: Model) -> None:
        """It is found by what the network computes, and by its digest."""
        vectors = probes.describe(LiteRTNetwork(starter.read()))
        found = projection_for(vectors)
        assert found is not None
        assert len(found.rows) == 2048
        assert {512, 1280, 2048} == set(found.alike)
        named = projection_named(found.digest)
        assert named is not None
        assert np.array_equal(named.rows, found.rows)
        assert projection_for(vectors[:, ::-1]) is None
        assert projection_named("0" * 64) is None

    @pytest.mark.parametrize("descriptor", DESCRIPTORS)
    def test_a_catalogue_of_each_descriptor(self, tmp_path: Path, descriptor: str) -> None:
        """It is made, says which it has, and is found again by its specification alone."""
        path = tmp_path / "shop.catalog"
        with Catalog.init(path, backbone="starter", descriptor=descriptor) as made:
            assert made.info().descriptor == descriptor
            assert made.info().prior
            made.add_class("probe", [PICTURE])
        with Catalog.open(path) as shop:
            (found,) = shop.nearest(PICTURE, 1)
            assert found.score > 1 - 1e-5
            width = 1280 if descriptor == "pooled" else int(descriptor)
            assert shop.embedder.specification.width == width

    def test_several_layers_are_the_default(self, starter: Model) -> None:
        """1280 numbers, where a projection is known; where none is, the last layer alone."""
        with contextlib.closing(MobileNetEmbedder(starter)) as embedder:
            assert embedder.specification.projection is not None
            assert embedder.specification.width == 1280

    def test_another_network_stays_with_its_last_layer(self, tiny_model: Model) -> None:
        """And what is asked for, and is not there, is refused."""
        with contextlib.closing(MobileNetEmbedder(tiny_model)) as embedder:
            assert embedder.specification.projection is None
        with pytest.raises(BackboneError, match="several layers is known"):
            MobileNetEmbedder(tiny_model, descriptor="1280")
        with pytest.raises(InvalidInput, match="512, 1280, 2048, pooled"):
            MobileNetEmbedder(tiny_model, descriptor="600")

    def test_damage_is_noticed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A damaged file, and one that is not what its name says, are refused."""
        file = next(Path(projections.__file__).parent.glob("starter-*.npz"))
        vectors = np.zeros((5, 1280), np.float32)
        monkeypatch.setattr(projections, "SHIPPED", tmp_path)
        (tmp_path / file.name).write_bytes(file.read_bytes()[:-3000])
        with pytest.raises(CatalogError, match=r"is damaged.*install catalog again"):
            projection_for(vectors, tmp_path)
        (tmp_path / file.name).rename(tmp_path / "starter-000000000000.npz")
        (tmp_path / "starter-000000000000.npz").write_bytes(file.read_bytes())
        with pytest.raises(CatalogError, match="not the projection of its name"):
            projection_for(vectors, tmp_path)

    def test_a_projection_that_is_not_here(self, starter: Model) -> None:
        """A catalogue whose projection another version has cannot be asked by picture."""
        with contextlib.closing(MobileNetEmbedder(starter)) as embedder:
            text = embedder.specification.to_json()
            digest = str(embedder.specification.projection)
        other = Specification.from_json(text.replace(digest, "0" * 64))
        with pytest.raises(
            BackboneError, match="measured on another, or comes with another version"
        ):
            load(starter, other)


def test_the_specification_of_the_last_layer_is_what_it_was(tiny_model: Model) -> None:
    """No field was added to it, so catalogues from before have the fingerprint that they had."""
    with contextlib.closing(MobileNetEmbedder(tiny_model)) as embedder:
        text = embedder.specification.to_json()
    assert "layers" not in text
    assert "projection" not in text
    assert Specification.from_json(text) == embedder.specification
