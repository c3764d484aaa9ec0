"""The priors that are shipped, and how they are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog import Catalog
from catalog.data import prior_for
from catalog.data.photograph import photograph
from catalog.embedder import PRESETS, MobileNetEmbedder, measuring
from catalog.embedder.model_cache import Model


@pytest.mark.real
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_of_the_real_network_has_its_prior(imagenet: Model, preset: str) -> None:
    """The ImageNet network finds a prior of its own for each preset, by what it computes."""
    prior = prior_for(MobileNetEmbedder(imagenet, preset, "pooled").probe())
    assert prior is not None
    assert prior.directions.shape == (measuring.RANK, 1280)
    np.testing.assert_allclose(
        prior.directions @ prior.directions.T, np.eye(measuring.RANK), atol=0.01
    )
    others = [prior_for(MobileNetEmbedder(imagenet, name, "pooled").probe()) for name in PRESETS]
    assert [other.digest for other in others if other].count(prior.digest) == 1


def test_an_unknown_network_has_none(tiny_model: Model, tmp_path: Path) -> None:
    """A network nobody measured starts from an isotropic prior, and its catalogue says so."""
    embedder = MobileNetEmbedder(tiny_model)
    assert prior_for(embedder.probe()) is None
    with Catalog.init(tmp_path / "x.catalog", embedder=embedder) as made:
        assert not made.info().prior


def test_a_made_up_photo_shows_the_thing() -> None:
    """A photo of a thing has the size of what is behind it, and both can be seen in it."""
    thing = np.full((50, 80, 3), (200, 30, 30), np.uint8)
    behind = np.full((90, 120, 3), (20, 20, 160), np.uint8)
    photo = photograph(thing, behind, np.random.default_rng(0)).astype(int)
    assert photo.shape == behind.shape
    red = photo[..., 0] > photo[..., 2]
    assert 0.1 < red.mean() < 0.95
    assert red[45, 60]
