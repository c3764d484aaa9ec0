"""What the program says of its work to those who ask for it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import photos
import pytest
from doubles import FakeEmbedder
from tiny_network import run

from catalog import Catalog


def test_what_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What takes long says when it is done; loggers go by the module that they are of."""
    with (
        caplog.at_level(logging.DEBUG, logger="catalog"),
        Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as shop,
    ):
        shop.add_class("cup", photos.shots(0, 3))
        shop.predict(photos.photo(0))
    said = {(record.name, record.getMessage()) for record in caplog.records}
    assert {
        ("catalog.changes.staging", "stored 3 descriptors"),
        ("catalog.learning.derived", "made sums of generation 1"),
        ("catalog.learning.derived", "saved metric of generation 1"),
    } <= said
    assert any("generation 1, 3 items in 1 classes" in words for _, words in said)
    assert all(record.levelno <= logging.INFO for record in caplog.records)


def test_it_is_quiet_by_default(tmp_path: Path) -> None:
    """A script that configures no logging sees nothing of it."""
    script = (
        "import photos; from doubles import FakeEmbedder; from catalog import Catalog\n"
        f"with Catalog.init({str(tmp_path / 'a.catalog')!r}, embedder=FakeEmbedder()) as shop:\n"
        "    shop.add_class('cup', photos.shots(0, 3))\n"
        "    shop.predict(photos.photo(0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_verbose(shop: Path, tiny_cache: Path) -> None:
    """`-v` says on stderr what is done; what a program reads on stdout stays as it is."""
    asked = ("labels", "--catalog", shop, "--json")
    photo = shop.with_name("photo.jpg")
    photo.write_bytes(photos.photo(0))
    quiet, loud = run(*asked, cache=tiny_cache), run("-v", *asked, cache=tiny_cache)
    assert (loud.stdout, quiet.stderr) == (quiet.stdout, "")
    loud = run("--verbose", "nearest", photo, "--catalog", shop, cache=tiny_cache)
    assert loud.returncode == 0
    assert " ms  catalog.learning.keeper: snapshot of generation" in loud.stderr
