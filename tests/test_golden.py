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
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from golden import make
from inside import keep

from catalog import Catalog
from catalog.care.doctor import examine_catalogue
from catalog.descriptors import CatalogError, NewerFormat, Sums
from catalog.learning.asked import AskedCounts
from catalog.store import formats
from catalog.store.names import likeness
from catalog.store.schema import FORMAT_VERSION, SCRIPTS, statements
from catalog.store.store import Store

HEADS = ("exact", "frozen", "document")
NAMES = (
    "format-1",
    *(f"format-{later}-{head}" for later in (2, 3, 4, 5, 6, 7, 8) for head in HEADS),
)
OLD = ("format-1", "format-2-frozen", "format-3-exact")
TOLERANCE = 1e-6


def opened(path: Path) -> Catalog:
    """Open a golden catalogue."""
    return Catalog.open(path, embedder=make.embedders())


def unpacked(name: str) -> bytes:
    """The bytes of a golden catalogue."""
    return gzip.decompress((make.HERE / f"{name}.catalog.gz").read_bytes())


def said(name: str) -> dict[str, Any]:
    """What the program that wrote it said."""
    words: dict[str, Any] = json.loads((make.HERE / f"{name}.json").read_text("utf-8"))
    return words


@pytest.fixture(autouse=True)
def keys_as_then(request: pytest.FixtureRequest) -> Iterator[None]:
    """Up to format 4 alike names had one key, and learning states are hashes of keys, too."""
    params = getattr(request.node, "callspec", None)
    golden = params and (params.params.get("name") or params.params.get("old_name"))
    now = Sums.state

    def then(sums: Sums, fingerprint: str, names: Mapping[int, str]) -> str:
        return now(sums, fingerprint, {slot: likeness(key) for slot, key in names.items()})

    with pytest.MonkeyPatch.context() as patch:
        if golden and int(golden.split("-")[1]) < 5:
            patch.setattr(Sums, "state", then)
        yield


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


@pytest.fixture(params=OLD)
def old_name(request: pytest.FixtureRequest) -> str:
    """One golden catalogue of an older format after another."""
    return str(request.param)


@pytest.fixture
def old(old_name: str, tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "old.catalog"
    copy.write_bytes(unpacked(old_name))
    return copy


def change(path: Path) -> None:
    """Change a catalogue in the least way that there is."""
    with opened(path) as catalog:
        keep(catalog, [make.shot(77)])


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
    assert sum(file.stat().st_size for file in make.HERE.glob("format-*")) < 1_000_000


def test_answers_are_as_they_were(name: str, path: Path) -> None:
    """What every version says alike is said today, to the last digit that is not rounding."""
    then = said(name)
    for _ in range(2):  # the second time from derived files
        with opened(path) as catalog:
            assert catalog.verify().problems == ()
            now = make.answers(catalog)
            for what in ("generation", "staged", "learning_state", "labels", "items"):
                assert _in_any_order(now[what]) == _in_any_order(then[what]), what
            assert now["head"] == (then["head"] or "exact")
            assert make.journal(catalog) == then["journal"]
    assert now["rules"]["items"] == then["rules"]["items"], "make golden files of the new rule"
    check_scores(now, then)


def _in_any_order(value: Any) -> Any:
    """A list without its order: the order of names has changed since."""
    return sorted(value) if isinstance(value, list) else value


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
        now, then = make.undone(catalog), said(name)["undo"]
        for step in [*now, *then]:
            step["labels"] = _in_any_order(step.get("labels"))
        assert now == then
        assert catalog.verify().problems == ()
    with opened(path) as catalog:
        left = [[row.label, row.items] for row in catalog.labels()]
        assert _in_any_order(left) == then[-2]["labels"]


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
        labels = [[row.label, row.items] for row in catalog.labels()]
        assert _in_any_order(labels) == _in_any_order(then["labels"])
        assert catalog.verify().sound


def test_a_changed_file_is_a_present_one(name: str, path: Path) -> None:
    """A file has the present version and tables once it was changed, whatever it had before."""
    change(path)
    assert version_of(path) == FORMAT_VERSION
    fresh = path.with_name("fresh.catalog")
    Catalog.init(fresh, embedder=make.embedder()).close()
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(fresh)) as other:
        question = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
        assert one.execute(question).fetchall() == other.execute(question).fetchall()


def test_asking_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of any format that is only asked stays as it is to the byte.

    In one of the present format it is counted how it answered, where that is not turned off.
    """
    before = path.read_bytes()
    if version_of(path) == FORMAT_VERSION:
        monkeypatch.setattr(AskedCounts, "count", lambda *_: None)
    with opened(path) as catalog:
        make.answers(catalog)
        catalog.history()
        catalog.audit()
        catalog.training_curves()
        assert catalog.verify().problems == ()
        assert catalog.info().format == version_of(path)
    assert path.read_bytes() == before


class TestUpgrade:
    """The first write brings an older file to the present format, whole or not at all."""

    def test_it_is_said(self, old: Path) -> None:
        """Whoever changes an older file is told that it is of another format now, once."""
        version = version_of(old)
        with pytest.warns(
            UserWarning, match=f"of format {version}, and is of format {FORMAT_VERSION}"
        ) as told:
            change(old)
        assert len(told) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            change(old)

    def test_another_process_does_it(self, old: Path) -> None:
        """One that has the file open goes on in the present format, with all that came with it."""
        with opened(old) as other:
            before = other.info()
            with (
                pytest.warns(UserWarning, match=f"is of format {FORMAT_VERSION}"),
                opened(old) as catalog,
            ):
                catalog.train_head("frozen")
            after = other.info()
            assert (after.format, after.head) == (FORMAT_VERSION, "frozen")
            assert after.learning_state == before.learning_state
            other.add_class("Œuvre", make.shots(60, 3))
            assert other.verify().problems == ()

    def test_an_older_copy_is_put_back(self, old: Path, old_name: str) -> None:
        """One that has the file open goes back with it to the older format, and up again."""
        copy = old.with_name("copy.catalog")
        with opened(old) as catalog:
            catalog.backup(copy)
            before = make.answers(catalog)
            with pytest.warns(UserWarning, match=f"is of format {FORMAT_VERSION}"):
                catalog.add_class("Œuvre", make.shots(60, 3))
            Catalog.restore(copy, old)
            assert version_of(old) == int(old_name.split("-")[1])
            assert make.answers(catalog) == before
            with pytest.warns(UserWarning, match=f"is of format {FORMAT_VERSION}"):
                catalog.add_class("Œuvre", make.shots(60, 3))
            assert catalog.verify().problems == ()

    def test_a_refused_command_changes_nothing(self, old: Path) -> None:
        """A command that fails in its first transaction leaves the file to the byte what it was."""
        before = old.read_bytes()
        with opened(old) as catalog:
            with pytest.raises(CatalogError):
                catalog.rename_class("nothing", "something")
            with pytest.raises(ZeroDivisionError):
                fail_in_the_middle(catalog)
            with catalog._store.writing() as tx:
                tx.rollback()  # as a command does that finds nothing to do
            assert make.answers(catalog)
        assert old.read_bytes() == before

    def test_a_kill_between_any_two_statements(
        self, old: Path, old_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a kill leaves on the disk, file and journal, is a whole catalogue as it was."""
        made: list[Path] = []

        def watched(script: str) -> Iterator[str]:
            for statement in [*statements(script), "PRAGMA user_version"]:
                copy = tmp_path / f"left {len(made)}.catalog"
                for ending in ("", "-journal"):
                    source = old.with_name(old.name + ending)
                    if source.exists():
                        shutil.copy(source, copy.with_name(copy.name + ending))
                made.append(copy)
                yield statement

        monkeypatch.setattr(formats, "statements", watched)
        change(old)
        monkeypatch.undo()
        assert len(made) > 2
        for copy in made:
            assert version_of(copy) == int(old_name.split("-")[1])
            check_whole(copy, old_name)

    def test_a_failure_leaves_the_old_format(
        self, old: Path, old_name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where a statement fails, the file is to the byte what it was."""
        before = old.read_bytes()
        script = list(statements("".join(SCRIPTS[-3:])))
        for number in range(len(script)):
            broken = [*script[:number], "CREATE TABLE item (id)"]
            monkeypatch.setattr(formats, "statements", lambda _, broken=broken: broken)
            with pytest.raises(CatalogError):
                change(old)
            assert old.read_bytes() == before
        monkeypatch.undo()
        check_whole(old, old_name)

    @pytest.mark.parametrize("kills", [2, pytest.param(60, marks=pytest.mark.soak)])
    def test_kills(self, old: Path, old_name: str, kills: int) -> None:
        """A process that is killed while it upgrades leaves the old format or the new one."""
        before, rng = old.read_bytes(), random.Random(1)
        for _ in range(kills):
            old.write_bytes(before)
            with subprocess.Popen(
                [sys.executable, "-c", _UPGRADE, str(old)], stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"now\n"
                time.sleep(rng.uniform(0, 0.02))
                process.send_signal(signal.SIGKILL)
            assert version_of(old) in {int(old_name.split("-")[1]), FORMAT_VERSION}
            check_whole(old, old_name)

    @pytest.fixture
    def asked(self, old: Path) -> Any:
        """What the catalogue says of a picture; also loads, with all rights, what that takes."""
        with opened(old) as catalog:
            assert catalog.verify().sound
            return catalog.predict(make.shot(0, 90))

    def test_a_file_that_cannot_be_written(
        self, asked: Any, unprivileged: Path, old_name: str
    ) -> None:
        """An older file on a medium that cannot be written is asked; a change is a plain error."""
        path = unprivileged / "old.catalog"
        path.write_bytes(unpacked(old_name))
        path.chmod(0o444)
        unprivileged.chmod(0o555)
        try:
            with opened(path) as catalog:
                assert catalog.verify().sound
                assert catalog.predict(make.shot(0, 90)) == asked
            with pytest.raises(CatalogError, match="is read-only here"):
                change(path)
            assert path.read_bytes() == unpacked(old_name)
        finally:
            unprivileged.chmod(0o755)

    def test_two_at_once(self, old: Path, old_name: str) -> None:
        """Of processes that change it at the same time one upgrades it, and all of them succeed."""
        command = [sys.executable, "-c", _UPGRADE, str(old)]
        each = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
        assert [process.wait() for process in each] == [0, 0, 0]
        assert version_of(old) == FORMAT_VERSION
        check_whole(old, old_name)


def fail_in_the_middle(catalog: Catalog) -> None:
    """Begin to change a catalogue, and fail."""
    with catalog._store.writing() as tx:
        tx.execute("UPDATE label SET name = name || '!'")
        raise ZeroDivisionError


_UPGRADE = """
import sys
from contextlib import closing
from pathlib import Path
from catalog.store.store import Store
print("now", flush=True)
with closing(Store(Path(sys.argv[1]))) as store, store.writing():
    pass
"""


def check_whole(path: Path, name: str) -> None:
    """Check that a file opens, is sound, and says what the golden file said."""
    with opened(path) as catalog:
        assert catalog.verify().problems == ()
        assert catalog.info().learning_state == said(name)["learning_state"]


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
def test_a_version_that_never_was(path: Path, version: int) -> None:
    """A file that says it has a version before the first one is damaged."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(CatalogError, match="damaged"):
        Store(path)


def test_doctor_reads_every_format(path: Path) -> None:
    """Of a sound file of an older format `doctor` finds nothing bad, and it stays as it is."""
    before = path.read_bytes()
    found = [check for check in examine_catalogue(path) if check.name != "its network"]
    assert {"contents", "places", "clock"} <= {check.name for check in found}
    assert not [check for check in found if check.state == "bad"]
    assert path.read_bytes() == before
