"""How results appear: JSON or aligned columns on stdout, everything else on stderr.

All that the command says goes through here, so that no name reaches a terminal as it is: names of
files and classes may hold what a terminal obeys, or what cannot be encoded.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from catalog.cli import streams
from catalog.cli.advice import COMMAND
from catalog.text import is_hidden, visible

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

    from catalog import Added, Imported, PassedOver, Refusal
    from catalog.embedder.download import Progress as BytesProgress


def tell(*lines: str) -> None:
    """Print lines of data.

    Raises:
        BrokenPipeError: nobody reads on.
        OSError: it cannot be written.
    """
    streams.put("".join(f"{_on_stdout(line)}\n" for line in lines))


def print_json(value: Any) -> None:
    r"""Print a result as JSON; dataclasses become objects, and paths texts.

    Nothing is lost: what cannot be seen, or not be written in the encoding of the terminal, is
    escaped as JSON does (``\u202e``); of file names, bytes that are not UTF-8 are written as the
    catalogue keeps them (``\udcff``, which in JSON is ``\\udcff``).

    Raises:
        BrokenPipeError, OSError: as :func:`tell` does.
    """
    streams.put(f"{_as_json(value, 2)}\n")


def print_json_lines(values: Iterable[Any]) -> None:
    """Print results as JSON, one a line; as :func:`print_json` does otherwise.

    Raises:
        BrokenPipeError, OSError: as :func:`tell` does.
    """
    streams.put("".join(f"{_as_json(value, None)}\n" for value in values))


def plain(value: Any) -> Any:
    """Turn a result into dictionaries, lists and scalars; advice is worded for the command."""
    from catalog.reports import plain as results  # not earlier: it brings NumPy

    return results.plain(value, COMMAND)


def print_table(rows: Iterable[Sequence[object]], headings: Sequence[str] = ()) -> None:
    """Print rows in aligned columns; columns of numbers to the right, nothing cut off.

    Raises:
        BrokenPipeError, OSError: as :func:`tell` does.
    """
    from rich.cells import cell_len  # of East Asia and emoji, a letter takes two places

    listed = list(rows)
    texts = [[_on_stdout(_text(cell)) for cell in row] for row in listed]
    table = ([list(headings)] if headings else []) + texts
    columns = range(len(table[0]) if table else 0)
    widths = [max(cell_len(row[at]) for row in table) for at in columns]
    right = [all(_is_number(row[at]) for row in listed) for at in columns]
    lines = []
    for row in table:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [gaps[at] + row[at] if right[at] else row[at] + gaps[at] for at in columns]
        lines.append("  ".join(cells).rstrip() + "\n")
    streams.put("".join(lines))


def read_bytes(most: int = -1) -> bytes:
    """What stands on standard input: all of it, or at most so many bytes.

    Raises:
        InvalidInput: it is closed, or cannot be read.
    """
    from catalog.descriptors import InvalidInput

    if sys.stdin is None:
        raise InvalidInput("standard input is closed")
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise InvalidInput(f"standard input cannot be read: {error.strerror}") from error


def read_paths(*, null: bool) -> list[str]:
    """A list of paths on standard input, one a line or each ended by a NUL; of any bytes.

    Raises:
        InvalidInput: it is closed, or cannot be read.
    """
    given = os.fsdecode(read_bytes().removeprefix(b"\xef\xbb\xbf"))
    found = given.split("\0") if null else given.replace("\r\n", "\n").split("\n")
    return [path for path in found if path]


def counted(count: int, noun: str) -> str:
    """A number and what it counts: ``1 picture``, ``2 classes``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def say(*lines: str) -> None:
    """Tell the user something that is not data.

    Where that cannot be written the command goes on, and its exit code says so in the end.
    """
    streams.note("".join(f"{visible(line)}\n" for line in lines))


def anyone_there() -> bool:
    """Whether someone can be asked, who sees the question."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty())


def confirmed(question: str, *, default: bool = False) -> bool:
    """Ask on stderr, and wait for yes or no.

    Raises:
        typer.Abort: there is no answer, or nobody to ask.
    """
    if sys.stdin is None or sys.stderr is None:
        raise typer.Abort
    with contextlib.redirect_stdout(sys.stderr):  # the prompt writes a blank to stdout
        return typer.confirm(visible(question), default=default, err=True)


def require_yes(question: str, otherwise: str) -> None:
    """Go on only after a yes.

    Args:
        question: to ask.
        otherwise: what is said without one: that nothing was done, and which option does not ask.

    Raises:
        typer.Abort: the answer was no, or there was none.
    """
    try:
        if confirmed(question):
            return
    except typer.Abort:
        pass
    say(f"{otherwise} does it without asking")
    raise typer.Abort


@contextmanager
def resumable() -> Iterator[None]:
    """Say on Ctrl-C, or when it is ended, that what a command of many steps has done is kept."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = None
    with contextlib.suppress(ValueError):  # another thread than the first, which gets no signals
        before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; what was done is kept, and the same command goes on from there")
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def print_imported(result: Imported, *, json: bool) -> None:
    """Print what came of pictures of many classes, and list what was refused."""
    if json:
        print_json(result)
    else:
        new = sum(added.created for added in result.classes)
        count = sum(added.added for added in result.classes)
        moved = sum(added.moved for added in result.classes)
        known = sum(added.known for added in result.classes)
        tell(
            f"{counted(count, 'picture')} added, {counted(new, 'new class')}, "
            f"{known} known already"
            f"{f', {moved} moved from other classes' if moved else ''}"
            f"{f', {len(result.failures)} refused' if result.failures else ''}"
        )
        if made_up := sum(added.made_up for added in result.classes):
            classes = "class has" if made_up == 1 else "classes have"
            say(
                "to measure how sure answers are, photos were made up of "
                f"{counted(made_up, 'picture')} whose {classes} nothing else to hold out"
            )
    note_odd(result.classes)
    report_refusals(result.failures)


def note_odd(classes: Iterable[Added]) -> None:
    """Say which new classes look like others, and which items lost their files to others."""
    for added in classes:
        if added.replaced:
            items = ", ".join(map(str, added.replaced))
            what = "item" if len(added.replaced) == 1 else "items"
            say(
                f"note: where {what} {items} came from lie other pictures now, which were added to "
                f"{added.label!r}; what was learnt before stays until `catalog remove`"
            )
        if added.alike:
            others = ", ".join(map(repr, added.alike))
            say(
                f"note: the new class {added.label!r} looks like {others}; if they are one, "
                "`catalog merge-classes` makes them one"
            )


def report_passed_over(kinds: Iterable[PassedOver]) -> None:
    """Say what was not taken for a picture, by kind, with a few examples."""
    for kind in kinds:
        more = ", ..." if kind.count > len(kind.examples) else ""
        what = kind.what.removesuffix("s") if kind.count == 1 else kind.what
        say(f"passed over: {kind.count} {what} ({kind.why}): {', '.join(kind.examples)}{more}")


def report_gone(places: Sequence[str]) -> None:
    """Say that pictures are no longer where they were found."""
    if places:
        say(
            f"note: at {counted(len(places), 'place')} of pictures nothing lies any more, such as "
            f"{places[0]}; `catalog forget-places` drops them"
        )


def report_refusals(refused: Sequence[Refusal]) -> None:
    """List refused pictures on stderr, each with its reason."""
    for refusal in refused:
        detail = refusal.detail
        if refusal.advice is not None:
            detail += f"; {refusal.advice.worded(COMMAND)}"
        say(f"refused: {refusal.place or 'picture'}: {detail} ({refusal.reason})")


@contextmanager
def pictures_bar(what: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """A bar with rate and time left on a terminal, and nothing elsewhere."""
    from rich.progress import MofNCompleteColumn, TextColumn

    with _bar(
        what, total, MofNCompleteColumn(), TextColumn("{task.fields[rate]}", markup=False)
    ) as bar:
        if bar is None:
            yield None
            return
        progress, task = bar

        def advance(count: int) -> None:
            progress.advance(task, count)
            speed = progress.tasks[task].speed
            progress.update(task, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


@contextmanager
def download_bar(what: str) -> Iterator[BytesProgress | None]:
    """A bar of bytes with rate and time left on a terminal, and nothing elsewhere."""
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with _bar(what, None, DownloadColumn(), TransferSpeedColumn()) as bar:
        if bar is None:
            yield None
            return
        progress, task = bar
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def steps_bar(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """A bar with rate and time left on a terminal once a step is done, and nothing elsewhere."""
    from rich.progress import MofNCompleteColumn, TextColumn

    rate = TextColumn("{task.fields[rate]}", markup=False)
    with _bar(what, 1 if quiet else None, MofNCompleteColumn(), rate, shown=False) as bar:
        if bar is None:
            yield None
            return
        progress, task = bar

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)
            speed = progress.tasks[task].speed
            progress.update(task, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


@contextmanager
def _bar(
    what: str, total: int | None, *columns: ProgressColumn, shown: bool = True
) -> Iterator[tuple[Progress, TaskID] | None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal or total == 1:
        yield None
        return
    # Names of classes are text, whatever brackets they have: never markup.
    about = TextColumn("{task.description}", markup=False)
    with Progress(about, BarColumn(), *columns, TimeRemainingColumn(), console=console) as progress:
        yield progress, progress.add_task(visible(what), total=total, rate="", visible=shown)


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "utf-8"


def _as_json(value: Any, indent: int | None) -> str:
    of_all = codecs.lookup(_encoding()).name == "utf-8"
    text = json.dumps(plain(value), indent=indent, ensure_ascii=not of_all)
    hidden = {one for one in set(text) - {"\n"} if is_hidden(one)}  # they are within strings alone
    return text.translate({ord(one): json.dumps(one)[1:-1] for one in hidden})


def _on_stdout(text: str) -> str:
    """A text as it appears on standard output, where that is for eyes."""
    seen = visible(text)
    if seen.isascii():
        return seen
    return seen.encode(_encoding(), "backslashreplace").decode(_encoding())


def _text(cell: object) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or cell == "-"
