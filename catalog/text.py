"""Text from elsewhere, such as names of files and classes: how it is shown, kept and put in order.

Needs the standard library alone, so that the command can say what is wrong where nothing else can
be imported.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of what a terminal obeys, or what shows nothing, turns text around or breaks lines."""

_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\ufffe\uffff\U000e0000-\U000e0fff]"
)
"""What shows nothing, either, or may not stand in XML, though its category does not say so."""

_JOINED: Final = "\u0600-\u10ff\u1700-\u1cff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_IN_PLACE: Final = re.compile(
    f"(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])"
    "|(?<=[\xa9\xae\u0590-\U0010ffff])[\ufe00-\ufe0f\U000e0100-\U000e01ef]|\ufe0f(?=\u20e3)"
)
"""Joiners in scripts that are written with them and in emoji, and variants of what has some."""


def visible(text: str) -> str:
    r"""A text on one line, with what cannot be seen written out: ``\n``, ``\x1b``, ``\u202e``.

    It is safe for a terminal and can be encoded as UTF-8. It is for eyes: a backslash stays one, so
    two texts may look the same.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = {found.start() for found in _IN_PLACE.finditer(text)}
    return "".join(
        ascii(letter)[1:-1] if at not in kept and is_hidden(letter) else letter
        for at, letter in enumerate(text)
    )


def is_hidden(letter: str) -> bool:
    """Whether a character cannot be seen by itself: it controls, formats, or is no character."""
    return unicodedata.category(letter) in _HIDDEN or _BLANK.match(letter) is not None


def written(text: str) -> str:
    r"""A text that can be encoded as UTF-8: of a file name's other bytes, ff becomes ``\udcff``.

    That is how places of pictures are kept. A name that has such letters itself looks the same.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def unwritten(text: str) -> str:
    """The name of a file, by which it can be opened, of what :func:`written` made of it."""
    return re.sub(r"\\u(dc[89a-f][0-9a-f])", lambda found: chr(int(found[1], 16)), text)


def natural(name: str) -> tuple[str, str]:
    """What names are sorted by where people see them: numbers within them count by their value."""
    return re.sub(r"\d+", _by_value, name), name


def _by_value(number: re.Match[str]) -> str:
    """A number so that more digits come later, in the place that digits have among letters."""
    digits = "".join(str(unicodedata.decimal(digit)) for digit in number[0]).lstrip("0")
    return f"0{chr(len(digits))}{digits}"
