"""Exit codes of the command: one for each kind of failure, with one line that says what it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_network import NAME, run

from catalog import Catalog
from catalog.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class TestExitCodes:
    """Each kind of failure has its code and one line on stderr."""

    def check(self, outcome: tuple[int, str, str], code: int, words: str) -> None:
        """The code, the words, nothing on stdout, and no trace of Python."""
        assert (outcome[0], outcome[1]) == (code, "")
        assert words in outcome[2]
        assert "Traceback" not in outcome[2]

    @pytest.mark.parametrize(
        ("code", "words", "arguments"),
        [
            (1, "exists already", ("init", "SHOP")),
            (2, "CATALOG_PATH", ("labels",)),
            (2, "no view preset 'odd'", ("init", "NEW", "--backbone", NAME, "--views", "odd")),
            (2, "not a catalogue", ("labels", "--catalog", "PHOTO")),
            (2, "remove", ("remove", "seven", "--catalog", "SHOP")),
            (2, "is not a folder, CSV or JSONL file", ("import", "PHOTO", "--catalog", "SHOP")),
            (3, "there is no catalogue at", ("labels", "--catalog", "GONE")),
            (3, "no class 'lid'", ("items", "--label", "lid", "--catalog", "SHOP")),
            (3, "no item 99", ("remove", "99", "--catalog", "SHOP")),
            (3, "no item 9999", ("remove", "9" * 30, "--catalog", "SHOP")),
            (3, "no network 'odd'", ("init", "NEW", "--backbone", "odd")),
            (3, "there is nothing at", ("evaluate", "GONE", "--catalog", "SHOP")),
            (5, "(unreadable)", ("nearest", "GONE", "--catalog", "SHOP")),
            (5, "(unreadable)", ("predict", "GONE", "--catalog", "SHOP")),
        ],
    )
    def test_typed_errors(
        self,
        in_process: Callable[..., tuple[int, str, str]],
        shop: Path,
        made: Path,
        *,
        code: int,
        words: str,
        arguments: Sequence[str],
    ) -> None:
        """An error of the project is a message and its exit code."""
        places = {
            "SHOP": shop,
            "PHOTO": made / "tree" / "cup" / "000.jpg",
            "GONE": shop.with_name("gone"),
            "NEW": shop.with_name("new.catalog"),
        }
        self.check(in_process(*(places.get(one, one) for one in arguments)), code, words)

    def test_in_doubt(
        self, in_process: Callable[..., tuple[int, str, str]], made: Path, tmp_path: Path
    ) -> None:
        """With ``--strict`` an unknown picture, or one the predictors differ on, gives 4."""
        photo, empty = made / "tree" / "cup" / "000.jpg", tmp_path / "empty.catalog"
        Catalog.init(empty, backbone=NAME, views="fast").close()
        assert in_process("predict", photo, "--catalog", empty)[0] == 0
        code, out, _ = in_process("predict", photo, "--strict", "--catalog", empty)
        assert (code, out) == (4, "unknown: the catalogue is empty\n")
        shop = made / "shop.catalog"
        assert in_process("predict", photo, "--strict", "--catalog", shop)[0] == 0

    def test_locked(
        self,
        in_process: Callable[..., tuple[int, str, str]],
        shop: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """While another writes, a change fails with 6, and a question is answered."""
        monkeypatch.setattr(Store.__init__, "__defaults__", (0.05,))
        with closing(sqlite3.connect(shop, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outcome = in_process("remove-class", "cup", "--yes", "--catalog", shop)
            self.check(outcome, 6, "being written by another process")
            assert in_process("labels", "--catalog", shop)[0] == 0

    def test_damaged(self, in_process: Callable[..., tuple[int, str, str]], shop: Path) -> None:
        """What verify finds in the file, and a file that cannot be read, give 7."""
        with closing(sqlite3.connect(shop, isolation_level=None)) as other:
            other.execute("UPDATE descriptor SET value = zeroblob(128) WHERE id = 1")
        outcome = in_process("verify", "--catalog", shop)
        self.check(outcome, 7, "damaged: 1 descriptors do not match their checksums")
        content = shop.read_bytes()
        shop.write_bytes(content[: len(content) // 2])
        self.check(in_process("labels", "--catalog", shop), 7, "is damaged")

    def test_an_empty_model_cache(self, made: Path, tmp_path: Path) -> None:
        """Without its network a catalogue still lists; a question says how to get the network."""
        shop, photo = made / "shop.catalog", made / "tree" / "cup" / "000.jpg"
        assert run("labels", "--catalog", shop, cache=tmp_path).returncode == 0
        asked = run("nearest", photo, "--catalog", shop, cache=tmp_path)
        self.check((asked.returncode, asked.stdout, asked.stderr), 3, "catalog model import")
        wanted = ("--backbone", "imagenet")
        begun = run("init", tmp_path / "new.catalog", *wanted, cache=tmp_path)
        self.check((begun.returncode, begun.stdout, begun.stderr), 3, "catalog model fetch")

    def test_a_page_that_cannot_be_written(
        self, in_process: Callable[..., tuple[int, str, str]], made: Path, tmp_path: Path
    ) -> None:
        """A contact sheet that cannot be written is said to be so, by name."""
        sheet = tmp_path / "none" / "sheet.html"
        photo, shop = made / "tree" / "cup" / "000.jpg", made / "shop.catalog"
        code, out, err = in_process("nearest", photo, "--html", sheet, "--catalog", shop)
        assert (code, out) == (3, "")
        assert str(sheet.parent) in err

    def test_a_list_in_another_encoding(self, shop: Path, tiny_cache: Path) -> None:
        """A manifest on stdin in no encoding that is known is refused as one in a file is."""
        manifest = "path,label\ncafé.jpg,café\n".encode("latin-1") + b"\x81\n"
        done = run(
            "import",
            "-",
            "--catalog",
            shop,
            cache=tiny_cache,
            stdin=manifest,
            PYTHONIOENCODING="utf-8:strict",
        )
        self.check((done.returncode, done.stdout, done.stderr), 2, "neither UTF-8")
