"""One part of a listing, split at random: complete, disjoint, and the same for a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import photos
import pytest
from doubles import FakeEmbedder
from hypothesis import given
from hypothesis import strategies as st

from catalog import Catalog, Entry, Listing, PassedOver, Picture, read_manifest
from catalog.descriptors import InvalidInput, NotFound
from catalog.manifest import listed, take_part

InProcess = Callable[..., tuple[int, str, str]]

OTHERS = (PassedOver(".txt files", "not pictures", 3, ("notes.txt",)),)
PARTS = {2: ("train", "test"), 3: ("train", "validation", "test")}


def listing(count: int) -> Listing:
    """A listing of so many pictures, in order, and of what was passed over."""
    entries = [Entry(f"class {at % 3}", Picture(f"{at:04}.jpg")) for at in range(count)]
    return Listing(tuple(entries), OTHERS, (Path("closed"),))


@st.composite
def splits(draw: st.DrawFn, *, exact: bool) -> tuple[Listing, list[int]]:
    """A listing, and sizes that come to its number of pictures, or any sizes."""
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=3))
    count = sum(sizes) if exact else draw(st.integers(12, 60))
    return listing(count), sizes


def parts_of(whole: Listing, sizes: list[int], seed: int) -> list[tuple[Entry, ...]]:
    """All parts of a split; one that there would be nothing in is empty."""
    found = []
    for part in PARTS[len(sizes)]:
        try:
            found.append(take_part(whole, "/".join(map(str, sizes)), part, seed).entries)
        except InvalidInput:
            found.append(())
    return found


class TestParts:
    """Every picture is in one part, and in no other."""

    @given(splits(exact=True), st.integers(0, 2**40))
    def test_exact_sizes(self, split: tuple[Listing, list[int]], seed: int) -> None:
        """Sizes that come to the number of pictures are taken exactly."""
        whole, sizes = split
        parts = parts_of(whole, sizes, seed)
        assert [len(part) for part in parts] == sizes
        assert sorted(entry.picture.source for part in parts for entry in part) == [
            entry.picture.source for entry in whole.entries
        ]

    @given(splits(exact=False), st.integers(0, 2**40))
    def test_shares(self, split: tuple[Listing, list[int]], seed: int) -> None:
        """Other sizes are shares, each met to less than one picture; the parts are complete."""
        whole, sizes = split
        parts = parts_of(whole, sizes, seed)
        for part, size in zip(parts, sizes, strict=True):
            assert abs(len(part) - size * len(whole.entries) / sum(sizes)) <= 1
        assert sorted(entry.picture.source for part in parts for entry in part) == [
            entry.picture.source for entry in whole.entries
        ]

    @given(splits(exact=True), st.integers(0, 2**40))
    def test_the_order_is_kept(self, split: tuple[Listing, list[int]], seed: int) -> None:
        """A part is in the order of the listing, and is the same each time."""
        whole, sizes = split
        parts = parts_of(whole, sizes, seed)
        assert parts == parts_of(whole, sizes, seed)
        for part in parts:
            assert list(part) == sorted(part, key=lambda entry: str(entry.picture.source))

    def test_seeds(self) -> None:
        """Another seed gives another split."""
        whole = listing(40)
        found = {take_part(whole, "20/20", "train", seed).entries for seed in range(5)}
        assert len(found) == 5

    def test_what_else_was_found(self) -> None:
        """Files passed over and folders not read are still told of."""
        part = take_part(listing(10), "8/2", "test")
        assert (len(part.entries), part.passed_over, part.unread) == (2, OTHERS, (Path("closed"),))

    def test_no_split_is_everything(self) -> None:
        """Without a split a listing is left as it is."""
        whole = listing(5)
        assert listed(whole) == whole


class TestMisuse:
    """A split that makes no sense is said to be one."""

    @pytest.mark.parametrize(
        "split",
        [
            *("", "/", "10", "8/2/", "8//2", "0/2", "8/0", "-8/2", "8.5/1.5", "a/b", "8,2"),
            *("1/1/1/1", "80%/20%", "\u00b2/3", "1e2/3", "8/2\n/x"),
            *("9" * 30 + "/1", "9" * 5000 + "/1"),
        ],
    )
    def test_sizes(self, split: str) -> None:
        """Two or three whole numbers above zero, and nothing else."""
        with pytest.raises(InvalidInput):
            take_part(listing(10), split, "train")

    @pytest.mark.parametrize(
        ("split", "part"), [("8/2", "validation"), ("8/2", "Test"), ("6/2/2", "val"), ("8/2", "")]
    )
    def test_names(self, split: str, part: str) -> None:
        """A part that the split does not have, the message says which it has."""
        with pytest.raises(InvalidInput, match="train"):
            take_part(listing(10), split, part)

    @pytest.mark.parametrize(("count", "split"), [(0, "8/2"), (1, "1/1/1"), (3, "99/1")])
    def test_too_few(self, count: int, split: str) -> None:
        """A part with nothing in it is an error."""
        with pytest.raises(InvalidInput, match="too few"):
            take_part(listing(count), split, "test")

    def test_seed(self) -> None:
        """A seed below zero is refused."""
        with pytest.raises(InvalidInput):
            take_part(listing(10), "8/2", "test", -1)

    @pytest.mark.parametrize(("split", "part"), [("8/2", None), (None, "train")])
    def test_both_or_none(self, split: str | None, part: str | None) -> None:
        """A split without a part, or a part of no split, makes no sense."""
        with pytest.raises(InvalidInput, match="together"):
            listed(listing(10), split, part)


class TestCalls:
    """Importing one part and evaluating the other."""

    def test_no_picture_is_both_learnt_and_asked(self, tmp_path: Path) -> None:
        """With one seed, no picture of the test part is an item."""
        tree = photos.draw_tree(tmp_path / "tree", ["cup", "jug"], 6)
        with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as catalog:
            catalog.import_(tree, split="8/2/2", part="train", seed=5)
            assert catalog.info().items == 8
            result = catalog.evaluate(tree, split="8/2/2", part="test", seed=5)
            assert (result.pictures, result.in_catalogue) == (2, 0)
            whole = catalog.evaluate(tree)
            assert (whole.pictures, whole.in_catalogue) == (12, 8)

    def test_nothing_happens_by_mistake(self, tmp_path: Path) -> None:
        """A split that makes no sense is refused before anything is embedded or switched."""
        tree = photos.draw_tree(tmp_path / "tree", ["cup", "jug"], 2)
        embedder = FakeEmbedder()
        with Catalog.init(tmp_path / "shop.catalog", embedder=embedder) as catalog:
            embedder.embedded = 0
            with pytest.raises(InvalidInput):
                catalog.import_(tree, split="8/2", part="some", head="frozen")
            with pytest.raises(NotFound):
                catalog.import_(tmp_path / "gone", split="8/2", part="train", head="frozen")
            info = catalog.info()
            assert (embedder.embedded, info.generation, info.head) == (0, 0, "exact")

    def test_the_command(self, in_process: InProcess, shop: Path, tmp_path: Path) -> None:
        """The command splits as the call does."""
        tree = photos.draw_tree(tmp_path / "more", ["lid", "pot"], 6, first=50)
        split = ("--split", "8/2/2", "--catalog", shop, "--json")
        code, out, _ = in_process("import", tree, "--part", "train", *split)
        assert code == 0
        added = sum(one["added"] for one in json.loads(out)["classes"])
        assert added == 8
        code, out, err = in_process("evaluate", tree, "--part", "test", *split)
        found = json.loads(out)
        assert (code, found["pictures"], found["in_catalogue"], err) == (0, 2, 0, "")
        code, out, _ = in_process("evaluate", tree, "--part", "train", *split)
        assert (code, json.loads(out)["in_catalogue"]) == (0, 8)
        code, out, _ = in_process("evaluate", tree, "--part", "test", "--seed", "1", *split)
        assert json.loads(out)["in_catalogue"] > 0
        code, _, err = in_process("evaluate", tree, *split)
        assert code == 2
        assert "together" in err
        assert in_process("import", tree, "--part", "odd", *split)[0] == 2

    def test_entries_of_a_manifest(self, tmp_path: Path) -> None:
        """A listing that was read before can be split as its folder can."""
        tree = photos.draw_tree(tmp_path / "tree", ["cup", "jug"], 5)
        read = read_manifest(tree)
        found = [
            [entry.picture.source for entry in listed(source, "8/2", "test", 3).entries]
            for source in (tree, read, iter(read.entries))
        ]
        assert found[0] == found[1] == found[2]
        assert len(found[0]) == 2
