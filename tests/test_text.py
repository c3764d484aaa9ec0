"""Names of files and classes as they are shown, written and put in order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import photos
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from strategies import label_text
from terminal import read_terminal
from tiny_network import NAME, command, environment, run

from catalog import Catalog
from catalog.cli.output import print_json, print_table
from catalog.store.names import label_key
from catalog.text import natural, unwritten, visible, written

SPOOFS = "a\x1b[31m\x9bm\r\n\t\x07\u202egpj\u2066\u200b\u2028\ufeff\xad\U000e0041\u3164\udcff"
ODD_FILE = b"\x1b]0;own\x07\n\xff #?%41\xe2\x80\xae.jpg"
ODD_SHOWN = r"\x1b]0;own\x07\n\udcff #?%41\u202e.jpg"
SEEN = [
    "Shirt \\x1b",
    "Café 杯子",
    "한글",
    "بی\u200cپی",
    "क्\u200dष",
    "👩\u200d🔬",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
]


class TestVisible:
    """What cannot be seen is written out; what can is left alone."""

    def test_what_is_hidden(self) -> None:
        """Controls, turns of direction, blanks and halves of bytes are written as Python would."""
        expected = (
            r"a\x1b[31m\x9bm\r\n\t\x07\u202egpj\u2066\u200b\u2028\ufeff\xad\U000e0041\u3164\udcff"
        )
        assert visible(SPOOFS) == expected

    @pytest.mark.parametrize("text", SEEN)
    def test_what_is_seen(self, text: str) -> None:
        """Scripts and emoji are as they were, with the joiners that they are written with."""
        assert visible(text) == text

    def test_joiners_elsewhere(self) -> None:
        """Where a joiner joins nothing, it makes two names look like one."""
        assert (
            visible("cu\u200dp \u200c杯\u200d子 e\ufe0f") == r"cu\u200dp \u200c杯\u200d子 e\ufe0f"
        )

    @given(label_text() | st.text(st.characters(codec=None)))
    def test_any_text(self, text: str) -> None:
        """It is one line that can be encoded, has no control, and stays as it is the next time."""
        shown = visible(text)
        assert shown.encode().decode() == shown
        assert len(shown.splitlines()) <= 1
        assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cs"}
        assert visible(shown) == shown


class TestWritten:
    """Names of files in JSON."""

    @given(st.binary(max_size=30))
    def test_bytes_come_back(self, name: bytes) -> None:
        """Whatever bytes a name has, they can be had again, unless it has such letters itself."""
        if b"\\udc" not in name:
            assert os.fsencode(unwritten(written(os.fsdecode(name)))) == name

    @given(st.text(st.characters(codec="utf-8") | st.sampled_from(SPOOFS[:-1])))
    @pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
    def test_json_is_lossless(self, encoding: str, text: str) -> None:
        """What is read back is what was written, though it is safe for a terminal."""
        with pytest.MonkeyPatch.context() as patch:
            read, end = os.pipe()
            with open(end, "w", encoding=encoding) as stream:  # noqa: PTH123
                patch.setattr("sys.stdout", stream)
                print_json({text: [text]})
            with open(read, encoding=encoding) as stream:  # noqa: PTH123
                out = stream.read()
        assert json.loads(out) == {text: [text]}
        assert all(one == "\n" or visible(one) == one for one in out)


class TestNatural:
    """Names are sorted as people look for them."""

    def test_numbers_count(self) -> None:
        """Numbers within names go by value, in every script; all else is as it was."""
        names = [
            "1",
            "2",
            "10",
            "100",
            "a",
            "a 2 b 9",
            "a 2 b 10",
            "a 10",
            "a-1",
            "a1",
            "b",
            "२",
            "१०",
        ]
        key = sorted(names, key=natural)
        assert key == ["1", "2", "२", "10", "१०", "100", "a", *names[5:8], "a-1", "a1", "b"]
        assert sorted(["x007", "x7", "x08", "x" + "9" * 9000], key=natural)[-1][:3] == "x99"

    @given(st.lists(label_text().filter(lambda text: not re.search(r"\d", text))))
    def test_without_numbers(self, names: list[str]) -> None:
        """Without numbers the order is that of the letters."""
        assert sorted(names, key=natural) == sorted(names)


def test_tables_are_straight(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns begin at the same place whatever a letter's width; only numbers go to the right."""
    print_table(
        [(1, name, 0.5) for name in (*SEEN[1:4], "10", "e\u0301", "a\nb")], ("", "class", "x")
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    starts = {cell_len(line[: line.rindex("0.500")]) for line in lines[1:]}
    assert len(starts) == 1
    assert lines[4].split("  ")[:2] == ["1", "10"]


@pytest.fixture(scope="module")
def odd(tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of files whose names are no text, in classes that are numbers."""
    folder = tmp_path_factory.mktemp("odd")
    for thing, label in enumerate(("10", "2", "杯子")):
        (folder / "tree" / label).mkdir(parents=True)
        for shot in range(2):
            name = os.fsdecode(str(shot).encode() + ODD_FILE)
            (folder / "tree" / label / name).write_bytes(photos.photo(thing, shot))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_CACHE", str(tiny_cache))
        with Catalog.init(folder / "shop.catalog", backbone=NAME, views="fast") as made:
            made.import_(folder / "tree")
    return folder


class Page(HTMLParser):
    """The titles and the pictures of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.images = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is of interest."""
        self.titles += [value or "" for name, value in attrs if name == "title"]
        self.images += tag == "img"


class TestCommand:
    """Names that are no text, through the command."""

    def ask(self, odd: Path, cache: Path, *words: str | Path) -> tuple[str, str]:
        """What a command that succeeds says."""
        done = run(*words, "--catalog", odd / "shop.catalog", cache=cache)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    def test_in_order(self, odd: Path, tiny_cache: Path) -> None:
        """Classes are listed by the value of numbers, in tables, JSON and reports."""
        order = ["2", "10", "杯子"]
        out, _ = self.ask(odd, tiny_cache, "labels")
        assert [line.split()[1] for line in out.splitlines()] == order
        out, _ = self.ask(odd, tiny_cache, "labels", "--json")
        assert [row["label"] for row in json.loads(out)] == order
        found = json.loads(self.ask(odd, tiny_cache, "evaluate", odd / "tree", "--json")[0])
        assert [row["label"] for row in found["per_class"]] == order
        assert found["confusion_matrix"]["labels"] == order
        assert all(row[at] == 2 for at, row in enumerate(found["confusion_matrix"]["counts"]))

    def test_in_a_table(self, odd: Path, tiny_cache: Path) -> None:
        """Each row is a line that a terminal cannot obey, straight or not."""
        query = odd / "tree" / "2" / os.fsdecode(b"0" + ODD_FILE)
        for words in (("items",), ("nearest", query), ("predict", query, query), ("audit",)):
            out, err = self.ask(odd, tiny_cache, *words)
            assert visible((out + err).replace("\n", "")) == (out + err).replace("\n", "")
            if words[0] == "items":
                assert len(out.splitlines()) == 6
            if words[0] != "audit":
                assert ODD_SHOWN in out

    def test_in_json(self, odd: Path, tiny_cache: Path) -> None:
        """A file can be had again by what JSON says of it, the same in each answer."""
        query = odd / "tree" / "2" / os.fsdecode(b"0" + ODD_FILE)
        (row,) = json.loads(self.ask(odd, tiny_cache, "nearest", query, "-k", "1", "--json")[0])
        assert row["picture"] == row["neighbours"][0]["sources"][0] == written(str(query))
        assert Path(unwritten(row["picture"])).read_bytes() == query.read_bytes()

    def test_in_a_page(self, odd: Path, tiny_cache: Path, tmp_path: Path) -> None:
        """A contact sheet has the names as they are shown, and the pictures of all."""
        query = odd / "tree" / "2" / os.fsdecode(b"0" + ODD_FILE)
        sheet = tmp_path / "sheet.html"
        self.ask(odd, tiny_cache, "nearest", query, "--html", sheet)
        page = Page(sheet.read_text("utf-8"))
        assert page.titles[0] == f"0{ODD_SHOWN}"
        assert all(title.endswith(ODD_SHOWN) for title in page.titles)
        assert page.images == len(page.titles) == 7
        self.ask(odd, tiny_cache, "evaluate", odd / "tree", "--html", sheet, "--replace")
        assert "杯子" in sheet.read_text("utf-8")

    def test_in_errors(self, odd: Path, tiny_cache: Path, tmp_path: Path) -> None:
        """Errors, refusals and usage say odd names on one line, whoever made them."""
        gone = os.fsdecode(ODD_FILE)
        (tmp_path / gone).write_text("path,label\n,\n")
        for words, code in (
            (("predict", gone), 5),
            (("labels", "--catalog", gone), 2),
            (("import", gone), 2),
            (("evaluate", f"{gone}.csv"), 3),
            (("backup", Path(gone) / "x"), 3),
        ):
            done = run(
                *words, cache=tiny_cache, cwd=tmp_path, CATALOG_PATH=str(odd / "shop.catalog")
            )
            assert done.returncode == code, done.stderr
            assert done.stderr.count("\n") == 1, words
            assert r"\x1b]0;own\x07\n" in done.stderr
            assert visible(done.stderr[:-1]) == done.stderr[:-1]
        for words in (("items", "a\x1b[31m\n"), ("items", "--a\x1b[31m"), ("a\x1b[31m",)):
            done = run(*words, cache=tiny_cache, CATALOG_PATH=str(odd / "shop.catalog"))
            assert done.returncode == 2
            assert "\x1b" not in done.stderr
            assert r"a\x1b[31m" in done.stderr

    def test_on_a_terminal(self, odd: Path, tiny_cache: Path, tmp_path: Path) -> None:
        """A bar that is drawn for a class obeys nothing in its name."""
        pictures = photos.draw(tmp_path / "things", 6, 3)
        ours, theirs = os.openpty()
        with subprocess.Popen(
            command("add-class", "mug\u202e\u200b", *pictures, "--dry-run"),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=environment(
                tiny_cache, TERM="xterm", COLUMNS="200", CATALOG_PATH=str(odd / "shop.catalog")
            ),
        ):
            os.close(theirs)
            drawn = read_terminal(ours)
        assert r"mug\u202e\u200b" in drawn
        assert not set(drawn) & {"\u202e", "\u200b"}


def test_the_order_in_python(odd: Path) -> None:
    """The Python call lists classes as the command does, and the file keeps its own order."""
    with Catalog.open(odd / "shop.catalog") as opened:
        found = [row.label for row in opened.labels()]
        assert found == ["2", "10", "杯子"]
        with opened._store.reading() as tx:
            kept = [name for (name,) in tx.execute("SELECT name FROM label ORDER BY key")]
        assert kept == sorted(found, key=label_key) != found
