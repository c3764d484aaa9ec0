"""What could stand at the cursor: a shell asks at every press of TAB, so nothing heavy is imported.

``catalog --show-completion`` prints the shell's side. Typer knows which words could come next; here
they are written so that a shell takes a name whole, whatever is in it. (As Typer writes them,
spaces stand bare in bash, and zsh loses quotes.)
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import typer

_PROGRAM: Final = "catalog"
_ASKED: Final = "_CATALOG_COMPLETE"
_BUSY_SECONDS: Final = 0.1
_HEADER_BYTES: Final = 100
_END: Final = "\x1f"  # marks the cursor, which no word can hold

_CLASSES: Final = (
    "SELECT name FROM label WHERE EXISTS (SELECT 1 FROM item WHERE item.label = label.slot) "
    "ORDER BY key"
)


def answer(app: typer.Typer) -> None:
    """If it is a shell that asks, print what could stand at the cursor, and exit; else return.

    Args:
        app: whose commands, options and arguments they are.
    """
    shell = os.environ.get(_ASKED, "").removeprefix("complete_")
    if shell == "bash":
        given, at = os.environ.get("COMP_WORDS", ""), os.environ.get("COMP_CWORD", "0")
        lines = _answer_bash(app, given, int(at))
    elif shell in {"fish", "zsh"}:
        words = _words(os.environ.get("_TYPER_COMPLETE_ARGS", ""))
        found = _described(app, words[1:-1], _candidates(app, words[1:-1], words[-1]))
        if os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
            sys.exit(0 if found else 1)
        lines = _for_zsh(found) if shell == "zsh" else _for_fish(found)
    else:
        return
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode())
    sys.exit(0)


def among(*values: str) -> Callable[[], list[str]]:
    """Offer some values, for an option that takes no others."""
    return lambda: list(values)


def class_names(ctx: typer.Context) -> list[str]:
    """Offer the classes that have items: of the catalogue typed so far, else of CATALOG_PATH.

    The file is only read: it is neither made, nor upgraded, nor waited for. Whatever goes wrong,
    nothing is offered.
    """
    import sqlite3
    from urllib.parse import quote

    path = ctx.params.get("catalog") or os.environ.get("CATALOG_PATH")
    if not path:
        return []
    try:
        file = Path(os.path.expandvars(path)).expanduser().absolute()
        if not _is_catalogue(file):
            return []
        address = f"file:{quote(os.fsencode(file))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, _BUSY_SECONDS, uri=True)) as connection:
            return [name for (name,) in connection.execute(_CLASSES) if _is_plain(name)]
    except (OSError, RuntimeError, ValueError, sqlite3.Error):
        return []


def backbone_names() -> list[str]:
    """Offer the networks that a catalogue can be made with: those of this machine, by name."""
    from catalog.machine import model_cache

    names = {"imagenet", "starter"}
    with contextlib.suppress(OSError, RuntimeError):
        for file in (model_cache() / "models").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                names.add(str(json.loads(file.read_text("utf-8"))["name"]))
    return sorted(filter(_is_plain, names))


def _is_catalogue(file: Path) -> bool:
    """Whether a file is a catalogue that can be read without writing beside it, as WAL would."""
    if not file.is_file():  # before it is opened: a pipe would wait for someone to write
        return False
    with file.open("rb") as opened:
        header = opened.read(_HEADER_BYTES)
    return (
        header[:16] == b"SQLite format 3\0"
        and header[18:20] == b"\1\1"
        and header[68:72] == b"CTLG"
    )


def _is_plain(name: object) -> bool:
    """Whether a name is a text without control characters, which a terminal might act upon."""
    return isinstance(name, str) and not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name)


def _candidates(app: typer.Typer, before: Sequence[str], word: str) -> list[str]:
    """The words that could stand in place of one, after those before it.

    What begins as the word does, or if there is none, what does so but for capitals.
    """
    if word.startswith("-") and "--" not in before:
        option, given, value = word.partition("=")
        if given:
            return [f"{option}={one}" for one in _candidates(app, [*before, option], value)]
        return _asked(app, before, word)
    found = [one for one in _asked(app, before, "") if one]
    exact = [one for one in found if one.startswith(word)]
    return exact or [one for one in found if one.casefold().startswith(word.casefold())]


def _asked(app: typer.Typer, before: Sequence[str], word: str) -> list[str]:
    """What Typer offers, a line each; it is asked as bash would, whose answers are bare."""
    words = [_PROGRAM, *before, word]
    os.environ[_ASKED] = "complete_bash"
    os.environ["COMP_WORDS"] = "\n".join(map(shlex.quote, words))
    os.environ["COMP_CWORD"] = str(len(words) - 1)
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        app(prog_name=_PROGRAM, complete_var=_ASKED)
    return said.getvalue().splitlines()


def _described(app: typer.Typer, before: Sequence[str], found: Sequence[str]) -> Mapping[str, str]:
    """Each candidate, and what it is if it is a command or an option, else nothing."""
    command = typer.main.get_command(app)
    for word in before:
        command = getattr(command, "commands", {}).get(word, command)
    about = {
        option: getattr(parameter, "help", None) or ""
        for parameter in command.params
        for option in parameter.opts
    }
    for name, child in getattr(command, "commands", {}).items():
        about[name] = child.get_short_help_str(80)
    return {one: " ".join(about.get(one, "").split()) for one in found}


def _words(line: str) -> list[str]:
    """The words of a line up to the cursor, the last one unfinished, perhaps empty."""
    lexer = shlex.shlex(line + _END, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words += lexer
    except ValueError:  # a quote is open at the cursor
        words.append(lexer.token)
    return [*words[:-1], words[-1].removesuffix(_END)]


def _answer_bash(app: typer.Typer, given: str, at: int) -> Iterator[str]:
    """What bash is to put in place of the word at the cursor.

    Args:
        app: whose commands they are.
        given: the words as they are typed, a line each.
        at: which of them the cursor is in.
    """
    raw = [*given.split("\n"), ""][: at + 1]
    words, kept = _joined(raw)
    quote, start = _open_quote(raw[-1])
    kept += _words(raw[-1][:start])[-1]
    for one in _candidates(app, words[1:-1], words[-1]):
        if one.startswith(kept):
            yield _quoted(one.removeprefix(kept), quote)


def _joined(raw: Sequence[str]) -> tuple[list[str], str]:
    """Words as they were before bash cut them at colons and equals signs.

    Returns:
        The words, and what of the last one stands before the cut, where bash does not touch it.
    """
    words: list[str] = []
    kept, cut = "", False
    for part in raw:
        (word,) = _words(part)[-1:]
        if part and set(part) <= {":", "="}:
            if words[-1].startswith("--"):  # an option and its value, not one word
                words.append("")
            else:
                words[-1] += word
            kept, cut = words[-1], True
        elif cut:
            words[-1] += word
            cut = False
        else:
            words.append(word)
            kept = ""
    return words, kept


def _open_quote(word: str) -> tuple[str, int]:
    """The quote that is open at a word's end, and how much of the word bash then leaves alone."""
    quote, start, escaped = "", 0, False
    for at, letter in enumerate(word, start=1):
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif letter == quote or (not quote and letter in "'\""):
            quote, start = ("", 0) if quote else (letter, at)
    return quote, start


def _quoted(name: str, quote: str) -> str:
    """A name as bash reads it back, within the quote that is open, if one is."""
    if quote == "'":
        # Readline takes a quote that comes first for the one that is open.
        again = quote if name.startswith(quote) else ""
        return again + name.replace("'", "'\\''")
    special = r"[\\\"$`]" if quote == '"' else r"[^\w@%+,./\x80-\U0010ffff-]"
    return re.sub(f"({special})", r"\\\1", name)


def _for_zsh(found: Mapping[str, str]) -> Iterator[str]:
    """A piece of zsh that offers words with their descriptions, or else files."""
    if not found:
        yield "_files"
        return
    entries = []
    for word, about in found.items():
        escaped = re.sub(r"([\\:])", r"\\\1", word)
        entry = f"{escaped}:{about}" if about else escaped
        entries.append("'" + entry.replace("'", "'\\''") + "'")
    yield f"local -a _catalog_found; _catalog_found=({' '.join(entries)});"
    yield "_describe '' _catalog_found -M 'm:{[:lower:][:upper:]}={[:upper:][:lower:]}'"


def _for_fish(found: Mapping[str, str]) -> Iterator[str]:
    """A line for each word, with its description behind a tab."""
    for word, about in found.items():
        yield f"{word}\t{about}" if about else word
