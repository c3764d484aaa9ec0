"""One behaviour, four ways in: Python, the command, HTTP and MCP say the same, and do the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import photos
import pytest
from assistant import assistant
from faces import Command, Face, Http, Mcp, Python, Refusal, Run
from served import serving

from catalog import Catalog
from catalog.embedder.model_cache import Model

OF_ITS_OWN = frozenset(
    {"path", "at", "created", "bytes", "sources", "place", "picture", "content", "advice", "job"}
)
"""What differs by the copy of the catalogue, the clock, and whether files or bytes are given."""

DETAILS = frozenset({"mark", "from"})


def common(value: Any) -> Any:
    """What all copies of a catalogue have in common of an answer; numbers but for rounding."""
    if isinstance(value, dict):
        kept = {name: common(part) for name, part in value.items() if name not in OF_ITS_OWN}
        if "detail" in kept and isinstance(kept["detail"], dict):
            kept["detail"] = {k: v for k, v in kept["detail"].items() if k not in DETAILS}
        return kept
    if isinstance(value, list):
        return [common(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


@pytest.fixture
def faces(
    made: Path, tmp_path: Path, tiny_cache: Path, tiny_model: Model, in_process: Run
) -> Iterator[dict[str, Face]]:
    """A copy of one catalogue for each way in."""
    paths = {}
    for name in ("python", "command", "http", "mcp"):
        paths[name] = tmp_path / f"{name}.catalog"
        shutil.copy(made / "shop.catalog", paths[name])
    with ExitStack() as stack:
        catalog = stack.enter_context(Catalog.open(paths["python"]))
        behind = stack.enter_context(Catalog.open(paths["http"]))
        client = stack.enter_context(serving(behind, allow=(made, tmp_path)))
        asking = stack.enter_context(
            assistant(tiny_cache, paths["mcp"], "--write", "--allow", made, "--allow", tmp_path)
        )
        found: dict[str, Face] = {
            "python": Python(catalog),
            "command": Command(paths["command"], in_process),
            "http": Http(client),
            "mcp": Mcp(paths["mcp"], in_process, asking),
        }
        yield found


def agree(faces: dict[str, Face], what: str, *given: Any, **named: Any) -> Any:
    """What all faces say of one thing, once it is seen to be the same."""
    said = {}
    for name, face in faces.items():
        try:
            said[name] = common(getattr(face, what)(*given, **named))
        except Refusal as error:
            said[name] = f"refused with {error}"
    assert said["command"] == said["python"], what
    assert said["http"] == said["python"], what
    assert said["mcp"] == said["python"], what
    return said["python"]


def test_questions(faces: dict[str, Face], made: Path, tmp_path: Path) -> None:
    """Pictures, items, lists and reports."""
    spoilt = tmp_path / "spoilt.jpg"
    spoilt.write_bytes(b"no picture")
    cup, jug = (made / "test" / label / "020.jpg" for label in ("cup", "jug"))
    assert agree(faces, "nearest", cup, 5)[0]["label"] == "cup"
    assert agree(faces, "nearest", cup, 3, "0,0,20,20")
    assert agree(faces, "nearest", cup, 3, "0,0,20000,20") == "refused with 5"
    assert agree(faces, "like", 1, 4)
    assert agree(faces, "like", 999, 4) == "refused with 3"
    said = agree(faces, "predict", [cup, spoilt, jug], 3, 0.9)
    assert [one.get("refused") for one in said] == [None, "unsupported", None]
    assert agree(faces, "labels")
    for label, after, limit in ((None, 0, 5), (None, 5, 100), ("jug", 0, 100), ("jug", 6, 1)):
        assert agree(faces, "items", label, after, limit)
    assert agree(faces, "items", "no such", 0, 5) == "refused with 3"
    assert agree(faces, "info")["items"] == 12
    assert agree(faces, "history", 2)
    assert agree(faces, "audit")["found"]
    assert agree(faces, "evaluate", made / "test")["pictures"] == 6


def test_changes(faces: dict[str, Face], made: Path, tmp_path: Path) -> None:
    """A day's work: every change, those that are refused, and what becomes of the catalogue."""
    pots = photos.draw(tmp_path / "pots", 9, 3)
    spoilt = tmp_path / "spoilt.jpg"
    spoilt.write_bytes(b"no picture")
    tests = {label: sorted((made / "test" / label).iterdir()) for label in ("cup", "jug", "pan")}

    def settled() -> None:
        for what in ("labels", "info"):
            agree(faces, what)

    assert agree(faces, "preview_class", "pot", pots)["pictures"] == 3
    assert agree(faces, "add_class", "pot", pots[:2])["added"] == 2
    assert agree(faces, "add_class", "pot", pots) == "refused with 1"
    assert agree(faces, "add_class", " ", pots) == "refused with 2"
    settled()
    added = agree(faces, "add", "pot", [pots[2], spoilt, tests["cup"][0]])
    assert (added["added"], [one["reason"] for one in added["refused"]]) == (2, ["unsupported"])
    assert agree(faces, "add", "no such", pots) == "refused with 3"
    assert agree(faces, "add", "cup", [tests["cup"][0]], move=True)["moved"] == 1
    settled()
    assert agree(faces, "feedback", tests["jug"][0], "jug")["added"] is True
    assert agree(faces, "feedback", tests["jug"][1], "pan", note_only=True)["added"] is False
    assert agree(faces, "feedback", tests["pan"][0], "lid")["outcome"] == "new class"
    settled()
    assert agree(faces, "rename_class", "pot", "Topf")["label"] == "Topf"
    assert agree(faces, "rename_class", "Topf", "cup") == "refused with 1"
    assert agree(faces, "rename_class", "pot", "x") == "refused with 3"
    assert agree(faces, "move", [1, 2], "heap", new=True)["moved"] == 2
    assert agree(faces, "move", [1, 2], "heap", new=True) == "refused with 1"
    assert agree(faces, "move", [999], "heap") == "refused with 3"
    assert agree(faces, "merge_classes", ["heap", "lid"], "jug")["moved"] == 3
    assert agree(faces, "merge_classes", ["jug"], "jug") == "refused with 2"
    settled()
    assert agree(faces, "remove", [3])["items"] == 1
    assert agree(faces, "remove", [3]) == "refused with 3"
    assert agree(faces, "remove_class", "Topf")["items"] == 3
    assert agree(faces, "remove_class", "Topf") == "refused with 3"
    settled()
    for kind in ("remove-class", "remove", "merge-classes"):
        assert agree(faces, "undo")[0]["kind"] == kind
        settled()
    assert agree(faces, "history", 100)
    agree(faces, "audit")


def test_whole_folders(faces: dict[str, Face], made: Path, tmp_path: Path) -> None:
    """What goes on as a job over HTTP comes to the same."""
    tree = photos.draw_tree(tmp_path / "tree", ["ewer", "fork"], 3, first=30)
    imported = agree(faces, "import_", tree)
    assert [added["added"] for added in imported["classes"]] == [3, 3]
    (tree / "fork" / "spoilt.jpg").write_bytes(b"no picture")
    next(iter(sorted((tree / "ewer").iterdir()))).unlink()
    photos.draw(tree / "gong", 12, 2)
    synced = agree(faces, "sync", tree)
    assert (len(synced["new"]), len(synced["gone"])) == (2, 1)
    assert agree(faces, "evaluate", tree)["pictures"] == 7
    agree(faces, "info")
    assert agree(faces, "history", 100)
