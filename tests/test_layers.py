"""Several layers of one pass: found by structure, and the last is what it was, bit for bit."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from catalog.descriptors import BackboneError
from catalog.embedder import models, probes
from catalog.embedder.layers import BLOCKS, expanded_maps, joined, parts_of, with_layers
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model, file_of


@pytest.fixture
def starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The network that is shipped, in a cache of its own."""
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    return models.starter()


def layers_of(model: Model) -> bytes:
    """The network with further outputs."""
    content = models.layered(model)
    assert content is not None
    return content


def test_the_last_layer_is_what_it_was(starter: Model) -> None:
    """Further outputs change no bit of the first: they are what blocks 13 and 6 expand."""
    pictures = probes.pictures(160)
    network = LiteRTNetwork(layers_of(starter))
    assert np.array_equal(network(pictures), LiteRTNetwork(starter.read())(pictures))
    shapes = [[one.shape for one in outputs] for outputs in network.outputs(pictures)]
    assert shapes == [[(1280,), (10, 10, 288), (20, 20, 96)]] * len(pictures)


def test_the_maps_are_those_before_the_depthwise_convolutions() -> None:
    """Of 17 the inputs of those of the chosen blocks are taken; of another number none."""
    assert expanded_maps(range(17)) == list(BLOCKS)
    assert expanded_maps(range(16)) is None
    assert expanded_maps(range(18)) is None


def test_another_structure_gives_none(tiny_model: Model) -> None:
    """A network that is no MobileNetV2 has no layers, and neither has what is no network."""
    assert models.layered(tiny_model) is None
    assert with_layers(b"") is None
    assert with_layers(b"\x1c\0\0\0TFL3" + b"\0" * 64) is None


def test_statistics() -> None:
    """Mean and deviation of each channel, raised to one half with their sign, of unit length."""
    rng = np.random.default_rng(0)
    one, vector = rng.normal(size=(4, 5, 7)), rng.normal(size=9)
    vector32, one32 = vector.astype(np.float32), one.astype(np.float32)
    last, mean, deviation = parts_of(vector32, [one32])
    for found, expected in (
        (last, vector),
        (mean, one.mean(axis=(0, 1))),
        (deviation, one.std(axis=(0, 1))),
    ):
        powered = np.sign(expected) * np.abs(expected) ** 0.5
        assert np.allclose(found, powered / np.linalg.norm(powered), atol=1e-5)


def test_each_part_counts_alike() -> None:
    """A row is of unit length, and so is each part of it but for their number; zeros stay zeros."""
    rng = np.random.default_rng(1)
    views = [[rng.normal(size=n).astype(np.float32) for n in (3, 50)] for _ in range(3)]
    row = joined(views)
    assert np.isclose(np.linalg.norm(row), 1)
    assert np.isclose(np.linalg.norm(row[:3]), np.sqrt(0.5))
    nothing: list[NDArray[np.float32]] = [np.zeros(4, np.float32)]
    assert not joined([parts_of(nothing[0], [np.zeros((2, 2, 3), np.float32)])]).any()


class TestInTheCache:
    """The network with further outputs lies beside the network, and is made again if it must be."""

    def test_it_is_made_when_a_network_is_taken_in(self, starter: Model) -> None:
        """The record names its hash; nothing is made at a later load."""
        record = json.loads(starter.path.with_suffix(".json").read_text())
        assert models.find("starter").layers == record["layers"] == starter.layers
        assert file_of(record["layers"]).is_file()

    @pytest.mark.parametrize("harm", ["gone", "damaged", "older record"])
    def test_it_is_made_again(self, starter: Model, harm: str) -> None:
        """From the network, where it is gone or damaged, or an older version took that in."""
        good = layers_of(starter)
        file, record = file_of(str(starter.layers)), starter.path.with_suffix(".json")
        if harm == "gone":
            file.unlink()
        elif harm == "damaged":
            file.write_bytes(good[:-1] + b"x")
        else:
            kept = json.loads(record.read_text())
            del kept["layers"]
            record.write_text(json.dumps(kept))
        assert layers_of(models.find("starter")) == good
        assert models.find("starter").read_layers() == good

    def test_a_cache_that_cannot_be_written(
        self, starter: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is used all the same, and a log says that it was not kept."""
        good = layers_of(starter)
        file_of(str(starter.layers)).unlink()

        def refuse(*_: object) -> None:
            raise BackboneError("cannot write")

        monkeypatch.setattr(models, "keep_layers", refuse)
        with caplog.at_level(logging.WARNING):
            assert layers_of(starter) == good
        assert "cannot write" in caplog.text
