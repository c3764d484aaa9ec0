"""A clock that jumps, and clones of a catalogue that share their caches: answers stay the same."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, combinations_with_replacement, cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from golden import make
from hypothesis import example, given, settings
from hypothesis import strategies as st
from inside import keep as keep_pictures

from catalog import Catalog
from catalog.embedder import models
from catalog.embedder.model_cache import Model, Origin, keep
from catalog.index import array_file, items
from catalog.learning import derived, kinds, learning
from catalog.learning.kinds import KINDS
from catalog.store import inventory, jobs, journal, store
from catalog.store.files import cache_folder

YEAR_1970, YEAR_2100 = 0, 4_102_444_800
TODAY = 1_700_000_000
HOUR = 3600


@contextmanager
def clock(seconds: Sequence[int]) -> Iterator[None]:
    """A clock that says these times one after another, and then again, wherever it is asked."""
    times = cycle(seconds)

    def now() -> str:
        return datetime.fromtimestamp(next(times), UTC).isoformat(timespec="seconds")

    with pytest.MonkeyPatch.context() as patch:
        for module in (store, journal, inventory, jobs):
            patch.setattr(module, "now", now)
        yield


def opened(path: Path) -> Catalog:
    """Open a catalogue of the golden embedder."""
    return Catalog.open(path, embedder=make.embedder())


@contextmanager
def room() -> Iterator[Path]:
    """A folder in memory, if there is such a place: every commit is synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def lived(seconds: Sequence[int]) -> dict[str, Any]:
    """What a catalogue says after a history under such a clock, and what undo comes to."""
    with room() as folder, clock(seconds):
        path, tree = folder / "shop.catalog", folder / "photos"
        tree.mkdir()
        with Catalog.init(path, embedder=make.embedder()) as catalog:
            make.history(catalog, tree)
            make.later(catalog)
            for path_of_photo in photos_in(folder):
                keep_pictures(catalog, [path_of_photo])
        with opened(path) as catalog:
            assert catalog.verify().problems == ()
            said = make.answers(catalog)
            del said["items"]  # with the folder that the pictures lay in
            said["audit"] = repr(catalog.audit()).replace(str(folder), "")
            said["journal"] = repr(make.journal(catalog)).replace(str(folder), "")
            said["undo"] = make.undone(catalog)
            assert catalog.verify().problems == ()
    return said


def photos_in(folder: Path) -> list[Path]:
    """Photos of three things that the catalogue does not have, in files, in no order."""
    paths = []
    for number in (4, 1, 8, 0, 6, 2, 7, 5, 3):
        paths.append(folder / f"{number}.png")
        pixels = make.shot(90 + number % 3, number)[..., ::-1]
        paths[-1].write_bytes(cv2.imencode(".png", np.ascontiguousarray(pixels))[1].tobytes())
    return paths


@pytest.fixture(scope="module")
def steady() -> dict[str, Any]:
    """What is said after the history under a clock that goes on as it should."""
    return lived(range(TODAY, TODAY + 10_000))


JUMPS = st.lists(
    st.sampled_from([YEAR_1970, YEAR_2100, TODAY]) | st.integers(YEAR_1970, YEAR_2100),
    min_size=1,
    max_size=30,
)


@settings(max_examples=6)
@given(seconds=JUMPS)
@example(seconds=[YEAR_1970])
@example(seconds=[YEAR_2100, YEAR_1970])
@example(seconds=list(range(TODAY, TODAY - 500, -7)))
def test_the_clock_changes_no_answer(steady: dict[str, Any], seconds: list[int]) -> None:
    """Whatever the clock said on the way, the journal, undo, audit and answers are the same."""
    assert lived(seconds) == steady


@pytest.mark.soak
@settings(max_examples=400)
@given(seconds=JUMPS)
def test_no_clock_changes_an_answer(steady: dict[str, Any], seconds: list[int]) -> None:
    """Hundreds of other clocks change nothing either."""
    assert lived(seconds) == steady


def test_events_come_as_they_happened(tmp_path: Path) -> None:
    """Under a clock that runs backwards the journal has events in order; undo takes the last."""
    path = tmp_path / "shop.catalog"
    with (
        clock(range(YEAR_2100, YEAR_1970, -10_000_000)),
        Catalog.init(path, embedder=make.embedder()) as catalog,
    ):
        for thing in range(3):
            catalog.add_class(f"thing {thing}", make.shots(thing, 2))
        with catalog._store.reading() as tx:
            times = [at for (at,) in tx.execute("SELECT at FROM event ORDER BY id")]
        assert times == sorted(times, reverse=True)
        assert catalog.info().created > times[0]
        assert [event.detail["label"] for event in catalog.undo()] == ["thing 2"]
        assert [row.label for row in catalog.labels()] == ["thing 0", "thing 1"]


# --- derived files -------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A golden catalogue with all that was learnt from it beside it."""
    return learnt(tmp_path / "shop.catalog")


def learnt(path: Path) -> Path:
    """Put a golden catalogue there, and ask it, so that every derived file is written."""
    path.write_bytes(gzip.decompress((make.HERE / "format-5-exact.catalog.gz").read_bytes()))
    answers(path)
    assert {file.name for file in cache_folder(path).iterdir()} >= set(KINDS)
    return path


def answers(path: Path) -> dict[str, Any]:
    """What a catalogue says, opened anew."""
    with opened(path) as catalog:
        return make.answers(catalog)


@pytest.mark.parametrize("seconds", [YEAR_1970, YEAR_2100], ids=["1970", "2100"])
def test_the_age_of_derived_files_means_nothing(shop: Path, seconds: int) -> None:
    """Derived files of any age are read, since they say themselves which state they are of."""
    expected = answers(shop)
    before = {kind: (cache_folder(shop) / kind).read_bytes() for kind in KINDS}
    for file in cache_folder(shop).iterdir():
        os.utime(file, (seconds, seconds))
    assert answers(shop) == expected
    for kind in KINDS:
        file = cache_folder(shop) / kind
        assert file.read_bytes() == before[kind]
        assert file.stat().st_mtime == seconds, "was written again"


@pytest.mark.parametrize("away", [-2 * HOUR, 2 * HOUR, YEAR_2100 - TODAY], ids=str)
def test_leftovers_are_swept_on_either_side_of_the_clock(tmp_path: Path, away: int) -> None:
    """What a killed process left is deleted although the clock was put back since then."""
    leftover, fresh = tmp_path / "sums.0.tmp", tmp_path / "sums.1.tmp"
    for file in (leftover, fresh):
        file.write_bytes(b"half")
    at = time.time() + away
    os.utime(leftover, (at, at))
    array_file.write(tmp_path / "sums", "sums", {}, {})
    assert not leftover.exists()
    assert fresh.exists()


@pytest.mark.parametrize("jump", [-2 * HOUR, 2 * HOUR], ids=["back", "forth"])
def test_a_jump_while_files_are_written(
    shop: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """If another process, hours away, sweeps what is being written, no command fails."""
    real, fsync, swept = time.time, os.fsync, []

    def sweep_after(descriptor: int) -> None:
        fsync(descriptor)
        with monkeypatch.context() as inner:
            inner.setattr(time, "time", lambda: real() + jump)
            before = len(list(cache_folder(shop).glob("*.tmp")))
            array_file._sweep(cache_folder(shop))
            swept.append(before - len(list(cache_folder(shop).glob("*.tmp"))))

    with monkeypatch.context() as patched, opened(shop) as catalog:
        patched.setattr(array_file.os, "fsync", sweep_after)
        catalog.add_class("ny", make.shots(70, 3))
        expected = make.answers(catalog)
        catalog.close()
    assert sum(swept), "nothing was being written"
    assert answers(shop) == expected
    assert not list(cache_folder(shop).glob("*.tmp"))


def write_slowly(path: Path, ready: Path, go: Path) -> None:
    """Add a class, and be in the middle of writing a derived file until told to go on."""
    fsync = os.fsync

    def wait(descriptor: int) -> None:
        fsync(descriptor)
        ready.touch()
        while not go.exists():
            time.sleep(0.005)

    array_file.os.fsync = wait  # type: ignore[assignment]
    with opened(path) as catalog:
        catalog.add_class("slow", make.shots(71, 3))
        catalog.predict(make.shot(0))


def test_another_process_loses_its_file_and_nothing_else(shop: Path) -> None:
    """A live process whose temporary file seems a day old loses that file, and ends well."""
    ready, go = shop.with_name("ready"), shop.with_name("go")
    process = get_context("spawn").Process(target=write_slowly, args=(shop, ready, go))
    process.start()
    try:
        end = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < end
            time.sleep(0.005)
        (temporary,) = cache_folder(shop).glob("*.tmp")
        os.utime(temporary, (YEAR_1970, YEAR_1970))
        expected = answers(shop)  # others go on asking, and write derived files of their own
        assert not temporary.exists()
    finally:
        go.touch()
        process.join(60)
    assert process.exitcode == 0
    assert answers(shop) == expected
    with opened(shop) as catalog:
        assert "slow" in {row.label for row in catalog.labels()}
        found = catalog.verify()
        assert (found.problems, found.derived) == ((), ())
    assert not list(cache_folder(shop).glob("*.tmp"))


def test_networks_of_any_day(cache: Path, tmp_path: Path) -> None:
    """Networks that were imported in 1970 and 2100 are found as others are, and listed."""
    for number, at in enumerate((YEAR_2100, YEAR_1970, TODAY)):
        content = bytes([number])
        digest = models.sha256(content).hexdigest()
        when = datetime.fromtimestamp(at, UTC).isoformat()
        origin = (Origin(f"source {number}", "0" * 64),)
        path = models.file_of(digest)
        model = Model(digest, path, f"net {number}", origin, 48, 16, None, when)
        keep(model, content)
    assert [model.name for model in models.recorded()] == ["net 0", "net 2", "net 1"]
    for number in range(3):
        assert models.find(f"net {number}").read() == bytes([number])


# --- clones --------------------------------------------------------------------------------------


def changed_one_way(catalog: Catalog) -> None:
    """As many events as the other way has."""
    catalog.add_class("ny", make.shots(70, 3))
    catalog.remove([catalog.items("Blåbär")[0].id])


def changed_another_way(catalog: Catalog) -> None:
    """As many events as the one way has, and as many items."""
    catalog.add_class("ny", make.shots(73, 3))
    catalog.remove([catalog.items("Blåbär")[1].id])


def undone_one_way(catalog: Catalog) -> None:
    """An event, and one that takes it back."""
    catalog.add_class("ny", make.shots(70, 3))
    catalog.undo()


def unchanged(_: Catalog) -> None:
    """Nothing at all."""


WAYS = [changed_one_way, changed_another_way, undone_one_way, unchanged]


@pytest.mark.parametrize(("way", "other_way"), [*combinations_with_replacement(WAYS, 2)])
def test_clones_with_each_other_s_caches(
    tmp_path: Path, way: Callable[[Catalog], None], other_way: Callable[[Catalog], None]
) -> None:
    """Two copies that went different ways, at one moment, answer each its own by either's cache."""
    one, other = tmp_path / "one.catalog", tmp_path / "other.catalog"
    learnt(one)
    shutil.copy(one, other)
    shutil.copytree(cache_folder(one), cache_folder(other))
    expected = {}
    with clock([TODAY]):
        for path, change in ((one, way), (other, other_way)):
            with opened(path) as catalog:
                change(catalog)
                expected[path] = rounded(make.answers(catalog))
    aside = tmp_path / "aside"
    for _ in range(2):
        cache_folder(one).rename(aside)
        cache_folder(other).rename(cache_folder(one))
        aside.rename(cache_folder(other))
        for path in (one, other):
            assert rounded(answers(path)) == expected[path]
            with opened(path) as catalog:
                found = catalog.verify()
                assert (found.problems, found.derived) == ((), ())


def rounded(value: Any) -> Any:
    """A JSON value with its floats to five digits: indices of another epoch round anew."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, list):
        return [rounded(part) for part in value]
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return value


def test_parts_of_two_caches(tmp_path: Path) -> None:
    """Derived files of two copies in one folder, in any mixture, change no answer."""
    one, other = tmp_path / "one.catalog", tmp_path / "other.catalog"
    learnt(one)
    shutil.copy(one, other)
    for path, change in ((one, changed_one_way), (other, changed_another_way)):
        with opened(path) as catalog:
            change(catalog)
            make.answers(catalog)
    expected = rounded(answers(one))
    mine, its = cache_folder(one), cache_folder(other)
    kept = {kind: (mine / kind).read_bytes() for kind in KINDS}
    for taken in chain(((kind,) for kind in KINDS), [KINDS[:2], KINDS[2:], KINDS]):
        for kind in KINDS:
            (mine / kind).write_bytes((its / kind).read_bytes() if kind in taken else kept[kind])
        assert rounded(answers(one)) == expected, taken


def test_learning_is_of_no_time() -> None:
    """Nothing that learns, and no index, asks what time it is."""
    for module in (learning, kinds, derived, items):
        assert not hasattr(module, "time")
        assert not hasattr(module, "now")
