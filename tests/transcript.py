"""Records what every command of ``catalog`` says, so that two versions of it can be compared.

``python tests/transcript.py OUT.txt`` draws a small shop, runs the command lines of
``transcript_commands.py`` and ``transcript_mistakes.py`` with the ``catalog`` that is installed
beside the interpreter, and writes down each line, its exit code, and what came on standard output
and standard error. What varies from run to run is replaced: times, folders, versions, sizes of
memory and disks, and decimals past the fifth. Two records of one version on one computer are the
same to the byte. Nothing of the program is imported, so its modules can move.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import transcript_commands
import transcript_mistakes
from hub_server import HubServer
from transcript_shop import build_networks, draw_pictures

PROGRAMS: Final = Path(sys.executable).parent
REPOSITORY: Final = Path(__file__).resolve().parent.parent
CHAPTERS: Final = transcript_commands.CHAPTERS | transcript_mistakes.CHAPTERS
WITHOUT_DECIMALS: Final = {"head in Keras"}
"""Chapters of which decimals are left out, since another library computes them."""

ROOT_LENGTH: Final = 64
"""Paths are as long in every run, so that lines break and columns end at the same places."""

MOST_SHOWN: Final = 10_000
LONG_NAME: Final = 300 * "n"
READ_PARQUET: Final = """
import sys
from pyarrow import parquet
table = parquet.read_table(sys.argv[1])
print(table.schema.to_string(show_schema_metadata=True))
for row in table.to_pylist():
    print(row)
"""
ESCAPED: Final = {r"\n": "\n", r"\r": "\r", r"\u0007": "\u0007", r"\ufeff": "\ufeff"}
UNSEEN: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), 127)}
"""Signs that a text file does not hold, and how they are written in it."""

DECIMAL: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+(?:e[-+]?\d+)?|e-\d+)(?![\w.])")
VARYING: Final = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00"), "<time>"),
    (re.compile(r"\bprocess \d+"), "process <id>"),
    (re.compile(r"\.[0-9a-f]{12}\.tmp\b"), ".<random>.tmp"),
    (re.compile(r"\b[0-9a-f]{64}\.part\b"), "<hash of the address>.part"),
)
VARYING_OF_DOCTOR: Final = (
    (re.compile(r"(processors\D+)\d+"), r"\1<count>"),
    (re.compile(r"\d+\.\d [kMGT]B"), "<size>"),
    (re.compile(r"(?<!cosine )\b\d+(?:\.\d+)+(?:, whose write-ahead log[^\"\n]*)?"), "<version>"),
)


@dataclass
class World:
    """Where everything of one recording lies; ``hub`` is the address of a server of networks."""

    root: Path
    hub: str
    tiny: str = ""

    def normal(self, text: str, *, decimals: bool = True) -> str:
        """A text without what varies from run to run."""
        for what, name in (
            (str(self.root), "<scratch>"),
            (sys.executable, "<python>"),
            (str(PROGRAMS.parent), "<environment>"),
            (str(REPOSITORY), "<repository>"),
            (self.hub, "<hub>"),
            (LONG_NAME, "<300 letters>"),
        ):
            text = text.replace(what, name)
        text = re.sub(r"data:[^\"')\s]{40,}", lambda found: f"data:{digest(found[0])}", text)
        for pattern, name in VARYING:
            text = pattern.sub(name, text)
        return DECIMAL.sub(rounded if decimals else "<decimal>", text)


@dataclass
class Chapter:
    """Runs the lines of one chapter in a folder of its own, and writes down what they do."""

    name: str
    world: World
    record: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    locks: dict[str, sqlite3.Connection] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the commands run."""
        return self.world.root / self.name.replace(" ", "-")

    @property
    def places(self) -> dict[str, str]:
        """What the names in braces stand for."""
        above = self.world.root
        return {
            "{cache}": str(above / "caches" / self.folder.name),
            "{home}": str(above / "homes" / self.folder.name),
            "{hub}": self.world.hub,
            "{tiny}": self.world.tiny,
            "{long}": LONG_NAME,
        }

    def run(self, lines: str) -> Chapter:
        """Run every line."""
        self.folder.mkdir(exist_ok=True)
        for place in ("{cache}", "{home}"):
            Path(self.places[place]).mkdir(parents=True, exist_ok=True)
        self.record.append(f"{'=' * 20} {self.name} {'=' * 20}\n")
        for line in filter(None, lines.splitlines()):
            for version in dict.fromkeys((line.replace(" [--json]", ""), line)):
                self._step(version.replace("[--json]", "--json"))
        for lock in self.locks.values():
            lock.close()
        return self

    def _step(self, line: str) -> None:
        self.record.append(f"$ {line}")
        for name, meaning in self.places.items():
            line = line.replace(name, meaning)
        before, given, text = line.partition(" <<< ")
        words = shlex.split(before)
        stdin = unescaped("" if text == "''" else text).encode()
        if len(words) > 2 and words[-2] == "<":
            stdin = (self.folder / words[-1]).read_bytes()
            words = words[:-2]
        settings: dict[str, str] = {}
        while re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            settings[name] = unescaped(value)
        verb, *arguments = words
        if verb in {"catalog", "bash"}:
            program = [str(PROGRAMS / "catalog")] if verb == "catalog" else ["bash", "-c"]
            self._command([*program, *arguments], stdin, settings)
        else:
            tool: Callable[..., object] = getattr(self, f"tool_{verb}")
            tool(*arguments, *([unescaped(text)] if given else []))
        self.record.append("")

    def _command(self, words: Sequence[str], stdin: bytes, settings: dict[str, str]) -> None:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self._environment() | settings,
            timeout=600,
            check=False,
        )
        self.codes[done.returncode] += 1
        self.record.append(f"exit code {done.returncode}")
        for stream, content in (("out", done.stdout), ("err", done.stderr)):
            text = self._normal(content.decode("utf-8", "backslashreplace"))
            if "doctor" in words:
                for pattern, name in VARYING_OF_DOCTOR:
                    text = pattern.sub(name, text)
            self._quote(text, f"{stream}| ")

    def _environment(self) -> dict[str, str]:
        home = self.places["{home}"]
        temporary = self.world.root / "temporary" / self.folder.name
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.pathsep.join([str(PROGRAMS), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/.cache",
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "TMPDIR": str(temporary),
            "CATALOG_CACHE": self.places["{cache}"],
            "CATALOG_PATH": "shop.catalog",
            "CATALOG_KERAS_URL": "http://127.0.0.1:9",
            "NO_COLOR": "1",
            "COLUMNS": "100",
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
            "no_proxy": "*",
        }

    def _normal(self, text: str) -> str:
        return self.world.normal(text, decimals=self.name not in WITHOUT_DECIMALS)

    def _quote(self, text: str, margin: str) -> None:
        lines = text.translate(UNSEEN).split("\n")
        last = lines.pop()
        self.record += [margin + line for line in lines]
        if last:
            self.record += [margin + last, f"{margin[:3]}- without a line's end"]

    def tool_write(self, place: str, text: str) -> None:
        """Write a text into a file."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def tool_copy(self, source: str, target: str) -> None:
        """Copy a file."""
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / source, path)

    def tool_delete(self, place: str) -> None:
        """Delete a file, or a folder with all that is in it."""
        path = self.folder / place
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def tool_zero(self, pattern: str, at: str, count: str) -> None:
        """Write zeros over a part of each file that a pattern means."""
        for path in self._matching(pattern):
            with path.open("r+b") as file:
                file.seek(int(at))
                file.write(bytes(int(count)))

    def tool_cut(self, pattern: str, length: str) -> None:
        """Cut each file that a pattern means to a length."""
        for path in self._matching(pattern):
            os.truncate(path, int(length))

    def tool_sql(self, place: str, statement: str) -> None:
        """Change a database behind the program's back."""
        connection = sqlite3.connect(self.folder / place, isolation_level=None)
        connection.execute(statement).fetchall()
        connection.close()

    def tool_lock(self, place: str, how: str) -> None:
        """Hold a catalogue as another process would, until it is unlocked."""
        connection = sqlite3.connect(self.folder / place, isolation_level=None)
        connection.execute(f"BEGIN {how}")
        self.locks[place] = connection

    def tool_unlock(self, place: str) -> None:
        """Let a catalogue go again."""
        self.locks.pop(place).close()

    def tool_list(self, place: str = ".") -> None:
        """Write down the names of all files in a folder, and what was left among temporary ones."""
        above = self.world.root / "temporary" / self.folder.name
        found = [*(self.folder / place).rglob("*"), *above.rglob("*")]
        names = [os.path.relpath(path, self.folder) for path in found if path.is_file()]
        self._quote("".join(f"{self._normal(name)}\n" for name in sorted(names)), "file| ")

    def tool_show(self, place: str) -> None:
        """Write down what a file holds, or what it comes to if that is much."""
        path = self.folder / place
        if not path.exists():
            text = "there is no such file"
        elif path.suffix == ".npz":
            text = "".join(arrays(path))
        elif path.suffix == ".parquet":
            text = subprocess.check_output([sys.executable, "-c", READ_PARQUET, path], text=True)
        else:
            text = path.read_text("utf-8")
        text = self._normal(text)
        if len(text) > MOST_SHOWN:
            text = f"{len(text.splitlines())} lines, {digest(text)}\n"
        self._quote(text, "show| ")

    def _matching(self, pattern: str) -> list[Path]:
        path = Path(pattern)
        return [path] if path.is_absolute() else sorted(self.folder.glob(pattern))


def unescaped(text: str) -> str:
    """A text with what is written for ends of lines and other signs that cannot be seen."""
    return re.sub("|".join(map(re.escape, ESCAPED)), lambda found: ESCAPED[found[0]], text)


def rounded(found: re.Match[str]) -> str:
    """A decimal with five digits, if it has more."""
    digits = found[0].partition(".")[2]
    if len(digits) <= 5 and "e" not in found[0]:
        return found[0]
    return f"{float(found[0]) + 0.0:.5f}".replace("-0.00000", "0.00000")


def digest(text: str) -> str:
    """What a long text comes to."""
    return sha256(text.encode()).hexdigest()[:16]


def arrays(path: Path) -> Iterator[str]:
    """The arrays of a NumPy archive; of the descriptors their sums, each row's."""
    with np.load(path) as archive:
        for name, array in archive.items():
            values = array.sum(axis=1) if array.ndim == 2 else array
            yield f"{name} {array.dtype} {array.shape}: {values.tolist()}\n"


def record(root: Path, chosen: Sequence[str]) -> tuple[str, Counter[int]]:
    """Run everything in a folder; what is written down, and how often commands ended how."""
    draw_pictures(root)
    archives = build_networks(root / "networks")
    with HubServer(archives) as server, ThreadPoolExecutor(os.cpu_count()) as threads:
        tiny = sha256((root / "networks" / "tiny.tflite").read_bytes()).hexdigest()
        world = World(root, server.url, tiny)
        first = Chapter("first", world).run(transcript_commands.FIRST_CHAPTER)

        def run(name: str) -> Chapter:
            chapter = Chapter(name, world)
            shutil.copytree(first.folder, chapter.folder)
            shutil.copytree(first.places["{cache}"], chapter.places["{cache}"])
            begun = time.monotonic()
            chapter.run(CHAPTERS[name])
            seconds = time.monotonic() - begun
            say(f"{name}: {chapter.codes.total()} commands in {seconds:.0f} s")
            return chapter

        chapters = [first, *threads.map(run, chosen)]
    codes = sum((chapter.codes for chapter in chapters), Counter[int]())
    lines = [line for chapter in chapters for line in chapter.record]
    return "\n".join([*lines, *summary(codes)]) + "\n", codes


def summary(codes: Counter[int]) -> list[str]:
    """How many commands ran, and how many ended with which exit code."""
    counts = [f"exit code {code}: {codes[code]}" for code in sorted(codes)]
    return [f"{codes.total()} commands", *counts]


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Record all chapters, or those that are named, into the file that is named before them."""
    _, *arguments = sys.argv
    if not arguments or not CHAPTERS.keys() >= set(arguments[1:]):
        sys.exit(f"usage: transcript.py OUT.txt [CHAPTER]...; chapters are {', '.join(CHAPTERS)}")
    out, *chosen = arguments
    with tempfile.TemporaryDirectory(prefix="transcript_") as scratch:
        folder = Path(scratch).resolve()
        missing = ROOT_LENGTH - len(str(folder)) - 1
        if missing < 1:
            sys.exit(f"{folder} is too long a name; let TMPDIR be another folder")
        root = folder / ("x" * missing)
        root.mkdir()
        text, codes = record(root, chosen or list(CHAPTERS))
    Path(out).write_text(text, "utf-8")
    say("\n".join(summary(codes)))


if __name__ == "__main__":
    main()
