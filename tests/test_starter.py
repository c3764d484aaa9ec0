"""The network that comes with the program, and the demo that runs on it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import numpy as np
import photos
import pytest
from tiny_network import NAME, environment, run

from catalog import Catalog
from catalog.data import covers, prior_for
from catalog.data.starter import FLATBUFFER
from catalog.descriptors import BackboneError, InvalidInput
from catalog.embedder import PRESETS, MobileNetEmbedder, models
from catalog.embedder.model_cache import Model


@pytest.fixture
def starter(cache: Path) -> Model:
    """The starter, kept in that cache."""
    return models.starter()


def test_it_is_small_and_of_the_right_kind(starter: Model) -> None:
    """At most 4 MB, 96 to 160 pixels in, 1280 numbers out."""
    assert FLATBUFFER.stat().st_size <= 4_000_000
    assert 96 <= starter.input_size <= 160
    assert starter.width == 1280


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_its_prior(starter: Model, preset: str) -> None:
    """A prior was measured for each preset, and each is another."""
    prior = prior_for(MobileNetEmbedder(starter, preset, "pooled").probe())
    assert prior is not None
    others = [prior_for(MobileNetEmbedder(starter, name, "pooled").probe()) for name in PRESETS]
    assert [other.digest for other in others if other].count(prior.digest) == 1


def test_it_is_kept_like_any_other(starter: Model, cache: Path) -> None:
    """Once used it is in the cache, by name and by hash."""
    assert models.models() == [starter]
    assert models.find("starter") == models.find(starter.sha256[:8]) == starter
    assert starter.path.parent == cache / "models"


@pytest.fixture
def shop(cache: Path, tmp_path: Path) -> Path:
    """A catalogue of the starter, with one record."""
    with Catalog.init(tmp_path / "shop.catalog", backbone="starter") as made:
        made.add_class("one", [covers.cover(0)])
    return tmp_path / "shop.catalog"


def gone(model: Model) -> None:
    """Remove a whole cache."""
    shutil.rmtree(model.path.parent.parent)


def removed(model: Model) -> None:
    """Remove a flatbuffer, and leave its record."""
    model.path.unlink()


def damaged(model: Model) -> None:
    """Spoil a flatbuffer."""
    model.path.write_bytes(b"spoilt")


@pytest.mark.parametrize("harm", [gone, removed, damaged])
def test_a_catalogue_finds_it_whatever_became_of_the_cache(
    shop: Path, starter: Model, harm: Callable[[Model], None]
) -> None:
    """A catalogue of the starter opens on any machine that has the program."""
    harm(starter)
    with Catalog.open(shop) as opened:
        assert opened.info().backbone.startswith("starter (")
        assert opened.nearest(covers.photo(0), 1)[0].label == "one"


def test_a_cache_that_holds_it_need_not_be_writable(
    starter: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From wherever the program is installed, nothing is written once the network is there."""
    copy = shutil.copy(FLATBUFFER, tmp_path)
    monkeypatch.setattr("catalog.data.starter.FLATBUFFER", Path(copy))
    record = starter.path.with_suffix(".json")
    before = record.stat().st_mtime_ns
    assert models.starter() == starter
    assert record.stat().st_mtime_ns == before


def test_a_program_that_is_not_whole_says_so(
    cache: Path, tmp_path: Path, tiny_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its file the starter is a typed error, and other networks are found as ever."""
    other = models.import_model(tiny_cache / f"{NAME}.tflite")
    monkeypatch.setattr("catalog.data.starter.FLATBUFFER", tmp_path / "none.tflite")
    with pytest.raises(BackboneError, match="install catalog again"):
        models.starter()
    assert models.find(NAME) == models.find(other.sha256) == other


def test_a_later_starter_does_not_replace_it(
    starter: Model, shop: Path, monkeypatch: pytest.MonkeyPatch, tiny_cache: Path
) -> None:
    """A later version with another starter still opens catalogues of this one."""
    file = tiny_cache / f"{NAME}.tflite"
    monkeypatch.setattr("catalog.data.starter.FLATBUFFER", file)
    monkeypatch.setattr("catalog.data.starter.SHA256", sha256(file.read_bytes()).hexdigest())
    later = models.find("starter")
    assert later.name == "starter"
    assert later.sha256 != starter.sha256
    with Catalog.open(shop) as opened:
        assert opened.nearest(covers.photo(0), 1)[0].label == "one"


@pytest.mark.parametrize("name", ["starter", "imagenet"])
def test_names_are_kept_for_what_they_mean(
    cache: Path, tmp_path: Path, tiny_cache: Path, name: str
) -> None:
    """Another network cannot be called so, nor by the name of its file."""
    file = tiny_cache / f"{NAME}.tflite"
    with pytest.raises(InvalidInput, match="give it another name"):
        models.import_model(file, name=name)
    other = models.import_model(shutil.copy(file, tmp_path / f"{name}.tflite"))
    assert other.name == f"{name}-{other.sha256[:6]}"
    assert models.default().sha256 != other.sha256


def test_the_same_picture_has_the_same_bits(starter: Model) -> None:
    """One picture or many, its descriptor is the same."""
    pictures = [covers.cover(number) for number in range(9)]
    with closing(MobileNetEmbedder(starter)) as embedder:
        many = list(embedder.embed_many(pictures))
        for picture, descriptor in zip(pictures, many, strict=True):
            np.testing.assert_array_equal(embedder.embed(picture), descriptor)


def demo(folder: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo as ``make demo`` does, where no Hub can be reached."""
    return subprocess.run(
        [sys.executable, "-m", "catalog.cli.demo", *arguments],
        cwd=folder,
        env=environment(
            cache, CATALOG_HUB_URL="http://127.0.0.1:1", CATALOG_KERAS_URL="http://127.0.0.1:1"
        ),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def share_of(printed: str) -> float:
    """The share of photos that found their record, as the demo prints it."""
    found = re.search(r"(\d+) of 205 photos \((\d+\.\d)%\) found their record first", printed)
    assert found, printed
    right = int(found[1])
    assert float(found[2]) == pytest.approx(100 * right / 205, abs=0.051)
    assert printed.count("wrong: ") == 205 - right
    return right / 205


def test_the_demo(tmp_path: Path, cache: Path) -> None:
    """With no network, 95 of 100 photos find their record; what is printed can be run."""
    done = demo(tmp_path, cache)
    assert done.returncode == 0, done.stderr
    assert share_of(done.stdout) >= 0.95
    page = (tmp_path / "demo" / "contact-sheet.html").read_text()
    assert page.count('class="row"') == 40
    assert page.count("data:image/jpeg;base64,") == 40 * 5
    with Catalog.open(tmp_path / "demo" / "shop.catalog") as shop:
        assert shop.info().items == shop.info().classes == 205
    printed = re.search(r"catalog (nearest .*?)\\\n(.*)", done.stdout)
    assert printed
    answer = run(*shlex.split(printed[1] + printed[2]), cache=cache, cwd=tmp_path)
    assert covers.title(204) in answer.stdout.splitlines()[1]


@pytest.mark.parametrize("names", [("letter.txt",), ("shop.catalog", "photos/mine.jpg")])
def test_the_demo_removes_nothing_of_yours(
    tmp_path: Path, cache: Path, names: tuple[str, ...]
) -> None:
    """A folder that no demo made is left alone, whatever is in it."""
    for name in names:
        (tmp_path / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "demo" / name).write_text("mine")
    done = demo(tmp_path, cache)
    assert done.returncode == 1
    assert "something other than a demo" in done.stderr
    assert all((tmp_path / "demo" / name).read_text() == "mine" for name in names)


def test_a_demo_that_failed_can_be_run_again(tmp_path: Path, cache: Path) -> None:
    """Asked for a network that is not there it says how to get it, and leaves no trap."""
    for _ in range(2):
        done = demo(tmp_path, cache, "--backbone", "imagenet")
        assert done.returncode == 3
        assert "catalog model fetch" in done.stderr


@pytest.mark.real
@pytest.mark.soak
def test_the_demo_with_the_real_network(tmp_path: Path, imagenet: Model, model_cache: Path) -> None:
    """With the ImageNet network 99 of 100 find their record."""
    done = demo(tmp_path, model_cache, "--backbone", "imagenet")
    assert done.returncode == 0, done.stderr
    assert share_of(done.stdout) >= 0.99


def test_the_starter_needs_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache cannot be written the starter is used where it lies, also to embed."""
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    with Catalog.init(tmp_path / "shop.catalog", backbone="starter") as made:
        made.add_class("cup", [photos.photo(0)])
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "file"))
    with Catalog.open(tmp_path / "shop.catalog") as shop:
        assert shop.nearest(photos.photo(0), 1)[0].score > 1 - 1e-5
    assert models.default().name == "starter"
    with Catalog.init(tmp_path / "new.catalog", backbone="starter") as made:
        assert made.info().descriptor == "1280"
