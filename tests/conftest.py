"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real weights and photos; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("CATALOG_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "backbone").is_dir():
        pytest.skip("needs the real backbone and photos (set CATALOG_SHARED)")
    return folder


@pytest.fixture(scope="session")
def saved_model(shared: Path) -> Path:
    """The real ImageNet MobileNetV2 as a SavedModel feature vector."""
    return shared / "backbone" / "mobilenet_v2_100_224_feature_vector"


@pytest.fixture(scope="session")
def grocery(shared: Path) -> Path:
    """Photos of 81 grocery products: ``train``, ``val`` and ``test`` trees."""
    return shared / "pictures" / "grocery"
