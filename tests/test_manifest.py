"""Which pictures go into which class: trees, CSV and JSON lines, files and folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import Box, Entry, find_pictures, read_manifest
from catalog.descriptors import InvalidInput, NotFound

# What JSON can carry, with what some call the end of a line; half of a surrogate pair is left out.
CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\x0b\x1c\x85\u2028")
TEXT = st.text(CHARACTERS, min_size=1, max_size=12)
BOXES = st.none() | st.builds(
    Box, st.integers(0, 9999), st.integers(0, 9999), st.integers(1, 9999), st.integers(1, 9999)
)


def touch(root: Path, *names: str) -> Path:
    """Make empty files under a folder."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def listed(entries: tuple[Entry, ...]) -> list[tuple[str, str, Box | None]]:
    """What can be compared of entries: class, path and box."""
    return [(one.label, str(one.picture.source), one.picture.box) for one in entries]


class TestTrees:
    """Folders whose names are those of classes."""

    def test_the_folder_that_holds_a_picture_names_its_class(self, tmp_path: Path) -> None:
        """At any depth the innermost folder counts; pictures in the root have the root's name."""
        touch(tmp_path / "shop", "cups/red/1.jpg", "cups/blue/2.PNG", "jugs/3.webp", "4.gif")
        assert listed(read_manifest(tmp_path / "shop").entries) == [
            ("blue", str(tmp_path / "shop/cups/blue/2.PNG"), None),
            ("jugs", str(tmp_path / "shop/jugs/3.webp"), None),
            ("red", str(tmp_path / "shop/cups/red/1.jpg"), None),
            ("shop", str(tmp_path / "shop/4.gif"), None),
        ]

    def test_other_files_are_counted(self, tmp_path: Path) -> None:
        """Files that are not named as pictures are counted; hidden folders are not entered."""
        touch(tmp_path, "a/1.jpg", "a/notes.txt", "a/._1.jpg", "a/raw", ".git/2.jpg")
        listing = read_manifest(tmp_path)
        assert [Path(str(one.picture.source)).name for one in listing.entries] == ["1.jpg"]
        assert listing.others == 3

    def test_a_relative_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The current folder has a name, too."""
        touch(tmp_path / "cups", "1.jpg")
        monkeypatch.chdir(tmp_path / "cups")
        assert [one.label for one in read_manifest(Path()).entries] == ["cups"]

    @pytest.mark.parametrize("names", [(), ("notes.txt",)], ids=["empty", "no pictures"])
    def test_no_pictures(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        """A tree without pictures is invalid, and the endings that count are listed."""
        touch(tmp_path, *names)
        with pytest.raises(InvalidInput, match=r"no pictures in .*\.bmp, \.gif, \.jpeg, \.jpg"):
            read_manifest(tmp_path)

    def test_nothing_there(self, tmp_path: Path) -> None:
        """A path with nothing at it is not found."""
        with pytest.raises(NotFound, match=r"nothing at .*gone"):
            read_manifest(tmp_path / "gone")


class TestLines:
    """CSV and JSON lines."""

    @pytest.mark.parametrize(
        "text",
        [
            'path,label,box\na.jpg,cup,\nb/c.jpg,"jug, blue","1,2,3,4"\n',
            "\ufeff" + 'label,note,box,path\r\ncup,x,,a.jpg\r\n"jug, blue",,"1,2,3,4",b/c.jpg\r\n',
            '{"path": "a.jpg", "label": "cup"}\n\n'
            '{"path": "b/c.jpg", "label": "jug, blue", "box": "1,2,3,4"}\n',
            '\n{"path": "a.jpg", "label": "cup", "box": null, "more": [1]}\n'
            '{"path": "b/c.jpg", "label": "jug, blue", "box": "1,2,3,4"}',
        ],
        ids=["csv", "csv of a spreadsheet", "jsonl", "jsonl with more"],
    )
    @pytest.mark.parametrize("standard_input", [False, True])
    def test_forms(self, tmp_path: Path, text: str, *, standard_input: bool) -> None:
        """Every form gives the same entries; paths are relative to the manifest."""
        if standard_input:
            listing = read_manifest(tmp_path, text)
        else:
            (tmp_path / "list").write_text(text, "utf-8", newline="")
            listing = read_manifest(tmp_path / "list")
        assert listed(listing.entries) == [
            ("cup", str(tmp_path / "a.jpg"), None),
            ("jug, blue", str(tmp_path / "b" / "c.jpg"), Box(1, 2, 3, 4)),
        ]

    def test_absolute_paths_stay(self, tmp_path: Path) -> None:
        """A path that is absolute is taken as it is."""
        listing = read_manifest(tmp_path, "path,label\n/photos/a.jpg,cup\n")
        assert listed(listing.entries) == [("cup", "/photos/a.jpg", None)]

    @given(
        rows=st.lists(st.tuples(TEXT, TEXT, BOXES), min_size=1, max_size=5),
        ascii_only=st.booleans(),
    )
    def test_whatever_json_says_is_read(
        self, *, rows: list[tuple[str, str, Box | None]], ascii_only: bool
    ) -> None:
        """Any path and label that JSON lines can hold come out as they went in."""
        lines = [
            json.dumps(
                {"path": path, "label": label, "box": box and str(box)}, ensure_ascii=ascii_only
            )
            for label, path, box in rows
        ]
        listing = read_manifest(Path("base"), "\n".join(lines))
        assert sorted(listed(listing.entries), key=str) == sorted(
            [(label, str(Path("base") / path), box) for label, path, box in rows], key=str
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "must be JSON lines, or CSV (with commas) whose first line names the fields path"),
            ("a.jpg,cup\n", "whose first line names the fields"),
            ("path\na.jpg\n", "whose first line names the fields"),
            ("path,label\n", "there are no pictures in"),
            ("path,label\na.jpg,cup\nb.jpg\n", "line 3: needs a path and a label"),
            ("path,label\n,cup\n", "line 2: needs a path and a label"),
            ('path,label\na.jpg,"cup\n', "unexpected end of data"),
            ('"path"x,label\na.jpg,cup\n', "line 1: "),
            ("path,label,box\na.jpg,cup,\nb.jpg,cup,1;2;3;4\n", "line 3: a box is x,y,width,hei"),
            ('{"path": "a.jpg", "label": "cup"}\n{"path": "a.jpg"', "line 2: not JSON"),
            ('{"path": "a.jpg", "label": "cup"}\n[1]\n', "line 2: not a JSON object"),
            ('{"path": "a.jpg", "label": 7}\n', "line 1: needs a path and a label"),
            ('{"path": "a.jpg", "label": "cup", "box": "0,0,0,1"}\n', "line 1: a box needs x, y"),
        ],
    )
    def test_what_is_wrong_is_said(self, tmp_path: Path, text: str, words: str) -> None:
        """A manifest that cannot be read is invalid, with its name and the line."""
        file = tmp_path / "list.csv"
        file.write_text(text, "utf-8")
        with pytest.raises(InvalidInput) as refusal:
            read_manifest(file)
        assert words in str(refusal.value)
        assert "list.csv" in str(refusal.value)

    def test_a_picture_is_no_manifest(self, tmp_path: Path) -> None:
        """A binary file is invalid by name, not a failure to decode."""
        (tmp_path / "photo.jpg").write_bytes(bytes(range(256)))
        with pytest.raises(InvalidInput, match=r"photo\.jpg is not a folder, CSV or JSONL file"):
            read_manifest(tmp_path / "photo.jpg")


class TestFilesAndFolders:
    """Pictures of one class."""

    def test_files_and_folders(self, tmp_path: Path) -> None:
        """A file stands for itself whatever its name, a folder for all pictures under it."""
        touch(tmp_path, "in/b.jpg", "in/deep/a.PNG", "in/c.txt", "in/.hidden/d.jpg", "e.dat")
        found = find_pictures([tmp_path / "e.dat", str(tmp_path / "in"), tmp_path / "gone.jpg"])
        names = ["e.dat", "in/b.jpg", "in/deep/a.PNG", "gone.jpg"]
        assert [picture.source for picture in found] == [tmp_path / name for name in names]

    def test_hidden_files_are_left_alone(self, tmp_path: Path) -> None:
        """In a folder, as in a tree, a hidden file is none of its pictures."""
        touch(tmp_path, "a.jpg", "._a.jpg")
        assert [picture.source for picture in find_pictures([tmp_path])] == [tmp_path / "a.jpg"]

    def test_a_folder_without_pictures(self, tmp_path: Path) -> None:
        """A folder that has none is invalid by name, even among others that have some."""
        touch(tmp_path, "a/1.jpg", "b/notes.txt")
        with pytest.raises(InvalidInput, match=r"no pictures in .*/b "):
            list(find_pictures([tmp_path / "a", tmp_path / "b"]))
