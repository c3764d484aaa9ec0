"""Commands that are cut short: by a kill in a process of their own, or by a call that fails.

What is found in the file afterwards is read here without the product.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from forked import Tell, in_child
from interpose import KILLS, Fault, failing
from model_catalogue import Pool, init_catalog, open_catalog, picture
from model_commands import Command, attempt
from model_state import Head, Model


@dataclass(frozen=True)
class Trouble:
    """What befalls a command: the n-th of its calls that can change a file fails or kills."""

    fault: Fault
    nth: int

    @property
    def deadly(self) -> bool:
        """Whether the process is killed."""
        return self.fault in KILLS


@dataclass(frozen=True)
class Ending:
    """How a command in a process of its own ended.

    Attributes:
        answer: what it answered, as text; None if it was killed before.
        killed: whether it was killed.
    """

    answer: str | None
    killed: bool


def run_to_death(
    processes: ProcessPoolExecutor, path: Path, command: Command, pool: Pool, trouble: Trouble
) -> Ending:
    """Run a command in a process that is killed at one of its calls, if it makes so many."""
    told, status = processes.submit(_run, path, command, pool, trouble).result()
    answers = [line.removeprefix("answered ") for line in told]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or (status == 0 and len(answers) == 1), (told, status)
    return Ending(answers[0] if answers else None, killed)


def run_in_trouble(
    command: Command, catalog: Any, pool: Pool, trouble: Trouble
) -> tuple[Any, bool]:
    """Run a command while one of its calls fails: its answer, and whether one did."""
    with failing(catalog.path.parent, trouble.nth, trouble.fault) as calls:
        answer = attempt(command, catalog, pool)
        calls.stop()
    return answer, bool(calls.struck)


def _run(path: Path, command: Command, pool: Pool, trouble: Trouble) -> tuple[list[str], int]:
    _prepared(path.parent)
    return in_child(lambda tell: _die(path, command, pool, trouble, tell))


def _die(path: Path, command: Command, pool: Pool, trouble: Trouble, tell: Tell) -> None:
    with failing(path.parent, trouble.nth, trouble.fault), open_catalog(path) as catalog:
        tell(f"answered {attempt(command, catalog, pool)!r}")


@lru_cache(maxsize=1)
def _prepared(folder: Path) -> None:
    """What takes time once is done here, and not in every child; no thread is started."""
    path = folder / f"prepared{os.getpid()}.catalog"
    with failing(folder), init_catalog(path) as catalog:
        catalog.embedder.embed(picture(0))
    path.unlink()


def seen(path: Path) -> dict[str, Any]:
    """All that a model says, read from a catalogue file."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as connection:
        return {name: connection.execute(sql).fetchall() for name, sql in _QUESTIONS.items()}


def foreseen(model: Model) -> dict[str, Any]:
    """What is to be seen in a catalogue file, in the order in which it is read."""
    return {
        "generation": [(model.generation,)],
        "names": [(at + 1, name or "") for at, name in enumerate(model.names)],
        "items": sorted((c, model.classes.get(c)) for c in model.stored),
        "described": sorted((c,) for c in model.stored - model.dropped - model.bare),
        "dropped": sorted((c,) for c in model.dropped),
        "kept": sorted((c,) for c in model.kept),
        "made up": sorted((c,) for c in model.evidence),
        "heads": [_head(head) for head in model.heads],
    }


def _head(head: Head) -> tuple[str, int]:
    return head.training, len(head.columns)


_CONTENT = "lower(hex(content))"
_QUESTIONS = {
    "generation": "SELECT coalesce(max(id), 0) FROM event",
    "names": "SELECT slot, name FROM label ORDER BY slot",
    "items": f"SELECT {_CONTENT} AS content, label FROM item ORDER BY 1",
    "described": f"SELECT {_CONTENT} FROM item JOIN descriptor ON item = item.id ORDER BY 1",
    "dropped": f"SELECT {_CONTENT} FROM item JOIN compacted_item ON item = item.id ORDER BY 1",
    "kept": f"SELECT {_CONTENT} FROM item JOIN kept ON kept.item = item.id ORDER BY 1",
    "made up": f"SELECT {_CONTENT} FROM item JOIN made_up ON made_up.item = item.id ORDER BY 1",
    "heads": "SELECT training, (SELECT count(DISTINCT label) FROM head_column "
    "WHERE head_column.head = head.id) FROM head ORDER BY id",
}
