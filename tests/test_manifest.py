"""Which pictures go into which class: trees, CSV and JSON lines, files and folders."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import photos
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catalog import Box, Entry, find_pictures, manifest, read_manifest
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

    def test_what_is_passed_over_is_said(self, tmp_path: Path) -> None:
        """Files that are no pictures, what is hidden, and what systems keep, each kind once."""
        touch(tmp_path, "a/1.jpg", "a/notes.txt", "b/more.TXT", "a/._1.jpg", "a/raw", ".git/2.jpg")
        touch(tmp_path, "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/3.jpg", "a/Thumbs.db")
        listing = read_manifest(tmp_path)
        assert [Path(str(one.picture.source)).name for one in listing.entries] == ["1.jpg"]
        assert [(one.what, one.count) for one in listing.passed_over] == [
            ("$RECYCLE.BIN folders", 1),
            (".txt files", 2),
            ("@eaDir folders", 1),
            ("Thumbs.db files", 1),
            ("hidden files", 1),
            ("hidden folders", 1),
            ("unnamed files", 1),
        ]
        kinds = {one.what: one for one in listing.passed_over}
        assert kinds["@eaDir folders"].why == "thumbnails of a Synology NAS"
        assert kinds[".txt files"].examples == (
            str(tmp_path / "a/notes.txt"),
            str(tmp_path / "b/more.TXT"),
        )

    @pytest.mark.parametrize("name", ["1.jfif", "1.jpe", "1.mpo", "1", "1.backup", "1.txt"])
    def test_a_picture_is_one_by_what_it_holds(self, tmp_path: Path, name: str) -> None:
        """Whatever its ending, or without one."""
        file = touch(tmp_path, f"cup/{name}") / "cup" / name
        file.write_bytes(photos.photo(0))
        assert listed(read_manifest(tmp_path).entries) == [("cup", str(file), None)]
        assert [one.source for one in find_pictures([tmp_path])] == [file]

    def test_a_pipe_is_not_opened(self, tmp_path: Path) -> None:
        """A pipe in a folder, which nobody writes to, is passed over."""
        touch(tmp_path, "cup/1.jpg")
        os.mkfifo(tmp_path / "cup" / "pipe")
        assert len(read_manifest(tmp_path).entries) == 1

    def test_a_relative_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The current folder has a name, too."""
        touch(tmp_path / "cups", "1.jpg")
        monkeypatch.chdir(tmp_path / "cups")
        assert [one.label for one in read_manifest(Path()).entries] == ["cups"]

    @pytest.mark.parametrize("names", [(), ("notes.txt",)], ids=["empty", "no pictures"])
    def test_no_pictures(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        """A tree without pictures is invalid, and what is there instead is said."""
        touch(tmp_path, *names)
        others = ": 1 .txt files" if names else ""
        with pytest.raises(
            InvalidInput, match=f"no pictures in {re.escape(str(tmp_path))}{others}"
        ):
            read_manifest(tmp_path)

    def test_nothing_there(self, tmp_path: Path) -> None:
        """A path with nothing at it is not found."""
        with pytest.raises(NotFound, match=r"nothing at .*gone"):
            read_manifest(tmp_path / "gone")


class TestLinks:
    """Folders and files that are reached by two names."""

    def test_a_folder_of_the_tree_keeps_its_name(self, tmp_path: Path) -> None:
        """A link to it makes no class of another name, though it comes first; it is said."""
        touch(tmp_path, "Mugs/1.jpg", "Best sellers/own/2.jpg")
        (tmp_path / "Best sellers" / "this week").symlink_to("../Mugs")
        listing = read_manifest(tmp_path)
        assert [one.label for one in listing.entries] == ["Mugs", "own"]
        (passed,) = listing.passed_over
        assert passed.what == "links"
        assert str(tmp_path / "Mugs") in passed.why
        assert passed.examples == (str(tmp_path / "Best sellers" / "this week"),)

    def test_a_folder_from_elsewhere_has_the_name_of_the_link(self, tmp_path: Path) -> None:
        """A tree of links to other disks is a tree; a second link to one of them is said."""
        touch(tmp_path, "disk/0017/1.jpg", "shop/jug/2.jpg")
        (tmp_path / "shop" / "mug").symlink_to(tmp_path / "disk" / "0017")
        (tmp_path / "shop" / "other").symlink_to(tmp_path / "disk" / "0017")
        listing = read_manifest(tmp_path / "shop")
        assert [one.label for one in listing.entries] == ["jug", "mug"]
        assert [one.count for one in listing.passed_over] == [1]

    def test_a_loop_ends(self, tmp_path: Path) -> None:
        """A link to the folder that holds it is not followed, nor is what lies beside that."""
        touch(tmp_path, "shop/mug/1.jpg", "private/2.jpg")
        (tmp_path / "shop" / "mug" / "up").symlink_to(tmp_path)
        assert [one.label for one in read_manifest(tmp_path / "shop").entries] == ["mug"]

    def test_files(self, tmp_path: Path) -> None:
        """A link to a picture of the tree is passed over, one to a picture elsewhere is taken."""
        touch(tmp_path, "shop/mug/1.jpg", "shop/best/2.jpg", "disk/3.jpg")
        (tmp_path / "shop/best/1.jpg").symlink_to("../mug/1.jpg")
        (tmp_path / "shop/best/3.jpg").symlink_to(tmp_path / "disk/3.jpg")
        listing = read_manifest(tmp_path / "shop")
        assert [(one.label, Path(str(one.picture.source)).name) for one in listing.entries] == [
            ("best", "2.jpg"),
            ("best", "3.jpg"),
            ("mug", "1.jpg"),
        ]
        assert listing.passed_over[0].count == 1


class TestLevels:
    """Which folders of a tree name classes."""

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """Two things from two sides each."""
        return touch(
            tmp_path, "mug/front/1.jpg", "mug/back/2.jpg", "cup/Front/3.jpg", "cup/back/4.jpg"
        )

    def test_folders_of_one_name_are_asked_about(self, tree: Path) -> None:
        """They are listed, and not taken for one class unasked."""
        shared = read_manifest(tree).shared
        found = {(folders[0].name.lower(), len(folders)) for folders in shared}
        assert found == {("front", 2), ("back", 2)}
        with pytest.raises(InvalidInput, match=r"several folders are called .*and 1 more names"):
            manifest.listed(tree)
        assert len(manifest.listed(tree, class_level="last").entries) == 4

    @pytest.mark.parametrize(
        ("level", "labels"),
        [(1, ["cup", "cup", "mug", "mug"]), (2, ["Front", "back", "back", "front"])],
    )
    def test_levels(self, tree: Path, level: int, labels: list[str]) -> None:
        """Folders of one level name the classes of all that lies below them."""
        touch(tree, "5.jpg")
        listing = manifest.listed(tree, class_level=level)
        assert [one.label for one in listing.entries] == labels
        assert [one.count for one in listing.passed_over] == [1]

    def test_no_level(self, tree: Path) -> None:
        """A level is a number from 1, or last; one without pictures has none."""
        for level in (0, -1, "first"):
            with pytest.raises(InvalidInput, match="a level of folders is 1, 2"):
                read_manifest(tree, class_level=level)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="above level 3"):
            read_manifest(tree, class_level=3)


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
        rows = [row for row in rows if row[0].strip() and row[1].strip()]
        assume(rows)
        listing = read_manifest(Path("base"), "\n".join(lines))
        assert sorted(listed(listing.entries), key=str) == sorted(
            [(label, str(Path("base") / path), box) for label, path, box in rows], key=str
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "must be JSON lines, or CSV whose first line names the fields path"),
            ("a.jpg,cup\n", "whose first line names the fields"),
            ("path\na.jpg\n", "whose first line names the fields"),
            ("path,label\n", "there are no pictures in"),
            ("path,label\n,cup\n", "line 2: needs a path and a label"),
            ('path,label\na.jpg,"cup\n', "unexpected end of data"),
            ('"path"x,label\na.jpg,cup\n', "line 1: "),
            ('{"path": "a.jpg"', "line 1: not JSON"),
            ("path,label\n\n , \n", "there are no pictures in"),
            ("path,label\n,cup\nb.jpg\n", "line 2: needs a path and a label (and 1 more rows"),
            ('{"path": "a.jpg", "label": true}\n', "line 1: needs a path and a label"),
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

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("b.jpg", "needs a path and a label"),
            (",cup", "needs a path and a label"),
            ("b.jpg, ", "needs a path and a label"),
            ("b.jpg,cup,1;2;3;4", "a box is x,y,width,height in pixels, not '1;2;3;4'"),
            ('b.jpg,cup,"1,2,x,4"', "a box is x,y,width,height in pixels"),
            ('b.jpg,cup,"1,2,nan,4"', "a box is x,y,width,height in pixels"),
            ('b.jpg,cup,"0.1,0.2,0.5,0.4"', "in shares of the picture"),
            ('b.jpg,cup,"0,0,0,1"', "a box needs x, y"),
        ],
    )
    def test_one_bad_row_is_listed(self, tmp_path: Path, row: str, words: str) -> None:
        """The rest goes on, and the row is named with its line, blank ones counted."""
        listing = read_manifest(tmp_path, f"path,label,box\n\na.jpg,cup,\n{row}\nc.jpg,jug,\n")
        assert [one.label for one in listing.entries] == ["cup", "jug"]
        (bad,) = listing.bad_rows
        assert bad.place == "standard input, line 4"
        assert words in bad.detail

    @pytest.mark.parametrize(
        "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
    )
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_spreadsheets(self, tmp_path: Path, encoding: str, delimiter: str) -> None:
        """What Excel and others write is read: encodings, semicolons, tabs, odd headings."""
        rows = ([" Path ", "LABEL", "price"], ["Früh/ä 1.jpg", "Übergröße", "7,50"], ["", "", ""])
        text = "\r\n".join(delimiter.join(f'"{c}"' if "," in c else c for c in r) for r in rows)
        (tmp_path / "list.csv").write_bytes(f"{text}\r\n".encode(encoding))
        listing = read_manifest(tmp_path / "list.csv")
        assert listed(listing.entries) == [("Übergröße", str(tmp_path / "Früh/ä 1.jpg"), None)]
        assert not listing.bad_rows
        assert len(listing.notes) == (encoding == "cp1252")
        again = read_manifest(tmp_path, f"{text}\r\n".encode(encoding))
        assert listed(again.entries) == listed(listing.entries)

    def test_an_encoding_that_is_none(self, tmp_path: Path) -> None:
        """What is neither is refused with the line, and what was guessed is said with it."""
        text = b"path,label\na.jpg,cup\nb.jpg,"
        with pytest.raises(InvalidInput, match=r"input, line 3: the text is neither UTF-8, UTF-16"):
            read_manifest(tmp_path, text + b"\x81\x8d\n")
        (note,) = read_manifest(tmp_path, text + b"\xe9\n").notes
        assert "is not UTF-8 (line 3) and was read as Windows-1252" in note

    def test_what_excel_writes_before_the_header(self, tmp_path: Path) -> None:
        """The line that names the separator, and blank ones, are no header; lines count on."""
        listing = read_manifest(tmp_path, "sep=;\n\npath;label\na.jpg;cup\nb.jpg\n")
        assert [one.label for one in listing.entries] == ["cup"]
        assert [bad.place for bad in listing.bad_rows] == ["standard input, line 5"]

    def test_paths_of_windows(self, tmp_path: Path) -> None:
        """Backslashes are slashes where that leads to a file."""
        touch(tmp_path, "cups/1.jpg")
        (entry,) = read_manifest(tmp_path, "path,label\ncups\\1.jpg,cup\n").entries
        assert entry.picture.source == tmp_path / "cups/1.jpg"

    @pytest.mark.parametrize(
        "row",
        [
            '{"path": "a.jpg", "label": "cup", "box": "10,20,30,40"}',
            '{"path": "a.jpg", "label": "cup", "box": [10, 20, 30, 40]}',
            '{"path": "a.jpg", "label": "cup", "box": [10.4, 20.0, 29.1, 40.0]}',
            '{"path": "a.jpg", "label": "cup", "x": 10, "y": 20, "width": 30, "height": 40}',
            'path,label,box\na.jpg,cup,"10.0, 20.0, 30.0, 40.0"',
            "path,label,x,y,width,height\na.jpg,cup,10,20,30,40",
            "path,label,Xmin,Ymin,Xmax,Ymax\na.jpg,cup,10.0,20,40,60",
        ],
    )
    def test_boxes(self, tmp_path: Path, row: str) -> None:
        """A box is read in every form that programs write; fractions are rounded outwards."""
        (entry,) = read_manifest(tmp_path, row).entries
        assert entry.picture.box == Box(10, 20, 30, 40)

    def test_a_box_that_lacks_a_side(self, tmp_path: Path) -> None:
        """It is not taken for the whole photo."""
        text = "path,label,x,y,width,height\na.jpg,cup,10,20,30,\nb.jpg,cup,,,,\n"
        listing = read_manifest(tmp_path, text)
        assert [one.picture.box for one in listing.entries] == [None]
        assert "some are missing" in listing.bad_rows[0].detail

    def test_labels_that_are_numbers(self, tmp_path: Path) -> None:
        """A number names a class as it is written; a list of JSON is read as its lines."""
        rows = [{"path": "a.jpg", "label": 7}, {"path": "b.jpg", "label": 8.0}]
        for text in ("\n".join(map(json.dumps, rows)), json.dumps(rows)):
            assert [one.label for one in read_manifest(tmp_path, text).entries] == ["7", "8"]

    def test_a_picture_is_no_manifest(self, tmp_path: Path) -> None:
        """A binary file is invalid by name, not a failure to decode."""
        (tmp_path / "photo.jpg").write_bytes(bytes(range(256)))
        for beginning in (
            b"PK\x03\x04\x14\0\x06\0",
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            b"PK\x03\x04 foo",
        ):
            (tmp_path / "list.xlsx").write_bytes(beginning + bytes(100))
            with pytest.raises(InvalidInput, match=r"list\.xlsx is a spreadsheet .* as CSV"):
                read_manifest(tmp_path / "list.xlsx")
        with pytest.raises(InvalidInput, match=r"photo\.jpg is not a folder, CSV or JSONL file"):
            read_manifest(tmp_path / "photo.jpg")


class TestForeign:
    """Manifests of other programs."""

    def test_coco(self, tmp_path: Path) -> None:
        """Each box is a picture of its category; crowds and bare pictures are passed over."""
        touch(tmp_path, "images/a.jpg", "annotations/x")
        found = {
            "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
            "categories": [{"id": 5, "name": "cup"}, {"id": 6, "name": "jug"}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 5, "bbox": [10.2, 20, 29.5, 40]},
                {"id": 2, "image_id": 1, "category_id": 6},
                {"id": 3, "image_id": 1, "category_id": 6, "iscrowd": 1, "bbox": [1, 2, 3, 4]},
                {"id": 4, "image_id": 9, "category_id": 6},
            ],
        }
        file = tmp_path / "annotations" / "instances.json"
        file.write_text(json.dumps(found, indent=1))
        listing = read_manifest(file)
        source = str(tmp_path / "annotations/../images/a.jpg")
        assert listed(listing.entries) == [
            ("cup", source, Box(10, 20, 30, 40)),
            ("jug", source, None),
        ]
        assert [(one.what, one.why, one.count) for one in listing.passed_over] == [
            ("pictures", "without annotations", 1),
            ("annotations", "of crowds", 1),
        ]
        assert [bad.place for bad in listing.bad_rows] == [f"{file}, annotation 4"]

    def test_product_search(self, tmp_path: Path) -> None:
        """Eight columns without a header; two products of one display name stay two."""
        touch(tmp_path, "shoes/a.jpg", "b.jpg")
        text = (
            'gs://bucket/shoes/a.jpg,i1,set,p1,apparel,Sneaker,"style=1,c=red","10,20,40,20,40,60"\n'
            "gs://bucket/shoes/b.jpg,i2,set,p2,apparel,Sneaker,,\n"
            "gs://bucket/shoes/c.jpg,i3,set,p3,apparel,,,\n"
            "gs://bucket/shoes/d.jpg,i4,set,p3,apparel,,,0.1\n"
        )
        listing = read_manifest(tmp_path, text)
        assert listed(listing.entries) == [
            ("Sneaker (p1)", str(tmp_path / "shoes/a.jpg"), Box(10, 20, 30, 40)),
            ("Sneaker (p2)", str(tmp_path / "b.jpg"), None),
            ("p3", str(tmp_path / "shoes/c.jpg"), None),
        ]
        assert [bad.place for bad in listing.bad_rows] == ["standard input, line 4"]


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
        with pytest.raises(InvalidInput, match=r"no pictures in .*/b: 1 .txt files"):
            list(find_pictures([tmp_path / "a", tmp_path / "b"]))
