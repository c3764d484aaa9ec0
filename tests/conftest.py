"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from command_shop import in_process, made, shop
from hub_server import HANDLE, PAYLOAD, HubServer
from hypothesis import HealthCheck, settings
from tiny_network import tiny_cache, tiny_model

from catalog.embedder import models
from catalog.embedder.model_cache import Model

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")  # no example fails for being slow on a busy machine

__all__ = ["in_process", "made", "shop", "tiny_cache", "tiny_model"]

collect_ignore = [] if find_spec("torch") else ["test_starter_training.py"]
"""The half of the starter's recipe that runs on PyTorch, an extra that the project does without."""


LONGEST = (
    "test_real", "test_walkthroughs", "test_starter", "test_cli", "test_models", "test_wheel",
    "test_gan", "test_model", "test_faults", "test_power_cuts", "test_choice", "test_kills",
    "test_document_training", "test_document_head", "test_kills_everywhere", "test_litert",
    "test_files", "test_merge",
)  # fmt: skip
"""The files that take longest, in this order, so that the last process to end does not end late."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    place = {name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out without being skipped."""
    for name in collect_ignore:
        terminalreporter.write_line(f"not collected: tests/{name} (needs the extra `train`)")


NOBODY = 65534
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty model cache, so that no test sees or touches what is the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CATALOG_PATH", "CATALOG_BACKBONE", "CATALOG_HUB_URL", "CATALOG_KERAS_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("CATALOG_CACHE", str(folder))
        yield folder


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
def imagenet(saved_model: Path, model_cache: Path) -> Model:
    """The real network, imported."""
    return models.import_model(saved_model)


@pytest.fixture(scope="session")
def grocery(shared: Path) -> Path:
    """Photos of 81 grocery products: ``train``, ``val`` and ``test`` trees."""
    return shared / "pictures" / "grocery"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty model cache of the test's own."""
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, and no rights beyond those its permissions give, even where root runs the tests."""
    with TemporaryDirectory() as folder:
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub and Keras applications on loopback, reached without a proxy.

    There is one archive, of random bytes, and it is the Hub's.
    """
    monkeypatch.setenv("no_proxy", "*")
    with HubServer({HANDLE: PAYLOAD}) as server:
        monkeypatch.setenv("CATALOG_HUB_URL", server.url)
        monkeypatch.setenv("CATALOG_KERAS_URL", server.keras)
        yield server
