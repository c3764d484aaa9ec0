"""What is installed: one name, which works from any folder and beside any files of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import photos
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
IN_THE_WAY = ("index", "head", "embedder", "machine", "descriptors", "data", "cli", "catalogs")
"""Names that folders and modules of a user may well have."""

EXAMPLE = """
from catalog import Catalog

with Catalog.open("shop.catalog") as shop:
    shop.add_class("Blue Train", ["train/000.jpg", "train/001.jpg"])
    shop.import_("photos")
    prediction = shop.predict("photo.jpg")
    print(prediction.label, prediction.verdict, prediction.probability)
    for item in shop.nearest("photo.jpg", k=5):
        print(f"{item.score:.3f}", item.label, item.sources)
    shop.undo()
"""

COMMANDS = """
init shop.catalog --backbone starter
add-class cup cups/000.jpg cups/001.jpg
import photos
nearest photo.jpg --html sheet.html
predict photo.jpg --json
labels
evaluate photos
export labels.json
backup copy.catalog
verify
doctor
model list
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program; what it prints.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel, made from that."""
    folder = tmp_path_factory.mktemp("built")
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, REPOSITORY),
        cwd=folder,
    )
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that the wheel is installed in, and its dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    (wheel,) = built.glob("*.whl")
    install = ("-m", "pip", "install", "-q", "--no-deps", "--no-index")
    run(folder / "bin" / "python", *install, wheel, cwd=folder)
    # The dependencies are those of this environment, without what it has of the checkout.
    inside = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=inside))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "catalog" not in entry.name and not (packages / entry.name).exists():
            (packages / entry.name).symlink_to(entry)
    return folder / "bin"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A user's folder: photos, and files by the names of parts of this program."""
    photos.draw(tmp_path / "train", 6, 2)
    photos.draw(tmp_path / "cups", 5, 2)
    photos.draw_tree(tmp_path / "photos", ("mug", "jug"), 2)
    (tmp_path / "photo.jpg").write_bytes(photos.photo(0, 9))
    for name in IN_THE_WAY:
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    return tmp_path


def test_one_name_is_installed(built: Path) -> None:
    """The wheel brings one package, with all that it needs, and no tests or recipes."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        sizes = sum(entry.compress_size for entry in archive.infolist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"catalog"}
    wanted = {
        *("__main__.py", "py.typed", "cli/main.py", "embedder/probes.npz"),
        *("data/starter/starter.tflite", "data/priors/imagenet-standard.npz"),
    }
    assert {f"catalog/{name}" for name in wanted} <= set(names)
    assert any(name.endswith("templates/nearest.html") for name in names)
    projections = [name for name in names if name.startswith("catalog/data/projections/")]
    assert sum(name.endswith(".npz") for name in projections) == 2
    assert sizes < 25 * 2**20


def test_the_source_archive_is_enough(built: Path) -> None:
    """The wheel can be made from the source archive, so that has every folder."""
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        tops = {Path(name).parts[1] for name in files.getnames() if len(Path(name).parts) > 1}
    assert {"catalog", "embedder", "index", "cli", "head", "data", "README.md"} <= tops


def test_beside_files_of_the_user(installed: Path, desk: Path) -> None:
    """Commands and scripts work in a folder that has parts of the same names, even on the path."""
    environment = {
        "CATALOG_PATH": "shop.catalog",
        "CATALOG_CACHE": str(desk / "networks"),
        "PYTHONPATH": str(desk),
    }
    for line in COMMANDS.strip().splitlines():
        run(installed / "catalog", *line.split(), cwd=desk, **environment)
    (desk / "example.py").write_text(EXAMPLE)
    said = run(installed / "python", "example.py", cwd=desk, **environment)
    assert len(said.splitlines()) == 6
    assert "cup" in run(installed / "python", "-m", "catalog", "labels", cwd=desk, **environment)
    where = run(
        *(installed / "python", "-c", "import catalog.embedder as it; print(it.__file__)"),
        cwd=desk,
        **environment,
    )
    assert Path(where.strip()).is_relative_to(installed.parent)
