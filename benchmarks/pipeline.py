"""From files on disk to stored descriptors: where the time goes, and what overlapping is worth."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import keras_job
from benchmarks.photos import shared
from benchmarks.speed import Timing
from benchmarks.stand_ins import StandIn
from benchmarks.tables import table
from catalog import Catalog, Entry, Picture, read_manifest
from catalog.changes.staging import Staging
from catalog.embedder import PRESETS, MobileNetEmbedder, Source, models, probes, read_picture
from catalog.embedder.decode import decode
from catalog.embedder.formats import inspect
from catalog.embedder.known import projection_for
from catalog.embedder.layers import joined, parts_of
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model
from catalog.embedder.views import DEFAULT_PRESET, jpeg_scale, take_views

_LARGE = {"3 megapixels": (2048, 1536), "12 megapixels": (4000, 3000)}
_WIDTH = 1280
_GROCERIES, _OF_EACH_SIZE, _TWELVES, _ALONE, _SMALL = 2_640, 40, 120, 150, 100_000
_STRETCHES = 10
_TURNS, _PAUSE = 5, 0.02

_T = TypeVar("_T")


class _Stretch(NamedTuple):
    """A tenth of a long import: pictures a second, and bytes of memory at its end."""

    rate: float
    resident: int


def page(model: Model, share: float = 1.0) -> Iterator[str]:
    """The page; ``share`` of the pictures will do to try it."""

    def some(count: int) -> int:
        return max(8, round(share * count))

    cores = len(os.sched_getaffinity(0))
    yield from _introduction(cores)
    with tempfile.TemporaryDirectory() as scratch:
        photos = [
            str(entry.picture.source)
            for entry in read_manifest(shared() / "pictures" / "grocery" / "train").entries
        ]
        few = photos[:: max(1, len(photos) // some(_OF_EACH_SIZE))]
        kinds = {"348 pixels": few}
        for name, size in _LARGE.items():
            kinds[name] = _enlarged(few[:8], size, Path(scratch, name.split()[0]), len(few))
        stages = {name: _stages(model, files, Path(scratch)) for name, files in kinds.items()}
        columns = [list(each.values()) for each in stages.values()]
        rows = [
            [what, *(f"{1000 * column[at]:.2f}" for column in columns)]
            for at, what in enumerate(next(iter(stages.values())))
        ]
        sums = [sum(column) for column in columns]
        rows.append(["together", *(f"{1000 * each:.1f}" for each in sums)])
        yield from table(("processor time a picture, ms", *kinds), rows)
        yield ""
        groceries = photos[: some(_GROCERIES)]
        twelves = _enlarged(few[:8], _LARGE["12 megapixels"], Path(scratch, "many"), some(_TWELVES))
        timings = [
            _against_processors("348 pixels", _import(model, groceries), cores / sums[0]),
            _against_processors("12 megapixels", _import(model, twelves), cores / sums[2]),
            _against_keras("348 pixels", _import(model, groceries, "fast"), model, groceries),
            _against_keras("12 megapixels", _import(model, twelves, "fast"), model, twelves),
            _alone(model, few, some(_ALONE), 0.0),
            _alone(model, few, some(_ALONE), _PAUSE),
        ]
        yield from table(("what", "catalog", "beside it", "ratio"), timings)
        yield ""
        yield from _small(few, some(_SMALL), Path(scratch))


def _introduction(cores: int) -> Iterator[str]:
    yield (
        f"Preset `{DEFAULT_PRESET}` unless another is named. Each stage was timed alone, on one "
        "thread, in processor time\n(the lowest of three turns); an import that kept all "
        f"processors busy with nothing else would make {cores}\ndivided by the sum. Larger photos "
        "are groceries enlarged, with noise.\n"
    )


def _against_processors(what: str, rate: float, most: float) -> Timing:
    beside = f"{most:.1f}/s, processors / processor time a picture"
    return Timing(f"import, {what}", f"{rate:.1f}/s", beside, f"{rate / most:.2f}")


def _against_keras(what: str, rate: float, model: Model, files: Sequence[str]) -> Timing:
    other = _keras_rate(model, files)
    beside = f"{other:.1f}/s, `image_dataset_from_directory`, `predict`, FAISS `add`"
    return Timing(
        f"import, {what}, `fast` (one view)", f"{rate:.1f}/s", beside, f"{rate / other:.1f}"
    )


def _alone(model: Model, files: Sequence[str], times: int, pause: float) -> Timing:
    """One photo after another, from bytes to descriptor, by all threads and by one, in turn.

    Args:
        model: the network.
        files: of the photos.
        times: how many are timed for either.
        pause: seconds between two, in which threads and processors fall asleep.
    """
    contents = [read_picture(file) for file in files]
    took: dict[int | None, list[float]] = {None: [], 1: []}
    with (
        closing(MobileNetEmbedder(model)) as all_,
        closing(MobileNetEmbedder(model, threads=1)) as one,
    ):
        for _ in range(_TURNS):
            for key, embedder in ((None, all_), (1, one)):
                stretch = []
                for number in range(times // _TURNS + 5):
                    time.sleep(pause)
                    began = time.perf_counter()
                    (_,) = embedder.embed_each([contents[number % len(contents)]])
                    stretch.append(time.perf_counter() - began)
                took[key] += stretch[5:]
    ours, other = (1000 * statistics.median(each) for each in took.values())
    after = f"after {1000 * pause:.0f} ms of nothing" if pause else "one after another"
    what = f"one photo at a time, {after}, from bytes to descriptor (median)"
    ratio = f"{ours / other:.2f} of the time"
    return Timing(what, f"{ours:.1f} ms", f"{other:.1f} ms, views one after another", ratio)


def _enlarged(files: Sequence[str], size: tuple[int, int], folder: Path, count: int) -> list[str]:
    """So many different files of photos of width and height ``size``, as a camera writes them."""
    folder.mkdir()
    contents = []
    for seed, file in enumerate(files):
        pixels = decode(read_picture(file))[..., ::-1]
        large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng(seed).normal(0, 6, (*large.shape[:2], 1)).astype(np.float32)
        noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
        contents.append(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return _different(contents, folder, count)


def _different(contents: Sequence[bytes], folder: Path, count: int) -> list[str]:
    """Files that decode to a few pictures, each with other bytes behind its end."""
    places = []
    for number in range(count):
        place = folder / f"{number % 100:02}" / f"{number:06}.jpg"
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(contents[number % len(contents)] + number.to_bytes(4, "big"))
        places.append(str(place))
    return places


def _stages(model: Model, files: Sequence[str], scratch: Path) -> dict[str, float]:
    """Processor seconds a picture of each stage, timed alone."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    network = LiteRTNetwork(models.layered(model) or b"")
    projection = projection_for(probes.describe(LiteRTNetwork(model.read())))
    if projection is None:
        raise ValueError("no projection is known for this network")
    project, views = projection.to(_WIDTH), PRESETS[DEFAULT_PRESET]
    contents = [read_picture(file) for file in files]

    def decoded(data: bytes) -> NDArray[np.uint8]:
        header = inspect(data)
        scale = jpeg_scale((header.width, header.height), views, network.input_size)
        return decode(data, scale, header)

    def parts(outputs: list[list[NDArray[np.float32]]]) -> NDArray[np.float64]:
        return joined([parts_of(vector, maps) for vector, *maps in outputs])

    pixels = [decoded(data) for data in contents]
    taken = [take_views(each, views, network.input_size) for each in pixels]
    outputs = [list(network.outputs(each)) for each in taken[:8]]
    rows = [parts(each) for each in outputs]
    found = {
        "read, hash, look up and store": _storing(model, files, scratch),
        "check and decode": _processor_time(decoded, contents),
        "views": _processor_time(lambda p: take_views(p, views, network.input_size), pixels),
        "network": _processor_time(lambda v: list(network.outputs(v)), taken),
        "statistics of the maps": _processor_time(parts, outputs),
        "projection": _processor_time(project, rows),
    }
    cv2.setNumThreads(before)
    return found


def _processor_time(function: Callable[[_T], object], given: Sequence[_T]) -> float:
    """Processor seconds of one thread for each of what is given, the lowest of three turns."""
    turns = []
    for _ in range(3):
        began = time.thread_time()
        for each in given:
            function(each)
        turns.append((time.thread_time() - began) / len(given))
    return min(turns)


class _Ready(StandIn):
    """Gives each picture a descriptor that was there before: the first probe's."""

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The same of every picture."""
        del picture
        row: NDArray[np.float32] = self.probes[0]
        return row


def _storing(model: Model, files: Sequence[str], scratch: Path) -> float:
    """Processor seconds a picture, of all threads, for everything but its descriptor."""
    with closing(MobileNetEmbedder(model)) as real:
        embedder, turns = _Ready(real.specification, real.probe()), []
    for _ in range(3):
        with (
            tempfile.TemporaryDirectory(dir=scratch) as folder,
            Catalog.init(Path(folder, "shop.catalog"), embedder=embedder) as shop,
        ):
            began = time.process_time()
            for _ in Staging(shop).stage(files):
                pass
            turns.append((time.process_time() - began) / len(files))
    return min(turns)


def _import(model: Model, files: Sequence[str], preset: str = DEFAULT_PRESET) -> float:
    """Pictures a second, from disk to stored and landed, in one class."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(MobileNetEmbedder(model, preset)) as embedder,
        Catalog.init(Path(folder, "shop.catalog"), embedder=embedder) as shop,
    ):
        list(embedder.embed_each([files[0]] * 8))  # threads and interpreters are made
        began = time.perf_counter()
        shop.import_([Entry("all", Picture(file)) for file in files], made_up=False)
        return len(files) / (time.perf_counter() - began)


def _keras_rate(model: Model, files: Sequence[str]) -> float:
    """Pictures a second by what one would write first, in a process of its own."""
    network = shared() / "backbone" / "mobilenet_v2_100_224_feature_vector"
    with tempfile.TemporaryDirectory() as folder:
        one_class = Path(folder, "photos")
        one_class.mkdir()
        for number, file in enumerate(files):
            (one_class / f"{number:06}.jpg").symlink_to(file)
        size = LiteRTNetwork(model.read()).input_size
        return keras_job.script(network, size, Path(folder)).rate


def _small(files: Sequence[str], count: int, scratch: Path) -> Iterator[str]:
    """A long import of small pictures: whether its pace and its memory stay as they are."""
    contents = []
    for file in files:
        pixels = cv2.resize(decode(read_picture(file)), (112, 112), interpolation=cv2.INTER_AREA)
        contents.append(cv2.imencode(".jpg", pixels)[1].tobytes())
    places = _different(contents, scratch / "small", count)
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        stretches = process.submit(_long_import, places).result()
    first, last = stretches[0], stretches[-1]
    memory = ", ".join(f"{each.resident / 1e6:.0f}" for each in stretches)
    yield (
        f"{count:,} pictures of 112 pixels, starter network, `fast`, in a process of its own: the "
        f"last tenth at\n{last.rate:.0f}/s, {last.rate / first.rate:.2f} of the first. Resident "
        f"memory after each tenth, in MB: {memory}."
    )


def _long_import(places: Sequence[str]) -> list[_Stretch]:
    stretches: list[_Stretch] = []
    length = max(1, len(places) // _STRETCHES)
    done, began = 0, time.perf_counter()

    def progress(more: int) -> None:
        nonlocal done, began
        done += more
        if done % length == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            now = time.perf_counter()
            stretches.append(_Stretch(length / (now - began), pages * os.sysconf("SC_PAGE_SIZE")))
            began = now

    with (
        tempfile.TemporaryDirectory() as folder,
        closing(MobileNetEmbedder(models.starter(), "fast")) as embedder,
        Catalog.init(Path(folder, "shop.catalog"), embedder=embedder) as shop,
    ):
        entries = [Entry(f"class {at % 100}", Picture(place)) for at, place in enumerate(places)]
        list(embedder.embed_each([places[0]] * 8))
        began = time.perf_counter()
        shop.import_(entries, made_up=False, progress=progress)
    return stretches
