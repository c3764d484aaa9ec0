"""Files of arrays: what is read is what was written, or nothing at all."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog.index import array_file

KEY = {"basis": "a", "generation": 7}
OLD = {"numbers": np.arange(5)}
NEW = {"numbers": np.arange(9), "names": np.array([b"a", b"b"]), "none": np.zeros((0, 3))}

several = st.dictionaries(st.text(max_size=5), strategies.any_arrays(), max_size=4)
keys = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(-(2**70), 2**70))


@contextmanager
def scratch() -> Iterator[Path]:
    """Name a file in a folder of its own, for one example."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "file")


def assert_equal(arrays: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> None:
    """Compare arrays to the bit: names, dtypes, byte orders, shapes and bytes."""
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()


def assert_refused(path: Path) -> None:
    """Check that a file reads as absent, and that what is wrong with it is said by name."""
    assert array_file.read(path, "sums") is None
    fault = array_file.fault(path, "sums")
    assert fault is not None
    assert fault.startswith(f"{path.name}: ")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sound file."""
    path = tmp_path / "file"
    array_file.write(path, "sums", KEY, NEW)
    return path


# --- reading what was written --------------------------------------------------------------------
@given(keys, several)
@example({}, {})
@example({}, {"scalar": np.array(3.5)})
@example({}, {"empty": np.zeros((2, 0, 3), ">f8")})
@example({}, {"swapped": np.arange(3, dtype=">i2")})
@example({}, {"strided": np.arange(24).reshape(4, 6)[::2, ::-1].T})
@example({}, {"times": np.array(["2024-02-29", "NaT"], "M8[s]")})
@example({}, {"blocks": np.arange(400_000)})
def test_gives_back_what_was_written(
    key: dict[str, str | int], arrays: dict[str, NDArray[Any]]
) -> None:
    """Key and arrays of any dtype and shape come back to the bit, and can be written to."""
    with scratch() as path:
        array_file.write(path, "sums", key, arrays)
        found = array_file.read(path, "sums")
        assert found is not None
        assert found.key == key
        assert_equal(found.arrays, arrays)
        assert all(array.flags.writeable for array in found.arrays.values())
        assert array_file.fault(path, "sums") is None


def test_makes_the_folder_it_needs(tmp_path: Path) -> None:
    """A file is written into a folder that is not there yet."""
    path = tmp_path / "a" / "b" / "file"
    array_file.write(path, "sums", KEY, OLD)
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_replaces_what_was_there(file: Path) -> None:
    """Writing again leaves the new file, and nothing else beside it."""
    array_file.write(file, "sums", {**KEY, "generation": 8}, OLD)
    found = array_file.read(file, "sums")
    assert found is not None
    assert found.key["generation"] == 8
    assert_equal(found.arrays, OLD)
    assert [entry.name for entry in file.parent.iterdir()] == ["file"]


def test_refuses_what_has_no_fixed_size(file: Path) -> None:
    """Arrays of Python objects are refused before anything is written."""
    before = file.read_bytes()
    with pytest.raises(TypeError):
        array_file.write(file, "sums", KEY, {"objects": np.array([object()])})
    assert file.read_bytes() == before
    assert len(list(file.parent.iterdir())) == 1


# --- damage --------------------------------------------------------------------------------------


def test_notices_a_bit_in_every_byte(file: Path) -> None:
    """Wherever a single bit of a file is flipped, it reads as absent."""
    content = file.read_bytes()
    for position in range(0, 8 * len(content), 7):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        file.write_bytes(damaged)
        assert array_file.read(file, "sums") is None, f"bit {position}"


@settings(max_examples=40)
@given(st.data(), st.integers(0, 7))
def test_notices_a_bit_in_any_block(data: st.DataObject, bit: int) -> None:
    """A flipped bit is noticed wherever it is in a file of several blocks, and named."""
    with scratch() as path:
        array_file.write(path, "sums", KEY, {"large": np.arange(300_000), "small": np.arange(3)})
        position = data.draw(st.integers(0, path.stat().st_size - 1))
        with path.open("r+b") as opened:
            opened.seek(position)
            byte = opened.read(1)[0]
            opened.seek(position)
            opened.write(bytes([byte ^ 1 << bit]))
        assert_refused(path)


def test_notices_every_truncation(file: Path) -> None:
    """However much of the end is missing, a file reads as absent and the fault is named."""
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        assert_refused(file)


@given(several, st.binary(min_size=1, max_size=20))
def test_notices_bytes_after_the_end(arrays: dict[str, NDArray[Any]], more: bytes) -> None:
    """A file that goes on after its end is refused, if only by one byte."""
    with scratch() as path:
        array_file.write(path, "sums", KEY, arrays)
        with path.open("ab") as opened:
            opened.write(more)
        assert_refused(path)


@given(st.binary(max_size=200))
@example(b"")
@example(b"CATDERIV" + b"\xff" * 8)
@example(b"CATDERIV" + b"\0" * 8)
def test_refuses_any_other_file(content: bytes) -> None:
    """Bytes that no such file begins with read as absent."""
    with scratch() as path:
        path.write_bytes(content)
        assert_refused(path)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {},
        None,
        {"kind": "sums"},
        {"kind": "sums", "arrays": [], "version": 2},
        {"kind": "sums", "key": {}, "arrays": {"numbers": {}}},
        {"kind": "sums", "key": {}, "arrays": [{"name": "a", "dtype": "new", "shape": [0]}]},
    ],
    ids=str,
)
def test_refuses_the_layout_of_another_version(tmp_path: Path, header: object) -> None:
    """An intact header that is laid out in another way reads as absent, so it will be replaced."""
    content = json.dumps(header).encode()
    path = tmp_path / "file"
    path.write_bytes(struct.pack("<8sII", b"CATDERIV", len(content), zlib.crc32(content)) + content)
    assert_refused(path)


def test_refuses_another_kind(file: Path) -> None:
    """A sound file of another kind is not taken for the one that was asked for."""
    assert array_file.read(file, "metric") is None
    assert array_file.fault(file, "metric") == "file: holds sums, not metric"


def test_an_absent_file_is_no_fault(tmp_path: Path) -> None:
    """Where there is no file there is nothing to read, and nothing wrong."""
    assert array_file.read(tmp_path / "file", "sums") is None
    assert array_file.fault(tmp_path / "file", "sums") is None


def test_a_folder_in_its_place_is_a_fault(tmp_path: Path) -> None:
    """A folder where the file should be reads as absent, and is named."""
    (tmp_path / "file").mkdir()
    assert_refused(tmp_path / "file")


# --- writing -------------------------------------------------------------------------------------


def fail(*_: object, **__: object) -> None:
    """Do as a full disk does."""
    raise OSError(28, "No space left on device")


def interrupt(*_: object, **__: object) -> None:
    """Do as Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(("stop", "error"), [(fail, OSError), (interrupt, KeyboardInterrupt)])
@pytest.mark.parametrize("at", [(os, "fsync"), (Path, "replace")], ids=["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[..., None],
    error: type[BaseException],
    at: tuple[object, str],
) -> None:
    """When writing fails at any step, what was there remains, without anything beside it."""
    with monkeypatch.context() as patched:
        patched.setattr(*at, stop)
        with pytest.raises(error):
            array_file.write(file, "sums", {"generation": 8}, OLD)
    found = array_file.read(file, "sums")
    assert found is not None
    assert found.key == KEY
    assert_equal(found.arrays, NEW)
    assert [entry.name for entry in file.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["os.fsync", "Path.replace"])
def test_a_killed_write_leaves_the_old_file(file: Path, step: str) -> None:
    """A process that dies while writing leaves the old file; what else it leaves is swept later."""
    code = f"""
        import os, sys
        from pathlib import Path
        import numpy as np
        from catalog.index import array_file
        def die(*_):
            os._exit(9)
        {step} = die
        numbers = {{"numbers": np.arange(5)}}
        array_file.write(Path(sys.argv[1]), "sums", {{"generation": 8}}, numbers)
    """
    root = str(Path(__file__).resolve().parent.parent)
    command = [sys.executable, "-c", textwrap.dedent(code), str(file)]
    child = subprocess.run(command, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert child.returncode == 9
    found = array_file.read(file, "sums")
    assert found is not None
    assert_equal(found.arrays, NEW)
    (leftover,) = (entry for entry in file.parent.iterdir() if entry != file)
    array_file.write(file, "sums", KEY, OLD)
    assert leftover.exists()  # it may be another process's, still being written
    a_day_ago = time.time() - 86400
    os.utime(leftover, (a_day_ago, a_day_ago))
    array_file.write(file, "sums", KEY, OLD)
    assert [entry.name for entry in file.parent.iterdir()] == ["file"]


def test_sweeping_spares_other_files(file: Path) -> None:
    """Old files that are not temporary ones stay."""
    other = file.with_name("metric")
    other.write_bytes(b"old")
    os.utime(other, (0, 0))
    array_file.write(file, "sums", KEY, OLD)
    assert other.exists()


def test_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before the name is, so that a power cut leaves no hollow file."""
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("fsync"), fsync(file)))
    monkeypatch.setattr(
        Path, "replace", lambda *paths: (steps.append("replace"), replace(*paths))[1]
    )
    array_file.write(tmp_path / "file", "sums", KEY, OLD)
    assert steps == ["fsync", "replace"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """Where the folder's name is taken by a file, writing raises OSError."""
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(OSError, match="cache"):
        array_file.write(tmp_path / "cache" / "file", "sums", KEY, OLD)
    assert array_file.read(tmp_path / "cache" / "file", "sums") is None


def test_a_name_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """Where a folder has the file's name, writing raises OSError and leaves nothing beside it."""
    (tmp_path / "file" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="file"):
        array_file.write(tmp_path / "file", "sums", KEY, OLD)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_is_an_error(unprivileged: Path) -> None:
    """A read-only folder makes writing raise OSError."""
    unprivileged.chmod(0o500)
    try:
        with pytest.raises(OSError, match="file"):
            array_file.write(unprivileged / "file", "sums", KEY, OLD)
    finally:
        unprivileged.chmod(0o700)
