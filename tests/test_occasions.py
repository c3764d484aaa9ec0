"""Which pictures count as one: what the owner says, what cameras say, and what looks alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import malformed
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from hypothesis import given
from hypothesis import strategies as st
from inside import computed
from strategies import seeds

from catalog import Catalog, Entry, Picture, read_manifest
from catalog.descriptors import InvalidInput, Prior, to_integers, unit_rows
from catalog.judging.occasions import SECONDS, Told, occasions
from catalog.learning import evidence
from catalog.store import occasions as stored
from catalog.store.occasions import Occasion

WIDTH = 16


def plain(rows: np.ndarray, positions: np.ndarray, threshold: float, told: Told) -> list[int]:
    """The rules, pair by pair."""
    count = len(rows)

    def linked(one: int, other: int) -> bool:
        if positions[one] != positions[other]:
            return False
        if told.named[one] >= 0 or told.named[other] >= 0:
            return bool(told.named[one] == told.named[other])
        pause = abs(int(told.taken[one]) - int(told.taken[other]))
        at_once = told.camera[one] == told.camera[other] >= 0 and pause <= 1000 * SECONDS
        return bool(at_once or rows[one] @ rows[other] > threshold)

    first = list(range(count))
    for _ in range(count):
        for one in range(count):
            for other in range(count):
                if linked(one, other):
                    first[one] = first[other] = min(first[one], first[other])
    return first


@given(seeds, st.integers(1, 14), st.integers(1, 3), st.floats(-0.5, 0.9))
def test_by_the_rules(seed: int, count: int, classes: int, alike: float) -> None:
    """Names go before times, times before looks, and each only within a class."""
    random = np.random.default_rng(seed)
    rows = unit_rows(random.normal(size=(count, WIDTH)).astype(np.float32))
    positions = random.integers(0, classes, count)
    told = Told(
        random.integers(-1, 2, count),
        random.integers(-1, 2, count),
        random.integers(0, 60, count) * 1000,
    )
    integers = to_integers(rows)
    found = occasions(integers, positions, Prior.isotropic(WIDTH, alike=alike), told)
    white = unit_rows(integers.astype(np.float32))
    cosines = (white @ white.T)[np.triu_indices(count, 1)]
    if np.abs(cosines - alike).min(initial=1) > 1e-4:
        assert found.tolist() == plain(white, positions, alike, told)


def test_without_what_is_alike() -> None:
    """Where looks were not measured and there are no strangers, names and times still tell."""
    rows = to_integers(
        unit_rows(np.random.default_rng(0).normal(size=(4, WIDTH)).astype(np.float32))
    )
    told = Told(np.array([0, 0, -1, -1]), np.array([-1, -1, 0, 0]), np.array([0, 0, 500, 900]))
    one_class = np.zeros(4, np.int64)
    assert occasions(rows, one_class, Prior.isotropic(WIDTH), told).tolist() == [0, 0, 2, 2]
    assert occasions(rows, one_class, Prior.isotropic(WIDTH)).tolist() == [0, 1, 2, 3]


def told_of(catalog: Catalog) -> dict[str, Occasion]:
    """What is known of each item, by its class and the name of its file."""
    with catalog._store.reading() as tx:
        known = stored.known(tx, 2**62)
    return {
        f"{item.label}/{Path(item.sources[0]).name}": known[item.id]
        for item in catalog.items()
        if item.id in known
    }


@pytest.fixture
def shop(tmp_path: Path) -> Catalog:
    """An empty shop."""
    return Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Cups photographed on two days, in folders."""
    for day, first in (("monday", 0), ("tuesday", 10)):
        photos.draw(tmp_path / "tree" / day / "cup", 0, 2, first=first)
    return tmp_path / "tree"


class TestWhatTheOwnerSays:
    """A column of the manifest, or the folder."""

    def test_a_manifest(self, shop: Catalog, tree: Path) -> None:
        """The column ``group`` names occasions, in CSV and in JSON lines; numbers are names."""
        (tree / "list.csv").write_text(
            "path,label,group\nmonday/cup/000.jpg,cup,first\nmonday/cup/001.jpg,cup,\n"
        )
        shop.import_(read_manifest(tree / "list.csv"))
        assert told_of(shop) == {"cup/000.jpg": Occasion("first")}
        (tree / "list.jsonl").write_text(
            '{"path": "monday/cup/001.jpg", "label": "cup", "group": 7}\n'
            '{"path": "monday/cup/000.jpg", "label": "cup", "group": null}\n'
        )
        shop.import_(read_manifest(tree / "list.jsonl"))
        expected = {"cup/000.jpg": Occasion("first"), "cup/001.jpg": Occasion("7")}
        assert told_of(shop) == expected
        assert shop.verify().problems == ()

    @pytest.mark.parametrize("group", ['["a"]', '{"a": 1}', "true"])
    def test_what_is_no_group(self, shop: Catalog, tree: Path, group: str) -> None:
        """What is neither text nor number is refused with its line, before anything is stored."""
        (tree / "list.jsonl").write_text(
            f'{{"path": "monday/cup/000.jpg", "label": "cup", "group": {group}}}\n'
        )
        with pytest.raises(InvalidInput, match="line 1: a group"):
            shop.import_(read_manifest(tree / "list.jsonl"))

    def test_odd_letters(self, shop: Catalog, tree: Path) -> None:
        """What UTF-8 cannot hold is written out."""
        (tree / "list.jsonl").write_text(
            '{"path": "monday/cup/000.jpg", "label": "cup", "group": "a\\ud800"}\n'
        )
        shop.import_(read_manifest(tree / "list.jsonl"))
        assert told_of(shop) == {"cup/000.jpg": Occasion("a\\ud800")}

    def test_by_folder(self, shop: Catalog, tree: Path) -> None:
        """Pictures of a folder are of one occasion; what the manifest names goes before."""
        shop.import_(tree, group_by="folder")
        names = {name: one.name for name, one in told_of(shop).items()}
        monday, tuesday = (str(tree / day / "cup") for day in ("monday", "tuesday"))
        assert set(names.values()) == {monday, tuesday}
        pool = computed(shop, lambda learning, moment: learning.pool(moment, with_head=False))
        assert len(np.unique(pool.groups)) == 2
        entries = [Entry("cup", Picture(tree / "monday" / "cup" / "000.jpg"), group="own")]
        shop.import_(entries, group_by="folder")
        assert told_of(shop)["cup/000.jpg"] == Occasion("own")
        shop.add_class("pan", [tree / "monday" / "cup" / "000.jpg"], move=True, group_by="folder")
        assert told_of(shop)["pan/000.jpg"] == Occasion(monday)
        with pytest.raises(InvalidInput, match="by folder"):
            shop.add("pan", [tree / "monday" / "cup" / "000.jpg"], group_by="colour")

    def test_the_rest_is_a_guess(
        self, shop: Catalog, tree: Path, in_process: Callable[..., tuple[int, str, str]]
    ) -> None:
        """An audit says of how many pictures it was told, and calls a guess one."""
        shop.import_(tree, class_level="last")
        shop.add_class("pan", photos.shots(30, 2))
        assert shop.audit().named == 0
        guess = "(a guess, by how alike they are and when they were taken)"
        assert guess in in_process("audit", "--catalog", shop.path)[1]
        shop.import_(tree, group_by="folder")
        assert shop.audit().named == 4
        assert "(a guess for 2 of them, by" in in_process("audit", "--catalog", shop.path)[1]
        shop.remove_class("pan")
        said = in_process("audit", "--catalog", shop.path)[1]
        assert "4 items, 2 independent pictures\n" in said

    def test_it_is_undone(self, shop: Catalog, tree: Path) -> None:
        """What was said goes with the command that said it, and what was said before is back."""
        picture = tree / "monday" / "cup" / "000.jpg"
        shop.import_([Entry("cup", Picture(picture), group="first")])
        shop.import_([Entry("cup", Picture(picture), group="second")])
        assert told_of(shop)["cup/000.jpg"] == Occasion("second")
        shop.undo()
        assert told_of(shop)["cup/000.jpg"] == Occasion("first")
        before = shop.info().generation
        shop.import_([Entry("cup", Picture(picture), group="first")])
        assert shop.info().generation == before
        shop.undo()
        assert told_of(shop) == {}

    def test_it_is_forgotten(self, shop: Catalog, tree: Path) -> None:
        """Of a picture that is forgotten not even the name of its occasion is left."""
        picture = tree / "monday" / "cup" / "000.jpg"
        shop.import_([Entry("cup", Picture(picture), group="a wedding in June")])
        shop.forget(labels=["cup"])
        assert b"a wedding in June" not in shop.path.read_bytes()

    def test_it_comes_along(self, shop: Catalog, tree: Path, tmp_path: Path) -> None:
        """A catalogue that is taken over brings what was said of its pictures."""
        shop.import_(tree, group_by="folder")
        with Catalog.init(tmp_path / "other.catalog", embedder=FakeEmbedder()) as other:
            other.merge(shop.path)
            assert told_of(other) == told_of(shop)
            own = [Entry("cup", Picture(tree / "monday" / "cup" / "000.jpg"), group="own")]
            other.import_(own)
            before = other.info().generation
            other.merge(shop.path)
            assert told_of(other)["cup/000.jpg"] == Occasion("own")
            assert other.info().generation == before


class TestWhatCamerasSay:
    """Photos that one camera took within seconds are of one occasion."""

    @staticmethod
    def shots(*times: str, camera: str = "7") -> list[bytes]:
        """Photos that look unlike each other, taken then."""
        return [
            malformed.jpeg_with_exif(
                photos.photo(50 + number), malformed.camera_exif(f"2026:11:28 {time}", model=camera)
            )
            for number, time in enumerate(times)
        ]

    def test_groups(self, shop: Catalog) -> None:
        """A pause of more than ten seconds, or another camera, is another occasion."""
        first = self.shots("12:00:00", "12:00:09", "12:00:19", "12:00:30")
        other = self.shots("12:00:01", camera="8")[:1]
        shop.add_class("cup", [*first, other[0] + b"\0"])
        shop.add_class("pan", [self.shots("12:00:05")[0] + b"\0\0"])
        pool = computed(shop, lambda learning, moment: learning.pool(moment, with_head=False))
        cups = pool.groups[pool.positions == 0]
        assert sorted(np.unique(cups, return_counts=True)[1].tolist()) == [1, 1, 3]
        said = {one.camera for one in told_of_all(shop)}
        assert said == {"Maker 7", "Maker 8"}

    def test_one_occasion_is_made_up(self, shop: Catalog) -> None:
        """Of unlike photos of one minute none can be held out, so photos are made up of one."""
        pictures = self.shots("12:00:00", "12:00:09")
        assert shop.add_class("cup", pictures).made_up == 1
        assert shop.add_class("pan", photos.shots(9, 1) + photos.shots(30, 1)).made_up == 0


def told_of_all(catalog: Catalog) -> list[Occasion]:
    """What is known of any item."""
    with catalog._store.reading() as tx:
        return list(stored.known(tx, 2**62).values())


def test_many_are_measured_anew(shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration does not outlive that the owner says of many pictures when they were taken."""
    monkeypatch.setattr("catalog.learning.kinds.MEASURED_ANEW", 0)
    entries = [
        Entry(f"thing {thing}", Picture(content))
        for thing in range(12)
        for content in photos.shots(thing, 3)
    ]
    shop.import_(entries)
    before = shop.predict(photos.photo(2, 9))
    named = [Entry(one.label, one.picture, group=str(at)) for at, one in enumerate(entries)]
    shop.import_(named)
    after = shop.predict(photos.photo(2, 9))
    assert before.probability is None  # the shots of a thing look alike
    assert after.probability is not None
    shop.undo()
    paired = [Entry(one.label, one.picture, group=str(at % 3 // 2)) for at, one in enumerate(named)]
    shop.import_(paired)
    assert shop.predict(photos.photo(2, 9)).probability is not None
    pool = computed(shop, lambda learning, moment: learning.calibration(moment))
    assert pool is not None
    assert pool.pictures[0] < len(entries)  # it is of what was said last
    with shop._store.reading() as tx:
        assert stored.count(tx) == len(entries)
    assert evidence.amount(shop._store) >= len(entries)
