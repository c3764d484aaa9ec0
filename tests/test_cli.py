"""The command: data on stdout, the rest on stderr, and the same answers as the Python calls."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import photos
import pytest
from command_shop import LABELS
from terminal import read_terminal
from tiny_network import NAME, command, environment, run

from catalog import Box, Catalog, Evaluation, Info, Item, LabelCount, Picture, read_manifest
from catalog.cli.backbone import UNMEASURED_NOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.embedder.model_cache import Model


# Runs each command in one process, and says whether TensorFlow is there after it.
WATCH = """
import contextlib, io, json, sys
from catalog.cli.main import main
for line in json.load(sys.stdin):
    sys.argv = ["catalog", *line]
    code = 0
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    heavy = sorted({"tensorflow", "keras", "tensorflow_hub"} & set(sys.modules))
    print(json.dumps([line[0], code, heavy]))
"""


@pytest.fixture
def catalog(made: Path, tiny_cache: Path) -> Callable[..., Any]:
    """Runs a command that leaves the catalogue as it is, and must succeed."""

    def call(*arguments: str | Path | int, said: str = "", **options: Any) -> str:
        done = run(*arguments, cache=tiny_cache, CATALOG_PATH=str(made / "shop.catalog"), **options)
        assert (done.returncode, done.stderr) == (0, said)
        return done.stdout

    return call


@pytest.fixture
def change(shop: Path, tiny_cache: Path) -> Callable[..., Any]:
    """Runs a command with ``--json`` on a catalogue to change; what it prints, read."""

    def call(*arguments: str | Path | int, **options: Any) -> Any:
        done = run(*arguments, "--json", "--catalog", shop, cache=tiny_cache, **options)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return call


def as_json(value: Any) -> Any:
    """What a result is in JSON, by the names of fields; scores agree to 1e-5 between processes."""
    if isinstance(value, float):
        return pytest.approx(value, abs=2e-5)
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return {name: as_json(getattr(value, name)) for name in fields}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, dict):
        return {name: as_json(part) for name, part in value.items()}
    return value


def names_of(kind: Any) -> set[str]:
    """The fields of a result."""
    return {field.name for field in dataclasses.fields(kind)}


class TestAnswers:
    """Commands that change nothing say what the Python calls say."""

    @pytest.fixture
    def opened(self, made: Path, tiny_model: Model) -> Any:
        """The same catalogue in this process."""
        with Catalog.open(made / "shop.catalog") as catalog:
            yield catalog

    def test_labels(self, catalog: Callable[..., str], opened: Catalog) -> None:
        """Classes come with slot, name and count, in the order of names."""
        found = json.loads(catalog("labels", "--json"))
        assert found == as_json(opened.labels())
        assert all(row.keys() == names_of(LabelCount) for row in found)
        assert catalog("labels") == "4  cup\n4  jug\n4  pan\n"

    def test_items(self, catalog: Callable[..., str], opened: Catalog) -> None:
        """Items come with id, class, hash and sources; of all classes, or of one."""
        found = json.loads(catalog("items", "--json"))
        assert found == as_json(opened.items())
        assert all(row.keys() == names_of(Item) for row in found)
        of_one = catalog("items", "--label", "jug").splitlines()
        assert [line.split(maxsplit=2) for line in of_one] == [
            [str(item.id), "jug", item.sources[0]] for item in opened.items("jug")
        ]

    def test_info(self, catalog: Callable[..., str], opened: Catalog) -> None:
        """The catalogue's size, embedder and learning state are listed by name."""
        found = json.loads(catalog("info", "--json"))
        assert found == as_json(opened.info())
        assert found.keys() == names_of(Info)
        note = f"{UNMEASURED_NOTE}\n"
        lines = dict(line.split(maxsplit=1) for line in catalog("info", said=note).splitlines())
        assert lines == {name: str(value) for name, value in found.items() if value is not None}

    def test_verify(self, catalog: Callable[..., str], opened: Catalog) -> None:
        """A sound catalogue is said to be sound."""
        assert json.loads(catalog("verify", "--json")) == as_json(opened.verify())
        assert catalog("verify") == "sound: 12 items, generation 3\n"

    def test_nearest(self, catalog: Callable[..., str], opened: Catalog, made: Path) -> None:
        """Neighbours of each picture come in order, with the very scores of the Python call."""
        queries = [str(made / "test" / label / "020.jpg") for label in LABELS]
        found = json.loads(catalog("nearest", *queries, "-k", 5, "--json"))
        assert found == [
            {"picture": query, "neighbours": as_json(answer)}
            for query, answer in zip(queries, opened.nearest_many(queries, k=5), strict=True)
        ]
        assert len(found[0]["neighbours"]) == 5
        lines = catalog("nearest", queries[0], "-k", 2).splitlines()
        assert lines[0].split() == ["score", "of", "class", "class", "item", "found", "at"]
        first = opened.nearest(queries[0])[0]
        assert lines[1].split() == [
            f"{first.score:.3f}",
            f"{first.class_score:.3f}",
            first.label,
            str(first.item),
            first.sources[0],
        ]
        assert len(lines) == 3

    def test_a_picture_on_stdin(
        self, catalog: Callable[..., str], opened: Catalog, made: Path
    ) -> None:
        """``-`` is the bytes of one picture; a box is a part of it."""
        content = (made / "test" / "jug" / "020.jpg").read_bytes()
        from_bytes = json.loads(catalog("nearest", "-", "--json", stdin=content))
        assert from_bytes == [{"picture": "-", "neighbours": as_json(opened.nearest(content))}]
        boxed = catalog("predict", "-", "--box", "4,4,40,40", "--json", stdin=content)
        expected = opened.predict(Picture(content, Box(4, 4, 40, 40)))
        assert json.loads(boxed)[0]["prediction"] == as_json(expected)

    def test_predict(self, catalog: Callable[..., str], opened: Catalog, made: Path) -> None:
        """A prediction has every witness, its scores, and what they come to."""
        query = made / "test" / "pan" / "021.jpg"
        expected = opened.predict(query, top=2)
        assert json.loads(catalog("predict", query, "--top", 2, "--json")) == [
            {"picture": str(query), "prediction": as_json(expected)}
        ]
        assert len(expected.centroid) == 2
        lines = catalog("predict", query).splitlines()
        assert lines[0].startswith(str(expected.label))
        assert lines[1].split() == ["class", "head", "its", "mean", "its", "nearest", "item"]
        few = [f"more photos of {' and '.join(map(repr, expected.surer))} would make it surer"]
        assert lines[2 + len(LABELS) :] == few
        two = catalog("predict", query, made / "test" / "cup" / "020.jpg").splitlines()
        assert two[0] == f"{query}:"

    def test_evaluate(self, catalog: Callable[..., str], opened: Catalog, made: Path) -> None:
        """The figures of a tree are those of the Python call, and those of a manifest of it."""
        tree = made / "test"
        found = json.loads(catalog("evaluate", tree, "--json"))
        expected = as_json(opened.evaluate(read_manifest(tree).entries))
        assert found == expected
        assert found.keys() == names_of(Evaluation)
        assert 0 <= found["centroid"]["top1"] <= 1
        rows = [f"{label}/{shot}.jpg,{label}" for label in LABELS for shot in ("020", "021")]
        manifest = "\n".join(["path,label", *rows])
        from_stdin = json.loads(catalog("evaluate", "-", "--json", stdin=manifest, cwd=tree))
        assert from_stdin == expected
        text = catalog("evaluate", tree).splitlines()
        assert text[0] == "6 pictures of 3 classes"
        assert text[2].split() == [
            "cross-check",
            *(f"{found['cross_check'][top]:.3f}" for top in ("top1", "top5")),
        ]

    def test_model_list(self, tiny_cache: Path, tiny_model: Model) -> None:
        """The networks on this machine are listed, as the Python call lists them."""
        found = json.loads(run("model", "list", "--json", cache=tiny_cache).stdout)
        assert [row["sha256"] for row in found] == [tiny_model.sha256]
        assert found[0].keys() >= {"path", "name", "origins", "input_size", "width"}
        assert tiny_model.sha256[:12] in run("model", "list", cache=tiny_cache).stdout

    def test_contact_sheets(self, made: Path, tiny_cache: Path, tmp_path: Path) -> None:
        """``--html`` writes a page beside the answer, and says where."""
        shop, query = made / "shop.catalog", made / "test" / "cup" / "020.jpg"
        for arguments in (("nearest", query), ("evaluate", made / "test")):
            sheet = tmp_path / f"{arguments[0]}.html"
            done = run(*arguments, "--html", sheet, "--json", "--catalog", shop, cache=tiny_cache)
            assert (done.returncode, done.stderr) == (0, f"contact sheet: {sheet}\n")
            assert json.loads(done.stdout)
            assert sheet.read_text("utf-8").startswith("<!doctype html>")


class TestChanges:
    """Commands that change a catalogue."""

    def test_init(self, tiny_cache: Path, tmp_path: Path) -> None:
        """A new catalogue is made with the network and preset asked for, and described."""
        path = tmp_path / "new.catalog"
        done = run("init", path, "--backbone", NAME, "--views", "fast", "--json", cache=tiny_cache)
        info = json.loads(done.stdout)
        assert info.keys() == names_of(Info)
        assert (info["path"], info["items"], info["views"]) == (str(path), 0, "fast")
        assert info["backbone"].startswith(NAME)
        with Catalog.open(path) as catalog:
            assert catalog.info().fingerprint == info["fingerprint"]

    def test_add_and_remove(self, change: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
        """Classes and items come and go, and undo takes back each command, newest first."""
        state = change("info")["learning_state"]
        lids = photos.draw(tmp_path / "lids", 6, 3)
        made = change("add-class", "lid", *lids[:2])
        assert (made["label"], made["created"], made["added"]) == ("lid", True, 2)
        listed = "".join(f"{path}\n" for path in lids)
        more = change("add", "lid", "-", "-0", stdin="\0".join(map(str, lids)))
        assert (more["created"], more["added"], more["known"]) == (False, 1, 2)
        change("undo")
        more = change("add", "lid", "-", stdin=f"\ufeff{listed}")
        assert (more["created"], more["added"], more["known"]) == (False, 1, 2)
        (item, *_) = change("items", "--label", "lid")
        removed = [change("remove", item["id"]), change("remove-class", "lid", "--yes")]
        events = [event["id"] for event in change("history", "--last", "2")]
        assert removed == [
            {"items": 1, "classes": [], "event": events[0]},
            {"items": 2, "classes": ["lid"], "event": events[1]},
        ]
        assert change("info")["learning_state"] == state
        undone = [change("undo")[0]["kind"] for _ in range(4)]
        assert undone == ["remove-class", "remove", "add", "add"]
        assert change("info")["learning_state"] == state
        assert change("verify")["problems"] == []

    def test_moving(self, change: Callable[..., Any], made: Path) -> None:
        """``--move`` takes a picture from one class to another."""
        moved = change("add", "jug", made / "tree" / "cup" / "000.jpg", "--move")
        assert (moved["moved"], moved["refused"]) == (1, [])
        assert [row["items"] for row in change("labels")] == [3, 5, 4]

    @pytest.mark.parametrize("form", ["tree", "file", "csv", "jsonl"])
    def test_import(self, tiny_cache: Path, tmp_path: Path, form: str) -> None:
        """A tree, a manifest, and one on stdin as CSV or JSON lines come to the same."""
        tree = photos.draw_tree(tmp_path / "tree", LABELS, 2)
        path = tmp_path / "new.catalog"
        run("init", path, "--backbone", NAME, "--views", "fast", cache=tiny_cache)
        entries = [(str(file.relative_to(tree)), file.parent.name) for file in tree.rglob("*.jpg")]
        csv = "\n".join(["path,label", *(",".join(entry) for entry in entries)])
        lines = "\n".join(json.dumps({"path": at, "label": label}) for at, label in entries)
        (tree / "list.csv").write_text(csv)
        source, stdin = {
            "tree": (tree, None),
            "file": (tree / "list.csv", None),
            "csv": ("-", csv),
            "jsonl": ("-", lines),
        }[form]
        done = run(
            "import",
            source,
            "--json",
            cache=tiny_cache,
            stdin=stdin,
            cwd=tree,
            CATALOG_PATH=str(path),
        )
        assert done.returncode == 0
        found = json.loads(done.stdout)
        assert [(row["label"], row["added"]) for row in found["classes"]] == [
            (label, 2) for label in LABELS
        ]
        assert found["refused_classes"] == {}
        passed_over = f"passed over: 1 .csv file (not pictures): {tree / 'list.csv'}\n"
        assert done.stderr == (passed_over if form == "tree" else "")
        with Catalog.open(path) as catalog:
            sources = {item.sources[0]: item.label for item in catalog.items()}
        assert sources == {str(tree / at): label for at, label in entries}

    def test_import_reports(self, shop: Path, tiny_cache: Path, tmp_path: Path) -> None:
        """What was not taken is listed on stderr, and makes the exit code 5."""
        tree = photos.draw_tree(tmp_path / "tree", ["CUP", "lid"], 2, first=40)
        (tree / "lid" / "bad.jpg").write_bytes(b"")
        done = run("import", tree, "--catalog", shop, cache=tiny_cache)
        assert done.returncode == 5
        assert done.stdout == "4 pictures added, 1 new class, 0 known already, 1 refused\n"
        said = done.stderr.splitlines()
        assert said[0].startswith(f"refused: {tree / 'lid' / 'bad.jpg'}: ")
        assert said[1] == "note: 'CUP' is another spelling of class 'cup'"

    def test_removing_a_class_asks(self, shop: Path, tiny_cache: Path) -> None:
        """Without ``--yes`` a class is removed only after a yes; with nobody there, it stays."""
        arguments = ("remove-class", "cup", "--catalog", shop)
        for answer in ("", "n\n"):
            done = run(*arguments, stdin=answer, cache=tiny_cache)
            assert (done.returncode, done.stdout) == (1, "")
            assert "Remove class 'cup' with 4 items?" in done.stderr
        with Catalog.open(shop) as catalog:
            assert len(catalog.labels()) == 3
        done = run(*arguments, stdin="y\n", cache=tiny_cache)
        assert (done.returncode, done.stdout) == (0, "class 'cup' with 4 items removed\n")

    def test_a_network_is_imported(self, tiny_model: Model, tmp_path: Path) -> None:
        """A network is taken from a file; the second time it was here already."""
        cache = tmp_path / "cache"
        first, again = (run("model", "import", tiny_model.path, cache=cache) for _ in range(2))
        assert first.stdout.endswith(f"ready: {cache / 'models' / tiny_model.path.name}\n")
        assert "was here already" in again.stdout
        assert run("model", "list", cache=tmp_path / "none").stdout == ""


def on_a_terminal(*arguments: str | Path, cache: Path) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment(cache, TERM="xterm", COLUMNS="200"),
    ):
        os.close(theirs)
        return re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", read_terminal(ours))


class TestTerminal:
    """Progress is for eyes."""

    def test_bars_on_a_terminal_alone(self, made: Path, tiny_cache: Path) -> None:
        """An evaluation draws a bar with a count on a terminal, and leaves stdout to the data."""
        arguments = ("evaluate", made / "test", "--json", "--catalog", made / "shop.catalog")
        quiet = run(*arguments, cache=tiny_cache)
        assert quiet.stderr == ""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=environment(tiny_cache, TERM="xterm", COLUMNS="100"),
            text=True,
        ) as process:
            os.close(theirs)
            drawn = read_terminal(ours)
            out, _ = process.communicate()
        assert "evaluating" in drawn
        assert "6/6" in drawn
        assert out == quiet.stdout

    @pytest.mark.parametrize("label", ["Rope [/m]", "Shirt [blue] a\\[b] :smile:"])
    def test_names_are_text(self, shop: Path, tiny_cache: Path, tmp_path: Path, label: str) -> None:
        """A name with brackets is shown as it is, wherever a terminal shows it."""
        pictures = photos.draw(tmp_path / "things", 6, 2)
        again = photos.draw(tmp_path / "more", 6, 2, first=5)
        for arguments in (
            ("add-class", label, *pictures, "--dry-run"),
            ("add-class", label, *pictures),
            ("add", label, *again),
            ("labels",),
            ("items", "--label", label),
            ("nearest", pictures[0]),
            ("remove-class", f"{label} [/x]", "--yes"),
            (label,),  # no such command
        ):
            shown = on_a_terminal(*arguments, "--catalog", shop, cache=tiny_cache)
            assert "Traceback" not in shown
            assert label in shown or repr(label) in shown


def test_no_command_needs_tensorflow(
    made: Path, shop: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    """From init to undo TensorFlow is never imported."""
    tree, lids = made / "tree", photos.draw(tmp_path / "lids", 6, 3)
    lines: list[list[str | Path]] = [
        ["init", tmp_path / "new.catalog", "--backbone", NAME],
        ["import", tree],
        ["add-class", "lid", *lids[:2]],
        ["add", "lid", lids[2]],
        ["nearest", lids[0], "--html", tmp_path / "sheet.html"],
        ["predict", lids[0]],
        ["evaluate", tree],
        ["labels"],
        ["items"],
        ["info"],
        ["verify"],
        ["remove", "1"],
        ["remove-class", "lid", "--yes"],
        ["undo"],
        ["model", "list"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", WATCH],
        input=json.dumps([[str(part) for part in line] for line in lines]),
        env=environment(tiny_cache, CATALOG_PATH=str(shop)),
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert outcomes == [[line[0], 0, []] for line in lines]


@pytest.mark.real
class TestRealNetwork:
    """A few photos of groceries, and the real network."""

    def test_groceries(
        self, imagenet: Model, model_cache: Path, grocery: Path, tmp_path: Path
    ) -> None:
        """Classes added from folders of photos are told apart, and a prior is known for them."""
        path = tmp_path / "g.catalog"
        known, asked = (
            {one.label: str(one.picture.source) for one in read_manifest(grocery / part).entries}
            for part in ("train", "test")
        )
        labels = sorted(known)[::20]
        begun = run("init", path, "--json", cache=model_cache)
        assert (begun.returncode, begun.stderr) == (0, "")
        assert json.loads(begun.stdout)["prior"] is True
        lines = [
            json.dumps({"path": str(file), "label": label})
            for label in labels
            for file in sorted(Path(known[label]).parent.iterdir())[:5]
        ]
        stdin = "\n".join(lines)
        filled = run("import", "-", "--catalog", path, stdin=stdin, cache=model_cache)
        assert filled.returncode == 0
        assert "photos were made up of 1 picture" in filled.stderr  # of one class they are a burst
        assert len(filled.stderr.splitlines()) == 1
        queries = [asked[label] for label in labels]
        done = run("predict", *queries, "--json", "--catalog", path, cache=model_cache)
        found = [row["prediction"] for row in json.loads(done.stdout)]
        assert [one["label"] for one in found] == labels
        with Catalog.open(path) as catalog:
            assert found == as_json(catalog.predict_many(queries))
