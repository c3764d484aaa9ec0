"""Figures as text for a page, or as files; the same figure gives the same bytes."""

from __future__ import annotations

import hashlib
import html
import io
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from catalog.descriptors import InvalidInput
from catalog.reports.figures import INK, TITLE, style
from catalog.store import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_ENDINGS: Final = (".pdf", ".png", ".svg")
"""What the name of a figure's file may end in."""

_MAKER = "catalog figure"
_MARKS: Final = {
    ".pdf": f"/Creator ({_MAKER})".encode(),
    ".png": f"Software\0{_MAKER}".encode(),
    ".svg": f"<dc:title>{_MAKER}</dc:title>".encode(),
}
"""What tells, by ending, files that this module wrote."""


def to_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element to be put into HTML.

    It is as wide as its place, up to its own size, on the background of the page and with text in
    the colour of the page. Its ids are its own, and what it does not refer to has none.
    """
    drawn = _rendered(figure, ".svg", facecolor="none").decode()
    root, _, content = drawn[drawn.index("<svg") :].partition(">")
    box = re.findall(r"[\d.]+", root[root.index("viewBox=") :])[:4]
    width, height = (math.ceil(float(side)) for side in box[2:])
    for what in ("metadata", "style"):  # the style would be the whole page's
        content = re.sub(f"<{what}.*?</{what}>", "", content, count=1, flags=re.DOTALL)
    mark = "f" + hashlib.sha256(content.encode()).hexdigest()[:8]
    used = set(re.findall(r"(?:url\(|href=\")#([^\")]+)", content))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="100%" style="max-width: {width}px; height: auto; '
        'font-family: system-ui, sans-serif; stroke-linejoin: round" role="img" '
        f'aria-label="{html.escape(str(figure.get_label()))}">'
        + re.sub(r"<[^>]*>", lambda tag: _for_page(tag[0], used, mark), content)
    )


def write_figure(figure: Figure, path: Path, *, replace: bool = False) -> None:
    """Write a figure as what the name of the file ends in: ``.pdf``, ``.png`` or ``.svg``.

    Args:
        figure: what to write.
        path: of the file; an older figure of this program's making is replaced.
        replace: another file that is there already, if it is neither a catalogue nor a picture.

    Raises:
        InvalidInput: the name ends in something else.
        Conflict: something is there that is not to be replaced.
        NotFound: there is no such folder.
        NoSpace: the disk is full.
        CatalogError: the file cannot be written.
    """
    ending = require_writable(path, replace=replace)
    drawn = _rendered(figure, ending, facecolor="white")
    files.write(path, lambda file: file.write(drawn), mark=_MARKS[ending], replace=replace)


def require_writable(path: Path, *, replace: bool = False) -> str:
    """The ending, in lower case, of a file that :func:`write_figure` may write.

    Raises:
        InvalidInput, Conflict, NotFound, CatalogError: as that does.
    """
    ending = require_ending(path)
    files.require_writable(path, mark=_MARKS[ending], replace=replace)
    return ending


def require_ending(path: Path) -> str:
    """The ending of a file that a figure can be written to, in lower case.

    Raises:
        InvalidInput: the name ends in something else.
    """
    ending = path.suffix.lower()
    if ending not in FIGURE_ENDINGS:
        raise InvalidInput(f"cannot write {path}: name a file that ends in .pdf, .png or .svg")
    return ending


def _rendered(figure: Figure, ending: str, *, facecolor: str) -> bytes:
    metadata: dict[str, Any] = {
        ".svg": {"Date": None, "Creator": _MAKER},
        ".pdf": {"CreationDate": None, "Creator": _MAKER},
        ".png": {"Software": _MAKER},
    }
    written = io.BytesIO()
    with style():
        figure.savefig(
            written,
            format=ending[1:],
            dpi=144 if ending == ".png" else 72,
            bbox_inches="tight",
            pad_inches=6 / 72,
            facecolor=facecolor,
            metadata=metadata[ending],
        )
    if ending != ".svg":
        return written.getvalue()
    titled = rf"<g id=([\"']){TITLE}(.*?)\1>"
    drawn = re.sub(titled, r"<g><title>\2</title>", written.getvalue().decode(), flags=re.DOTALL)
    return drawn.encode()


def _for_page(tag: str, used: set[str], mark: str) -> str:
    """A tag as it is within a page, without what only a file of its own needs."""
    tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{mark}-{m[1]}"' if m[1] in used else "", tag)
    tag = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", tag)
    for pattern, instead in (
        (r"(url\(|href=\")#", rf"\1#{mark}-"),
        (r' transform="rotate\(-0 [^"]*"', ""),
        (r"font-family: [^;\"]*(; )?", ""),
        (r"(font: [^;\"]*px) [^;\"]*", r"\1 system-ui, sans-serif"),  # of Matplotlib 3.9
        (INK, "currentColor"),
    ):
        tag = re.sub(pattern, instead, tag)
    return tag
