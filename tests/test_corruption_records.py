"""Small files of JSON with anything in them: none ends a command."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from damage import unpacked
from golden import make
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.descriptors import CatalogError, Locked
from catalog.embedder import models
from catalog.store import binding
from catalog.store.files import cache_folder
from catalog.store.store import Store

DEEP = b"[" * 2_000
"""Deeper than a parser of JSON can go."""

awkward = (
    st.binary(max_size=60)
    | st.sampled_from(
        [b"[" * 100_000, b"{}", b"[]", b"null", b'{"pid": []}', b"\xff\xfe{", b"1" * 9000]
    )
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda part: (
            st.lists(part, max_size=3)
            | st.dictionaries(st.sampled_from(["pid", "command", "since", "embedder", "x"]), part)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)


@pytest.fixture(scope="module")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A golden catalogue that is left as it is."""
    path = tmp_path_factory.mktemp("small") / "shop.catalog"
    unpacked("format-5-frozen", path)
    cache_folder(path).mkdir()
    return path


@settings(max_examples=60)
@given(content=awkward)
@example(content=DEEP)
def test_any_word_of_a_writer(small_shop: Path, content: bytes) -> None:
    """Whatever lies in writer.json, a locked catalogue is said to be locked."""
    (cache_folder(small_shop) / "writer.json").write_bytes(content)
    with closing(sqlite3.connect(small_shop, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            closing(Store(small_shop, busy_seconds=0)) as store,
            pytest.raises(Locked, match="is being written by"),
            store.writing(),
        ):
            pass


@settings(max_examples=60)
@given(content=awkward)
@example(content=DEEP)
def test_any_record_of_a_machine(small_shop: Path, content: bytes) -> None:
    """Whatever lies in machine.json, the machine is checked, and what was checked is written."""
    cache = cache_folder(small_shop)
    (cache / "machine.json").write_bytes(content)
    with closing(Store(small_shop)) as store, store.reading() as tx:
        bound = binding.read(tx)
    binding._check_machine(make.embedder(), bound, cache)
    written = json.loads((cache / "machine.json").read_text())
    assert written["embedder"] == bound.fingerprint[:12]


RECORD = {
    "name": "tiny", "origins": [{"source": "a", "archive_sha256": "b"}], "input_size": 48,
    "width": 16, "imagenet_cosine": None, "imported_at": "2024-02-29T00:00:00+00:00",
}  # fmt: skip

any_record = st.fixed_dictionaries(
    {}, optional={name: st.just(value) | st.none() | st.integers() | st.text(max_size=3)
                  | st.lists(st.integers(), max_size=1) for name, value in RECORD.items()},
).map(lambda record: json.dumps({**RECORD, **record}).encode())  # fmt: skip


@settings(max_examples=100)
@given(content=awkward | any_record)
@example(content=DEEP)
@example(content=json.dumps({**RECORD, "imported_at": 5}).encode())
@example(content=json.dumps({**RECORD, "origins": []}).encode())
@example(content=json.dumps({**RECORD, "imagenet_cosine": "1"}).encode())
def test_any_record_of_a_network(content: bytes) -> None:
    """Whatever lies in a network's record, the others are found, and it is none or as it says."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_CACHE", folder)
        cache = Path(folder, "models")
        cache.mkdir()
        (cache / f"{'0' * 64}.json").write_text(json.dumps(RECORD))
        (cache / f"{'1' * 64}.json").write_bytes(content)
        found = {model.sha256[0]: model for model in models.recorded()}
        assert "0" in found
        for model in found.values():
            assert model.sources
            assert model.is_imagenet in {True, False}
        with pytest.raises(CatalogError):
            models.find("nobody")
