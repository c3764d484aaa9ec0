"""A folder of labelled photos made findable, beside the script that one would write for it.

The script is put together from what the manuals of its two packages show first: Keras lists a
folder of folders, reads and resizes its pictures in batches of 32 and sends them through the same
frozen MobileNetV2, without its last layer; the vectors are brought to unit length and added to a
flat FAISS index. It keeps the vectors in memory; catalog stores them, each in a transaction with
its class, its hash and its place.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.photos import shared
from benchmarks.tables import table
from catalog import Catalog, Entry, read_manifest
from catalog.embedder import DEFAULT_PRESET, PRESETS, MobileNetEmbedder
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model

SHOWN = tuple(dict.fromkeys(("fast", DEFAULT_PRESET)))
"""The presets that are compared: one view, as a script would take it, and what is the default."""

HEADING = ("what", "catalog", "beside it", "catalog over it", "ahead")


@dataclass(frozen=True)
class Trees:
    """Folder trees of photos, ``LABEL/PHOTO``.

    Attributes:
        gallery: what is to be found.
        val: photos that the script's settings are chosen by.
        test: photos that are asked about and reported.
    """

    gallery: Path
    val: Path
    test: Path


class Done(NamedTuple):
    """Pictures a second, and shares of the photos asked for which the right class came first.

    ``predicted`` is what ``predict`` answers, which the script has nothing like.
    """

    rate: float
    nearest: float | None = None
    predicted: float | None = None


def ahead(ours: float, theirs: float) -> str:
    """Who is ahead where more is better: a tie is nobody's."""
    return "neither" if ours == theirs else "catalog" if ours > theirs else "**the other**"


def page(model: Model, network: Path, trees: Trees | None = None, turns: int = 3) -> Iterator[str]:
    """The part of ``benchmarks/RIVALS.md`` about the whole job.

    Args:
        model: the network, as catalog imported it.
        network: the same network as a SavedModel with the signature ``serving_default``.
        trees: the photos; the groceries by default.
        turns: how often each import is timed; medians are reported.
    """
    size = LiteRTNetwork(model.read()).input_size
    with tempfile.TemporaryDirectory() as scratch:
        if trees is None:
            trees = _groceries(Path(scratch))
        tried = {crop: script(network, size, trees.gallery, trees.val, crop) for crop in (0, 1)}
        crop = max(tried, key=lambda way: tried[way].nearest or 0)
        others, ours = [], {name: list[Done]() for name in SHOWN}
        for turn in range(turns):  # in turn, so that what else the machine does falls on all
            asked = None if turn else trees.test
            others.append(script(network, size, trees.gallery, asked, crop))
            for name, done in ours.items():
                done.append(_import(model, name, trees.gallery, asked))
        way = "of the largest centred square" if crop else "of the whole picture, squashed"
        yield "\n## From a folder to an index that can be asked\n"
        yield (
            "Beside `Catalog.import_`: `image_dataset_from_directory` in batches of 32, the same "
            "network's `predict`, unit\nlength, `faiss.IndexFlatIP.add`, in a process of its own. "
            f"It takes one view {way}, chosen by\nother photos ({_shares(tried)}). `fast` takes "
            f"one view, too; `{DEFAULT_PRESET}`, the default,\ntakes {len(PRESETS[DEFAULT_PRESET])}"
            ", and so many times the passes. Both presets give descriptors of several layers, and "
            "compare them\nby a metric that is learnt, where the script has the last layer and "
            "plain cosines. Start-up and the first batch\nare not counted; "
            f"medians of {turns}, in turn. The script's vectors end in memory, catalog's on disk.\n"
        )
        yield from table(HEADING, _rows(others, ours, _count(trees.gallery), _count(trees.test)))


def _rows(
    others: Sequence[Done], ours: dict[str, list[Done]], stored: int, asked: int
) -> Iterator[Sequence[str]]:
    rate = statistics.median(done.rate for done in others)
    for name, done in ours.items():
        own = statistics.median(each.rate for each in done)
        views = len(PRESETS[name])
        what = f"{stored:,} photos from disk to stored, `{name}`, {views} view{'s' * (views > 1)}"
        yield what, f"{own:.1f}/s", f"{rate:.1f}/s", f"{own / rate:.2f} times", ahead(own, rate)
    nearest = others[0].nearest or 0.0
    for name, done in ours.items():
        for what, share in (
            (f"class of the nearest item, top-1 of {asked:,} photos, `{name}`", done[0].nearest),
            (f"answer of `predict`, beside the nearest item, `{name}`", done[0].predicted),
        ):
            yield share_row(what, share or 0.0, nearest)


def share_row(what: str, ours: float, theirs: float) -> Sequence[str]:
    """A row of :data:`HEADING` that compares shares, which are rounded before they are."""
    ours, theirs = round(ours, 3), round(theirs, 3)
    difference = f"{100 * (ours - theirs):+.1f} points"
    return what, f"{ours:.3f}", f"{theirs:.3f}", difference, ahead(ours, theirs)


def _shares(tried: dict[int, Done]) -> str:
    whole, square = (tried[crop].nearest or 0.0 for crop in (0, 1))
    return f"whole {whole:.3f}, square {square:.3f}"


def _count(tree: Path) -> int:
    return len(read_manifest(tree).entries)


def _groceries(scratch: Path) -> Trees:
    """Copies of the groceries, since Keras takes the topmost folders for classes."""
    pictures = shared() / "pictures" / "grocery"
    copies = [scratch / part for part in ("train", "val", "test")]
    for copy in copies:
        lay_out(read_manifest(pictures / copy.name).entries, copy)
    return Trees(*copies)


def lay_out(entries: Sequence[Entry], folder: Path) -> None:
    """Copy photos to ``folder/LABEL/NUMBER.EXTENSION``."""
    for number, entry in enumerate(entries):
        source = Path(str(entry.picture.source))
        place = folder / entry.label / f"{number:06}{source.suffix.lower()}"
        place.parent.mkdir(exist_ok=True, parents=True)
        shutil.copyfile(source, place)


def _import(model: Model, preset: str, gallery: Path, asked: Path | None) -> Done:
    """A folder from disk to stored and landed, and what is found in it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(MobileNetEmbedder(model, preset)) as embedder,
        Catalog.init(Path(folder, "shop.catalog"), embedder=embedder) as shop,
    ):
        entries = read_manifest(gallery).entries
        list(embedder.embed_each([entries[0].picture] * 8))  # threads and interpreters are made
        began = time.perf_counter()
        shop.import_(gallery)
        rate = len(entries) / (time.perf_counter() - began)
        if asked is None:
            return Done(rate)
        found = shop.evaluate(asked)
        return Done(rate, found.neighbours.top1, found.cross_check.top1)


_SCRIPT = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import faiss
import keras
import numpy as np
network, size, crop, gallery, *asked = sys.argv[1:]
model = keras.Sequential([
    keras.Input((int(size), int(size), 3)),
    keras.layers.Rescaling(1 / 255),
    keras.layers.TFSMLayer(network, call_endpoint="serving_default"),
])

def pictures(folder):
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(int(size), int(size)), batch_size=32, shuffle=False,
        crop_to_aspect_ratio=crop == "1", verbose=False,
    )

def descriptors(files):
    (vectors,) = model.predict(files, verbose=0).values()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

def labels(files):
    return np.array([path.split(os.sep)[-2] for path in files.file_paths])

descriptors(pictures(gallery).take(1))
began = time.perf_counter()
files = pictures(gallery)
vectors = descriptors(files)
index = faiss.IndexFlatIP(vectors.shape[1])
index.add(vectors)
found = {"rate": index.ntotal / (time.perf_counter() - began)}
for folder in asked:
    queries = pictures(folder)
    nearest = index.search(descriptors(queries), 1)[1][:, 0]
    found["nearest"] = float(np.mean(labels(files)[nearest] == labels(queries)))
print(json.dumps(found))
"""


def script(
    network: Path, size: int, gallery: Path, asked: Path | None = None, crop: int = 0
) -> Done:
    """What one would write first, in a process of its own.

    Args:
        network: a SavedModel.
        size: of its input.
        gallery: a tree ``LABEL/PHOTO``.
        asked: another, or None to ask nothing.
        crop: 1 for the largest centred square of a picture, 0 for all of it, squashed.
    """
    command = [sys.executable, "-c", _SCRIPT, str(network), str(size), str(crop), str(gallery)]
    more = [] if asked is None else [str(asked)]
    done = subprocess.run([*command, *more], check=True, capture_output=True, text=True)
    return Done(**json.loads(done.stdout.splitlines()[-1]))
