"""The doctor: what keeps the program from working is named, and nothing is touched."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import requires
from pathlib import Path

import photos
import pytest
from conftest import REPOSITORY
from doubles import FakeEmbedder
from tiny_network import command, environment

from catalog import Catalog
from catalog.care import doctor
from catalog.data.starter import FLATBUFFER
from catalog.embedder import models
from catalog.embedder.model_cache import file_of
from catalog.machine import Check, computer, examine, folders, libraries, model_cache
from catalog.store.files import cache_folder

InProcess = Callable[..., tuple[int, str, str]]


def by_name(checks: object) -> dict[str, Check]:
    """Checks by their names."""
    return {check.name: check for check in checks}  # type: ignore[attr-defined]


def install(folder: Path, name: str, version: str) -> None:
    """Make a folder look as if a distribution were installed in it."""
    written = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    written.mkdir(parents=True)
    (written / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


class TestLibraries:
    """Versions, wheels and imports."""

    def test_this_environment(self) -> None:
        """Where the tests run, every library is there, in range, and can be imported."""
        found = by_name(examine())
        needed = {line.split("<")[0].split(">")[0] for line in requires("catalog") or []}
        assert {"Python", "numpy", "faiss-cpu", "OpenCV wheels", "SQLite"} <= found.keys()
        assert len(needed & found.keys()) >= 12
        assert {name for name, check in found.items() if check.state == "bad"} == set()
        assert found["import numpy"].found == found["numpy"].found
        assert file_of("0" * 64).is_relative_to(model_cache())

    @pytest.mark.parametrize(
        ("here", "wanted", "expected"),
        [
            ("2.4.6", ">=2.1,<3", True),
            ("2.1", "<3,>=2.1.0", True),
            ("3.0", "<3,>=2.1", False),
            ("2.0.9", ">=2.1", False),
            ("65.5.0", "<82", True),
            ("82", "<82", False),
            ("0.16.1", "<0.17,>=0.16.1", True),
            ("1.10", ">=1.9,!=1.11", True),
            ("3.0rc1", ">=3", True),
            ("1.0", "", True),
            ("1.0", "~=1.0", None),
            ("unknown", ">=1", None),
        ],
    )
    def test_ranges(self, here: str, wanted: str, *, expected: bool | None) -> None:
        """Versions are compared number by number; what cannot be compared is no fault."""
        assert libraries.within(here, wanted) is expected

    def test_a_version_out_of_range(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A library that is too old is named, with the range and the line that mends it."""
        install(tmp_path, "typer", "0.1")
        monkeypatch.syspath_prepend(tmp_path)
        check = by_name(libraries.packages())["typer"]
        assert (check.state, check.found.partition(",")[0]) == ("bad", "0.1")
        assert "pip install 'typer<1,>=0.16'" in check.advice

    def test_two_opencvs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two wheels that share a folder are bad; the advice takes both out and one in."""
        assert libraries.opencv_wheels().state == "ok"
        install(tmp_path, "opencv-python-headless", "4.12.0.88")
        monkeypatch.syspath_prepend(tmp_path)
        check = libraries.opencv_wheels()
        assert check.state == "bad"
        assert "opencv-python-headless 4.12.0.88" in check.found
        assert "pip uninstall --yes opencv-python opencv-python-headless`" in check.advice
        assert "pip install opencv-python-headless`" in check.advice

    def test_pkg_resources(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without what tensorflow-hub imports, networks cannot be fetched; it is said how to."""
        assert libraries.pkg_resources().state == "ok"
        monkeypatch.setattr(sys, "path", [])
        monkeypatch.delitem(sys.modules, "pkg_resources", raising=False)
        check = libraries.pkg_resources()
        assert (check.state, "setuptools<82" in check.advice) == ("warning", True)

    @pytest.mark.parametrize(
        ("version", "loses"),
        [
            ((3, 6, 23), False),
            ((3, 7, 0), True),
            ((3, 40, 1), True),
            ((3, 44, 6), False),
            ((3, 45, 0), True),
            ((3, 50, 7), False),
            ((3, 51, 2), True),
            ((3, 51, 3), False),
        ],
    )
    def test_versions_of_sqlite(self, version: tuple[int, ...], *, loses: bool) -> None:
        """The versions whose write-ahead log can lose a commit are known."""
        assert libraries._loses_commits(version) is loses


class TestFolders:
    """Folders are written to, measured and located."""

    def test_a_folder_to_be(self, tmp_path: Path) -> None:
        """A folder that is not there is not made; its parent is looked at, and is left clean."""
        wanted = tmp_path / "one" / "two"
        place, room = folders.folder("cache", wanted)
        assert (place.state, room.state) == ("ok", "ok")
        assert place.found == f"{wanted}, to be made in {tmp_path}"
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_without_rights(self, unprivileged: Path) -> None:
        """A folder that cannot be written is bad."""
        closed = unprivileged / "closed"
        closed.mkdir(mode=0o500)
        (check,) = folders.folder("cache", closed)
        assert (check.state, "Permission denied" in check.found) == ("bad", True)

    def test_too_little_room(self, tmp_path: Path) -> None:
        """Less room than is wanted is a warning that says how much is."""
        _, room = folders.folder("cache", tmp_path, 10**18)
        assert (room.state, "1000000.0 TB" in room.advice) == ("warning", True)

    def test_file_systems(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder on another computer, by the longest mount above it, is a warning."""
        if sys.platform == "linux":
            assert folders.file_system(Path("/proc/self")) == "proc"
        shared = tmp_path / "my shop"
        (shared / "local").mkdir(parents=True)
        named = str(shared).replace(" ", "\\040")
        mounts = tmp_path / "mounts"
        mounts.write_text(
            f"/dev/x / ext4 rw 0 0\nnas:/x {named} nfs4 rw 0 0\ny {named}/local ext4\n"
        )
        monkeypatch.setattr(folders, "_MOUNTS", mounts)
        states = [
            next(folders.folder("folder", place)).state
            for place in (tmp_path, shared, shared / "local")
        ]
        assert states == ["ok", "warning", "ok"]

    @pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse"])
    def test_remote_kinds(self, kind: str) -> None:
        """File systems whose locks may not hold are known by name; fuseblk is a disk."""
        assert folders._REMOTE.fullmatch(kind)
        assert not folders._REMOTE.fullmatch("fuseblk")

    @pytest.mark.parametrize(
        ("count", "text"), [(12, "0.0 kB"), (2_500_000, "2.5 MB"), (3 * 10**9, "3.0 GB")]
    )
    def test_sizes(self, count: int, text: str) -> None:
        """Sizes are in units that people read."""
        assert computer.in_bytes(count) == text


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound catalogue; copy it to harm it."""
    path = tmp_path_factory.mktemp("sound") / "shop.catalog"
    with Catalog.init(path, embedder=FakeEmbedder()) as made:
        for at in range(3):
            made.add_class(f"class {at}", photos.shots(at, 2))
    return path


class TestCatalogue:
    """Whatever is the matter with a file is said, and the file stays as it is."""

    @pytest.fixture
    def path(self, sound: Path, tmp_path: Path) -> Path:
        """A copy to harm."""
        return Path(shutil.copy(sound, tmp_path))

    def look(self, path: Path) -> dict[str, Check]:
        """What is found, once it is sure that every file beside it is as it was."""

        def state() -> dict[str, bytes]:
            found = path.parent.rglob("*")
            return {str(file): file.read_bytes() for file in found if file.is_file()}

        before = state()
        checks = by_name(doctor.examine_catalogue(path))
        assert state() == before
        return checks

    def test_sound(self, path: Path) -> None:
        """Of a sound catalogue only its network can be missing here."""
        checks = self.look(path)
        assert {name for name, check in checks.items() if check.state != "ok"} == {"its network"}
        assert checks["contents"].found.startswith("6 items, 3 classes, generation 3;")
        network = checks["its network"]
        assert (network.state, "catalog model import" in network.advice) == ("bad", True)

    def test_none(self) -> None:
        """Without a catalogue there is nothing wrong with it."""
        (check,) = doctor.examine_catalogue(None)
        assert check.state == "ok"

    @pytest.mark.parametrize(
        ("harm", "words"),
        [
            (lambda path: path.unlink(), "there is nothing at"),
            (lambda path: (path.unlink(), path.mkdir()), "is no file"),
            (lambda path: path.write_text("label\n" * 99), "is not a catalogue"),
            (lambda path: path.write_bytes(b""), "is not a catalogue"),
            (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(200)), "not a catalogue"),
        ],
    )
    def test_no_catalogue(self, path: Path, *, harm: Callable[[Path], object], words: str) -> None:
        """What is no catalogue is said not to be, and nothing more is looked at."""
        harm(path)
        (check,) = self.look(path).values()
        assert (check.state, words in check.found) == ("bad", True)

    def test_without_rights(self, sound: Path, unprivileged: Path) -> None:
        """A file that may not be read is said to be so."""
        path = unprivileged / "shop.catalog"
        path.write_bytes(b"x")
        path.chmod(0)
        (check,) = doctor.examine_catalogue(path)
        assert (check.state, "Permission denied" in check.found) == ("bad", True)

    @pytest.mark.parametrize(("version", "state"), [(1, "ok"), (99, "bad")])
    def test_formats(self, path: Path, version: int, state: str) -> None:
        """A later format is bad, an earlier one is fine, and is not upgraded."""
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(f"PRAGMA user_version = {version}")
        check = self.look(path)["format"]
        assert (check.state, f"format {version}" in check.found) == (state, True)

    def test_write_ahead_log(self, path: Path) -> None:
        """A file that another tool put into WAL mode is a warning, and no log is made for it."""
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode = WAL")
        assert self.look(path)["journal mode"].state == "warning"

    def test_cut_short(self, path: Path) -> None:
        """A file that has lost its end is bad."""
        path.write_bytes(path.read_bytes()[:-20_000])
        check = next(c for c in self.look(path).values() if c.state == "bad")
        assert check.name in {"file", "contents"}
        assert "restore it from a backup" in check.advice

    def test_damaged(self, path: Path) -> None:
        """A file whose pages are overwritten is bad."""
        content = path.read_bytes()
        path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
        check = self.look(path)["contents"]
        assert (check.state, check.found.startswith("damaged: ")) == ("bad", True)

    def test_killed_while_it_wrote(self, path: Path) -> None:
        """A journal that was left is named, and is neither used nor deleted."""
        journal = path.with_name(f"{path.name}-journal")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            for pragma in ("cache_spill = 1", "cache_size = 1"):
                other.execute(f"PRAGMA {pragma}")
            other.execute("BEGIN")
            other.execute("UPDATE descriptor SET value = zeroblob(128)")
            other.execute("UPDATE label SET name = name || '!'")
            held = {file: file.read_bytes() for file in (path, journal)}
        for file, content in held.items():
            file.write_bytes(content)
        checks = self.look(path)
        assert (checks["journal file"].state, checks["contents"].state) == ("warning", "warning")

    def test_locked(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that another process holds is a warning."""
        monkeypatch.setattr(doctor, "_BUSY_SECONDS", 0.05)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            check = self.look(path)["contents"]
        assert (check.state, check.found) == ("warning", "locked")

    def test_the_clock(self, path: Path) -> None:
        """A clock that is behind the journal is a warning."""
        assert self.look(path)["clock"].state == "ok"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            later = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
            other.execute("UPDATE event SET at = ? WHERE id = 3", (later,))
        assert self.look(path)["clock"].state == "warning"

    def test_what_was_left_behind(self, path: Path) -> None:
        """Temporary files are named once nobody can be at them any more."""
        cache_folder(path).mkdir()
        left = [path.with_name(f".{path.name}.0a.tmp"), cache_folder(path) / "sums.0b.tmp"]
        for file in left:
            file.write_bytes(b"half")
        assert "temporary files" not in self.look(path)
        for file in left:
            os.utime(file, (0, 0))
        assert self.look(path)["temporary files"].found == ", ".join(sorted(map(str, left)))

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE embedder SET spec = '{'",
            "UPDATE event SET at = 'once'",
            "UPDATE event SET at = x'00'",
            "DROP TABLE event",
            "DELETE FROM embedder",
        ],
    )
    def test_nonsense_inside(self, path: Path, statement: str) -> None:
        """Rows and tables that make no sense are damage, and no traceback."""
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA foreign_keys = OFF")
            other.execute(statement)
        check = self.look(path)["contents"]
        assert any(one.state == "bad" for one in doctor.examine_catalogue(path))
        assert check.name == "contents"


class TestNetworks:
    """Networks are run on the probe pictures."""

    def test_the_starter(self, cache: Path, tmp_path: Path) -> None:
        """A catalogue of the starter has its network, which computes what it did; none is kept."""
        path = tmp_path / "shop.catalog"
        Catalog.init(path, backbone=models.STARTER, views="fast").close()
        shutil.rmtree(cache)
        checks = by_name(doctor.examine(path))
        assert [checks[name].state for name in ("starter network", "its network")] == ["ok", "ok"]
        assert not cache.exists()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            (probes,) = other.execute("SELECT probes FROM embedder").fetchone()
            other.execute("UPDATE embedder SET probes = ?", (bytes(2) + probes[2:][::-1],))
        network = by_name(doctor.examine_catalogue(path))["its network"]
        assert (network.state, "other descriptors" in network.found) == ("warning", True)

    @pytest.mark.parametrize("at", [0, 400_000])
    def test_a_damaged_starter(
        self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        """A starter that is not as it was shipped is found by what it computes."""
        harmed = bytearray(FLATBUFFER.read_bytes())
        harmed[at : at + 4000] = bytes(4000)
        (tmp_path / "starter.tflite").write_bytes(harmed)
        monkeypatch.setattr(doctor, "FLATBUFFER", tmp_path / "starter.tflite")
        assert by_name(doctor.examine_networks())["starter network"].state == "bad"

    def test_a_damaged_network(self, cache: Path) -> None:
        """A network in the cache whose bytes have changed is named."""
        kept = models.starter()
        kept.path.write_bytes(kept.path.read_bytes()[:-1])
        check = by_name(doctor.examine_networks())["networks"]
        assert (check.state, str(kept.path) in check.found) == ("bad", True)


class TestCommand:
    """The command runs where nothing else does."""

    def test_broken_libraries(self, tmp_path: Path) -> None:
        """With OpenCV that misses libGL, and FAISS that kills its process, each is named."""
        broken = tmp_path / "broken"
        (broken / "cv2").mkdir(parents=True)
        (broken / "cv2" / "__init__.py").write_text(
            'raise ImportError("libGL.so.1: cannot open shared object file: No such file")\n'
        )
        (broken / "faiss.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
        done = subprocess.run(
            command("doctor", "--json", "--catalog", tmp_path / "shop.catalog"),
            capture_output=True,
            env=environment(tmp_path / "cache", PYTHONPATH=f"{broken}:{REPOSITORY}"),
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (1, b"")
        found = {check["name"]: check for check in json.loads(done.stdout)}
        assert found["import cv2"]["state"] == found["import faiss"]["state"] == "bad"
        assert "apt-get install libgl1" in found["import cv2"]["advice"]
        assert "signal 11" in found["import faiss"]["found"]
        assert found["import numpy"]["state"] == "ok"
        assert found["catalogue"]["found"] == "not looked at"

    def test_another_command(self, tmp_path: Path) -> None:
        """Where a library cannot be imported, other commands say in a line who knows more."""
        (tmp_path / "cv2.py").write_text('raise ImportError("libGL.so.1: cannot open")\n')
        done = subprocess.run(
            command("labels", "--catalog", tmp_path / "shop.catalog"),
            capture_output=True,
            env=environment(tmp_path, PYTHONPATH=f"{tmp_path}:{REPOSITORY}"),
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stdout) == (1, b"")
        (line,) = done.stderr.decode().splitlines()
        assert "libGL.so.1" in line
        assert "catalog doctor" in line

    def test_lines(self, in_process: InProcess, made: Path) -> None:
        """A check is a line: its state, name and what was found; JSON is what the call returns."""
        shop = made / "shop.catalog"
        code, out, error = in_process("doctor", "--catalog", shop)
        assert (code, error) == (0, "")
        lines = [line for line in out.splitlines() if not line.startswith("   ")]
        assert {line.split()[0] for line in lines} <= {"ok", "warning"}
        start = lines[0].index("3.")
        assert all(line[9] != " " and line[start - 2 : start] == "  " for line in lines)
        assert [line for line in lines if "computes the same" in line]
        found = json.loads(in_process("doctor", "--json", "--catalog", shop)[1])
        assert [check["name"] for check in found] == [line[9:start].strip() for line in lines]
        assert all(check.keys() == {"name", "state", "found", "advice"} for check in found)

    def test_without_a_catalogue(
        self, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is bad gives exit code 1, and what to do is under its line."""
        monkeypatch.setattr(libraries, "IMPORTED", ())  # nothing is broken, and it is quicker
        code, out, error = in_process("doctor", "--catalog", tmp_path / "none")
        assert (code, error) == (1, "")
        lines = out.splitlines()
        at = next(at for at, line in enumerate(lines) if line.startswith("bad "))
        assert lines[at].split()[:3] == ["bad", "catalogue", "there"]
        assert lines[at + 1].startswith("         make one with `catalog init")
