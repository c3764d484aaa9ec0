"""Exported networks in LiteRT: the same numbers as TensorFlow, without it, from any thread."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.descriptors.errors import BackboneError, InvalidInput
from catalog.embedder import models, probes
from catalog.embedder.litert import LiteRTNetwork

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def export_with_reference(saved_model: Path) -> tuple[bytes, NDArray[np.float32]]:
    """In a process of its own: the flatbuffer, and TensorFlow's descriptors of the test views."""
    # Only that process imports TensorFlow.
    import tensorflow_hub as hub

    from catalog.embedder.export import export_saved_model

    network = hub.load(str(saved_model))
    return export_saved_model(saved_model), np.asarray(network(views() / np.float32(255)))


def views() -> NDArray[np.uint8]:
    """Twelve views: the probe pictures, some of them mirrored, and noise."""
    drawn = probes.pictures()
    noise = np.random.default_rng(5).integers(0, 256, (2, 224, 224, 3), np.uint8)
    return np.concatenate([drawn, drawn[:, :, ::-1], noise])


@pytest.fixture(scope="session")
def exported(saved_model: Path) -> tuple[bytes, NDArray[np.float32]]:
    """The real backbone's flatbuffer, and what TensorFlow computes for :func:`views`."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(export_with_reference, saved_model).result()


@pytest.fixture(scope="session")
def flatbuffer(exported: tuple[bytes, NDArray[np.float32]]) -> bytes:
    """The real backbone's flatbuffer."""
    return exported[0]


@pytest.mark.real
def test_agrees_with_tensorflow(exported: tuple[bytes, NDArray[np.float32]]) -> None:
    """Unit descriptors are TensorFlow's to 1e-4."""
    flatbuffer, reference = exported
    computed = LiteRTNetwork(flatbuffer)(views())
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (computed, reference)]
    assert np.abs(unit[0] - unit[1]).max() < 1e-4


@pytest.mark.real
def test_is_the_network_on_record(flatbuffer: bytes) -> None:
    """The real backbone's probe descriptors are the recorded ones."""
    network = LiteRTNetwork(flatbuffer)
    assert (network.input_size, network.width) == (224, 1280)
    agreement = probes.agreement(probes.describe(network))
    assert agreement is not None
    assert agreement > 0.999999


@pytest.mark.real
def test_threads_give_the_same_bits(flatbuffer: bytes) -> None:
    """A view has the same descriptor from one thread and from four, alone and among others."""
    network = LiteRTNetwork(flatbuffer)
    expected = network(views())
    with ThreadPoolExecutor(4) as pool:
        singly = list(pool.map(lambda n: network(views()[n : n + 1])[0], list(range(12)) * 3))
        whole = list(pool.map(lambda _: network(views()), range(4)))
    assert all(np.array_equal(row, expected[n % 12]) for n, row in enumerate(singly))
    assert all(np.array_equal(rows, expected) for rows in whole)


def test_two_threads_give_the_same_bits(cache: Path) -> None:
    """A view has the same bits when a second thread takes part, in every output."""
    network = LiteRTNetwork(models.layered(models.starter()) or b"")
    pictures = probes.pictures(network.input_size)
    expected = list(network.outputs(pictures))
    for _ in range(3):
        for found, one in zip(network.outputs(pictures, wide=True), expected, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(found, one, strict=True))
    (interpreters,) = network._wide.values()
    assert len(interpreters) == 1


@pytest.mark.real
def test_runs_on_xnnpack(flatbuffer: bytes) -> None:
    """The whole network is one XNNPACK node."""
    operations = LiteRTNetwork(flatbuffer)._interpreter()._get_ops_details()
    assert operations[-1]["op_name"] == "DELEGATE"
    assert len(operations[-1]["inputs"]) + len(operations[-1]["outputs"]) > 1


@pytest.mark.real
def test_a_query_is_quiet_and_free_of_tensorflow(flatbuffer: bytes, tmp_path: Path) -> None:
    """Running a picture prints nothing and imports no TensorFlow."""
    path = tmp_path / "network.tflite"
    path.write_bytes(flatbuffer)
    code = (
        "import sys; from catalog.embedder import probes;"
        "from catalog.embedder.litert import LiteRTNetwork;"
        "assert LiteRTNetwork(sys.argv[1])(probes.pictures()).shape == (5, 1280);"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False)
    assert (child.returncode, child.stdout, child.stderr) == (0, b"", b"")


def test_only_the_notice_is_dropped() -> None:
    """What else C code writes to stderr while a network loads comes through, in order."""
    code = (
        "import ctypes; from catalog.embedder import litert; libc = ctypes.CDLL(None)\n"
        "def say(text): libc.fputs(text, ctypes.c_void_p.in_dll(libc, 'stderr'))\n"
        "with litert._without_notice():\n"
        "    say(b'one\\nINFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\ntwo\\n')\n"
        "say(b'three\\n')"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert child.stderr == b"one\ntwo\nthree\n"


@pytest.mark.real
@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 223, 224, 3), np.uint8),
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((1, 224, 224, 3), np.float32),
    ],
    ids=["size", "rank", "type"],
)
def test_other_views_are_refused(flatbuffer: bytes, wrong: NDArray[np.uint8]) -> None:
    """Views of another size, rank or type are refused, naming both."""
    with pytest.raises(InvalidInput, match=r"\(V, 224, 224, 3\)"):
        LiteRTNetwork(flatbuffer)(wrong)


@pytest.mark.real
def test_no_views_give_no_descriptors(flatbuffer: bytes) -> None:
    """An empty batch is an empty answer."""
    assert LiteRTNetwork(flatbuffer)(np.empty((0, 224, 224, 3), np.uint8)).shape == (0, 1280)


@pytest.mark.parametrize("content", [b"", b"x" * 999, b"\x1c\0\0\0TFL3" + b"\0" * 64])
def test_what_is_no_network_is_refused(content: bytes) -> None:
    """Bytes that are no flatbuffer give a BackboneError."""
    with pytest.raises(BackboneError):
        LiteRTNetwork(content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that cannot be read is in the message."""
    with pytest.raises(BackboneError, match=r"gone\.tflite"):
        LiteRTNetwork(tmp_path / "gone.tflite")


@given(size=st.integers(1, 300))
def test_probe_pictures_of_any_size(size: int) -> None:
    """Probe pictures are uint8, of the size asked for, and the same each time."""
    drawn = probes.pictures(size)
    assert (drawn.shape, drawn.dtype) == ((5, size, size, 3), np.uint8)
    assert np.array_equal(drawn, probes.pictures(size))


def test_probe_pictures_are_the_recorded_ones() -> None:
    """The pixels are pinned: the recorded descriptors belong to these pictures only."""
    assert sha256(probes.pictures().tobytes()).hexdigest() == (
        "87ec20e3f744412ed7aece21e638b8260f7807abdbe249c02fee8cd2db27dd63"
    )
    recorded = probes.recorded()
    assert (recorded.shape, recorded.dtype) == ((5, 1280), np.float32)
    assert np.allclose(np.linalg.norm(recorded, axis=1), 1, atol=1e-6)
