"""The calls that tests let fail: none escapes, none that is none of theirs is touched."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from forked import ALONE, memory_folder
from interpose import NOT_HERE, Call, Fault, failing, under

pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))

ONE_COMMIT = [
    ("open", "shop.db-journal"),
    ("pwrite", "shop.db-journal"),
    ("pwrite", "shop.db-journal"),
    ("pwrite", "shop.db-journal"),
    ("pwrite", "shop.db-journal"),
    ("fdatasync", "shop.db-journal"),
    ("fdatasync", "."),
    ("pwrite", "shop.db-journal"),
    ("fdatasync", "shop.db-journal"),
    ("pwrite", "shop.db"),
    ("pwrite", "shop.db"),
    ("fdatasync", "shop.db"),
    ("unlink", "shop.db-journal"),
]
"""What SQLite does to change one row in a file of two pages (see its page "Atomic Commit")."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of its own, beside others."""
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside"


def database(folder: Path) -> sqlite3.Connection:
    """A database with a table of one row."""
    connection = sqlite3.connect(folder / "shop.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    return connection


def write(folder: Path, size: int = 100) -> int:
    """Write a file through Python; how many bytes went in at once."""
    with (folder / "file").open("wb", buffering=0) as file:
        return int(file.write(bytes(size)) or 0)


class TestCounting:
    """Which calls are seen."""

    def test_calls_of_python(self, folder: Path) -> None:
        """Files that Python makes, writes, syncs, names and deletes are seen, call by call."""
        with failing(folder) as calls:
            (folder / "new").mkdir()
            write(folder / "new")
            descriptor = os.open(folder / "new" / "file", os.O_RDWR)
            os.pwrite(descriptor, b"x", 3)
            os.ftruncate(descriptor, 2)
            os.fsync(descriptor)
            os.close(descriptor)
            (folder / "new" / "other").hardlink_to(folder / "new" / "file")
            (folder / "new" / "file").replace(folder / "moved")
            shutil.rmtree(folder / "new")
        assert [call for call in under(calls.seen, folder) if call.name != "fchmod"] == [
            ("mkdir", "new"),
            ("open", "new/file"),
            ("write", "new/file"),
            ("pwrite", "new/file"),
            ("ftruncate", "new/file"),
            ("fsync", "new/file"),
            ("link", "new/other"),
            ("rename", "moved"),
            ("unlink", "new/other"),
            ("rmdir", "new"),
        ]
        assert calls.struck == []

    def test_calls_of_sqlite(self, folder: Path) -> None:
        """A transaction is the calls that SQLite says it is."""
        with closing(database(folder)) as connection, failing(folder) as calls:
            connection.execute("UPDATE t SET x = 2")
        seen = [call for call in under(calls.seen, folder) if call.name != "fchown"]
        pages = sum(call == ("pwrite", "shop.db") for call in seen)
        assert [call for call in seen if call.name != "pwrite"] == [
            call for call in ONE_COMMIT if call[0] != "pwrite"
        ]
        assert pages in {1, 2}

    def test_reading(self, folder: Path) -> None:
        """What only reads is seen where that is asked for."""
        write(folder)
        with failing(folder) as calls:
            (folder / "file").read_bytes()
        assert calls.seen == []
        with failing(folder, reading=True) as calls:
            (folder / "file").read_bytes()
        assert {call.name for call in calls.seen} == {"open", "read", "close"}

    def test_elsewhere(self, folder: Path) -> None:
        """What lies beside the folder is not its own, even if its name begins alike."""
        beside = folder.with_name("inside out")
        beside.mkdir()
        with failing(folder, 1, Fault.EIO) as calls:
            write(beside)
            write(folder.parent)
        assert (calls.seen, calls.struck) == ([], [])

    def test_paths(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file is known by any path: relative to here, to an open folder, or through a link."""
        link = folder.with_name("link")
        link.symlink_to(folder)
        monkeypatch.chdir(folder.parent)
        place = os.open(folder, os.O_RDONLY)
        with failing(folder) as calls:
            Path("inside/one").touch()
            os.close(os.open("two", os.O_CREAT | os.O_WRONLY, dir_fd=place))
        os.close(place)
        assert [path for _, path in under(calls.seen, folder)] == ["one", "two"]
        with failing(link) as calls:
            (link / "three").touch()
            (folder / "four").touch()
        assert len(calls.seen) == 2

    def test_other_threads(self, folder: Path) -> None:
        """What other threads do is seen, too."""
        with failing(folder) as calls:
            threads = [threading.Thread(target=write, args=(folder,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sum(call.name == "write" for call in calls.seen) == 4

    def test_afterwards(self, folder: Path) -> None:
        """When the context has ended, or is inactive, calls pass as if it had never been."""
        with failing(folder) as calls:
            write(folder)
            calls.active = False
            write(folder)
        write(folder)
        assert sum(call.name == "write" for call in calls.seen) == 1


class TestFaults:
    """What befalls a call."""

    @pytest.mark.parametrize(
        ("fault", "code"), [(Fault.EIO, errno.EIO), (Fault.ENOSPC, errno.ENOSPC)]
    )
    def test_once(self, folder: Path, fault: Fault, code: int) -> None:
        """A call fails with its code and does nothing; the next one passes."""
        with failing(folder, 2, fault) as calls:
            with pytest.raises(OSError) as raised:  # noqa: PT011
                write(folder)
            assert (folder / "file").read_bytes() == b""
            assert write(folder) == 100
        assert raised.value.errno == code
        assert under(calls.struck, folder) == [("write", "file")]

    def test_full(self, folder: Path) -> None:
        """A full disk stays full for whatever takes space, and for nothing else."""
        write(folder)
        with failing(folder, 1, Fault.FULL) as calls:
            for wanted in (
                lambda: write(folder),
                (folder / "new").mkdir,
                (folder / "new").touch,
                lambda: write(folder),
            ):
                with pytest.raises(OSError, match="No space left"):
                    wanted()
            (folder / "file").rename(folder / "name")
            (folder / "name").unlink()
        assert [call.name for call in calls.struck] == ["write", "mkdir", "open", "write"]

    def test_short(self, folder: Path) -> None:
        """Half of a write is done, and its length is the answer; then the rest is."""
        with failing(folder, 1, Fault.SHORT_WRITE):
            assert write(folder) == 50
            assert (folder / "file").stat().st_size == 50
            (folder / "file").write_bytes(bytes(100))
        assert (folder / "file").stat().st_size == 100

    def test_torn(self, folder: Path) -> None:
        """Half of a write is done, and for the rest there is no space."""
        with failing(folder, 1, Fault.TORN_WRITE):
            with pytest.raises(OSError, match="No space left"):
                (folder / "file").write_bytes(bytes(100))
            assert (folder / "file").stat().st_size == 50
            assert write(folder) == 100

    def test_sqlite_sees_them(self, folder: Path) -> None:
        """SQLite answers to each fault as its documentation says."""
        codes = set()
        for fault in (Fault.EIO, Fault.ENOSPC, Fault.TORN_WRITE, Fault.SHORT_WRITE):
            (folder / "shop.db").unlink(missing_ok=True)
            with closing(database(folder)) as connection:
                with failing(folder, 3, fault), suppress(sqlite3.OperationalError):
                    try:
                        connection.execute("UPDATE t SET x = 2")
                    except sqlite3.OperationalError as error:
                        codes.add((fault, error.sqlite_errorname))
                connection.execute("UPDATE t SET x = 3")
                assert connection.execute("SELECT x FROM t").fetchall() == [(3,)]
        assert codes == {
            (Fault.EIO, "SQLITE_IOERR_WRITE"),
            (Fault.ENOSPC, "SQLITE_FULL"),
            (Fault.TORN_WRITE, "SQLITE_FULL"),
        }

    def test_a_fault_of_its_own(self, folder: Path) -> None:
        """An exception within an interception is no fault of the file: it is raised."""

        def fail(*_: object) -> None:
            raise KeyError("a fault of the test")

        with pytest.raises(KeyError), failing(folder, noted=fail), suppress(OSError):
            write(folder)

    def test_notes(self, folder: Path) -> None:
        """Whoever asks is told of each call that succeeded, and of no other."""
        notes: list[str] = []
        with (
            failing(folder, 2, Fault.EIO, noted=lambda name, _path, _given: notes.append(name)),
            suppress(OSError),
        ):
            write(folder)
        assert notes == ["open"]


class TestKills:
    """The process is killed at a call; a fork stands in for it."""

    @pytest.mark.parametrize(
        ("fault", "size"),
        [(Fault.KILL_BEFORE, 0), (Fault.KILL_WITHIN, 50), (Fault.KILL_AFTER, 100)],
    )
    def test_at_a_write(self, folder: Path, fault: Fault, size: int) -> None:
        """Before it, within it or after it: so much is written, and nothing comes after."""
        script = (
            "import sys; from pathlib import Path; from interpose import Fault, failing\n"
            f"with failing(Path({str(folder)!r}), {1 if fault is Fault.KILL_WITHIN else 2}, "
            f"Fault[{fault.name!r}]):\n"
            f"    Path({str(folder / 'file')!r}).write_bytes(bytes(100))\n"
            "    print('on')\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGKILL, "", "")
        assert (folder / "file").stat().st_size == size


_STRACE = re.compile(
    r"^(?:\d+\s+)?(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+)", re.MULTILINE
)
_CHANGING = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,fsync,"
    "fdatasync,sync_file_range,msync,ftruncate,truncate,fallocate,rename,renameat,renameat2,link,"
    "linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fchmod,fchmodat,chmod,fchown,"
    "fchownat,chown,utimensat,mknod,mknodat,setxattr,fsetxattr,io_uring_enter"
)


def traced(text: str, folder: Path) -> list[Call]:
    """The calls of a trace that can change something in a folder."""
    calls = []
    for name, arguments, _ in _STRACE.findall(text):
        paths = re.findall(rf"[\"<]({re.escape(str(folder))}(?:/[^\">]*)?)[\">]", arguments)
        if not paths or (name.startswith("open") and not re.search("O_CREAT|O_TRUNC", arguments)):
            continue
        plain = re.sub("(at2?|64|2)$", "", name)
        calls.append(Call(plain, str(Path(paths[-1]).relative_to(folder))))
    return calls


_TRACED = """
import json, sys
from pathlib import Path
from interpose import failing, under
from workshop import Workshop
from writing_commands import BY_NAME

workshop = Workshop(Path(sys.argv[1]))
for name in sys.argv[2:]:
    path = workshop.fresh(BY_NAME[name], name)
    with failing(path.parent) as calls, BY_NAME[name].begin(path) as catalog:
        BY_NAME[name].act(catalog)
        catalog.close()
    print(json.dumps(under(calls.seen, path.parent)))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_escapes() -> None:
    """Whatever the kernel sees that can change a catalogue's folder has passed here, in order."""
    names = ("init", "import", "add_class --head frozen", "compact", "backup --replace", "restore")
    with memory_folder() as memory:
        trace = Path(memory, "trace")
        strace = ("strace", "-f", "-y", "-qq", "-e", f"trace={_CHANGING}", "-o", str(trace))
        ended = subprocess.run(
            [*strace, sys.executable, "-c", _TRACED, memory, *names],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
            env={**os.environ, **ALONE, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for name, line in zip(names, ended.stdout.splitlines(), strict=True):
            seen = [Call(*pair) for pair in json.loads(line)]
            # The folder is filled from a template first, which is not the command's doing.
            assert traced(trace.read_text(), Path(memory, name))[-len(seen) :] == seen
            assert len(seen) > 20
