"""Python and the libraries: which versions there are, and whether they can be imported."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from typing import Final

from catalog.machine.check import Check

IMPORTED: Final = ("numpy", "cv2", "faiss", "ai_edge_litert.interpreter")
"""What an answer needs. TensorFlow is left out: it takes seconds, and no answer needs it."""

_PROGRAM: Final = "catalog"
_WHEELS: Final = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_PATIENCE_SECONDS: Final = 60
_REQUIREMENT: Final = re.compile(
    r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;()]*)\)?\s*(?:;(.*))?"
)
_CLAUSE: Final = re.compile(r"(>=|<=|==|!=|<|>)\s*(\d+(?:\.\d+)*)")
_SYSTEM_LIBRARY: Final = re.compile(r"lib(GL|EGL|gthread|glib)[\w.-]*\.so")

# Fixed in 3.51.3, and in these two that were made for older programs.
_WAL_FIXED: Final = ((3, 44, 6), (3, 50, 7))


def python() -> Check:
    """Whether this Python is one that the program is made for."""
    here = ".".join(map(str, sys.version_info[:3]))
    found = f"{here} ({sys.executable})"
    try:
        wanted = metadata(_PROGRAM)["Requires-Python"] or ""
    except PackageNotFoundError:
        return Check("Python", "warning", found, _not_installed())
    if within(here, wanted) is False:
        return Check("Python", "bad", found, f"{_PROGRAM} is made for Python {wanted}")
    return Check("Python", "ok", found)


def packages() -> Iterator[Check]:
    """Each library that the program needs, or can use if it is there."""
    try:
        lines = requires(_PROGRAM) or []
    except PackageNotFoundError:
        return
    for line in lines:
        parts = _REQUIREMENT.match(line)
        if parts and not (parts[3] and "extra" in parts[3]):
            yield _package(parts[1], parts[2].strip())


def opencv_wheels() -> Check:
    """Whether there is one OpenCV: its wheels share a folder, and overwrite each other there."""
    there = [f"{name} {found}" for name in _WHEELS if (found := _version(name))]
    names = [entry.partition(" ")[0] for entry in there]
    if len(there) <= 1:
        return Check("OpenCV wheels", "ok", ", ".join(there) or "none")
    kept = next((name for name in names if "headless" in name), names[0])
    advice = (
        "these write to one folder, cv2, and overwrite each other; "
        f"{_pip('uninstall', '--yes', *names)}, then {_pip('install', kept)}"
    )
    return Check("OpenCV wheels", "bad", ", ".join(there), advice)


def pkg_resources() -> Check:
    """Whether there is what tensorflow-hub imports; it was part of setuptools before 82."""
    if find_spec("pkg_resources"):
        return Check("pkg_resources", "ok", "there, for tensorflow-hub")
    advice = f"a SavedModel, such as TF Hub's, needs it; {_pip('install', 'setuptools<82')}"
    return Check("pkg_resources", "warning", "missing", advice)


def imports() -> list[Check]:
    """Whether libraries can be imported: each in a process of its own, which it may bring down."""
    started = [(name, _started(name)) for name in IMPORTED]
    return [_outcome(name, process) for name, process in started]


def sqlite() -> Iterator[Check]:
    """Which SQLite this Python has, and whether threads may use it."""
    try:
        import sqlite3
    except ImportError as error:
        yield Check("SQLite", "bad", str(error), "use a Python that was built with SQLite")
        return
    found = sqlite3.sqlite_version
    if _loses_commits(sqlite3.sqlite_version_info):
        found += ", whose write-ahead log can lose a commit; catalogues do not use it"
    yield Check("SQLite", "ok", found)
    if sqlite3.threadsafety == 0:
        advice = "use a Python whose SQLite was built with SQLITE_THREADSAFE"
        yield Check("SQLite threads", "bad", "not safe", advice)


def within(here: str, wanted: str) -> bool | None:
    """Whether a version satisfies clauses such as ``>=2.1,<3``; None where that cannot be told."""
    own = re.match(r"\d+(?:\.\d+)*", here)
    clauses = [_CLAUSE.fullmatch(clause.strip()) for clause in wanted.split(",") if clause.strip()]
    if own is None or None in clauses:
        return None
    return all(_holds(own[0], clause[1], clause[2]) for clause in clauses if clause)


def _holds(own: str, sign: str, limit: str) -> bool:
    left, right = ([int(part) for part in text.split(".")] for text in (own, limit))
    width = max(len(left), len(right))
    left, right = (numbers + [0] * (width - len(numbers)) for numbers in (left, right))
    return {
        ">=": left >= right,
        "<=": left <= right,
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        ">": left > right,
    }[sign]


def _package(name: str, wanted: str) -> Check:
    here = _version(name)
    advice = _pip("install", f"{name}{wanted}")
    if here is None:
        others = [other for other in _WHEELS if name in _WHEELS and _version(other)]
        if others:
            return Check(name, "ok", f"{', '.join(others)} in its place")
        return Check(name, "bad", "missing", advice)
    if within(here, wanted) is False:
        return Check(name, "bad", f"{here}, which is not {wanted}", advice)
    return Check(name, "ok", here)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _started(name: str) -> subprocess.Popen[str]:
    code = (
        f"import importlib, sys; it = importlib.import_module({name!r}); "
        "print(getattr(it, '__version__', 'imported'))"
    )
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def _outcome(name: str, process: subprocess.Popen[str]) -> Check:
    try:
        out, complaint = process.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Check(f"import {name}", "bad", f"not done after {_PATIENCE_SECONDS} s", _anew(name))
    if process.returncode == 0:
        return Check(f"import {name}", "ok", out.strip().rpartition("\n")[2])
    said = complaint.strip().rpartition("\n")[2]
    if process.returncode < 0:
        said = f"the process was ended by signal {-process.returncode}; {said}".rstrip("; ")
    return Check(
        f"import {name}", "bad", said or f"exit code {process.returncode}", _anew(name, said)
    )


def _anew(name: str, said: str = "") -> str:
    """How a library that cannot be imported is put right."""
    if name == "cv2" and _SYSTEM_LIBRARY.search(said):
        return (
            "OpenCV needs a library of the system: `apt-get install libgl1 libglib2.0-0`; or take "
            "the OpenCV that does without: "
            f"{_pip('uninstall', '--yes', 'opencv-python')}, then "
            f"{_pip('install', 'opencv-python-headless')}"
        )
    package = {
        "cv2": "opencv-python",
        "faiss": "faiss-cpu",
        "ai_edge_litert.interpreter": "ai-edge-litert",
    }.get(name, name)
    return _pip("install", "--force-reinstall", "--no-deps", package)


def _loses_commits(here: tuple[int, ...]) -> bool:
    fixed = any(here[:2] == one[:2] and here >= one for one in _WAL_FIXED)
    return (3, 7, 0) <= here < (3, 51, 3) and not fixed


def _not_installed() -> str:
    return (
        f"{_PROGRAM} itself is not installed here, so its libraries cannot be checked; `make setup`"
    )


def _pip(*words: str) -> str:
    return f"`{shlex.join([sys.executable, '-m', 'pip', *words])}`"
