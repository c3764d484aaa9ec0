"""Walk-throughs run as they stand: each command of a document, and what it says comes of it.

In a ``console`` block a line that starts with ``$`` is a command for bash (continued after a
backslash), and the lines below it are all that it prints. A ``python`` block is run by the
interpreter of the tests, and a ``text`` block that follows holds its output. In what is expected,
a line of three dots stands for any lines, and three dots within a line for any text. Blanks count
as one. A decimal figure may be off by a tolerance, or by that share of itself, a percentage by 100
times as much; everything else, whole numbers too, must be as it is written.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tiny_network import environment

TOLERANCE = 0.02
"""How far a decimal figure may be off where nothing else is said."""

SKIP = "..."
_BLOCK = re.compile(r"^```(console|python|text)\n(.*?)^```$\n*", re.M | re.S)
_MASK_OR_FIGURE = re.compile(r"\.\.\.|(?<![\w.])-?\d+\.\d+(?![\w.]*\w)%?")


class Step(NamedTuple):
    """Something to run, for bash or for Python, and the lines that are expected of it."""

    code: str
    expected: list[str]
    python: bool = False


def steps(text: str) -> Iterator[Step]:
    """What a document has to be run, in order."""
    blocks = list(_BLOCK.finditer(text))
    for at, block in enumerate(blocks):
        kind, content = block.groups()
        if kind == "console":
            yield from _commands(content)
        elif kind == "python":
            after = blocks[at + 1] if at + 1 < len(blocks) else None
            follows = after is not None and after[1] == "text" and after.start() == block.end()
            expected = after[2].splitlines() if after and follows else []
            yield Step(content, expected, python=True)


def _commands(content: str) -> Iterator[Step]:
    lines = iter(content.splitlines())
    step: Step | None = None
    for line in lines:
        if line.startswith("$ "):
            if step is not None:
                yield step
            code = line.removeprefix("$ ")
            while code.endswith("\\"):
                code += "\n" + next(lines)
            step = Step(code, [])
        elif step is not None:
            step.expected.append(line)
    if step is not None:
        yield step


class Walk:
    """Runs steps one after another in a folder; what one of them exports, later ones have.

    Args:
        folder: to run in; the command ``catalog`` is made in a folder beside it.
        cache: the model cache.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        folder = folder.resolve()
        programs = folder.with_name(folder.name + "-bin")
        programs.mkdir(exist_ok=True)
        command = programs / "catalog"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m catalog "$@"\n')
        command.chmod(0o755)
        self._folder, self._exports = folder, [f'export PATH="{programs}:$PATH"']
        self._environment = environment(cache.resolve())

    def run(self, step: Step) -> list[str]:
        """All that a step prints, as a terminal shows it; an exit code but 0 makes a line of it."""
        if step.code.startswith("export "):
            self._exports.append(step.code)
        script = "\n".join([*self._exports, step.code])
        done = subprocess.run(
            [sys.executable, "-"] if step.python else ["bash", "-c", script],
            input=step.code if step.python else "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            cwd=self._folder,
            text=True,
            timeout=200,
            check=False,
        )
        ended = [f"[exit code {done.returncode}]"] if done.returncode else []
        return [*done.stdout.splitlines(), *ended]


def differences(text: str, walk: Walk, tolerance: float = TOLERANCE) -> list[str]:
    """Run a document to its end; each step that printed something else, with what it printed."""
    found = []
    for step in steps(text):
        printed = walk.run(step)
        if not fits(step.expected, printed, tolerance):
            lines = [f"$ {step.code}", "expected:", *step.expected, "printed:", *printed]
            found.append("\n".join(lines))
    return found


def fits(expected: Sequence[str], printed: Sequence[str], tolerance: float = TOLERANCE) -> bool:
    """Whether lines are as expected; a line of three dots stands for any number of lines."""
    if not expected:
        return not printed
    first, *rest = expected
    if first == SKIP:
        return any(fits(rest, printed[at:], tolerance) for at in range(len(printed) + 1))
    if not printed or not line_fits(first, printed[0], tolerance):
        return False
    return fits(rest, printed[1:], tolerance)


def line_fits(expected: str, printed: str, tolerance: float = TOLERANCE) -> bool:
    """Whether one line is as expected, but for what is masked and figures that are near."""
    wanted, got = " ".join(expected.split()), " ".join(printed.split())
    figures: list[str] = []
    pattern, end = "", 0
    for part in _MASK_OR_FIGURE.finditer(wanted):
        pattern += re.escape(wanted[end : part.start()])
        end = part.end()
        if part[0] == SKIP:
            pattern += ".*"
            continue
        pattern += r"(-?\d+\.\d+)%" if part[0].endswith("%") else r"(-?\d+\.\d+)"
        figures.append(part[0])
    found = re.fullmatch(pattern + re.escape(wanted[end:]), got)
    return found is not None and all(
        _near(*pair, tolerance) for pair in zip(figures, found.groups(), strict=True)
    )


def _near(expected: str, printed: str, tolerance: float) -> bool:
    wanted, off = float(expected.rstrip("%")), tolerance * (100 if expected.endswith("%") else 1)
    return abs(float(printed) - wanted) <= max(off, tolerance * abs(wanted)) + 1e-9
