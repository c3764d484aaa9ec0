"""What is measured for a network that is not known, and the catalogues that use it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import photos
import pytest
from typer.testing import CliRunner

from catalog import Catalog, data
from catalog.cli.main import app
from catalog.data import projections
from catalog.descriptors import BackboneError, CatalogError, InvalidInput, Projection
from catalog.embedder import MobileNetEmbedder, known, measuring, models, probes
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model

THINGS = 12


@pytest.fixture
def unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A MobileNetV2 for which nothing comes with the program: the starter, with that hidden."""
    for name in ("projection_for", "projection_named", "prior_for"):
        find = getattr(data, name)

        def elsewhere(sought: object, folder: Path | None = None, find=find) -> object:  # type: ignore[no-untyped-def]
            return None if folder is None else find(sought, folder)

        monkeypatch.setattr(data, name, elsewhere)
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    return models.starter()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of as many pictures as it takes, which are few here, and one that is none."""
    monkeypatch.setattr(measuring, "FEWEST", THINGS)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for thing in range(THINGS):
        (folder / f"{thing}.jpg").write_bytes(photos.photo(thing))
    (folder / "torn.jpg").write_bytes(photos.photo(0)[:200])
    return folder


def sources(folder: Path) -> list[Path]:
    """The files of a folder."""
    return sorted(folder.iterdir())


def test_a_network_is_measured(unknown: Model, pictures: Path, tmp_path: Path) -> None:
    """From then on new catalogues have several layers; those that exist stay as they are."""
    with Catalog.init(tmp_path / "before.catalog", backbone="starter") as before:
        assert before.info().descriptor == "pooled"
        assert not before.info().prior
        before.add_class("probe", photos.shots(3, 2))
    steps: list[tuple[int, int]] = []
    measured = measuring.measure(
        unknown, sources(pictures), progress=lambda *step: steps.append(step)
    )
    assert (measured.kind, measured.pictures, measured.refused) == ("projection", THINGS, 1)
    assert measured.file.is_file()
    assert steps == [(step, 2 * THINGS + 2) for step in range(1, 2 * THINGS + 3)]
    after = tmp_path / "after.catalog"
    with Catalog.init(after, backbone="starter") as made:
        assert made.info().descriptor == "1280"
        assert made.info().prior
        made.add_class("probe", photos.shots(3, 2))
    with Catalog.open(after) as shop:
        (found,) = shop.nearest(photos.photo(3), 1)
        assert found.score > 1 - 1e-5
    with Catalog.open(tmp_path / "before.catalog") as before:
        assert before.info().descriptor == "pooled"
        assert before.nearest(photos.photo(3), 1)[0].score > 1 - 1e-5


def test_the_latest_counts_and_older_ones_stay(unknown: Model) -> None:
    """Of several for one network; each is found by its digest."""
    vectors = probes.describe(LiteRTNetwork(unknown.read()))
    rng = np.random.default_rng(0)
    made = [Projection.rounded(np.zeros(4), rng.normal(size=(2, 4))) for _ in range(3)]
    for second, projection in enumerate(made):
        file = known.keep_projection(unknown, projection, vectors)
        file.rename(file.with_name(f"20270101T00000{second}{file.name[15:]}"))
    latest = known.projection_for(vectors)
    assert latest is not None
    assert latest.digest == made[-1].digest
    for projection in made:
        named = known.projection_named(projection.digest)
        assert named is not None
        assert np.array_equal(named.rows, projection.rows)


def test_a_network_of_another_structure(
    tiny_model: Model, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its last layer, and gets a prior: the scatter of photos, along its directions."""
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measuring, "RANK", 8)
    model = models.import_model(tiny_model.path, name="tiny")
    measured = measuring.measure(model, sources(pictures))
    assert (measured.kind, measured.pictures, measured.refused) == ("prior", THINGS, 1)
    with contextlib.closing(MobileNetEmbedder(model)) as embedder:
        prior = known.prior_for(embedder.probe())
    assert prior is not None
    assert prior.directions.shape == (8, model.width)
    np.testing.assert_allclose(prior.directions @ prior.directions.T, np.eye(8), atol=0.01)
    assert (np.diff(prior.variances) <= 0).all()
    assert prior.variances[-1] >= prior.residual > 0
    with Catalog.init(tmp_path / "x.catalog", backbone="tiny") as made:
        assert made.info().prior


def test_the_same_pictures_give_the_same() -> None:
    """In whatever order their rows are summed, up to rounding."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=(1 + measuring.PHOTOS, 12)) for _ in range(40)]
    rows = [group[0] for group in groups]
    first = measuring.learn(groups, rows)
    again = measuring.learn(groups, rows)
    assert first.digest == again.digest
    turned = measuring.learn(groups[::-1], rows[::-1])
    np.testing.assert_allclose(np.abs(first.rows), np.abs(turned.rows), atol=1)


def test_too_few(unknown: Model, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept, and how many there are is said."""
    monkeypatch.setattr(measuring, "FEWEST", 1000)
    with pytest.raises(InvalidInput, match=r"takes 1,000 .* 12 can be read here, and 1 cannot"):
        measuring.measure(unknown, sources(pictures))
    with pytest.raises(InvalidInput, match="0 can be read here"):
        measuring.measure(unknown, [])
    assert not (unknown.path.parent.parent / "measured").exists()


def test_a_network_that_is_known(pictures: Path) -> None:
    """What comes with the program was measured on more than a user has."""
    with pytest.raises(InvalidInput, match="comes with catalog"):
        measuring.measure(models.starter(), sources(pictures))


def test_a_machine_without_it(unknown: Model, tmp_path: Path) -> None:
    """A catalogue that moved says what to copy, and a damaged file what to do."""
    (shipped,) = Path(projections.__file__).parent.glob("starter-*.npz")
    file = tmp_path / "cache" / "measured" / "projections" / f"20270101T000000-{shipped.name}"
    file.parent.mkdir(parents=True)
    file.write_bytes(shipped.read_bytes())
    path = tmp_path / "shop.catalog"
    with Catalog.init(path, backbone="starter") as made:
        made.add_class("probe", photos.shots(3, 2))
    content = file.read_bytes()
    file.write_bytes(content[:-3000])
    with Catalog.open(path) as shop, pytest.raises(CatalogError, match="delete it, and measure"):
        shop.nearest(photos.photo(3))
    file.unlink()
    with (
        Catalog.open(path) as shop,
        pytest.raises(BackboneError, match=f"name ends in {file.stem[-12:]}.npz"),
    ):
        shop.nearest(photos.photo(3))
    file.write_bytes(content)
    with Catalog.open(path) as shop:
        assert shop.nearest(photos.photo(3))


def test_the_command(
    tiny_model: Model, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what it measured, and `init` and `info` where that is missing."""
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    tiny = models.import_model(tiny_model.path, name="tiny").name
    run = CliRunner()
    shop = str(tmp_path / "shop.catalog")
    assert "catalog model measure" in run.invoke(app, ["init", shop, "--backbone", tiny]).stderr
    assert "catalog model measure" in run.invoke(app, ["info", "--catalog", shop]).stderr
    done = run.invoke(app, ["model", "measure", str(pictures), "--backbone", tiny])
    assert done.exit_code == 0
    assert "tiny: a prior from 12 pictures, 1 could not be read: " in done.stdout
    shop = str(tmp_path / "new.catalog")
    assert "model measure" not in run.invoke(app, ["init", shop, "--backbone", tiny]).stderr
