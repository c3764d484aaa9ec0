"""A small random network in a model cache of its own, and the real command run with it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from catalog.embedder import models

if TYPE_CHECKING:
    from catalog.embedder.model_cache import Model

NAME = "tiny"
SIZE, DEPTH = 48, 64


def build_flatbuffer(file: Path) -> None:
    """Write one random convolution, its mean over the picture, and their mixture: 64 numbers."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    kernel = tf.constant(rng.normal(size=(5, 5, 3, DEPTH)).astype(np.float32))
    mixture = tf.constant(rng.normal(size=(DEPTH, DEPTH)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32)])
    def network(images: Any) -> Any:
        maps = tf.nn.relu(tf.nn.conv2d(images - 0.5, kernel, 4, "SAME"))
        return tf.matmul(tf.reduce_mean(maps, [1, 2]), mixture)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    file.write_bytes(converter.convert())


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model cache that holds one network, named tiny; TensorFlow stays in a child process."""
    cache = tmp_path_factory.mktemp("tiny")
    file = cache / f"{NAME}.tflite"
    with ProcessPoolExecutor(1, get_context("spawn")) as child:
        child.submit(build_flatbuffer, file).result()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_CACHE", str(cache))
        models.import_model(file)
    return cache


@pytest.fixture
def tiny_model(tiny_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The tiny network, found by name in the model cache of this process and its children."""
    monkeypatch.setenv("CATALOG_CACHE", str(tiny_cache))
    return models.find(NAME)


def environment(cache: Path, **more: str) -> dict[str, str]:
    """What the command needs to find a model cache, and nothing that changes what it prints."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "CATALOG_CACHE": str(cache), **more}


def command(*arguments: str | Path | int) -> list[str]:
    """The command line of ``catalog``, by the interpreter that runs the tests."""
    return [sys.executable, "-m", "catalog", *map(str, arguments)]


def run(
    *arguments: str | Path | int,
    cache: Path,
    stdin: str | bytes | None = None,
    cwd: Path | None = None,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Run ``catalog`` to its end; no terminal, and nothing on stdin unless given."""
    content = stdin.encode() if isinstance(stdin, str) else stdin or b""
    done = subprocess.run(
        command(*arguments),
        input=content,
        capture_output=True,
        env=environment(cache, **more),
        cwd=cwd,
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
