"""Fixtures of trials: a folder in memory, and processes that can be forked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from forked import forkers, memory_folder


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder in memory, where there is one, since every commit syncs."""
    with memory_folder() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes without threads, so that they can be forked."""
    with forkers() as found:
        yield found
