"""Runs a file of tests with a bug planted, in this process and in all that it spawns.

A process that is spawned imports what its parent was started with, and so gets the bug, too.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from planted_bugs import planted

BUG = "PLANTED_BUG"
"""The variable of the environment that names the bug."""

FOR_GOOD = ExitStack()
FOR_GOOD.enter_context(planted(os.environ.get(BUG)))


class Watching:
    """Counts the tests, and ends the run with the first that fails or when there were enough."""

    def __init__(self, most: int) -> None:
        self.steps = 0
        self.words: str | None = None
        self._most = most

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test is done."""
        self.steps += report.when == "call"
        if report.failed and self.words is None:
            self.words = f"{report.nodeid.rpartition('/')[2]}: {_last_line(report.longreprtext)}"

    def pytest_runtest_logfinish(self) -> None:
        """A test is done."""
        if self.words is not None or self.steps >= self._most:
            pytest.exit("enough", 0)


def _last_line(text: str) -> str:
    errors = [line.removeprefix("E").strip() for line in text.splitlines() if line[:1] == "E"]
    return errors[0] if errors else text.strip().rpartition("\n")[2]


def main(file: str, most: str) -> None:
    """Run a file of tests, and tell of it in a line of JSON."""
    watching = Watching(int(most))
    tests = Path(__file__).resolve().parent
    plain = ["-q", "-m", "not soak", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed", "0"]
    pytest.main(
        [*plain, "-c", str(tests.parent / "pyproject.toml"), str(tests / file)], plugins=[watching]
    )
    print(f"\n{json.dumps([watching.steps, watching.words])}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
