"""Send malformed pictures through isolated decoding, and count what comes of them."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import get_args

import malformed
import numpy as np
import pytest
from attack_recipes import Recipe, build, recipes

from catalog.descriptors.errors import PictureError, RefusalReason
from catalog.embedder.formats import inspect
from catalog.embedder.isolation import IsolatedDecoder

REASONS = {*get_args(RefusalReason), "timeout"}
CRASHED = "crashed"
_EVERY = 256
_WORKERS = 2


@dataclass
class Tally:
    """What came of many pictures.

    Attributes:
        outcomes: how many pictures of a format were decoded, or refused for a reason.
        seconds: how long each picture took, as its caller saw it.
        crashed: those that the decoder crashed on.
        steps: every mutation that was made, by format.
        peak: most memory that a child ever held, in bytes; 0 where that is not known.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    crashed: list[Recipe] = field(default_factory=list)
    steps: set[tuple[str, str]] = field(default_factory=set)
    peak: int = 0

    def add(self, other: Tally) -> None:
        """Count what another counted."""
        self.outcomes += other.outcomes
        self.seconds += other.seconds
        self.crashed += other.crashed
        self.steps |= other.steps
        self.peak = max(self.peak, other.peak)

    def of(self, outcome: str) -> int:
        """Count the pictures of an outcome, over all formats."""
        return sum(count for (_, found), count in self.outcomes.items() if found == outcome)

    def milliseconds(self, quantile: float) -> float:
        """Time within which this share of the pictures was done."""
        return 1000 * float(np.quantile(self.seconds, quantile))


def run(count: int, seed: int) -> Tally:
    """Decode the pictures of the first so many recipes, as many at once as there are workers.

    Raises:
        AssertionError: a picture had another outcome than pixels or a documented refusal.
    """

    def share(worker: int) -> Tally:
        return _tally(decoder, islice(recipes(count, seed), worker, None, _WORKERS))

    total = Tally()
    with closing(IsolatedDecoder(_WORKERS)) as decoder, ThreadPoolExecutor(_WORKERS) as pool:
        for tally in pool.map(share, range(_WORKERS)):
            total.add(tally)
    return total


def _tally(decoder: IsolatedDecoder, chosen: Iterable[Recipe]) -> Tally:
    tally = Tally()
    for number, made in enumerate(chosen):
        data = build(made)
        started = time.perf_counter()
        outcome = outcome_of(decoder, made, data)
        tally.seconds.append(time.perf_counter() - started)
        tally.outcomes[made.format, "corrupt" if outcome == CRASHED else outcome] += 1
        tally.steps.update((made.format, name) for name, _ in made.steps)
        if outcome == CRASHED:
            tally.crashed.append(shrunk(made, partial(_crashes, decoder)))
        if number % _EVERY == 0:
            tally.peak = max(tally.peak, peak_memory(decoder))
    return tally


def outcome_of(decoder: IsolatedDecoder, made: Recipe, data: bytes) -> str:
    """Decode a picture, and say in a word what came of it."""
    try:
        pixels = decoder.decode(data, made.scale)
    except PictureError as error:
        refusal = error
    except Exception as error:
        raise AssertionError(told(made, data, f"raised {error!r}")) from error
    else:
        assert _is_sound(pixels, data, made.scale), told(made, data, f"gave {pixels.shape}")
        return "decoded"
    assert refusal.reason in REASONS, told(made, data, f"refused as {refusal.reason}")
    assert refusal.detail, told(made, data, "refused without a word")
    return CRASHED if "crashed" in refusal.detail else refusal.reason


def _crashes(decoder: IsolatedDecoder, made: Recipe) -> bool:
    return outcome_of(decoder, made, build(made)) == CRASHED


def _is_sound(pixels: np.ndarray, data: bytes, scale: int) -> bool:
    header = inspect(data)
    scale = scale if header.format == "jpeg" else 1
    sides = sorted(-(-side // scale) for side in (header.height, header.width))
    shape = (*sorted(pixels.shape[:2]), *pixels.shape[2:])
    return pixels.dtype == np.uint8 and shape == (*sides, 3)


def unsteady(count: int, seed: int) -> list[str]:
    """Decode each picture twice, over memory that held other bytes before, and tell what differs.

    GNU libc fills what it allocates with a byte of one's choice; elsewhere this finds less.
    """
    with ExitStack() as stack:
        decoders = [stack.enter_context(closing(_over_memory_of(fill))) for fill in (85, 170)]
        differing = []
        for made in recipes(count, seed):
            data = build(made)
            first, second = (_answer(decoder, data, made.scale) for decoder in decoders)
            if first != second:
                differing.append(told(made, data, "gave what memory held before"))
    return differing


def _over_memory_of(fill: int) -> IsolatedDecoder:
    decoder = IsolatedDecoder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MALLOC_PERTURB_", str(fill))
        decoder.decode(malformed.still_gif())
    return decoder


def _answer(decoder: IsolatedDecoder, data: bytes, scale: int) -> bytes | str:
    try:
        return decoder.decode(data, scale).tobytes()
    except PictureError as refusal:
        return str(refusal)


def told(made: Recipe, data: bytes, what: str) -> str:
    """Say what came of a picture, how to draw it again, and where its bytes lie."""
    place = Path(tempfile.mkdtemp(prefix="attack-")) / f"picture.{made.format}"
    place.write_bytes(data)
    return f"{what}: {made}; its bytes are in {place}"


def shrunk(made: Recipe, fails: Callable[[Recipe], bool]) -> Recipe:
    """Leave out every step without which a recipe still fails."""
    for step in made.steps:
        shorter = replace(made, steps=tuple(kept for kept in made.steps if kept != step))
        if fails(shorter):
            made = shorter
    return made


def peak_memory(decoder: IsolatedDecoder) -> int:
    """Most bytes that a living child of a decoder ever held; 0 where the system does not tell."""
    peaks = [0]
    for process in children(decoder):
        status = Path(f"/proc/{process}/status")
        if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
            peaks.append(1024 * int(found[1]))
    return max(peaks)


def work(decoder: IsolatedDecoder) -> float:
    """Processor time that the living children of a decoder took, in seconds, where it is told."""
    ticks = 0
    for process in children(decoder):
        status = Path(f"/proc/{process}/stat")
        if status.exists():
            ticks += sum(map(int, status.read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def children(decoder: IsolatedDecoder) -> list[int]:
    """List the processes that a decoder has running."""
    processes = [worker._process for worker in decoder._workers]
    return [process.pid for process in processes if process is not None]
