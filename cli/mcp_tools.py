"""The tools of the MCP server: what they are called, and what they ask of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog import Catalog, Picture, PictureError
from catalog.cli.advice import MCP, said
from catalog.cli.asking import record
from catalog.cli.mcp_arguments import (
    MOST_ANSWERS,
    AddClass,
    Arguments,
    Audit,
    Classes,
    Feedback,
    GivenPicture,
    Info,
    Nearest,
    Predict,
    parse,
)
from catalog.descriptors import CatalogError, Conflict, InvalidInput
from catalog.machine.reading import require_allowed
from catalog.reports.listing import searched
from catalog.reports.plain import plain


class Tools:
    """What an assistant may have a catalogue asked, and told.

    Args:
        catalog: that is open; it is the caller's to close.
        folders: below which pictures are named by their paths.
        write: whether it may be told anything.
    """

    def __init__(self, catalog: Catalog, folders: Sequence[Path], *, write: bool) -> None:
        self.folders = tuple(folders)
        self.write = write
        self._catalog = catalog

    @property
    def offered(self) -> list[Tool]:
        """Those that may be called."""
        return [tool for tool in TOOLS if self.write or not tool.changes]

    def call(self, tool: Tool, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """Have a tool do what it does.

        Returns:
            What the command of that name prints with ``--json``; a list as a member of an object.

        Raises:
            CatalogError: what the catalogue says; or all pictures were refused.
        """
        answer: dict[str, Any] = plain(tool.run(self, parse(tool.arguments, arguments)), MCP)
        return answer

    def nearest(self, given: Nearest) -> Any:
        """The items that look most like pictures, or like an item."""
        if (given.pictures is None) == (given.item is None):
            raise InvalidInput("either pictures or an item is asked about")
        if given.pictures is None:
            near = self._catalog.nearest(k=given.k, item=given.item)
            return {"answers": [record(f"item {given.item}", "neighbours", near)]}
        _require_few(len(given.pictures), given.k, "neighbours", "k")
        found = self._catalog.nearest_many(self._pictures(given.pictures), given.k)
        return self._answers(given.pictures, found, "neighbours")

    def predict(self, given: Predict) -> Any:
        """Which class pictures are."""
        _require_few(len(given.pictures), given.top, "candidates", "top")
        found = self._catalog.predict_many(
            self._pictures(given.pictures),
            given.top,
            precision=given.precision,
            counts=given.counts,
        )
        return self._answers(given.pictures, found, "prediction")

    def classes(self, given: Classes) -> Any:
        """The classes, a page at a time."""
        found = searched(self._catalog.labels(), given.search)
        page = found[given.offset : given.offset + given.limit]
        return {"classes": page, "total": len(found)}

    def info(self, _given: Info) -> Any:
        """What the catalogue is."""
        return self._catalog.info()

    def audit(self, given: Audit) -> Any:
        """What is wrong in the catalogue, and what it lacks; of each list the first."""
        left_off: dict[str, int] = {}
        told = _shortened(plain(self._catalog.audit(), MCP), given.limit, "", left_off)
        return {**told, "left_off": left_off} if left_off else told

    def add_class(self, given: AddClass) -> Any:
        """A new class of some pictures."""
        added = self._catalog.add_class(
            given.label, self._pictures(given.pictures), move=given.move
        )
        if added.refused and not (added.added or added.moved or added.known):
            first = added.refused[0]
            why = said(CatalogError(first.detail, first.advice), MCP)
            raise Conflict(f"no picture was taken, so there is no class {given.label!r}: {why}")
        return added

    def feedback(self, given: Feedback) -> Any:
        """What a picture shows, said by someone who knows."""
        (picture,) = self._pictures([given.picture])
        return self._catalog.feedback(picture, given.label, note_only=given.note_only)

    def _pictures(self, given: Sequence[GivenPicture]) -> list[Picture]:
        for one in given:
            self._require_allowed(one.path)
        return [one.picture(place) for place, one in enumerate(given, 1)]

    def _require_allowed(self, path: str | None) -> None:
        """Say which files may be read, which where they are opened nobody knows.

        Raises:
            InvalidInput: this may not.
        """
        if path is None:
            return
        if not self.folders:
            raise InvalidInput(
                "no file may be read here: send pictures as base64, or have the server started "
                "with --allow and the folder that they are in"
            )
        try:
            require_allowed(path)
        except PermissionError as error:
            where = ", ".join(map(str, self.folders))
            raise InvalidInput(
                f"{path} cannot be read here: {error.strerror}, which are {where}"
            ) from None
        except ValueError:  # as no path can be; what reads it says so
            pass

    def _answers(
        self, given: Sequence[GivenPicture], found: Sequence[object], what: str
    ) -> dict[str, Any]:
        """The answer about each picture, or why it was refused.

        Raises:
            PictureError: all of them were.
        """
        refused = [one for one in found if isinstance(one, PictureError)]
        if len(refused) == len(found):
            first = refused[0]
            raise PictureError(first.reason, first.detail, first.source or given[0].path)
        pairs = zip(given, found, strict=True)
        return {"answers": [record(one.path, what, answer) for one, answer in pairs]}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: of it.
        does: what it does, for those who choose among tools.
        arguments: that it takes.
        run: does it.
        changes: whether it changes the catalogue.
    """

    name: str
    does: str
    arguments: type[Arguments]
    run: Callable[[Tools, Any], Any]
    changes: bool = False


TOOLS: Final = (
    Tool(
        "predict",
        "Tell which class of the catalogue each picture shows, and how sure that is. The verdict "
        "is match, ambiguous (the likely classes are listed), disagree (two witnesses name two "
        "classes) or unknown (it looks like none); the probability is measured, or null where "
        "there is too little to measure. Pictures that are refused stand among the answers, with "
        "the reason.",
        Predict,
        Tools.predict,
    ),
    Tool(
        "nearest",
        "Find the items of the catalogue that look most like each picture, or like an item, best "
        "first, with their classes and where their pictures were found.",
        Nearest,
        Tools.nearest,
    ),
    Tool(
        "classes",
        "List the classes with their numbers of items, a page at a time, in the natural order of "
        "their names; total says how many there are.",
        Classes,
        Tools.classes,
    ),
    Tool(
        "info",
        "Say what the catalogue is: how many classes and items, which network, and the hash of "
        "what it has learnt.",
        Info,
        Tools.info,
    ),
    Tool(
        "audit",
        "Look for what is wrong with the catalogue: pictures that are in two classes, items that "
        "are likely mislabelled, classes that will be confused or need more pictures, classes that "
        "are missing, and whether what is asked drifts. left_off says how many are not listed.",
        Audit,
        Tools.audit,
    ),
    Tool(
        "add_class",
        "Make a new class of some pictures; it is known at once. `catalog undo` takes it back. "
        "Pictures that are refused are listed, with the reason.",
        AddClass,
        Tools.add_class,
        changes=True,
    ),
    Tool(
        "feedback",
        "Say which class a picture really shows: the answer is confirmed or corrected, and the "
        "picture is learnt from. A name that is new becomes a class. `catalog undo` takes it back.",
        Feedback,
        Tools.feedback,
        changes=True,
    ),
)
"""All there are."""


def _require_few(pictures: int, each: int, what: str, name: str) -> None:
    """Make sure that an answer is not too long.

    Raises:
        InvalidInput: it would be.
    """
    if pictures * each > MOST_ANSWERS:
        raise InvalidInput(
            f"a call is answered with at most {MOST_ANSWERS} {what}; ask with a lower {name}, or "
            "about fewer pictures"
        )


def _shortened(value: Any, most: int, name: str, left_off: dict[str, int]) -> Any:
    """A result whose lists have so many members at most.

    Args:
        value: of plain values.
        most: how many.
        name: of the value.
        left_off: gets how many were left off lists, by their names.
    """
    if isinstance(value, dict):
        return {
            key: _shortened(part, most, f"{name}.{key}".lstrip("."), left_off)
            for key, part in value.items()
        }
    if isinstance(value, list):
        if len(value) > most:
            left_off[name] = left_off.get(name, 0) + len(value) - most
        return [_shortened(part, most, name, left_off) for part in value[:most]]
    return value
