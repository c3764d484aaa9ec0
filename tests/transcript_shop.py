"""What the transcript's commands are run on: drawn pictures, broken files, and a tiny network."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import cv2
import malformed
import numpy as np
from numpy.typing import NDArray

GOLDEN: Final = Path(__file__).with_name("golden")
CLASSES: Final = {
    "cup": "png",
    "jug": "jpg",
    "pan": "webp",
    "mug": "bmp",
    "pot": "png",
    "tray": "png",
}
OTHERS: Final = ("lid", "urn", "ewer")
SUFFIXES: Final = ("png", "jpg", "webp", "bmp")
SHOTS: Final = 8

HUB_PATHS: Final = {
    "someone/tiny/1": "tiny.tar.gz",
    "someone/other/1": "cut.tar.gz",
    "google/imagenet/mobilenet_v2_100_224/feature_vector/5": "tiny.tar.gz",
}
"""Which archive a server has under which handle."""

_BUILD_NETWORK: Final = """
import sys
import numpy as np
import tensorflow as tf

SIZE, DEPTH = 48, 64
rng = np.random.default_rng(0)
kernel = tf.constant(rng.normal(size=(5, 5, 3, DEPTH)).astype(np.float32))
mixture = tf.constant(rng.normal(size=(DEPTH, DEPTH)).astype(np.float32))

class Network(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)])
    def __call__(self, images):
        maps = tf.nn.relu(tf.nn.conv2d(images - 0.5, kernel, 4, "SAME"))
        return tf.matmul(tf.reduce_mean(maps, [1, 2]), mixture)

network = Network()
tf.saved_model.save(network, sys.argv[1], signatures=network.__call__.get_concrete_function())
one = tf.function(network.__call__).get_concrete_function(tf.TensorSpec([1, SIZE, SIZE, 3]))
converter = tf.lite.TFLiteConverter.from_concrete_functions([one], network)
open(sys.argv[2], "wb").write(converter.convert())
"""


def draw_pictures(root: Path) -> None:
    """Draw the shop, more photos of its things, things that it lacks, and files that are broken."""
    for thing, (label, suffix) in enumerate(CLASSES.items()):
        for shot in range(SHOTS):
            _write(root / "tree" / label / f"{shot}.{suffix}", _picture(thing, shot))
        for shot in (30, 31):
            _write(root / "test" / label / f"{shot}.{suffix}", _picture(thing, shot))
    for thing, label in enumerate(OTHERS, start=len(CLASSES)):
        for shot, suffix in enumerate(SUFFIXES):
            _write(root / "new" / label / f"{shot}.{suffix}", _picture(thing, shot))
    for folder in ("test", "new"):
        shutil.copytree(root / folder, root / "all", dirs_exist_ok=True)
    for shot, suffix in enumerate(SUFFIXES):
        _write(root / "strange" / f"{shot}.{suffix}", _picture(40 + shot, 40 + shot))
        _write(root / "near" / f"{shot}.png", _picture(44, 44, noise=1 + shot))
    _write(root / "twins" / "cup.jpg", _picture(0, 0))
    _write(root / "mixed" / "cup" / "0.png", _picture(0, 32))
    _write_broken(root)


def _write_broken(root: Path) -> None:
    """Write files that are no pictures, folders without pictures, and old catalogues."""
    (root / "bad").mkdir()
    for name, content in _broken().items():
        (root / "bad" / name).write_bytes(content)
    shutil.copytree(root / "bad", root / "mixed" / "lid")
    (root / "bad" / "folder.jpg").mkdir()
    (root / "nothing").mkdir()
    (root / "golden").mkdir()
    for packed in GOLDEN.glob("*.gz"):
        (root / "golden" / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def build_networks(folder: Path) -> dict[str, bytes]:
    """Build a tiny network in every form that can be imported, and what looks like one.

    Returns:
        The archives that a server is to give, by handle.
    """
    folder.mkdir()
    saved, flat = folder / "tiny", folder / "tiny.tflite"
    command = [sys.executable, "-c", _BUILD_NETWORK, str(saved), str(flat)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (saved / "fingerprint.pb").unlink(missing_ok=True)  # another one each time
    packed = _packed(saved)
    (folder / "tiny.tar.gz").write_bytes(packed)
    (folder / "cut.tar.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "cut.tflite").write_bytes(flat.read_bytes()[:5000])
    (folder / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    return {handle: (folder / name).read_bytes() for handle, name in HUB_PATHS.items()}


def _picture(thing: int, place: int, *, noise: int = 8) -> NDArray[np.uint8]:
    """Draw a thing at a place, so that photos of one thing are no near-duplicates."""
    own, around, grain = (
        np.random.default_rng(seed).integers(-reach, reach + 1, (6, 6, 3))
        for seed, reach in (((1, thing), 50), ((2, place), 55), ((3, thing, place, noise), noise))
    )
    small = np.clip(128 + own + around + grain, 0, 255).astype(np.uint8)
    return np.repeat(np.repeat(small, 8, axis=0), 10, axis=1)


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels):
        raise OSError(f"cannot write {path}")


def _broken() -> dict[str, bytes]:
    """Files that are no pictures, or pictures of a kind that is refused or rare."""
    pixels = _picture(50, 50)
    jpeg, png = (cv2.imencode(suffix, pixels)[1].tobytes() for suffix in (".jpg", ".png"))
    deep = cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()
    clear = cv2.imencode(".png", np.dstack([pixels, np.full((48, 60), 90, np.uint8)]))[1].tobytes()
    return {
        "empty.jpg": b"",
        "text.jpg": b"this is a text and no picture\n",
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "truncated.png": png[: len(png) // 2],
        "long.png": cv2.imencode(".png", np.zeros((1, 20_001), np.uint8))[1].tobytes(),
        "chunks.png": malformed.lethal_apng(),
        "foreign.heic": b"\0\0\0\x18ftypheic" + bytes(500),
        "foreign.jpg": b"\0\0\0\x18ftypheic" + bytes(500),
        "still.gif": malformed.still_gif(),
        "grey.png": cv2.imencode(".png", pixels[..., 0])[1].tobytes(),
        "deep.png": deep,
        "clear.png": clear,
        "turned.jpg": malformed.jpeg_with_exif(jpeg, malformed.exif(6)),
        "dot.png": cv2.imencode(".png", pixels[:1, :1])[1].tobytes(),
        "notes.txt": b"notes\n",
    }


def _packed(folder: Path) -> bytes:
    """A folder as a compressed tar, the same to the byte for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                member = tarfile.TarInfo(str(path.relative_to(folder)))
                member.size = path.stat().st_size
                tar.addfile(member, io.BytesIO(path.read_bytes()))
    return gzip.compress(packed.getvalue(), mtime=0)
