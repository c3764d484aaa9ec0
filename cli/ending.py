"""How a command ends: every error of ours or of the system is one line and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

from catalog.cli import streams
from catalog.cli.output import say


def run_to_end(program: Callable[[], object]) -> NoReturn:
    """Run a program, and exit; a fault of the program itself shows where it was.

    What could not be written, to standard output or standard error, makes the exit code 1. Where
    nobody reads on, as with `catalog items | head -1`, nothing is said of it.
    """
    streams.prepare()
    warnings.showwarning = _show_warning
    code = _run(program)
    sys.exit(code if code or streams.all_said() else 1)


def _run(program: Callable[[], object]) -> int | str | None:
    try:
        try:
            program()
        except SystemExit as ended:
            streams.put()  # a library may have left something
            return ended.code
        streams.put()
    except ImportError as error:
        say(f"error: {error}; `catalog doctor` says which library is amiss")
    except BrokenPipeError:
        streams.abandon()
    except OSError as error:
        streams.abandon()
        say(f"error: {_of_the_system(error)}")
    except MemoryError as error:
        say(f"error: there is not enough memory{f': {error}' if str(error) else ''}")
    except Exception as error:
        from catalog.descriptors import CatalogError  # not earlier, since it brings NumPy

        if not isinstance(error, CatalogError):
            raise
        from catalog.cli.advice import said

        say(f"error: {said(error)}")
        return error.exit_code
    else:
        return 0
    return 1


def _of_the_system(error: OSError) -> str:
    """What the system says of a failure, and of which file."""
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_lost():
        return "the folder in which this was started is gone; go to another, and try again"
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"the system says: {reason}"
    return f"{os.fsdecode(error.filename)} cannot be used: {reason}"


def _is_lost() -> bool:
    """Whether the working folder is gone."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return True
    return False


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    say(f"warning: {message}")
