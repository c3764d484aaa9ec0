"""Decoding under attack: whatever bytes come, the caller gets pixels or a reason, and soon."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import attack_bombs
import malformed
import photos
import pytest
import soak_page
from attack_doors import LETHAL
from attack_recipes import MODULES, Recipe, build, drawn, names, recipe, recipes
from attack_run import (
    CRASHED,
    REASONS,
    Tally,
    outcome_of,
    peak_memory,
    run,
    shrunk,
    told,
    unsteady,
    work,
)
from door import VALID
from doubles import FakeEmbedder

from catalog import Catalog
from catalog.descriptors.errors import PictureError
from catalog.embedder.decode import decode
from catalog.embedder.formats import inspect
from catalog.embedder.header import Limits
from catalog.embedder.isolation import IsolatedDecoder

QUICK, SOAK = 8_000, 1_600_000
SEED = 20
GIB = 2**30


@dataclass(frozen=True)
class Cost:
    """What decoding one of the largest pictures took: processor time, and memory at the peak."""

    seconds: float
    memory: int


@pytest.mark.parametrize("kind", MODULES)
def test_what_is_spoilt_was_sound(kind: str) -> None:
    """Every picture that mutations begin with decodes, so that damage alone is refused."""
    for data in drawn(kind).values():
        assert inspect(data).format == kind
        assert decode(data).size


def test_recipes_can_be_drawn_again() -> None:
    """A number gives the same recipe, and a recipe the same bytes; another seed gives others."""
    first = [build(made) for made in recipes(300, seed=1)]
    assert first == [build(recipe(number, seed=1)) for number in range(300)]
    assert first != [build(made) for made in recipes(300, seed=2)]


def test_a_failure_is_told_with_its_recipe_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads of a failure can draw it again, or open the file."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = recipe(11)
    message = told(made, b"bytes", "burst")
    assert repr(made) in message
    assert Path(message.rpartition(" ")[2]).read_bytes() == b"bytes"


def test_a_recipe_shrinks_to_what_is_needed() -> None:
    """Steps that a failure does not need are left out of its recipe."""
    steps = tuple((name, seed) for seed, name in enumerate(("size", "exif", "size", "padding")))
    made = Recipe("jpeg", "jpeg tiny", steps)
    small = shrunk(made, lambda tried: ("exif", 1) in tried.steps)
    assert small.steps == (("exif", 1),)


def test_a_crash_is_not_overlooked() -> None:
    """A picture that ends its decoding process is counted apart, and not as merely corrupt."""
    made = Recipe("png", "png animated", ())
    with closing(IsolatedDecoder(door="attack_doors:unguarded")) as decoder:
        assert outcome_of(decoder, made, malformed.lethal_apng()) == CRASHED
        assert outcome_of(decoder, made, VALID["png"]) == "decoded"
    with closing(IsolatedDecoder(door="attack_doors:lie")) as decoder:
        assert outcome_of(decoder, made, VALID["png"] + LETHAL) == CRASHED


def attack(count: int, seed: int) -> Tally:
    """Send malformed pictures to the decoder; none may crash it, stop it or be out of the rules."""
    tally = run(count, seed)
    assert len(tally.seconds) == count
    assert not [told(made, build(made), CRASHED) for made in tally.crashed]
    assert not tally.of("timeout")
    assert tally.steps == {(kind, name) for kind in MODULES for name in names(kind)}
    for kind in MODULES:
        found = {outcome for format_, outcome in tally.outcomes if format_ == kind}
        assert {"decoded", "corrupt", "truncated", "unsupported", "too_large"} <= found
    return tally


def test_malformed_pictures_have_an_outcome() -> None:
    """Thousands of malformed pictures, each kind of damage to each format among them."""
    attack(QUICK, SEED)


def test_pixels_never_come_from_old_memory() -> None:
    """Where data ends early, what is missing is always the same, and never another's picture."""
    assert not unsteady(QUICK // 4, SEED + 3)


def costs() -> dict[str, Cost]:
    """Decode the largest pictures that are allowed, each in a new child."""
    found = {}
    for name, draw in attack_bombs.ALLOWED.items():
        data = draw()
        # Processor time is measured, however long others make it wait.
        with closing(IsolatedDecoder(seconds=300)) as decoder:
            decoder.decode(VALID["jpeg"])
            before = work(decoder)
            outcome = outcome_of(decoder, Recipe(name.split()[0], name, ()), data)
            found[name] = Cost(work(decoder) - before, peak_memory(decoder))
        assert outcome == "decoded", name
    return found


@pytest.mark.soak
def test_decoding_under_attack() -> None:
    """Hundreds of thousands of malformed pictures, and the largest allowed: figures recorded."""
    tally = attack(SOAK, SEED + 1)
    assert not unsteady(SOAK // 20, SEED + 4)
    largest = costs()
    slowest = max(largest, key=lambda name: largest[name].seconds)
    widest = max(largest, key=lambda name: largest[name].memory)
    assert largest[widest].memory < 1.5 * GIB
    refusals = {f"refused: {reason}": tally.of(reason) for reason in sorted(REASONS)}
    soak_page.record(
        "Decoding under attack",
        "Malformed pictures of every accepted format, drawn and spoilt by recipes, are sent to two "
        "decoding processes (2 GiB, 20 s). Then the largest pictures that pass the header check.",
        {
            "pictures": SOAK,
            "decoded": tally.of("decoded"),
            **refusals,
            "of these, crashes of a decoding process": len(tally.crashed),
            "crashes of the caller": 0,  # or this line would not be reached
            "time of a picture, median, ms": tally.milliseconds(0.5),
            "99 % within, ms": tally.milliseconds(0.99),
            "longest, ms": tally.milliseconds(1),
            "most memory of a decoding process, MiB": tally.peak // 2**20,
            "pictures decoded twice over other memory, with the same outcome": SOAK // 20,
            "most processor time for one of the largest": (
                f"{slowest}: {largest[slowest].seconds:.1f} s"
            ),
            "most memory for one of them": f"{widest}: {largest[widest].memory / GIB:.2f} GiB",
        },
    )


@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000)], ids=["row", "column"])
@pytest.mark.parametrize("kind", ["jpeg", "jpeg progressive", "png", "gif", "bmp"])
def test_the_longest_sides_decode(kind: str, size: tuple[int, int]) -> None:
    """A picture as long as may be, in a file as small as can be, is decoded."""
    draw = {
        "jpeg": lambda: attack_bombs.jpeg(*size, 3),
        "jpeg progressive": lambda: attack_bombs.jpeg(*size, 4, 64),
        "png": lambda: attack_bombs.png(*size, 1, 0),
        "gif": lambda: attack_bombs.gif(*size),
        "bmp": lambda: attack_bombs.bmp_runs(*size),
    }[kind]
    assert decode(draw()).shape == (*size[::-1], 3)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "gif blocks"])
def test_parts_of_nothing_are_refused(kind: str) -> None:
    """Millions of empty segments, chunks or blocks are refused before they are all walked."""
    with pytest.raises(PictureError, match="parts") as refused:
        inspect(attack_bombs.parts_of_nothing(kind, 4 * 2**20))
    assert refused.value.reason == "too_large"
    few = attack_bombs.parts_of_nothing(kind, 2**14)
    assert decode(few).shape == (32, 48, 3)
    with pytest.raises(PictureError, match="parts"):
        inspect(few, Limits(max_parts=1000))


def test_lone_markers_of_a_jpeg_count_as_parts() -> None:
    """Markers without content cost as much to walk as segments do."""
    jpeg = VALID["jpeg"]
    assert decode(jpeg[:2] + b"\xff\x01" * 100 + jpeg[2:]).shape == (32, 48, 3)
    with pytest.raises(PictureError, match="parts") as refused:
        inspect(jpeg[:2] + b"\xff\x01" * 2**20 + jpeg[2:])
    assert refused.value.reason == "too_large"


def test_scans_are_weighed_by_their_pixels() -> None:
    """200 megapixels may come in the ten scans of an encoder; only fewer may come in more."""
    assert inspect(attack_bombs.jpeg(16_320, 12_240, 1, 10)).width == 16_320
    with pytest.raises(PictureError, match="11 scans of") as refused:
        inspect(attack_bombs.jpeg(16_320, 12_240, 1, 11))
    assert refused.value.reason == "too_large"
    assert decode(attack_bombs.jpeg(64, 48, 3, 64)).shape == (48, 64, 3)


@pytest.mark.parametrize(("scans", "apart"), [(2, False), (0, True)], ids=["progressive", "apart"])
def test_what_is_kept_until_the_last_scan_is_weighed(scans: int, *, apart: bool) -> None:
    """In several scans, 160 megapixels of three components are as many as may be held."""
    assert inspect(attack_bombs.jpeg(16_000, 10_000, 3, scans, apart=apart)).width == 16_000
    with pytest.raises(PictureError, match="samples") as refused:
        inspect(attack_bombs.jpeg(16_000, 10_008, 3, scans, apart=apart))
    assert refused.value.reason == "too_large"
    assert inspect(attack_bombs.jpeg(16_320, 12_240, 4)).width == 16_320
    assert decode(attack_bombs.jpeg(64, 48, 3, scans, apart=apart)).shape == (48, 64, 3)


def test_an_import_of_malformed_pictures_keeps_the_good_ones(tmp_path: Path) -> None:
    """Good pictures go in, bad ones are listed with their reasons, and the catalogue is sound."""
    tree = photos.draw_tree(tmp_path / "tree", ["cup", "jug"], 4)
    expected: dict[str, str] = {}
    decodable: set[bytes] = set()
    for number, made in enumerate(recipes(300, seed=SEED + 2)):
        data = build(made)
        file = tree / ("cup", "jug")[number % 2] / f"spoilt{number}.jpg"
        file.write_bytes(data)
        try:
            decode(data)
            decodable.add(data)
        except PictureError as error:
            expected[str(file)] = error.reason
    assert len(set(expected.values())) > 3
    with Catalog.init(tmp_path / "shop.catalog", embedder=FakeEmbedder()) as catalog:
        result = catalog.import_(tree)
        refused = {one.place: one.reason for one in result.refused if one.reason != "conflict"}
        assert refused == expected
        for thing, label in enumerate(("cup", "jug")):
            assert {str(path) for path in (tree / label).glob("0*.jpg")} <= {
                source for item in catalog.items(label) for source in item.sources
            }
            assert catalog.predict(photos.photo(thing)).label == label
        verification = catalog.verify()
        assert verification.sound
        assert verification.items == 8 + len(decodable)
