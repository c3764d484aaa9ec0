"""Streams that are closed, full, broken or of another encoding, under every command."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import photos
import pytest
from forking_command import Job, Outcome, run_jobs
from tiny_network import NAME, command, environment, run
from typer.main import get_command

from catalog import Catalog
from catalog.cli.main import app
from catalog.embedder.model_cache import Model
from catalog.machine.processes import Process
from catalog.service.keys import add_key
from catalog.store import jobs

COMMANDS: dict[str, tuple[str, ...]] = {
    "init": ("init", "new.catalog", "--backbone", NAME, "--views", "fast"),
    "add-class": ("add-class", "Кофе", "new"),
    "add": ("add", "杯子", "new"),
    "import": ("import", "tree"),
    "sync": ("sync", "tree"),
    "jobs": ("jobs",),
    "jobs show": ("jobs", "show", "1"),
    "jobs failures": ("jobs", "failures", "1"),
    "jobs cancel": ("jobs", "cancel", "2"),
    "jobs resume": ("jobs", "resume", "3"),
    "reindex": ("reindex", "--views", "standard"),
    "nearest": ("nearest", "tree/杯子/000.jpg"),
    "predict": ("predict", "tree/杯子/000.jpg"),
    "feedback": ("feedback", "tree/杯子/000.jpg", "--label", "杯子"),
    "train-head": ("train-head", "--head", "exact"),
    "evaluate": ("evaluate", "tree"),
    "labels": ("labels",),
    "items": ("items",),
    "info": ("info",),
    "history": ("history",),
    "move": ("move", "cup 10", "1"),
    "rename-class": ("rename-class", "杯子", "Кофе"),
    "merge-classes": ("merge-classes", "杯子", "--into", "cup 10"),
    "remove": ("remove", "1"),
    "remove-class": ("remove-class", "杯子", "--yes"),
    "forget": ("forget", "1", "--yes"),
    "forget-places": ("forget-places", "--force"),
    "compact": ("compact", "--yes"),
    "undo": ("undo",),
    "merge": ("merge", "other.catalog"),
    "backup": ("backup", "Копия.catalog"),
    "restore": ("restore", "other.catalog", "--yes"),
    "export": ("export", "Копия.npz"),
    "audit": ("audit",),
    "verify": ("verify",),
    "doctor": ("doctor",),
    "serve": ("serve", "--show-config"),
    "mcp": ("mcp", "--allow", "nowhere"),
    "keys add": ("keys", "add", "till", "--keys", "keys.txt"),
    "keys list": ("keys", "list", "--keys", "good.txt"),
    "keys remove": ("keys", "remove", "till", "--keys", "good.txt"),
    "model list": ("model", "list"),
    "model import": ("model", "import", "{network}", "--name", "Сеть"),
    "model fetch": ("model", "fetch"),
    "model measure": ("model", "measure", "tree", "--backbone", NAME),
}
"""A command line of every command, in a folder that :func:`place` made."""

AWAY = Process("another computer", 1, 1)

FAIL: frozenset[str] = frozenset({"mcp", "model fetch", "model measure"})
"""What says nothing on standard output: there is no such folder, no network to fetch, and too few
pictures."""

SOME = ("init", "import", "predict", "evaluate", "items", "info", "doctor")
"""Some that say what they say in ways of their own."""

ASK = {
    "predict -": "standard input is closed",
    "nearest -": "standard input is closed",
    "import -": "standard input is closed",
    "evaluate -": "standard input is closed",
    "add 杯子 -": "standard input is closed",
    "add-class Кофе -": "standard input is closed",
    "remove-class 杯子": "--yes does it without asking",
    "forget 1": "--yes does it without asking",
    "compact": "--yes does it without asking",
    "restore other.catalog": "--yes does it without asking",
}
"""What reads standard input, or asks there, and what it says where that is closed."""


@pytest.fixture(scope="module")
def place(tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue whose names are in several scripts; copy it to change it."""
    folder = tmp_path_factory.mktemp("place")
    photos.draw_tree(folder / "tree", ["杯子", "cup 10", "cup 2"], 2)
    photos.draw(folder / "new", 6, 2)
    add_key(folder / "good.txt", "till", "read")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_CACHE", str(tiny_cache))
        with Catalog.init(folder / "shop.catalog", backbone=NAME, views="fast") as made:
            made.import_(folder / "tree")
            made.sync(folder / "tree")
            with made._store.writing() as tx:  # one on another computer, and one that died
                for source in ("elsewhere", "tree"):
                    jobs.begin(tx, "sync", {"source": str(folder / source)}, AWAY)
                jobs.end(tx, 3, "died")
                jobs.fail(tx, 1, [jobs.Failure("杯子/7.jpg", "corrupt", "it is no picture")])
            made.backup(folder / "other.catalog")
    return folder


def told(
    place: Path, cache: Path, tmp_path: Path, lines: Sequence[Sequence[str]], **conditions: str
) -> list[Outcome]:
    """What comes of command lines under some conditions, each in a copy of the folder."""
    asked = []
    network = next((cache / "models").glob("*.tflite"))
    for at, line in enumerate(lines):
        own = shutil.copytree(place, tmp_path / f"{at}")
        variables = {
            "CATALOG_PATH": "shop.catalog",
            "CATALOG_CACHE": str(shutil.copytree(cache, tmp_path / f"{at}.cache")),
            "CATALOG_HUB_URL": "http://127.0.0.1:9",
            "no_proxy": "*",
        }
        words = [word.format(network=network) for word in line]
        asked.append(Job(words, cwd=str(own), variables=variables, **conditions))
    return run_jobs(asked, cache, tmp_path / "kept")


def test_every_command_is_here() -> None:
    """A command that is new is asked, too."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    inner = {
        f"{one} {name}" for one in ("model", "jobs", "keys") for name in commands[one].commands
    }
    assert set(COMMANDS) == {*(set(commands) - {"model", "keys"}), *inner}


@pytest.mark.parametrize(
    ("stdout", "reason", "names"),
    [("full", "No space left on device", tuple(COMMANDS)), ("closed", "it is closed", SOME)],
)
def test_what_cannot_be_written_is_said(
    place: Path, tiny_cache: Path, tmp_path: Path, *, stdout: str, reason: str, names: Sequence[str]
) -> None:
    """Where data is lost, each command says so in a line, and fails."""
    ended = told(place, tiny_cache, tmp_path, [COMMANDS[name] for name in names], stdout=stdout)
    for name, one in zip(names, ended, strict=True):
        assert one.code != 0, name
        assert one.err.splitlines()[-1].startswith("error: "), (name, one.err)
        assert "Traceback" not in one.err, name
        assert "Exception ignored" not in one.err, name
        if name not in {*FAIL, "doctor"}:
            expected = (1, f"error: standard output cannot be used: {reason}")
            assert (one.code, one.err.splitlines()[-1]) == expected, name


def test_nobody_reads_on(place: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """Where the reader of a pipe has gone, each command fails without a word."""
    ended = told(place, tiny_cache, tmp_path, [COMMANDS[name] for name in SOME], stdout="broken")
    for name, one in zip(SOME, ended, strict=True):
        assert one.code == 1, name
        for words in ("error:", "Traceback", "Exception ignored"):
            assert words not in one.err, (name, one.err)


def test_another_encoding(place: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """On a terminal of ASCII a command ends as it would elsewhere, and writes names out."""
    names = (*SOME, "labels")
    asked = [COMMANDS[name] for name in names]
    ended = told(place, tiny_cache, tmp_path, asked, encoding="ascii")
    for name, one in zip(names, ended, strict=True):
        assert one.code == 0, (name, one.err)
        assert "Traceback" not in one.err, name
        assert (one.out + one.err).isascii(), name
    assert r"\u676f\u5b50" in ended[-1].out


def test_a_folder_that_is_gone(place: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """In a working folder that was deleted, a command says in words what it cannot find."""
    names = (*SOME, "labels")
    asked = []
    for at, line in enumerate(COMMANDS[name] for name in names):
        (own := tmp_path / f"{at}").mkdir()
        words = [word.format(network="tiny.tflite") for word in line]
        asked.append(
            Job(words, cwd=str(own), gone=True, variables={"CATALOG_PATH": "shop.catalog"})
        )
    ended = run_jobs(asked, tiny_cache, tmp_path / "kept")
    for name, one in zip(names, ended, strict=True):
        assert "Traceback" not in one.err, (name, one.err)
        assert one.code == 0 or one.err.splitlines()[-1].startswith(("error: ", "refused: ")), name
    assert "is gone" in ended[-1].err


def test_standard_input_that_is_closed(place: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """What would read, and what would ask, says that it cannot."""
    ended = told(place, tiny_cache, tmp_path, [line.split() for line in ASK], stdin="closed")
    for (line, words), one in zip(ASK.items(), ended, strict=True):
        assert one.code in {1, 2}, line
        assert words in one.err, (line, one.err)
        assert "Traceback" not in one.err, line
        assert one.out == "", line


def test_standard_error_that_is_lost(place: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """Notes that are lost on a full disk make a command fail; who wants none may close it."""
    line = ("info",)  # its note is that nothing was measured for the network
    (full,) = told(place, tiny_cache, tmp_path / "full", [line], stderr="full")
    assert (full.code, "classes" in full.out) == (1, True)
    lines = [line, ("predict", "tree/杯子/000.jpg"), ("verify",)]
    (tmp_path / "closed").mkdir()
    for one in told(place, tiny_cache, tmp_path / "closed", lines, stderr="closed"):
        assert one.code == 0


class TestStartedByAShell:
    """The same, by processes of their own."""

    @pytest.mark.parametrize(
        ("redirected", "code", "words"),
        [
            (">/dev/full", 1, "No space left on device"),
            (">&-", 1, "it is closed"),
            ("2>&-", 0, ""),
            ("<&-", 0, ""),
            ("--help >/dev/full", 1, "No space left on device"),
        ],
    )
    def test_streams(
        self, place: Path, tiny_cache: Path, *, redirected: str, code: int, words: str
    ) -> None:
        """A full disk and a closed stream are said in words, and make the exit code."""
        done = subprocess.run(
            ["bash", "-c", f'"$@" {redirected}', "bash", *command("labels")],
            env=environment(tiny_cache, CATALOG_PATH=str(place / "shop.catalog")),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert words in done.stderr
        assert done.stderr.count("\n") == (1 if words else 0)

    def test_a_reader_that_leaves(self, place: Path, tiny_cache: Path) -> None:
        """What is piped into something that reads nothing is quiet."""
        done = subprocess.run(
            ["bash", "-c", '"$@" | true; echo "${PIPESTATUS[0]}"', "bash", *command("items")],
            env=environment(tiny_cache, CATALOG_PATH=str(place / "shop.catalog")),
            capture_output=True,
            text=True,
            check=True,
        )
        assert (done.stdout, done.stderr) == ("1\n", "")

    def test_a_terminal_of_latin_1(self, place: Path, tiny_cache: Path) -> None:
        """What an encoding lacks is written out; JSON says the same in each."""
        shop = str(place / "shop.catalog")
        done = subprocess.run(
            command("labels", "--catalog", shop),
            env=environment(tiny_cache, PYTHONIOENCODING="latin-1"),
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode("latin-1").splitlines()[-1] == r"2  \u676f\u5b50"
        outputs = [
            run("labels", "--json", "--catalog", shop, cache=tiny_cache, PYTHONIOENCODING=encoding)
            for encoding in ("ascii", "utf-8")
        ]
        assert [json.loads(one.stdout)[-1]["label"] for one in outputs] == ["杯子"] * 2


def test_a_fault_of_the_program_shows_where_it_is(
    place: Path,
    tiny_model: Model,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What is nobody's fault but ours is not dressed up."""
    from catalog.cli.main import main

    monkeypatch.setattr(Catalog, "labels", lambda _: 1 / 0)
    monkeypatch.setattr("sys.argv", ["catalog", "labels", "--catalog", str(place / "shop.catalog")])
    with pytest.raises(ZeroDivisionError):
        main()
    monkeypatch.setattr(Catalog, "labels", lambda _: (place / "gone").stat())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "gone cannot be used: No such file or directory" in capfd.readouterr().err
