"""Catalogues of every past format: opened, asked, changed and taken back as if made today."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from golden import make

from catalog import Catalog
from catalog.descriptors import CatalogError, NewerFormat
from catalog.store import store
from catalog.store.files import cache_folder
from catalog.store.schema import FORMAT_VERSION, SCHEMA_2
from catalog.store.store import Store

NAMES = ("format-1", "format-2-exact", "format-2-frozen", "format-2-document")
TOLERANCE = 1e-6


def opened(path: Path) -> Catalog:
    """Open a golden catalogue."""
    return Catalog.open(path, embedder=make.embedder())


def unpacked(name: str) -> bytes:
    """The bytes of a golden catalogue."""
    return gzip.decompress((make.HERE / f"{name}.catalog.gz").read_bytes())


def said(name: str) -> dict[str, Any]:
    """What the program that wrote it said."""
    words: dict[str, Any] = json.loads((make.HERE / f"{name}.json").read_text("utf-8"))
    return words


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """One golden catalogue after another."""
    return str(request.param)


@pytest.fixture
def path(name: str, tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "shop.catalog"
    copy.write_bytes(unpacked(name))
    return copy


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of a catalogue of format 1."""
    copy = tmp_path / "old.catalog"
    copy.write_bytes(unpacked("format-1"))
    return copy


def version_of(path: Path) -> int:
    """The version that a file says it has."""
    return int.from_bytes(path.read_bytes()[60:64])


def tables_of(path: Path) -> set[str]:
    """The tables of a file."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {row[0] for row in rows}


def assert_scores(ours: list[list[Any]], theirs: list[list[Any]]) -> None:
    """The same things in the same order, with the same scores but for rounding."""
    assert [row[:-1] for row in ours] == [row[:-1] for row in theirs]
    assert [row[-1] for row in ours] == pytest.approx([row[-1] for row in theirs], abs=TOLERANCE)


def test_the_set_is_whole() -> None:
    """Every format up to the present one has golden files, each with its answers, and all small."""
    files = {file.name.split(".")[0] for file in make.HERE.glob("*.gz")}
    assert files == set(NAMES)
    assert {int(name.split("-")[1]) for name in NAMES} == set(range(1, FORMAT_VERSION + 1))
    assert sum(file.stat().st_size for file in make.HERE.glob("format-*")) < 500_000


def test_answers_are_as_they_were(name: str, path: Path) -> None:
    """What every version says alike is said today, to the last digit that is not rounding."""
    then = said(name)
    for _ in range(2):  # the second time from derived files
        with opened(path) as catalog:
            assert catalog.verify().problems == ()
            now = make.answers(catalog)
            for what in ("generation", "staged", "learning_state", "labels", "items"):
                assert now[what] == then[what], what
            assert now["head"] == (then["head"] or "exact")
            assert make.journal(catalog) == then["journal"]
    assert now["rules"]["items"] == then["rules"]["items"], "make golden files of the new rule"
    check_scores(now, then)


def check_scores(now: dict[str, Any], then: dict[str, Any]) -> None:
    """Compare what rests on rules that are the same now as then."""
    alike = {rule: now["rules"][rule] == word for rule, word in then["rules"].items()}
    for ours, theirs in zip(now["nearest"], then["nearest"], strict=True):
        # How neighbours are ranked among classes is younger than format 1; their scores are not.
        scores = {item: score for item, _, score in theirs}
        common = [row for row in ours if row[0] in scores]
        assert common
        assert [row[2] for row in common] == pytest.approx(
            [scores[row[0]] for row in common], abs=TOLERANCE
        )
        if "head" in then["rules"]:
            assert_scores(ours, theirs)
    for ours, theirs in zip(now["predict"], then["predict"], strict=True):
        for witness in ("centroid", "neighbours"):
            assert_scores(ours[witness], theirs[witness])
        if alike.get("head") and alike.get("sure"):
            assert (ours["label"], ours["verdict"]) == (theirs["label"], theirs["verdict"])
            assert_scores(ours["head"], theirs["head"])
            assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-5)


def test_undo_is_as_it_was(name: str, path: Path) -> None:
    """Every command can be taken back, one after another, to the states that it was then."""
    with opened(path) as catalog:
        assert make.undone(catalog) == said(name)["undo"]
        assert catalog.verify().problems == ()
    with opened(path) as catalog:
        assert [[row.label, row.items] for row in catalog.labels()] == said(name)["undo"][-2][
            "labels"
        ]


def test_it_goes_on(name: str, path: Path) -> None:
    """Pictures are added and removed, known ones are known, and all of it is undone."""
    then = said(name)
    with opened(path) as catalog:
        catalog.train_head("exact")  # a document head would load TensorFlow to go on
        assert catalog.add(make.NAMES[0], [make.shot(0, 2), make.shot(0, 70)]).known == 1
        catalog.add_class("Œuvre", make.shots(60, 3))
        assert catalog.predict(make.shot(60, 9)).label == "Œuvre"
        catalog.remove([catalog.items("Œuvre")[0].id])
    with opened(path) as catalog:
        counts = {row.label: row.items for row in catalog.labels()}
        before = dict(then["labels"])
        assert counts == {**before, make.NAMES[0]: before[make.NAMES[0]] + 1, "Œuvre": 2}
        assert catalog.verify().sound
        for _ in range(4):
            catalog.undo()
    with opened(path) as catalog:
        assert catalog.info().learning_state == then["learning_state"]
        assert [[row.label, row.items] for row in catalog.labels()] == then["labels"]
        assert catalog.verify().sound


def test_old_files_become_present_ones(name: str, path: Path) -> None:
    """A file has the present version and tables once it was opened, whatever it had before."""
    opened(path).close()
    assert version_of(path) == FORMAT_VERSION
    fresh = path.with_name("fresh.catalog")
    Catalog.init(fresh, embedder=make.embedder()).close()
    assert tables_of(path) == tables_of(fresh)
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(fresh)) as other:
        question = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
        assert one.execute(question).fetchall() == other.execute(question).fetchall()


class TestUpgrade:
    """A file of format 1 is brought to the present one whole or not at all."""

    def test_a_kill_between_any_two_statements(
        self, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a kill leaves on the disk, file and journal, is a whole catalogue of format 1."""
        left = [tmp_path / f"left {number}.catalog" for number in range(99)]
        made: list[Path] = []
        statements = store.statements

        def watched(script: str) -> Iterator[str]:
            for statement in [*statements(script), "PRAGMA user_version"]:
                snapshot = left[len(made)]
                for ending in ("", "-journal"):
                    source = old.with_name(old.name + ending)
                    if source.exists():
                        shutil.copy(source, snapshot.with_name(snapshot.name + ending))
                made.append(snapshot)
                yield statement

        monkeypatch.setattr(store, "statements", watched)
        opened(old).close()
        monkeypatch.undo()
        assert len(made) > 6
        for snapshot in made:
            assert version_of(snapshot) == 1
            check_whole(snapshot)

    def test_a_failure_leaves_format_1(self, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a statement fails, the file is to the byte what it was."""
        before = old.read_bytes()
        statements = list(store.statements(SCHEMA_2))
        for number in range(len(statements)):
            broken = [*statements[:number], "CREATE TABLE item (id)"]
            monkeypatch.setattr(store, "statements", lambda _, broken=broken: broken)
            with pytest.raises(CatalogError):
                opened(old)
            assert old.read_bytes() == before
        monkeypatch.undo()
        check_whole(old)

    @pytest.mark.parametrize("kills", [2, pytest.param(60, marks=pytest.mark.soak)])
    def test_kills(self, old: Path, kills: int) -> None:
        """A process that is killed while it opens the file leaves format 1 or 2, and both open."""
        before, rng = old.read_bytes(), random.Random(1)
        for _ in range(kills):
            old.write_bytes(before)
            with subprocess.Popen(
                [sys.executable, "-c", _UPGRADE, str(old)], stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"now\n"
                time.sleep(rng.uniform(0, 0.008))
                process.send_signal(signal.SIGKILL)
            assert version_of(old) in {1, FORMAT_VERSION}
            check_whole(old)

    def test_a_file_that_cannot_be_written(self, unprivileged: Path) -> None:
        """A read-only file of format 1 is a plain error that says what to do about it."""
        path = unprivileged / "old.catalog"
        path.write_bytes(unpacked("format-1"))
        path.chmod(0o444)
        unprivileged.chmod(0o555)
        try:
            with pytest.raises(CatalogError, match=r"cannot be written.*copy"):
                opened(path)
            assert path.read_bytes() == unpacked("format-1")
        finally:
            unprivileged.chmod(0o755)

    def test_two_at_once(self, old: Path) -> None:
        """Processes that open it at the same time all find it brought to the present format."""
        command = [sys.executable, "-c", _UPGRADE, str(old)]
        both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
        assert [process.wait() for process in both] == [0, 0, 0]
        check_whole(old)


_UPGRADE = """
import sys
from pathlib import Path
from catalog.store.store import Store
print("now", flush=True)
Store(Path(sys.argv[1])).close()
"""


def check_whole(path: Path) -> None:
    """Check that a file opens, is sound, and says what the golden file said."""
    with opened(path) as catalog:
        assert catalog.verify().problems == ()
        assert catalog.info().learning_state == said("format-1")["learning_state"]
    assert version_of(path) == FORMAT_VERSION


@pytest.mark.parametrize("later", [1, 2, 250])
def test_a_later_version_is_left_alone(path: Path, later: int) -> None:
    """A file of a later version is refused by name, and not a byte of it or beside it changes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + later}")
    before = path.read_bytes()
    with pytest.raises(NewerFormat, match=f"format {FORMAT_VERSION + later}"):
        opened(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


@pytest.mark.parametrize("version", [0, -1, -(2**31)])
def test_a_version_that_never_was(old: Path, version: int) -> None:
    """A file that says it has a version before the first one is damaged."""
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(CatalogError, match="damaged"):
        Store(old)


def test_a_copy_of_a_copy_is_the_same(path: Path) -> None:
    """A catalogue that is only asked is not changed, and needs nothing beside its file."""
    opened(path).close()
    before = path.read_bytes()
    with opened(path) as catalog:
        make.answers(catalog)
    shutil.rmtree(cache_folder(path))
    assert path.read_bytes() == before
