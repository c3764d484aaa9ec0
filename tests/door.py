"""What the tests of the decode door share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import malformed
import numpy as np
import pytest
from hypothesis import settings

from catalog.descriptors.errors import PictureError
from catalog.embedder.decode import decode

VALID = malformed.valid_pictures()
KINDS = sorted(VALID)
QUARTERS = malformed.quarters()
many = settings(max_examples=400)


def refusal(data: bytes) -> str:
    """Decode what must be refused, and say why it was."""
    with pytest.raises(PictureError) as refused:
        decode(data)
    return refused.value.reason


def decode_or_refuse(data: bytes, scale: int = 1) -> None:
    """Check that bytes give a proper picture or a proper refusal, and nothing else."""
    try:
        picture = decode(data, scale)
    except PictureError:
        return
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert picture.size > 0
    assert picture.flags.c_contiguous


def middles(picture: np.ndarray) -> np.ndarray:
    """Take the colour in the middle of each quarter, far from where a lossy codec blurs."""
    height, width = picture.shape[:2]
    return picture[[height // 4, 3 * height // 4]][:, [width // 4, 3 * width // 4]].astype(int)


def child_command(code: str) -> tuple[list[str], dict[str, str]]:
    """Give command and environment that run Python code, project and tests on its path."""
    tests = Path(__file__).resolve().parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENCV_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tests.parent), str(tests)])
    return [sys.executable, "-c", textwrap.dedent(code)], environment


def run_child(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code beside this process, to its end."""
    command, environment = child_command(code)
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
