"""The page that the long tests write their figures to: ``docs/soak.md``, a section each."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "soak.md"

_HEAD = (
    "# What the long tests found\n\n"
    "Written by `make soak`, a section for each test, when it has passed.\n"
)


def record(title: str, about: str, rows: Mapping[str, str | int | float]) -> None:
    """Put a section on the page, in place of what its test wrote there before.

    Args:
        title: of the section, in a few words.
        about: what was done, in a sentence or two.
        rows: what was found, by name, in the order to be shown.
    """
    sections = _sections()
    table = "\n".join(f"| {name} | {_text(value)} |" for name, value in rows.items())
    day = datetime.now(UTC).date().isoformat()
    measured = f"{day}, Python {platform.python_version()}, {os.cpu_count()} processors"
    sections[title] = f"{about}\n\n| | {measured} |\n|---|---|\n{table}\n"
    body = "".join(f"\n## {name}\n\n{text}" for name, text in sorted(sections.items()))
    PAGE.write_text(_HEAD + body, encoding="utf-8")


def _sections() -> dict[str, str]:
    if not PAGE.exists():
        return {}
    _, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    pairs = (part.split("\n\n", 1) for part in parts)
    return {title: text.rstrip("\n") + "\n" for title, text in pairs}


def _text(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) else value
