"""A catalogue that takes over another: what comes of it is one that was made of all."""

from __future__ import annotations

from pathlib import Path

import photos
import pytest
from cups_and_jugs import THINGS, counts, fill, reopen
from doubles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from inside import keep

from catalog import Catalog
from catalog.descriptors import Conflict, Damaged, EmbedderMismatch, NotFound
from catalog.store.failpoints import armed


def made_of(path: Path, shown: dict[str, list[bytes]]) -> Catalog:
    """Make a catalogue of some classes."""
    catalog = Catalog.init(path, embedder=FakeEmbedder())
    for label, pictures in shown.items():
        catalog.add_class(label, pictures)
    return catalog


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from(["one", "two", "both"])),
        min_size=1,
        max_size=24,
        unique_by=lambda shot: shot[:2],
    )
)
@settings(max_examples=25)
def test_equal_to_having_built_one(
    tmp_path_factory: pytest.TempPathFactory, shots: list[tuple[int, int, str]]
) -> None:
    """Whatever two catalogues hold, and have in common, merging gives what all of it would give."""
    folder = tmp_path_factory.mktemp("merge")
    held: dict[str, dict[str, list[bytes]]] = {"one": {}, "two": {}, "all": {}}
    for thing, shot, where in sorted(shots):
        picture = photos.photo(thing, shot)
        for name in {"both": ("one", "two", "all")}.get(where, (where, "all")):
            held[name].setdefault(f"thing {thing}", []).append(picture)
    made = {name: made_of(folder / f"{name}.catalog", own) for name, own in held.items()}
    merged = made["one"].merge(made["two"].path)
    assert merged.refused == ()
    assert sum(added.known for added in merged.classes) == sum(w == "both" for _, _, w in shots)
    assert made["one"].info().learning_state == made["all"].info().learning_state
    assert counts(made["one"]) == counts(made["all"])
    for thing in range(4):
        said, expected = (made[name].predict(photos.photo(thing, 9)) for name in ("one", "all"))
        assert said.label == expected.label
        for own, other in zip(said.centroid, expected.centroid, strict=True):
            assert own.score == pytest.approx(other.score, abs=1e-6)
        near, its = (made[n].nearest(photos.photo(thing, 9), 24) for n in ("one", "all"))
        assert [n.score for n in near] == pytest.approx([n.score for n in its], abs=1e-6)
    for catalog in made.values():
        catalog.close()


def test_places_and_kept_photos_come_along(tmp_path: Path) -> None:
    """Where pictures were found is known afterwards, and so are photos that were kept."""
    first = photos.draw(tmp_path / "a", 5, 2)
    second = photos.draw(tmp_path / "b", 5, 2)
    with fill(tmp_path / "shop.catalog") as catalog:
        with made_of(tmp_path / "other.catalog", {}) as other:
            other.add_class("urn", [*first, *second])
            keep(other, photos.draw(tmp_path / "c", 6, 1))
            before = other.path.read_bytes()
        catalog.merge(other.path)
        assert other.path.read_bytes() == before
        places = [item.sources for item in catalog.items("urn")]
        assert places == [(str(a), str(b)) for a, b in zip(first, second, strict=True)]
        assert catalog.audit().kept == 1
        catalog.undo()
        assert counts(catalog) == dict.fromkeys(THINGS, 3)


def test_conflicts_are_listed(tmp_path: Path) -> None:
    """A picture under another label is refused or moved; another spelling is the same class."""
    shared = photos.shots(0, 3)
    with fill(tmp_path / "shop.catalog") as catalog:
        shown = {"mug": [*shared, photos.photo(0, 7)], "JUG": photos.shots(1, 1, first=8)}
        made_of(tmp_path / "other.catalog", shown).close()
        merged = catalog.merge(tmp_path / "other.catalog")
        of = {one.label: one for one in merged.classes}
        assert (of["mug"].added, len(merged.refused), of["jug"].added) == (1, 3, 1)
        assert "already" in merged.refused[0].detail
        assert not merged.refused_classes
        again = {
            one.label: one for one in catalog.merge(tmp_path / "other.catalog", move=True).classes
        }
        assert (again["mug"].moved, again["mug"].known) == (3, 1)
        assert counts(catalog) == {"jug": 4, "mug": 4, "pan": 3}


def test_dropped_descriptors_cannot_come_along(tmp_path: Path) -> None:
    """A compacted class of the other catalogue is refused by name, and the others come."""
    with fill(tmp_path / "other.catalog") as other:
        other.compact(["pan"])
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as catalog:
        merged = catalog.merge(other.path)
        assert list(merged.refused_classes) == ["pan"]
        assert counts(catalog) == {"cup": 3, "jug": 3}


def test_a_frozen_head_is_widened(tmp_path: Path) -> None:
    """A stored head gets a column for each class that comes."""
    made_of(tmp_path / "other.catalog", {"urn": photos.shots(5, 3)}).close()
    with fill(tmp_path / "shop.catalog", head="frozen") as catalog:
        catalog.merge(tmp_path / "other.catalog")
        assert catalog.predict(photos.photo(5, 9)).head[0].label == "urn"


def test_refusals(tmp_path: Path) -> None:
    """Itself, nothing, another embedder, and a damaged catalogue."""
    with fill(tmp_path / "shop.catalog") as catalog:
        with pytest.raises(Conflict, match="this catalogue itself"):
            catalog.merge(catalog.path)
        with pytest.raises(NotFound, match="no catalogue at"):
            catalog.merge(tmp_path / "none.catalog")
        with Catalog.init(tmp_path / "a.catalog", embedder=FakeEmbedder(seed=1)) as foreign:
            foreign.add_class("urn", photos.shots(5, 2))
        with pytest.raises(EmbedderMismatch, match="cannot be mixed"):
            catalog.merge(foreign.path)
        with fill(tmp_path / "b.catalog") as other, other._store.writing() as tx:
            tx.execute("UPDATE descriptor SET checksum = checksum + 1")
        with pytest.raises(Damaged, match="the descriptor of item 1 of the other catalogue"):
            catalog.merge(other.path)
        with reopen(catalog.path) as second:
            assert counts(second) == dict.fromkeys(THINGS, 3)


def test_the_other_one_is_only_read(tmp_path: Path) -> None:
    """The other catalogue is taken as it is at one moment, and nothing is written beside it."""
    (tmp_path / "other").mkdir()
    with fill(tmp_path / "other" / "a.catalog") as other:
        keep(other, photos.draw(tmp_path / "c", 6, 1))
    held = sorted(other.path.parent.iterdir())
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as catalog:
        keep(catalog, [tmp_path / "c" / "000.jpg"])

        times = iter("x")

        def rename_once() -> None:
            if next(times, None):
                with reopen(other.path) as second:
                    second.rename_class("pan", "pot")

        with armed("merging", rename_once):
            catalog.merge(other.path)
        assert counts(catalog) == dict.fromkeys(THINGS, 3)
        assert sorted(p for p in other.path.parent.iterdir() if "cache" not in p.name) == held[:1]
        assert [p.name for p in tmp_path.glob(".*")] == []


def test_nothing_is_stored_of_what_is_refused(tmp_path: Path) -> None:
    """Descriptors of a class that is refused do not stay behind."""
    with made_of(tmp_path / "other.catalog", {"pot": photos.shots(5, 2)}) as other:
        other.compact(["pot"])
    with fill(tmp_path / "shop.catalog") as catalog:
        assert list(catalog.merge(tmp_path / "other.catalog").refused_classes) == ["pot"]
        assert catalog.info().staged == 0
