"""Completion: what a shell offers at TAB, how names arrive in it, and what it costs to ask."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import get_args

import photos
import pytest
from conftest import REPOSITORY
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.cli import completion
from catalog.cli.main import app
from catalog.embedder import PRESETS
from catalog.head import Replay, Start
from catalog.store.heads import HeadTraining

AWKWARD = (
    "Blue Note",
    "Blue Train",
    "O'Brien",
    "'Round Midnight",
    'A "quoted" one',
    "Series: one",
    "Café ☕",
    "$HOME `id`",
    "back\\slash $(touch pwned)",
    "x\\$(touch pwned)",
    "a=b",
    "star *",
    "#7; (new) & <old> | ~ !!",
    "Straße",
)
"""Names of classes that a shell would take for something else."""

HEAVY = ("numpy", "cv2", "faiss", "ai_edge_litert", "tensorflow", "rich", "jinja2", "matplotlib")

Offered = Callable[..., list[str]]

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue whose classes have awkward names; one more class was removed."""
    path = tmp_path_factory.mktemp("shop") / "shop.catalog"
    with Catalog.init(path, embedder=FakeEmbedder()) as made:
        for at, name in enumerate((*AWKWARD, "Blue Moon")):
            made.add_class(name, photos.shots(at, 1))
        made.remove_class("Blue Moon")
    return path


@pytest.fixture(scope="module")
def surroundings(shop: Path) -> dict[str, str]:
    """The environment of a shell that finds the command ``catalog`` and that catalogue."""
    folder = shop.with_name("bin")
    folder.mkdir()
    program = folder / "catalog"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from catalog.cli.main import main\nmain()\n"
    )
    program.chmod(0o755)
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(shop.parent),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "CATALOG_PATH": str(shop),
        "PS1": "$ ",
    }


@pytest.fixture
def offered(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Offered:
    """What fish is offered for a line up to the cursor, without descriptions."""
    monkeypatch.setenv("CATALOG_PATH", str(shop))
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")

    def ask(line: str) -> list[str]:
        monkeypatch.setenv("_CATALOG_COMPLETE", "complete_fish")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"catalog {line}")
        with pytest.raises(SystemExit) as ended:
            completion.answer(app)
        assert ended.value.code == 0
        out = capfdbinary.readouterr().out.decode()
        return [entry.partition("\t")[0] for entry in out.splitlines()]

    return ask


def typed(shell: Sequence[str], setting: str, keys: str, surroundings: dict[str, str]) -> str:
    """What the arguments of a command are after some keys in a terminal, TAB among them.

    The line is not run as it stands: Ctrl-A and a word in front make of it a list of its arguments.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(shell[0], list(shell), surroundings)
    os.write(terminal, f"{setting}\n{keys}\x01args \n".encode())
    said = b""
    while not (found := re.search(rb"\n<<(.*)>>\r?\n", said)):
        said += os.read(terminal, 65536)
    os.close(terminal)
    os.waitpid(process, 0)
    return found[1].decode()


class TestWhatIsOffered:
    """Classes, networks and the values that an option takes."""

    @pytest.mark.parametrize(
        "line",
        [
            "add ",
            "remove-class ",
            "compact ",
            "compact Blue\\ Note ",
            "items --label ",
            "feedback photo.jpg --label ",
        ],
    )
    def test_classes(self, offered: Offered, line: str) -> None:
        """Wherever a class is to be named, those that have items are offered, in their order."""
        assert sorted(offered(line)) == sorted(AWKWARD)
        assert offered(f"{line}Blu") == ["Blue Note", "Blue Train"]

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("remove-class Blue\\ ", ["Blue Note", "Blue Train"]),
            ("remove-class 'Blue T", ["Blue Train"]),
            ('remove-class "Blue T', ["Blue Train"]),
            ("remove-class blue\\ t", ["Blue Train"]),
            ("remove-class STRASSE", ["Straße"]),
            ("remove-class Series:", ["Series: one"]),
            ("items --label=Caf", ["--label=Café ☕"]),
            ("remove-class none", []),
            ("add-class Blu", []),
            ("add Straße pho", []),
        ],
    )
    def test_by_what_is_typed(self, offered: Offered, line: str, expected: list[str]) -> None:
        """A name is found by its beginning, in quotes or not, and if need be by other capitals."""
        assert offered(line) == expected

    def test_which_catalogue(
        self, offered: Offered, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The catalogue that is typed comes before that of the environment, from home or a name."""
        with Catalog.init(tmp_path / "other one.catalog", embedder=FakeEmbedder()) as other:
            other.add_class("jug", photos.shots(3, 1))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("SHELF", str(tmp_path))
        for place in (tmp_path, "~", "$SHELF"):
            assert offered(f"remove-class --catalog {place}/'other one.catalog' ") == ["jug"]
        assert "jug" not in offered("remove-class ")
        monkeypatch.delenv("CATALOG_PATH")
        assert offered("remove-class ") == []
        assert offered(f"items --catalog={shop} --label Blu") == ["Blue Note", "Blue Train"]

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("init x --views ", list(PRESETS)),
            ("train-head --head ", list(get_args(HeadTraining))),
            ("add-class x --head ", list(get_args(HeadTraining))),
            ("train-head --replay ", list(get_args(Replay))),
            ("train-head --start ", list(get_args(Start))),
            ("evaluate x --part ", ["train", "validation", "test"]),
            ("train-head --head fr", ["frozen"]),
            ("mod", ["model"]),
            ("model i", ["import"]),
            ("verify --js", ["--json"]),
        ],
    )
    def test_values(self, offered: Offered, line: str, expected: list[str]) -> None:
        """An option offers what it takes; commands and options are found, too."""
        assert sorted(offered(line)) == sorted(expected)

    def test_networks(
        self, offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The networks of this machine are offered by name, whatever else lies there."""
        monkeypatch.setenv("CATALOG_CACHE", str(tmp_path))
        assert offered("init x --backbone ") == ["imagenet", "starter"]
        (tmp_path / "models").mkdir()
        for at, text in enumerate([json.dumps({"name": "own"}), "{", "[]", '{"name": "a\\u001b"}']):
            (tmp_path / "models" / f"{at}.json").write_text(text)
        assert offered("init x --backbone ") == ["imagenet", "own", "starter"]

    def test_names_that_a_terminal_would_act_upon(
        self, offered: Offered, shop: Path, tmp_path: Path
    ) -> None:
        """Names with control characters, or that are no text, which nobody made, are left out."""
        forged = Path(shutil.copy(shop, tmp_path))
        with closing(sqlite3.connect(forged, isolation_level=None)) as connection:
            connection.execute("UPDATE label SET name = 'Blue' || char(27) WHERE slot = 1")
            connection.execute("UPDATE label SET name = x'42' WHERE slot = 3")
        assert offered(f"remove-class --catalog {forged} B") == ["Blue Train"]


class TestNothingIsTouched:
    """Whatever is the matter with the catalogue, TAB offers nothing and leaves it as it is."""

    @pytest.fixture(params=["text", "cut", "wal", "other", "empty", "folder", "gone", "journal"])
    def amiss(self, request: pytest.FixtureRequest, shop: Path, tmp_path: Path) -> Path:
        """Something that is no catalogue, or one that cannot be read."""
        path = tmp_path / "amiss.catalog"
        kind = request.param
        if kind == "folder":
            path.mkdir()
        elif kind in {"text", "empty"}:
            path.write_text("label\n" * 100 if kind == "text" else "")
        elif kind != "gone":
            shutil.copy(shop, path)
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                if kind == "wal":
                    connection.execute("PRAGMA journal_mode = WAL")
                if kind == "other":
                    connection.execute("PRAGMA application_id = 7")
                if kind == "journal":  # of a process that was killed while it wrote
                    connection.execute("PRAGMA cache_spill = 1")
                    connection.execute("PRAGMA cache_size = 1")
                    connection.execute("BEGIN")
                    connection.execute("UPDATE descriptor SET value = zeroblob(128)")
                    connection.execute("UPDATE label SET name = 'half done'")
                    journal = path.with_name(f"{path.name}-journal")
                    held = {file: file.read_bytes() for file in (path, journal)}
            if kind == "journal":
                for file, content in held.items():
                    file.write_bytes(content)
            if kind == "cut":
                path.write_bytes(path.read_bytes()[:20_000])
        return path

    def test_amiss(self, offered: Offered, amiss: Path) -> None:
        """Nothing is offered, made, mended or rolled back."""

        def state() -> dict[str, bytes | None]:
            return {
                str(file): file.read_bytes() if file.is_file() else None
                for file in amiss.parent.iterdir()
            }

        before = state()
        assert offered(f"remove-class --catalog {amiss} ") == []
        assert state() == before

    def test_locked(self, offered: Offered, shop: Path, tmp_path: Path) -> None:
        """While another process holds the file, nothing is offered; while it writes, all is."""
        path = Path(shutil.copy(shop, tmp_path))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert offered(f"remove-class --catalog {path} Blu") == ["Blue Note", "Blue Train"]
            other.execute("COMMIT")
            other.execute("BEGIN EXCLUSIVE")
            assert offered(f"remove-class --catalog {path} Blu") == []


@needs_bash
class TestBash:
    """Names arrive whole in bash."""

    @pytest.mark.parametrize("quote", ["", "'", '"'])
    def test_quoting(self, quote: str) -> None:
        """Bash reads back the name that was meant, in either quotes or none."""
        # Readline drops a quote that it finds twice.
        quoted = [completion._quoted(name, quote).removeprefix(quote) for name in AWKWARD]
        lines = [f"printf '%s\\0' {quote}{name}{quote}" for name in quoted]
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)], capture_output=True, check=True, timeout=60
        )
        assert done.stdout.decode().split("\0")[:-1] == list(AWKWARD)

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["remove-class", "Blu"], ["Blue\\ Note", "Blue\\ Train"]),
            (["remove-class", "blue\\ t"], ["Blue\\ Train"]),
            (["remove-class", "Ser"], ["Series\\:\\ one"]),
            (["remove-class", "Series", ":"], ["\\ one"]),
            (["remove-class", "a", "=", "b"], ["b"]),
            (["items", "--label", "=", "Caf"], ["Café\\ ☕"]),
            (["items", "--label", "="], None),
            (["remove-class", "star"], ["star\\ \\*"]),
            (["remove-class", '"$'], ["\\$HOME \\`id\\`"]),
            (["remove-class", "O'"], ["''\\''Brien"]),
            (["remove-class", "'Series: "], ["Series: one"]),
            (["remove-class", "none"], []),
            (["labels", "--catalog", "sh"], []),
        ],
    )
    def test_replies(
        self,
        shop: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfdbinary: pytest.CaptureFixture[bytes],
        *,
        words: list[str],
        expected: list[str] | None,
    ) -> None:
        """Words that bash has cut at colons and equals signs are put together again."""
        monkeypatch.setenv("CATALOG_PATH", str(shop))
        monkeypatch.setenv("_CATALOG_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(["catalog", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit):
            completion.answer(app)
        found = capfdbinary.readouterr().out.decode().splitlines()
        assert found == expected if expected is not None else len(found) == len(AWKWARD)

    @pytest.mark.parametrize(
        ("keys", "name"),
        [
            ("Blu\tT\t", "Blue Train"),
            ("O'\t", "O'Brien"),
            ("Series:\t", "Series: one"),
            ('"back\t', "back\\slash $(touch pwned)"),
        ],
    )
    def test_in_a_terminal(self, surroundings: dict[str, str], keys: str, name: str) -> None:
        """TAB in a terminal completes the line to one that names the class."""
        setting = (
            "bind 'set enable-bracketed-paste off'; args() { printf '\\n<<%s>>\\n' \"$3\"; }; "
            'eval "$(catalog --show-completion)"'
        )
        shell = ("bash", "--norc", "--noprofile", "-i")
        assert typed(shell, setting, f"catalog remove-class {keys}", surroundings) == name

    def test_installation(self, surroundings: dict[str, str], tmp_path: Path) -> None:
        """``--install-completion`` puts the shell's side where bash looks for it."""
        subprocess.run(
            ["bash", "-c", "catalog --install-completion; exit $?"],
            env={**surroundings, "HOME": str(tmp_path)},
            capture_output=True,
            check=True,
            timeout=60,
        )
        (line,) = filter(None, (tmp_path / ".bashrc").read_text().splitlines())
        script = Path(shlex.split(line)[1]).read_text()
        assert "complete -o default -F _catalog_completion catalog" in script


class TestOtherShells:
    """Names arrive whole in zsh and fish."""

    def test_what_zsh_is_told(
        self,
        shop: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfdbinary: pytest.CaptureFixture[bytes],
    ) -> None:
        """Zsh is told of every name as one word in which colons and backslashes are escaped."""
        monkeypatch.setenv("CATALOG_PATH", str(shop))
        monkeypatch.setenv("_CATALOG_COMPLETE", "complete_zsh")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "catalog remove-class ")
        with pytest.raises(SystemExit):
            completion.answer(app)
        out = capfdbinary.readouterr().out.decode()
        words = re.search(r"_catalog_found=\((.*)\);\n", out)
        assert words
        found = [re.sub(r"\\(.)", r"\1", word) for word in shlex.split(words[1])]
        assert sorted(found) == sorted(AWKWARD)

    def test_files_are_left_to_the_shell(
        self, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        """Where a file is to be named, zsh is told so, and fish that there is nothing else."""
        for shell, code, out in (("zsh", 0, b"_files\n"), ("fish", 1, b"")):
            monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "catalog labels --catalog sh")
            monkeypatch.setenv("_CATALOG_COMPLETE", f"complete_{shell}")
            if shell == "fish":
                monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "is-args")
            with pytest.raises(SystemExit) as ended:
                completion.answer(app)
            assert (ended.value.code, capfdbinary.readouterr().out) == (code, out)

    @needs_zsh
    @pytest.mark.parametrize(
        ("keys", "name"),
        [
            ("O\t", "O'Brien"),
            ("'Series: \t", "Series: one"),
            ("x\t", "x\\$(touch pwned)"),
        ],
    )
    def test_zsh_in_a_terminal(self, surroundings: dict[str, str], keys: str, name: str) -> None:
        """TAB in a terminal completes the line to one that names the class."""
        setting = (
            "autoload -Uz compinit; compinit -u; bindkey -e; unset zle_bracketed_paste; "
            'args() { printf \'\\n<<%s>>\\n\' "$3"; }; eval "$(catalog --show-completion)"'
        )
        line = f"catalog remove-class {keys}"
        assert typed(("zsh", "-f", "-i"), setting, line, surroundings) == name

    @needs_fish
    def test_fish(self, surroundings: dict[str, str]) -> None:
        """Fish itself offers every class, and for a command what it does."""
        script = (
            "catalog --show-completion | source\ncomplete -C 'catalog remove-class '\n"
            "complete -C 'catalog verif'\n"
        )
        done = subprocess.run(
            ["fish", "--no-config", "-c", script],
            capture_output=True,
            env=surroundings,
            check=True,
            timeout=60,
        )
        *names, command = done.stdout.decode().splitlines()
        assert sorted(names) == sorted(AWKWARD)
        assert command.split("\t") == [
            "verify",
            "Check the file, its journal, and what is derived from it.",
        ]


@pytest.mark.parametrize(
    ("shell", "line"), [("bash", "remove-class "), ("zsh", ""), ("fish", "train-head --")]
)
def test_nothing_heavy_is_imported(
    surroundings: dict[str, str], shop: Path, shell: str, line: str
) -> None:
    """At TAB neither NumPy nor anything that takes as long to import is loaded."""
    code = (
        "import sys\nfrom catalog.cli.main import main\ntry:\n    main()\n"
        f"finally:\n    print(*sorted({set(HEAVY)!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    words = f"catalog {line}"
    asked = {
        "_CATALOG_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": words.replace(" ", "\n"),
        "COMP_CWORD": str(words.count(" ")),
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**surroundings, **asked},
        check=True,
        timeout=60,
    )
    assert len(done.stdout.splitlines()) >= 2
    assert done.stderr == b"\n"
