"""The rollback journal of an interrupted transaction, sound and damaged."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import soak_page
from damage import Outcome, asked_of, opened, outcome_of, spoilt, unpacked, write
from inside import connection_of

from catalog import Catalog, LabelCount

pytest_plugins = ["trial_fixtures"]


def interrupted(folder: Path) -> tuple[Path, bytes, bytes]:
    """A file and its journal as a kill in the middle of writing leaves them; also their bytes."""
    path, left = folder / "shop.catalog", folder / "left.catalog"
    unpacked("format-5-exact", path)
    with opened(path) as catalog:
        # Pages are written to the file before the transaction ends, so that there is a mixture.
        connection_of(catalog).execute("PRAGMA cache_size = 1")
        connection_of(catalog).execute("PRAGMA cache_spill = ON")
        with catalog._store.writing() as tx:
            tx.execute("UPDATE descriptor SET value = zeroblob(32), checksum = 0")
            tx.execute("UPDATE item SET label = NULL")
            tx.execute("UPDATE label SET name = upper(name), key = key || '!'")
            for source in (path, path.with_name(path.name + "-journal")):
                shutil.copy(source, left.with_name(source.name.replace("shop", "left")))
            tx.rollback()
    return left, left.read_bytes(), left.with_name(left.name + "-journal").read_bytes()


def test_an_interrupted_transaction_is_rolled_back(room: Path) -> None:
    """A file that was left in the middle of writing is as it was before."""
    left, content, _ = interrupted(room)
    whole = room / "whole.catalog"
    assert content != unpacked("format-5-exact", whole)
    assert outcome_of(left, asked_of(whole)) == "harmless"


def endure_journals(folder: Path, times: int, seed: int) -> Counter[Outcome]:
    """Damage the journal of an interrupted transaction so many times; what came of it."""
    rng, outcomes = random.Random(seed), Counter[Outcome]()
    whole = folder / "whole.catalog"
    unpacked("format-5-exact", whole)
    expected = asked_of(whole)
    left, content, journal = interrupted(folder)
    for _ in range(times):
        write(left, content)
        left.with_name(left.name + "-journal").write_bytes(spoilt(journal, rng))
        outcomes[outcome_of(left, expected)] += 1
    assert outcomes["harmless"]
    return outcomes


@pytest.mark.parametrize("scale", [25, pytest.param(1500, marks=pytest.mark.soak)])
def test_damaged_journals(room: Path, scale: int) -> None:
    """A rollback journal that is damaged is used, refused, or its mixture is noticed."""
    outcomes = endure_journals(room, scale, 6)
    if scale > 100:
        soak_page.record(
            "Damaged rollback journals",
            "The journal of an interrupted transaction had a bit flipped or its end cut off before "
            "the file was opened again.",
            {
                "journals": outcomes.total(),
                "rolled back": outcomes["harmless"],
                "a typed error": outcomes["refused"],
                "said by verify": outcomes["noticed"],
                "silent": outcomes["silent"],
            },
        )


@pytest.mark.parametrize("way", ["restore", "merge", "backup"])
def test_what_is_copied_from_is_rolled_back(room: Path, way: str) -> None:
    """A catalogue that was left in the middle of writing can be restored from, and merged."""
    left, _, _ = interrupted(room)
    expected = [(row.label, row.items) for row in _labels(room / "shop.catalog")]
    copy = room / "copy.catalog"
    if way == "restore":
        Catalog.restore(left, copy)
    elif way == "merge":
        unpacked("format-5-exact", copy)
        with opened(copy) as catalog:
            for row in catalog.labels():
                catalog.remove_class(row.label)
            catalog.merge(left)
    else:
        with opened(left) as catalog:
            catalog.backup(copy)
    assert [(row.label, row.items) for row in _labels(copy)] == expected


def _labels(path: Path) -> list[LabelCount]:
    with opened(path) as catalog:
        return catalog.labels()
