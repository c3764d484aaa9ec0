"""The teacher's answers, computed once and kept on disk.

Beside its descriptors, the maps after two of its blocks are kept, averaged over a few places: they
tell the student's early layers what to look for long before its last layer is of use (Romero et
al. 2015). Killed at any time, the work goes on where it was.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from recipes.starter.samples import Pixels, sample

SIDE: Final = 128
"""Side of the student's pictures on disk."""

CHUNK: Final = 256
"""Samples that are computed, and marked as done, together."""

_TEACHER_SIDE: Final = 224
_MIDDLE: Final = (14, 96)  # side and channels of the map after block 12
_LAST: Final = (7, 320)  # and after block 16
_KEPT: Final = (6, 3)


@dataclass(frozen=True)
class Answers:
    """Samples and what the teacher says of them, in memory maps.

    Attributes:
        pictures: uint8 (N, 128, 128, 3).
        descriptors: float16 (N, 1280).
        middle: float16 (N, 6, 6, 96).
        last: float16 (N, 3, 3, 320).
        done: bool (N / CHUNK,), which chunks are there.
    """

    pictures: NDArray[np.uint8]
    descriptors: NDArray[np.float16]
    middle: NDArray[np.float16]
    last: NDArray[np.float16]
    done: NDArray[np.bool_]

    @property
    def ready(self) -> NDArray[np.int64]:
        """Numbers of the samples that are there."""
        starts = np.flatnonzero(self.done) * CHUNK
        return (starts[:, None] + np.arange(CHUNK)).ravel()


def opened(folder: Path) -> Answers:
    """Open the answers of a folder.

    Raises:
        FileNotFoundError: there are none.
    """
    names = [field.name for field in fields(Answers)]
    return Answers(**{name: open_memmap(folder / f"{name}.npy", "r+") for name in names})


def made(folder: Path, count: int) -> Answers:
    """Open the answers of a folder, or make room for ``count`` of them, a multiple of CHUNK.

    Raises:
        ValueError: it has room for another number.
    """
    if (folder / "done.npy").exists():
        answers = opened(folder)
        if len(answers.pictures) != count:
            raise ValueError(f"{folder} is for {len(answers.pictures)} samples, not {count}")
        return answers
    folder.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "pictures": ((count, SIDE, SIDE, 3), np.uint8),
        "descriptors": ((count, 1280), np.float16),
        "middle": ((count, _KEPT[0], _KEPT[0], _MIDDLE[1]), np.float16),
        "last": ((count, _KEPT[1], _KEPT[1], _LAST[1]), np.float16),
        "done": ((count // CHUNK,), np.bool_),
    }
    maps = {
        name: open_memmap(folder / f"{name}.npy", "w+", kind, shape)
        for name, (shape, kind) in shapes.items()
    }
    return Answers(**maps)


def answer(answers: Answers, pictures: list[Pixels], teacher: bytes, workers: int) -> None:
    """Compute what is missing, on several threads, and print how far it is."""
    network = _Tapped(teacher)
    missing = np.flatnonzero(~answers.done)

    def one(chunk: int) -> None:
        numbers = range(chunk * CHUNK, (chunk + 1) * CHUNK)
        for number in numbers:
            large, little = sample(pictures, number, (_TEACHER_SIDE, SIDE))
            answers.pictures[number] = little
            found = network(large)
            answers.descriptors[number] = found[0]
            answers.middle[number] = _averaged(found[1], _KEPT[0])
            answers.last[number] = _averaged(found[2], _KEPT[1])
        answers.done[chunk] = True

    with ThreadPoolExecutor(workers) as pool:
        for number, _ in enumerate(pool.map(one, missing.tolist()), 1):
            if number % 20 == 0:
                print(f"{number * CHUNK} of {len(missing) * CHUNK} samples", flush=True)


class _Tapped:
    """The teacher, which also gives the maps after two of its blocks; one interpreter a thread."""

    def __init__(self, content: bytes) -> None:
        self._content = _with_maps(content)
        self._threads = threading.local()

    def __call__(self, view: Pixels) -> list[NDArray[np.float32]]:
        if not hasattr(self._threads, "interpreter"):
            self._threads.interpreter = Interpreter(model_content=self._content, num_threads=1)
            self._threads.interpreter.allocate_tensors()
        interpreter = self._threads.interpreter
        scaled = np.divide(view[np.newaxis], 255, dtype=np.float32)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], scaled)
        interpreter.invoke()
        given = interpreter.get_output_details()
        return [interpreter.get_tensor(one["index"])[0] for one in given]


def _with_maps(content: bytes) -> bytes:
    """The flatbuffer with two more outputs: the last map of each of two shapes."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    shapes = [[1, side, side, channels] for side, channels in (_MIDDLE, _LAST)]
    taps = [_last_of(graph, shape) for shape in shapes]
    graph.outputs = np.array([*graph.outputs, *taps], np.int32)
    model.signatureDefs = []
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _last_of(graph: Any, shape: list[int]) -> int:
    made = [int(operator.outputs[0]) for operator in graph.operators]
    return [one for one in made if list(graph.tensors[one].shape) == shape][-1]


def _averaged(maps: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A map (S, S, C) averaged over (side, side) places, which overlap where they must."""
    whole = len(maps)
    weights = np.zeros((side, whole), np.float32)
    for place in range(side):
        window = slice(place * whole // side, -(-(place + 1) * whole // side))
        weights[place, window] = 1 / (window.stop - window.start)
    rows = np.tensordot(weights, maps, 1)
    return np.ascontiguousarray(np.tensordot(weights, rows, (1, 1)).transpose(1, 0, 2))
