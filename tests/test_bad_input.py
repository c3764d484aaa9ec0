"""Bad input gets a typed outcome that says why, and the rest of the batch goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import malformed
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from inside import connection_of

from catalog import Catalog, Entry, Picture, find_pictures, read_manifest
from catalog.descriptors import (
    Advice,
    EmbedderMismatch,
    InvalidInput,
    NewerFormat,
    NotFound,
    PictureError,
)
from catalog.embedder import Box, MobileNetEmbedder
from catalog.store.schema import FORMAT_VERSION
from catalog.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from catalog.embedder import Source
    from catalog.embedder.model_cache import Model


IMAGE = photos.scene(3)
HEIGHT, WIDTH = IMAGE.shape[:2]
GREY = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)
VEILED = np.dstack([IMAGE, np.full((HEIGHT, WIDTH), 200, np.uint8)])
FRAMES = [((0, 0, 8, 8), [colour] * 64) for colour in (0, 1, 2)]


def spoilt_png() -> bytes:
    """Write a PNG whose compressed pixels are nonsense."""
    head, *_, end = malformed.png_chunks(photos.photo(3, 0, ".png"))
    return malformed.png_of_chunks([head, (b"IDAT", b"nonsense" * 20), end])


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"These are not the bytes of a picture.\n", "unsupported"),
    "truncated jpeg": (lambda: photos.photo(3)[:-300], "truncated"),
    "jpeg without its end": (lambda: photos.photo(3)[:-2], "truncated"),
    "truncated png": (lambda: photos.photo(3, 0, ".png")[:-30], "truncated"),
    "huge png": (lambda: malformed.black_png(12_000), "too_large"),
    "apng cut in a frame": (lambda: malformed.valid_pictures()["png animated"][:-40], "truncated"),
    "png of nonsense": (spoilt_png, "corrupt"),
}
ACCEPTED: dict[str, Callable[[], bytes]] = {
    "malformed apng": malformed.lethal_apng,
    "cmyk jpeg": lambda: malformed.flat_jpeg([30, 200, 90, 250], adobe=0),
    "16 bits": lambda: malformed.encode(".png", IMAGE.astype(np.uint16) * 257),
    "grey": lambda: malformed.encode(".jpg", GREY),
    "grey png": lambda: malformed.encode(".png", GREY),
    "alpha": lambda: malformed.encode(".png", VEILED),
    "animated gif": lambda: malformed.gif(FRAMES, screen=(8, 8)),
    "one pixel": lambda: malformed.encode(".png", IMAGE[:1, :1]),
    "progressive": lambda: malformed.valid_pictures()["jpeg progressive"],
    "webp": lambda: malformed.valid_pictures()["webp lossy"],
    "bmp": lambda: malformed.valid_pictures()["bmp"],
}
# How a picture is stored so that the Exif orientation of that number turns it upright.
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue of two classes, a cup and a jug, four items each."""
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as made:
        made.add_class("cup", photos.shots(0, 4))
        made.add_class("jug", photos.shots(1, 4))
        yield made


@pytest.fixture
def tiny(tiny_model: Model, tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue of one class with the real embedder over a tiny network."""
    with Catalog.init(tmp_path / "tiny.catalog", embedder=MobileNetEmbedder(tiny_model)) as made:
        made.add_class("cup", photos.shots(0, 2))
        yield made


class TestPictures:
    """Files that are no pictures, or odd ones."""

    @pytest.mark.parametrize("kind", REFUSED)
    def test_refused(self, catalog: Catalog, tmp_path: Path, kind: str) -> None:
        """A bad file is refused with its name and reason, and the others of the class go in."""
        draw, reason = REFUSED[kind]
        paths = photos.among_good(tmp_path / "new", "bad.jpg", draw())
        added = catalog.add_class("new", paths)
        assert (added.created, added.added) == (True, 2)
        assert [(one.place, one.reason) for one in added.refused] == [(str(paths[1]), reason)]
        assert added.refused[0].detail
        answers = catalog.nearest_many(paths, k=1)
        assert [type(answer) for answer in answers] == [list, PictureError, list]
        with pytest.raises(PictureError) as refusal:
            catalog.predict(paths[1])
        assert refusal.value.reason == reason

    def test_the_huge_png_is_small_on_disk(self) -> None:
        """What is refused as too large weighs about 400 kB: no more than any photo."""
        assert 300_000 < len(malformed.black_png(12_000)) < 500_000

    @pytest.mark.parametrize("kind", ACCEPTED)
    def test_accepted(self, catalog: Catalog, tmp_path: Path, kind: str) -> None:
        """An odd picture, by whatever name, is an item like any other, and is found again."""
        content = ACCEPTED[kind]()
        paths = photos.among_good(tmp_path / "new", "odd.jpg", content)
        added = catalog.add_class("new", paths)
        assert (added.added, added.refused) == (3, ())
        (best,) = catalog.nearest(content, k=1)
        assert (best.sources, round(best.score, 5)) == ((str(paths[1]),), 1)

    @pytest.mark.parametrize("extension", [".jpg", ".png"])
    def test_orientations(self, catalog: Catalog, extension: str) -> None:
        """However a camera was held, the picture is nearly the same one."""
        upright = malformed.noise(96, 128, seed=4)
        put = malformed.jpeg_with_exif if extension == ".jpg" else malformed.png_with_exif
        turned = {
            number: put(
                malformed.encode(extension, np.ascontiguousarray(store(upright))),
                malformed.exif(number),
            )
            for number, store in STORED.items()
        }
        assert catalog.add_class("turned", turned.values()).added == 8
        expected = catalog.embedder.embed(upright)
        for number, content in turned.items():
            assert catalog.embedder.embed(content) @ expected > 0.999, number
            assert catalog.predict(content).label == "turned"
        sideways = malformed.encode(extension, np.ascontiguousarray(STORED[6](upright)))
        assert catalog.embedder.embed(sideways) @ expected < 0.99

    def test_unreadable(self, catalog: Catalog, tmp_path: Path) -> None:
        """A missing file, a folder and a pipe are refused without waiting, and the rest goes in."""
        os.mkfifo(tmp_path / "pipe.jpg")
        (tmp_path / "folder.jpg").mkdir()
        names = ("missing.jpg", "folder.jpg", "pipe.jpg", "a\0b.jpg")
        good = photos.draw(tmp_path / "good", 5, 1)
        added = catalog.add("cup", [*(tmp_path / name for name in names), *good])
        assert added.added == 1
        assert [one.reason for one in added.refused] == ["unreadable"] * 4
        assert [one.place for one in added.refused] == [str(tmp_path / name) for name in names]

    def test_a_file_name_of_another_encoding(self, catalog: Catalog, tmp_path: Path) -> None:
        """A file whose name is not UTF-8 is taken or refused, and the rest goes in."""
        odd = tmp_path / os.fsdecode(b"caf\xe9.jpg")
        odd.write_bytes(photos.photo(5))
        added = catalog.add_class("new", [odd, photos.photo(5, 1)])
        assert added.added + len(added.refused) == 2
        assert added.added > 0
        assert catalog.verify().sound

    def test_only_bad_pictures(self, catalog: Catalog) -> None:
        """A class of which every picture was refused is not made, and no event is written."""
        before = catalog.info()
        added = catalog.add_class("new", [b"", b"text"])
        assert (added.created, added.added, added.event) == (False, 0, None)
        assert [one.reason for one in added.refused] == ["empty", "unsupported"]
        assert catalog.info() == before

    def test_no_pictures(self, catalog: Catalog, tmp_path: Path) -> None:
        """A folder without pictures, and no pictures at all, are said to be that."""
        (tmp_path / "none").mkdir()
        (tmp_path / "none" / "notes.txt").write_text("no picture")
        with pytest.raises(InvalidInput, match=r"there are no pictures in .*none"):
            list(find_pictures([tmp_path / "none"]))
        with pytest.raises(InvalidInput, match=r"there are no pictures in .*none"):
            read_manifest(tmp_path / "none")
        with pytest.raises(InvalidInput, match="no pictures were given for 'pan'"):
            catalog.add_class("pan", [])
        assert len(catalog.labels()) == 2

    def test_an_import_goes_on(self, catalog: Catalog, tmp_path: Path) -> None:
        """An import of bad files, bad names and good classes takes in what is good."""
        tree = photos.draw_tree(tmp_path / "tree", ["one", "two"], 3, first=50)
        (tree / "one" / "bad.jpg").write_bytes(b"")
        entries = [*read_manifest(tree).entries, Entry(" ", Picture(photos.photo(9)))]
        done = catalog.import_([*entries, Entry("CUP", Picture(photos.photo(9, 1)))])
        added = [(one.label, one.added) for one in done.classes]
        assert added == [("cup", 1), ("one", 3), ("two", 3)]
        assert [Path(one.place or "").name for one in done.refused] == ["bad.jpg"]
        assert set(done.refused_classes) == {" "}
        assert [row.label for row in catalog.labels()] == ["cup", "jug", "one", "two"]


class TestBoxesAndArrays:
    """Parts of pictures, and pixels from memory, by the real embedder."""

    @pytest.mark.parametrize("box", [Box(0, 0, 65, 48), Box(64, 0, 1, 1), Box(10, 47, 5, 2)])
    def test_a_box_outside(self, tiny: Catalog, box: Box) -> None:
        """A box that reaches outside its picture is refused by name, whatever the source is."""
        for source in (photos.photo(1), photos.scene(1)):
            added = tiny.add("cup", [Picture(source, box), source])
            assert added.added == 1
            (refused,) = added.refused
            assert (refused.reason, str(box) in refused.detail) == ("empty", True)
            with pytest.raises(PictureError, match="outside"):
                tiny.nearest(Picture(source, box))

    def test_a_box_within(self, tiny: Catalog) -> None:
        """A box is another picture than the whole, and as large as the picture it may be."""
        whole, part = Box(0, 0, 64, 48), Box(1, 2, 30, 40)
        boxed = [Picture(photos.photo(1), box) for box in (whole, part, None)]
        assert tiny.add_class("jug", boxed).added == 3
        assert tiny.nearest(boxed[1], k=1)[0].score == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,0,5", "-1,0,2,2"])
    def test_no_box(self, text: str) -> None:
        """What is not four whole numbers that make a box is invalid, and says the form."""
        with pytest.raises(InvalidInput, match="box"):
            Box.parse(text)

    @pytest.mark.parametrize(
        "pixels",
        [
            np.zeros((8, 8, 3), np.float32),
            np.zeros((8, 8), np.uint8),
            np.zeros((8, 8, 4), np.uint8),
            np.zeros((1, 8, 8, 3), np.uint8),
        ],
        ids=["float", "flat", "four channels", "a batch"],
    )
    def test_an_array_of_another_kind(self, tiny: Catalog, pixels: NDArray[np.uint8]) -> None:
        """An array that is not uint8 RGB is invalid, and changes nothing."""
        before = tiny.info()
        for call in (tiny.nearest, tiny.predict, lambda odd: tiny.add("cup", [odd])):
            with pytest.raises(InvalidInput, match=r"uint8 RGB of shape \(H, W, 3\)"):
                call(pixels)
        assert tiny.info() == before

    def test_an_array_without_pixels(self, tiny: Catalog) -> None:
        """An array of no pixels is refused, and the rest goes in."""
        added = tiny.add("cup", [np.zeros((0, 8, 3), np.uint8), photos.scene(0, 50)])
        assert (added.added, [one.reason for one in added.refused]) == (1, ["empty"])


class TestTheSamePicture:
    """One picture is one item, of one class."""

    def test_under_two_labels(self, catalog: Catalog, tmp_path: Path) -> None:
        """A picture of another class is refused and both are named; the rest goes in."""
        (path,) = photos.draw(tmp_path, 0, 1)
        for result in (
            catalog.add_class("pot", [path, photos.photo(5)]),
            catalog.add("jug", [path, photos.photo(6)]),
        ):
            assert result.added == 1
            (refused,) = result.refused
            assert (refused.place, refused.reason) == (str(path), "conflict")
            assert "'cup'" in refused.detail
            assert refused.advice == Advice("move here", repr(result.label))
        assert len(catalog.items("cup")) == 4

    def test_under_two_labels_in_one_import(self, catalog: Catalog) -> None:
        """Within one import, too, a picture is of the class it came to first."""
        twice = [Entry(label, Picture(photos.photo(5))) for label in ("pot", "lid")]
        done = catalog.import_(twice)
        assert [(one.label, one.added) for one in done.classes] == [("lid", 1), ("pot", 0)]
        assert [one.reason for one in done.refused] == ["conflict"]
        assert [row.label for row in catalog.labels()] == ["cup", "jug", "lid"]

    def test_moved(self, catalog: Catalog) -> None:
        """Asked to, a picture moves: one class loses it, another gains it; undo takes it back."""
        before = catalog.info().learning_state
        moved = catalog.add("jug", photos.shots(0, 2), move=True)
        assert (moved.added, moved.moved, moved.refused) == (0, 2, ())
        assert [(row.label, row.items) for row in catalog.labels()] == [("cup", 2), ("jug", 6)]
        assert catalog.verify().sound
        catalog.undo()
        assert catalog.info().learning_state == before

    def test_twice_in_one_class(self, catalog: Catalog, tmp_path: Path) -> None:
        """Found in two places it is one item with two sources, embedded once."""
        first, second = (photos.draw(tmp_path / name, 5, 1)[0] for name in "ab")
        embedder = catalog.embedder
        assert isinstance(embedder, FakeEmbedder)
        before = embedder.embedded
        added = catalog.add_class("pot", [first, second, first])
        assert (added.added, added.known, embedder.embedded) == (1, 2, before + 1)
        assert catalog.add("pot", [second]).known == 1
        (item,) = catalog.items("pot")
        assert item.sources == (str(first), str(second))
        assert embedder.embedded == before + 1


class BlindEmbedder(FakeEmbedder):
    """Gives a descriptor that is none for one picture."""

    def __init__(self, blind_to: bytes, value: float) -> None:
        super().__init__()
        self._blind_to = blind_to
        self._value = value

    def embed(self, picture: Source | Picture) -> NDArray[np.float32]:
        """The descriptor of one picture, one number of it spoilt."""
        descriptor = super().embed(picture)
        if getattr(picture, "source", picture) == self._blind_to:
            descriptor[3] = self._value
        return descriptor


class TestEmbedders:
    """Embedders that are not the catalogue's, or not sound, and a file of a later version."""

    def test_another_embedder(self, catalog: Catalog) -> None:
        """An embedder that is not the catalogue's is refused, and both are named."""
        other = FakeEmbedder(seed=1)
        with pytest.raises(EmbedderMismatch) as refusal:
            Catalog.open(catalog.path, embedder=other)
        for embedder in (catalog.embedder, other):
            assert embedder.specification.fingerprint[:12] in str(refusal.value)

    def test_a_newer_format(self, catalog: Catalog) -> None:
        """A file of a later version is refused before anything else is read from it."""
        store = Store(catalog.path)
        connection_of(store).execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
        store.close()
        with pytest.raises(NewerFormat, match=f"format {FORMAT_VERSION + 1}"):
            Catalog.open(catalog.path, embedder=FakeEmbedder(seed=1))

    @pytest.mark.filterwarnings("ignore:invalid value encountered")
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 7.0])
    def test_a_descriptor_that_is_none(self, catalog: Catalog, value: float) -> None:
        """NaN, infinity or a wrong length never gets into a catalogue, nor into an answer."""
        before = (catalog.info().learning_state, catalog.labels())
        bad = photos.photo(5)
        with Catalog.open(catalog.path, embedder=BlindEmbedder(bad, value)) as blind:
            with pytest.raises(InvalidInput, match="finite and of unit length"):
                blind.add("cup", [photos.photo(6), bad])
            if not np.isfinite(value):
                with pytest.raises(InvalidInput, match="finite"):
                    blind.nearest(bad)
                with pytest.raises(InvalidInput, match="finite"):
                    blind.predict(bad)
            assert (blind.info().learning_state, blind.labels()) == before
            assert blind.verify().sound
            assert blind.add("cup", [photos.photo(6)]).added == 1

    @pytest.mark.parametrize("count", [0, -1])
    def test_no_answers(self, catalog: Catalog, count: int) -> None:
        """Fewer than one neighbour or candidate cannot be asked for."""
        with pytest.raises(InvalidInput, match=f"at least 1, not {count}"):
            catalog.nearest(photos.photo(0), k=count)
        with pytest.raises(InvalidInput, match=f"at least 1, not {count}"):
            catalog.predict(photos.photo(0), top=count)

    def test_more_answers_than_items(self, catalog: Catalog) -> None:
        """Asked for more neighbours than there are, it gives those there are."""
        assert len(catalog.nearest(photos.photo(0), k=1000)) == 8
        assert len(catalog.predict(photos.photo(0), top=1000).centroid) == 2

    def test_an_empty_catalogue(self, tmp_path: Path) -> None:
        """An empty catalogue answers that it knows nothing."""
        with Catalog.init(tmp_path / "empty.catalog", embedder=FakeEmbedder()) as empty:
            assert empty.nearest(photos.photo(0)) == []
            answer = empty.predict(photos.photo(0))
            assert (answer.label, answer.centroid, answer.agree) == (None, (), False)
            assert empty.labels() == []
            assert empty.verify().sound
            with pytest.raises(NotFound, match="nothing to undo"):
                empty.undo()
            with pytest.raises(InvalidInput, match="nothing to evaluate"):
                empty.evaluate([Entry("cup", Picture(photos.photo(0)))])


def test_a_bad_picture_in_an_evaluation(catalog: Catalog) -> None:
    """An evaluation leaves out what cannot be read, and lists it."""
    good = [Entry("cup", Picture(shot)) for shot in photos.shots(0, 2, first=20)]
    result = catalog.evaluate([Entry("jug", Picture(b"")), *good, Entry("pot", Picture(b"text"))])
    assert result.pictures == 2
    assert [one.reason for one in result.refused] == ["empty", "unsupported"]
    assert result.not_in_catalogue == {}


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_bad_name_in_an_evaluation(catalog: Catalog, name: str) -> None:
    """A picture whose class cannot be one is counted among those of other classes."""
    good = [Entry("cup", Picture(shot)) for shot in photos.shots(0, 2, first=20)]
    result = catalog.evaluate([Entry(name, Picture(photos.photo(5))), *good])
    assert (result.pictures, result.not_in_catalogue) == (2, {name: 1})
