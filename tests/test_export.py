"""Exports: what other tools read is what the catalogue holds, and is there whole or not at all."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from conftest import REPOSITORY
from doubles import FakeEmbedder
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import label_text

from catalog import Catalog, Item
from catalog.care.export import Exported, format_of, label_file
from catalog.descriptors import SCALE, CatalogError, Conflict, Damaged, InvalidInput, NotFound

NAMES = ("cup", "jug two", "Café ☕")
FORMATS = {"parquet": "shop.parquet", "npz": "shop.npz", "labels": "shop.json", "projector": "shop"}

InProcess = Callable[..., tuple[int, str, str]]

needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs the extra `parquet`")
every_format = pytest.mark.parametrize(
    "kind", [pytest.param("parquet", marks=needs_pyarrow), "npz", "labels", "projector"]
)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue of three classes with three items each, found at one place, two, or none."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        for thing, name in enumerate(NAMES):
            made.add_class(name, photos.shots(thing, 2))
            for folder in ("a", "b\tc")[: thing + 1]:
                made.add(name, photos.draw(tmp_path / folder / str(thing), thing, 1, first=8))
        yield made


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """An empty folder to write to."""
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def in_order(catalog: Catalog) -> list[Item]:
    """Every item, in the order of content hashes."""
    return sorted(catalog.items(), key=lambda item: item.content)


def descriptors(catalog: Catalog, items: list[Item]) -> NDArray[np.float32]:
    """The stored descriptors of items, read past everything but SQLite: float32 (N, D)."""
    with catalog._store.reading() as tx:
        rows = [
            tx.execute("SELECT value FROM descriptor WHERE item = ?", (item.id,)).fetchone()[0]
            for item in items
        ]
    return np.array([np.frombuffer(row, "<i2") for row in rows]).astype(np.float32) / SCALE


def files(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its path."""
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


class TestParquet:
    """A Parquet file has a row for each item."""

    @needs_pyarrow
    def test_columns(self, catalog: Catalog, there: Path) -> None:
        """Every column is that of the catalogue, of a type that other tools know."""
        import pyarrow as pa
        from pyarrow import parquet

        done = catalog.export(there / "shop.parquet")
        assert done == Exported(there / "shop.parquet", "parquet", 9, 0)
        table = parquet.read_table(there / "shop.parquet")
        items, slots = in_order(catalog), {row.label: row.slot for row in catalog.labels()}
        assert table.select(["item", "label", "slot", "content", "sources"]).to_pylist() == [
            {
                "item": item.id,
                "label": item.label,
                "slot": slots[item.label],
                "content": item.content,
                "sources": list(item.sources),
            }
            for item in items
        ]
        assert table.schema.field("descriptor").type == pa.list_(pa.float32(), 64)
        rows = np.array(table["descriptor"].to_pylist(), np.float32)
        np.testing.assert_array_equal(rows, descriptors(catalog, items))

    @needs_pyarrow
    def test_metadata(self, catalog: Catalog, there: Path) -> None:
        """The file says which program, embedder and state it is of."""
        from pyarrow import parquet

        catalog.export(there / "shop.parquet")
        info = catalog.info()
        assert parquet.read_schema(there / "shop.parquet").metadata == {
            b"catalog": version("catalog").encode(),
            b"embedder": info.fingerprint.encode(),
            b"generation": str(info.generation).encode(),
            b"learning_state": info.learning_state.encode(),
        }

    @needs_pyarrow
    def test_groups_of_rows(
        self, catalog: Catalog, there: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows are written a group at a time, and together they are all of them."""
        from pyarrow import parquet

        monkeypatch.setattr("catalog.care.export._BLOCK_ITEMS", 4)
        catalog.export(there / "shop.parquet")
        file = parquet.ParquetFile(there / "shop.parquet")
        groups = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
        assert groups == [4, 4, 1]
        assert file.read()["item"].to_pylist() == [item.id for item in in_order(catalog)]

    def test_without_pyarrow(
        self, catalog: Catalog, there: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where pyarrow is missing, it is said how to get it, and nothing is left behind."""
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(CatalogError, match=r"pip install 'catalog\[parquet\]'"):
            catalog.export(there / "shop.parquet")
        assert files(there) == {}


class TestArrays:
    """A NumPy archive has an array for each column."""

    def test_arrays(self, catalog: Catalog, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Arrays are those of the catalogue, and are read without pickle."""
        monkeypatch.setattr("catalog.care.export._BLOCK_ITEMS", 4)
        assert catalog.export(there / "shop.npz").items == 9
        items, slots = in_order(catalog), {row.label: row.slot for row in catalog.labels()}
        with np.load(there / "shop.npz", allow_pickle=False) as found:
            assert found["descriptors"].dtype == np.float32
            np.testing.assert_array_equal(found["descriptors"], descriptors(catalog, items))
            assert found["items"].tolist() == [item.id for item in items]
            assert found["labels"].tolist() == [item.label for item in items]
            assert found["slots"].tolist() == [slots[item.label] for item in items]
            assert found["content"].tolist() == [item.content for item in items]
            starts, sources = found["starts"], found["sources"]
            parted = [sources[a:b].tolist() for a, b in pairwise(starts)]
            assert parted == [list(item.sources) for item in items]

    def test_an_empty_catalogue(self, tmp_path: Path) -> None:
        """Without items the arrays have their types and no rows."""
        with Catalog.init(tmp_path / "new.catalog", embedder=FakeEmbedder()) as empty:
            assert empty.export(tmp_path / "new.npz").items == 0
        with np.load(tmp_path / "new.npz", allow_pickle=False) as found:
            assert found["descriptors"].shape == (0, 64)
            assert found["starts"].tolist() == [0]
            assert all(len(found[name]) == 0 for name in ("items", "labels", "sources"))


class TestLabels:
    """The label file is index to name and name to index, and indices never change."""

    def read(self, catalog: Catalog, path: Path) -> Any:
        """The file that an export writes, read."""
        catalog.export(path, replace=True)
        return json.loads(path.read_text("utf-8"))

    def test_an_empty_catalogue(self, tmp_path: Path) -> None:
        """It starts as the one label noise."""
        with Catalog.init(tmp_path / "new.catalog", embedder=FakeEmbedder()) as empty:
            found = self.read(empty, tmp_path / "labels.json")
        assert found == {"labels": {"0": "noise"}, "indices": {"noise": 0}}

    def test_indices_stay(self, catalog: Catalog, there: Path) -> None:
        """The first class has index 0, a new one the next, and one that is removed takes none's."""
        path = there / "labels.json"
        first = {str(at): name for at, name in enumerate(NAMES)}
        assert self.read(catalog, path)["labels"] == first
        catalog.remove_class(NAMES[0])
        catalog.add_class("tea", photos.shots(7, 1))
        found = self.read(catalog, path)
        assert found["labels"] == {"1": NAMES[1], "2": NAMES[2], "3": "tea"}
        assert found["indices"] == {NAMES[1]: 1, NAMES[2]: 2, "tea": 3}
        catalog.add_class(NAMES[0], photos.shots(0, 1))
        assert self.read(catalog, path)["indices"][NAMES[0]] == 0

    @given(st.dictionaries(st.integers(1, 10_000), label_text(), max_size=8))
    def test_both_ways(self, names: dict[int, str]) -> None:
        """Each of the two maps is the other's inverse."""
        unique = {slot: f"{slot} {name}" for slot, name in names.items()}
        found = json.loads(label_file(unique))
        assert {int(at): name for at, name in found["labels"].items()} == {
            at: name for name, at in found["indices"].items()
        }
        assert {name: at + 1 for name, at in found["indices"].items()} == (
            {name: slot for slot, name in unique.items()} or {"noise": 1}
        )


class TestProjector:
    """A folder for the embedding projector."""

    def test_tables(self, catalog: Catalog, there: Path) -> None:
        """Each line has an item's descriptor, and another what it is, without stray tabs."""
        done = catalog.export(there / "shop", format="projector")
        assert (done.format, done.items) == ("projector", 9)
        assert sorted(files(there / "shop")) == [
            "metadata.tsv",
            "projector_config.pbtxt",
            "tensors.tsv",
        ]
        items = in_order(catalog)
        rows = np.loadtxt(there / "shop" / "tensors.tsv", np.float32, delimiter="\t")
        np.testing.assert_array_equal(np.rint(rows * SCALE) / SCALE, descriptors(catalog, items))
        text = (there / "shop" / "metadata.tsv").read_bytes().decode()
        heading, *lines = text.removesuffix("\n").split("\n")
        assert heading == "label\titem\tsource"
        assert [line.split("\t") for line in lines] == [
            [
                item.label,
                str(item.id),
                item.sources[0].replace("\t", " ") if item.sources else "",
            ]
            for item in items
        ]

    def test_configuration(self, catalog: Catalog, there: Path) -> None:
        """The configuration names the two tables and their shape, as TensorBoard reads it."""
        catalog.export(there / "shop", format="projector")
        text = (there / "shop" / "projector_config.pbtxt").read_text()
        if find_spec("tensorboard"):
            from google.protobuf import text_format
            from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

            (embedding,) = text_format.Parse(text, ProjectorConfig()).embeddings
            assert (embedding.tensor_path, embedding.metadata_path) == (
                "tensors.tsv",
                "metadata.tsv",
            )
            assert list(embedding.tensor_shape) == [9, 64]
        assert [line.strip() for line in text.splitlines()] == [
            "embeddings {",
            'tensor_name: "catalog"',
            "tensor_shape: 9",
            "tensor_shape: 64",
            'tensor_path: "tensors.tsv"',
            'metadata_path: "metadata.tsv"',
            "}",
        ]


class TestWhatIsWritten:
    """What holds for every format."""

    def test_history_leaves_no_trace(self, tmp_path: Path, there: Path) -> None:
        """Items come in one order, whatever the order in which they were added."""
        contents = []
        for name, order in (("one", (0, 1, 2)), ("two", (2, 0, 1))):
            with Catalog.init(tmp_path / f"{name}.catalog", embedder=FakeEmbedder()) as made:
                for thing in order:
                    made.add_class(NAMES[thing], photos.shots(thing, 3))
                made.export(there / name, format="npz")
            with np.load(there / name) as found:
                contents.append((found["descriptors"], found["labels"].tolist()))
        np.testing.assert_array_equal(contents[0][0], contents[1][0])
        assert contents[0][1] == contents[1][1]

    @every_format
    def test_again(self, catalog: Catalog, there: Path, kind: str) -> None:
        """The same catalogue gives the same bytes; what is there is replaced only when asked."""
        path = there / FORMATS[kind]
        catalog.export(path, format=kind)
        before = files(there)
        with pytest.raises(Conflict, match="exists already"):
            catalog.export(path, format=kind)
        if kind == "projector":
            with pytest.raises(Conflict, match="delete it first"):
                catalog.export(path, format=kind, replace=True)
        else:
            catalog.export(path, format=kind, replace=True)
        assert files(there) == before

    @every_format
    def test_dropped_descriptors(self, catalog: Catalog, there: Path, kind: str) -> None:
        """Items without descriptors are left out of tables and counted; labels keep their class."""
        catalog.compact([NAMES[1]])
        done = catalog.export(there / FORMATS[kind], format=kind)
        assert (done.items, done.without_descriptor) == ((9, 0) if kind == "labels" else (6, 3))
        if kind == "npz":
            with np.load(there / FORMATS[kind]) as found:
                assert set(found["labels"].tolist()) == {NAMES[0], NAMES[2]}

    def test_lost_descriptors(self, catalog: Catalog, there: Path) -> None:
        """An item that has lost its descriptor, or its class, is no silent gap."""
        path = there / "shop.npz"
        with closing(sqlite3.connect(catalog.path, isolation_level=None)) as other:
            other.execute("UPDATE item SET label = 99 WHERE id = 3")
            with pytest.raises(Damaged, match="has lost its class"):
                catalog.export(path)
            other.execute("UPDATE item SET label = 1 WHERE id = 3")
            other.execute("DELETE FROM descriptor WHERE item = 2")
            with pytest.raises(Damaged, match="has lost its descriptor"):
                catalog.export(path)
        assert files(there) == {}


class TestWhereItGoes:
    """A destination that will not do is refused, and is as it was."""

    @pytest.mark.parametrize(
        ("name", "kind", "expected"),
        [
            ("a.parquet", None, "parquet"),
            ("a.NPZ", None, "npz"),
            ("a.json", None, "labels"),
            ("a.json", "projector", "projector"),
            ("a", "npz", "npz"),
        ],
    )
    def test_formats(self, name: str, kind: str | None, expected: str) -> None:
        """The format that is given counts, else the ending."""
        assert format_of(Path(name), kind) == expected

    @pytest.mark.parametrize(("name", "kind"), [("a", None), ("a.csv", None), ("a.npz", "csv")])
    def test_no_format(self, name: str, kind: str | None) -> None:
        """An unknown format, or an ending that names none, is refused with the formats' names."""
        with pytest.raises(InvalidInput, match="parquet, npz, labels or projector"):
            format_of(Path(name), kind)

    def test_never_the_catalogue(self, catalog: Catalog) -> None:
        """The catalogue is not replaced by an export of itself, by whatever name it goes."""
        alias = catalog.path.with_name("alias.npz")
        alias.hardlink_to(catalog.path)
        with pytest.raises(Conflict, match="is a catalogue"):
            catalog.export(alias, replace=True)
        assert catalog.verify().sound

    def test_never_other_things(self, catalog: Catalog, there: Path) -> None:
        """No folder is ever replaced, nor is a device."""
        (there / "photo.jpg").write_bytes(b"dear")
        (there / "empty").mkdir()
        for path, kind in (
            (there, "projector"),
            (there / "photo.jpg", "projector"),
            (there / "empty", "npz"),
            (Path("/dev/null"), "npz"),
        ):
            with pytest.raises(Conflict):
                catalog.export(path, format=kind, replace=True)
        assert files(there) == {"photo.jpg": b"dear"}

    def test_no_folder(self, catalog: Catalog, there: Path) -> None:
        """A folder that is not there is not made."""
        with pytest.raises(NotFound, match="there is no folder"):
            catalog.export(there / "none" / "shop.npz")

    @every_format
    def test_a_folder_that_cannot_be_written(
        self, tmp_path_factory: pytest.TempPathFactory, unprivileged: Path, kind: str
    ) -> None:
        """A folder without rights is an error of ours, and stays empty."""
        with Catalog.init(unprivileged / "shop.catalog", embedder=FakeEmbedder()) as made:
            made.add_class("cup", photos.shots(0, 1))
            closed = unprivileged / "closed"
            closed.mkdir()
            closed.chmod(0o500)
            with pytest.raises(CatalogError, match="cannot write"):
                made.export(closed / FORMATS[kind], format=kind)
            assert list(closed.iterdir()) == []

    @every_format
    def test_a_full_disk(self, catalog: Catalog, there: Path, kind: str) -> None:
        """When no byte more can be written, nothing is left, and what was there stays."""
        path = there / FORMATS[kind]
        catalog.export(path, format=kind)
        before = files(there)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))  # as a disk with 60 bytes left
        try:
            with pytest.raises(CatalogError, match="cannot write"):
                catalog.export(there / "other", format=kind)
            if kind != "projector":
                with pytest.raises(CatalogError, match="cannot write"):
                    catalog.export(path, format=kind, replace=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        assert files(there) == before

    def test_a_kill(self, catalog: Catalog, there: Path) -> None:
        """Whenever it is killed, a file is the old one or the new one, whole."""
        path = there / "shop.npz"
        catalog.export(path)
        with np.load(path) as found:
            old = found["items"].tolist()
        code = (
            "import os, sys\nsys.path[:0] = sys.argv[3:]\n"
            "from doubles import FakeEmbedder\nfrom catalog import Catalog\n"
            "os.fsync = lambda descriptor: os._exit(9)\n"
            "Catalog.open(sys.argv[1], embedder=FakeEmbedder())"
            ".export(sys.argv[2], replace=True)\n"
        )
        killed = subprocess.run(
            [sys.executable, "-c", code, catalog.path, path, REPOSITORY, REPOSITORY / "tests"],
            check=False,
            timeout=60,
        )
        assert killed.returncode == 9
        with np.load(path) as found:
            assert found["items"].tolist() == old


def test_the_command(in_process: InProcess, shop: Path, tmp_path: Path) -> None:
    """The command says in a line what it wrote, or as JSON what the Python call returns."""
    path = tmp_path / "shop.npz"
    assert in_process("export", path, "--catalog", shop) == (0, f"{path}: 12 items as npz\n", "")
    code, _, error = in_process("export", path, "--catalog", shop)
    assert (code, "exists already" in error) == (1, True)
    shutil.copy(shop, tmp_path / "other.catalog")
    in_process("compact", "cup", "--yes", "--catalog", tmp_path / "other.catalog")
    wanted = ("export", path, "--replace", "--json", "--catalog", tmp_path / "other.catalog")
    code, out, error = in_process(*wanted)
    assert (code, error) == (0, "")
    assert json.loads(out) == {
        "path": str(path),
        "format": "npz",
        "items": 8,
        "without_descriptor": 4,
    }
    code, out, error = in_process("export", path, "--replace", "--catalog", wanted[-1])
    assert out == f"{path}: 8 items as npz\n"
    assert error == "left out: 4 items whose descriptors were dropped by `catalog compact`\n"
