"""Damage to what comes with the program: the starter network and the priors."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from damage import spoilt

from catalog.data import priors
from catalog.descriptors import CatalogError
from catalog.embedder import models


@pytest.mark.parametrize("scale", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_damaged_networks_are_never_loaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch, scale: int, tmp_path: Path
) -> None:
    """A starter network that is not the one that was shipped is refused before it is loaded."""
    sound = models.starter()  # from here on the cache has it
    content, rng = sound.read(), random.Random(7)
    shipped = tmp_path / "starter.tflite"
    monkeypatch.setattr(models.shipped, "FLATBUFFER", shipped)
    for _ in range(scale):
        damaged = spoilt(content, rng)
        sound.path.write_bytes(damaged)
        shipped.write_bytes(damaged)
        assert not sound.is_intact
        with pytest.raises(CatalogError):
            sound.read()
        with pytest.raises(CatalogError, match="install"):
            models.starter()


@pytest.mark.parametrize("scale", [6, pytest.param(200, marks=pytest.mark.soak)])
def test_damaged_priors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int) -> None:
    """A prior that is damaged is found as it was, or refused with a word on what to do."""
    (file,) = Path(priors.__file__).parent.glob("starter-fast.npz")
    content, rng = file.read_bytes(), random.Random(8)
    with np.load(file) as arrays:
        probes = arrays["probes"].astype(np.float32)
    (tmp_path / "notes.txt").write_text("no prior")
    monkeypatch.setattr(priors, "SHIPPED", tmp_path)
    known = None
    for number in range(scale):
        (tmp_path / "a.npz").write_bytes(spoilt(content, rng) if number else content)
        try:
            found = priors.prior_for(probes, tmp_path)
        except CatalogError as error:
            assert "install" in str(error)  # noqa: PT017
            continue
        known = known or found
        assert found is None or known is None or found.digest == known.digest
    assert known is not None
