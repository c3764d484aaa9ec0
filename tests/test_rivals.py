"""The benchmarks that compare catalog with what one would write or install instead."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import photos
import pytest
from made_networks import build_signature_only

from benchmarks import keras_job, retrained
from benchmarks.keras_job import Trees
from benchmarks.retrained import Kind, Recipe, Sizes
from catalog import read_manifest
from catalog.embedder import models
from catalog.embedder.model_cache import Model

LABELS = ("a", "b", "c", "d")
SMALL = Sizes(a_class=(2, None), draws=1, epochs=20, new=3, turns=1)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """Shots of four things, other ones to choose by and to ask about."""
    root = tmp_path_factory.mktemp("trees")
    shots = ((root / "train", 4, 0), (root / "val", 1, 10), (root / "test", 2, 20))
    return Trees(*(photos.draw_tree(place, LABELS, count, first) for place, count, first in shots))


@pytest.fixture(scope="module")
def kind(trees: Trees) -> Kind:
    """The same, listed."""
    parts = (trees.gallery, trees.val, trees.test)
    return Kind("things", *(read_manifest(part).entries for part in parts))


def rows(page: Sequence[str]) -> list[list[str]]:
    """The rows of the tables of a page that compares, without their headings."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page if line[0:1] == "|"]
    return [cells for cells in lines if cells != list(keras_job.HEADING) and cells[0] != "---"]


def number(cell: str) -> float:
    """The figure of a cell, without its unit."""
    return float(cell.removesuffix(" s").removesuffix("/s"))


def test_who_is_ahead() -> None:
    """More is ahead, a loss stands out, and what is the same when rounded is nobody's."""
    assert keras_job.share_row("", 0.9, 0.8)[1:] == ("0.900", "0.800", "+10.0 points", "catalog")
    assert keras_job.share_row("", 0.8, 0.9)[1:] == (
        "0.800", "0.900", "-10.0 points", "**the other**",
    )  # fmt: skip
    assert keras_job.share_row("", 0.90004, 0.9)[3:] == ("+0.0 points", "neither")


@pytest.mark.soak
def test_the_job(trees: Trees, tmp_path: Path) -> None:
    """Catalog and the script take the same folder, and what both find is compared in every row."""
    network = tmp_path / "network"
    with ProcessPoolExecutor(1, get_context("spawn")) as child:
        child.submit(build_signature_only, network).result()
    page = list(keras_job.page(models.import_model(network), network, trees, turns=1))
    found = rows(page)
    assert [cells[0] for cells in found] == [
        "16 photos from disk to stored, `fast`, 1 view",
        "16 photos from disk to stored, `standard`, 3 views",
        "class of the nearest item, top-1 of 8 photos, `fast`",
        "answer of `predict`, beside the nearest item, `fast`",
        "class of the nearest item, top-1 of 8 photos, `standard`",
        "answer of `predict`, beside the nearest item, `standard`",
    ]
    for _, ours, theirs, _, ahead in found:
        assert ahead == keras_job.ahead(number(ours), number(theirs))
    for _, ours, theirs, *_ in found[:2]:
        assert number(ours) > 0
        assert number(theirs) > 0
    for _, ours, theirs, *_ in found[2:]:  # things of other colours and shapes are easily told
        assert number(ours) >= 0.75
        assert number(theirs) >= 0.75


@pytest.mark.soak
def test_the_recipe(tiny_model: Model, kind: Kind) -> None:
    """Every row of both tables has both sides and says who is ahead."""
    page = list(retrained.page([tiny_model], [kind], SMALL))
    found = rows(page)
    assert len(found) == 2 * 2 + 2 * 4  # sizes by presets, sizes by what is asked of a new class
    for what, ours, theirs, _, ahead in found:
        if ours.endswith(" s"):
            assert "the class is known" in what
            assert number(ours) > 0
            assert number(theirs) > 0
        else:
            assert number(ours) >= 0.75, what
            assert number(theirs) >= 0.5, what
            assert ahead == keras_job.ahead(number(ours), number(theirs))


def test_the_recipe_learns(tiny_model: Model, kind: Kind) -> None:
    """Trained for long enough, its layers tell things that were embedded once from each other."""
    recipe = Recipe(tiny_model, epochs=30)
    recipe.choose(kind)
    assert recipe.top1(kind.train, kind.test) >= 0.75
    one = recipe.known(kind.test[:1])
    np.testing.assert_array_equal(one, recipe.embed(kind.test[:1]))


def test_what_the_view_is_chosen_by_is_not_learnt_from(tiny_model: Model, kind: Kind) -> None:
    """Where photos to choose by are among those to learn from, they are left out until then."""
    recipe = Recipe(tiny_model, epochs=1)
    learnt: list[int] = []

    def top1(train: Sequence[object], asked: Sequence[object], seed: int = 0) -> float:
        learnt.append(len(train))
        return 1.0 if recipe.view else 0.5

    recipe.top1 = top1  # type: ignore[method-assign, assignment]
    recipe.choose(Kind("things", kind.train, kind.train[:4], kind.test))
    assert learnt == [12, 12]
    assert recipe.view == 0.875
