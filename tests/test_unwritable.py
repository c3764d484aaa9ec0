"""Files and folders that cannot be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import photos
import pytest
from conftest import NOBODY
from cups_and_jugs import bare, reopen
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.store.files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalogue of three classes with five items each, and nothing derived beside it."""
    return bare(tmp_path / "shop.catalog")


@contextmanager
def without_privileges() -> Iterator[None]:
    """Make file permissions count, also where the tests are run by root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class TestPlaces:
    """Files and folders that cannot be written."""

    def test_the_cache_folder_cannot_be_made(self, shop: Path) -> None:
        """Without a cache folder everything works, and nothing is said of it."""
        with reopen(shop) as catalog:
            expected = (catalog.info().learning_state, catalog.predict(photos.photo(1)))
        shutil.rmtree(cache_folder(shop))
        cache_folder(shop).write_text("a file where the folder should be")
        for _ in range(2):
            with reopen(shop) as catalog:
                assert (catalog.info().learning_state, catalog.predict(photos.photo(1))) == expected
                catalog.add("cup", [photos.photo(0, 50)])
                catalog.undo()
                assert catalog.verify().sound
        assert cache_folder(shop).read_text() == "a file where the folder should be"

    def test_a_file_in_wal_mode_that_cannot_be_written(self) -> None:
        """It says why it cannot be read; where files may be written beside it, it is as before."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            path = Path(folder, "shop.catalog")
            with Catalog.init(path, embedder=FakeEmbedder()) as made:
                made.add_class("cup", photos.shots(0, 3))
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
            path.chmod(0o444)
            Path(folder).chmod(0o555)
            try:
                with (
                    without_privileges(),
                    pytest.raises(
                        CatalogError, match=r"shop\.catalog is in WAL mode, .* may write"
                    ),
                ):
                    reopen(path)
            finally:
                Path(folder).chmod(0o755)
                path.chmod(0o644)
            with reopen(path) as catalog:
                assert catalog.labels()[0].items == 3

    def test_a_file_that_cannot_be_written(self) -> None:
        """A read-only catalogue answers; a change is refused with the file's name."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            path = Path(folder, "shop.catalog")
            with Catalog.init(path, embedder=FakeEmbedder()) as made:
                made.add_class("cup", photos.shots(0, 3))
                made.add_class("jug", photos.shots(1, 3))
            path.chmod(0o444)
            Path(folder).chmod(0o555)
            try:
                with without_privileges(), reopen(path) as catalog:
                    assert catalog.predict(photos.photo(1, 9)).label == "jug"
                    assert catalog.verify().sound
                    with pytest.raises(CatalogError, match=r"shop\.catalog is read-only here"):
                        catalog.add_class("pan", photos.shots(2, 3))
                    assert [row.label for row in catalog.labels()] == ["cup", "jug"]
            finally:
                Path(folder).chmod(0o755)
