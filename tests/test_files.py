"""Files that the program writes for its user: whole or not at all, and replacing nothing dear."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import photos
import pytest

from catalog import Catalog
from catalog.descriptors import CatalogError, Conflict, NotFound
from catalog.reports.contact_sheet import nearest_sheet, write_sheet
from catalog.reports.figure_output import FIGURE_ENDINGS, write_figure
from catalog.reports.figures import training_figure
from catalog.store.files import cache_folder

InProcess = Callable[..., tuple[int, str, str]]
PAGE = nearest_sheet([], [])


def page(path: Path, *, replace: bool = False) -> None:
    """Write a contact sheet."""
    write_sheet(PAGE, path, replace=replace)


def figure(path: Path, *, replace: bool = False) -> None:
    """Write a figure of a training."""
    write_figure(training_figure([2, 1], [0, 1]), path, replace=replace)


KINDS = ("jpg", "png", "webp", "bmp", "tiff")
PICTURES = {
    **{kind: photos.photo(0, extension=f".{kind}") for kind in KINDS},
    "gif": b"GIF89a\1\0\1\0\0\0\0",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0",
    "a raw photo": b"IIU\0\x18\0\0\0",
}
WRITERS = [(page, ".html"), *((figure, ending) for ending in FIGURE_ENDINGS)]
every_writer = pytest.mark.parametrize(("write", "ending"), WRITERS)


@contextmanager
def nearly_full() -> Iterator[None]:
    """Let no file grow beyond a thousand bytes, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


class TestPlaces:
    """What may stand where a file is to be."""

    @every_writer
    def test_its_own(self, tmp_path: Path, write: Callable[..., None], ending: str) -> None:
        """A page or figure takes the place of one that was made before, without being asked to."""
        path = tmp_path / f"made{ending}"
        write(path)
        before = path.read_bytes()
        path.chmod(0o600)
        write(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @every_writer
    def test_of_the_user(self, tmp_path: Path, write: Callable[..., None], ending: str) -> None:
        """Another file is kept, unless it is said that it may go."""
        path = tmp_path / f"mine{ending}"
        path.write_text("<!doctype html>my notes")
        with pytest.raises(Conflict, match="replace=True"):
            write(path)
        assert path.read_text() == "<!doctype html>my notes"
        write(path, replace=True)
        assert path.stat().st_size > 1000

    @every_writer
    @pytest.mark.parametrize("kind", PICTURES)
    def test_pictures(
        self, tmp_path: Path, write: Callable[..., None], ending: str, kind: str
    ) -> None:
        """No picture is replaced, whatever it is called, and whatever is said."""
        path, before = tmp_path / f"page{ending}", PICTURES[kind]
        path.write_bytes(before)
        for replace in (False, True):
            with pytest.raises(Conflict, match="is a picture"):
                write(path, replace=replace)
        assert path.read_bytes() == before

    @every_writer
    def test_another_kind_of_page(
        self, tmp_path: Path, write: Callable[..., None], ending: str
    ) -> None:
        """A figure does not take the place of a page, nor a page that of a figure."""
        for other, named in WRITERS:
            if named != ending:
                other(tmp_path / f"other{named}")
                path = (tmp_path / f"other{named}").rename(tmp_path / f"other{ending}")
                with pytest.raises(Conflict):
                    write(path)

    @every_writer
    @pytest.mark.parametrize("lost", ["nothing", "its beginning"])
    def test_catalogues(
        self, tmp_path: Path, shop: Path, write: Callable[..., None], ending: str, lost: str
    ) -> None:
        """No catalogue is replaced, nor its journal, nor one that has lost its beginning."""
        path = Path(shutil.copy(shop, tmp_path / f"a{ending}"))
        if lost != "nothing":
            cache_folder(path).mkdir()
            path.write_bytes(bytes(100) + path.read_bytes()[100:])
        before = path.read_bytes()
        alias = tmp_path / f"alias{ending}"
        alias.symlink_to(path)
        for replace in (False, True):
            for place in (path, alias):
                with pytest.raises(Conflict, match="is a catalogue"):
                    write(place, replace=replace)
        assert path.read_bytes() == before
        if write is page:
            with pytest.raises(Conflict, match="belongs to one"):
                write(path.with_name(f"{path.name}-journal"))

    @every_writer
    def test_folders(self, tmp_path: Path, write: Callable[..., None], ending: str) -> None:
        """A folder is not replaced, and one that is not there is not made."""
        (tmp_path / f"a{ending}").mkdir()
        with pytest.raises(Conflict, match="is a folder"):
            write(tmp_path / f"a{ending}", replace=True)
        with pytest.raises(NotFound, match="there is no folder"):
            write(tmp_path / "none" / f"a{ending}")

    @every_writer
    def test_a_link(self, tmp_path: Path, write: Callable[..., None], ending: str) -> None:
        """A link stays one, and what it leads to is written."""
        (tmp_path / "real").mkdir()
        path = tmp_path / f"link{ending}"
        path.symlink_to(tmp_path / "real" / f"a{ending}")
        for _ in range(2):
            write(path)
        assert path.is_symlink()
        assert [file.name for file in (tmp_path / "real").iterdir()] == [f"a{ending}"]

    def test_a_pipe(self, tmp_path: Path) -> None:
        """What reads from a pipe gets the page."""
        pipe = tmp_path / "pipe.html"
        os.mkfifo(pipe)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
        reader.start()
        page(pipe)
        reader.join()
        assert read == [PAGE]

    def test_a_device(self) -> None:
        """A device takes what it is given, and stays what it is."""
        page(Path("/dev/null"))
        assert Path("/dev/null").is_char_device()


class TestWhole:
    """A file appears whole, or what was there stays."""

    @every_writer
    def test_a_full_disk(self, tmp_path: Path, write: Callable[..., None], ending: str) -> None:
        """Where the disk is full, nothing is left of a new file, and an old one is as it was."""
        old = tmp_path / f"old{ending}"
        write(old)
        before = old.read_bytes()
        with nearly_full():
            for path in (old, tmp_path / f"new{ending}"):
                with pytest.raises(CatalogError, match="cannot write"):
                    write(path)
        assert old.read_bytes() == before
        assert list(tmp_path.iterdir()) == [old]


class TestCommands:
    """The commands that write files refuse before they work, and lose nothing."""

    @pytest.mark.parametrize("said", [(), ("--replace",)])
    def test_the_catalogue_and_a_photo(
        self,
        in_process: InProcess,
        made: Path,
        shop: Path,
        tmp_path: Path,
        said: tuple[str, ...],
    ) -> None:
        """The catalogue that is asked, and the photos, are never written over."""
        photo = Path(shutil.copy(made / "test" / "cup" / "020.jpg", tmp_path / "a.jpg"))
        before = shop.read_bytes(), photo.read_bytes()
        for arguments in (
            ("nearest", photo, "--html", shop),
            ("evaluate", made / "test", "--html", shop),
            ("nearest", "--html", photo, photo),
        ):
            code, out, err = in_process(*arguments, *said, "--catalog", shop)
            assert (code, out) == (1, "")
            assert "choose another name" in err
        assert (shop.read_bytes(), photo.read_bytes()) == before

    def test_a_plot(self, in_process: InProcess, shop: Path, tmp_path: Path) -> None:
        """A head is not even trained if its curves would be written over something else."""
        notes = tmp_path / "notes.svg"
        notes.write_text("<svg>mine</svg>")
        code, out, err = in_process("train-head", "--plot", notes, "--catalog", shop)
        assert (code, out, notes.read_text()) == (1, "", "<svg>mine</svg>")
        assert "--replace" in err
        with Catalog.open(shop) as catalog:
            assert catalog.info().head == "exact"

    def test_exports(self, in_process: InProcess, made: Path, shop: Path, tmp_path: Path) -> None:
        """An export never takes the place of a picture or of another catalogue."""
        photo = Path(shutil.copy(made / "test" / "cup" / "020.jpg", tmp_path / "a.npz"))
        other = Path(shutil.copy(shop, tmp_path / "b.npz"))
        for path in (photo, other):
            before = path.read_bytes()
            code, _, err = in_process("export", path, "--replace", "--catalog", shop)
            assert (code, path.read_bytes()) == (1, before), err
